//! Format and position of the audio data in a WAV file or stream.
//!
//! Recorders, editors and pipes break the rules of RIFF in a few well-known ways. The walk through
//! the chunks accepts these, and limits every length to the end of the file.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::{AudioError, magic};

/// Length in bytes of the longest `fmt ` chunk, WAVEFORMATEXTENSIBLE; bytes behind it are ignored.
const FORMAT_LENGTH: u64 = 40;

/// Size of a chunk header in bytes: name and length.
const CHUNK_HEADER: u64 = 8;

/// A length of 0xFFFFFFFF: the length is in the `ds64` chunk, or the writer did not know it.
const UNKNOWN: u64 = u64::MAX;

/// Content of a WAV file or stream: its format and the position of its audio data.
pub(super) struct Layout {
    /// The `fmt ` chunk, 40 bytes of it at most.
    pub format: Vec<u8>,
    /// Position of the first sample, in bytes from the start.
    pub start: u64,
    /// Length of the audio data in bytes according to the header; `None` if it does not say.
    pub length: Option<u64>,
    /// True in RIFX: all numbers are big-endian.
    pub big_endian: bool,
}

/// Finds the format and the audio data in RIFF, RF64, BW64 or RIFX. Afterwards, a stream is at the
/// first sample.
///
/// A program that writes into a pipe cannot go back to fill in the lengths: without a length, the
/// audio data continues to the end.
pub(super) fn locate<S: Source>(source: S) -> Result<Layout, AudioError> {
    let mut walk = Walk::new(source);
    let start = walk.read(magic::LENGTH)?;
    walk.big_endian = start.starts_with(b"RIFX");
    if !walk.big_endian {
        magic::check(&start)?;
    }
    let ([_, whole, _], []) = start.as_chunks() else {
        return Err(AudioError::TruncatedHeader);
    };

    let mut whole_length = walk.length(*whole);
    let mut long_length = UNKNOWN;
    let (mut format, mut sound) = (None, None);
    let mut ended = false;
    while format.is_none() || sound.is_none() {
        let Some(chunk) = walk.next_chunk()? else {
            ended = true;
            break;
        };
        match &chunk.name {
            b"ds64" => {
                if let ([whole, sound], []) = walk.content(16)?.as_chunks() {
                    whole_length = u64::from_le_bytes(*whole);
                    long_length = u64::from_le_bytes(*sound);
                }
            }
            b"fmt " if format.is_none() => format = Some(walk.content(FORMAT_LENGTH)?),
            b"data" if sound.is_none() => {
                sound = Some((walk.position, chunk.length));
                // The samples of a stream cannot be skipped and read later.
                if !S::CAN_RETURN {
                    break;
                }
            }
            _ => {}
        }
    }
    let promised_end = whole_length.saturating_add(CHUNK_HEADER);
    let (format, (start, length)) = match (format, sound) {
        (Some(format), Some(sound)) => (format, sound),
        _ if ended && promised_end > walk.position => return Err(AudioError::TruncatedHeader),
        (None, _) => return Err(AudioError::BrokenHeader("no fmt chunk".into())),
        (_, None) => return Err(AudioError::BrokenHeader("no data chunk".into())),
    };

    let streamed = whole_length == UNKNOWN || promised_end <= start;
    let length = match length {
        UNKNOWN => long_length,
        length => length,
    };
    Ok(Layout {
        format,
        start,
        length: match length {
            UNKNOWN => None,
            0 if streamed => None,
            length => Some(length),
        },
        big_endian: walk.big_endian,
    })
}

/// Bytes that are read from the start to the end.
pub(super) trait Source: Read {
    /// True if the caller can read bytes again that were skipped.
    const CAN_RETURN: bool;

    /// Skips bytes, and returns their number: fewer than `length` at the end.
    fn skip(&mut self, length: u64) -> io::Result<u64>;

    /// Number of bytes up to the end, or the greatest number if it is not known.
    fn left(&self) -> u64;
}

/// A file, or a section of a file.
pub(super) struct File<'a, R> {
    source: &'a mut BufReader<R>,
    left: u64,
}

impl<'a, R: Read + Seek> File<'a, R> {
    /// The file from its start.
    pub(super) fn new(source: &'a mut BufReader<R>) -> io::Result<Self> {
        let left = source.seek(SeekFrom::End(0))?;
        source.rewind()?;
        Ok(File { source, left })
    }
}

