//! Corpora whose labels are in tables beside the recordings: IEMOCAP, MSP-Podcast, MELD and
//! Emozionalmente.

mod emozionalmente;
mod iemocap;
mod meld;
mod msp_podcast;

pub(super) use iemocap::sex as iemocap_sex;
pub(super) use meld::subset_of as meld_subset;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::recognise::Reading;
use super::spelling::is_missing;
use super::split::Subset;
use super::{CorpusKind, Labels};
use crate::bounded;

/// The kinds whose labels are in tables.
pub(super) const KINDS: [CorpusKind; 4] = [
    CorpusKind::Iemocap,
    CorpusKind::MspPodcast,
    CorpusKind::Meld,
    CorpusKind::Emozionalmente,
];

/// The labels of a recording in a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// The labels. A label without a meaning, such as a missing agreement, is `unknown`.
    pub labels: Labels,
    /// The subset in the published split.
    pub subset: Option<Subset>,
    /// The word for a subset that is not used by default.
    pub unused: Option<String>,
}

/// The labels of a corpus, by the keys of the recordings.
#[derive(Debug, Default)]
pub(super) struct LabelTable {
    entries: BTreeMap<String, Entry>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

impl LabelTable {
    /// Reads the tables among `tables`, which are relative to the folder of the corpus.
    pub fn read(folder: &Path, tables: &[PathBuf], kind: CorpusKind) -> LabelTable {
        let mut table = LabelTable::default();
        for file in tables.iter().filter(|file| is_table(kind, file)) {
            // Annotations are in ASCII, but some files have letters of other encodings in remarks.
            let Ok(bytes) = bounded::read(&folder.join(file), bounded::TABLE) else {
                continue;
            };
            let text = String::from_utf8_lossy(&bytes);
            let entries = match kind {
                CorpusKind::Iemocap => iemocap::entries(&text),
                CorpusKind::MspPodcast => msp_podcast::entries(&text),
                CorpusKind::Meld => meld::entries(&text, file),
                _ => emozionalmente::entries(&text),
            };
            if !entries.is_empty() {
                table.files.push(file.clone());
            }
            table.entries.extend(entries);
        }
        for entry in table.entries.values_mut() {
            if is_missing(&entry.labels.speaker) {
                entry.labels.speaker.clear();
            }
        }
        table
    }

    /// The labels of a recording, or the reason that it has none.
    pub fn labels(&self, kind: CorpusKind, file: &Path) -> Result<Labels, String> {
        if kind != CorpusKind::Emozionalmente && kind.parse(file).is_none() {
            return Err(kind.refusal(file));
        }
        match self.get(kind, file) {
            None => Err(format!("the tables of {kind} have no label for it")),
            Some(Entry {
                unused: Some(subset),
                ..
            }) => Err(format!("it is in the subset '{subset}', which is not used")),
            Some(entry) => Ok(entry.labels.clone()),
        }
    }

    /// The entry of a recording.
    pub fn get(&self, kind: CorpusKind, file: &Path) -> Option<&Entry> {
        let stem = file.file_stem()?.to_str()?;
        match kind {
            CorpusKind::Meld => self.entries.get(&meld::key(meld::subset_of(file)?, stem)),
            _ => self.entries.get(stem),
        }
    }
}

/// The table of a corpus whose recordings have no rule for their names, if it has labels for most of
/// them.
pub(super) fn recognise(
    folder: &Path,
    files: &[PathBuf],
    tables: &[PathBuf],
    requested: Option<CorpusKind>,
) -> Option<(Reading, LabelTable)> {
    let kind = CorpusKind::Emozionalmente;
    if requested.is_some_and(|requested| requested != kind) {
        return None;
    }
    let table = LabelTable::read(folder, tables, kind);
    let known = files
        .iter()
        .filter(|file| table.get(kind, file).is_some())
        .count();
    if requested.is_none() && (known == 0 || 2 * known < files.len()) {
        return None;
    }
    let reading = Reading {
        kind,
        layout: None,
        rule: format!(
            "{} has the labels of {known} of {} files",
            names(kind),
            files.len()
        ),
        notes: Vec::new(),
    };
    Some((reading, table))
}

/// The names of the tables of a corpus, for a message.
pub(super) fn names(kind: CorpusKind) -> &'static str {
    match kind {
        CorpusKind::Iemocap => "dialog/EmoEvaluation/Ses….txt",
        CorpusKind::MspPodcast => "labels_consensus.csv",
        CorpusKind::Meld => "train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv",
        CorpusKind::Emozionalmente => "metadata/samples.csv",
        _ => "",
    }
}

/// True for the name of a table with labels.
pub(super) fn is_any_table(file: &Path) -> bool {
    KINDS.iter().any(|&kind| is_table(kind, file))
}

fn is_table(kind: CorpusKind, file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match kind {
        CorpusKind::Iemocap => {
            let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
            name.starts_with("Ses0") && name.ends_with(".txt") && folder == "EmoEvaluation"
        }
        CorpusKind::MspPodcast => name == "labels_consensus.csv",
        CorpusKind::Meld => name.ends_with("_sent_emo.csv"),
        CorpusKind::Emozionalmente => name == "samples.csv",
        _ => false,
    }
}

/// The labels in a file name of these corpora; the label itself is empty, because it is in a table.
pub(super) fn parse(kind: CorpusKind, stem: &str) -> Option<Labels> {
    match kind {
        CorpusKind::Iemocap => iemocap::parse(stem),
        CorpusKind::MspPodcast => msp_podcast::parse(stem),
        CorpusKind::Meld => meld::parse(stem),
        _ => None,
    }
}

/// The values of some columns in each line of a table with commas. Empty if a column is missing.
fn columns<const N: usize>(text: &str, names: [&str; N]) -> Vec<[String; N]> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let Ok(header) = reader.headers().cloned() else {
        return Vec::new();
    };
    let places = names.map(|name| header.iter().position(|column| column == name));
    if places.iter().any(Option::is_none) {
        return Vec::new();
    }
    let lines = reader.records().filter_map(Result::ok);
    lines
        .map(|line| {
            places.map(|place| {
                place
                    .and_then(|p| line.get(p))
                    .unwrap_or_default()
                    .to_string()
            })
        })
        .collect()
}

/// The stem of a file name in a table.
fn stem(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    stem.to_string()
}
