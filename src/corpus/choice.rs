//! Which labels are trained on: those that were asked for, or those that several corpora have in common.

use std::collections::{BTreeMap, BTreeSet};

use super::emotion::COUNTS_AS;
use super::spelling::is_missing;
use super::union::source_of;
use super::{Clip, Corpus, CorpusError, Skipped, classes};

impl Corpus {
    /// Counts labels as others and leaves out clips whose label is not wanted.
    ///
    /// `counts_as` holds always. Of several corpora the labels are those that all of them have, where
    /// calm and boredom count as neutral and pleasant surprise as surprise as soon as one of them lacks
    /// the former and has the latter: a label that one corpus has alone could be told by the sound of its
    /// recordings. `wanted` (none: all) decides otherwise.
    pub fn choose(
        &mut self,
        wanted: &[String],
        counts_as: &BTreeMap<String, String>,
    ) -> Result<(), CorpusError> {
        self.leave_out_missing(wanted, counts_as);
        let known = classes(&self.clips);
        if let Some(unknown) = counts_as.keys().find(|&label| !known.contains(label)) {
            return Err(self.no_such_label(unknown, &known));
        }
        let original = self.labels_of_sources();
        self.rename(counts_as);
        if !self.sources.is_empty() {
            let usual = self.usual(wanted);
            let becomes = |label: &String| {
                let given = counts_as.get(label).unwrap_or(label);
                usual.get(given).unwrap_or(given).clone()
            };
            self.counts_as = original
                .iter()
                .map(|labels| {
                    let pairs = labels.iter().map(|label| (label.clone(), becomes(label)));
                    pairs.filter(|(from, to)| from != to).collect()
                })
                .collect();
            self.rename(&usual);
        }
        let known = classes(&self.clips);
        if let Some(unknown) = wanted.iter().find(|&label| !known.contains(label)) {
            return Err(self.no_such_label(unknown, &known));
        }
        let of_all = || known.iter().filter(|&label| self.everywhere(label));
        let kept: Vec<String> = match (wanted.is_empty(), self.sources.is_empty()) {
            (true, true) => known.clone(),
            (true, false) => of_all().cloned().collect(),
            (false, _) => wanted.to_vec(),
        };
        if kept.len() < 2 {
            return Err(CorpusError::FewLabels {
                kept: kept.join(", "),
                known: known.join(", "),
            });
        }
        self.keep(&kept);
        Ok(())
    }

    fn no_such_label(&self, unknown: &str, known: &[String]) -> CorpusError {
        CorpusError::NoSuchLabel {
            label: unknown.into(),
            known: known.join(", "),
        }
    }

    /// Leaves out the clips in folders whose names stand for a missing value, unless the user names them.
    fn leave_out_missing(&mut self, wanted: &[String], counts_as: &BTreeMap<String, String>) {
        let is_named = |label: &String| wanted.contains(label) || counts_as.contains_key(label);
        let (kept, left_out) = std::mem::take(&mut self.clips)
            .into_iter()
            .partition(|clip| !is_missing(&clip.label) || is_named(&clip.label));
        self.clips = kept;
        self.skipped.extend(left_out.into_iter().map(|Clip { file, label, .. }| Skipped {
            file,
            reason: format!(
                "its label is '{label}', which is not a class; --map '{label}={label}' makes it one"
            ),
        }));
    }

    fn rename(&mut self, counts_as: &BTreeMap<String, String>) {
        for clip in &mut self.clips {
            if let Some(label) = counts_as.get(&clip.label) {
                clip.label.clone_from(label);
            }
        }
        for (from, to) in counts_as.iter().filter(|(from, to)| from != to) {
            self.notes.push(format!("{from} counts as {to}"));
        }
    }

    /// The usual pairs of which some corpus lacks the one and has the other. What is wanted stays.
    fn usual(&self, wanted: &[String]) -> BTreeMap<String, String> {
        let of_sources = self.labels_of_sources();
        let has = |label: &'static str| move |labels: &BTreeSet<String>| labels.contains(label);
        let joins = |&&(from, to): &&(&'static str, &'static str)| {
            let each_has_one = of_sources.iter().all(|l| has(from)(l) || has(to)(l));
            let asked = wanted.iter().any(|label| label == from);
            let wants = wanted.is_empty() || wanted.iter().any(|label| label == to);
            of_sources.iter().any(has(from))
                && !of_sources.iter().all(has(from))
                && each_has_one
                && wants
                && !asked
        };
        let pairs = COUNTS_AS.iter().filter(joins);
        pairs.map(|&(from, to)| (from.into(), to.into())).collect()
    }

    fn everywhere(&self, label: &str) -> bool {
        let of_sources = self.labels_of_sources();
        of_sources.iter().all(|labels| labels.contains(label))
    }

    /// The labels of each of several corpora.
    fn labels_of_sources(&self) -> Vec<BTreeSet<String>> {
        let mut labels = vec![BTreeSet::new(); self.sources.len()];
        for clip in &self.clips {
            if let Some(source) = source_of(&self.sources, clip) {
                labels[source].insert(clip.label.clone());
            }
        }
        labels
    }

    fn keep(&mut self, labels: &[String]) {
        let before = self.clips.len();
        let dropped: BTreeSet<String> = classes(&self.clips)
            .into_iter()
            .filter(|label| !labels.contains(label))
            .collect();
        self.clips.retain(|clip| labels.contains(&clip.label));
        if !dropped.is_empty() {
            let names: Vec<String> = dropped.into_iter().collect();
            self.notes.push(format!(
                "{} clips are left out, of {}",
                before - self.clips.len(),
                names.join(", ")
            ));
        }
    }
}
