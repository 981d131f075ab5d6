//! Escapes foreign text, so that it cannot control a terminal.
//!
//! Labels, speakers, names of files and runs, licences and responses of servers can contain any
//! character: escape sequences that set the window title, a carriage return that hides a line, a
//! direction override that reverses a name. Such characters are printed as `\u{1b}`.

use std::borrow::Cow;

/// Escapes a value or a line. Line breaks are escaped too, because they would imitate another line.
pub fn escape_line(text: &str) -> Cow<'_, str> {
    escape(text, is_control, |c| c.escape_unicode().to_string())
}

/// Escapes a text of several lines, whose values [`escape_line`] has already escaped.
pub fn escape_text(text: &str) -> Cow<'_, str> {
    let is_control = |c| c != '\n' && is_control(c);
    escape(text, is_control, |c| c.escape_unicode().to_string())
}

/// Escapes a JSON text. The result is JSON with the same values, because outside of strings JSON
/// contains no such character.
pub fn escape_json(text: &str) -> Cow<'_, str> {
    let is_control = |c| c != '\n' && is_control(c);
    // All of these characters are below U+10000, so that four digits are enough.
    escape(text, is_control, |c| format!("\\u{:04x}", u32::from(c)))
}

/// A word of a command line for a POSIX shell: quoted if the shell would change it.
pub fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', "'\\''")).into()
}

/// True for control characters except the tab, for the Unicode line and paragraph separators, and
/// for the Unicode embeddings, overrides and isolates of the writing direction.
fn is_control(c: char) -> bool {
    let is_bidirectional = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    is_bidirectional || (c.is_control() && c != '\t')
}

fn escape(
    text: &str,
    is_control: impl Fn(char) -> bool,
    escaped: impl Fn(char) -> String,
) -> Cow<'_, str> {
    if !text.contains(&is_control) {
        return text.into();
    }
    let mut safe = String::new();
    for c in text.chars() {
        if is_control(c) {
            safe += &escaped(c)
        } else {
            safe.push(c)
        }
    }
    safe.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected words are those that the shell prints.
    #[cfg(unix)]
    #[test]
    fn a_shell_reads_a_word_as_it_was() {
        let plain = "runs/zoë-bilstm_2/config.toml";
        assert_eq!(shell_word(plain), plain);
        for text in [
            plain,
            "",
            "my runs/a",
            "it's",
            "$HOME `x` \"y\" \\ *;&|<>()#~",
            "a=b c",
        ] {
            let line = format!("printf %s {}", shell_word(text));
            let output = std::process::Command::new("sh")
                .args(["-c", &line])
                .output();
            assert_eq!(
                String::from_utf8_lossy(&output.unwrap().stdout),
                text,
                "{line}"
            );
        }
    }

    /// The expected ranges are those of ISO 6429 (controls) and of Unicode (separators and
    /// bidirectional formatting).
    #[test]
    fn exactly_the_control_characters_are_escaped() {
        let controls = [
            0x00..=0x08,
            0x0a..=0x1f,
            0x7f..=0x9f,
            0x2028..=0x2029,
            0x202a..=0x202e,
            0x2066..=0x2069,
        ];
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let number = u32::from(c);
            let expected = if controls.iter().any(|range| range.contains(&number)) {
                format!("\\u{{{number:x}}}")
            } else {
                c.to_string()
            };
            assert_eq!(escape_line(&c.to_string()), expected);
        }
    }

    #[test]
    fn a_text_keeps_line_feeds_but_not_carriage_returns() {
        assert_eq!(escape_text("a\nb\r\tc"), "a\nb\\u{d}\tc");
        assert_eq!(escape_line("a\nb"), "a\\u{a}b");
    }

    #[test]
    fn escaped_json_has_the_same_values() {
        let value = serde_json::json!({ "\u{9b}31m": "a\u{1b}]0;x\u{7}\u{7f}\u{202e}\u{2066}\n" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let escaped = escape_json(&text);
        assert_eq!(escape_text(&escaped), escaped);
        let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
        assert_eq!(read, value);
    }
}
