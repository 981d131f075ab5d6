//! Recordings in files: their properties, and their samples as mono.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::channel::{Mixer, check};
use super::coded::Coded;
use super::magic::{self, Container};
use super::source::{ReadSeek, Section};
use super::stream::SoundStream;
use super::{AudioError, Channel, Excerpt, Segment, Waveform, decode, format, riff};
use crate::memory::OutOfMemory;

/// Largest number of ID3 tags before a recording.
const MAX_TAGS: usize = 16;

/// Properties of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioInfo {
    /// Name of the encoding: `PCM`, `FLAC`, `MP3` and so on.
    pub encoding: &'static str,
    /// Samples per second and channel, in hertz.
    pub sample_rate: u32,
    /// 1 is mono, 2 stereo.
    pub channels: u16,
    /// Number of significant bits in a sample: 8, 16, 24, 32 or 64, rarely another number. `None`
    /// for lossy encodings.
    pub bits_per_sample: Option<u16>,
    /// Duration in seconds of the audio in the file, which can be shorter than the header states.
    pub seconds: f64,
}

/// A decoded recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The samples at the sample rate of the file.
    pub waveform: Waveform,
    /// True if the recording has several channels that cancel each other in the mix, because they
    /// have opposite phases.
    pub is_cancelled: bool,
}

/// Reads the properties of a recording. For some compressed formats, this decodes the recording.
///
/// # Errors
/// If the file cannot be read, or is not a recording in a supported format.
pub fn probe(path: &Path) -> Result<AudioInfo, AudioError> {
    probe_from(open_file(path)?)
}

/// Reads the properties of a recording, as [`probe`] does, from any seekable source.
///
/// # Errors
/// As [`probe`].
pub fn probe_from(source: impl ReadSeek) -> Result<AudioInfo, AudioError> {
    let info = |encoding, sample_rate, channels, bits_per_sample, frames: u64| AudioInfo {
        encoding,
        sample_rate,
        channels,
        bits_per_sample,
        seconds: frames as f64 / f64::from(sample_rate),
    };
    Ok(match Recording::find(source)? {
        Recording::Wav(wav) => {
            let format = &wav.format;
            let (encoding, bits) = match format.encoding {
                format::Encoding::ALaw => ("A-law", None),
                format::Encoding::MuLaw => ("µ-law", None),
                _ => ("PCM", Some(format.valid_bits)),
            };
            info(
                encoding,
                format.sample_rate,
                format.channels,
                bits,
                wav.frames,
            )
        }
        Recording::Coded(coded) => {
            let (codec, rate, channels, bits) =
                (coded.codec, coded.sample_rate, coded.channels, coded.bits);
            info(codec, rate, channels, bits, coded.count_frames()?)
        }
    })
}

/// Reads a recording at its own sample rate as mono, the mean of its channels.
///
/// Integers of 8 to 32 bits are divided by 2^(bits − 1), as in soundfile and librosa, so that full
/// scale is [−1, 1). If the file has fewer samples than its header states, the existing ones are
/// returned. The format is recognised by the content of the file.
///
/// # Errors
/// If the file cannot be read, is not a recording in a supported format, has no samples, or has a
/// sample that is not finite or too large.
pub fn read(path: &Path) -> Result<Waveform, AudioError> {
    read_from(open_file(path)?)
}

/// Reads a recording, as [`read`] does, from any seekable source.
///
/// # Errors
/// As [`read`].
pub fn read_from(source: impl ReadSeek) -> Result<Waveform, AudioError> {
    Ok(read_samples(source, Channel::Mix, None)?.waveform)
}

/// Reads one channel of a recording, or the mean of all, at its own sample rate.
///
/// # Errors
/// As [`read`], and if the recording does not have the channel.
pub fn read_channel(path: &Path, channel: Channel) -> Result<Decoded, AudioError> {
    read_channel_from(open_file(path)?, channel)
}

/// Reads a recording, as [`read_channel`] does, from any seekable source.
///
/// # Errors
/// As [`read_channel`].
pub fn read_channel_from(source: impl ReadSeek, channel: Channel) -> Result<Decoded, AudioError> {
    read_samples(source, channel, None)
}

/// Reads a file or a segment of it as [`read_channel`] does. The samples of a segment are exactly
/// those of the whole file from `round(start · rate)` to `round(end · rate)`, or to the end of the
/// file.
///
/// In PCM and FLAC, the file is read from the segment on. The decoders of other formats depend on
/// the samples before, so these are decoded from the start of the file to the end of the segment.
///
/// # Errors
/// As [`read_channel`], and if the file ends before the segment starts.
pub fn read_excerpt(excerpt: &Excerpt, channel: Channel) -> Result<Decoded, AudioError> {
    read_samples(open_file(&excerpt.path)?, channel, excerpt.segment)
}

