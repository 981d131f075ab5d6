//! Reads a folder of recordings as clips with label, speaker and sentence.
//!
//! Each corpus has a separate source file with the rule of its file names, or a table in `names`; a
//! folder is recognised by the rule that most of its file names follow, or by the names of its folders. The module [`split`] divides a corpus into the
//! subsets for training, validation and test.

mod casia;
mod changes;
mod choice;
mod config;
mod content;
mod cremad;
pub mod demo;
mod emodb;
pub(crate) mod emotion;
mod emovo;
mod esd;
pub mod folds;
mod jl;
mod kind;
mod label_tables;
mod layout;
pub mod manifest;
mod merge;
mod names;
mod near;
mod nemo;
mod ravdess;
mod recognise;
mod recordings;
mod savee;
mod sex;
mod shemo;
mod speaker;
mod spelling;
pub mod split;
mod subesco;
mod subset_words;
mod subsets;
mod tess;
mod urdu;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::audio::Excerpt;
use crate::plural::counted;
use label_tables::LabelTable;
use recognise::{Reading, recognise};
use split::Subset;

pub use changes::{Changes, listed};
pub use config::DataConfig;
pub use content::{ContentHash, hash_excerpts, hash_files};
pub use kind::CorpusKind;
pub use layout::{Layout, Level};
pub use merge::{Source, merge, source_of};
pub use near::{find_label, label_hints};
pub use recordings::{Found, find_recordings};
pub use sex::{Sex, women_and_men};
pub use speaker::SpeakerId;
pub use spelling::{UnclearSpeakers, spelling_key};
pub use subset_words::{SubsetUse, SubsetWords};

/// One recording with its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// The recording: the path of its file, relative to the corpus folder, and the segment of the
    /// file if the clip is only a part of it.
    pub file: Excerpt,
    /// The emotion, as a common label of all corpora.
    pub label: String,
    /// The label of the corpus itself: its word for the emotion, or the code of its file names.
    pub corpus_label: String,
    /// With several corpora, the name of the corpus that the speaker belongs to; empty with one
    /// corpus.
    pub corpus: String,
    /// The name of the speaker in that corpus; empty if it is unknown.
    pub speaker: String,
    /// The spoken sentence; empty if it is unknown.
    pub sentence: String,
    /// Hash of the bytes of the recording, and of the times of a segment. `None` before they are read, and in runs of versions
    /// that did not store it.
    pub content: Option<ContentHash>,
}

/// A recording that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The recording, with its path relative to the corpus folder.
    pub file: Excerpt,
    /// The reason, as a message for the user.
    pub reason: String,
}

/// A note about the number of recordings that cannot be read; none if it is 0.
pub fn left_out(unreadable: usize) -> Option<String> {
    let recordings = (unreadable > 0).then(|| counted(unreadable, "unreadable recording"))?;
    Some(format!("{recordings} left out"))
}

/// The labels in a file name: the fields of a [`Clip`] without its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The emotion, as a common label of all corpora.
    pub label: String,
    /// The label of the corpus itself: its word for the emotion, or the code of its file names.
    pub corpus_label: String,
    /// The speaker; empty if it is unknown.
    pub speaker: String,
    /// The spoken sentence; empty if it is unknown.
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

/// Parses a number of exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The recordings of a folder, of a manifest, or of several merged corpora.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// The kind of the corpus, whose rule was used to read the labels.
    pub kind: CorpusKind,
    /// The folder that the paths of the clips are relative to.
    pub folder: PathBuf,
    /// The recordings, in the order of their paths.
    pub clips: Vec<Clip>,
    /// Recordings that are left out: files whose names do not follow the rule of the corpus, files
    /// that cannot be read, and second copies, if names are unique in the corpus. (Some archives of
    /// RAVDESS and TESS contain every recording twice; a clip in two subsets would make the score
    /// invalid.)
    pub skipped: Vec<Skipped>,
    /// The subset of each clip, by its recording, if a manifest has subsets; otherwise empty.
    pub given: BTreeMap<Excerpt, Subset>,
    /// The merged corpora, if there are several.
    pub sources: Vec<Source>,
    /// The label aliases that were applied in each of the merged corpora.
    pub counts_as: Vec<BTreeMap<String, String>>,
    /// Notes for the user about changes to the data.
    pub notes: Vec<String>,
    /// The rules by which the labels are read, as sentences for the user.
    pub rules: Vec<String>,
    /// True if the subsets in `given` are used only on request, because a corpus is usually split in
    /// another way.
    pub given_on_request: bool,
}

