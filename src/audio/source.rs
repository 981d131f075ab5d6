//! A section of a file, which decoders read like a file of its own.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// A source of bytes that any decoder can read: a file, or bytes in memory.
pub trait ReadSeek: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> ReadSeek for T {}

/// The bytes `start..end` of a source.
pub(super) struct Section<'s> {
    source: Box<dyn ReadSeek + 's>,
    start: u64,
    end: u64,
    /// Position in the source.
    position: u64,
    /// False if decoders must read forwards only.
    is_seekable: bool,
}

impl<'s> Section<'s> {
    /// A whole source.
    pub(super) fn whole(source: impl ReadSeek + 's) -> io::Result<Section<'s>> {
        let mut source: Box<dyn ReadSeek + 's> = Box::new(source);
        let end = source.seek(SeekFrom::End(0))?;
        source.rewind()?;
        Ok(Section {
            source,
            start: 0,
            end,
            position: 0,
            is_seekable: true,
        })
    }

    /// Makes decoders read forwards only.
    pub(super) fn read_forwards(&mut self) {
        self.is_seekable = false;
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// The section from `start` on, of at most `length` bytes.
    pub(super) fn part(self, start: u64, length: u64) -> io::Result<Section<'s>> {
        let start = self.start.saturating_add(start).min(self.end);
        let mut part = Section {
            start,
            end: start.saturating_add(length).min(self.end),
            ..self
        };
        part.rewind()?;
        Ok(part)
    }

    /// Up to `length` bytes at `position`; fewer at the end.
    pub(super) fn peek(&mut self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        self.seek(SeekFrom::Start(position))?;
        let mut bytes = Vec::new();
        self.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.position);
        let length = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.source.read(&mut buffer[..length])?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Section<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => self.start.checked_add(position),
            SeekFrom::End(distance) => self.end.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "a position before the start");
        let position = position
            .filter(|&position| position >= self.start)
            .ok_or_else(before)?;
        self.source.seek(SeekFrom::Start(position))?;
        self.position = position;
        Ok(position - self.start)
    }
}

impl MediaSource for Section<'_> {
    fn is_seekable(&self) -> bool {
        self.is_seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.is_seekable.then(|| self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_section_is_read_like_a_file_of_its_own() {
        let whole = || Section::whole(Cursor::new(b"0123456789")).unwrap();
        let mut part = whole().part(3, 4).unwrap();
        assert_eq!(part.peek(1, 9).unwrap(), b"456");
        assert_eq!(part.seek(SeekFrom::End(-1)).unwrap(), 3);
        let mut rest = Vec::new();
        part.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"6");
        assert_eq!(part.seek(SeekFrom::Current(-4)).unwrap(), 0);
        assert!(part.seek(SeekFrom::Current(-1)).is_err());
        assert_eq!(part.peek(100, 1).unwrap(), b"");
        assert_eq!(whole().part(20, 5).unwrap().len(), 0);
        assert_eq!(
            whole().part(8, u64::MAX).unwrap().peek(0, 9).unwrap(),
            b"89"
        );
    }
}
