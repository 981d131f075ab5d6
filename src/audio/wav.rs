//! WAV files through hound: the formats people have, mixed down to mono.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use hound::{SampleFormat, WavReader};

use super::config::SAMPLE_RATES;
use super::{AudioError, Waveform};

/// What a WAV header says.
#[derive(Debug, Clone, PartialEq)]
pub struct WavInfo {
    /// Samples per second and channel, in hertz.
    pub sample_rate: u32,
    /// 1 is mono, 2 stereo.
    pub channels: u16,
    /// 8, 16, 24 or 32.
    pub bits_per_sample: u16,
    /// Duration by the header; a file that was cut off holds less.
    pub seconds: f64,
}

/// Reads the header only.
pub fn probe(path: &Path) -> Result<WavInfo, AudioError> {
    let reader = open(path)?;
    let spec = reader.spec();
    Ok(WavInfo {
        sample_rate: spec.sample_rate,
        channels: spec.channels,
        bits_per_sample: spec.bits_per_sample,
        seconds: f64::from(reader.duration()) / f64::from(spec.sample_rate),
    })
}

/// Reads a WAV file at its own rate as mono, the mean of its channels.
///
/// 8, 16, 24 and 32-bit integers and 32-bit floats are read. Integers are divided by
/// 2^(bits − 1), as soundfile and librosa do, so that full scale is [−1, 1). If the file holds
/// fewer samples than its header claims, those it holds are returned.
pub fn read_wav(path: &Path) -> Result<Waveform, AudioError> {
    let reader = open(path)?;
    let spec = reader.spec();
    let interleaved = decode(&sample_bytes(reader)?, spec.sample_format)?;
    let samples = mean_of_channels(interleaved, usize::from(spec.channels));
    if samples.is_empty() {
        return Err(AudioError::NoSamples);
    }
    if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
        return Err(AudioError::NotFinite(index));
    }
    Ok(Waveform {
        samples,
        sample_rate: spec.sample_rate,
    })
}

/// Opens the file and reads its header, or says what the file really is.
fn open(path: &Path) -> Result<WavReader<BufReader<File>>, AudioError> {
    let mut file = File::open(path).map_err(AudioError::Io)?;
    let mut magic = Vec::with_capacity(12);
    Read::by_ref(&mut file)
        .take(12)
        .read_to_end(&mut magic)
        .map_err(AudioError::Io)?;
    check_magic(&magic)?;
    file.rewind().map_err(AudioError::Io)?;

    let reader = WavReader::new(BufReader::new(file)).map_err(header_error)?;
    let sample_rate = reader.spec().sample_rate;
    if !SAMPLE_RATES.contains(&sample_rate) {
        return Err(AudioError::SampleRate(sample_rate));
    }
    Ok(reader)
}

/// Tells the formats that are found under the name `.wav` by their first bytes.
fn check_magic(magic: &[u8]) -> Result<(), AudioError> {
    let found = match magic {
        [] => return Err(AudioError::Empty),
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..] => match form {
            b"WAVE" => return Ok(()),
            [_, _, _, _] => "another RIFF format (AVI, perhaps)",
            _ => return Err(AudioError::TruncatedHeader),
        },
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', ..] => "AIFF",
        [b'f', b'L', b'a', b'C', ..] => "FLAC",
        [b'O', b'g', b'g', b'S', ..] => "Ogg (Vorbis or Opus)",
        [b'R', b'F', b'6', b'4', ..] => "RF64, the 64-bit WAV",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "MP4 or M4A",
        [b'I', b'D', b'3', ..] | [0xFF, 0xE0..=0xFF, ..] => "MP3",
        _ if b"RIFF".starts_with(magic) || magic.starts_with(b"RIFF") => {
            return Err(AudioError::TruncatedHeader);
        }
        _ => "something that does not start like any audio format we know",
    };
    Err(AudioError::NotWav(found))
}

