//! Spellings of names that users type: `spk03`, `Spk03 ` and `SPK3` are one speaker, and `n/a` is a
//! missing value.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::Clip;
use crate::plural::counted;

/// Words that stand for a missing value, in lower case.
const MISSING: [&str; 17] = [
    "nan",
    "none",
    "null",
    "n/a",
    "#n/a",
    "n.a.",
    "na",
    "<na>",
    "unknown",
    "<unk>",
    "unk",
    "undefined",
    "missing",
    "?",
    "??",
    "-",
    "--",
];

/// Maximum number of speakers in a list of a message.
const LISTED: usize = 10;

/// Error for speaker names that may be one person or several.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the speakers {spellings} may be one person or several; use one spelling for one person \
     everywhere, and different words or numbers for different people"
)]
pub struct UnclearSpeakers {
    /// The unclear groups of names, such as `'03' and 'spk03'`.
    pub spellings: String,
}

/// True for a word that programs write for a missing value: `nan`, `None`, `n/a`, `?`.
pub(super) fn is_missing(word: &str) -> bool {
    let word = folded(word);
    word.is_empty() || MISSING.contains(&word.as_str())
}

/// A key that is equal for all spellings of one name: without spaces around the name, in the
/// composed form of Unicode, without case, and without leading zeros of numbers. A number that a
/// program wrote as a fraction (`3.0`) is the same number.
pub fn spelling_key(name: &str) -> String {
    let key = without_leading_zeros(&folded(name));
    without_zero_fraction(&key).to_string()
}

/// `3.0` is `3`. Other words stay unchanged.
pub(super) fn without_zero_fraction(word: &str) -> &str {
    let Some((whole, fraction)) = word.split_once('.') else {
        return word;
    };
    let is_zero = !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0');
    if is_zero && is_number(whole.strip_prefix('-').unwrap_or(whole)) {
        whole
    } else {
        word
    }
}

/// Case folding as in Unicode, except for letters without another case: `ß` becomes `ss`, and the
/// `ς` at the end of a word becomes `σ`. Invisible characters are left out.
pub(super) fn folded(word: &str) -> String {
    let visible: String = word
        .chars()
        .filter(|letter| !is_invisible(*letter))
        .collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    let composed: String = words.join(" ").nfc().collect();
    let folded = composed.to_lowercase().to_uppercase().to_lowercase();
    folded.nfc().collect()
}

/// True for soft hyphens, zero-width and direction marks, and byte order marks.
fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

fn without_leading_zeros(text: &str) -> String {
    let mut shortened = String::new();
    let mut letters = text.chars().peekable();
    let mut in_number = false;
    while let Some(letter) = letters.next() {
        let more = letters.peek().is_some_and(char::is_ascii_digit);
        let leading_zero = letter == '0' && !in_number && more;
        in_number = letter.is_ascii_digit() && !leading_zero;
        if !leading_zero {
            shortened.push(letter);
        }
    }
    shortened
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The letters and digits of a key, without separators. A separator between two numbers becomes
/// `-`.
pub(super) fn skeleton(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    let is_separator = |letter: &char| " _-.:#/".contains(*letter);
    let mut skeleton = String::new();
    for run in letters.chunk_by(|a, b| is_separator(a) == is_separator(b)) {
        if !is_separator(&run[0]) {
            if ends_in_digit(&skeleton) && run[0].is_ascii_digit() {
                skeleton.push('-');
            }
            skeleton.extend(run);
        }
    }
    skeleton
}

fn ends_in_digit(text: &str) -> bool {
    text.ends_with(|letter: char| letter.is_ascii_digit())
}

/// Rejects `spk03` together with `spk_03`, or with the bare number `03`. `speakers` has the key of
/// each speaker and the count of each spelling.
fn reject_unclear(
    speakers: &BTreeMap<String, BTreeMap<String, usize>>,
) -> Result<(), UnclearSpeakers> {
    let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, spellings) in speakers {
        let first = spellings.keys().next();
        let quoted = first.map(|name| format!("'{name}'"));
        alike.entry(skeleton(key)).or_default().extend(quoted);
    }
    let mut unclear = Vec::new();
    for (skeleton, names) in &alike {
        let number = skeleton.trim_start_matches(char::is_alphabetic);
        let bare = if number != skeleton && is_number(number) {
            alike.get(number)
        } else {
            None
        };
        let names: Vec<&str> = bare
            .into_iter()
            .flatten()
            .chain(names)
            .map(String::as_str)
            .collect();
        if names.len() > 1 {
            unclear.push(names.join(" and "));
        }
    }
    if unclear.is_empty() {
        return Ok(());
    }
    let more = unclear.len().saturating_sub(LISTED);
    unclear.truncate(LISTED);
    if more > 0 {
        unclear.push(format!("{more} more such groups"));
    }
    Err(UnclearSpeakers {
        spellings: unclear.join("; "),
    })
}

