//! Sex of the speakers, for the corpora with this information.

use std::fmt;

use super::CorpusKind;

/// Sex of a speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are sufficient")]
pub enum Sex {
    Female,
    Male,
}

impl fmt::Display for Sex {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Sex::Female => "female",
            Sex::Male => "male",
        })
    }
}

impl Sex {
    /// Sex by the first letter of a word: `F` or `f` is a woman, `M` or `m` a man.
    pub(super) fn of_initial(word: &str) -> Option<Sex> {
        match word.chars().next()?.to_ascii_uppercase() {
            'F' => Some(Sex::Female),
            'M' => Some(Sex::Male),
            _ => None,
        }
    }
}

/// Counts of women and men: `5 women, 5 men`. `None` if the sex of a speaker is unknown.
pub fn women_and_men(kind: CorpusKind, speakers: &[String]) -> Option<String> {
    let sexes: Vec<Sex> = speakers
        .iter()
        .map(|speaker| kind.sex(speaker))
        .collect::<Option<_>>()?;
    let women = sexes.iter().filter(|&&sex| sex == Sex::Female).count();
    let count = |number: usize, one: &str, many: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{number} {many}")),
    };
    let both = [
        count(women, "woman", "women"),
        count(sexes.len() - women, "man", "men"),
    ];
    let both: Vec<String> = both.into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(", "))
}