/// Reads one channel, or the mean of all, of a whole source or of a segment.
pub(super) fn read_samples(
    source: impl ReadSeek,
    channel: Channel,
    segment: Option<Segment>,
) -> Result<Decoded, AudioError> {
    let range = |rate: u32| segment.map_or(0..u64::MAX, |segment| segment.samples(rate));
    let (samples, sample_rate, mixer, end) = match Recording::find(source)? {
        Recording::Wav(mut wav) => {
            let mut mixer = Mixer::new(channel, wav.format.channels)?;
            let rate = wav.format.sample_rate;
            let range = wav.seek_to(range(rate))?;
            let frames = range.end - range.start;
            let samples = decode::read_mono(wav.source, &wav.format, frames, &mut mixer)?;
            (samples, rate, mixer, wav.frames)
        }
        Recording::Coded(mut coded) => {
            let mut mixer = Mixer::new(channel, coded.channels)?;
            let range = range(coded.sample_rate);
            let mut samples = Vec::new();
            let end = read_coded_range(&mut coded, &mut mixer, range, &mut samples)?;
            (samples, coded.sample_rate, mixer, end)
        }
    };
    if samples.is_empty() {
        return Err(match segment {
            Some(segment) if end > 0 => AudioError::SegmentBehindEnd {
                segment,
                seconds: end as f64 / f64::from(sample_rate),
            },
            _ => AudioError::NoSamples,
        });
    }
    Ok(Decoded {
        waveform: Waveform {
            samples,
            sample_rate,
        },
        is_cancelled: mixer.is_cancelled(),
    })
}

/// Appends the samples in `range` to `mono`. Returns the index behind the last sample that was
/// decoded.
fn read_coded_range(
    coded: &mut Coded,
    mixer: &mut Mixer,
    range: Range<u64>,
    mono: &mut Vec<f32>,
) -> Result<u64, AudioError> {
    let channels = usize::from(coded.channels);
    let mut position = coded.seek(range.start)?;
    while position < range.end {
        let block = coded.read()?;
        let frames = (block.len() / channels) as u64;
        if frames == 0 {
            break;
        }
        let from = range.start.saturating_sub(position).min(frames) as usize;
        let to = (range.end - position).min(frames) as usize;
        let wanted = &block[from * channels..to * channels];
        mix_coded(wanted, channels, mixer, position as usize + from, mono)?;
        position += frames;
    }
    coded.check_damage()?;
    Ok(position)
}

/// Appends the next samples to `mono`. `before` is the number of earlier samples. Returns the number
/// of new samples, 0 at the end.
fn read_coded(
    coded: &mut Coded,
    mixer: &mut Mixer,
    before: usize,
    mono: &mut Vec<f32>,
) -> Result<usize, AudioError> {
    let channels = usize::from(coded.channels);
    let block = coded.read()?;
    mix_coded(&block, channels, mixer, before, mono)?;
    Ok(block.len() / channels)
}

/// Checks decoded samples and appends their mix to `mono`. `before` is the number of earlier
/// samples of the recording.
fn mix_coded(
    block: &[f32],
    channels: usize,
    mixer: &mut Mixer,
    before: usize,
    mono: &mut Vec<f32>,
) -> Result<(), AudioError> {
    check(block, channels, before, |sample| sample.into())?;
    let frames = block.len() / channels;
    let memory = mono.try_reserve(frames);
    memory.map_err(|_| OutOfMemory {
        bytes: 4 * frames as u64,
    })?;
    mixer.push(block, mono, |sample| sample);
    Ok(())
}

/// A recording that is read piece by piece, so that a long one does not have to fit into memory.
pub struct AudioFile<'s> {
    pieces: Pieces<'s>,
    sample_rate: u32,
    samples: usize,
}

enum Pieces<'s> {
    Wav(SoundStream<BufReader<Section<'s>>>),
    Coded(Box<Coded<'s>>, Mixer),
}

impl<'s> AudioFile<'s> {
    /// Opens one channel of a recording, or the mean of all.
    ///
    /// # Errors
    /// If the file cannot be opened, is not a recording in a supported format, has no samples, or
    /// does not have the channel.
    pub fn open(path: &Path, channel: Channel) -> Result<AudioFile<'static>, AudioError> {
        AudioFile::from_source(open_file(path)?, channel)
    }

    /// Reads one channel, or the mean of all, from any seekable source.
    ///
    /// # Errors
    /// As [`AudioFile::open`].
    pub fn from_source(
        source: impl ReadSeek + 's,
        channel: Channel,
    ) -> Result<AudioFile<'s>, AudioError> {
        let (pieces, sample_rate) = match Recording::find(source)? {
            Recording::Wav(mut wav) => {
                wav.seek_to_start()?;
                let length = wav.frames * wav.format.frame_width() as u64;
                let rate = wav.format.sample_rate;
                let stream = SoundStream::new(wav.source, wav.format, Some(length), channel)?;
                (Pieces::Wav(stream), rate)
            }
            Recording::Coded(coded) => {
                let (mixer, rate) = (Mixer::new(channel, coded.channels)?, coded.sample_rate);
                (Pieces::Coded(coded, mixer), rate)
            }
        };
        Ok(AudioFile {
            pieces,
            sample_rate,
            samples: 0,
        })
    }

    /// Sample rate in hertz.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Appends the next samples to `mono`. Returns their number, 0 at the end.
    ///
    /// # Errors
    /// If reading fails, or if a sample is not finite or too large.
    pub fn read(&mut self, mono: &mut Vec<f32>) -> Result<usize, AudioError> {
        let read = match &mut self.pieces {
            Pieces::Wav(stream) => {
                let read = stream.read(mono)?;
                if read == 0 && stream.missing() > 0 {
                    return Err(AudioError::Io(io::ErrorKind::UnexpectedEof.into()));
                }
                read
            }
            Pieces::Coded(coded, mixer) => read_coded(coded, mixer, self.samples, mono)?,
        };
        self.samples += read;
        Ok(read)
    }

    /// True if the channels that were read so far cancel each other in the mix.
    pub fn is_cancelled(&self) -> bool {
        match &self.pieces {
            Pieces::Wav(stream) => stream.is_cancelled(),
            Pieces::Coded(_, mixer) => mixer.is_cancelled(),
        }
    }
}

