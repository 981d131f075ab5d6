//! Sample format of a WAV file: the `fmt ` chunk, parsed by hound.

use hound::{SampleFormat, WavReader};

use super::AudioError;
use super::config::SAMPLE_RATES;

/// Format tags, from the Windows SDK's mmreg.h.
const PCM: u16 = 0x0001;
const MS_ADPCM: u16 = 0x0002;
const IEEE_FLOAT: u16 = 0x0003;
const A_LAW: u16 = 0x0006;
const MU_LAW: u16 = 0x0007;
const IMA_ADPCM: u16 = 0x0011;
const MPEG: u16 = 0x0050;
const MPEG_LAYER_3: u16 = 0x0055;
const EXTENSIBLE: u16 = 0xFFFE;

/// The end of the GUID of a subformat that has a format tag; the tag is its start.
const GUID_OF_TAG: &[u8; 14] = b"\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71";

/// Content of the `data` chunk according to the `fmt ` chunk.
pub(super) enum Content {
    /// Samples that are stored one by one.
    Samples(Format),
    /// Blocks of compressed samples: Microsoft ADPCM or IMA ADPCM.
    Adpcm,
    /// A stream of MPEG audio, such as MP3.
    Mpeg,
}

/// Sample format from a `fmt ` chunk.
pub(super) struct Format {
    /// Samples per second and channel, in hertz.
    pub sample_rate: u32,
    pub channels: u16,
    /// Number of significant bits in a sample: the upper ones.
    pub valid_bits: u16,
    pub encoding: Encoding,
    /// True in RIFX files.
    pub big_endian: bool,
}

/// Encoding of a sample. All encodings are little-endian after the exchange of the bytes in RIFX
/// files.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
    ALaw,
    MuLaw,
}

impl Encoding {
    /// Size of one sample in bytes.
    pub fn width(self) -> usize {
        match self {
            Encoding::Unsigned8 | Encoding::ALaw | Encoding::MuLaw => 1,
            Encoding::Signed16 => 2,
            Encoding::Signed24 => 3,
            Encoding::Signed32 | Encoding::Float32 => 4,
            Encoding::Float64 => 8,
        }
    }
}

impl Format {
    /// Size of one frame in bytes: one sample of every channel.
    pub fn frame_width(&self) -> usize {
        self.encoding.width() * usize::from(self.channels)
    }
}

/// Parses a `fmt ` chunk.
///
/// hound is strict about the size of the chunk and about redundant fields, which many programs
/// write incorrectly. Therefore hound gets the same format in a canonical header.
///
/// # Errors
/// If the format is not supported, or is compressed in blocks, see [`content`].
pub(super) fn parse(chunk: &[u8], big_endian: bool) -> Result<Format, AudioError> {
    match content(chunk, big_endian)? {
        Content::Samples(format) => Ok(format),
        Content::Adpcm | Content::Mpeg => {
            let tag = [chunk[0], chunk[1]];
            let tag = if big_endian {
                u16::from_be_bytes(tag)
            } else {
                u16::from_le_bytes(tag)
            };
            Err(unsupported(compression(tag)))
        }
    }
}

/// Parses a `fmt ` chunk, also of the compressed formats that other decoders read.
pub(super) fn content(chunk: &[u8], big_endian: bool) -> Result<Content, AudioError> {
    let little_endian = big_endian.then(|| to_little_endian(chunk));
    let chunk = little_endian.as_deref().unwrap_or(chunk);
    let fields = match Fields::read(chunk)? {
        Ok(fields) => fields,
        Err(compressed) => return Ok(compressed),
    };
    if !SAMPLE_RATES.contains(&fields.sample_rate) {
        return Err(AudioError::SampleRate(fields.sample_rate));
    }
    let companded = match fields.subformat.strip_suffix(GUID_OF_TAG) {
        Some([6, 0]) => Some(Encoding::ALaw),
        Some([7, 0]) => Some(Encoding::MuLaw),
        _ => None,
    };
    if let Some(encoding) = companded {
        if fields.channels == 0 {
            return Err(broken("file contains zero channels".into()));
        }
        return Ok(Content::Samples(Format {
            sample_rate: fields.sample_rate,
            channels: fields.channels,
            valid_bits: 8,
            encoding,
            big_endian,
        }));
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
    Ok(Content::Samples(Format {
        sample_rate: spec.sample_rate,
        channels: spec.channels,
        valid_bits: spec.bits_per_sample,
        encoding,
        big_endian,
    }))
}

/// A `fmt ` chunk of a RIFX file as a RIFF file has it: the bytes of every field are exchanged.
fn to_little_endian(chunk: &[u8]) -> Vec<u8> {
    // Tag, channels, rate, bytes per second, bytes per frame, bits, extension, valid bits, speakers,
    // and the fields of the GUID before its last 8 bytes.
    const WIDTHS: [usize; 12] = [2, 2, 4, 4, 2, 2, 2, 2, 4, 4, 2, 2];
    let mut swapped = chunk.to_vec();
    let mut rest = swapped.as_mut_slice();
    for width in WIDTHS {
        let Some((field, after)) = rest.split_at_mut_checked(width) else {
            break;
        };
        field.reverse();
        rest = after;
    }
    swapped
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
    /// Reads the fields, or returns the compressed content without fields that we need.
    fn read(chunk: &[u8]) -> Result<Result<Fields, Content>, AudioError> {
        let two = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        let four = |at: usize| u32::from(two(at)) | u32::from(two(at + 2)) << 16;
        let too_short = || broken(format!("a fmt chunk of {} bytes", chunk.len()));
        if chunk.len() < 16 {
            return Err(too_short());
        }
        let (valid_bits, subformat) = match two(0) {
            MS_ADPCM | IMA_ADPCM => return Ok(Err(Content::Adpcm)),
            MPEG | MPEG_LAYER_3 => return Ok(Err(Content::Mpeg)),
            PCM | IEEE_FLOAT | A_LAW | MU_LAW => (two(14), [&chunk[..2], GUID_OF_TAG].concat()),
            EXTENSIBLE if chunk.len() >= 40 => (two(18), chunk[24..40].to_vec()),
            EXTENSIBLE => return Err(too_short()),
            tag => return Err(unsupported(compression(tag))),
        };
        Ok(Ok(Fields {
            channels: two(2),
            sample_rate: four(4),
            bytes_per_second: four(8),
            bytes_per_frame: two(12),
            bits: two(14),
            valid_bits,
            subformat,
        }))
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
        MS_ADPCM => "compressed: Microsoft ADPCM".into(),
        IMA_ADPCM => "compressed: IMA ADPCM".into(),
        0x0031 => "compressed: GSM 6.10".into(),
        MPEG | MPEG_LAYER_3 => "compressed: MPEG audio, such as MP3".into(),
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