/// hound's reason for refusing a header, in our words.
fn header_error(error: hound::Error) -> AudioError {
    match error {
        hound::Error::IoError(error) if is_end_of_file(&error) => AudioError::TruncatedHeader,
        hound::Error::IoError(error) => AudioError::Io(error),
        hound::Error::Unsupported => {
            AudioError::UnsupportedEncoding("compressed, such as ADPCM, A-law or µ-law".into())
        }
        hound::Error::FormatError("bits per sample is not 32") => {
            AudioError::UnsupportedEncoding("float of other than 32 bits".into())
        }
        other => AudioError::BrokenHeader(other.to_string()),
    }
}

/// hound reports the end of the file as an error of no particular kind.
fn is_end_of_file(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Other | io::ErrorKind::UnexpectedEof
    )
}

/// The sound as it lies in the file.
struct SampleBytes {
    /// Little-endian, channels interleaved.
    bytes: Vec<u8>,
    /// Bytes per sample.
    width: usize,
}

/// The bytes behind the header: at most as many as it claims, fewer if the file was cut off.
///
/// hound's own iterator takes longer per sample than all that follows; so hound reads the header
/// and leaves the reader at the first sample, behind the length of the sound in bytes. Over the
/// number of samples that is the width of one, which may be more than its valid bits need.
fn sample_bytes(reader: WavReader<BufReader<File>>) -> Result<SampleBytes, AudioError> {
    let samples = reader.len();
    if samples == 0 {
        return Err(AudioError::NoSamples);
    }
    let mut reader = reader.into_inner();
    let mut length = [0; 4];
    reader.seek_relative(-4).map_err(AudioError::Io)?;
    reader.read_exact(&mut length).map_err(AudioError::Io)?;
    let length = u32::from_le_bytes(length);

    let mut bytes = Vec::new();
    reader
        .take(u64::from(length))
        .read_to_end(&mut bytes)
        .map_err(AudioError::Io)?;
    Ok(SampleBytes {
        bytes,
        width: (length / samples) as usize,
    })
}

/// Samples in [−1, 1], channels interleaved. Valid bits are the upper ones of an integer.
fn decode(sound: &SampleBytes, format: SampleFormat) -> Result<Vec<f32>, AudioError> {
    let bytes = &sound.bytes;
    Ok(match (format, sound.width) {
        (SampleFormat::Int, 1) => bytes
            .iter()
            .map(|&b| (f32::from(b) - 128.0) / 128.0)
            .collect(),
        (SampleFormat::Int, 2) => samples(bytes, |b| f32::from(i16::from_le_bytes(b)) / 32_768.0),
        (SampleFormat::Int, 3) => samples(bytes, |[low, middle, high]| {
            full_scale([0, low, middle, high])
        }),
        (SampleFormat::Int, 4) => samples(bytes, full_scale),
        (SampleFormat::Float, 4) => samples(bytes, f32::from_le_bytes),
        (_, width) => {
            return Err(AudioError::UnsupportedEncoding(format!(
                "{width} bytes per sample"
            )));
        }
    })
}

/// Applies `to_f32` to every `WIDTH` bytes.
fn samples<const WIDTH: usize>(bytes: &[u8], to_f32: impl Fn([u8; WIDTH]) -> f32) -> Vec<f32> {
    let (samples, _cut_off) = bytes.as_chunks::<WIDTH>();
    samples.iter().map(|&bytes| to_f32(bytes)).collect()
}

fn full_scale(bytes: [u8; 4]) -> f32 {
    i32::from_le_bytes(bytes) as f32 / 2_147_483_648.0
}

/// Mono: the mean over the channels of each frame.
fn mean_of_channels(interleaved: Vec<f32>, channels: usize) -> Vec<f32> {
    if channels == 1 {
        return interleaved;
    }
    interleaved
        .chunks_exact(channels)
        .map(|frame| frame.iter().sum::<f32>() / channels as f32)
        .collect()
}
