//! Search for the recordings below a folder.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::label_tables::is_any_table;
use super::{CorpusError, Skipped};
use crate::audio::{is_other_recording_name, is_recording_name, rank_of_name};
use crate::reason::io_reason;

/// The reason that a recording with the ending of another format is skipped.
const OTHER_FORMAT: &str =
    "its format is not supported; convert it: ffmpeg -i IN -ar 16000 OUT.wav";

/// The reason that a file or folder cannot be read without the permission.
const NO_PERMISSION: &str = "permission denied; check the read permission";

/// Limits of a search. A larger or deeper folder is not a corpus, but for example a whole disk.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Maximum number of files and folders.
    entries: usize,
    /// Maximum depth of nested folders.
    depth: usize,
}

const BOUNDS: Bounds = Bounds {
    entries: 5_000_000,
    depth: 64,
};

/// The recordings below a folder.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Paths of the recordings, relative to the folder, sorted.
    pub recordings: Vec<PathBuf>,
    /// Files and folders that may be or may contain recordings, but cannot be used.
    pub skipped: Vec<Skipped>,
    /// Files that may be tables with the labels of a corpus, relative to the folder, sorted.
    pub tables: Vec<PathBuf>,
}

/// Finds all files with the ending of a supported format below a folder, including those behind
/// symbolic links. Each real folder is searched once, for any number of links to it. Of recordings
/// that differ in their ending only, the one without compression is found, and the others are
/// skipped; recordings in other formats are skipped too. Hidden files and folders are left out: archives
/// from macOS contain files such as `._name.wav` that are not recordings, and the trash folder of a
/// desktop contains deleted files.
///
/// # Errors
/// If the folder does not exist, is a file or cannot be read, or if it has more than five million
/// entries.
pub fn find_recordings(folder: &Path) -> Result<Found, CorpusError> {
    find_within(folder, BOUNDS)
}

fn find_within(folder: &Path, bounds: Bounds) -> Result<Found, CorpusError> {
    check_folder(folder)?;
    let mut search = Search {
        folder,
        bounds,
        found: Found::default(),
        entries: 0,
        searched: BTreeMap::new(),
        links: VecDeque::from([(folder.to_path_buf(), 0)]),
    };
    // Real folders come first, so that a recording has its real path and not the path of a link.
    while let Some((link, depth)) = search.links.pop_front() {
        search.below(&link, depth)?;
    }
    let mut found = search.found;
    found.recordings.sort();
    found.skip_other_formats();
    found.tables.sort();
    found.skipped.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(found)
}

/// Checks that a folder can be searched. A folder without read permission must not look empty.
fn check_folder(folder: &Path) -> Result<(), CorpusError> {
    let Err(error) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    Err(match error.kind() {
        ErrorKind::NotFound => CorpusError::NoFolder(folder.into()),
        ErrorKind::NotADirectory => CorpusError::NotAFolder(folder.into()),
        kind => CorpusError::Unreadable {
            folder: folder.into(),
            reason: match kind {
                ErrorKind::PermissionDenied => NO_PERMISSION.into(),
                _ => io_reason(&error),
            },
        },
    })
}

impl Found {
    /// Checks that there is a recording.
    ///
    /// # Errors
    /// If there is none in `folder`; the message names the first file or folder that is skipped.
    pub fn require(&self, folder: &Path) -> Result<(), CorpusError> {
        if !self.recordings.is_empty() {
            return Ok(());
        }
        let folder = folder.into();
        Err(match self.skipped.first() {
            Some(first) => CorpusError::AllSkipped {
                folder,
                count: self.skipped.len(),
                first: first.clone(),
            },
            None => CorpusError::NoRecordings(folder),
        })
    }

