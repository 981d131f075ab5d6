//! A folder of recordings → clips that know their label, speaker and sentence.
//!
//! Each corpus has a small file of its own with the rule of its file names; a folder is recognised
//! by the rule that most of its names follow. Splits into train, validation and test parts are
//! made in [`split`].

pub mod demo;
mod emodb;
mod emotion;
mod folders;
pub mod folds;
mod ravdess;
pub mod split;
mod tess;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

/// One recording and what its name says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// Where the recording is, relative to the corpus folder.
    pub file: PathBuf,
    /// What was said of it by the corpus: the emotion.
    pub label: String,
    /// Who speaks. Empty where the corpus does not tell.
    pub speaker: String,
    /// What is said. Empty where the corpus does not tell.
    pub sentence: String,
}

/// A recording that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which one.
    pub file: PathBuf,
    /// Why, in words for people.
    pub reason: String,
}

/// What a file name tells: the fields of a [`Clip`] without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The emotion.
    pub label: String,
    /// Who speaks; empty where the corpus does not tell.
    pub speaker: String,
    /// What is said; empty where the corpus does not tell.
    pub sentence: String,
}

impl Labels {
    fn new(
        label: impl Into<String>,
        speaker: impl Into<String>,
        sentence: impl Into<String>,
    ) -> Self {
        Labels {
            label: label.into(),
            speaker: speaker.into(),
            sentence: sentence.into(),
        }
    }
}

/// The corpora that are recognised by their file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorpusKind {
    /// The synthetic corpus that emovox makes itself.
    Demo,
    /// RAVDESS, speech part.
    Ravdess,
    /// Toronto emotional speech set.
    Tess,
    /// Berlin database of emotional speech.
    Emodb,
    /// A plain folder per class.
    Folders,
}

impl CorpusKind {
    /// The corpora with a naming rule of their own, in the order in which they are tried.
    const NAMED: [CorpusKind; 4] = [
        CorpusKind::Demo,
        CorpusKind::Ravdess,
        CorpusKind::Tess,
        CorpusKind::Emodb,
    ];

    /// Reads a recording's path (relative to the corpus folder) by the corpus' naming rule.
    pub fn parse(self, file: &Path) -> Option<Labels> {
        let stem = file.file_stem()?.to_str()?;
        match self {
            CorpusKind::Demo => demo::parse_name(file.file_name()?.to_str()?)
                .map(|name| Labels::new(name.emotion, name.voice, name.sentence)),
            CorpusKind::Ravdess => ravdess::parse(stem),
            CorpusKind::Tess => tess::parse(stem),
            CorpusKind::Emodb => emodb::parse(stem),
            CorpusKind::Folders => folders::parse(file),
        }
    }

    /// True where recordings were made by a machine: a number from them says nothing about people.
    pub fn is_synthetic(self) -> bool {
        self == CorpusKind::Demo
    }
}

impl fmt::Display for CorpusKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            CorpusKind::Demo => "demo",
            CorpusKind::Ravdess => "ravdess",
            CorpusKind::Tess => "tess",
            CorpusKind::Emodb => "emodb",
            CorpusKind::Folders => "folders",
        })
    }
}

/// What was found in a folder.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// By whose naming rule it was read.
    pub kind: CorpusKind,
    /// The folder that was scanned.
    pub folder: PathBuf,
    /// The recordings, in the order of their paths.
    pub clips: Vec<Clip>,
    /// WAV files that are left out, relative to the folder: those whose names do not follow the
    /// corpus' rule, those that cannot be reached, and second copies, where a corpus gives a name
    /// once and it was seen before. (Archives of RAVDESS and TESS go around that hold every
    /// recording twice; a clip in two parts would make its score worthless.)
    pub skipped: Vec<Skipped>,
}

impl Corpus {
    /// The place of a clip's recording.
    pub fn path(&self, clip: &Clip) -> PathBuf {
        self.folder.join(&clip.file)
    }
}

