//! Check of foreign names before they become part of a path.

/// Maximum length of a name in bytes: with the longest extension it fits into 255 bytes, the limit
/// of file systems.
const MAX_LENGTH: usize = 240;

/// The rule of [`is_file_name`] for messages.
pub const FILE_NAME_RULE: &str = "a name has 1 to 240 bytes, no '/', '\\' or control character, no '.' at \
                                  its start, and no '.' or space at its end";

/// True for a name of one visible file or folder: it does not lead to another folder, and file
/// systems and terminals do not change it.
pub fn is_file_name(name: &str) -> bool {
    let leads_elsewhere = name.starts_with('.') || name.contains(['/', '\\']);
    let is_changed_elsewhere = name.ends_with(['.', ' ']) || name.contains(char::is_control);
    !name.is_empty() && name.len() <= MAX_LENGTH && !leads_elsewhere && !is_changed_elsewhere
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_one_visible_file() {
        for name in [
            "ravdess-bilstm",
            "Zoë",
            "emodb:03",
            "a.b",
            "two words",
            "a+b@c",
        ] {
            assert!(is_file_name(name), "{name}");
        }
        let long = "x".repeat(300);
        let bad = [
            "",
            ".",
            "..",
            "../x",
            "/abs/x",
            "a/b",
            "a\\b",
            "x\\",
            "x.",
            "x ",
            "a\nb",
            "a\u{1b}[2J",
            "a\0b",
            "\u{7f}",
            &long,
        ];
        for name in bad {
            assert!(!is_file_name(name), "{name:?}");
        }
    }

    #[test]
    fn the_rule_in_messages_has_the_maximum_length() {
        assert!(FILE_NAME_RULE.contains(&format!("1 to {MAX_LENGTH} bytes")));
        assert!(is_file_name(&"x".repeat(MAX_LENGTH)));
        assert!(!is_file_name(&"x".repeat(MAX_LENGTH + 1)));
    }
}
