//! Mapping between the classes of a model and the labels of recordings of another corpus.
//!
//! Corpora differ in their emotions: RAVDESS has calm, EmoDB boredom, TESS pleasant surprise. A
//! score across corpora depends on the mapping of such labels, so the mapping is reported and the
//! user can change it.

use std::collections::{BTreeMap, BTreeSet};

use super::Predictions;
use crate::corpus::emotion::LABEL_ALIASES;
use crate::corpus::spelling_key;

/// Label pairs (from, to): a clip with the label `from` is scored as `to`.
#[derive(Debug, Clone)]
pub struct LabelMap {
    /// Pairs of the user; they apply to the model and to the recordings.
    given: BTreeMap<String, String>,
    /// Default pairs, which apply only if they give the two sides a common label.
    default: &'static [(&'static str, &'static str)],
}

impl LabelMap {
    /// The map for recordings of another corpus: the default aliases, overridden by `given`. A
    /// given pair always applies, to the model and to the recordings. A label mapped to itself is
    /// unchanged.
    pub fn across(given: BTreeMap<String, String>) -> LabelMap {
        LabelMap {
            given,
            default: &LABEL_ALIASES,
        }
    }

    /// The map for recordings of the model's own corpus: only the pairs of `given`.
    pub fn within(given: BTreeMap<String, String>) -> LabelMap {
        LabelMap {
            given,
            default: &[],
        }
    }

    /// Maps the classes of a model and the labels of recordings to common classes.
    pub fn align<'a>(
        &self,
        classes: &[String],
        labels: impl IntoIterator<Item = &'a str>,
    ) -> AlignedLabels {
        let of_data: BTreeSet<&str> = labels.into_iter().collect();
        let of_model: BTreeSet<&str> = classes.iter().map(String::as_str).collect();
        // A default pair applies only if the other side has its target and does not have its
        // source.
        let target = |label: &str, other: &BTreeSet<&str>| {
            if let Some(to) = self.given.get(label) {
                return to.clone();
            }
            let default = self
                .default
                .iter()
                .find(|&&(from, to)| from == label && !other.contains(from) && other.contains(to));
            // A given pair may map the target of a default pair.
            let to = default.map_or(label, |&(_, to)| to);
            self.given.get(to).map_or(to, String::as_str).to_string()
        };
        let model = classes
            .iter()
            .map(|class| target(class, &of_data))
            .collect::<Vec<_>>();
        // `01` of the recordings is the class `1` of the model.
        let respelled = |label: String| {
            let key = spelling_key(&label);
            let mut same = model.iter().filter(|class| spelling_key(class) == key);
            match (model.contains(&label), same.next(), same.next()) {
                (false, Some(class), None) => class.clone(),
                _ => label,
            }
        };
        let data = of_data
            .iter()
            .map(|&label| (label.to_string(), respelled(target(label, &of_model))))
            .collect();
        let mut merged: Vec<String> = Vec::new();
        for class in &model {
            if !merged.contains(class) {
                merged.push(class.clone());
            }
        }
        AlignedLabels {
            from: classes.to_vec(),
            model,
            data,
            classes: merged,
        }
    }
}

/// Classes of a model and labels of recordings, mapped to common classes.
#[derive(Debug, Clone, PartialEq)]
pub struct AlignedLabels {
    /// The classes of the model.
    from: Vec<String>,
    /// The scored class of each model class, in the same order.
    model: Vec<String>,
    /// The scored class of each label of the recordings.
    data: BTreeMap<String, String>,
    /// The scored classes.
    classes: Vec<String>,
}

impl AlignedLabels {
    /// The scored classes: the targets of the model's classes, each once, in the model's order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The target of a label of the recordings; the label itself if it is not mapped.
    pub fn of(&self, label: &str) -> String {
        self.data.get(label).map_or(label, String::as_str).into()
    }

