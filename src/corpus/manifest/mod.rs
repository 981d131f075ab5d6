//! A manifest as a corpus: a table (with commas, semicolons or tabs, with or without a header), the
//! first sheet of a workbook (XLSX), or JSON: lines in the format of EmoBox, an array, or objects by
//! their ids.
//!
//! Every line has a file and a label, and may have a speaker, a subset of the split, and the times of
//! a segment of the file. An invalid entry is an error with its line and column. A recording that
//! does not exist, or that ends before its segment, is left out, as an unreadable recording is.

mod columns;
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
use super::spelling::{is_missing, merge_labels, merge_speakers};
use super::split::Subset;
use super::subset_words::{SubsetUse, SubsetWords, meaning};
use super::{Clip, Corpus, CorpusKind, Labels, Skipped, classes, emotion};
use crate::audio::Excerpt;
use crate::plural::is_or_are;
use label_map::LabelMap;
use place::Places;
use segments::{Lengths, Times};
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
        let mut tables = vec![(Table::read(&self.file, &self.columns)?, false)];
        if let Some(test) = &self.test {
            tables.push((Table::read(test, &self.columns)?, true));
        }
        let rows = || tables.iter().flat_map(|(table, _)| &table.rows);
        // A clip without a speaker may have the same speaker as a clip of the other manifest.
        if let Some(nameless) = rows().find(|row| row.speaker.is_none())
            && rows().any(|row| row.speaker.is_some())
        {
            return Err(nameless.file.wrong(
                "this manifest has no speakers, but the other manifest has; add the speakers to both, \
                 or to neither",
            ));
        }
        // Several lines may be segments of one file.
        let mut known = HashSet::new();
        let files = rows().map(|row| row.file.text.as_str());
        let files: Vec<&str> = files.filter(|file| known.insert(*file)).collect();
        let places = Places::find(&self.root, &files).ok_or_else(|| {
            let first = &tables[0].0.rows[0];
            first.file.wrong(format!(
                "there is no recording {} in {}, and none of the others; set the folder that the paths \
                 are relative to with --root",
                first.file.text,
                self.root.display()
            ))
        })?;

        let mut corpus = Corpus::empty(CorpusKind::Manifest, self.root.clone());
        corpus.notes.extend(places.notes());
        let has_parts = self.test.is_some() || rows().any(|row| row.part.is_some());
        let mut lines: BTreeMap<Excerpt, String> = BTreeMap::new();
        let mut unlabelled = Vec::new();
        let mut behind_end = Vec::new();
        let mut lengths = Lengths::new(seconds);
        for (table, tests) in &tables {
            let map = LabelMap::of(self.label_map.as_deref(), table)?;
            for note in table.notes.iter().cloned().chain(map.note()) {
                if !corpus.notes.contains(&note) {
                    corpus.notes.push(note);
                }
            }
            for row in &table.rows {
                let path = places.of(&row.file.text);
                // One file can have several spellings of its path.
                let found = self.root.join(&path).canonicalize().ok();
                let times = Times::of(row)?;
                let (segment, mismatch) = match &found {
                    Some(found) => match lengths.place(times, found) {
                        Ok(segment) => (segment, None),
                        Err(reason) => (segments::as_listed(times), Some(reason)),
                    },
                    None => (segments::as_listed(times), None),
                };
                let file = Excerpt { path, segment };
                let canonical = file.at(found.as_ref().unwrap_or(&file.path));
                if let Some(before) = lines.insert(canonical, row.file.place()) {
                    let listed = file.at(&row.file.text);
                    return Err(row.file.wrong(format!(
                        "{listed} is listed already, in {before}; list each recording once"
                    )));
                }
                let label = if is_missing(&row.label.text) && !map.has(&row.label) {
                    emotion::common(&row.label.text)
                } else {
                    emotion::common(map.meaning(&row.label)?)
                };
                let part = self.part_of(row, *tests)?;
                if part == Some(SubsetUse::None) {
                    let word = row.part.as_ref().map_or("", |cell| &cell.text);
                    unlabelled.push(Skipped {
                        file,
                        reason: format!(
                            "it is in the subset '{word}', which is not used (--map-split '{word}=none')"
                        ),
                    });
                    continue;
                }
                if is_missing(&label) && !self.classes.contains(&label) {
                    unlabelled.push(Skipped {
                        file,
                        reason: format!(
                            "its label is '{}', which is not a class ({}); --map '{label}={label}' \
                             makes it one",
                            row.label.text,
                            row.label.place()
                        ),
                    });
                    continue;
                }
                if !file.below(&self.root).path.is_file() {
                    corpus.skipped.push(Skipped {
                        file,
                        reason: format!("{} ({})", places.reason(&row.file.text), row.file.place()),
                    });
                    continue;
                }
                if let Some(reason) = mismatch {
                    behind_end.push(Skipped {
                        file,
                        reason: format!("{reason} ({})", row.file.place()),
                    });
                    continue;
                }
                if has_parts {
                    corpus.given.insert(
                        file.clone(),
                        part.and_then(SubsetUse::subset).unwrap_or(Subset::Train),
                    );
                }
                let speaker = row.speaker.as_ref();
                corpus.clips.push(Clip {
                    file,
                    label,
                    corpus_label: row.label.text.clone(),
                    corpus: String::new(),
                    speaker: speaker.map_or(String::new(), |cell| cell.text.clone()),
                    sentence: String::new(),
                    content: None,
                });
            }
        }
        if let Some(first) = corpus.skipped.first()
            && corpus.skipped.len() > corpus.clips.len()
        {
            return Err(ManifestError::Lost {
                lost: corpus.skipped.len(),
                all: corpus.skipped.len() + corpus.clips.len(),
                root: self.root.clone(),
                first: first.file.path.clone(),
                reason: first.reason.clone(),
            });
        }
        if let Some(first) = behind_end.first() {
            let (lost, all) = (behind_end.len(), behind_end.len() + corpus.clips.len());
            let (first, reason) = (first.file.path.clone(), first.reason.clone());
            if lost > corpus.clips.len() {
                return Err(ManifestError::BehindEnd {
                    lost,
                    all,
                    first,
                    reason,
                });
            }
            corpus.notes.push(format!(
                "{lost} of the {all} clips {} left out, because their segments are not in their \
                 recordings; the first is in {}: {reason}",
                is_or_are(lost),
                first.display()
            ));
        }
        corpus.skipped.extend(behind_end);
        corpus.skipped.extend(unlabelled);
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
            }),
            _ => Ok(corpus),
        }
    }

    /// The use of the subset in a line. All lines of the test manifest are in the test subset.
    fn part_of(&self, row: &Row, tests: bool) -> Result<Option<SubsetUse>, ManifestError> {
        let Some(cell) = &row.part else {
            return Ok(tests.then_some(SubsetUse::Test));
        };
        let word = &cell.text;
        let part = meaning(word, &self.subset_words).ok_or_else(|| {
            cell.wrong(format!(
                "'{word}' is not a subset of a split; write train, validation (or dev, val) or test, or add \
                 --map-split '{word}=test' (or =train, =validation, or =none to leave these lines out)"
            ))
        })?;
        if tests && ![SubsetUse::Test, SubsetUse::None].contains(&part) {
            return Err(cell.wrong(format!(
                "'{word}' in the manifest of the test clips (--test-manifest)"
            )));
        }
        Ok(Some(part))
    }
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
        .map(|(file, part)| (below(&file), part))
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