impl Corpus {
    /// A corpus without clips.
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
            rules: Vec::new(),
            given_on_request: false,
        }
    }

    /// Name of the corpus: `ravdess`, or `ravdess+emodb` for two.
    pub fn name(&self) -> String {
        name_of(self.kind, &self.sources)
    }

    /// True if some of the recordings are synthetic.
    pub fn is_synthetic(&self) -> bool {
        let kinds = self.sources.iter().filter_map(|source| source.corpus);
        kinds.chain([self.kind]).any(CorpusKind::is_synthetic)
    }

    /// The kind of the corpus of a clip, also if several corpora are merged.
    pub fn kind_of(&self, clip: &Clip) -> Option<CorpusKind> {
        if self.sources.is_empty() {
            return Some(self.kind);
        }
        self.sources[source_of(&self.sources, clip)?].corpus
    }

    /// The recording of a clip, with the path of its file.
    pub fn recording(&self, clip: &Clip) -> Excerpt {
        clip.file.below(&self.folder)
    }
}

/// Name of a corpus; with several corpora, their names joined by `+`.
fn name_of(kind: CorpusKind, sources: &[Source]) -> String {
    match sources {
        [] => kind.to_string(),
        _ => {
            let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
            names.join("+")
        }
    }
}

/// The different labels of the clips, sorted. This is the order of the outputs of a model.
pub fn classes(clips: &[Clip]) -> Vec<String> {
    let labels: BTreeSet<&String> = clips.iter().map(|clip| &clip.label).collect();
    labels.into_iter().cloned().collect()
}

/// The different speakers of the clips, sorted, in the format of [`SpeakerId`].
pub fn speakers(clips: &[Clip]) -> Vec<String> {
    let ids: BTreeSet<SpeakerId> = clips.iter().map(Clip::speaker_id).collect();
    ids.iter().map(SpeakerId::to_string).collect()
}

/// The speakers of the clips as text: `2 speakers (03, 08)`, or `2 speakers (03, 08), unknown for 5
/// clips`. Without `names`, only their number.
pub fn describe_speakers(clips: &[Clip], names: bool) -> String {
    let (unknown, known): (Vec<Clip>, Vec<Clip>) = clips
        .iter()
        .cloned()
        .partition(|clip| clip.speaker.is_empty());
    let speakers = speakers(&known);
    let names = if names {
        format!(" ({})", first_names(&speakers))
    } else {
        String::new()
    };
    match (speakers.len(), unknown.len()) {
        (0, _) => "unknown speakers".to_string(),
        (count, 0) => format!("{}{names}", counted(count, "speaker")),
        (count, unknown) => format!(
            "{}{names}, unknown for {}",
            counted(count, "speaker"),
            counted(unknown, "clip")
        ),
    }
}

/// The first names of a list for one line of output, and the number of the others.
pub fn first_names<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 30;
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.len() <= SHOWN + 1 {
        return names.join(", ");
    }
    let others = names.len() - SHOWN;
    format!("{} and {others} more", names[..SHOWN].join(", "))
}

/// The names of the corpora that are recognised, by their file names or by a table.
fn known() -> String {
    let kinds = CorpusKind::value_variants().iter();
    let kinds = kinds.filter(|kind| !matches!(kind, CorpusKind::Demo | CorpusKind::Folders));
    let names: Vec<String> = kinds.map(CorpusKind::to_string).collect();
    names.join(", ")
}

