//! A zip archive → a folder, and nothing outside of it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use zip::ZipArchive;

/// The most files that an archive may hold.
const MOST_FILES: usize = 100_000;

/// Unpacks an archive into a folder that is there. `tell` hears how many files of how many are done.
///
/// An archive that would write outside the folder, or more than `most` bytes, is refused: that it says
/// less of itself does not help, since what comes out is counted.
pub(super) fn unpack(
    archive: &Path,
    folder: &Path,
    most: u64,
    tell: &dyn Fn(usize, usize),
) -> Result<()> {
    let name = archive.display();
    let file = File::open(archive).with_context(|| format!("cannot read {name}"))?;
    let mut zip = ZipArchive::new(io::BufReader::new(file))
        .with_context(|| format!("what came is no zip archive{}", beginning(archive)))?;
    let count = zip.len();
    ensure!(
        count <= MOST_FILES,
        "it holds {count} files, more than {MOST_FILES}"
    );
    let mut left = most;
    for index in 0..count {
        tell(index, count);
        let mut entry = zip.by_index(index).context("the archive is damaged")?;
        let inside = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let Some(place) = entry.enclosed_name() else {
            bail!("'{inside}' in the archive leads out of its folder");
        };
        // What macOS adds to the archives that it makes.
        if entry.is_dir() || place.starts_with("__MACOSX") {
            continue;
        }
        ensure!(
            !entry.is_symlink(),
            "'{inside}' in the archive is a link, not a file"
        );
        let place = folder.join(place);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the folder {}", parent.display()))?;
        }
        let mut out = File::create_new(&place)
            .with_context(|| format!("cannot write {} (is it there twice?)", place.display()))?;
        let written = io::copy(&mut (&mut entry).take(left + 1), &mut out)
            .with_context(|| format!("'{inside}' cannot be unpacked"))?;
        ensure!(
            written <= left,
            "the archive unpacks to more than the {} MB that the corpus may have",
            most / 1_000_000
        );
        left -= written;
        out.sync_all()?;
    }
    Ok(())
}

/// What a file looks like that should have been an archive: often a page that says why not.
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
