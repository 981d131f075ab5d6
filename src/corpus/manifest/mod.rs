//! A manifest as a corpus: a table (with commas, semicolons or tabs, with or without a header), the
//! first sheet of a workbook (XLSX), or JSON: lines in the format of EmoBox, an array, or objects by
//! their ids.
//!
//! Every line has a file and a label, and may have a speaker, a subset of the split, and the times of
//! a segment of the file. An invalid entry is an error with its line and column. A recording that
//! does not exist, or that ends before its segment, is left out, as an unreadable recording is.

mod columns;
mod entry;
mod error;
mod grid;
mod json;
mod label_map;
mod place;
mod segments;
mod separated;
mod similar;
mod table;
mod time;
mod xlsx;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

pub use columns::Role;
pub use error::ManifestError;
pub(super) use label_map::MSP_PODCAST;

use super::merge::common_folder;
use super::spelling::{merge_labels, merge_speakers};
use super::split::Subset;
use super::subset_words::SubsetWords;
use super::{Clip, Corpus, CorpusKind, Labels, Skipped, classes};
use crate::audio::Excerpt;
use crate::plural::{counted, is_or_are};
use entry::{Entries, Entry};
use label_map::LabelMap;
use place::Places;
use table::{Row, Table};

/// The files of a manifest, and the folder of the recordings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Manifest {
    /// The manifest. If there is a second one, clips without a subset are in the training subset.
    pub file: PathBuf,
    /// A second manifest, whose clips are all in the test subset.
    pub test: Option<PathBuf>,
    /// The folder that the paths are relative to.
    pub root: PathBuf,
    /// A JSON object with the meaning of each label. Without one, the `label_map.json` of EmoBox is
    /// used if it is in the folder of a manifest in JSON Lines or in the folder above.
    pub label_map: Option<PathBuf>,
    /// The names of columns that differ from the usual names.
    pub columns: BTreeMap<Role, String>,
    /// Meanings of words in the column for the subset.
    pub subset_words: SubsetWords,
    /// Labels that are classes although they look like missing values, such as `unknown`.
    pub classes: BTreeSet<String>,
}

impl Manifest {
    /// Reads the manifests. `seconds` returns the duration of a recording in seconds; it is called
    /// only for files with a segment, and once for each of them.
    ///
    /// # Errors
    /// If a manifest cannot be read, if an entry is invalid, if most recordings do not exist or are
    /// shorter than their segments, or if there are fewer than two classes.
    pub fn read(&self, seconds: impl Fn(&Path) -> Option<f64>) -> Result<Corpus, ManifestError> {
        let tables = self.tables()?;
        let places = self.find_recordings(&tables)?;
        let mut entries = Entries::new(self, &places, seconds);
        let mut corpus = Corpus::empty(CorpusKind::Manifest, self.root.clone());
        corpus.notes.extend(places.notes());
        let has_subsets = self.test.is_some() || rows(&tables).any(|row| row.subset.is_some());
        let (mut missing, mut behind_end, mut unused) = (Vec::new(), Vec::new(), Vec::new());
        for Listed { table, is_test } in &tables {
            let map = LabelMap::of(self.label_map.as_deref(), table)?;
            for note in table.notes.iter().cloned().chain(map.note()) {
                if !corpus.notes.contains(&note) {
                    corpus.notes.push(note);
                }
            }
            for row in &table.rows {
                match entries.read(row, &map, *is_test)? {
                    Entry::Clip(clip, subset) => {
                        if has_subsets {
                            let subset = subset.unwrap_or(Subset::Train);
                            corpus.given.insert(clip.file.clone(), subset);
                        }
                        corpus.clips.push(clip);
                    }
                    Entry::Missing(recording) => missing.push(recording),
                    Entry::BehindEnd(recording) => behind_end.push(recording),
                    Entry::Unused(recording) => unused.push(recording),
                }
            }
        }
        self.check_missing(&missing, corpus.clips.len())?;
        let note = check_ends(&behind_end, corpus.clips.len())?;
        corpus.notes.extend(note);
        corpus.skipped = [missing, behind_end, unused].concat();
        self.finish(corpus)
    }

    /// Reads the manifest, and the one of the test clips.
    fn tables(&self) -> Result<Vec<Listed>, ManifestError> {
        let read = |file: &Path, is_test| {
            let table = Table::read(file, &self.columns)?;
            Ok(Listed { table, is_test })
        };
        let mut tables = vec![read(&self.file, false)?];
        if let Some(test) = &self.test {
            tables.push(read(test, true)?);
        }
        // A clip without a speaker may have the same speaker as a clip of the other manifest.
        if let Some(nameless) = rows(&tables).find(|row| row.speaker.is_none())
            && rows(&tables).any(|row| row.speaker.is_some())
        {
            return Err(nameless.file.wrong(
                "this manifest has no speakers, but the other manifest has; add the speakers to both, \
                 or to neither",
            ));
        }
        Ok(tables)
    }

