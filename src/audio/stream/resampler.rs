//! Resampling of a stream.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, Resampler};

use super::super::AudioError;
use super::super::resample::{Blocks, refused};

/// Resamples a stream. The output equals, sample for sample, the output of
/// [`resample`](crate::audio::resample) for the complete recording, for any division into pieces.
///
/// The delay is one and a half blocks: a sample is returned when its block and half of the next
/// block have arrived. This takes 30 ms from 48 or 44.1 to 16 kHz. Rates without a simple ratio,
/// such as 24 414 Hz, have long blocks (0.5 s).
pub struct StreamResampler {
    /// `None` if the two rates are equal.
    stage: Option<Stage>,
}

struct Stage {
    blocks: Blocks,
    resampler: Fft<f32>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    /// Output buffer of one block.
    block: Vec<f32>,
    /// Remaining output samples to drop, because they are the delay of the filter.
    to_drop: usize,
    /// Number of input samples so far.
    samples_in: u64,
    /// Number of output samples so far.
    samples_out: u64,
}

impl StreamResampler {
    /// A resampler between two rates in hertz.
    ///
    /// # Errors
    /// If a rate is not supported.
    pub fn new(from: u32, to: u32) -> Result<StreamResampler, AudioError> {
        let blocks = Blocks::between(from, to)?;
        if from == to {
            return Ok(StreamResampler { stage: None });
        }
        let resampler = blocks.resampler()?;
        Ok(StreamResampler {
            stage: Some(Stage {
                pending: vec![0.0; blocks.zeros_before()],
                block: vec![0.0; resampler.output_frames_max()],
                to_drop: blocks.delay(),
                blocks,
                resampler,
                samples_in: 0,
                samples_out: 0,
            }),
        })
    }

    /// Adds the next input samples and appends all output that is complete to `out`.
    ///
    /// # Errors
    /// If the resampler fails, which only a bug can cause.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        let Some(stage) = &mut self.stage else {
            out.extend_from_slice(samples);
            return Ok(());
        };
        stage.samples_in += samples.len() as u64;
        stage.pending.extend_from_slice(samples);
        stage.process_blocks(out)
    }

    /// Ends the stream and appends the remaining output to `out`.
    ///
    /// # Errors
    /// If the resampler fails, which only a bug can cause.
    pub fn finish(mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let Some(stage) = &mut self.stage else {
            return Ok(());
        };
        let length_before = out.len();
        let total = stage.blocks.samples_out(stage.samples_in);
        let missing = total - stage.samples_out;
        while stage.samples_out < total {
            stage.pending.resize(stage.blocks.length, 0.0);
            stage.process_blocks(out)?;
        }
        out.truncate(length_before + missing as usize);
        Ok(())
    }
}

impl Stage {
    /// Resamples all complete blocks of the pending input.
    fn process_blocks(&mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let length = self.blocks.length;
        let whole = self.pending.len() / length * length;
        for block in self.pending[..whole].chunks_exact(length) {
            let input = SequentialSlice::new(block, 1, length).map_err(refused)?;
            let room = self.block.len();
            let mut output = SequentialSlice::new_mut(&mut self.block, 1, room).map_err(refused)?;
            let (_, made) = self
                .resampler
                .process_into_buffer(&input, &mut output, None)
                .map_err(refused)?;
            let dropped = self.to_drop.min(made);
            self.to_drop -= dropped;
            self.samples_out += (made - dropped) as u64;
            out.extend_from_slice(&self.block[dropped..made]);
        }
        self.pending.drain(..whole);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Waveform, resample};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_stream_in_any_pieces_equals_the_resampled_recording(
            rates in prop::sample::select(vec![
                (48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (16_000, 22_050),
                (24_414, 16_000), (16_000, 16_000), (96_000, 16_000),
            ]),
            pieces in prop::collection::vec(1usize..3_000, 1..12),
        ) {
            let (from, to) = rates;
            let length: usize = pieces.iter().sum();
            let samples: Vec<f32> = (0..length)
                .map(|i| (i as f32 * 0.05).sin() * 0.5 + (i as f32 * i as f32 * 1e-5).cos() * 0.3)
                .collect();
            let whole = Waveform { samples, sample_rate: from };
            let mut stream = StreamResampler::new(from, to).unwrap();
            let (mut out, mut start) = (Vec::new(), 0);
            for piece in pieces {
                stream.push(&whole.samples[start..start + piece], &mut out).unwrap();
                start += piece;
            }
            stream.finish(&mut out).unwrap();
            prop_assert_eq!(out, resample(&whole, to).unwrap().samples);
        }
    }
}
