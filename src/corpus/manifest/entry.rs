//! The lines of manifests as clips, or as recordings that are left out.

use std::collections::BTreeMap;
use std::path::Path;

use super::label_map::LabelMap;
use super::place::Places;
use super::segments::{self, Lengths, Times};
use super::table::Row;
use super::{Manifest, ManifestError};
use crate::audio::Excerpt;
use crate::corpus::spelling::is_missing;
use crate::corpus::split::Subset;
use crate::corpus::subset_words::{SubsetUse, meaning};
use crate::corpus::{Clip, Skipped, emotion};

/// A line of a manifest.
pub(super) enum Entry {
    /// A clip, and its subset if the line has one.
    Clip(Clip, Option<Subset>),
    /// The subset or the label of the line is not used.
    Unused(Skipped),
    /// The recording does not exist.
    Missing(Skipped),
    /// The recording ends before the segment of the line.
    BehindEnd(Skipped),
}

/// Reads lines, one after the other.
pub(super) struct Entries<'a, F> {
    manifest: &'a Manifest,
    places: &'a Places,
    lengths: Lengths<F>,
    /// The recordings of earlier lines by their canonical paths, with the positions of the lines.
    listed: BTreeMap<Excerpt, String>,
}

impl<'a, F: Fn(&Path) -> Option<f64>> Entries<'a, F> {
    /// `seconds` returns the duration of a recording in seconds.
    pub fn new(manifest: &'a Manifest, places: &'a Places, seconds: F) -> Entries<'a, F> {
        Entries {
            manifest,
            places,
            lengths: Lengths::new(seconds),
            listed: BTreeMap::new(),
        }
    }

    /// Reads a line. `is_test` is true for the manifest whose clips are all in the test subset.
    ///
    /// # Errors
    /// If a cell is not valid, or if an earlier line has the same recording.
    pub fn read(
        &mut self,
        row: &Row,
        map: &LabelMap,
        is_test: bool,
    ) -> Result<Entry, ManifestError> {
        let root = &self.manifest.root;
        let path = self.places.of(&row.file.text);
        // One file can have several spellings of its path.
        let found = root.join(&path).canonicalize().ok();
        let times = Times::of(row)?;
        let placed = match &found {
            Some(found) => self.lengths.place(times, found),
            None => Ok(segments::as_listed(times)),
        };
        let (segment, mismatch) = match placed {
            Ok(segment) => (segment, None),
            Err(reason) => (segments::as_listed(times), Some(reason)),
        };
        let file = Excerpt { path, segment };
        let canonical = file.at(found.as_ref().unwrap_or(&file.path));
        if let Some(before) = self.listed.insert(canonical, row.file.place()) {
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
        let subset = self.subset_of(row, is_test)?;

        if subset == Some(SubsetUse::None) {
            let word = row.subset.as_ref().map_or("", |cell| &cell.text);
            let reason = format!(
                "it is in the subset '{word}', which is not used (--map-split '{word}=none')"
            );
            return Ok(Entry::Unused(Skipped { file, reason }));
        }
        if is_missing(&label) && !self.manifest.classes.contains(&label) {
            let reason = format!(
                "its label is '{}', which is not a class ({}); --map '{label}={label}' makes it one",
                row.label.text,
                row.label.place()
            );
            return Ok(Entry::Unused(Skipped { file, reason }));
        }
        let path = file.below(root).path;
        if !path.is_file() {
            let reason = if path.exists() {
                "it is a folder, a pipe or a device"
            } else {
                self.places.reason(&row.file.text)
            };
            let reason = format!("{reason} ({})", row.file.place());
            return Ok(Entry::Missing(Skipped { file, reason }));
        }
        if let Some(reason) = mismatch {
            let reason = format!("{reason} ({})", row.file.place());
            return Ok(Entry::BehindEnd(Skipped { file, reason }));
        }
        let speaker = row.speaker.as_ref();
        let clip = Clip {
            file,
            label,
            corpus_label: row.label.text.clone(),
            corpus: String::new(),
            speaker: speaker.map_or(String::new(), |cell| cell.text.clone()),
            sentence: String::new(),
            content: None,
        };
        Ok(Entry::Clip(clip, subset.and_then(SubsetUse::subset)))
    }

    /// The use of the subset in a line. All lines of the test manifest are in the test subset.
    fn subset_of(&self, row: &Row, is_test: bool) -> Result<Option<SubsetUse>, ManifestError> {
        let Some(cell) = &row.subset else {
            return Ok(is_test.then_some(SubsetUse::Test));
        };
        let word = &cell.text;
        let subset = meaning(word, &self.manifest.subset_words).ok_or_else(|| {
            cell.wrong(format!(
                "'{word}' is not a subset of a split; write train, validation (or dev, val) or test, or add \
                 --map-split '{word}=test' (or =train, =validation, or =none to leave these lines out)"
            ))
        })?;
        if is_test && ![SubsetUse::Test, SubsetUse::None].contains(&subset) {
            return Err(cell.wrong(format!(
                "'{word}' in the manifest of the test clips (--test-manifest)"
            )));
        }
        Ok(Some(subset))
    }
}
