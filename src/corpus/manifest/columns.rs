//! Roles of the columns of a manifest.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::shell_word;

/// Role of a column: the property of a clip that it contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Path of the recording.
    File,
    /// Emotion of the clip.
    Label,
    /// Name of the speaker.
    Speaker,
    /// Subset of the split: train, validation or test.
    Split,
    /// Start of the clip in the recording.
    Start,
    /// End of the clip in the recording.
    End,
    /// Duration of the clip; used for a clip with a start and without an end.
    Duration,
}

impl Role {
    /// All roles, in the order of the columns of a table without a header.
    pub(super) const ALL: [Role; 7] = [
        Role::File,
        Role::Label,
        Role::Speaker,
        Role::Split,
        Role::Start,
        Role::End,
        Role::Duration,
    ];

    /// True for the times of a segment.
    pub(super) fn is_time(self) -> bool {
        matches!(self, Role::Start | Role::End | Role::Duration)
    }

    /// The accepted names of a column with this role, in lower case. Case and separators make no
    /// difference, except for times.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Role::File => &[
                "file",
                "path",
                "wav",
                "audio",
                "filename",
                "file_name",
                "filepath",
                "file_path",
                "audio_file",
                "file_id",
                "clip",
            ],
            Role::Label => &["label", "emotion", "emo", "class", "emo_class"],
            Role::Speaker => &[
                "speaker",
                "spk",
                "speaker_id",
                "spk_id",
                "spkr_id",
                "actor",
                "subject",
            ],
            Role::Split => &["split", "part", "partition", "subset", "set", "split_set"],
            Role::Start => &[
                "start",
                "start_time",
                "start_s",
                "start_sec",
                "start_seconds",
                "begin",
                "begin_time",
                "segment_start",
            ],
            Role::End => &[
                "end",
                "end_time",
                "end_s",
                "end_sec",
                "end_seconds",
                "stop",
                "stop_time",
                "segment_end",
            ],
            Role::Duration => &[
                "duration",
                "duration_s",
                "duration_sec",
                "duration_seconds",
                "dur",
                "segment_duration",
            ],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Role::File => "file",
            Role::Label => "label",
            Role::Speaker => "speaker",
            Role::Split => "split",
            Role::Start => "start",
            Role::End => "end",
            Role::Duration => "duration",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Role, String> {
        let role = Role::ALL.into_iter().find(|role| role.to_string() == word);
        role.ok_or_else(|| {
            let roles = Role::ALL.map(|role| role.to_string());
            format!("a column can be {}", roles.join(", "))
        })
    }
}

/// The first names of a long list, for a message.
pub(super) fn some(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 20;
    let first: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Words in names of columns that may have this role.
fn words(role: Role) -> &'static [&'static str] {
    match role {
        Role::File => &[
            "file",
            "path",
            "wav",
            "audio",
            "clip",
            "recording",
            "sound",
            "utt",
        ],
        Role::Label => &[
            "label", "emo", "class", "categor", "mood", "affect", "target",
        ],
        Role::Speaker => &[
            "speaker",
            "spk",
            "actor",
            "actress",
            "subject",
            "talker",
            "participant",
            "person",
            "voice",
            "user",
            "caller",
        ],
        Role::Split => &["split", "partition", "subset", "set", "fold", "usage"],
        Role::Start => &["onset", "offset", "start", "begin"],
        Role::End | Role::Duration => &[],
    }
}

/// The words of a name in lower case: `SpkrID` has `spkr` and `id`.
fn words_of(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let continues = |a: &char, b: &char| {
        a.is_alphanumeric() == b.is_alphanumeric() && !(a.is_lowercase() && b.is_uppercase())
    };
    let words = letters.chunk_by(continues);
    let words = words.map(|word| word.iter().collect::<String>().to_lowercase());
    words.collect()
}

/// True if the name of a column has a word of the role, and no word for another property of it, as
/// `speaker_gender` has.
fn looks_like(name: &str, role: Role) -> bool {
    const OTHER: [&str; 8] = [
        "gender",
        "sex",
        "age",
        "lang",
        "accent",
        "text",
        "confidence",
        "score",
    ];
    let named = words_of(name);
    let has = |known: &[&str]| {
        named
            .iter()
            .any(|word| known.iter().any(|k| word.starts_with(k)))
    };
    has(words(role)) && !has(&OTHER)
}

/// Notes about columns without a role that may have the speaker, the split or the start.
pub(super) fn unused(names: &[String], roles: &BTreeMap<Role, usize>) -> Vec<String> {
    let mut notes = Vec::new();
    for role in [Role::Speaker, Role::Split, Role::Start] {
        if roles.contains_key(&role) {
            continue;
        }
        let is_candidate = |&(place, name): &(usize, &String)| {
            !roles.values().any(|&used| used == place) && looks_like(name, role)
        };
        let mut candidates = names.iter().enumerate().filter(is_candidate);
        if let Some((_, name)) = candidates.next() {
            notes.push(format!(
                "the column '{name}' is not used; if it has the {role} of each clip, add {}",
                column_flag(role, name)
            ));
        }
    }
    notes
}

