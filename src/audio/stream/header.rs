//! Reader of a WAV header in a stream. A stream cannot be rewound, so the writer of a pipe could
//! not fill in the lengths.

use std::io::{self, ErrorKind, Read};

use super::super::format::{self, Format};
use super::super::{AudioError, magic};

/// Length in bytes of the longest `fmt ` chunk, WAVEFORMATEXTENSIBLE; bytes behind it are skipped.
const FORMAT_LENGTH: u64 = 40;

/// Smallest length that means "unknown": ffmpeg writes 0xFFFFFFFF, sox and arecord write values
/// near 2³¹.
const UNKNOWN_LENGTH: u32 = 0x7FFF_0000;

/// Reads the header up to the first sample. Returns the sample format and the length of the samples
/// in bytes, `None` if the stream has no known length.
pub(super) fn read(source: &mut impl Read) -> Result<(Format, Option<u64>), AudioError> {
    let start = up_to(source, magic::LENGTH)?;
    magic::check(&start)?;
    let ([_, whole, _], []) = start.as_chunks::<4>() else {
        return Err(AudioError::TruncatedHeader);
    };
    let whole = u32::from_le_bytes(*whole);

    let mut position = magic::LENGTH;
    let (mut found, mut long_length) = (None, None);
    let mut odd = false;
    loop {
        let (name, length) = chunk_header(source, odd)?;
        position += 8 + u64::from(odd);
        match &name {
            b"data" => {
                let format = found
                    .ok_or_else(|| AudioError::BrokenHeader("no fmt chunk before data".into()))?;
                let streamed = whole >= UNKNOWN_LENGTH || u64::from(whole) + 8 <= position;
                let data_length = match length {
                    u32::MAX if long_length.is_some() => long_length,
                    0 if streamed => None,
                    length if length >= UNKNOWN_LENGTH => None,
                    length => Some(length.into()),
                };
                return Ok((format, data_length));
            }
            b"fmt " if found.is_none() => {
                let length = u64::from(length);
                let chunk = up_to(source, length.min(FORMAT_LENGTH))?;
                skip(source, length - chunk.len() as u64)?;
                found = Some(format::parse(&chunk, false)?);
            }
            b"ds64" if length >= 16 => {
                let lengths = up_to(source, 16)?;
                skip(source, u64::from(length) - lengths.len() as u64)?;
                if let ([_, sound], []) = lengths.as_chunks() {
                    long_length = Some(u64::from_le_bytes(*sound)).filter(|&length| length > 0);
                }
            }
            _ => skip(source, length.into())?,
        }
        position += u64::from(length);
        odd = length % 2 == 1;
    }
}

/// Name and length of the next chunk. `odd` is true behind a chunk of odd length, which a pad byte
/// should follow; some writers omit it.
fn chunk_header(source: &mut impl Read, odd: bool) -> Result<([u8; 4], u32), AudioError> {
    let mut header = up_to(source, 8)?;
    if odd && !matches!(header.get(..4), Some(b"fmt " | b"data")) {
        header.extend(up_to(source, 1)?);
        header.remove(0);
    }
    match header.as_chunks() {
        ([name, length], []) => Ok((*name, u32::from_le_bytes(*length))),
        _ => Err(AudioError::TruncatedHeader),
    }
}

/// The next `length` bytes; fewer if the stream ends before.
fn up_to(source: &mut impl Read, length: u64) -> Result<Vec<u8>, AudioError> {
    let mut bytes = Vec::new();
    source.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn skip(source: &mut impl Read, length: u64) -> Result<(), AudioError> {
    match io::copy(&mut source.take(length), &mut io::sink()) {
        Ok(skipped) if skipped == length => Ok(()),
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error.into()),
        _ => Err(AudioError::TruncatedHeader),
    }
}
