//! Meaning of the folders of a corpus without a rule for its file names: the level of the classes, of
//! the speakers, and of the subsets of a split.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::spelling::folded;
use super::subset_words::{SubsetUse, SubsetWords, meaning};
use super::{Labels, emotion};

/// Meaning of one level of folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The class of the clips.
    Class,
    /// The speaker of the clips.
    Speaker,
    /// The subset of the clips.
    Split,
    /// No meaning.
    Any,
}

const WORDS: [(&str, Level); 4] = [
    ("CLASS", Level::Class),
    ("SPEAKER", Level::Speaker),
    ("SPLIT", Level::Split),
    ("*", Level::Any),
];

/// The levels of a corpus folder, from the top: `CLASS/SPEAKER`, `SPEAKER/CLASS`,
/// `SPLIT/CLASS/SPEAKER`, `*/CLASS`. Deeper levels have no meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Layout(Vec<Level>);

impl Default for Layout {
    /// `CLASS/SPEAKER`
    fn default() -> Self {
        Layout(vec![Level::Class, Level::Speaker])
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let word = |level: &Level| WORDS.iter().find(|(_, l)| l == level).map_or("*", |w| w.0);
        let words: Vec<&str> = self.0.iter().map(word).collect();
        f.pad(&words.join("/"))
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Layout, String> {
        let level = |word: &str| {
            let known = WORDS
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(word));
            known.map(|&(_, level)| level)
        };
        let levels: Option<Vec<Level>> = text.trim_matches('/').split('/').map(level).collect();
        let count = |levels: &[Level], level| levels.iter().filter(|&&l| l == level).count();
        match levels {
            Some(levels)
                if count(&levels, Level::Class) == 1
                    && count(&levels, Level::Speaker) <= 1
                    && count(&levels, Level::Split) <= 1 =>
            {
                Ok(Layout(levels))
            }
            _ => Err(format!(
                "'{text}' does not give the meaning of folders; write CLASS once, and SPEAKER, SPLIT or * \
                 for the other levels, as in SPEAKER/CLASS"
            )),
        }
    }
}

impl TryFrom<String> for Layout {
    type Error = String;

    fn try_from(text: String) -> Result<Layout, String> {
        text.parse()
    }
}

impl From<Layout> for String {
    fn from(layout: Layout) -> String {
        layout.to_string()
    }
}

impl Layout {
    /// The labels of a recording by its folders. `None` if it is not in a folder of a class.
    pub(super) fn labels(&self, file: &Path) -> Option<Labels> {
        let folders = folders(file)?;
        let word = self.folder(&folders, Level::Class)?;
        let label = emotion::common(word);
        if label.is_empty() {
            return None;
        }
        let speaker = self.folder(&folders, Level::Speaker).unwrap_or_default();
        Some(Labels::new(label, word, speaker, ""))
    }

    /// The place of a level, from the top.
    pub(super) fn level(&self, level: Level) -> Option<usize> {
        self.0.iter().position(|&known| known == level)
    }

    fn folder<'a>(&self, folders: &[&'a str], level: Level) -> Option<&'a str> {
        folders.get(self.level(level)?).copied()
    }

    /// What the layout means for these recordings: `SPEAKER/CLASS (classes angry, sad; …)`.
    pub(super) fn describe(&self, files: &[PathBuf]) -> String {
        let named = |level: Level| {
            let names: BTreeSet<&str> = files
                .iter()
                .filter_map(|file| self.folder(&folders(file)?, level))
                .collect();
            some(names)
        };
        let mut parts = vec![format!("classes {}", named(Level::Class))];
        // No recording may be deep enough for the level of the speakers.
        match named(Level::Speaker) {
            speakers if speakers.is_empty() => parts.push("no speakers".into()),
            speakers => parts.push(format!("speakers {speakers}")),
        }
        if self.level(Level::Split).is_some() {
            parts.push(format!("subsets {}", named(Level::Split)));
        }
        format!("{self} ({})", parts.join("; "))
    }
}