/// The flag that selects a column.
fn column_flag(role: Role, name: &str) -> String {
    format!("--column {}", shell_word(&format!("{role}={name}")))
}

/// True if a column with this name has the role.
fn has_name(name: &str, role: Role) -> bool {
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(|letter| letter.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    match role {
        role if role.is_time() => role.names().contains(&name.to_lowercase().as_str()),
        _ => role.names().iter().any(|known| plain(known) == plain(name)),
    }
}

/// True for the path inside a nested value, as in `{"audio": {"path": "a.wav"}}`.
fn has_nested_name(name: &str, role: Role) -> bool {
    let nested = name.rsplit_once('.');
    nested.is_some_and(|(outer, inner)| {
        role == Role::File && has_name(outer, role) && has_name(inner, role)
    })
}

/// Finds the column index of each role. `renamed` takes precedence over the usual names. The error
/// reports two columns for one role, or a missing column of a required role.
pub(super) fn roles(
    names: &[String],
    renamed: &BTreeMap<Role, String>,
) -> Result<BTreeMap<Role, usize>, String> {
    let mut roles = BTreeMap::new();
    for role in Role::ALL {
        // Many tables have the duration of the whole recording.
        let is_needed = roles.contains_key(&Role::Start) && !roles.contains_key(&Role::End);
        if role == Role::Duration && !is_needed && !renamed.contains_key(&role) {
            continue;
        }
        let named = |is: &dyn Fn(&String) -> bool| -> Vec<usize> {
            let places = 0..names.len();
            places.filter(|&place| is(&names[place])).collect()
        };
        let mut places = named(&|name| match renamed.get(&role) {
            Some(given) => name == given,
            None => has_name(name, role),
        });
        if places.is_empty() && !renamed.contains_key(&role) {
            places = named(&|name| has_nested_name(name, role));
        }
        match (places.as_slice(), renamed.get(&role)) {
            ([place], _) => {
                roles.insert(role, *place);
            }
            ([], Some(given)) => {
                return Err(format!(
                    "there is no column '{given}' for the {role}; the columns are {}",
                    some(names)
                ));
            }
            ([], None) if matches!(role, Role::File | Role::Label) => {
                let candidate = names.iter().find(|name| looks_like(name, role));
                let flag = column_flag(role, candidate.map_or("NAME", String::as_str));
                return Err(format!(
                    "none of {} is a name for the {role} (such as {}); select the column with {flag}",
                    some(names),
                    role.names()[..3].join(", ")
                ));
            }
            ([], None) => {}
            ([first, second, ..], _) => {
                return Err(format!(
                    "both {} and {} may be the {role}; select one with --column {role}=NAME",
                    names[*first], names[*second]
                ));
            }
        }
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn names_may_have_any_case_and_separators() {
        let columns = names(&["FileName", "Emo-Class", "Speaker ID", "Split_Set", "Gender"]);
        let found = roles(&columns, &BTreeMap::new()).unwrap();
        let expected = [Role::File, Role::Label, Role::Speaker, Role::Split];
        assert!(found.into_iter().eq(expected.into_iter().zip(0..)));
        // The start of an utterance in its film is no start in the recording.
        let columns = names(&["file", "label", "StartTime"]);
        assert!(
            !roles(&columns, &BTreeMap::new())
                .unwrap()
                .contains_key(&Role::Start)
        );
    }

    #[test]
    fn unused_columns_that_look_like_a_role_are_named() {
        for (column, flag) in [
            ("SpkrName", "--column speaker=SpkrName"),
            ("talker", "--column speaker=talker"),
            (
                "participant number",
                "--column 'speaker=participant number'",
            ),
            ("cv_fold", "--column split=cv_fold"),
            ("DataSplit", "--column split=DataSplit"),
        ] {
            let columns = names(&["file", "label", column]);
            let found = roles(&columns, &BTreeMap::new()).unwrap();
            let notes = unused(&columns, &found);
            assert!(notes.len() == 1 && notes[0].ends_with(flag), "{notes:?}");
        }
        for column in [
            "speaker_gender",
            "dataset",
            "text",
            "voice age",
            "length",
            "",
        ] {
            let columns = names(&["file", "label", column]);
            let found = roles(&columns, &BTreeMap::new()).unwrap();
            assert!(unused(&columns, &found).is_empty(), "{column}");
        }
    }

    #[test]
    fn a_missing_column_that_has_a_candidate_is_named() {
        let error = roles(&names(&["file", "EmoCode"]), &BTreeMap::new()).unwrap_err();
        assert!(error.ends_with("--column label=EmoCode"), "{error}");
        let error = roles(&names(&["label", "utterance"]), &BTreeMap::new()).unwrap_err();
        assert!(error.ends_with("--column file=utterance"), "{error}");
    }

    #[test]
    fn a_plain_column_comes_before_a_nested_one() {
        let columns = names(&["audio.bytes", "audio.path", "label"]);
        assert_eq!(roles(&columns, &BTreeMap::new()).unwrap()[&Role::File], 1);
        let columns = names(&["audio.path", "file", "label"]);
        assert_eq!(roles(&columns, &BTreeMap::new()).unwrap()[&Role::File], 1);
    }
}
