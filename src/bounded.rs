//! Reads whole files of the user up to a maximum size: a device or a damaged file must not fill the
//! memory, and the program must not wait for a pipe.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Maximum size in bytes of a settings file that people write. For a hostile file, the TOML parser
/// allocates 400 times its size.
pub const SETTINGS: u64 = 1_000_000;
/// Maximum size in bytes of plans, results and label maps: TOML and JSON.
pub const RESULTS: u64 = 16_000_000;
/// Maximum size in bytes of a table or a manifest: about two million lines.
pub const TABLE: u64 = 256_000_000;
/// Maximum size in bytes of weights: a thousand times the default model.
pub const WEIGHTS: u64 = 4_000_000_000;

/// Opens a regular file, or a link to one.
///
/// # Errors
/// Fails if the file cannot be opened, or if it is a pipe, a socket or a device, which may never
/// end.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is a pipe, a socket or a device; save its content to a file first",
        ));
    }
    File::open(path)
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// Fails if [`open`] fails, or if the file is longer than `limit` or does not fit into memory.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let too_long = || {
        let limit = size(limit);
        let reason = format!("it has more than {limit}, the limit for such a file");
        io::Error::new(ErrorKind::FileTooLarge, reason)
    };
    // The file may grow during the reading, and some files (as in /proc) have no stated length.
    let stated = file.metadata()?.len();
    if stated > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(stated as usize)?;
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        Err(too_long())
    } else {
        Ok(bytes)
    }
}

/// Reads a text of at most `limit` bytes.
///
/// # Errors
/// Fails if [`read`] fails, or if the text is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|_| {
        let reason = "it contains bytes that are not UTF-8; save it as UTF-8";
        io::Error::new(ErrorKind::InvalidData, reason)
    })
}

/// Formats a number of bytes with a decimal unit: `16 MB`, `1.2 GB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "kB", "MB", "GB"];
    let mut unit = 0;
    let mut value = bytes as f64;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit > 0 && value < 10.0 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_not_a_byte_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, [7; 100]).unwrap();
        assert_eq!(read(&file, 100).unwrap(), [7; 100]);
        let error = read(&file, 99).unwrap_err().to_string();
        assert!(error.contains("more than 99 bytes"), "{error}");
    }

    #[test]
    fn a_file_without_a_stated_length_is_bounded_too() {
        let file = Path::new("/proc/self/maps");
        if fs::metadata(file).is_ok_and(|metadata| metadata.len() == 0) {
            assert!(read(file, 100).is_err());
            assert!(read(file, SETTINGS).unwrap().len() > 100);
        }
    }

    #[test]
    fn devices_and_pipes_are_rejected_without_a_wait() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [&pipe, Path::new("/dev/zero"), Path::new("/dev/null")] {
            let error = read(path, SETTINGS).unwrap_err().to_string();
            assert!(error.contains("a pipe, a socket or a device"), "{error}");
        }
    }

    #[test]
    fn a_file_above_the_limit_is_rejected_before_a_byte_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let sparse = folder.path().join("sparse");
        File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        let error = read(&sparse, WEIGHTS).unwrap_err().to_string();
        assert!(error.contains("more than 4.0 GB"), "{error}");
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 999, 1500, 16_400_000, 1_240_000_000, 5_000_000_000_000];
        let expected = [
            "0 bytes",
            "999 bytes",
            "1.5 kB",
            "16 MB",
            "1.2 GB",
            "5000 GB",
        ];
        assert_eq!(sizes.map(size), expected.map(String::from));
    }
}