    /// Predictions over the scored [`classes`](Self::classes). `probabilities` [clips, model
    /// classes] are summed over the model classes with the same target; `truth` has indices into
    /// the scored classes.
    pub fn predictions(&self, probabilities: Vec<Vec<f32>>, truth: Vec<usize>) -> Predictions {
        let index = |class: &String| self.classes.iter().position(|merged| merged == class);
        let indices: Vec<Option<usize>> = self.model.iter().map(index).collect();
        let merge = |row: Vec<f32>| {
            let mut merged = vec![0.0; self.classes.len()];
            for (index, probability) in indices.iter().zip(row) {
                if let Some(index) = index {
                    merged[*index] += probability;
                }
            }
            merged
        };
        Predictions {
            classes: self.classes.clone(),
            truth,
            probabilities: probabilities.into_iter().map(merge).collect(),
        }
    }

    /// One sentence that lists every mapped label; none if no label was mapped.
    pub fn note(&self) -> Option<String> {
        let model = self
            .from
            .iter()
            .zip(&self.model)
            .map(|pair| (pair, "model"));
        let data = self.data.iter().map(|pair| (pair, "recordings"));
        let clauses: Vec<String> = model
            .chain(data)
            .filter(|((from, to), _)| from != to)
            .map(|((from, to), side)| format!("{from} of the {side} counts as {to}"))
            .collect();
        (!clauses.is_empty()).then(|| clauses.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.into()).collect()
    }

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pair = |&(from, to): &(&str, &str)| (from.into(), to.into());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_given_pair_maps_the_target_of_a_default_pair() {
        let map = LabelMap::across(given(&[("neutral", "calm")]));
        let mapped = map.align(&names(&["anger", "calm", "neutral"]), ["anger", "neutral"]);
        assert_eq!(mapped.classes(), names(&["anger", "calm"]));
        assert_eq!(mapped.of("neutral"), "calm");

        let map = LabelMap::across(given(&[("neutral", "anger")]));
        let mapped = map.align(
            &names(&["anger", "neutral", "sadness"]),
            ["anger", "boredom"],
        );
        assert_eq!(mapped.of("boredom"), "anger");
    }

    #[test]
    fn labels_of_the_models_own_corpus_are_not_mapped() {
        let model = names(&["calm", "neutral"]);
        let mapped = LabelMap::within(BTreeMap::new()).align(&model, ["neutral"]);
        assert_eq!(mapped.classes(), model);
    }

    #[test]
    fn default_pairs_map_labels_that_only_one_side_has() {
        let model = names(&["anger", "calm", "neutral", "surprise"]);
        let mapped =
            LabelMap::across(BTreeMap::new()).align(&model, ["anger", "boredom", "neutral"]);
        assert_eq!(mapped.classes(), names(&["anger", "neutral", "surprise"]));
        assert_eq!(mapped.of("boredom"), "neutral");
        assert_eq!(
            mapped.note().unwrap(),
            "calm of the model counts as neutral, boredom of the recordings counts as neutral"
        );
        let made = mapped.predictions(vec![vec![0.3, 0.25, 0.35, 0.1]], vec![1]);
        assert_eq!(made.predicted(), [1], "calm and neutral together");
        assert!((made.probabilities[0][1] - 0.6).abs() < 1e-6);
    }

    #[test]
    fn labels_of_both_sides_are_not_mapped() {
        let model = names(&["calm", "neutral"]);
        let mapped = LabelMap::across(BTreeMap::new()).align(&model, ["calm", "neutral"]);
        assert_eq!(mapped.classes(), model);
        assert_eq!(mapped.note(), None);
        let tess = names(&["neutral", "pleasant-surprise"]);
        let mapped = LabelMap::across(BTreeMap::new()).align(&tess, ["surprise"]);
        assert_eq!(mapped.classes(), names(&["neutral", "surprise"]));
    }

    #[test]
    fn a_default_pair_needs_its_target_on_the_other_side() {
        let mapped = LabelMap::across(BTreeMap::new()).align(&names(&["anger", "calm"]), ["anger"]);
        assert_eq!(mapped.classes(), names(&["anger", "calm"]));
    }

    #[test]
    fn a_given_pair_always_applies_and_can_keep_a_label() {
        let map = LabelMap::across(given(&[("boredom", "boredom"), ("calm", "neutral")]));
        let model = names(&["calm", "neutral"]);
        let mapped = map.align(&model, ["boredom", "calm", "neutral"]);
        assert_eq!(mapped.classes(), names(&["neutral"]));
        assert_eq!(mapped.of("calm"), "neutral");
        assert_eq!(mapped.of("boredom"), "boredom");
    }
}