/// Renames each speaker to its most frequent spelling, and turns missing values into unknown
/// speakers. Returns notes about both.
///
/// # Errors
/// If some names may be spellings of one name or names of several people.
pub(super) fn merge_speakers(clips: &mut [Clip]) -> Result<Vec<String>, UnclearSpeakers> {
    let mut notes = Vec::new();
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    let mut spellings: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for clip in clips.iter_mut().filter(|clip| !clip.speaker.is_empty()) {
        if is_missing(&clip.speaker) {
            *missing
                .entry(std::mem::take(&mut clip.speaker))
                .or_default() += 1;
        } else {
            let known = spellings.entry(spelling_key(&clip.speaker)).or_default();
            *known.entry(clip.speaker.clone()).or_default() += 1;
        }
    }
    for (word, count) in missing {
        notes.push(format!(
            "'{word}' is not the name of a speaker: the speaker of {} is unknown",
            counted(count, "clip")
        ));
    }
    reject_unclear(&spellings)?;

    let (renamed, merged) = kept_spellings("speaker", spellings);
    notes.extend(merged);
    for clip in clips {
        if let Some(kept) = renamed.get(&clip.speaker) {
            clip.speaker.clone_from(kept);
        }
    }
    Ok(notes)
}

/// Renames each label to its most frequent spelling: `01` and `1` are one class. Returns notes about
/// it.
pub(super) fn merge_labels(clips: &mut [Clip]) -> Vec<String> {
    let mut spellings: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for clip in clips.iter().filter(|clip| !is_missing(&clip.label)) {
        let known = spellings.entry(spelling_key(&clip.label)).or_default();
        *known.entry(clip.label.clone()).or_default() += 1;
    }
    let (renamed, merged) = kept_spellings("label", spellings);
    for clip in clips {
        if let Some(kept) = renamed.get(&clip.label) {
            clip.label.clone_from(kept);
        }
    }
    merged
}

