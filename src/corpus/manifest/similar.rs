//! Recordings for paths that are not written as on the disk: with separators of Windows, folders of
//! another machine, without an ending, in another case, or only names.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::corpus::find_recordings;
use crate::corpus::spelling::folded;

/// Maximum number of recordings in the reason of an unclear path.
const LISTED: usize = 3;

/// The result of a search.
#[derive(Default)]
pub(super) struct Similar {
    /// The recording of each path for which there is exactly one.
    pub found: BTreeMap<String, PathBuf>,
    /// The reason for each path for which there are several.
    pub unclear: BTreeMap<String, String>,
}

impl Similar {
    /// Searches the recordings below `root` for the paths in `missing`. `all` are all paths of the
    /// manifest: a name that several paths have is found only with its folders. `taken` are the
    /// recordings of the other paths.
    pub fn search(
        root: &Path,
        all: &[&str],
        missing: &[&str],
        taken: &HashSet<PathBuf>,
    ) -> Similar {
        let recordings = find_recordings(root).map_or(Vec::new(), |found| found.recordings);
        let index = Index::of(&recordings);
        let mut lines: HashMap<String, usize> = HashMap::new();
        for path in all {
            *lines.entry(stem(&name_of(path))).or_default() += 1;
        }
        let missing: HashSet<&str> = missing.iter().copied().collect();
        let mut similar = Similar::default();
        for &path in &missing {
            let is_only = lines.get(&stem(&name_of(path))) == Some(&1);
            match index.matches(path, is_only).as_slice() {
                [] => {}
                [one] => {
                    similar.found.insert(path.into(), (*one).clone());
                }
                several => {
                    let names = several.iter().take(LISTED);
                    let names: Vec<String> = names.map(|file| file.display().to_string()).collect();
                    let more = if several.len() > LISTED { " …" } else { "" };
                    let reason = format!(
                        "there is no such file, and {} recordings may be meant: {}{more}",
                        several.len(),
                        names.join(", ")
                    );
                    similar.unclear.insert(path.into(), reason);
                }
            }
        }
        similar.drop_shared(taken);
        similar
    }

    /// Drops recordings that are found for several paths, or are the recording of another path.
    fn drop_shared(&mut self, taken: &HashSet<PathBuf>) {
        let mut paths: HashMap<PathBuf, usize> = HashMap::new();
        for file in self.found.values() {
            *paths.entry(file.clone()).or_default() += 1;
        }
        for file in taken {
            *paths.entry(file.clone()).or_default() += 1;
        }
        let unclear = &mut self.unclear;
        self.found.retain(|path, file| {
            let is_only = paths.get(file) == Some(&1);
            if !is_only {
                let reason = format!(
                    "there is no such file, and {} belongs to another line too",
                    file.display()
                );
                unclear.insert(path.clone(), reason);
            }
            is_only
        });
    }
}

/// The recordings of a folder by their names.
struct Index<'a>(HashMap<String, Vec<(&'a PathBuf, Vec<String>)>>);

impl<'a> Index<'a> {
    fn of(recordings: &'a [PathBuf]) -> Index<'a> {
        let mut index: HashMap<String, Vec<(&PathBuf, Vec<String>)>> = HashMap::new();
        for file in recordings {
            let parts = parts_of(&file.to_string_lossy());
            let stem = parts.last().map_or(String::new(), |name| stem(name));
            index.entry(stem).or_default().push((file, parts));
        }
        Index(index)
    }

    /// The recordings that a path may mean. The recording and the path have the same name (with or
    /// without its ending), and the folders of one are the last folders of the other. `is_only`
    /// allows other folders, because only this path has the name.
    fn matches(&self, path: &str, is_only: bool) -> Vec<&'a PathBuf> {
        let wanted = parts_of(path);
        let Some((name, folders)) = wanted.split_last() else {
            return Vec::new();
        };
        // Without an ending, the whole name is the stem of the file, which may contain a point.
        let candidates = BTreeSet::from([stem(name), name.clone()]);
        let candidates: Vec<&(&PathBuf, Vec<String>)> = candidates
            .iter()
            .filter_map(|key| self.0.get(key))
            .flatten()
            .filter(|(_, parts)| {
                let file = parts.last().map_or("", String::as_str);
                file == name || stem(file) == *name
            })
            .collect();
        let common = |(_, parts): &(&PathBuf, Vec<String>)| {
            let own = parts[..parts.len() - 1].iter().rev();
            own.zip(folders.iter().rev())
                .take_while(|(a, b)| a == b)
                .count()
        };
        let fits = |candidate: &(&PathBuf, Vec<String>)| {
            let depth = candidate.1.len() - 1;
            common(candidate) == depth.min(folders.len())
        };
        let fitting: Vec<_> = candidates.iter().copied().filter(|c| fits(c)).collect();
        let chosen = match (fitting.is_empty(), is_only) {
            (true, true) => candidates,
            (true, false) => return Vec::new(),
            (false, _) => fitting,
        };
        let most = chosen.iter().map(|candidate| common(candidate)).max();
        let best = chosen
            .into_iter()
            .filter(|candidate| Some(common(candidate)) == most);
        best.map(|(file, _)| *file).collect()
    }
}

