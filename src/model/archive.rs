//! Reader of the zip archive that an `.ot` file is, without libtorch.
//!
//! libtorch writes a checksum for every entry but never checks it: a flipped bit in a weight loads
//! without an error, and one in the list of tensors makes libtorch allocate gigabytes or crash.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
const DIRECTORY_HEADER: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// Length of the archive's last record in bytes; libtorch writes no comment behind it.
const END_LENGTH: usize = 22;
const STORED: usize = 0;

/// The uncompressed entries of an archive, by name, with correct checksums. The names are without the
/// part before the first slash, which is the name of the archive.
///
/// libtorch compresses only one entry, which contains code to run; emovox does not use it.
///
/// # Errors
/// A file that is empty, cut off, damaged or not an archive.
pub(crate) fn entries(bytes: &[u8]) -> Result<BTreeMap<&str, &[u8]>> {
    ensure!(!bytes.is_empty(), "it is empty");
    ensure!(
        bytes.iter().any(|&byte| byte != 0),
        "it contains only zeros, like a file whose writing was interrupted"
    );
    ensure!(
        bytes.starts_with(&LOCAL_HEADER[..bytes.len().min(4)]),
        "it is not an .ot file: an .ot file is a zip archive, and this file does not start like one"
    );
    let end = bytes
        .len()
        .checked_sub(END_LENGTH)
        .map(|at| &bytes[at..])
        .filter(|end| end.starts_with(END))
        .context("it was cut off, or its end is damaged; copy it again")?;

    let damaged = "the directory of its entries is damaged; copy it again";
    let count = number::<2>(end, 10).context(damaged)?;
    let mut at = number::<4>(end, 16).context(damaged)?;
    let mut entries = BTreeMap::new();
    // Entries may not overlap: a forged directory could refer to one entry a thousand times.
    let mut rest = bytes.as_ptr();
    for _ in 0..count {
        let entry = entry(bytes, at).context(damaged)?;
        ensure!(rest <= entry.bytes.as_ptr(), damaged);
        rest = entry.bytes.as_ptr_range().end;
        at += entry.record_length;
        if entry.method == STORED {
            ensure!(
                crc32fast::hash(entry.bytes) == entry.checksum,
                "its entry '{}' is damaged: its checksum is wrong; copy it again",
                entry.name
            );
            let (_, name) = entry.name.split_once('/').unwrap_or(("", entry.name));
            ensure!(entries.insert(name, entry.bytes).is_none(), damaged);
        }
    }
    Ok(entries)
}

/// An entry of the archive, as the directory describes it.
struct Entry<'a> {
    name: &'a str,
    method: usize,
    checksum: u32,
    bytes: &'a [u8],
    record_length: usize,
}

/// Reads the directory's record at byte `at`.
fn entry(file: &[u8], at: usize) -> Option<Entry<'_>> {
    let record = file.get(at..)?;
    let packed_length = number::<4>(record, 20)?;
    let name_length = number::<2>(record, 28)?;
    let name = record.get(46..)?.get(..name_length)?;

    // The entry itself starts with a header that repeats the name, and padding that aligns the content.
    let local = file.get(number::<4>(record, 42)?..)?;
    let filling = number::<2>(local, 28)?;
    let plausible = record.starts_with(DIRECTORY_HEADER)
        && local.starts_with(LOCAL_HEADER)
        && number::<2>(local, 26)? == name_length
        && local.get(30..)?.starts_with(name);
    Some(Entry {
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

    fn error(bytes: &[u8]) -> String {
        format!("{:#}", entries(bytes).unwrap_err())
    }

    #[test]
    fn each_kind_of_damage_has_its_own_message() {
        assert_eq!(error(b""), "it is empty");
        assert!(error(&[0; 4096]).contains("only zeros"));
        assert!(error(b"RIFF....WAVE").contains("not an .ot file"));
        for length in 1..SMALL.len() {
            assert!(error(&SMALL[..length]).contains("cut off"), "{length}");
        }
        let mut zeros_at_the_end = SMALL.to_vec();
        zeros_at_the_end[2048..].fill(0);
        assert!(error(&zeros_at_the_end).contains("cut off"));
    }

    #[test]
    fn every_flipped_bit_in_an_entry_is_detected() {
        for (name, entry) in entries(SMALL).unwrap() {
            let start = entry.as_ptr() as usize - SMALL.as_ptr() as usize;
            for at in start..start + entry.len() {
                let mut bytes = SMALL.to_vec();
                bytes[at] ^= 0x10;
                let message = error(&bytes);
                assert!(
                    message.contains(name) && message.contains("checksum"),
                    "{message}"
                );
            }
        }
    }

    /// A flipped bit anywhere, also in the directory, is an error or leaves the tensors unchanged.
    #[test]
    fn a_flipped_bit_never_changes_tensors() {
        let decode = |bytes: &[u8]| crate::model::decode(bytes.to_vec(), tch::Device::Cpu);
        let expected = decode(SMALL).unwrap();
        for at in 0..SMALL.len() {
            for bit in 0..8 {
                let mut bytes = SMALL.to_vec();
                bytes[at] ^= 1 << bit;
                if let Ok(tensors) = decode(&bytes) {
                    assert_eq!(tensors, expected, "byte {at}");
                }
            }
        }
    }

    /// Files found by fuzzing: libtorch allocates 4 GB, crashes, or never returns.
    #[test]
    fn forged_files_do_no_harm() {
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