    /// Skips recordings that differ from another one only in the ending of the name.
    fn skip_other_formats(&mut self) {
        let mut best: HashMap<PathBuf, PathBuf> = HashMap::new();
        for file in &self.recordings {
            let best = best
                .entry(file.with_extension(""))
                .or_insert_with(|| file.clone());
            if rank_of_name(file) < rank_of_name(best) {
                best.clone_from(file);
            }
        }
        let skipped = &mut self.skipped;
        self.recordings.retain(|file| {
            let best = &best[&file.with_extension("")];
            let name = best.file_name().unwrap_or_default().to_string_lossy();
            // On a file system without regard to case, both names would be one file.
            let is_best = file == best || rank_of_name(file) == rank_of_name(best);
            if !is_best {
                skipped.push(Skipped {
                    file: file.into(),
                    reason: format!("the same recording as {name} in another format, by its name"),
                });
            }
            is_best
        });
    }
}

/// State of a search.
struct Search<'a> {
    folder: &'a Path,
    bounds: Bounds,
    found: Found,
    /// Number of files and folders so far.
    entries: usize,
    /// The searched folders: from the real path to the path relative to the corpus folder.
    searched: BTreeMap<PathBuf, PathBuf>,
    /// Links to folders that remain to be searched, with their depths.
    links: VecDeque<(PathBuf, usize)>,
}

impl Search<'_> {
    /// Searches a real folder, or the folder behind a link, with all real folders in it.
    fn below(&mut self, start: &Path, depth: usize) -> Result<(), CorpusError> {
        let real = match start.canonicalize() {
            Ok(real) => real,
            Err(error) => {
                self.skip(start, unreachable(&error));
                return Ok(());
            }
        };
        let mut entries = WalkDir::new(start).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            self.entries += 1;
            if self.entries > self.bounds.entries {
                return Err(CorpusError::TooManyEntries {
                    folder: self.folder.into(),
                    most: self.bounds.entries,
                });
            }
            match entry {
                Err(error) => self.walk_error(&error),
                Ok(entry) if entry.depth() > 0 && is_hidden(&entry) => {
                    if entry.file_type().is_dir() {
                        entries.skip_current_dir();
                    }
                }
                Ok(entry) => {
                    let is_folder = entry.depth() == 0 || entry.file_type().is_dir();
                    let depth = depth + entry.depth();
                    let inside = entry.path().strip_prefix(start);
                    let real_path = inside.map_or(real.clone(), |inside| real.join(inside));
                    if !is_folder {
                        self.file(&entry, depth);
                    } else if !self.enters(&entry, real_path, depth) {
                        entries.skip_current_dir();
                    }
                }
            }
        }
        Ok(())
    }

    /// Registers a folder with the real path `real`. Returns false if it must not be searched.
    fn enters(&mut self, entry: &DirEntry, real: PathBuf, depth: usize) -> bool {
        let path = entry.path();
        if let Some(known) = self.searched.get(&real) {
            let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
            let reason = if parent.is_some_and(|parent| parent.starts_with(&real)) {
                "a symbolic link to a folder above it".into()
            } else {
                format!(
                    "the same folder as {}, which is searched",
                    self.folder.join(known).display()
                )
            };
            self.skip(path, reason);
            return false;
        }
        if entry.depth() > 0 && is_recording_name(path) {
            self.skip(path, "a folder, not a recording".into());
        }
        if depth > self.bounds.depth {
            let most = self.bounds.depth;
            self.skip(
                path,
                format!("more than {most} folders deep; it is not searched"),
            );
            return false;
        }
        let relative = self.relative(path);
        self.searched.insert(real, relative);
        true
    }

    /// Handles a file, or a link to a file or folder.
    fn file(&mut self, entry: &DirEntry, depth: usize) {
        let path = entry.path();
        if entry.file_type().is_file() && !is_recording_name(path) {
            if is_any_table(path) {
                self.found.tables.push(self.relative(path));
            } else if is_other_recording_name(path) {
                self.skip(path, OTHER_FORMAT.into());
            }
            return;
        }
        match path.metadata() {
            Ok(target) if target.is_dir() => {
                if is_recording_name(path) {
                    self.skip(path, "a folder, not a recording".into());
                }
                self.links.push_back((path.into(), depth));
            }
            _ if !is_recording_name(path) => {}
            Ok(target) if target.is_file() => self.found.recordings.push(self.relative(path)),
            Ok(_) => self.skip(path, "not a regular file".into()),
            Err(error) => self.skip(path, unreachable(&error)),
        }
    }

    fn walk_error(&mut self, error: &walkdir::Error) {
        if let Some(path) = error.path() {
            let reason = match error.io_error() {
                Some(error) => unreachable(error),
                None => format!("cannot be read: {error}"),
            };
            self.skip(path, reason);
        }
    }

    fn skip(&mut self, path: &Path, reason: String) {
        self.found.skipped.push(Skipped {
            file: self.relative(path).into(),
            reason,
        });
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.folder).unwrap_or(path).into()
    }
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}

