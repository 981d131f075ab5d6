//! A folder of recordings → clips that know their label, speaker and sentence.
//!
//! Each corpus has a small file of its own with the rule of its file names; a folder is recognised
//! by the rule that most of its names follow. Splits into train, validation and test parts are
//! made in [`split`].

mod changes;
mod choice;
mod config;
mod content;
mod cremad;
pub mod demo;
mod emodb;
pub(crate) mod emotion;
mod emovo;
mod folders;
pub mod folds;
mod jl;
mod kind;
pub mod manifest;
mod nemo;
mod ravdess;
mod recordings;
mod savee;
mod sex;
mod shemo;
mod speaker;
mod spelling;
pub mod split;
mod subesco;
mod tess;
mod union;
mod urdu;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use split::Part;

pub use changes::{Changes, listed};
pub use config::DataConfig;
pub use content::ContentHash;
pub use kind::CorpusKind;
pub use recordings::{Found, find_recordings};
pub use sex::{Sex, women_and_men};
pub use speaker::SpeakerId;
pub use spelling::{UnclearSpeakers, spelling_key};
pub use union::{Source, source_of, unite};

/// One recording and what its name says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// Where the recording is, relative to the corpus folder.
    pub file: PathBuf,
    /// The emotion, in the words that all corpora have in common.
    pub label: String,
    /// What the corpus itself calls it: its word, or the code of its file names.
    pub corpus_label: String,
    /// The corpus whose speakers the speaker is one of, by its name among several. Empty where there is
    /// only one.
    pub corpus: String,
    /// The name of the speaker inside that corpus. Empty where the corpus does not tell.
    pub speaker: String,
    /// What is said. Empty where the corpus does not tell.
    pub sentence: String,
    /// The recording's bytes. None before they are read, and in runs of versions that did not record them.
    pub content: Option<ContentHash>,
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
    /// The emotion, in the words that all corpora have in common.
    pub label: String,
    /// What the corpus itself calls it: its word, or the code of its file names.
    pub corpus_label: String,
    /// Who speaks; empty where the corpus does not tell.
    pub speaker: String,
    /// What is said; empty where the corpus does not tell.
    pub sentence: String,
}

impl Labels {
    fn new(
        label: impl Into<String>,
        corpus_label: impl Into<String>,
        speaker: impl Into<String>,
        sentence: impl Into<String>,
    ) -> Self {
        Labels {
            label: label.into(),
            corpus_label: corpus_label.into(),
            speaker: speaker.into(),
            sentence: sentence.into(),
        }
    }
}

/// The number that a text of so many digits says.
fn digits(text: &str, count: usize) -> Option<u32> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
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
    /// The part of each clip, by its place, where a list says it. Empty where nobody does.
    pub given: BTreeMap<PathBuf, Part>,
    /// The corpora that it was made of, where there are several.
    pub sources: Vec<Source>,
    /// What labels count as in each of these.
    pub counts_as: Vec<BTreeMap<String, String>>,
    /// What was made of it, in words for people.
    pub notes: Vec<String>,
}

impl Corpus {
    /// No clips yet.
    pub(crate) fn empty(kind: CorpusKind, folder: PathBuf) -> Corpus {
        Corpus {
            kind,
            folder,
            clips: Vec::new(),
            skipped: Vec::new(),
            given: BTreeMap::new(),
            sources: Vec::new(),
            counts_as: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// `ravdess`, or `ravdess+emodb` of two.
    pub fn name(&self) -> String {
        name_of(self.kind, &self.sources)
    }

    /// True where some of the recordings were made by a machine.
    pub fn is_synthetic(&self) -> bool {
        let kinds = self.sources.iter().filter_map(|source| source.corpus);
        kinds.chain([self.kind]).any(CorpusKind::is_synthetic)
    }

    /// The place of a clip's recording.
    pub fn path(&self, clip: &Clip) -> PathBuf {
        self.folder.join(&clip.file)
    }
}

/// What a corpus is called: of several, each.
fn name_of(kind: CorpusKind, sources: &[Source]) -> String {
    match sources {
        [] => kind.to_string(),
        _ => {
            let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
            names.join("+")
        }
    }
}

/// The labels that occur, sorted: their order is the order of a model's outputs.
pub fn classes(clips: &[Clip]) -> Vec<String> {
    let labels: BTreeSet<&String> = clips.iter().map(|clip| &clip.label).collect();
    labels.into_iter().cloned().collect()
}

/// The speakers that occur, sorted, as [`SpeakerId`] writes them.
pub fn speakers(clips: &[Clip]) -> Vec<String> {
    let ids: BTreeSet<SpeakerId> = clips.iter().map(Clip::speaker_id).collect();
    ids.iter().map(SpeakerId::to_string).collect()
}

/// The names of the corpora that are recognised.
fn known() -> String {
    let names = CorpusKind::NAMED.map(|kind| kind.to_string());
    names[1..].join(", ")
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
    #[error("{} holds more than {most} files and folders; --data takes the folder that holds the \
             recordings, and not the disk that it is on", .folder.display())]
    TooManyEntries { folder: PathBuf, most: usize },
    #[error("no WAV file in {}; --data takes a folder with recordings (it is searched with all \
             its subfolders for names that end in .wav)", .0.display())]
    NoRecordings(PathBuf),
    #[error("{} holds {count} WAV files, but their names follow no corpus that emovox knows \
             ({}), and they do not lie in a folder per class; the first is {}. \
             Lay them out as CLASS/SPEAKER/clip.wav (or CLASS/clip.wav), or name the corpus \
             with --corpus", .folder.display(), known(), .first.display())]
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
    #[error("{} is in {name} as well as in another corpus before it; each recording belongs to one", .file.display())]
    InTwoCorpora { file: PathBuf, name: String },
    #[error("{}: {unclear} (the speakers are the folders inside those of the classes)", .folder.display())]
    UnclearSpeakers {
        folder: PathBuf,
        unclear: UnclearSpeakers,
    },
    #[error("no recording is of {label}; there are {known}")]
    NoSuchLabel { label: String, known: String },
    #[error(
        "only {} is left of the labels {known}; a classifier needs at least two (--labels names those \
             that are to be trained on, --map what one counts as)",
        if .kept.is_empty() { "none" } else { .kept }
    )]
    FewLabels { kept: String, known: String },
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
    } = find_recordings(folder)?;
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
            Some(_) => kind.parse(file).ok_or_else(|| kind.refusal(file)),
        };
        let mut second = |labels: &Labels| {
            let name = kind.once(file, labels);
            name.is_some_and(|name| !names.insert(name.into_owned()))
        };
        match labels {
            Ok(labels) if second(&labels) => skipped.push(Skipped {
                file: file.clone(),
                reason: "a second copy of a name that is given once".into(),
            }),
            Ok(Labels {
                label,
                corpus_label,
                speaker,
                sentence,
            }) => clips.push(Clip {
                file: file.clone(),
                label,
                corpus_label,
                corpus: String::new(),
                speaker,
                sentence,
                content: None,
            }),
            Err(reason) => skipped.push(Skipped {
                file: file.clone(),
                reason,
            }),
        }
    }
    // The names of these folders were typed; a named corpus gives each speaker one code.
    let notes = match kind {
        CorpusKind::Folders => spelling::merge_speakers(&mut clips).map_err(|unclear| {
            CorpusError::UnclearSpeakers {
                folder: folder.into(),
                unclear,
            }
        })?,
        _ => Vec::new(),
    };
    let corpus = Corpus {
        clips,
        skipped,
        notes,
        ..Corpus::empty(kind, folder.into())
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
mod tests;