/// The folders of a path; `None` for a path that is not UTF-8.
fn folders(file: &Path) -> Option<Vec<&str>> {
    let folders = file.parent()?.components();
    let name = |component| match component {
        Component::Normal(name) => std::ffi::OsStr::to_str(name),
        _ => None,
    };
    folders.map(name).collect()
}

/// The first names of a long list.
fn some<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<&str> = names.into_iter().collect();
    let first = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// A layout that was found, with its evidence.
#[derive(Debug, PartialEq)]
pub(super) struct Inferred {
    pub layout: Layout,
    /// True if names of emotions show the level of the classes.
    pub by_words: bool,
}

/// Finds the layout of the folders. Names of emotions show the classes; names with numbers are
/// speakers; `train`, `val` and `test` are a split; a level with one folder, or with women and men, has
/// no meaning.
///
/// # Errors
/// If neither rule fits: a description of the folders, as a sentence about the recordings.
pub(super) fn infer(files: &[PathBuf], words: &SubsetWords) -> Result<Inferred, String> {
    let tree = Tree::of(files);
    if tree.levels.is_empty() {
        return Err("they are in no folders".into());
    }
    let split = tree.split_level(words);
    tree.check_subsets(split, words)?;
    let class = tree.class_level(split);
    let layout = match class {
        Some(class) => tree.around(class, split),
        None => tree.without_words(split),
    };
    Ok(Inferred {
        layout: layout.map_err(|seen| format!("their folders have no clear meaning: {seen}"))?,
        by_words: class.is_some(),
    })
}

/// The level whose folders are the subsets of a split, of a corpus whose labels are in its file names.
pub(super) fn split_only(files: &[PathBuf], words: &SubsetWords) -> Option<usize> {
    Tree::of(files).split_level(words)
}

/// The folder of a recording at a level.
pub(super) fn folder_at(file: &Path, level: usize) -> Option<&str> {
    folders(file)?.get(level).copied()
}

/// The folders of some recordings.
struct Tree<'a> {
    paths: Vec<Vec<&'a str>>,
    /// The names of the folders of each level that at least half of the recordings have.
    levels: Vec<BTreeSet<&'a str>>,
}

