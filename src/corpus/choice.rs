//! Selection of labels: the requested labels, or the labels that several corpora have in common.

use std::collections::{BTreeMap, BTreeSet};

use super::emotion::{self, LABEL_ALIASES, PRESETS};
use super::merge::source_of;
use super::near::{find_label, label_hints, near};
use super::spelling::{is_missing, merge_labels};
use super::{Clip, Corpus, CorpusError, Skipped, classes};
use crate::plural::{counted, is_or_are};

/// Requests the labels of all corpora, also those that only some of them have.
const ALL: &str = "all";

impl Corpus {
    /// Renames labels by aliases and removes clips of other labels.
    ///
    /// The aliases `counts_as` are always applied. With several corpora, only the labels that all
    /// of them have are used, because a model could recognise a label of one corpus only by the
    /// sound of its recordings. Before that, the default aliases are applied where one corpus lacks
    /// a label and has its alias: calm and boredom count as neutral, pleasant surprise counts as
    /// surprise. A list of `wanted` labels takes precedence over both rules; an empty list requests
    /// all labels, the name of a preset (`iemocap-4`) the labels and aliases of this convention, and
    /// `all` every label of any corpus.
    ///
    /// A word in `wanted` or `counts_as` means what a folder with this name means: `happy` is
    /// `happiness`.
    ///
    /// # Errors
    /// If no recording has a requested label, or if fewer than two labels remain.
    pub fn choose(
        &mut self,
        wanted: &[String],
        counts_as: &BTreeMap<String, String>,
    ) -> Result<(), CorpusError> {
        self.leave_out_missing(wanted, counts_as);
        let merged = merge_labels(&mut self.clips);
        self.notes.extend(merged);
        let known = classes(&self.clips);
        let (wanted, counts_as) = self.labels_of_words(wanted, counts_as)?;
        let original = self.labels_of_sources();
        self.rename(&counts_as);
        if !self.sources.is_empty() {
            let aliases = self.default_aliases(&wanted);
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
        let before = known;
        let known = classes(&self.clips);
        if let Some(lost) = wanted.iter().find(|&label| !known.contains(label)) {
            return Err(no_such_label(lost, &before));
        }
        let common = || known.iter().filter(|&label| self.is_in_all_sources(label));
        let of_all_sources = wanted.is_empty() && !self.sources.is_empty();
        let kept: Vec<String> = match (wanted.is_empty(), self.sources.is_empty()) {
            (true, true) => known.clone(),
            (true, false) => common().cloned().collect(),
            (false, _) => wanted,
        };
        if kept.len() < 2 {
            let (kept, known) = (kept.join(", "), known.join(", "));
            return Err(if of_all_sources {
                CorpusError::FewCommonLabels { kept, known }
            } else {
                CorpusError::FewLabels { kept, known }
            });
        }
        self.retain_labels(&kept);
        let hints = label_hints(&self.clips);
        self.notes.extend(hints);
        Ok(())
    }

    /// The labels of the words that the user typed. A label that only an alias gives is a label too.
    fn labels_of_words(
        &self,
        wanted: &[String],
        counts_as: &BTreeMap<String, String>,
    ) -> Result<(Vec<String>, BTreeMap<String, String>), CorpusError> {
        let known = classes(&self.clips);
        let find =
            |word: &String| find_label(word, &known).ok_or_else(|| no_such_label(word, &known));
        let mut aliases = BTreeMap::new();
        for (from, to) in counts_as {
            let to = find_label(to, &known).unwrap_or_else(|| emotion::common(to));
            aliases.insert(find(from)?, to);
        }
        let preset = |word: &String| PRESETS.iter().find(|preset| preset.name == word);
        if let [word] = wanted
            && let Some(preset) = preset(word)
        {
            for &(from, to) in preset.aliases {
                if known.iter().any(|label| label == from) {
                    let from = from.to_string();
                    aliases.entry(from).or_insert_with(|| to.to_string());
                }
            }
            let labels = preset.labels.iter().map(|label| label.to_string());
            return Ok((labels.collect(), aliases));
        }
        let with_targets: Vec<String> =
            [known.clone(), aliases.values().cloned().collect()].concat();
        if wanted == [ALL] {
            let is_renamed = |label: &String| aliases.get(label).is_some_and(|to| to != label);
            let labels: BTreeSet<String> = with_targets
                .into_iter()
                .filter(|label| !is_renamed(label))
                .collect();
            return Ok((labels.into_iter().collect(), aliases));
        }
        let mut labels: Vec<String> = Vec::new();
        for word in wanted {
            // The target of a default alias is checked after the aliases are applied.
            let default = LABEL_ALIASES.iter().map(|(_, to)| to.to_string());
            let default = default.into_iter().find(|to| *to == emotion::common(word));
            let label = find_label(word, &with_targets).or(default);
            let label = label.ok_or_else(|| no_such_label(word, &known))?;
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        Ok((labels, aliases))
    }

    /// Skips the clips whose label stands for a missing value, unless the user names this label.
    fn leave_out_missing(&mut self, wanted: &[String], counts_as: &BTreeMap<String, String>) {
        let named: BTreeSet<String> = wanted
            .iter()
            .chain(counts_as.keys())
            .map(|word| emotion::common(word))
            .collect();
        let is_named = |label: &String| named.contains(label);
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
            let left_out = before - self.clips.len();
            let names: Vec<String> = dropped.into_iter().collect();
            self.notes.push(format!(
                "{} {} left out (labels: {})",
                counted(left_out, "clip"),
                is_or_are(left_out),
                names.join(", ")
            ));
        }
    }
}

fn no_such_label(word: &str, known: &[String]) -> CorpusError {
    let meant = near(word, known.iter().map(String::as_str));
    let meant = meant.filter(|label| known.contains(label));
    CorpusError::NoSuchLabel {
        label: word.into(),
        known: known.join(", "),
        hint: meant.map_or(String::new(), |label| format!("; did you mean {label}?")),
    }
}