/// Opens a regular file. Folders and files that could block, such as a pipe, are errors.
fn open_file(path: &Path) -> Result<File, AudioError> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(AudioError::Io(io::ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return Err(AudioError::NotAFile);
    }
    Ok(File::open(path)?)
}

/// A recording whose format is known, and whose samples are not read yet.
enum Recording<'s> {
    Wav(Wav<'s>),
    Coded(Box<Coded<'s>>),
}

/// Uncompressed audio data that was located in a WAV file.
struct Wav<'s> {
    source: BufReader<Section<'s>>,
    format: format::Format,
    /// Position of the audio data in bytes.
    start: u64,
    /// Number of complete frames. The rest of an incomplete last frame is dropped.
    frames: u64,
}

impl<'s> Recording<'s> {
    fn find(source: impl ReadSeek + 's) -> Result<Recording<'s>, AudioError> {
        let mut section = Section::whole(source)?;
        magic::check_pointer(&section.peek(0, magic::POINTER_LENGTH)?)?;
        let whole = section.len();
        let mut section = behind_tags(section)?;
        let has_tag = section.len() < whole;
        let container = match magic::detect(&section.peek(0, magic::LENGTH as usize)?) {
            // The decoder searches for the first frame of MP3 behind a tag.
            Err(AudioError::Unrecognised) if has_tag => Container::Mpeg,
            Err(AudioError::Empty) if has_tag => return Err(AudioError::TruncatedHeader),
            container => container?,
        };
        match container {
            Container::Wave | Container::Rifx => Recording::of_wav(container, section),
            _ => Recording::coded(container, section),
        }
    }

    fn of_wav(container: Container, section: Section<'s>) -> Result<Recording<'s>, AudioError> {
        let end = section.len();
        let mut source = BufReader::new(section);
        let layout = riff::locate(riff::File::new(&mut source)?)?;
        let left = end.saturating_sub(layout.start);
        let length = layout.length.map_or(left, |length| length.min(left));
        match format::content(&layout.format, layout.big_endian)? {
            format::Content::Samples(format) => Ok(Recording::Wav(Wav {
                source,
                start: layout.start,
                frames: length / format.frame_width() as u64,
                format,
            })),
            format::Content::Adpcm => {
                Recording::coded(container, source.into_inner().part(0, u64::MAX)?)
            }
            format::Content::Mpeg => {
                let data = source.into_inner().part(layout.start, length)?;
                Recording::coded(Container::Mpeg, data)
            }
        }
    }

    fn coded(container: Container, section: Section<'s>) -> Result<Recording<'s>, AudioError> {
        Ok(Recording::Coded(Box::new(Coded::open(container, section)?)))
    }
}

impl Wav<'_> {
    /// Moves to the first frame of `range`. Returns the range up to the last frame of the file.
    fn seek_to(&mut self, range: Range<u64>) -> Result<Range<u64>, AudioError> {
        self.seek_to_start()?;
        let start = range.start.min(self.frames);
        let offset = start * self.format.frame_width() as u64;
        self.source.seek(SeekFrom::Start(self.start + offset))?;
        Ok(start..range.end.clamp(start, self.frames))
    }

    fn seek_to_start(&mut self) -> Result<(), AudioError> {
        if self.frames == 0 {
            return Err(AudioError::NoSamples);
        }
        self.source.seek(SeekFrom::Start(self.start))?;
        Ok(())
    }
}

/// The section without the ID3 tags at its start. Any format may have them, but most programs write
/// them for MP3 only.
fn behind_tags(mut section: Section) -> io::Result<Section> {
    for _ in 0..MAX_TAGS {
        let header = section.peek(0, 10)?;
        let [b'I', b'D', b'3', _, _, flags, size @ ..] = header.as_slice() else {
            break;
        };
        if size.len() < 4 {
            break;
        }
        let size = size
            .iter()
            .fold(0, |size, byte| size << 7 | u64::from(byte & 0x7F));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        section = section.part(10 + size + footer, u64::MAX)?;
    }
    section.part(0, u64::MAX)
}