impl<'a> Tree<'a> {
    fn of(files: &'a [PathBuf]) -> Tree<'a> {
        let paths: Vec<Vec<&str>> = files.iter().filter_map(|file| folders(file)).collect();
        let mut levels = Vec::new();
        loop {
            let names = paths.iter().filter_map(|path| path.get(levels.len()));
            let (count, names) = (names.clone().count(), names.copied().collect());
            if count == 0 || 2 * count < files.len() {
                return Tree { paths, levels };
            }
            levels.push(names);
        }
    }

    /// The level on which all recordings are in folders for at least two subsets, one of them for
    /// training.
    fn split_level(&self, words: &SubsetWords) -> Option<usize> {
        let is_split = |level: &usize| {
            let uses: Option<BTreeSet<SubsetUse>> = self.levels[*level]
                .iter()
                .map(|name| subset_use(name, &self.levels[*level], words).ok().flatten())
                .collect();
            let is_whole = self.paths.iter().all(|path| path.len() > *level);
            is_whole && uses.is_some_and(|uses| uses.len() > 1 && uses.contains(&SubsetUse::Train))
        };
        (0..self.levels.len()).find(is_split)
    }

    /// The level with the names of emotions. Below the first level, at least two names and half of the
    /// names must be known.
    fn class_level(&self, split: Option<usize>) -> Option<usize> {
        let known = |level: usize| {
            let names = &self.levels[level];
            names.iter().filter(|name| is_emotion(name)).count()
        };
        let fraction = |level: usize| known(level) as f64 / self.levels[level].len() as f64;
        let is_possible = |&level: &usize| {
            Some(level) != split
                && known(level) > 0
                && (level == 0 || known(level) == self.levels[level].len() || known(level) > 1)
                && (level == 0 || fraction(level) >= 0.5)
        };
        let levels = (0..self.levels.len()).rev().filter(is_possible);
        levels.max_by(|&a, &b| fraction(a).total_cmp(&fraction(b)))
    }

    /// The layout with a known level of classes.
    fn around(&self, class: usize, split: Option<usize>) -> Result<Layout, String> {
        let mut levels = vec![Level::Any; self.levels.len()];
        levels[class] = Level::Class;
        if let Some(split) = split {
            levels[split] = Level::Split;
        }
        let below = (class + 1..self.levels.len()).find(|&level| Some(level) != split);
        let above: Vec<usize> = (0..class)
            .filter(|&level| Some(level) != split && self.has_people(level))
            .collect();
        let speaker = match (above.last(), below) {
            (None, below) => below,
            (Some(&above), None) => Some(above),
            (Some(&above), Some(below)) => Some(self.nearer(above, below)?),
        };
        if let Some(speaker) = speaker {
            // The names of one level must be people whatever the folders above are.
            for &level in above.iter().filter(|&&level| level < speaker) {
                if let Some(name) = self.name_in_several(speaker, level) {
                    return Err(format!(
                        "the folder '{name}' is in several folders of level {} ({}), so it may be one \
                         speaker or several",
                        level + 1,
                        some(self.levels[level].iter().copied())
                    ));
                }
            }
            levels[speaker] = Level::Speaker;
        }
        let last = levels.iter().rposition(|&level| level != Level::Any);
        levels.truncate(last.map_or(0, |last| last + 1));
        Ok(Layout(levels))
    }

    /// The level of the speakers, if there are folders above and below those of the classes.
    fn nearer(&self, above: usize, below: usize) -> Result<usize, String> {
        if self.name_in_several(below, above).is_none() {
            return Ok(below);
        }
        let numbered = |level: usize| are_numbered(&self.levels[level]);
        match (numbered(above), numbered(below)) {
            (false, true) => Ok(below),
            _ => Err(format!(
                "the folders above those of the classes ({}) and the folders in them ({}) may both be \
                 speakers",
                some(self.levels[above].iter().copied()),
                some(self.levels[below].iter().copied())
            )),
        }
    }

    /// The layout without any name of an emotion.
    fn without_words(&self, split: Option<usize>) -> Result<Layout, String> {
        let mut rest: Vec<usize> = (0..self.levels.len())
            .filter(|&l| Some(l) != split)
            .collect();
        let last = rest.last().copied();
        // Levels with one folder are around the others.
        rest.retain(|&level| self.levels[level].len() > 1 || Some(level) == last);
        let names = |level: usize| some(self.levels[level].iter().copied());
        let numbered = |level: usize| are_numbered(&self.levels[level]);
        let (class, speaker) = match *rest.as_slice() {
            [] => return Err("the folders are subsets of a split only".into()),
            [only] if numbered(only) => {
                return Err(format!(
                    "the folders ({}) may be classes or speakers",
                    names(only)
                ));
            }
            [only] => (only, None),
            [upper, lower, ..] => match (numbered(upper), numbered(lower)) {
                (false, true) => (upper, Some(lower)),
                (true, false) if self.repeats(upper, lower) => (lower, Some(upper)),
                _ => {
                    return Err(format!(
                        "the folders ({}) and the folders in them ({}) may both be the classes",
                        names(upper),
                        names(lower)
                    ));
                }
            },
        };
        let used = [Some(class), speaker, split];
        let deepest = used.into_iter().flatten().max().unwrap_or(class);
        let mut levels = vec![Level::Any; deepest + 1];
        let meanings = [Level::Class, Level::Speaker, Level::Split];
        for (place, meaning) in used.into_iter().zip(meanings) {
            if let Some(place) = place {
                levels[place] = meaning;
            }
        }
        Ok(Layout(levels))
    }

    /// Rejects folders of which only some are subsets, and subsets with several meanings.
    fn check_subsets(&self, split: Option<usize>, words: &SubsetWords) -> Result<(), String> {
        for (_, names) in self
            .levels
            .iter()
            .enumerate()
            .filter(|(l, _)| Some(*l) != split)
        {
            let is_train = |name: &&str| meaning(name, words) == Some(SubsetUse::Train);
            if names.len() < 2 || !names.iter().any(is_train) {
                continue;
            }
            let other = names
                .iter()
                .find(|name| subset_use(name, names, words) == Ok(None));
            let unclear = names
                .iter()
                .find(|name| subset_use(name, names, words).is_err());
            if let Some(name) = other.or(unclear) {
                return Err(format!(
                    "some folders are subsets of a split ({}), but '{name}' is not known to be one; if it \
                     is, add --map-split '{name}=test' (or =validation, =train, =none)",
                    some(names.iter().copied())
                ));
            }
        }
        Ok(())
    }

    /// True if the folders of a level may be people: several, and not women and men, or parts.
    fn has_people(&self, level: usize) -> bool {
        let names = &self.levels[level];
        names.len() > 1 && !names.iter().all(|name| is_group(name))
    }

    /// A name of `level` that occurs in several folders of the level `above`.
    fn name_in_several(&self, level: usize, above: usize) -> Option<&'a str> {
        let mut inside: BTreeMap<&str, &str> = BTreeMap::new();
        self.paths.iter().find_map(|path| {
            let (&name, &outer) = (path.get(level)?, path.get(above)?);
            let known = *inside.entry(name).or_insert(outer);
            (known != outer).then_some(name)
        })
    }