/// The most frequent spelling for each other spelling, and notes about them. `spellings` has the key
/// of each name and the count of each spelling.
fn kept_spellings(
    what: &str,
    spellings: BTreeMap<String, BTreeMap<String, usize>>,
) -> (BTreeMap<String, String>, Vec<String>) {
    let mut merged = Vec::new();
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    for counts in spellings.into_values().filter(|counts| counts.len() > 1) {
        let mut names: Vec<(String, usize)> = counts.into_iter().collect();
        names.sort_by_key(|(_, count)| Reverse(*count));
        let mut names = names.into_iter().map(|(name, _)| name);
        let kept = names.next().unwrap_or_default();
        let others: Vec<String> = names.collect();
        let quoted: Vec<String> = others.iter().map(|name| format!("'{name}'")).collect();
        merged.push(format!(
            "{what} '{kept}' is also written {}: {} spellings of one {what}",
            quoted.join(", "),
            1 + others.len()
        ));
        renamed.extend(others.into_iter().map(|name| (name, kept.clone())));
    }
    if let Some(more) = merged.len().checked_sub(LISTED).filter(|&more| more > 0) {
        merged.truncate(LISTED);
        merged.push(format!("{more} more {what}s have several spellings"));
    }
    (renamed, merged)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::split::{Split, SplitConfig, split};
    use super::super::{Clip, speakers};
    use super::*;

    fn clips(names: &[&str]) -> Vec<Clip> {
        let clip = |(take, name): (usize, &&str)| Clip {
            file: format!("{take}.wav").into(),
            label: ["anger", "fear"][take % 2].into(),
            corpus_label: String::new(),
            corpus: String::new(),
            speaker: name.to_string(),
            sentence: String::new(),
            content: None,
        };
        names.iter().enumerate().map(clip).collect()
    }

    /// The speakers after merging, and the notes.
    fn merged(names: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut clips = clips(names);
        let notes = merge_speakers(&mut clips).unwrap();
        (speakers(&clips), notes)
    }

    #[test]
    fn names_that_differ_in_case_spaces_zeros_or_fractions_are_one_speaker() {
        let (one, notes) = merged(&["spk03", "Spk03 ", "spk03", "SPK3", " spk003"]);
        assert_eq!(one, ["spk03"]);
        assert_eq!(
            notes,
            [
                "speaker 'spk03' is also written ' spk003', 'SPK3', 'Spk03 ': 4 spellings of one speaker"
            ]
        );
        assert_eq!(
            merged(&["3", "03", "3.0", "03", "10", "10.0"]).0,
            ["03", "10"]
        );
        assert_eq!(merged(&["000", "0"]).0, ["0"]);
        assert_eq!(merged(&["Ann  Lee", "ann\u{a0}lee", "ANN LEE"]).0.len(), 1);
    }

    #[test]
    fn letters_are_compared_by_the_rules_of_unicode() {
        for (a, b) in [
            ("\u{feff}ann", "an\u{200b}n\u{ad}"),
            ("Zo\u{eb}", "ZOE\u{308}"),
            ("straße", "STRASSE"),
            ("ΣΟΦΟΣ", "σοφος"),
            ("\u{130}pek", "i\u{307}pek"),
            ("ẞ", "ss"),
        ] {
            assert_eq!(spelling_key(a), spelling_key(b), "{a} {b}");
        }
    }

    #[test]
    fn a_number_and_its_fraction_are_one_label() {
        for (word, number) in [("0.0", "0"), ("-1.00", "-1"), ("12.0", "12")] {
            assert_eq!(without_zero_fraction(word), number);
        }
        for word in ["0.5", "1.", ".0", "a.0", "1.0.0", "v2.0", "-"] {
            assert_eq!(without_zero_fraction(word), word);
        }
    }

    #[test]
    fn spellings_of_a_label_are_one_class() {
        let mut clips = clips(&["ann"; 6]);
        let labels = ["01", "1", "01", "unknown", "straße", "strasse"];
        for (clip, label) in clips.iter_mut().zip(labels) {
            clip.label = label.into();
        }
        let notes = merge_labels(&mut clips);
        let labels: Vec<&str> = clips.iter().map(|clip| clip.label.as_str()).collect();
        assert_eq!(labels, ["01", "01", "01", "unknown", "strasse", "strasse"]);
        assert_eq!(notes.len(), 2);
        assert_eq!(
            notes[0],
            "label '01' is also written '1': 2 spellings of one label"
        );
    }

    #[test]
    fn the_first_of_two_equally_frequent_spellings_is_kept() {
        assert_eq!(merged(&["b", "B"]).0, ["B"]);
        assert_eq!(merged(&["B", "b", "b"]).0, ["b"]);
    }

    #[test]
    fn different_names_stay_different_speakers() {
        let names = [
            "1-1", "11", "ann", "anna", "f03", "m03", "m30", "s1-f", "s1-m", "zoe", "zoë",
        ];
        assert_eq!(
            merged(&names),
            (names.map(String::from).to_vec(), Vec::new())
        );
    }

    #[test]
    fn names_that_may_be_one_person_or_two_are_rejected() {
        for (names, words) in [
            (&["03", "spk03", "04"][..], "'03' and 'spk03'"),
            (&["3", "Spk_03", "m7"], "'3' and 'Spk_03'"),
            (&["spk_03", "spk03"], "'spk03' and 'spk_03'"),
            (&["s1-3", "s1_03"], "'s1-3' and 's1_03'"),
            (&["#3", "3"], "'#3' and '3'"),
            (&["ann lee", "ann_lee"], "'ann lee' and 'ann_lee'"),
        ] {
            let error = merge_speakers(&mut clips(names)).unwrap_err().to_string();
            assert!(error.contains(words), "lacks {words}: {error}");
            assert!(error.contains("use one spelling for one person"), "{error}");
        }
    }

    #[test]
    fn a_long_list_of_unclear_names_is_cut() {
        let names: Vec<String> = (0..40)
            .flat_map(|n| [format!("{n}"), format!("p{n}")])
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let error = merge_speakers(&mut clips(&names)).unwrap_err().to_string();
        assert!(error.contains("; 30 more such groups may be"), "{error}");

        let names: Vec<String> = (10..50)
            .flat_map(|n| [format!("a{n}"), format!("A{n}")])
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (left, notes) = merged(&names);
        assert_eq!(left.len(), 40);
        assert_eq!(notes.len(), 11);
        assert_eq!(notes[10], "30 more speakers have several spellings");
    }

    #[test]
    fn words_for_a_missing_value_are_unknown_speakers() {
        for word in [
            "nan",
            "NaN",
            "None",
            "n/a",
            "N/A ",
            "na",
            "NULL",
            "unknown",
            "Unk",
            "?",
            "-",
            "undefined",
            "Missing",
            "<NA>",
            "#N/A",
            "  ",
        ] {
            assert!(is_missing(word), "{word}");
        }
        for word in [
            "nancy",
            "other",
            "no",
            "0",
            "none2",
            "x",
            "unknown person 3",
        ] {
            assert!(!is_missing(word), "{word}");
        }
        let (left, notes) = merged(&["Unknown", "ann", "Unknown", "?"]);
        assert_eq!(left, ["", "ann"]);
        assert_eq!(
            notes,
            [
                "'?' is not the name of a speaker: the speaker of 1 clip is unknown",
                "'Unknown' is not the name of a speaker: the speaker of 2 clips is unknown",
            ]
        );
    }

    /// The name of the person with this number.
    fn name(person: usize) -> String {
        let words = ["spk", "zoë ", "straße-", "ann lee ", "Σοφία", "İpek_"];
        format!("{}{}", words[person % words.len()], person + 1)
    }

    /// Another spelling of a name.
    fn respelled(name: &str, way: u8) -> String {
        let mut name = name.to_string();
        if way & 1 != 0 {
            name = name.to_uppercase();
        }
        if way & 2 != 0 {
            name = name.to_lowercase();
        }
        if way & 4 != 0 {
            name = name.nfd().collect();
        }
        if way & 8 != 0 {
            let number = name.find(|letter: char| letter.is_ascii_digit());
            number.inspect(|&number| name.insert_str(number, "00"));
        }
        if way & 16 != 0 {
            name = format!("  {} \t", name.replace(' ', "  "));
        }
        name
    }

    const TAKES: usize = 6;

    /// [`TAKES`] clips of each person; `way` returns the spelling of the speaker of each clip.
    fn spelled(people: usize, way: impl Fn(usize) -> u8) -> Vec<Clip> {
        let names: Vec<String> = (0..people * TAKES)
            .map(|clip| respelled(&name(clip / TAKES), way(clip)))
            .collect();
        clips(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn parted(clips: &mut [Clip], seed: u64) -> Split {
        merge_speakers(clips).unwrap();
        let config = SplitConfig {
            seed,
            ..SplitConfig::default()
        };
        split(clips, &config, &BTreeMap::new()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_respelled_name_has_the_same_key(person in 0usize..2000, first in 0u8..32, second in 0u8..32) {
            let name = name(person);
            let again = respelled(&respelled(&name, first), second);
            prop_assert_eq!(spelling_key(&again), spelling_key(&name));
        }

        #[test]
        fn few_clips_with_another_spelling_do_not_change_the_split(
            people in 3usize..20,
            ways in vec(0u8..32, 20 * TAKES),
            seed: u64,
        ) {
            let mut usual = spelled(people, |_| 0);
            // Two of six clips, so that the usual spelling remains the most frequent.
            let mut some = spelled(people, |clip| if clip % TAKES < 2 { ways[clip] } else { 0 });
            let expected = parted(&mut usual, seed);
            prop_assert_eq!(parted(&mut some, seed), expected);
            prop_assert_eq!(some, usual);
        }

        #[test]
        fn each_person_is_in_one_subset_with_any_spelling(
            people in 3usize..20,
            ways in vec(0u8..32, 20 * TAKES),
            seed: u64,
        ) {
            let mut clips = spelled(people, |clip| ways[clip]);
            let split = parted(&mut clips, seed);
            prop_assert!(!split.shared.any());
            prop_assert_eq!(speakers(&clips).len(), people);
            for subsets in split.subsets.chunks(TAKES) {
                prop_assert_eq!(subsets.iter().collect::<BTreeSet<_>>().len(), 1);
            }
        }
    }
}
