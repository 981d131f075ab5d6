//! Selection of labels: the requested labels, or the labels that several corpora have in common.

use std::collections::{BTreeMap, BTreeSet};

use super::emotion::LABEL_ALIASES;
use super::merge::source_of;
use super::spelling::is_missing;
use super::{Clip, Corpus, CorpusError, Skipped, classes};

impl Corpus {
    /// Renames labels by aliases and removes clips of other labels.
    ///
    /// The aliases `counts_as` are always applied. With several corpora, only the labels that all
    /// of them have are used, because a model could recognise a label of one corpus only by the
    /// sound of its recordings. Before that, the default aliases are applied where one corpus lacks
    /// a label and has its alias: calm and boredom count as neutral, pleasant surprise counts as
    /// surprise. A list of `wanted` labels takes precedence over both rules; an empty list requests
    /// all labels.
    ///
    /// # Errors
    /// If no recording has a requested label, or if fewer than two labels remain.
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
            let aliases = self.default_aliases(wanted);
            let becomes = |label: &String| {
                let given = counts_as.get(label).unwrap_or(label);
                aliases.get(given).unwrap_or(given).clone()
            };
            self.counts_as = original
                .iter()
                .map(|labels| {
                    let pairs = labels.iter().map(|label| (label.clone(), becomes(label)));
                    pairs.filter(|(from, to)| from != to).collect()
                })
                .collect();
            self.rename(&aliases);
        }
        let known = classes(&self.clips);
        if let Some(unknown) = wanted.iter().find(|&label| !known.contains(label)) {
            return Err(self.no_such_label(unknown, &known));
        }
        let common = || known.iter().filter(|&label| self.is_in_all_sources(label));
        let kept: Vec<String> = match (wanted.is_empty(), self.sources.is_empty()) {
            (true, true) => known.clone(),
            (true, false) => common().cloned().collect(),
            (false, _) => wanted.to_vec(),
        };
        if kept.len() < 2 {
            return Err(CorpusError::FewLabels {
                kept: kept.join(", "),
                known: known.join(", "),
            });
        }
        self.retain_labels(&kept);
        Ok(())
    }

    fn no_such_label(&self, unknown: &str, known: &[String]) -> CorpusError {
        CorpusError::NoSuchLabel {
            label: unknown.into(),
            known: known.join(", "),
        }
    }

    /// Skips the clips whose label stands for a missing value, unless the user names this label.
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

    /// The default aliases `(from, to)` that apply: every corpus has one of the two labels, but not
    /// all corpora have `from`. A requested label keeps its name.
    fn default_aliases(&self, wanted: &[String]) -> BTreeMap<String, String> {
        let sources = self.labels_of_sources();
        let has = |label: &'static str| move |labels: &BTreeSet<String>| labels.contains(label);
        let applies = |&&(from, to): &&(&'static str, &'static str)| {
            let each_has_one = sources.iter().all(|l| has(from)(l) || has(to)(l));
            let from_requested = wanted.iter().any(|label| label == from);
            let to_requested = wanted.is_empty() || wanted.iter().any(|label| label == to);
            sources.iter().any(has(from))
                && !sources.iter().all(has(from))
                && each_has_one
                && to_requested
                && !from_requested
        };
        let pairs = LABEL_ALIASES.iter().filter(applies);
        pairs.map(|&(from, to)| (from.into(), to.into())).collect()
    }

    fn is_in_all_sources(&self, label: &str) -> bool {
        let sources = self.labels_of_sources();
        sources.iter().all(|labels| labels.contains(label))
    }

    /// The set of labels of each source corpus.
    fn labels_of_sources(&self) -> Vec<BTreeSet<String>> {
        let mut labels = vec![BTreeSet::new(); self.sources.len()];
        for clip in &self.clips {
            if let Some(source) = source_of(&self.sources, clip) {
                labels[source].insert(clip.label.clone());
            }
        }
        labels
    }

    fn retain_labels(&mut self, labels: &[String]) {
        let before = self.clips.len();
        let dropped: BTreeSet<String> = classes(&self.clips)
            .into_iter()
            .filter(|label| !labels.contains(label))
            .collect();
        self.clips.retain(|clip| labels.contains(&clip.label));
        if !dropped.is_empty() {
            let names: Vec<String> = dropped.into_iter().collect();
            self.notes.push(format!(
                "{} clips are left out (labels: {})",
                before - self.clips.len(),
                names.join(", ")
            ));
        }
    }
}
