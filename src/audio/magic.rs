//! What a file really is, by its first bytes: many a format goes under the name `.wav`.

use super::AudioError;

/// How many of the first bytes [`check`] looks at.
pub(super) const LENGTH: u64 = 12;

/// Refuses what is no WAV file by its name. `magic` is the start of the file: [`LENGTH`] bytes, or
/// all that there are.
pub(super) fn check(magic: &[u8]) -> Result<(), AudioError> {
    let found = match magic {
        [] => return Err(AudioError::Empty),
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..]
        | [b'R', b'F', b'6', b'4', _, _, _, _, form @ ..]
        | [b'B', b'W', b'6', b'4', _, _, _, _, form @ ..] => match form {
            b"WAVE" => return Ok(()),
            [_, _, _, _] => "another RIFF format (AVI, perhaps)",
            _ => return Err(AudioError::TruncatedHeader),
        },
        [b'R', b'I', b'F', b'X', ..] => "RIFX, the big-endian WAV",
        [b'r', b'i', b'f', b'f', 0x2E, 0x91, 0xCF, 0x11, ..] => "Wave64, Sony's 64-bit WAV",
        [b'N', b'I', b'S', b'T', b'_', b'1', b'A', ..] => "NIST SPHERE, as TIMIT is published",
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
