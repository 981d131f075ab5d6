//! Positions of the format and the audio data in a WAV file.
//!
//! Recorders, editors and pipes break the rules of RIFF in a few well-known ways. The search
//! through the chunks accepts these, and limits every length to the end of the file.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::{AudioError, magic};

/// Length in bytes of the longest `fmt ` chunk, WAVEFORMATEXTENSIBLE; bytes behind it are ignored.
const FORMAT_LENGTH: u64 = 40;

/// Size of a chunk header in bytes: name and length.
const CHUNK_HEADER: u64 = 8;

/// A length of 0xFFFFFFFF: the length is in the `ds64` chunk, or the writer did not know it.
const UNKNOWN: u64 = u64::MAX;

/// Content of a WAV file: its format and the position of its audio data.
pub(super) struct Layout {
    /// The `fmt ` chunk, 40 bytes of it at most.
    pub format: Vec<u8>,
    /// Position of the first sample, in bytes from the start of the file.
    pub start: u64,
    /// Actual length of the audio data in bytes.
    pub length: u64,
    /// True in a RIFX file: all numbers are big-endian.
    pub big_endian: bool,
}

/// Finds the format and the audio data in a RIFF, RF64, BW64 or RIFX file.
///
/// The audio data ends with its chunk or with the file, whichever comes first. A program that
/// writes into a pipe cannot go back to fill in the lengths: without a length, the audio data
/// continues to the end of the file.
pub(super) fn locate<R: Read + Seek>(source: &mut BufReader<R>) -> Result<Layout, AudioError> {
    let mut file = Positioned::new(source)?;
    let start = file.read(0, magic::LENGTH)?;
    file.big_endian = start.starts_with(b"RIFX");
    if !file.big_endian {
        magic::check(&start)?;
    }
    let ([_, whole, _], []) = start.as_chunks() else {
        return Err(AudioError::TruncatedHeader);
    };

    let (mut lengths, mut format, mut sound) = (None, None, None);
    let mut next = file.chunk(magic::LENGTH)?;
    while let Some(chunk) = next {
        match &chunk.name {
            b"ds64" => _ = lengths.get_or_insert(chunk),
            b"fmt " => _ = format.get_or_insert(chunk),
            b"data" => _ = sound.get_or_insert(chunk),
            _ => {}
        }
        if format.is_some() && sound.is_some() {
            break;
        }
        next = file.chunk_after(&chunk)?;
    }

    let mut whole_length = file.length(*whole);
    let mut long_sound_length = UNKNOWN;
    if let Some(chunk) = lengths
        && let ([whole, sound], []) = file.read(chunk.start, 16)?.as_chunks()
    {
        whole_length = u64::from_le_bytes(*whole);
        long_sound_length = u64::from_le_bytes(*sound);
    }
    let promised_end = whole_length.saturating_add(CHUNK_HEADER);
    let (format, sound) = match (format, sound) {
        (Some(format), Some(sound)) => (format, sound),
        _ if promised_end > file.end => return Err(AudioError::TruncatedHeader),
        (None, _) => return Err(AudioError::BrokenHeader("no fmt chunk".into())),
        (_, None) => return Err(AudioError::BrokenHeader("no data chunk".into())),
    };

    let left = file.end - sound.start;
    let sound_length = match sound.length {
        UNKNOWN => long_sound_length,
        length => length,
    };
    let streamed = whole_length == UNKNOWN || promised_end <= sound.start;
    Ok(Layout {
        format: file.read(format.start, format.length.min(FORMAT_LENGTH))?,
        start: sound.start,
        length: match sound_length {
            0 if streamed => left,
            length => length.min(left),
        },
        big_endian: file.big_endian,
    })
}

/// A chunk as its header describes it.
#[derive(Clone, Copy)]
struct Chunk {
    name: [u8; 4],
    /// Position of the content in bytes.
    start: u64,
    /// Length of the content in bytes according to the header.
    length: u64,
}

/// A source with its current position, for relative seeks: most chunks are short, and the next
/// chunk is usually in the buffer already.
struct Positioned<'a, R> {
    source: &'a mut BufReader<R>,
    position: u64,
    end: u64,
    big_endian: bool,
}

impl<'a, R: Read + Seek> Positioned<'a, R> {
    fn new(source: &'a mut BufReader<R>) -> io::Result<Self> {
        let end = source.seek(SeekFrom::End(0))?;
        source.rewind()?;
        Ok(Positioned {
            source,
            position: 0,
            end,
            big_endian: false,
        })
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

    /// Reads `length` bytes from position `start`; fewer if the file ends before.
    fn read(&mut self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        let start = start.min(self.end);
        let length = length.min(self.end - start);
        // The length of a file always fits into an i64.
        self.source
            .seek_relative(start as i64 - self.position as i64)?;
        self.position = start + length;
        let mut bytes = vec![0; length as usize];
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The chunk whose header is at `position`; `None` if the file ends before the header does.
    fn chunk(&mut self, position: u64) -> io::Result<Option<Chunk>> {
        let header = self.read(position, CHUNK_HEADER)?;
        let ([name, content], []) = header.as_chunks() else {
            return Ok(None);
        };
        Ok(Some(Chunk {
            name: *name,
            start: position + CHUNK_HEADER,
            length: self.length(*content),
        }))
    }

    /// The chunk behind this one. A pad byte follows a chunk of odd length; some writers omit it.
    fn chunk_after(&mut self, chunk: &Chunk) -> io::Result<Option<Chunk>> {
        let end = chunk.start.saturating_add(chunk.length);
        if chunk.length.is_multiple_of(2) {
            return self.chunk(end);
        }
        let unpadded = self.chunk(end)?;
        let padded = self.chunk(end.saturating_add(1))?;
        if self.credibility(&unpadded) > self.credibility(&padded) {
            Ok(unpadded)
        } else {
            Ok(padded)
        }
    }

    /// Rank of a possible chunk: 2 with a known name, 1 if name and length are plausible, else 0.
    fn credibility(&self, chunk: &Option<Chunk>) -> u8 {
        match chunk {
            Some(chunk) if matches!(&chunk.name, b"fmt " | b"data") => 2,
            Some(chunk)
                if chunk.name.iter().all(|byte| matches!(byte, b' '..=b'~'))
                    && chunk.length <= self.end - chunk.start =>
            {
                1
            }
            _ => 0,
        }
    }
}
