//! Reader of WAV files: the header, and the audio as mono.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::stream::SoundStream;
use super::{AudioError, Waveform, decode, format, riff};

/// Properties of a WAV file from its header.
#[derive(Debug, Clone, PartialEq)]
pub struct WavInfo {
    /// Samples per second and channel, in hertz.
    pub sample_rate: u32,
    /// 1 is mono, 2 stereo.
    pub channels: u16,
    /// Number of significant bits in a sample: 8, 16, 24, 32 or 64, rarely another number.
    pub bits_per_sample: u16,
    /// Duration in seconds of the audio in the file, which can be shorter than the header states.
    pub seconds: f64,
}

/// Reads the header only.
///
/// # Errors
/// If the file cannot be read, or if its header is not that of a supported WAV file.
pub fn probe(path: &Path) -> Result<WavInfo, AudioError> {
    let sound = Sound::find(open(path)?)?;
    Ok(WavInfo {
        sample_rate: sound.format.sample_rate,
        channels: sound.format.channels,
        bits_per_sample: sound.format.valid_bits,
        seconds: sound.frames as f64 / f64::from(sound.format.sample_rate),
    })
}

/// Reads a WAV file at its own sample rate as mono, the mean of its channels.
///
/// Integers of 8 to 32 bits and floats of 32 and 64 bits are supported. Integers are divided by
/// 2^(bits − 1), as in soundfile and librosa, so that full scale is [−1, 1). If the file has fewer
/// samples than its header states, the existing ones are returned.
///
/// # Errors
/// If the file cannot be read, is not a supported WAV file, has no samples, or has a sample that is
/// not finite or too large.
pub fn read_wav(path: &Path) -> Result<Waveform, AudioError> {
    read_wav_from(open(path)?)
}

/// Reads a WAV file, as [`read_wav`] does, from any seekable source.
///
/// # Errors
/// As [`read_wav`].
pub fn read_wav_from(source: impl Read + Seek) -> Result<Waveform, AudioError> {
    let mut sound = Sound::find(source)?;
    if sound.frames == 0 {
        return Err(AudioError::NoSamples);
    }
    sound.source.seek(SeekFrom::Start(sound.start))?;
    Ok(Waveform {
        samples: decode::read_mono(sound.source, &sound.format, sound.frames)?,
        sample_rate: sound.format.sample_rate,
    })
}

/// Opens a WAV file as a stream, so that a long file does not have to fit into memory.
///
/// # Errors
/// If the file cannot be opened, is not a supported WAV file, or has no samples.
pub fn stream_wav(path: &Path) -> Result<SoundStream<BufReader<File>>, AudioError> {
    let mut sound = Sound::find(open(path)?)?;
    if sound.frames == 0 {
        return Err(AudioError::NoSamples);
    }
    sound.source.seek(SeekFrom::Start(sound.start))?;
    let length = sound.frames * sound.format.frame_width() as u64;
    Ok(SoundStream::new(sound.source, sound.format, Some(length)))
}

/// Opens a regular file. Folders and files that could block, such as a pipe, are errors.
fn open(path: &Path) -> Result<File, AudioError> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(AudioError::Io(io::ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return Err(AudioError::NotAFile);
    }
    Ok(File::open(path)?)
}

/// Audio data that was located in a file but not read yet.
struct Sound<R> {
    source: BufReader<R>,
    format: format::Format,
    /// Position of the audio data in bytes.
    start: u64,
    /// Number of complete frames. The rest of an incomplete last frame is dropped.
    frames: u64,
}

impl<R: Read + Seek> Sound<R> {
    fn find(source: R) -> Result<Self, AudioError> {
        let mut source = BufReader::new(source);
        let layout = riff::locate(&mut source)?;
        let format = format::parse(&layout.format)?;
        Ok(Sound {
            source,
            start: layout.start,
            frames: layout.length / format.frame_width() as u64,
            format,
        })
    }
}