/// The labels that occur, sorted: their order is the order of a model's outputs.
pub fn classes(clips: &[Clip]) -> Vec<String> {
    distinct(clips.iter().map(|clip| &clip.label))
}

/// The speakers that occur, sorted.
pub fn speakers(clips: &[Clip]) -> Vec<String> {
    distinct(clips.iter().map(|clip| &clip.speaker))
}

fn distinct<'a>(values: impl Iterator<Item = &'a String>) -> Vec<String> {
    values
        .cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Why a folder is no corpus. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum CorpusError {
    #[error("there is no folder {}; --data takes the folder that holds the recordings, \
             and data/README.md tells where to get some", .0.display())]
    NoFolder(PathBuf),
    #[error("{} is a file; --data takes the folder that holds the recordings", .0.display())]
    NotAFolder(PathBuf),
    #[error("no WAV file in {}; --data takes a folder with recordings (it is searched with all \
             its subfolders for names that end in .wav)", .0.display())]
    NoRecordings(PathBuf),
    #[error("{} holds {count} WAV files, but their names follow no corpus that emovox knows \
             (ravdess, tess, emodb), and they do not lie in a folder per class; the first is {}. \
             Lay them out as CLASS/SPEAKER/clip.wav (or CLASS/clip.wav), or name the corpus \
             with --corpus", .folder.display(), .first.display())]
    UnknownNames {
        folder: PathBuf,
        count: usize,
        first: PathBuf,
    },
    #[error("no file name in {} follows the rule of {kind}; the first WAV file is {}. \
             Leave --corpus out to let emovox recognise the corpus", .folder.display(), .first.display())]
    NotOfKind {
        folder: PathBuf,
        kind: CorpusKind,
        first: PathBuf,
    },
    #[error("{} has recordings of one class only ('{class}'); a classifier needs at least two. --data takes the folder in which each class has a folder of its own", .folder.display())]
    OneClass { folder: PathBuf, class: String },
}

/// Finds the recordings of a corpus in a folder and all its subfolders.
///
/// Without a `kind` the corpus is recognised by its names. Files that do not follow the rule are
/// kept aside in [`Corpus::skipped`].
pub fn scan(folder: &Path, kind: Option<CorpusKind>) -> Result<Corpus, CorpusError> {
    if !folder.exists() {
        return Err(CorpusError::NoFolder(folder.into()));
    }
    if !folder.is_dir() {
        return Err(CorpusError::NotAFolder(folder.into()));
    }
    let Found {
        recordings: files,
        mut skipped,
    } = find_recordings(folder);
    let Some(first) = files.first() else {
        return Err(CorpusError::NoRecordings(folder.into()));
    };

    let kind = match kind {
        Some(kind) => kind,
        None => recognise(&files).ok_or_else(|| CorpusError::UnknownNames {
            folder: folder.into(),
            count: files.len(),
            first: first.clone(),
        })?,
    };

    let mut clips = Vec::new();
    let mut names = BTreeSet::new();
    for file in &files {
        let labels = match file.to_str() {
            // A run keeps the places of its recordings in a text file.
            None => Err("its path is not UTF-8; rename it".to_string()),
            Some(_) => kind
                .parse(file)
                .ok_or_else(|| format!("its name does not follow the rule of {kind}")),
        };
        let mut second = || kind != CorpusKind::Folders && !names.insert(file.file_name());
        match labels {
            Ok(_) if second() => skipped.push(Skipped {
                file: file.clone(),
                reason: "a second copy of a name that is given once".into(),
            }),
            Ok(Labels {
                label,
                speaker,
                sentence,
            }) => clips.push(Clip {
                file: file.clone(),
                label,
                speaker,
                sentence,
            }),
            Err(reason) => skipped.push(Skipped {
                file: file.clone(),
                reason,
            }),
        }
    }
    let corpus = Corpus {
        kind,
        folder: folder.into(),
        clips,
        skipped,
    };
    match classes(&corpus.clips).as_slice() {
        [] => Err(CorpusError::NotOfKind {
            folder: folder.into(),
            kind,
            first: first.clone(),
        }),
        [class] => Err(CorpusError::OneClass {
            folder: folder.into(),
            class: class.clone(),
        }),
        _ => Ok(corpus),
    }
}

