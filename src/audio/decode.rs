//! Decodes the bytes of a WAV file to samples and mixes them down to mono.

use std::io::Read;

use super::AudioError;
use super::channel::{Mixer, check};
use super::format::{Encoding, Format};
use crate::memory::reserve;

/// Number of bytes in one read.
const BLOCK: usize = 1 << 16;

/// Reads `frames` samples of every channel and mixes them down to mono.
///
/// The bytes are read block by block, so that memory holds the result and one block only.
pub(super) fn read_mono(
    mut source: impl Read,
    format: &Format,
    frames: u64,
    mixer: &mut Mixer,
) -> Result<Vec<f32>, AudioError> {
    let mut mono = reserve(usize::try_from(frames).unwrap_or(usize::MAX))?;
    let width = format.frame_width();
    let mut block = vec![0; width * (BLOCK / width).max(1)];
    let mut left = frames * width as u64;
    while left > 0 {
        let length = left.min(block.len() as u64);
        let bytes = &mut block[..length as usize];
        source.read_exact(bytes)?;
        mix(bytes, format, mixer, &mut mono)?;
        left -= length;
    }
    Ok(mono)
}

/// Appends mono samples to `mono`, in [−1, 1]: integers become fractions of full scale. Big-endian
/// samples in `bytes` are swapped in place.
pub(super) fn mix(
    bytes: &mut [u8],
    format: &Format,
    mixer: &mut Mixer,
    mono: &mut Vec<f32>,
) -> Result<(), AudioError> {
    if format.big_endian {
        let sample_width = format.encoding.width();
        bytes
            .chunks_exact_mut(sample_width)
            .for_each(<[u8]>::reverse);
    }
    let channels = usize::from(format.channels);
    match format.encoding {
        Encoding::Unsigned8 => append(bytes, mixer, mono, |[byte]| {
            (f32::from(byte) - 128.0) / 128.0
        }),
        Encoding::Signed16 => append(bytes, mixer, mono, |bytes| {
            f32::from(i16::from_le_bytes(bytes)) / 32_768.0
        }),
        Encoding::Signed24 => append(bytes, mixer, mono, |[low, middle, high]| {
            full_scale([0, low, middle, high])
        }),
        Encoding::Signed32 => append(bytes, mixer, mono, full_scale),
        Encoding::ALaw => append(bytes, mixer, mono, |[byte]| {
            f32::from(from_a_law(byte)) / 32_768.0
        }),
        Encoding::MuLaw => append(bytes, mixer, mono, |[byte]| {
            f32::from(from_mu_law(byte)) / 32_768.0
        }),
        Encoding::Float32 => {
            let (samples, _) = bytes.as_chunks();
            check(samples, channels, mono.len(), |bytes| {
                f32::from_le_bytes(bytes).into()
            })?;
            append(bytes, mixer, mono, f32::from_le_bytes);
        }
        Encoding::Float64 => {
            let (samples, _) = bytes.as_chunks();
            check(samples, channels, mono.len(), |bytes| {
                f64::from_le_bytes(bytes)
            })?;
            append(bytes, mixer, mono, |bytes| f64::from_le_bytes(bytes) as f32);
        }
    }
    Ok(())
}

fn append<const WIDTH: usize>(
    bytes: &[u8],
    mixer: &mut Mixer,
    mono: &mut Vec<f32>,
    to_f32: impl Fn([u8; WIDTH]) -> f32,
) {
    let (samples, _) = bytes.as_chunks::<WIDTH>();
    mixer.push(samples, mono, to_f32);
}

fn full_scale(bytes: [u8; 4]) -> f32 {
    i32::from_le_bytes(bytes) as f32 / 2_147_483_648.0
}

/// ITU-T G.711, A-law: a sample of 13 bits in the upper bits of 16.
fn from_a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let segment = (byte >> 4) & 7;
    let step = i16::from(byte & 15) << 4;
    let magnitude = match segment {
        0 => step + 8,
        _ => (step + 0x108) << (segment - 1),
    };
    if byte & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// ITU-T G.711, µ-law: a sample of 14 bits in the upper bits of 16.
fn from_mu_law(byte: u8) -> i16 {
    const BIAS: i16 = 0x84;
    let byte = !byte;
    let segment = (byte >> 4) & 7;
    let magnitude = (((i16::from(byte & 15) << 3) + BIAS) << segment) - BIAS;
    if byte & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the tables 1 and 2 of ITU-T G.711: the values at the ends of segments.
    #[test]
    fn companded_samples_have_the_values_of_g711() {
        // 13-bit values of A-law, times 8 for 16 bits. Even bits are inverted in transmission.
        for (code, value) in [
            (0xFF, 4032),
            (0xF0, 2112),
            (0x80, 1),
            (0x8F, 31),
            (0x90, 33),
        ] {
            assert_eq!(from_a_law(code ^ 0x55), value * 8, "{code:x}");
            assert_eq!(from_a_law(code ^ 0x55 ^ 0x80), value * -8, "{code:x}");
        }
        // 14-bit values of µ-law, times 4 for 16 bits.
        for (code, value) in [(0x80, 8031), (0x8F, 4191), (0xFF, 0), (0xFE, 2), (0xEF, 33)] {
            assert_eq!(from_mu_law(code), value * 4, "{code:x}");
            assert_eq!(from_mu_law(code ^ 0x80), value * -4, "{code:x}");
        }
    }
}