    /// True if the names of `level` occur in most folders of the level `above`, as classes do.
    fn repeats(&self, above: usize, level: usize) -> bool {
        let pairs: BTreeSet<(&str, &str)> = self
            .paths
            .iter()
            .filter_map(|path| Some((*path.get(above)?, *path.get(level)?)))
            .collect();
        let most = self.levels[above].len() * self.levels[level].len();
        self.levels[above].len() > 1 && 2 * pairs.len() >= most
    }
}

/// The use of the subset with a name, among the names of all subsets. `evaluation` beside `test` is
/// validation. `None` for other names.
///
/// # Errors
/// If the name has several meanings.
pub(super) fn subset_use(
    name: &str,
    all: &BTreeSet<&str>,
    words: &SubsetWords,
) -> Result<Option<SubsetUse>, ()> {
    if let Some(known) = meaning(name, words) {
        return Ok(Some(known));
    }
    if !["eval", "evaluation"].contains(&folded(name).as_str()) {
        return Ok(None);
    }
    let means = |subset| all.iter().any(|name| meaning(name, words) == Some(subset));
    match (means(SubsetUse::Validation), means(SubsetUse::Test)) {
        (false, true) => Ok(Some(SubsetUse::Validation)),
        (true, false) => Ok(Some(SubsetUse::Test)),
        _ => Err(()),
    }
}

/// Words for emotions that have no common label.
const EMOTIONS: [&str; 24] = [
    "amused",
    "amusement",
    "anxious",
    "confused",
    "contempt",
    "depressed",
    "despair",
    "elation",
    "enthusiastic",
    "frustrated",
    "frustration",
    "hate",
    "hot_anger",
    "cold_anger",
    "love",
    "panic",
    "pride",
    "relaxed",
    "sarcasm",
    "sarcastic",
    "shame",
    "sleepiness",
    "stress",
    "worried",
];

/// True for the name of an emotion, also with a number: `angry`, `01_Happy`.
fn is_emotion(name: &str) -> bool {
    let word = folded(name).replace([' ', '-'], "_");
    let word =
        word.trim_matches(|letter: char| letter == '_' || letter == '.' || letter.is_numeric());
    emotion::label(word).is_some() || EMOTIONS.contains(&word)
}

/// Words for folders that are not people, without their numbers.
const GROUPS: [&str; 22] = [
    "female", "females", "male", "males", "woman", "women", "man", "men", "f", "m", "girls",
    "boys", "session", "part", "batch", "disc", "cd", "fold", "chunk", "english", "chinese",
    "mandarin",
];