/// The WAV files below a folder.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Relative to the folder, sorted.
    pub recordings: Vec<PathBuf>,
    /// What may have been a recording, or may hold some, but cannot be reached.
    pub skipped: Vec<Skipped>,
}

/// Finds all WAV files below a folder. Hidden files and folders are left out: macOS archives are full
/// of `._name.wav` that are no recordings, and a desktop's bin keeps what was thrown away.
pub fn find_recordings(folder: &Path) -> Found {
    let mut found = Found::default();
    let relative = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_path_buf();
    let named_wav = |path: &Path| {
        let extension = path.extension();
        extension.is_some_and(|extension| extension.eq_ignore_ascii_case("wav"))
    };
    let entries = WalkDir::new(folder)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            entry.depth() == 0 || !hidden
        });
    for entry in entries {
        let (path, problem) = match &entry {
            Ok(entry) if !named_wav(entry.path()) => continue,
            Ok(entry) if entry.file_type().is_file() => (entry.path(), None),
            Ok(entry) if entry.file_type().is_dir() => {
                (entry.path(), Some("a folder, not a WAV file".to_string()))
            }
            Ok(entry) => (entry.path(), Some("no regular file".to_string())),
            Err(error) => match error.path() {
                Some(path) if named_wav(path) || path.is_dir() => (path, Some(unreachable(error))),
                // Another link that leads nowhere.
                _ => continue,
            },
        };
        match problem {
            None => found.recordings.push(relative(path)),
            Some(reason) => found.skipped.push(Skipped {
                file: relative(path),
                reason,
            }),
        }
    }
    found
}

/// Why a place in the folder cannot be looked at.
fn unreachable(error: &walkdir::Error) -> String {
    let kind = error.io_error().map(std::io::Error::kind);
    match (error.loop_ancestor(), kind) {
        (Some(_), _) => "a symbolic link that leads back to a folder above it".into(),
        (None, Some(std::io::ErrorKind::NotFound)) => "a symbolic link that leads nowhere".into(),
        (None, Some(std::io::ErrorKind::PermissionDenied)) => {
            "permission denied; check who may read it".into()
        }
        _ => format!("cannot be reached: {error}"),
    }
}

