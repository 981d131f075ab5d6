//! Labels of a model and of recordings from elsewhere, brought together.
//!
//! Corpora differ in their emotions: RAVDESS has calm, EmoDB boredom, TESS pleasant surprise. A score
//! across corpora depends on what becomes of them, so it is said, and anyone can decide otherwise.

use std::collections::{BTreeMap, BTreeSet};

use super::Predictions;
use crate::corpus::emotion::COUNTS_AS;

/// What each label counts as.
#[derive(Debug, Clone)]
pub struct LabelMap {
    given: BTreeMap<String, String>,
    usual: &'static [(&'static str, &'static str)],
}

impl LabelMap {
    /// For recordings from elsewhere: the usual map, with some labels mapped otherwise. A given pair
    /// holds on both sides, always; a label mapped to itself stays what it is.
    pub fn across(given: BTreeMap<String, String>) -> LabelMap {
        LabelMap {
            given,
            usual: &COUNTS_AS,
        }
    }

    /// For the recordings that the model comes from: only what is given.
    pub fn within(given: BTreeMap<String, String>) -> LabelMap {
        LabelMap { given, usual: &[] }
    }

    /// Brings the classes of a model and the labels of recordings together.
    pub fn meet<'a>(
        &self,
        classes: &[String],
        labels: impl IntoIterator<Item = &'a str>,
    ) -> MappedLabels {
        let of_data: BTreeSet<&str> = labels.into_iter().collect();
        let of_model: BTreeSet<&str> = classes.iter().map(String::as_str).collect();
        // A usual pair joins two sides: the one label must be missing over there, and the other not.
        let target = |label: &str, other: &BTreeSet<&str>| {
            if let Some(to) = self.given.get(label) {
                return to.clone();
            }
            let usual = self
                .usual
                .iter()
                .find(|&&(from, to)| from == label && !other.contains(from) && other.contains(to));
            // Where it then is may itself be mapped.
            let to = usual.map_or(label, |&(_, to)| to);
            self.given.get(to).map_or(to, String::as_str).to_string()
        };
        let model = classes
            .iter()
            .map(|class| target(class, &of_data))
            .collect::<Vec<_>>();
        let data = of_data
            .iter()
            .map(|&label| (label.to_string(), target(label, &of_model)))
            .collect();
        let mut merged: Vec<String> = Vec::new();
        for class in &model {
            if !merged.contains(class) {
                merged.push(class.clone());
            }
        }
        MappedLabels {
            from: classes.to_vec(),
            model,
            data,
            classes: merged,
        }
    }
}

/// Classes and labels that have been brought together.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedLabels {
    /// The classes of the model.
    from: Vec<String>,
    /// What each of them counts as.
    model: Vec<String>,
    /// What each label of the recordings counts as.
    data: BTreeMap<String, String>,
    /// What is scored.
    classes: Vec<String>,
}

impl MappedLabels {
    /// What is scored: the targets of the model's classes, each once, in their order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What a label of the recordings counts as.
    pub fn of(&self, label: &str) -> String {
        self.data.get(label).map_or(label, String::as_str).into()
    }

    /// Probabilities over the model's classes, added up to those of [`classes`](Self::classes), and
    /// the truth in places among these.
    pub fn predictions(&self, probabilities: Vec<Vec<f32>>, truth: Vec<usize>) -> Predictions {
        let place = |class: &String| self.classes.iter().position(|merged| merged == class);
        let places: Vec<Option<usize>> = self.model.iter().map(place).collect();
        let merge = |row: Vec<f32>| {
            let mut merged = vec![0.0; self.classes.len()];
            for (place, probability) in places.iter().zip(row) {
                if let Some(place) = place {
                    merged[*place] += probability;
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

    /// One sentence for all that was mapped; none where nothing was.
    pub fn note(&self) -> Option<String> {
        let model = self
            .from
            .iter()
            .zip(&self.model)
            .map(|pair| (pair, "model"));
        let data = self.data.iter().map(|pair| (pair, "recordings"));
        let words: Vec<String> = model
            .chain(data)
            .filter(|((from, to), _)| from != to)
            .map(|((from, to), side)| format!("{from} of the {side} counts as {to}"))
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
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
    fn what_is_usual_goes_on_to_what_is_given() {
        let map = LabelMap::across(given(&[("neutral", "calm")]));
        let mapped = map.meet(&names(&["anger", "calm", "neutral"]), ["anger", "neutral"]);
        assert_eq!(mapped.classes(), names(&["anger", "calm"]));
        assert_eq!(mapped.of("neutral"), "calm");

        let map = LabelMap::across(given(&[("neutral", "anger")]));
        let mapped = map.meet(
            &names(&["anger", "neutral", "sadness"]),
            ["anger", "boredom"],
        );
        assert_eq!(mapped.of("boredom"), "anger");
    }

    #[test]
    fn a_model_s_own_recordings_are_scored_as_they_were() {
        let model = names(&["calm", "neutral"]);
        let mapped = LabelMap::within(BTreeMap::new()).meet(&model, ["neutral"]);
        assert_eq!(mapped.classes(), model);
    }

    #[test]
    fn each_side_s_own_labels_meet_the_other_s() {
        let model = names(&["anger", "calm", "neutral", "surprise"]);
        let mapped =
            LabelMap::across(BTreeMap::new()).meet(&model, ["anger", "boredom", "neutral"]);
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
    fn what_both_sides_know_stays() {
        let model = names(&["calm", "neutral"]);
        let mapped = LabelMap::across(BTreeMap::new()).meet(&model, ["calm", "neutral"]);
        assert_eq!(mapped.classes(), model);
        assert_eq!(mapped.note(), None);
        let tess = names(&["neutral", "pleasant-surprise"]);
        let mapped = LabelMap::across(BTreeMap::new()).meet(&tess, ["surprise"]);
        assert_eq!(mapped.classes(), names(&["neutral", "surprise"]));
    }

    #[test]
    fn without_the_target_over_there_nothing_is_gained_by_a_usual_pair() {
        let mapped = LabelMap::across(BTreeMap::new()).meet(&names(&["anger", "calm"]), ["anger"]);
        assert_eq!(mapped.classes(), names(&["anger", "calm"]));
    }

    #[test]
    fn a_given_pair_holds_always_and_can_keep_a_label() {
        let map = LabelMap::across(given(&[("boredom", "boredom"), ("calm", "neutral")]));
        let model = names(&["calm", "neutral"]);
        let mapped = map.meet(&model, ["boredom", "calm", "neutral"]);
        assert_eq!(mapped.classes(), names(&["neutral"]));
        assert_eq!(mapped.of("calm"), "neutral");
        assert_eq!(mapped.of("boredom"), "boredom");
    }
}
