//! Arbitrary bytes as a file of weights give tensors or an error. Each input is tried twice: as it is, and
//! with correct checksums, which reaches the code behind their check.
#![no_main]

use std::sync::LazyLock;

use emovox::model::read_tensors;
use libfuzzer_sys::fuzz_target;
use tch::Device;
use tempfile::TempDir;

/// Folder for the input file; scripts/fuzz.sh removes it.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("weights.ot");
    for bytes in [bytes.to_vec(), with_right_checksums(bytes)] {
        std::fs::write(&path, bytes).unwrap();
        // A copy reads all values, so they must be in memory.
        for (_, tensor) in read_tensors(&path, Device::Cpu).into_iter().flatten() {
            let _ = tensor.copy();
        }
    }
});

fn with_right_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut righted = bytes.to_vec();
    for record in 0..bytes.len().saturating_sub(4) {
        if bytes[record..].starts_with(b"PK\x01\x02")
            && let Some(part) = part(bytes, record)
            && let Some(checksum) = righted.get_mut(record + 16..record + 20)
        {
            checksum.copy_from_slice(&crc32fast::hash(part).to_le_bytes());
        }
    }
    righted
}

/// The uncompressed entry that a record of the zip directory refers to.
fn part(bytes: &[u8], record: usize) -> Option<&[u8]> {
    let number = |at: usize, width: usize| {
        let digits = bytes.get(at..)?.get(..width)?;
        Some(
            digits
                .iter()
                .rev()
                .fold(0, |number, &digit| (number << 8) | usize::from(digit)),
        )
    };
    (number(record + 10, 2)? == 0).then_some(())?;
    let (length, header) = (number(record + 20, 4)?, number(record + 42, 4)?);
    let start = header + 30 + number(header + 26, 2)? + number(header + 28, 2)?;
    bytes.get(start..)?.get(..length)
}