/// The reason that a folder cannot be used as a corpus. Each message gives the next step.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum CorpusError {
    #[error("there is no folder {}; give the folder with the recordings (data/README.md lists \
             sources of recordings)", .0.display())]
    NoFolder(PathBuf),
    #[error("{} is a file; give the folder with the recordings", .0.display())]
    NotAFolder(PathBuf),
    #[error("{} cannot be searched: {reason}", .folder.display())]
    Unreadable { folder: PathBuf, reason: String },
    #[error("{} contains more than {most} files and folders; give the folder with the recordings, \
             not the whole disk", .folder.display())]
    TooManyEntries { folder: PathBuf, most: usize },
    #[error("no recording in {}; give a folder with recordings (the folder and all its \
             subfolders are searched for names that end in .wav, .flac, .mp3 and so on)", .0.display())]
    NoRecordings(PathBuf),
    #[error("no recording in {} can be used. Skipped files and folders: {count}, the first is {}: {}",
            .folder.display(), .first.file.display(), .first.reason)]
    AllSkipped {
        folder: PathBuf,
        count: usize,
        first: Skipped,
    },
    #[error("{} contains {count} recordings, but their names do not follow the rule of a \
             supported corpus ({}), and {seen}. The first recording is {}. \
             Give the meaning of the folders with --layout CLASS, --layout CLASS/SPEAKER or --layout SPEAKER/CLASS, \
             arrange the files as CLASS/SPEAKER/clip.wav (or CLASS/clip.wav), or select the corpus \
             with --corpus", .folder.display(), known(), .first.display())]
    UnknownNames {
        folder: PathBuf,
        count: usize,
        first: PathBuf,
        seen: String,
    },
    #[error("{} has several corpora: {corpora}. Select one of them with --corpus; a training and a score can \
             also use several, with a name for each, so that their speakers and labels are kept apart: {flags}", .folder.display())]
    SeveralCorpora {
        folder: PathBuf,
        corpora: String,
        flags: String,
    },
    #[error("{} only looks like RAVDESS: {foreign} of {all} file names have its form, but values that it \
             does not have. The first is {}: {value}. The numbers probably mean other emotions (BanglaSER \
             has such names: 01 happy, 02 sad, 03 angry, 04 surprise, 05 neutral). List the recordings with \
             their labels in a manifest (--manifest), or arrange them as CLASS/SPEAKER/clip.wav", .folder.display(), .first.display())]
    LooksLikeRavdess {
        folder: PathBuf,
        foreign: usize,
        all: usize,
        first: PathBuf,
        value: String,
    },
    #[error("{}: the labels of {kind} are in tables beside the recordings ({tables}), and none of them is \
             there; add them, or list the recordings in a manifest", .folder.display())]
    NoTable {
        folder: PathBuf,
        kind: CorpusKind,
        tables: &'static str,
    },
    #[error("no file name in {} follows the rule of {kind}; the first recording is {}. \
             Leave --corpus out to let emovox recognise the corpus", .folder.display(), .first.display())]
    NotOfKind {
        folder: PathBuf,
        kind: CorpusKind,
        first: PathBuf,
    },
    #[error("no recording in {} is in folders as --layout {layout} describes them; the first recording is {}, \
             which is in {}. Give a layout with as many levels", .folder.display(), .first.display(),
            counted(.first.components().count().saturating_sub(1), "folder"))]
    NotOfLayout {
        folder: PathBuf,
        layout: Layout,
        first: PathBuf,
    },
    #[error("{} has recordings of one class only ('{class}'); a classifier needs at least two. Give the folder that contains one folder per class", .folder.display())]
    OneClass { folder: PathBuf, class: String },
    #[error("{} is in {name} as well as in an earlier corpus; each recording must be in one corpus only", .file.display())]
    InTwoCorpora { file: Excerpt, name: String },
    #[error("{}: {unclear} (the speakers are the folders inside those of the classes)", .folder.display())]
    UnclearSpeakers {
        folder: PathBuf,
        unclear: UnclearSpeakers,
    },
    #[error("no recording has the label {label}; the labels are {known}{hint}")]
    NoSuchLabel {
        label: String,
        known: String,
        hint: String,
    },
    #[error(
        "only {} is left of the labels {known}; a classifier needs at least two (--labels selects \
             labels, --map sets the label that another label counts as)",
        if .kept.is_empty() { "none" } else { .kept }
    )]
    FewLabels { kept: String, known: String },
    #[error(
        "the corpora have {} in common, of the labels {known}; a classifier needs at least two. With --labels \
             all, each corpus keeps its own labels; --map sets the label that another label counts as",
        if .kept.is_empty() { "no label" } else { .kept }
    )]
    FewCommonLabels { kept: String, known: String },
}

/// Settings of a scan.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// The kind of the corpus; if it is not given, it is recognised.
    pub kind: Option<CorpusKind>,
    /// The meaning of the folders; if it is not given, it is recognised.
    pub layout: Option<Layout>,
    /// Meanings of names of folders for the subsets of a split.
    pub subset_words: SubsetWords,
}

/// Finds the recordings of a corpus in a folder and all its subfolders.
///
/// Without a `kind`, the corpus is recognised by its file names. Files that do not follow the rule
/// are listed in [`Corpus::skipped`].
///
/// # Errors
/// If the folder does not exist, has no recordings, follows no rule, or has fewer than two classes.
pub fn scan(folder: &Path, kind: Option<CorpusKind>) -> Result<Corpus, CorpusError> {
    let options = ScanOptions {
        kind,
        ..ScanOptions::default()
    };
    scan_with(folder, &options)
}