    /// Finds the recordings of all lines below the root.
    fn find_recordings(&self, tables: &[Listed]) -> Result<Places, ManifestError> {
        // Several lines may be segments of one file.
        let mut known = HashSet::new();
        let files = rows(tables).map(|row| row.file.text.as_str());
        let files: Vec<&str> = files.filter(|file| known.insert(*file)).collect();
        Places::find(&self.root, &files).ok_or_else(|| {
            let first = &tables[0].table.rows[0];
            first.file.wrong(format!(
                "there is no recording {} in {}, and none of the others; set the folder that the paths \
                 are relative to with --root",
                first.file.text,
                self.root.display()
            ))
        })
    }

    /// Fails if more recordings are missing than found.
    fn check_missing(&self, missing: &[Skipped], found: usize) -> Result<(), ManifestError> {
        match missing.first() {
            Some(first) if missing.len() > found => Err(ManifestError::Lost {
                lost: missing.len(),
                all: missing.len() + found,
                root: self.root.clone(),
                first: first.file.path.clone(),
                reason: first.reason.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Makes the paths, speakers and labels uniform.
    fn finish(&self, mut corpus: Corpus) -> Result<Corpus, ManifestError> {
        make_relative(&mut corpus);
        corpus.notes.extend(segments::overlaps(&corpus.clips));
        let merged = merge_speakers(&mut corpus.clips).map_err(|unclear| {
            ManifestError::UnclearSpeakers {
                file: self.file.clone(),
                unclear,
            }
        })?;
        corpus.notes.extend(merged);
        let merged = merge_labels(&mut corpus.clips);
        corpus.notes.extend(merged);
        corpus.notes.extend(speakers_by_name(&mut corpus.clips));
        match classes(&corpus.clips).as_slice() {
            [] => Err(ManifestError::NoLabels(self.file.clone())),
            [only] => Err(ManifestError::OneClass {
                file: self.file.clone(),
                class: only.clone(),
                left_out: corpus.skipped.first().map_or(String::new(), |first| {
                    format!(
                        " apart from {} that {} left out, such as {}: {}",
                        counted(corpus.skipped.len(), "recording"),
                        is_or_are(corpus.skipped.len()),
                        first.file,
                        first.reason
                    )
                }),
            }),
            _ => Ok(corpus),
        }
    }
}

/// The content of a manifest file, and its use.
struct Listed {
    table: Table,
    /// True if all clips are in the test subset.
    is_test: bool,
}

fn rows(tables: &[Listed]) -> impl Iterator<Item = &Row> {
    tables.iter().flat_map(|listed| &listed.table.rows)
}

/// A note about clips whose segments are not in their recordings.
///
/// # Errors
/// If there are more of them than other clips.
fn check_ends(behind_end: &[Skipped], others: usize) -> Result<Option<String>, ManifestError> {
    let Some(first) = behind_end.first() else {
        return Ok(None);
    };
    let (lost, all) = (behind_end.len(), behind_end.len() + others);
    let (first, reason) = (first.file.path.clone(), first.reason.clone());
    if lost > others {
        return Err(ManifestError::BehindEnd {
            lost,
            all,
            first,
            reason,
        });
    }
    Ok(Some(format!(
        "{lost} of the {all} clips {} left out, because their segments are not in their recordings; the \
         first is in {}: {reason}",
        is_or_are(lost),
        first.display()
    )))
}

/// If the manifest has absolute paths, makes all paths relative to the deepest common folder, so
/// that the recordings can be moved like those of a corpus folder.
fn make_relative(corpus: &mut Corpus) {
    if !corpus.clips.iter().any(|clip| clip.file.path.is_absolute()) {
        return;
    }
    let root = std::path::absolute(&corpus.folder).unwrap_or(corpus.folder.clone());
    let folders = corpus.clips.iter();
    let folders = folders.filter_map(|clip| root.join(&clip.file.path).parent().map(PathBuf::from));
    let common = common_folder(&folders.collect::<Vec<_>>());
    let below = |file: &Excerpt| {
        let path = root.join(&file.path);
        file.at(path.strip_prefix(&common).unwrap_or(&path))
    };
    for clip in &mut corpus.clips {
        clip.file = below(&clip.file);
    }
    let given = std::mem::take(&mut corpus.given);
    corpus.given = given
        .into_iter()
        .map(|(file, subset)| (below(&file), subset))
        .collect();
    corpus.folder = common;
}

/// If no line has a speaker and all file names follow the rule of one corpus, takes the speakers
/// from the file names.
fn speakers_by_name(clips: &mut [Clip]) -> Option<String> {
    if clips.is_empty() || clips.iter().any(|clip| !clip.speaker.is_empty()) {
        return None;
    }
    let by = |kind: CorpusKind| -> Option<Vec<Labels>> {
        clips
            .iter()
            .map(|clip| kind.parse(&clip.file.path))
            .collect()
    };
    let mut known = CorpusKind::NAMED
        .into_iter()
        .filter_map(|kind| Some((kind, by(kind)?)));
    let is_known = |labels: &Vec<Labels>| labels.iter().all(|l| !l.speaker.is_empty());
    let (kind, labels) = known.find(|(_, labels)| is_known(labels))?;
    for (clip, labels) in clips.iter_mut().zip(labels) {
        (clip.speaker, clip.sentence) = (labels.speaker, labels.sentence);
    }
    Some(format!(
        "no line has a speaker; the speakers are read from the file names, which follow the rule of \
         {kind}"
    ))
}

#[cfg(test)]
mod tests;
