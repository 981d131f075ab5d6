//! Detection of the file format from the first bytes: files named `.wav` can have another format.

use super::AudioError;

/// Number of bytes that [`check`] needs.
pub(super) const LENGTH: u64 = 12;

/// Rejects files that are not WAV files; the error names the format. `magic` is the start of the
/// file: [`LENGTH`] bytes, or the whole file if it is shorter.
pub(super) fn check(magic: &[u8]) -> Result<(), AudioError> {
    let found = match magic {
        [] => return Err(AudioError::Empty),
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..]
        | [b'R', b'F', b'6', b'4', _, _, _, _, form @ ..]
        | [b'B', b'W', b'6', b'4', _, _, _, _, form @ ..] => match form {
            b"WAVE" => return Ok(()),
            [_, _, _, _] => "another RIFF format, such as AVI",
            _ => return Err(AudioError::TruncatedHeader),
        },
        [b'R', b'I', b'F', b'X', ..] => "RIFX, a big-endian WAV",
        [b'r', b'i', b'f', b'f', 0x2E, 0x91, 0xCF, 0x11, ..] => "Wave64, Sony's 64-bit WAV",
        [b'N', b'I', b'S', b'T', b'_', b'1', b'A', ..] => "NIST SPHERE, the format of TIMIT",
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', ..] => "AIFF",
        [b'.', b's', b'n', b'd', ..] => "AU",
        [b'c', b'a', b'f', b'f', ..] => "CAF, Apple's Core Audio",
        [b'f', b'L', b'a', b'C', ..] => "FLAC",
        [b'O', b'g', b'g', b'S', ..] => "Ogg (Vorbis or Opus)",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "MP4 or M4A",
        [0x1A, 0x45, 0xDF, 0xA3, ..] => "WebM or Matroska",
        [0x30, 0x26, 0xB2, 0x75, ..] => "WMA",
        [b'#', b'!', b'A', b'M', b'R', ..] => "AMR",
        [0xFF, 0xF0 | 0xF1 | 0xF8 | 0xF9, ..] => "AAC",
        [b'I', b'D', b'3', ..] | [0xFF, 0xE0..=0xFF, ..] => "MP3",
        [b'R', b'I', b'F', b'F', ..]
        | [b'R', b'F', b'6', b'4', ..]
        | [b'B', b'W', b'6', b'4', ..] => {
            return Err(AudioError::TruncatedHeader);
        }
        _ if b"RIFF".starts_with(magic) => return Err(AudioError::TruncatedHeader),
        _ => return Err(AudioError::Unrecognised),
    };
    Err(AudioError::NotWav(found))
}
