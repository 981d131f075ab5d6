//! Where in a WAV file the format and the sound lie.
//!
//! Recorders, editors and pipes break the rules of RIFF in a few well-known ways. The walk over the
//! chunks reads what they leave behind, and trusts no length beyond the end of the file.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::{AudioError, magic};

/// As much of a `fmt ` chunk as has a meaning: WAVEFORMATEXTENSIBLE.
const FORMAT_LENGTH: u64 = 40;

/// A chunk's name and length.
const CHUNK_HEADER: u64 = 8;

/// Written as 0xFFFFFFFF: the length is in the `ds64` chunk, or the writer did not know it.
const UNKNOWN: u64 = u64::MAX;

/// What a WAV file holds, and where.
pub(super) struct Layout {
    /// The `fmt ` chunk, 40 bytes of it at most.
    pub format: Vec<u8>,
    /// Where the first sample lies, in bytes from the start of the file.
    pub start: u64,
    /// How many bytes of sound there really are.
    pub length: u64,
}

/// Finds the format and the sound in a RIFF, RF64 or BW64 file.
///
/// The sound ends with its chunk or with the file, whichever comes first. Who writes into a pipe
/// cannot go back to fill in the lengths: where there are none, all that follows is sound.
pub(super) fn locate<R: Read + Seek>(source: &mut BufReader<R>) -> Result<Layout, AudioError> {
    let mut file = Positioned::new(source)?;
    let start = file.read(0, magic::LENGTH)?;
    magic::check(&start)?;
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

    let mut whole_length = length(*whole);
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
    })
}

/// A chunk as its header describes it.
#[derive(Clone, Copy)]
struct Chunk {
    name: [u8; 4],
    /// Where its content starts.
    start: u64,
    /// How long its content claims to be.
    length: u64,
}

/// A source that knows where it is: most chunks are short, and the next is in the buffer already.
struct Positioned<'a, R> {
    source: &'a mut BufReader<R>,
    position: u64,
    end: u64,
}

impl<'a, R: Read + Seek> Positioned<'a, R> {
    fn new(source: &'a mut BufReader<R>) -> io::Result<Self> {
        let end = source.seek(SeekFrom::End(0))?;
        source.rewind()?;
        Ok(Positioned {
            source,
            position: 0,
            end,
        })
    }

    /// `length` bytes from `start` on; fewer where the file ends before.
    fn read(&mut self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        let start = start.min(self.end);
        let length = length.min(self.end - start);
        // No file is longer than an i64 can tell.
        self.source
            .seek_relative(start as i64 - self.position as i64)?;
        self.position = start + length;
        let mut bytes = vec![0; length as usize];
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The chunk whose header is at `position`, if the file has room for one there.
    fn chunk(&mut self, position: u64) -> io::Result<Option<Chunk>> {
        let header = self.read(position, CHUNK_HEADER)?;
        let ([name, content], []) = header.as_chunks() else {
            return Ok(None);
        };
        Ok(Some(Chunk {
            name: *name,
            start: position + CHUNK_HEADER,
            length: length(*content),
        }))
    }

    /// The chunk behind this one. Behind an odd length comes a pad byte, which some writers forget.
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

    /// How much this looks like a chunk, and not like eight bytes of anything else.
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

/// 32 bits of length, or [`UNKNOWN`].
fn length(bytes: [u8; 4]) -> u64 {
    match u32::from_le_bytes(bytes) {
        u32::MAX => UNKNOWN,
        length => length.into(),
    }
}
