//! From one sample rate to another while the sound is still coming.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, Resampler};

use super::super::AudioError;
use super::super::resample::{Blocks, refused};

/// Brings a stream to another rate: what comes out is, sample for sample, what
/// [`resample`](crate::audio::resample) makes of the whole recording, however the stream is cut.
///
/// A sample comes out once the block that it lies in and half a block behind it are there: 30 ms from
/// 48 or 44.1 to 16 kHz. Rates with no simple ratio, such as 24 414 Hz, have long blocks (0.5 s).
pub struct StreamResampler {
    /// `None` where the rates are the same.
    stage: Option<Stage>,
}

struct Stage {
    blocks: Blocks,
    resampler: Fft<f32>,
    /// What has come and is no whole block yet.
    waiting: Vec<f32>,
    block: Vec<f32>,
    /// Samples of the filter's delay, which are still to be dropped.
    to_drop: usize,
    taken: u64,
    given: u64,
}

impl StreamResampler {
    /// Between two rates in hertz.
    pub fn new(from: u32, to: u32) -> Result<StreamResampler, AudioError> {
        let blocks = Blocks::between(from, to)?;
        if from == to {
            return Ok(StreamResampler { stage: None });
        }
        let resampler = blocks.resampler()?;
        Ok(StreamResampler {
            stage: Some(Stage {
                waiting: vec![0.0; blocks.zeros_before()],
                block: vec![0.0; resampler.output_frames_max()],
                to_drop: blocks.delay(),
                blocks,
                resampler,
                taken: 0,
                given: 0,
            }),
        })
    }

    /// Takes the next samples, and appends those that they complete.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        let Some(stage) = &mut self.stage else {
            out.extend_from_slice(samples);
            return Ok(());
        };
        stage.taken += samples.len() as u64;
        stage.waiting.extend_from_slice(samples);
        stage.whole_blocks(out)
    }

    /// The stream is over: appends what the filter still holds.
    pub fn finish(mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let Some(stage) = &mut self.stage else {
            return Ok(());
        };
        let (before, given) = (out.len(), stage.given);
        let missing = stage.blocks.samples_out(stage.taken) - given;
        while stage.given < given + missing {
            stage.waiting.resize(stage.blocks.length, 0.0);
            stage.whole_blocks(out)?;
        }
        out.truncate(before + missing as usize);
        Ok(())
    }
}

impl Stage {
    fn whole_blocks(&mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let length = self.blocks.length;
        let whole = self.waiting.len() / length * length;
        for block in self.waiting[..whole].chunks_exact(length) {
            let input = InterleavedSlice::new(block, 1, length).map_err(refused)?;
            let room = self.block.len();
            let mut output =
                InterleavedSlice::new_mut(&mut self.block, 1, room).map_err(refused)?;
            let (_, made) = self
                .resampler
                .process_into_buffer(&input, &mut output, None)
                .map_err(refused)?;
            let dropped = self.to_drop.min(made);
            self.to_drop -= dropped;
            self.given += (made - dropped) as u64;
            out.extend_from_slice(&self.block[dropped..made]);
        }
        self.waiting.drain(..whole);
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
        fn a_stream_in_any_pieces_is_the_recording_resampled(
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