/// The named corpus whose rule at least half of the files follow (the one with most where several
/// do), else a plain folder per class.
fn recognise(files: &[PathBuf]) -> Option<CorpusKind> {
    let count = |kind: CorpusKind| {
        files
            .iter()
            .filter(|file| kind.parse(file).is_some())
            .count()
    };
    let best = CorpusKind::NAMED
        .into_iter()
        .rev()
        .max_by_key(|&kind| count(kind))?;
    if 2 * count(best) >= files.len() {
        return Some(best);
    }
    (2 * count(CorpusKind::Folders) >= files.len()).then_some(CorpusKind::Folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(kind: CorpusKind, file: &str) -> Option<(String, String, String)> {
        kind.parse(Path::new(file))
            .map(|l| (l.label, l.speaker, l.sentence))
    }

    fn some(label: &str, speaker: &str, sentence: &str) -> Option<(String, String, String)> {
        Some((label.into(), speaker.into(), sentence.into()))
    }

    #[test]
    fn ravdess_names() {
        let parse = |file| labels(CorpusKind::Ravdess, file);
        assert_eq!(
            parse("Actor_12/03-01-06-01-02-01-12.wav"),
            some("fear", "12", "02")
        );
        assert_eq!(
            parse("03-01-01-01-01-02-01.wav"),
            some("neutral", "01", "01")
        );
        assert_eq!(
            parse("03-01-08-02-02-01-24.wav"),
            some("surprise", "24", "02")
        );
        // Song, an emotion that does not exist, an actor that does not exist, a field too many.
        assert_eq!(parse("03-02-06-01-02-01-12.wav"), None);
        assert_eq!(parse("03-01-09-01-02-01-12.wav"), None);
        assert_eq!(parse("03-01-06-01-02-01-25.wav"), None);
        assert_eq!(parse("03-01-06-01-02-01-12-01.wav"), None);
    }

    #[test]
    fn tess_names_with_their_quirks() {
        let parse = |file| labels(CorpusKind::Tess, file);
        assert_eq!(
            parse("OAF_angry/OAF_back_angry.wav"),
            some("anger", "OAF", "back")
        );
        assert_eq!(
            parse("YAF_pleasant_surprised/YAF_youth_ps.wav"),
            some("pleasant-surprise", "YAF", "youth")
        );
        assert_eq!(
            parse("OAF_neutral/OA_bite_neutral.wav"),
            some("neutral", "OAF", "bite")
        );
        assert_eq!(
            parse("oaf_Sad/OAF_week_SAD.wav"),
            some("sadness", "OAF", "week")
        );
        assert_eq!(parse("OAF_back_jolly.wav"), None);
        assert_eq!(parse("XAF_back_angry.wav"), None);
    }

    #[test]
    fn emodb_names() {
        let parse = |file| labels(CorpusKind::Emodb, file);
        assert_eq!(parse("wav/03a01Fa.wav"), some("happiness", "03", "a01"));
        assert_eq!(parse("16b10Wb.wav"), some("anger", "16", "b10"));
        assert_eq!(parse("16b10Lb.wav"), some("boredom", "16", "b10"));
        assert_eq!(parse("16b10Xb.wav"), None);
        assert_eq!(parse("16b1Wb.wav"), None);
    }

    #[test]
    fn a_folder_per_class() {
        let parse = |file| labels(CorpusKind::Folders, file);
        assert_eq!(parse("Angry/anna/1.wav"), some("anger", "anna", ""));
        assert_eq!(parse("bored stiff/1.wav"), some("bored stiff", "", ""));
        assert_eq!(parse("angry/anna/monday/1.wav"), some("anger", "anna", ""));
        assert_eq!(parse("1.wav"), None);
    }

    #[test]
    fn recognises_each_corpus_among_strays() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let cases = [
            (
                paths(&["Actor_01/03-01-06-01-02-01-01.wav", "noise.wav"]),
                Some(CorpusKind::Ravdess),
            ),
            (
                paths(&["x/OAF_back_angry.wav", "x/YAF_back_sad.wav"]),
                Some(CorpusKind::Tess),
            ),
            (
                paths(&["wav/03a01Fa.wav", "wav/03a01Wa.wav"]),
                Some(CorpusKind::Emodb),
            ),
            (
                paths(&["v01/demo-v01-s03-anger-2.wav"]),
                Some(CorpusKind::Demo),
            ),
            (
                paths(&["happy/a.wav", "sad/b.wav", "c.wav"]),
                Some(CorpusKind::Folders),
            ),
            (paths(&["a.wav", "b.wav"]), None),
        ];
        for (files, kind) in cases {
            assert_eq!(recognise(&files), kind, "{files:?}");
        }
    }

    #[test]
    fn second_copies_are_left_out_where_names_are_given_once() {
        let folder = tempfile::tempdir().unwrap();
        let touch = |file: &str| {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        for copy in ["a", "b/Actor_01"] {
            touch(&format!("{copy}/03-01-06-01-02-01-01.wav"));
            touch(&format!("{copy}/03-01-05-01-02-01-01.wav"));
        }
        let corpus = scan(folder.path(), None).unwrap();
        assert_eq!((corpus.clips.len(), corpus.skipped.len()), (2, 2));
        let plain = scan(folder.path(), Some(CorpusKind::Folders)).unwrap();
        assert_eq!((plain.clips.len(), plain.skipped.len()), (4, 0));
    }

    #[test]
    fn a_folder_without_recordings_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = scan(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("no WAV file"), "{error}");
        let error = scan(&folder.path().join("missing"), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("there is no folder"), "{error}");
    }
}
