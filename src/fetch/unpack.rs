//! Unpacks a zip archive into a folder, and writes no file outside of it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use zip::ZipArchive;

use crate::bounded;

// Limits of an archive. The largest corpora reach a tenth of them.
/// Maximum number of entries.
const MAX_ENTRIES: usize = 100_000;
/// Maximum number of folders.
const MAX_FOLDERS: usize = 10_000;
/// Maximum depth of nested folders.
const MAX_DEPTH: usize = 16;

/// Maximum ratio of the unpacked size to the size of the archive. Audio is seldom compressed to
/// less than half.
const MAX_GROWTH: u64 = 100;
/// Unpacked size in bytes up to which the ratio is not limited.
const LARGE: u64 = 100_000_000;

/// Unpacks an archive into an existing folder. `callback` is called with the number of unpacked
/// files and the number of all files.
///
/// # Errors
/// If the archive would write outside the folder or more than `most` bytes, or if it has too many
/// entries or folders. The table of contents is checked before any file is written, and the
/// unpacked bytes are counted independently of it.
pub(super) fn unpack(
    archive: &Path,
    folder: &Path,
    most: u64,
    callback: &dyn Fn(usize, usize),
) -> Result<()> {
    let name = archive.display();
    let file = File::open(archive).with_context(|| format!("cannot read {name}"))?;
    let file_length = file.metadata()?.len();
    let mut zip = ZipArchive::new(BufReader::new(file))
        .with_context(|| format!("the download is not a zip archive{}", beginning(archive)))?;
    let (most, too_much) = limit(most, file_length);
    check_contents(&zip, most, &too_much)?;
    let count = zip.len();
    let mut left = most;
    for index in 0..count {
        callback(index, count);
        let mut entry = zip.by_index(index).context("the archive is damaged")?;
        let inside = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let Some(path) = entry.enclosed_name() else {
            bail!("'{inside}' in the archive leads out of its folder");
        };
        // macOS adds this folder to archives.
        if entry.is_dir() || path.starts_with("__MACOSX") {
            continue;
        }
        ensure!(
            !entry.is_symlink(),
            "'{inside}' in the archive is a link, not a file"
        );
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create the folder {}", parent.display()))?;
        }
        let mut out = File::create_new(&path).with_context(|| {
            format!(
                "cannot write {} (the archive may contain it twice)",
                path.display()
            )
        })?;
        let written = io::copy(&mut (&mut entry).take(left + 1), &mut out)
            .with_context(|| format!("'{inside}' cannot be unpacked"))?;
        ensure!(written <= left, "{too_much}");
        left -= written;
        out.sync_all()?;
    }
    Ok(())
}

/// Checks the table of contents of an archive.
fn check_contents(zip: &ZipArchive<BufReader<File>>, most: u64, too_much: &str) -> Result<()> {
    let count = zip.len();
    ensure!(
        count <= MAX_ENTRIES,
        "the archive contains {count} files and folders, more than the {MAX_ENTRIES} allowed for a corpus"
    );
    let mut folders = HashSet::new();
    for name in zip.file_names() {
        let name = name.context("the archive is damaged")?;
        let levels: Vec<&str> = name.split(['/', '\\']).collect();
        ensure!(
            levels.len() <= MAX_DEPTH + 1,
            "the archive has nested folders, more than {MAX_DEPTH} deep"
        );
        for depth in 1..levels.len() {
            folders.insert(levels[..depth].join("/"));
        }
        ensure!(
            folders.len() <= MAX_FOLDERS,
            "the archive has more than the {MAX_FOLDERS} folders allowed for a corpus"
        );
    }
    let unpacked = zip.decompressed_size().unwrap_or_default();
    ensure!(unpacked <= u128::from(most), "{too_much}");
    Ok(())
}

/// Maximum unpacked size of an archive of `file_length` bytes for a corpus of at most `most` bytes,
/// and the message for a larger archive.
fn limit(most: u64, file_length: u64) -> (u64, String) {
    let growth = LARGE.max(file_length.saturating_mul(MAX_GROWTH));
    if growth < most {
        let reason = format!(
            "the archive unpacks to more than {MAX_GROWTH} times its {}, which recordings never do",
            bounded::size(file_length)
        );
        return (growth, reason);
    }
    let megabytes = most / 1_000_000;
    let reason =
        format!("the archive unpacks to more than the {megabytes} MB allowed for this corpus");
    (most, reason)
}

/// The first line of a file that is not an archive, which is often a web page with an error
/// message.
fn beginning(file: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(40).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default().trim();
    match read {
        Ok(_) if line.chars().all(|c| !c.is_control()) && !line.is_empty() => {
            format!(": it begins with '{line}'")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// Unpacks an archive of files with some zeros in each, for a corpus of a gigabyte.
    fn unpacked(files: impl Iterator<Item = String>, zeros: usize) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("archive.zip");
        let mut zip = ZipWriter::new(File::create(&archive).unwrap());
        for file in files {
            zip.start_file(file, SimpleFileOptions::default()).unwrap();
            zip.write_all(&vec![0; zeros]).unwrap();
        }
        zip.finish().unwrap();
        let inside = folder.path().join("inside");
        fs::create_dir(&inside).unwrap();
        let result = unpack(&archive, &inside, 1_000_000_000, &|_, _| ());
        let count = fs::read_dir(&inside).unwrap().count();
        assert!(result.is_ok() || count == 0, "no file is written");
        result.map(|()| count).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn an_archive_with_too_many_folders_is_rejected_before_a_folder_is_created() {
        let deep = |file: usize| {
            let folders: Vec<String> = (0..15).map(|level| format!("{file}-{level}")).collect();
            format!("{}/a.wav", folders.join("/"))
        };
        let error = unpacked((0..700).map(deep), 0).unwrap_err();
        assert!(error.contains("more than the 10000 folders"), "{error}");
        assert_eq!(unpacked((0..600).map(deep), 0), Ok(600));
    }

    #[test]
    fn an_archive_with_deeply_nested_folders_is_rejected() {
        let error = unpacked(["d/".repeat(17) + "a.wav"].into_iter(), 0).unwrap_err();
        assert!(error.contains("more than 16 deep"), "{error}");
        assert_eq!(unpacked(["d/".repeat(16) + "a.wav"].into_iter(), 0), Ok(1));
    }

    #[test]
    fn an_archive_of_a_hundred_thousand_empty_files_is_rejected() {
        let error = unpacked((0..100_001).map(|file| file.to_string()), 0).unwrap_err();
        assert!(error.contains("contains 100001 files"), "{error}");
    }

    #[test]
    fn an_archive_that_grows_a_thousandfold_is_rejected() {
        let error = unpacked(["a.wav".to_string()].into_iter(), 150_000_000).unwrap_err();
        assert!(error.contains("more than 100 times its"), "{error}");
    }
}
