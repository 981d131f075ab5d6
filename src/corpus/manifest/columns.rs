//! Roles of the columns of a manifest.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
}

impl Role {
    /// All roles, in the order of the columns of a table without a header.
    pub(super) const ALL: [Role; 6] = [
        Role::File,
        Role::Label,
        Role::Speaker,
        Role::Split,
        Role::Start,
        Role::End,
    ];

    /// The accepted names of a column with this role, in lower case.
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
            Role::Label => &["label", "emotion", "emo", "class"],
            Role::Speaker => &["speaker", "spk", "speaker_id", "spk_id", "actor", "subject"],
            Role::Split => &["split", "part", "partition", "subset", "set"],
            Role::Start => &["start", "start_time"],
            Role::End => &["end", "end_time"],
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

/// Finds the column index of each role. `renamed` takes precedence over the usual names. The error
/// reports two columns for one role, or a missing column of a required role.
pub(super) fn roles(
    names: &[String],
    renamed: &BTreeMap<Role, String>,
) -> Result<BTreeMap<Role, usize>, String> {
    let mut roles = BTreeMap::new();
    for role in Role::ALL {
        let is = |name: &String| match renamed.get(&role) {
            Some(given) => name == given,
            None => role.names().contains(&name.to_lowercase().as_str()),
        };
        let places: Vec<usize> = (0..names.len())
            .filter(|&place| is(&names[place]))
            .collect();
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
                return Err(format!(
                    "none of {} is a name for the {role} (such as {}); select the column with \
                     --column {role}=NAME",
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
