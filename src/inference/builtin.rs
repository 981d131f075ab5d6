//! Trained models that are part of the program, so that it predicts without a training.

/// A trained model that is part of the program.
#[derive(Debug)]
pub struct BuiltinModel {
    /// Its name, which stands for a run if no run has this name.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// The model card, in Markdown: data, licences, scores, limits.
    pub card: &'static str,
    /// Its scores on the speakers that are not in its training, as in its card.
    pub scores: BuiltinScores,
    /// The content of its bundle.
    pub(super) bundle: &'static [u8],
}

/// Scores of a model that is part of the program, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BuiltinScores {
    /// Share of right predictions.
    pub accuracy: f64,
    /// Unweighted average recall.
    pub uar: f64,
    /// 95 % interval of the UAR over speakers.
    pub interval: (f64, f64),
    /// Number of clips.
    pub clips: usize,
    /// Number of speakers.
    pub speakers: usize,
    /// Number of the 40 checks of the stress test that are passed.
    pub checks_passed: usize,
}

/// All models that are part of the program; the first is the default.
pub const BUILTIN: [BuiltinModel; 1] = [BuiltinModel {
    name: "acted-6",
    summary: "six emotions in acted English and German speech (CREMA-D, EmoDB)",
    scores: BuiltinScores {
        accuracy: 0.651,
        uar: 0.649,
        interval: (0.610, 0.687),
        clips: 1262,
        speakers: 16,
        checks_passed: 34,
    },
    card: include_str!("../../data/models/acted-6.md"),
    bundle: include_bytes!("../../data/models/acted-6.emovox"),
}];

/// The names of all models.
pub(super) fn names() -> String {
    BUILTIN.map(|model| model.name).join(", ")
}

impl BuiltinModel {
    /// The model with a name.
    pub fn named(name: &str) -> Option<&'static BuiltinModel> {
        BUILTIN.iter().find(|model| model.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scores_are_those_of_the_card() {
        for model in &BUILTIN {
            let scores = model.scores;
            let percent = |value: f64| format!("{:.1}", 100.0 * value);
            let (low, high) = scores.interval;
            let row = format!(
                "| the {} speakers that are not in the training (95 % over speakers: {} to {}) | {} | {} | {} |",
                scores.speakers,
                percent(low),
                percent(high),
                scores.clips,
                percent(scores.accuracy),
                percent(scores.uar)
            );
            assert!(
                model.card.contains(&row),
                "{} has no line {row}",
                model.name
            );
        }
    }
}