impl<R: Read> Read for File<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

impl<R: Read + Seek> Source for File<'_, R> {
    const CAN_RETURN: bool = true;

    fn skip(&mut self, length: u64) -> io::Result<u64> {
        let length = length.min(self.left);
        // The length of a file always fits into an i64. Most chunks are short, and the next one is
        // usually in the buffer already.
        self.source.seek_relative(length as i64)?;
        self.left -= length;
        Ok(length)
    }

    fn left(&self) -> u64 {
        self.left
    }
}

/// A source that cannot seek.
pub(super) struct Stream<'a, R>(pub &'a mut R);

impl<R: Read> Read for Stream<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Source for Stream<'_, R> {
    const CAN_RETURN: bool = false;

    fn skip(&mut self, length: u64) -> io::Result<u64> {
        io::copy(&mut self.take(length), &mut io::sink())
    }

    fn left(&self) -> u64 {
        u64::MAX
    }
}

/// A chunk as its header describes it.
#[derive(Clone, Copy)]
struct Chunk {
    name: [u8; 4],
    /// Length of the content in bytes according to the header.
    length: u64,
}

/// A walk through the chunks of a source.
struct Walk<S> {
    source: S,
    /// A byte that was read too early.
    ahead: Option<u8>,
    /// Number of bytes before the next one.
    position: u64,
    /// Number of bytes of the current chunk that were not read.
    rest: u64,
    /// True if a pad byte should follow the current chunk.
    is_odd: bool,
    big_endian: bool,
}

impl<S: Source> Walk<S> {
    fn new(source: S) -> Self {
        Walk {
            source,
            ahead: None,
            position: 0,
            rest: 0,
            is_odd: false,
            big_endian: false,
        }
    }

    /// A length of 32 bits, or [`UNKNOWN`].
    fn length(&self, bytes: [u8; 4]) -> u64 {
        let length = if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        };
        match length {
            u32::MAX => UNKNOWN,
            length => length.into(),
        }
    }

    /// The next bytes; fewer if the source ends before.
    fn read(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if length > 0 {
            bytes.extend(self.ahead.take());
        }
        let missing = length - bytes.len() as u64;
        self.source.by_ref().take(missing).read_to_end(&mut bytes)?;
        self.position += bytes.len() as u64;
        Ok(bytes)
    }

    /// The first bytes of the content of the current chunk.
    fn content(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let bytes = self.read(length.min(self.rest))?;
        self.rest -= bytes.len() as u64;
        Ok(bytes)
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        if self.rest > 0 && self.ahead.take().is_some() {
            self.rest -= 1;
            self.position += 1;
        }
        self.position += self.source.skip(self.rest)?;
        Ok(())
    }

    /// The chunk behind the current one; `None` if the source ends before.
    fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        self.skip_rest()?;
        let mut header = self.read(CHUNK_HEADER)?;
        let mut chunk = self.parse(&header);
        // A pad byte follows a chunk of odd length; some writers omit it.
        if self.is_odd && self.credibility(chunk) < 2 {
            header.extend(self.read(1)?);
            let padded = self.parse(header.get(1..).unwrap_or_default());
            if self.credibility(chunk) > self.credibility(padded) {
                self.ahead = header.get(8).copied();
                self.position -= u64::from(self.ahead.is_some());
            } else {
                chunk = padded;
            }
        }
        self.rest = chunk.map_or(0, |chunk| chunk.length);
        self.is_odd = !self.rest.is_multiple_of(2);
        Ok(chunk)
    }

    fn parse(&self, header: &[u8]) -> Option<Chunk> {
        let ([name, length], []) = header.as_chunks() else {
            return None;
        };
        Some(Chunk {
            name: *name,
            length: self.length(*length),
        })
    }

    /// Rank of a possible chunk: 2 with a known name, 1 if name and length are plausible, else 0.
    fn credibility(&self, chunk: Option<Chunk>) -> u8 {
        match chunk {
            Some(chunk) if matches!(&chunk.name, b"fmt " | b"data") => 2,
            Some(chunk)
                if chunk.name.iter().all(|byte| matches!(byte, b' '..=b'~'))
                    && chunk.length <= self.source.left() =>
            {
                1
            }
            _ => 0,
        }
    }
}
