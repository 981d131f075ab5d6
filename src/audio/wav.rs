//! WAV files: what they say about themselves, and their sound as mono.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::stream::SoundStream;
use super::{AudioError, Waveform, decode, format, riff};

/// What a WAV header says.
#[derive(Debug, Clone, PartialEq)]
pub struct WavInfo {
    /// Samples per second and channel, in hertz.
    pub sample_rate: u32,
    /// 1 is mono, 2 stereo.
    pub channels: u16,
    /// How many bits of a sample carry sound: 8, 16, 24, 32 or 64, seldom another number.
    pub bits_per_sample: u16,
    /// Duration of the sound that the file holds, whatever its header promises.
    pub seconds: f64,
}

/// Reads the header only.
pub fn probe(path: &Path) -> Result<WavInfo, AudioError> {
    let sound = Sound::find(open(path)?)?;
    Ok(WavInfo {
        sample_rate: sound.format.sample_rate,
        channels: sound.format.channels,
        bits_per_sample: sound.format.valid_bits,
        seconds: sound.frames as f64 / f64::from(sound.format.sample_rate),
    })
}

/// Reads a WAV file at its own rate as mono, the mean of its channels.
///
/// Integers of 8 to 32 bits and floats of 32 and 64 bits are read. Integers are divided by
/// 2^(bits − 1), as soundfile and librosa do, so that full scale is [−1, 1). If the file holds
/// fewer samples than its header claims, those it holds are returned.
pub fn read_wav(path: &Path) -> Result<Waveform, AudioError> {
    read_wav_from(open(path)?)
}

/// Reads a WAV file, as [`read_wav`] does, from anything that reads and seeks.
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

/// Opens a WAV file to be read piece by piece, so that a long one need not fit into memory.
pub fn stream_wav(path: &Path) -> Result<SoundStream<BufReader<File>>, AudioError> {
    let mut sound = Sound::find(open(path)?)?;
    if sound.frames == 0 {
        return Err(AudioError::NoSamples);
    }
    sound.source.seek(SeekFrom::Start(sound.start))?;
    let length = sound.frames * sound.format.frame_width() as u64;
    Ok(SoundStream::new(sound.source, sound.format, Some(length)))
}

/// Opens a file, but no folder and nothing that would keep us waiting, such as a pipe.
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

/// A sound that was found in its file and not read yet.
struct Sound<R> {
    source: BufReader<R>,
    format: format::Format,
    /// Where it starts, in bytes.
    start: u64,
    /// Whole samples of every channel. What is left of a last one is dropped.
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
