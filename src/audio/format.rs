//! Sample format of a WAV file: the `fmt ` chunk, parsed by hound.

use hound::{SampleFormat, WavReader};

use super::AudioError;
use super::config::SAMPLE_RATES;

/// Format tags, from the Windows SDK's mmreg.h.
const PCM: u16 = 0x0001;
const IEEE_FLOAT: u16 = 0x0003;
const EXTENSIBLE: u16 = 0xFFFE;

/// Sample format from a `fmt ` chunk.
pub(super) struct Format {
    /// Samples per second and channel, in hertz.
    pub sample_rate: u32,
    pub channels: u16,
    /// Number of significant bits in a sample: the upper ones.
    pub valid_bits: u16,
    pub encoding: Encoding,
}

/// Encoding of a sample. All encodings are little-endian.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
}

impl Format {
    /// Size of one frame in bytes: one sample of every channel.
    pub fn frame_width(&self) -> usize {
        let sample_width = match self.encoding {
            Encoding::Unsigned8 => 1,
            Encoding::Signed16 => 2,
            Encoding::Signed24 => 3,
            Encoding::Signed32 | Encoding::Float32 => 4,
            Encoding::Float64 => 8,
        };
        sample_width * usize::from(self.channels)
    }
}

/// Parses a `fmt ` chunk.
///
/// hound is strict about the size of the chunk and about redundant fields, which many programs
/// write incorrectly. Therefore hound gets the same format in a canonical header.
pub(super) fn parse(chunk: &[u8]) -> Result<Format, AudioError> {
    let fields = Fields::read(chunk)?;
    if !SAMPLE_RATES.contains(&fields.sample_rate) {
        return Err(AudioError::SampleRate(fields.sample_rate));
    }
    let width = fields.sample_width();
    let header = fields.canonical_header(width);
    let spec = WavReader::new(&header[..]).map_err(from_hound)?.spec();
    let encoding = match (spec.sample_format, width) {
        (SampleFormat::Int, 1) => Encoding::Unsigned8,
        (SampleFormat::Int, 2) => Encoding::Signed16,
        (SampleFormat::Int, 3) => Encoding::Signed24,
        (SampleFormat::Int, 4) => Encoding::Signed32,
        (SampleFormat::Float, 4) => Encoding::Float32,
        (SampleFormat::Float, 8) => Encoding::Float64,
        (SampleFormat::Int, _) => return Err(unsupported(format!("integers of {width} bytes"))),
        (SampleFormat::Float, _) => return Err(unsupported(format!("floats of {width} bytes"))),
    };
    Ok(Format {
        sample_rate: spec.sample_rate,
        channels: spec.channels,
        valid_bits: spec.bits_per_sample,
        encoding,
    })
}

/// The fields of a `fmt ` chunk, unchanged from the file.
struct Fields {
    channels: u16,
    sample_rate: u32,
    bytes_per_second: u32,
    bytes_per_frame: u16,
    bits: u16,
    valid_bits: u16,
    /// A GUID.
    subformat: Vec<u8>,
}

impl Fields {
    fn read(chunk: &[u8]) -> Result<Fields, AudioError> {
        let two = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        let four = |at: usize| u32::from(two(at)) | u32::from(two(at + 2)) << 16;
        let too_short = || broken(format!("a fmt chunk of {} bytes", chunk.len()));
        if chunk.len() < 16 {
            return Err(too_short());
        }
        let (valid_bits, subformat) = match two(0) {
            PCM | IEEE_FLOAT => {
                let guid = b"\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71";
                (two(14), [&chunk[..2], guid].concat())
            }
            EXTENSIBLE if chunk.len() >= 40 => (two(18), chunk[24..40].to_vec()),
            EXTENSIBLE => return Err(too_short()),
            tag => return Err(unsupported(compression(tag))),
        };
        Ok(Fields {
            channels: two(2),
            sample_rate: four(4),
            bytes_per_second: four(8),
            bytes_per_frame: two(12),
            bits: two(14),
            valid_bits,
            subformat,
        })
    }

    /// Bytes per sample of one channel: the bits, rounded up to bytes. Samples of 20 or 24 bits may
    /// also be stored in four bytes, but only if all other fields agree on that; if the fields
    /// disagree, the number of bits is correct most often.
    fn sample_width(&self) -> u16 {
        let needed = self.bits.div_ceil(8);
        let frame = 4 * u32::from(self.channels);
        let in_four = u32::from(self.bytes_per_frame) == frame
            && self.sample_rate.checked_mul(frame) == Some(self.bytes_per_second);
        if needed == 3 && in_four { 4 } else { needed }
    }

    /// The header of an empty WAV file in this format, with consistent fields.
    fn canonical_header(&self, sample_width: u16) -> Vec<u8> {
        let bits = sample_width.saturating_mul(8);
        let valid_bits = match self.valid_bits {
            valid if (1..bits).contains(&valid) => valid,
            _ => bits,
        };
        let bytes_per_frame = sample_width.saturating_mul(self.channels);
        let bytes_per_second = self.sample_rate.saturating_mul(bytes_per_frame.into());

        let mut header = b"RIFF\x3C\0\0\0WAVEfmt \x28\0\0\0".to_vec();
        header.extend(EXTENSIBLE.to_le_bytes());
        header.extend(self.channels.to_le_bytes());
        header.extend(self.sample_rate.to_le_bytes());
        header.extend(bytes_per_second.to_le_bytes());
        header.extend(bytes_per_frame.to_le_bytes());
        header.extend(bits.to_le_bytes());
        header.extend(22_u16.to_le_bytes());
        header.extend(valid_bits.to_le_bytes());
        header.extend(0_u32.to_le_bytes());
        header.extend(&self.subformat);
        header.extend(b"data\0\0\0\0");
        header
    }
}

/// Converts an error of hound.
fn from_hound(error: hound::Error) -> AudioError {
    match error {
        hound::Error::Unsupported => unsupported("a subformat other than PCM and float".into()),
        hound::Error::FormatError(reason) => broken(reason.into()),
        other => broken(other.to_string()),
    }
}

/// Name of the compression that a format tag identifies.
fn compression(tag: u16) -> String {
    match tag {
        0x0002 => "compressed: Microsoft ADPCM".into(),
        0x0006 => "compressed: A-law".into(),
        0x0007 => "compressed: µ-law".into(),
        0x0011 => "compressed: IMA ADPCM".into(),
        0x0031 => "compressed: GSM 6.10".into(),
        0x0050 | 0x0055 => "compressed: MPEG audio, such as MP3".into(),
        0x00FF => "compressed: AAC".into(),
        _ => format!("format tag 0x{tag:04X}"),
    }
}

fn unsupported(encoding: String) -> AudioError {
    AudioError::UnsupportedEncoding(encoding)
}

fn broken(reason: String) -> AudioError {
    AudioError::BrokenHeader(reason)
}