/// The folders and the name of a path with separators of any system, without differences of case
/// and of Unicode forms. A drive (`C:`) is a folder.
fn parts_of(path: &str) -> Vec<String> {
    let parts = path.split(['/', '\\']);
    let parts = parts.filter(|part| !part.is_empty() && *part != ".");
    parts.map(folded).collect()
}

fn name_of(path: &str) -> String {
    parts_of(path).pop().unwrap_or_default()
}

/// A name without its ending. An ending has up to five letters or digits, and a letter.
fn stem(name: &str) -> String {
    let is_ending = |ending: &str| {
        (1..=5).contains(&ending.len())
            && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && ending.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && is_ending(ending) => stem.into(),
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        folder
    }

    fn search(files: &[&str], paths: &[&str]) -> Similar {
        let folder = folder(files);
        let exists = |path: &&&str| folder.path().join(path).is_file();
        let (taken, missing): (Vec<&str>, Vec<&str>) = paths.iter().partition(exists);
        let taken = taken.iter().map(PathBuf::from).collect();
        Similar::search(folder.path(), paths, &missing, &taken)
    }

    #[test]
    fn one_recording_is_found_for_each_way_to_write_a_path() {
        let files = ["angry/03/a.wav", "sad/03/b.wav", "sad/08/zo\u{eb} 1.5.WAV"];
        for (path, file) in [
            ("angry\\03\\a.wav", files[0]),
            ("C:\\Users\\me\\angry\\03\\a.wav", files[0]),
            ("/home/other/data/angry/03/a.wav", files[0]),
            ("{data_root}/angry/03/a.wav", files[0]),
            ("angry/03/a", files[0]),
            ("Angry/03/A.WAV", files[0]),
            ("a.wav", files[0]),
            ("a", files[0]),
            ("03/a.wav", files[0]),
            ("flat/a.wav", files[0]),
            ("sad/08/zoe\u{308} 1.5", files[2]),
            ("ZOE\u{308} 1.5.wav", files[2]),
        ] {
            let similar = search(&files, &[path]);
            assert_eq!(
                similar.found.get(path).map(PathBuf::as_path),
                Some(Path::new(file)),
                "{path}"
            );
        }
    }

    #[test]
    fn a_path_that_may_mean_several_recordings_is_not_guessed() {
        let files = ["angry/1.wav", "sad/1.wav", "x/sad/1.wav"];
        let similar = search(&files, &["1.wav"]);
        assert!(similar.found.is_empty());
        assert!(similar.unclear["1.wav"].contains("3 recordings may be meant: angry/1.wav"));
        // The recording with more of the same folders is meant.
        let similar = search(&files, &["C:\\x\\sad\\1.wav"]);
        assert_eq!(similar.found["C:\\x\\sad\\1.wav"], Path::new("x/sad/1.wav"));
    }

    #[test]
    fn a_recording_is_not_taken_for_a_missing_one_with_the_same_name() {
        // Both lines have the name 1.wav: the folder decides, and happy/1.wav does not exist.
        let similar = search(&["sad/1.wav"], &["sad/1.wav", "happy/1.wav"]);
        assert!(similar.found.is_empty() && similar.unclear.is_empty());
        // Two lines for one recording.
        let similar = search(&["sad/1.wav"], &["SAD/1.wav", "Sad/1.wav"]);
        assert!(similar.found.is_empty());
        assert!(similar.unclear["SAD/1.wav"].contains("belongs to another line too"));
        let similar = search(&["sad/1.wav"], &["sad/2.wav"]);
        assert!(similar.found.is_empty());
        // A file with another ending is another file.
        assert!(search(&["sad/1.wav"], &["sad/1.mp4"]).found.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

        /// Every way to write the paths of a folder finds the same recordings, each once.
        #[test]
        fn any_way_to_write_the_paths_finds_the_same_recordings(
            counts in proptest::collection::vec(1usize..4, 1..4),
            ways in proptest::collection::vec(0u8..16, 12),
        ) {
            let mut files = Vec::new();
            for (folder, count) in counts.iter().enumerate() {
                files.extend((0..*count).map(|n| format!("class{folder}/ann/{n}.wav")));
            }
            let paths: Vec<String> = files.iter().zip(&ways).map(|(file, way)| {
                let mut path = file.clone();
                if way & 1 != 0 { path = path.to_uppercase(); }
                if way & 2 != 0 { path = path[..path.len() - 4].to_string(); }
                if way & 4 != 0 { path = format!("/mnt/other/{path}"); }
                if way & 8 != 0 { path = path.replace('/', "\\"); }
                path
            }).collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let similar = search(&files, &paths);
            for (path, file) in paths.iter().zip(&files) {
                let found = similar.found.get(*path).map_or(Path::new(path), PathBuf::as_path);
                prop_assert_eq!(found, Path::new(file));
            }
        }
    }
}
