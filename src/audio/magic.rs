//! Detection of the file format from the first bytes. The name of a file does not matter.

use super::AudioError;

/// Number of bytes at the start of a file that identify its format.
pub(super) const LENGTH: u64 = 12;
/// Number of bytes that identify a pointer to a recording that is stored elsewhere.
pub(super) const POINTER_LENGTH: usize = 40;

/// A file format that emovox reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// RIFF, RF64 or BW64.
    Wave,
    /// WAV with big-endian numbers.
    Rifx,
    Aiff,
    Caf,
    Flac,
    Ogg,
    /// MP4, M4A or QuickTime.
    Mp4,
    /// Matroska or WebM.
    Matroska,
    /// A stream of AAC frames with ADTS headers.
    Adts,
    /// A stream of MPEG audio frames: MP3.
    Mpeg,
}

/// Recognises the format of a file by its start: [`LENGTH`] bytes, or the whole file if it is
/// shorter.
///
/// # Errors
/// If the format is not supported or not known.
pub(super) fn detect(magic: &[u8]) -> Result<Container, AudioError> {
    let other = match magic {
        [] => return Err(AudioError::Empty),
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..]
        | [b'R', b'F', b'6', b'4', _, _, _, _, form @ ..]
        | [b'B', b'W', b'6', b'4', _, _, _, _, form @ ..] => match form {
            b"WAVE" => return Ok(Container::Wave),
            [_, _, _, _] => "another RIFF format, such as AVI",
            _ => return Err(AudioError::TruncatedHeader),
        },
        [b'R', b'I', b'F', b'X', ..] => return Ok(Container::Rifx),
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', ..] => return Ok(Container::Aiff),
        [b'c', b'a', b'f', b'f', ..] => return Ok(Container::Caf),
        [b'f', b'L', b'a', b'C', ..] => return Ok(Container::Flac),
        [b'O', b'g', b'g', b'S', ..] => return Ok(Container::Ogg),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => return Ok(Container::Mp4),
        // QuickTime files may start with another atom.
        [0, _, _, _, b'm', b'o', b'o', b'v', ..] | [0, _, _, _, b'w', b'i', b'd', b'e', ..] => {
            return Ok(Container::Mp4);
        }
        [0x1A, 0x45, 0xDF, 0xA3, ..] => return Ok(Container::Matroska),
        [b'r', b'i', b'f', b'f', 0x2E, 0x91, 0xCF, 0x11, ..] => "Wave64, Sony's 64-bit WAV",
        [b'N', b'I', b'S', b'T', b'_', b'1', b'A', ..] => "NIST SPHERE, the format of TIMIT",
        [b'.', b's', b'n', b'd', ..] => "AU",
        [0x30, 0x26, 0xB2, 0x75, ..] => "WMA",
        [b'#', b'!', b'A', b'M', b'R', ..] => "AMR",
        [b'w', b'v', b'p', b'k', ..] => "WavPack",
        [b'M', b'A', b'C', b' ', ..] => "Monkey's Audio",
        [0xFF, 0xF0 | 0xF1 | 0xF8 | 0xF9, ..] => return Ok(Container::Adts),
        [b'I', b'D', b'3', ..] | [0xFF, 0xE0..=0xFF, ..] => return Ok(Container::Mpeg),
        [b'R', b'I', b'F', b'F', ..]
        | [b'R', b'F', b'6', b'4', ..]
        | [b'B', b'W', b'6', b'4', ..] => {
            return Err(AudioError::TruncatedHeader);
        }
        _ if b"RIFF".starts_with(magic) => return Err(AudioError::TruncatedHeader),
        _ => return Err(AudioError::Unrecognised),
    };
    Err(AudioError::UnsupportedFormat(other))
}

/// Rejects streams that are not WAV; the error names the format. `magic` is the start of the
/// stream: [`LENGTH`] bytes, or the whole stream if it is shorter.
pub(super) fn check(magic: &[u8]) -> Result<(), AudioError> {
    let name = match detect(magic) {
        Ok(Container::Wave) => return Ok(()),
        Ok(container) => container.long_name(),
        Err(AudioError::UnsupportedFormat(name)) => name,
        Err(error) => return Err(error),
    };
    Err(AudioError::NotWav(name))
}

/// Recognises text that version control stores in place of a large file. `start` is the start of
/// the file.
pub(super) fn check_pointer(start: &[u8]) -> Result<(), AudioError> {
    let (system, command) = if start.starts_with(b"version https://git-lfs.github.com/") {
        ("Git LFS", "git lfs pull")
    } else if start.starts_with(b"/annex/objects/") {
        ("git-annex", "git annex get .")
    } else {
        return Ok(());
    };
    Err(AudioError::Pointer { system, command })
}

impl Container {
    /// Name of the format for messages.
    pub(super) fn long_name(self) -> &'static str {
        match self {
            Container::Wave => "WAV",
            Container::Rifx => "RIFX, a big-endian WAV",
            Container::Aiff => "AIFF",
            Container::Caf => "CAF, Apple's Core Audio",
            Container::Flac => "FLAC",
            Container::Ogg => "Ogg (Vorbis or Opus)",
            Container::Mp4 => "MP4 or M4A",
            Container::Matroska => "WebM or Matroska",
            Container::Adts => "AAC",
            Container::Mpeg => "MP3",
        }
    }
}