/// True for the name of a group of speakers or of recordings.
fn is_group(name: &str) -> bool {
    let word = folded(name);
    let word = word.trim_end_matches(|letter: char| letter.is_numeric() || " _-.".contains(letter));
    GROUPS.contains(&word)
}

/// True if more than half of the names have a number, as names of speakers do.
fn are_numbered(names: &BTreeSet<&str>) -> bool {
    let has_number = |name: &&&str| name.contains(|letter: char| letter.is_numeric());
    2 * names.iter().filter(has_number).count() > names.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::*;

    /// One recording for each combination of the names of some levels.
    fn files(levels: &[&[&str]]) -> Vec<PathBuf> {
        let mut folders = vec![PathBuf::new()];
        for names in levels {
            let inside = |folder: &PathBuf| names.iter().map(|name| folder.join(name)).collect();
            folders = folders.iter().flat_map::<Vec<PathBuf>, _>(inside).collect();
        }
        folders.iter().map(|folder| folder.join("1.wav")).collect()
    }

    fn found(files: &[PathBuf]) -> Result<String, String> {
        infer(files, &SubsetWords::new()).map(|inferred| inferred.layout.to_string())
    }

    const WORDS: &[&str] = &["Angry", "happy", "sad"];
    const PEOPLE: &[&str] = &["ann", "bob", "cid"];
    const NUMBERS: &[&str] = &["0001", "0002", "0003"];
    const SPLIT: &[&str] = &["test", "train", "val"];

    #[test]
    fn the_classes_are_the_level_with_names_of_emotions() {
        for (levels, layout) in [
            (&[WORDS, PEOPLE][..], "CLASS/SPEAKER"),
            (&[PEOPLE, WORDS], "SPEAKER/CLASS"),
            (&[NUMBERS, WORDS], "SPEAKER/CLASS"),
            (&[NUMBERS, WORDS, SPLIT], "SPEAKER/CLASS/SPLIT"),
            (&[SPLIT, WORDS, PEOPLE], "SPLIT/CLASS/SPEAKER"),
            (&[SPLIT, PEOPLE, WORDS], "SPLIT/SPEAKER/CLASS"),
            (&[SPLIT, WORDS], "SPLIT/CLASS"),
            (&[&["recordings"], WORDS], "*/CLASS"),
            (&[&["a"], &["b"], WORDS, PEOPLE], "*/*/CLASS/SPEAKER"),
            (&[&["female", "male"], WORDS], "*/CLASS"),
            (&[&["Session1", "Session2"], WORDS], "*/CLASS"),
            (&[WORDS], "CLASS"),
            (&[WORDS, PEOPLE, &["monday", "tuesday"]], "CLASS/SPEAKER"),
            (&[&["01_angry", "02 happy"], NUMBERS], "CLASS/SPEAKER"),
            // One of the classes has a name of its own, and one of the speakers the name of an emotion.
            (
                &[&["ann", "joy", "bob"], &["angry", "mocking", "sad"]],
                "SPEAKER/CLASS",
            ),
            (&[&["mocking", "angry"], PEOPLE], "CLASS/SPEAKER"),
            (&[&["evaluation", "test", "train"], WORDS], "SPLIT/CLASS"),
        ] {
            assert_eq!(found(&files(levels)).as_deref(), Ok(layout), "{levels:?}");
        }
    }

    #[test]
    fn names_with_numbers_are_speakers() {
        let free: &[&str] = &["mocking", "praising"];
        for (levels, layout) in [
            (&[free, NUMBERS][..], "CLASS/SPEAKER"),
            (&[NUMBERS, free], "SPEAKER/CLASS"),
            (&[&["all"], NUMBERS, free], "*/SPEAKER/CLASS"),
            (&[free], "CLASS"),
            (&[SPLIT, free], "SPLIT/CLASS"),
            (&[free, SPLIT], "CLASS/SPLIT"),
            (&[NUMBERS, free, SPLIT], "SPEAKER/CLASS/SPLIT"),
            (&[&["all"], free, &["x"], NUMBERS], "*/CLASS/*/SPEAKER"),
        ] {
            assert_eq!(found(&files(levels)).as_deref(), Ok(layout), "{levels:?}");
        }
    }

    #[test]
    fn folders_that_fit_no_rule_are_refused_with_what_was_seen() {
        let free: &[&str] = &["mocking", "praising"];
        for (levels, seen) in [
            (
                &[free, PEOPLE][..],
                "(mocking, praising) and the folders in them (ann, bob, cid)",
            ),
            (&[NUMBERS], "(0001, 0002, 0003) may be classes or speakers"),
            (&[NUMBERS, NUMBERS], "may both be the classes"),
            (&[PEOPLE, WORDS, &["x", "y"]], "may both be speakers"),
            (
                &[&["one", "two"], PEOPLE, WORDS],
                "'ann' is in several folders of level 1",
            ),
            (
                &[&["train", "evaluation"], WORDS],
                "--map-split 'evaluation=test'",
            ),
            (
                &[&["train", "extra", "test"], WORDS],
                "'extra' is not known to be one",
            ),
        ] {
            let error = found(&files(levels)).unwrap_err();
            assert!(error.contains(seen), "lacks {seen}: {error}");
        }
        assert!(found(&[PathBuf::from("1.wav")]).is_err());
    }

    #[test]
    fn a_folder_that_is_only_sometimes_there_has_no_meaning() {
        let mut some = files(&[WORDS, PEOPLE]);
        some.push("Angry/ann/test/2.wav".into());
        some.push("Angry/ann/train/2.wav".into());
        assert_eq!(found(&some).as_deref(), Ok("CLASS/SPEAKER"));
    }

    #[test]
    fn a_layout_is_described_with_the_speakers_that_occur() {
        let layout: Layout = "CLASS/SPEAKER".parse().unwrap();
        assert_eq!(
            layout.describe(&files(&[WORDS])),
            "CLASS/SPEAKER (classes Angry, happy, sad; no speakers)"
        );
        assert_eq!(
            layout.describe(&files(&[WORDS, PEOPLE])),
            "CLASS/SPEAKER (classes Angry, happy, sad; speakers ann, bob, cid)"
        );
    }

    #[test]
    fn layouts_are_written_as_they_are_read() {
        for text in ["CLASS/SPEAKER", "*/SPEAKER/CLASS", "SPLIT/CLASS", "CLASS"] {
            assert_eq!(text.parse::<Layout>().unwrap().to_string(), text);
        }
        assert_eq!(
            "speaker/class/".parse::<Layout>().unwrap().to_string(),
            "SPEAKER/CLASS"
        );
        for wrong in [
            "",
            "SPEAKER",
            "CLASS/CLASS",
            "CLASS/SPEAKER/SPEAKER",
            "EMOTION",
        ] {
            assert!(wrong.parse::<Layout>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        /// Labels and speakers do not depend on the order of the folders and on levels around them.
        #[test]
        fn every_arrangement_gives_the_same_labels(
            emotions in subsequence(vec!["angry", "happy", "sad", "neutral", "fear"], 2..5),
            people in 2usize..6,
            wrapped: bool,
            is_split: bool,
            reversed: bool,
        ) {
            let people: Vec<String> = (0..people).map(|n| format!("spk{n:02}")).collect();
            let people: Vec<&str> = people.iter().map(String::as_str).collect();
            let mut levels: Vec<&[&str]> = Vec::new();
            if wrapped { levels.push(&["audio"]); }
            if is_split { levels.push(SPLIT); }
            let both: [&[&str]; 2] = [&emotions, &people];
            levels.extend(if reversed { [both[1], both[0]] } else { both });
            let files = files(&levels);
            let layout = infer(&files, &SubsetWords::new()).unwrap().layout;
            for file in &files {
                let labels = layout.labels(file).unwrap();
                prop_assert!(emotions.contains(&labels.corpus_label.as_str()));
                prop_assert!(people.contains(&labels.speaker.as_str()));
                prop_assert_eq!(layout.level(Level::Split).is_some(), is_split);
            }
        }
    }
}
