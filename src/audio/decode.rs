//! Decodes the bytes of a WAV file to samples and mixes them down to mono.

use std::io::Read;

use super::AudioError;
use super::format::{Encoding, Format};
use crate::memory::reserve;

/// Number of bytes in one read.
const BLOCK: usize = 1 << 16;

/// The largest accepted amplitude. With larger ones, the power of a frame could leave the range of
/// an `f32`. Full scale is 1; some writers do not scale their integers and reach 2³¹ ≈ 2 · 10⁹.
const MAX_AMPLITUDE: f64 = 1e12;

/// Reads `frames` samples of every channel and takes the mean of the channels.
///
/// The bytes are read block by block, so that memory holds the result and one block only.
pub(super) fn read_mono(
    mut source: impl Read,
    format: &Format,
    frames: u64,
) -> Result<Vec<f32>, AudioError> {
    let mut mono = reserve(usize::try_from(frames).unwrap_or(usize::MAX))?;
    let width = format.frame_width();
    let mut block = vec![0; width * (BLOCK / width).max(1)];
    let mut left = frames * width as u64;
    while left > 0 {
        let length = left.min(block.len() as u64);
        let bytes = &mut block[..length as usize];
        source.read_exact(bytes)?;
        mix(bytes, format, &mut mono)?;
        left -= length;
    }
    Ok(mono)
}

/// Appends the mean of the channels to `mono`, in [−1, 1]: integers become fractions of full scale.
pub(super) fn mix(bytes: &[u8], format: &Format, mono: &mut Vec<f32>) -> Result<(), AudioError> {
    let channels = usize::from(format.channels);
    match format.encoding {
        Encoding::Unsigned8 => append(bytes, channels, mono, |[byte]| {
            (f32::from(byte) - 128.0) / 128.0
        }),
        Encoding::Signed16 => append(bytes, channels, mono, |bytes| {
            f32::from(i16::from_le_bytes(bytes)) / 32_768.0
        }),
        Encoding::Signed24 => append(bytes, channels, mono, |[low, middle, high]| {
            full_scale([0, low, middle, high])
        }),
        Encoding::Signed32 => append(bytes, channels, mono, full_scale),
        Encoding::Float32 => {
            check(bytes, channels, mono.len(), |bytes| {
                f32::from_le_bytes(bytes).into()
            })?;
            append(bytes, channels, mono, f32::from_le_bytes);
        }
        Encoding::Float64 => {
            check(bytes, channels, mono.len(), f64::from_le_bytes)?;
            append(bytes, channels, mono, |bytes| {
                f64::from_le_bytes(bytes) as f32
            });
        }
    }
    Ok(())
}

fn append<const WIDTH: usize>(
    bytes: &[u8],
    channels: usize,
    mono: &mut Vec<f32>,
    to_f32: impl Fn([u8; WIDTH]) -> f32,
) {
    let (samples, _) = bytes.as_chunks::<WIDTH>();
    if channels == 1 {
        mono.extend(samples.iter().map(|&bytes| to_f32(bytes)));
    } else {
        mono.extend(
            samples.chunks_exact(channels).map(|frame| {
                frame.iter().map(|&bytes| to_f32(bytes)).sum::<f32>() / channels as f32
            }),
        );
    }
}

fn full_scale(bytes: [u8; 4]) -> f32 {
    i32::from_le_bytes(bytes) as f32 / 2_147_483_648.0
}

/// Rejects floats that are not finite or too large. `before` is the number of earlier frames.
fn check<const WIDTH: usize>(
    bytes: &[u8],
    channels: usize,
    before: usize,
    to_f64: impl Fn([u8; WIDTH]) -> f64,
) -> Result<(), AudioError> {
    let (samples, _) = bytes.as_chunks::<WIDTH>();
    for (index, &bytes) in samples.iter().enumerate() {
        let sample = to_f64(bytes);
        let frame = before + index / channels;
        if !sample.is_finite() {
            return Err(AudioError::NotFinite(frame));
        }
        if sample.abs() > MAX_AMPLITUDE {
            return Err(AudioError::TooLarge(frame, sample));
        }
    }
    Ok(())
}
