//! The outside of an `.ot` file: a zip archive, read without libtorch.
//!
//! libtorch writes a checksum for every part and never looks at it again: a flipped bit in a weight
//! loads without a word, one in the list of tensors makes it reserve gigabytes or crash.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
const DIRECTORY_HEADER: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// Length of the archive's last record; libtorch puts no comment behind it.
const END_LENGTH: usize = 22;
const STORED: usize = 0;

/// The uncompressed parts of an archive by name, each one's checksum found right. Names come
/// without the archive's own, which stands before the first slash.
///
/// libtorch compresses one part only, code that it would run and emovox has no use for.
pub(crate) fn parts(bytes: &[u8]) -> Result<BTreeMap<&str, &[u8]>> {
    ensure!(!bytes.is_empty(), "it is empty");
    ensure!(
        bytes.iter().any(|&byte| byte != 0),
        "it holds nothing but zeros, as a file that was never written to its end"
    );
    ensure!(
        bytes.starts_with(&LOCAL_HEADER[..bytes.len().min(4)]),
        "it is no .ot file: those are zip archives, and it does not start like one"
    );
    let end = bytes
        .len()
        .checked_sub(END_LENGTH)
        .map(|at| &bytes[at..])
        .filter(|end| end.starts_with(END))
        .context("it was cut off, or its end is damaged; copy it again")?;

    let damaged = "the directory of its parts is damaged; copy it again";
    let count = number::<2>(end, 10).context(damaged)?;
    let mut at = number::<4>(end, 16).context(damaged)?;
    let mut parts = BTreeMap::new();
    // Parts lie one behind the other; a made-up directory could lead to one a thousand times.
    let mut rest = bytes.as_ptr();
    for _ in 0..count {
        let part = part(bytes, at).context(damaged)?;
        ensure!(rest <= part.bytes.as_ptr(), damaged);
        rest = part.bytes.as_ptr_range().end;
        at += part.record_length;
        if part.method == STORED {
            ensure!(
                crc32fast::hash(part.bytes) == part.checksum,
                "its part '{}' is damaged: its checksum is wrong; copy it again",
                part.name
            );
            let (_, name) = part.name.split_once('/').unwrap_or(("", part.name));
            ensure!(parts.insert(name, part.bytes).is_none(), damaged);
        }
    }
    Ok(parts)
}

/// What the directory says of a part, and where it leads to.
struct Part<'a> {
    name: &'a str,
    method: usize,
    checksum: u32,
    bytes: &'a [u8],
    record_length: usize,
}

/// Reads the directory's record at `at`.
fn part(file: &[u8], at: usize) -> Option<Part<'_>> {
    let record = file.get(at..)?;
    let packed_length = number::<4>(record, 20)?;
    let name_length = number::<2>(record, 28)?;
    let name = record.get(46..)?.get(..name_length)?;

    // The part itself begins with a header that repeats the name, and a filling that aligns it.
    let local = file.get(number::<4>(record, 42)?..)?;
    let filling = number::<2>(local, 28)?;
    let plausible = record.starts_with(DIRECTORY_HEADER)
        && local.starts_with(LOCAL_HEADER)
        && number::<2>(local, 26)? == name_length
        && local.get(30..)?.starts_with(name);
    Some(Part {
        name: plausible.then(|| std::str::from_utf8(name).ok())??,
        method: number::<2>(record, 10)?,
        checksum: number::<4>(record, 16)? as u32,
        bytes: local
            .get(30 + name_length + filling..)?
            .get(..packed_length)?,
        record_length: 46 + name_length + number::<2>(record, 30)? + number::<2>(record, 32)?,
    })
}

/// A little-endian number of `WIDTH` bytes.
fn number<const WIDTH: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.get(..WIDTH)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, &byte| (number << 8) | usize::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &[u8] = include_bytes!("../../tests/fuzz/seeds/checkpoint/small.ot");

    fn refused(bytes: &[u8]) -> String {
        format!("{:#}", parts(bytes).unwrap_err())
    }

    #[test]
    fn each_way_a_file_breaks_has_its_own_line() {
        assert_eq!(refused(b""), "it is empty");
        assert!(refused(&[0; 4096]).contains("nothing but zeros"));
        assert!(refused(b"RIFF....WAVE").contains("no .ot file"));
        for length in 1..SMALL.len() {
            assert!(refused(&SMALL[..length]).contains("cut off"), "{length}");
        }
        let mut zeros_at_the_end = SMALL.to_vec();
        zeros_at_the_end[2048..].fill(0);
        assert!(refused(&zeros_at_the_end).contains("cut off"));
    }

    #[test]
    fn no_flipped_bit_in_a_part_goes_unnoticed() {
        for (name, part) in parts(SMALL).unwrap() {
            let start = part.as_ptr() as usize - SMALL.as_ptr() as usize;
            for at in start..start + part.len() {
                let mut bytes = SMALL.to_vec();
                bytes[at] ^= 0x10;
                let message = refused(&bytes);
                assert!(
                    message.contains(name) && message.contains("checksum"),
                    "{message}"
                );
            }
        }
    }

    /// Wherever it lies, in the directory too: the tensors are the same, or none.
    #[test]
    fn no_flipped_bit_gives_other_tensors() {
        let decode = |bytes: &[u8]| crate::model::decode(bytes.to_vec(), tch::Device::Cpu);
        let right = decode(SMALL).unwrap();
        for at in 0..SMALL.len() {
            for bit in 0..8 {
                let mut bytes = SMALL.to_vec();
                bytes[at] ^= 1 << bit;
                if let Ok(tensors) = decode(&bytes) {
                    assert_eq!(tensors, right, "byte {at}");
                }
            }
        }
    }

    /// What fuzzing found: libtorch would make room for 4 GB, crash, or never come back.
    #[test]
    fn made_up_files_do_no_harm() {
        let decode = |bytes: &[u8]| crate::model::decode(bytes.to_vec(), tch::Device::Cpu);
        let name_of_4_gb = include_bytes!("../../tests/fuzz/seeds/checkpoint/name-of-4-GB.ot");
        assert!(decode(name_of_4_gb).is_err());
        let code = include_bytes!("../../tests/fuzz/seeds/checkpoint/code-that-never-ends.ot");
        assert!(decode(code).is_err());
        let no_numbers =
            include_bytes!("../../tests/fuzz/seeds/checkpoint/storage-of-no-numbers.ot");
        assert_eq!(decode(no_numbers).unwrap(), decode(SMALL).unwrap());
    }
}
