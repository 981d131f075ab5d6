//! Words for the subsets of a split, in manifests and in names of folders.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::spelling_key;
use super::split::Subset;

/// Meaning of a word for a subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubsetUse {
    /// The training subset.
    Train,
    /// The validation subset.
    Validation,
    /// The test subset.
    Test,
    /// No subset: the clips are left out.
    None,
}

impl SubsetUse {
    /// The subset; `None` if the clips are left out.
    pub fn subset(self) -> Option<Subset> {
        match self {
            SubsetUse::Train => Some(Subset::Train),
            SubsetUse::Validation => Some(Subset::Validation),
            SubsetUse::Test => Some(Subset::Test),
            SubsetUse::None => None,
        }
    }
}

impl FromStr for SubsetUse {
    type Err = String;

    fn from_str(word: &str) -> Result<SubsetUse, String> {
        match word {
            "none" => Ok(SubsetUse::None),
            _ => default_meaning(word).ok_or_else(|| {
                "a word for a subset means train, validation, test or none, as in Test1=test".into()
            }),
        }
    }
}

/// Meanings of words that the user gives, by the words.
pub type SubsetWords = BTreeMap<String, SubsetUse>;

/// The meaning of a word: the meaning that `given` has for some spelling of it, or the usual one.
pub(super) fn meaning(word: &str, given: &SubsetWords) -> Option<SubsetUse> {
    let key = spelling_key(word);
    let mut given = given.iter();
    let given = given.find(|(known, _)| spelling_key(known) == key);
    given
        .map(|(_, meaning)| *meaning)
        .or_else(|| default_meaning(word))
}

/// The usual meaning of a word: `train`, `Dev`, `test_set`, `training-data`. The word `evaluation`
/// has two meanings, so it has none here.
fn default_meaning(word: &str) -> Option<SubsetUse> {
    let letters = word.chars().filter(|letter| letter.is_alphanumeric());
    let word: String = letters.flat_map(char::to_lowercase).collect();
    let is = |part: &str| {
        let suffixes = ["set", "data", "split", "splits", "subset", "part"];
        let stem = suffixes.iter().find_map(|&end| word.strip_suffix(end));
        word == part || stem == Some(part)
    };
    let means = |words: &[&str]| words.iter().any(|word| is(word));
    if means(&["train", "training"]) {
        Some(SubsetUse::Train)
    } else if means(&["validation", "valid", "val", "dev", "devel", "development"]) {
        Some(SubsetUse::Validation)
    } else if means(&["test", "testing"]) {
        Some(SubsetUse::Test)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_words_and_given_words() {
        for (word, expected) in [
            ("Train", Some(SubsetUse::Train)),
            ("training_set", Some(SubsetUse::Train)),
            ("train-data", Some(SubsetUse::Train)),
            ("DEVELOPMENT", Some(SubsetUse::Validation)),
            ("val", Some(SubsetUse::Validation)),
            ("testset", Some(SubsetUse::Test)),
            ("evaluation", None),
            ("Test1", None),
            ("trainer", None),
            ("set", None),
        ] {
            assert_eq!(meaning(word, &SubsetWords::new()), expected, "{word}");
        }
        let given = SubsetWords::from([
            ("Test1".into(), SubsetUse::Test),
            ("test".into(), SubsetUse::None),
        ]);
        assert_eq!(meaning("test1", &given), Some(SubsetUse::Test));
        assert_eq!(meaning("TEST", &given), Some(SubsetUse::None));
        assert_eq!("dev".parse(), Ok(SubsetUse::Validation));
        assert!("Test1".parse::<SubsetUse>().is_err());
    }
}