/// Like [`scan`], with more settings.
///
/// # Errors
/// See [`scan`].
pub fn scan_with(folder: &Path, options: &ScanOptions) -> Result<Corpus, CorpusError> {
    let found = find_recordings(folder)?;
    found.require(folder)?;
    let Found {
        recordings: files,
        skipped,
        tables,
    } = found;
    let (reading, table) = match label_tables::recognise(folder, &files, &tables, options.kind) {
        Some(reading_and_table) => reading_and_table,
        None => {
            let reading = recognise(folder, &files, options)?;
            let table = LabelTable::read(folder, &tables, reading.kind);
            (reading, table)
        }
    };
    let kind = reading.kind;
    if table.files.is_empty() && label_tables::KINDS.contains(&kind) {
        return Err(CorpusError::NoTable {
            folder: folder.into(),
            kind,
            tables: label_tables::names(kind),
        });
    }
    let mut corpus = Corpus {
        skipped,
        notes: reading.notes.clone(),
        rules: vec![reading.rule.clone()],
        // The published split of ESD shares its speakers.
        given_on_request: kind == CorpusKind::Esd,
        ..Corpus::empty(kind, folder.into())
    };
    let source = LabelSource {
        reading: &reading,
        table: &table,
    };
    read_labels(&mut corpus, &files, &source);
    subsets::assign(&mut corpus, &reading, &table, &options.subset_words);
    // Users type the names of these folders; in a known corpus, each speaker has one code.
    if kind == CorpusKind::Folders {
        let merged = spelling::merge_speakers(&mut corpus.clips);
        let merged = merged.map_err(|unclear| CorpusError::UnclearSpeakers {
            folder: folder.into(),
            unclear,
        })?;
        corpus.notes.extend(merged);
        let merged = spelling::merge_labels(&mut corpus.clips);
        corpus.notes.extend(merged);
    }
    match classes(&corpus.clips).as_slice() {
        [] => {
            let (folder, first) = (folder.into(), files[0].clone());
            Err(match &options.layout {
                Some(layout) => CorpusError::NotOfLayout {
                    folder,
                    layout: layout.clone(),
                    first,
                },
                None => CorpusError::NotOfKind {
                    folder,
                    kind,
                    first,
                },
            })
        }
        [class] => Err(CorpusError::OneClass {
            folder: folder.into(),
            class: class.clone(),
        }),
        _ => Ok(corpus),
    }
}

/// The source of the labels of a folder: its names, its folders, or a table.
struct LabelSource<'a> {
    reading: &'a Reading,
    table: &'a LabelTable,
}

impl LabelSource<'_> {
    /// The labels of a recording, or the reason that it has none.
    fn labels(&self, file: &Path) -> Result<Labels, String> {
        let kind = self.reading.kind;
        if file.to_str().is_none() {
            // A run stores the paths of its recordings in a text file.
            return Err("its path is not UTF-8; rename it".into());
        }
        if label_tables::KINDS.contains(&kind) {
            return self.table.labels(kind, file);
        }
        match &self.reading.layout {
            Some(layout) => layout
                .labels(file)
                .ok_or_else(|| format!("it is in no folder of a class (the folders are {layout})")),
            None => kind.parse(file).ok_or_else(|| kind.refusal(file)),
        }
    }
}

/// Adds a clip for each recording with labels, and lists the other recordings.
fn read_labels(corpus: &mut Corpus, files: &[PathBuf], source: &LabelSource) {
    let kind = corpus.kind;
    let mut names = BTreeSet::new();
    let mut results: Vec<(usize, Result<Clip, Skipped>)> = Vec::new();
    let mut ranked: Vec<(usize, &PathBuf)> = files.iter().enumerate().collect();
    ranked.sort_by_key(|(_, file)| kind.rank(file));
    for (place, file) in ranked {
        let mut is_copy = |labels: &Labels| {
            let name = kind.once(file, labels);
            name.is_some_and(|name| !names.insert(name.into_owned()))
        };
        let reason = match source.labels(file) {
            Ok(labels) if is_copy(&labels) => {
                "a second copy of the same recording, by its name".into()
            }
            Ok(labels) => {
                let clip = Clip {
                    file: file.into(),
                    label: labels.label,
                    corpus_label: labels.corpus_label,
                    corpus: String::new(),
                    speaker: labels.speaker,
                    sentence: labels.sentence,
                    content: None,
                };
                results.push((place, Ok(clip)));
                continue;
            }
            Err(reason) => reason,
        };
        let file = file.into();
        results.push((place, Err(Skipped { file, reason })));
    }
    results.sort_by_key(|&(place, _)| place);
    for (_, result) in results {
        match result {
            Ok(clip) => corpus.clips.push(clip),
            Err(skipped) => corpus.skipped.push(skipped),
        }
    }
}

#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod tests;
