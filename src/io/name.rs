//! Names that come from a file or a stranger, before they become a part of a path.

/// Longest name in bytes: with the longest ending it still fits into the 255 of a file system.
const LONGEST: usize = 240;

/// True for a name that stays one visible file or folder wherever it is put: it leads nowhere else, and
/// every file system and terminal takes it as it is.
pub fn is_file_name(name: &str) -> bool {
    let leads_elsewhere = name.starts_with('.') || name.contains(['/', '\\']);
    let is_changed_elsewhere = name.ends_with(['.', ' ']) || name.contains(char::is_control);
    !name.is_empty() && name.len() <= LONGEST && !leads_elsewhere && !is_changed_elsewhere
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_visible_file() {
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
}
