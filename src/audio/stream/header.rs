//! Reader of a WAV header in a stream. A stream cannot be rewound, so the writer of a pipe could
//! not fill in the lengths.

use std::io::Read;

use super::super::AudioError;
use super::super::format::{self, Format};
use super::super::magic::Container;
use super::super::riff::{self, Stream};

/// Smallest length that means "unknown": ffmpeg writes 0xFFFFFFFF, sox and arecord write values
/// near 2³¹.
const UNKNOWN_LENGTH: u64 = 0x7FFF_0000;

/// Reads the header up to the first sample. Returns the sample format and the length of the samples
/// in bytes, `None` if the stream has no known length.
pub(super) fn read(source: &mut impl Read) -> Result<(Format, Option<u64>), AudioError> {
    let layout = riff::locate(Stream(source))?;
    if layout.big_endian {
        return Err(AudioError::NotWav(Container::Rifx.long_name()));
    }
    let written = UNKNOWN_LENGTH..=u32::MAX.into();
    let length = layout.length.filter(|length| !written.contains(length));
    Ok((format::parse(&layout.format, false)?, length))
}
