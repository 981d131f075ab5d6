//! Decoder of Opus packets, RFC 6716, with the header of RFC 7845.

use opus_rs::OpusDecoder;

use super::AudioError;

/// Sample rate of the decoded samples in hertz, for any rate of the encoder's input.
pub(super) const RATE: u32 = 48_000;
/// Largest number of samples of a channel in a packet: 120 ms.
const MAX_FRAMES: usize = 5760;

pub(super) struct Opus {
    decoder: OpusDecoder,
    pub(super) channels: usize,
    /// Number of samples to drop at the start, so that the decoder has converged.
    pub(super) pre_skip: u64,
    /// Factor of the amplitude.
    gain: f32,
    /// Decoded samples of the last packet, all channels of a frame, then the next frame.
    block: Vec<f32>,
}

impl Opus {
    /// A decoder for a stream with this `OpusHead`.
    pub(super) fn new(head: &[u8]) -> Result<Opus, AudioError> {
        let short = || AudioError::Damaged {
            format: "Opus",
            reason: "its header is too short".into(),
        };
        let fields = head.strip_prefix(b"OpusHead").ok_or_else(short)?;
        let [
            _,
            channels,
            skip_low,
            skip_high,
            _,
            _,
            _,
            _,
            gain_low,
            gain_high,
            family,
            ..,
        ] = *fields
        else {
            return Err(short());
        };
        if !(1..=2).contains(&channels) || family > 1 {
            return Err(AudioError::UnsupportedCodec(format!(
                "Opus with {channels} channels"
            )));
        }
        let gain = i16::from_le_bytes([gain_low, gain_high]);
        let channels = usize::from(channels);
        let decoder = OpusDecoder::new(RATE as i32, channels)
            .map_err(|reason| AudioError::UnsupportedCodec(format!("Opus: {reason}")))?;
        Ok(Opus {
            decoder,
            channels,
            pre_skip: u16::from_le_bytes([skip_low, skip_high]).into(),
            gain: 10_f32.powf(f32::from(gain) / 256.0 / 20.0),
            block: vec![0.0; MAX_FRAMES * channels],
        })
    }

    /// Decodes a packet; returns all channels of a frame, then the next frame. `None` for a damaged
    /// packet.
    pub(super) fn decode(&mut self, packet: &[u8]) -> Option<&[f32]> {
        let frames = frames(packet)?;
        let block = &mut self.block[..frames * self.channels];
        self.decoder.decode(packet, frames, block).ok()?;
        if self.gain != 1.0 {
            block.iter_mut().for_each(|sample| *sample *= self.gain);
        }
        Some(block)
    }
}

/// Number of samples of a channel in a packet, from its first bytes (RFC 6716, section 3.1).
pub(super) fn frames(packet: &[u8]) -> Option<usize> {
    let (&toc, rest) = packet.split_first()?;
    let size = usize::from(toc >> 3 & 3);
    let frame = match toc >> 3 {
        0..12 => [480, 960, 1920, 2880][size],
        12..16 => [480, 960][size & 1],
        _ => [120, 240, 480, 960][size],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(rest.first()? & 63),
    };
    let frames = frame * count;
    (1..=MAX_FRAMES).contains(&frames).then_some(frames)
}
