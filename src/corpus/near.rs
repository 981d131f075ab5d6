//! Labels that are nearly equal, such as `neutral` and `nuetral`: hints for the user.

use std::collections::BTreeMap;

use super::emotion::{self, WORDS, is_common};
use super::spelling::skeleton;
use super::{Clip, spelling_key};
use crate::escape::shell_word;
use crate::plural::counted;

/// Minimum number of letters of a label that is compared: `sad` and `mad` are different words.
const MIN_LETTERS: usize = 4;
/// Maximum number of hints.
const LISTED: usize = 10;

/// Hints about labels that may be misspellings of another label or of a known word.
pub fn label_hints(clips: &[Clip]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for clip in clips {
        *counts.entry(&clip.label).or_default() += 1;
    }
    let mut hints: Vec<String> = counts
        .iter()
        .filter_map(|(&label, &count)| {
            let more_frequent = |other: &str| counts.get(other).copied().unwrap_or(0) > count;
            let is_likely = |other: &&str| more_frequent(other) || is_common(other);
            let meant = near(label, counts.keys().copied().filter(is_likely))?;
            Some(format!(
                "the label '{label}' ({}) is almost '{meant}': did you mean one class? {} merges them",
                counted(count, "clip"),
                map_flag(label, &meant)
            ))
        })
        .collect();
    if let Some(more) = hints.len().checked_sub(LISTED).filter(|&more| more > 0) {
        hints.truncate(LISTED);
        hints.push(format!(
            "{more} more labels are almost equal to other labels"
        ));
    }
    hints
}

/// The label that a misspelled label may mean: one of `others`, or the label of a known word.
pub(super) fn near<'a>(label: &str, others: impl Iterator<Item = &'a str>) -> Option<String> {
    if is_common(label) {
        return None;
    }
    let is_near = |other: &&str| *other != label && are_near(label, other);
    let mut others = others.filter(is_near);
    let known = || WORDS.iter().find(|(word, _)| are_near(label, word));
    let meant = others.next().or_else(|| known().map(|(_, label)| *label));
    meant.map(str::to_string)
}

/// The flag that makes one label count as another one.
fn map_flag(from: &str, to: &str) -> String {
    format!("--map {}", shell_word(&format!("{from}={to}")))
}

/// True for two labels that differ only in separators and punctuation, or by one letter that is
/// added, left out, replaced, or exchanged with its neighbour. Different numbers are different.
fn are_near(a: &str, b: &str) -> bool {
    let letters = |label: &str| -> Vec<char> {
        let key = skeleton(&spelling_key(label));
        key.chars().filter(|c| c.is_alphanumeric()).collect()
    };
    let (a, b) = (letters(a), letters(b));
    let digits = |label: &[char]| -> String { label.iter().filter(|c| c.is_numeric()).collect() };
    if a.is_empty() || digits(&a) != digits(&b) {
        return false;
    }
    a == b || (a.len().min(b.len()) >= MIN_LETTERS && is_one_edit(&a, &b))
}

fn is_one_edit(a: &[char], b: &[char]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let same = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    let (short, long) = (&short[same..], &long[same..]);
    match long.len() - short.len() {
        0 => {
            short[1..] == long[1..]
                || (short.len() > 1
                    && (short[0], short[1]) == (long[1], long[0])
                    && short[2..] == long[2..])
        }
        1 => *short == long[1..],
        _ => false,
    }
}

/// The label of a word that a user typed, among the labels of the clips: the same word, the label
/// that a folder with this word has, or another spelling of exactly one label.
pub fn find_label(word: &str, labels: &[String]) -> Option<String> {
    let common = emotion::common(word);
    for exact in [word, common.as_str()] {
        if let Some(label) = labels.iter().find(|label| *label == exact) {
            return Some(label.clone());
        }
    }
    let key = spelling_key(&common);
    let mut similar = labels.iter().filter(|label| spelling_key(label) == key);
    let found = similar.next()?;
    similar.next().is_none().then(|| found.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn misspelled_labels_are_near() {
        for (a, b) in [
            ("nuetral", "neutral"),
            ("neutral.", "neutral"),
            ("hapiness", "happiness"),
            ("bored_stiff", "bored stiff"),
            ("suprise", "surprise"),
            ("class-1", "class 1"),
            ("ärger", "arger"),
        ] {
            assert!(are_near(a, b) && are_near(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("sad", "mad"),
            ("class1", "class2"),
            ("emotion 10", "emotion 1"),
            ("anger", "fear"),
            ("anger", "agner x"),
            ("...", "!!!"),
        ] {
            assert!(!are_near(a, b), "{a} {b}");
        }
    }

    fn clips(labels: &[(&str, usize)]) -> Vec<Clip> {
        let clip = |label: &str| Clip {
            file: "a.wav".into(),
            label: label.into(),
            corpus_label: label.into(),
            corpus: String::new(),
            speaker: "ann".into(),
            sentence: String::new(),
            content: None,
        };
        let each = labels.iter();
        each.flat_map(|&(label, count)| vec![clip(label); count])
            .collect()
    }

    #[test]
    fn a_hint_has_the_line_to_type() {
        let notes = label_hints(&clips(&[("neutral", 9), ("neutral.", 1), ("nuetral", 1)]));
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("'neutral.' (1 clip) is almost 'neutral'"));
        assert!(notes[0].contains("--map neutral.=neutral"), "{notes:?}");
        assert!(notes[1].contains("--map nuetral=neutral"), "{notes:?}");
        // The word of the corpus is known, although no clip has its label.
        let notes = label_hints(&clips(&[("angyr", 3), ("fear", 3)]));
        assert!(notes[0].contains("--map angyr=anger"), "{notes:?}");
        let notes = label_hints(&clips(&[("bored stiff", 3), ("bored-stiff", 1)]));
        assert!(
            notes[0].contains("--map 'bored-stiff=bored stiff'"),
            "{notes:?}"
        );
        // Common labels and labels with other numbers are no misspellings.
        let plain = [("anger", 2), ("anxiety", 2), ("level1", 3), ("level2", 9)];
        assert!(label_hints(&clips(&plain)).is_empty());
    }

    #[test]
    fn a_typed_word_means_what_a_folder_with_this_word_means() {
        let labels = ["anger", "happiness", "01", "zo\u{eb}"].map(String::from);
        for (word, label) in [
            ("Angry", "anger"),
            (" joy ", "happiness"),
            ("1.0", "01"),
            ("ZOE\u{308}", "zo\u{eb}"),
        ] {
            assert_eq!(find_label(word, &labels).as_deref(), Some(label), "{word}");
        }
        assert_eq!(find_label("fear", &labels), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn one_changed_letter_is_near(word in "[a-z]{5,12}", place in 0usize..5, letter in "[a-z]") {
            let mut left_out = word.clone();
            left_out.remove(place);
            let mut replaced = word.clone();
            replaced.replace_range(place..=place, &letter);
            let mut swapped: Vec<char> = word.chars().collect();
            swapped.swap(place.min(word.len() - 2), place.min(word.len() - 2) + 1);
            let swapped: String = swapped.into_iter().collect();
            for other in [left_out, replaced, swapped] {
                prop_assert!(are_near(&word, &other), "{} {}", word, other);
                prop_assert!(are_near(&other, &word), "{} {}", word, other);
            }
        }

        /// The label of a word is a fixed point: a label that is typed again means itself.
        #[test]
        fn the_label_of_a_label_is_the_label(word in "\\PC{0,12}") {
            let label = emotion::common(&word);
            prop_assert_eq!(emotion::common(&label), label);
        }
    }
}