/// The reason that a file or folder cannot be read.
fn unreachable(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "a symbolic link to a file that does not exist".into(),
        ErrorKind::PermissionDenied => NO_PERMISSION.into(),
        _ => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn corpus(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        folder
    }

    fn names(found: &Found) -> Vec<&str> {
        let names = found.recordings.iter();
        names.map(|file| file.to_str().unwrap()).collect()
    }

    #[test]
    fn a_folder_that_cannot_be_searched_is_an_error() {
        let folder = corpus(&["a.wav"]);
        let error = |path: &Path| find_recordings(path).unwrap_err();
        let missing = error(&folder.path().join("gone"));
        assert!(matches!(missing, CorpusError::NoFolder(_)), "{missing}");
        let file = error(&folder.path().join("a.wav"));
        assert!(matches!(file, CorpusError::NotAFolder(_)), "{file}");
        symlink("loop", folder.path().join("loop")).unwrap();
        let unreadable = error(&folder.path().join("loop")).to_string();
        assert!(
            unreadable.contains("cannot be searched") && !unreadable.contains("os error"),
            "{unreadable}"
        );
    }

    #[test]
    fn the_reason_that_no_recording_can_be_used_is_reported() {
        let folder = corpus(&["sad/b.WMA"]);
        let found = find_recordings(folder.path()).unwrap();
        let error = found.require(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("sad/b.WMA: its format is not supported"),
            "{error}"
        );
        let empty = corpus(&[]);
        let error = Found::default().require(empty.path()).unwrap_err();
        assert!(matches!(error, CorpusError::NoRecordings(_)), "{error}");
    }

    /// 2²⁶ paths lead to the recording.
    #[test]
    fn a_ladder_of_links_is_searched_once() {
        let folder = corpus(&["26/clip.wav"]);
        for level in 0..26 {
            let here = folder.path().join(level.to_string());
            fs::create_dir_all(&here).unwrap();
            for side in ["a", "b"] {
                symlink(format!("../{}", level + 1), here.join(side)).unwrap();
            }
        }
        let found = find_recordings(folder.path()).unwrap();
        assert_eq!(names(&found), ["26/clip.wav"]);
        assert_eq!(found.skipped.len(), 52, "each link once");
    }

    /// The same with the folders of the ladder outside of the corpus folder.
    #[test]
    fn a_ladder_outside_of_the_folder_is_searched_once() {
        let elsewhere = corpus(&["26/clip.wav"]);
        for level in 0..26 {
            let here = elsewhere.path().join(level.to_string());
            fs::create_dir_all(&here).unwrap();
            for side in ["a", "b"] {
                symlink(
                    elsewhere.path().join((level + 1).to_string()),
                    here.join(side),
                )
                .unwrap();
            }
        }
        let folder = corpus(&[]);
        symlink(elsewhere.path().join("0"), folder.path().join("in")).unwrap();
        let found = find_recordings(folder.path()).unwrap();
        assert_eq!(found.recordings.len(), 1);
        assert_eq!(found.skipped.len(), 26, "the second link of each level");
    }

    #[test]
    fn a_recording_has_its_real_path_although_a_link_comes_first() {
        let folder = corpus(&["z/clip.wav"]);
        symlink("z", folder.path().join("a")).unwrap();
        let found = find_recordings(folder.path()).unwrap();
        assert_eq!(names(&found), ["z/clip.wav"]);
        assert!(found.skipped[0].reason.contains("the same folder as"));
        assert!(found.skipped[0].reason.contains("/z, which"));
    }

    #[test]
    fn links_to_folders_and_files_elsewhere_are_followed() {
        let elsewhere = corpus(&["inner/one.wav", "two.wav"]);
        let folder = corpus(&["b.wav"]);
        symlink(elsewhere.path().join("inner"), folder.path().join("a")).unwrap();
        symlink(
            elsewhere.path().join("two.wav"),
            folder.path().join("c.wav"),
        )
        .unwrap();
        let found = find_recordings(folder.path()).unwrap();
        assert_eq!(names(&found), ["a/one.wav", "b.wav", "c.wav"]);
        assert!(found.skipped.is_empty());
    }

    #[test]
    fn a_link_to_a_folder_around_it_is_searched_without_it() {
        let around = corpus(&["corpus/a.wav", "other/b.wav"]);
        let folder = around.path().join("corpus");
        symlink("..", folder.join("up")).unwrap();
        let found = find_recordings(&folder).unwrap();
        assert_eq!(names(&found), ["a.wav", "up/other/b.wav"]);
        assert_eq!(found.skipped.len(), 1);
    }

    #[test]
    fn all_supported_endings_are_found_in_any_case() {
        let folder = corpus(&[
            "a.wav", "b.WAVE", "c.Mp3", "d.FLAC", "e.opus", "f.webm", "g.txt",
        ]);
        let found = find_recordings(folder.path()).unwrap();
        assert_eq!(
            names(&found),
            ["a.wav", "b.WAVE", "c.Mp3", "d.FLAC", "e.opus", "f.webm"]
        );
        assert!(found.skipped.is_empty());
    }

    #[test]
    fn recordings_in_other_formats_are_skipped_with_a_reason() {
        let folder = corpus(&["a.wav", "sad/b.WMA", "sad/c.amr"]);
        let found = find_recordings(folder.path()).unwrap();
        assert_eq!(names(&found), ["a.wav"]);
        let skipped = found
            .skipped
            .iter()
            .map(|skipped| skipped.file.path.to_str());
        assert_eq!(
            skipped.collect::<Vec<_>>(),
            [Some("sad/b.WMA"), Some("sad/c.amr")]
        );
        assert!(
            found.skipped[0]
                .reason
                .contains("not supported; convert it")
        );
    }

    #[test]
    fn a_recording_in_two_formats_is_found_once_without_compression() {
        let folder = corpus(&[
            "x/1.mp3", "x/1.wav", "x/2.flac", "x/2.ogg", "y/1.mp3", "x/3.WAV", "x/3.wav",
        ]);
        let found = find_recordings(folder.path()).unwrap();
        assert_eq!(
            names(&found),
            ["x/1.wav", "x/2.flac", "x/3.WAV", "x/3.wav", "y/1.mp3"]
        );
        assert_eq!(found.skipped.len(), 2);
        assert!(
            found.skipped[0]
                .reason
                .contains("the same recording as 1.wav")
        );
    }

    #[test]
    fn folders_deeper_than_the_bound_are_listed() {
        let deep = "d/".repeat(65) + "clip.wav";
        let folder = corpus(&["clip.wav", &deep]);
        let found = find_recordings(folder.path()).unwrap();
        assert_eq!(names(&found), ["clip.wav"]);
        assert_eq!(found.skipped.len(), 1);
        assert!(found.skipped[0].reason.contains("more than 64 folders"));
    }

    #[test]
    fn more_entries_than_the_bound_are_an_error() {
        let folder = corpus(&["a.wav", "b.wav", "c.txt"]);
        let bounds = |entries| Bounds { entries, depth: 9 };
        assert_eq!(
            find_within(folder.path(), bounds(4))
                .unwrap()
                .recordings
                .len(),
            2
        );
        let error = find_within(folder.path(), bounds(3))
            .unwrap_err()
            .to_string();
        assert!(error.contains("more than 3 files and folders"), "{error}");
    }
}
