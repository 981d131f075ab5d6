//! Text of strangers, shown so that it cannot steer a terminal.
//!
//! Labels, speakers, names of files and runs, licences and answers of servers may hold any character: escape
//! sequences that set a window's title, a carriage return that hides a line, a direction override that shows a
//! name backwards. Such characters are shown as `\u{1b}`.

use std::borrow::Cow;

/// Escapes a value, or a line: a line break in it would fake a line of its own.
pub fn escape_line(text: &str) -> Cow<'_, str> {
    escape(text, steers, |c| c.escape_unicode().to_string())
}

/// Escapes a text of several lines, whose values are escaped by [`escape_line`] already.
pub fn escape_text(text: &str) -> Cow<'_, str> {
    let steers = |c| c != '\n' && steers(c);
    escape(text, steers, |c| c.escape_unicode().to_string())
}

/// Escapes a JSON text, which stays JSON of the same values: outside of strings, JSON has no such character.
pub fn escape_json(text: &str) -> Cow<'_, str> {
    let steers = |c| c != '\n' && steers(c);
    // All of these characters are below U+10000, so that four digits are enough.
    escape(text, steers, |c| format!("\\u{:04x}", u32::from(c)))
}

/// True for control characters other than the tab, for Unicode's line and paragraph separators, and for its
/// embeddings, overrides and isolates of the writing direction.
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\t')
}

fn escape(
    text: &str,
    steers: impl Fn(char) -> bool,
    escaped: impl Fn(char) -> String,
) -> Cow<'_, str> {
    if !text.contains(&steers) {
        return text.into();
    }
    let mut safe = String::new();
    for c in text.chars() {
        match steers(c) {
            true => safe += &escaped(c),
            false => safe.push(c),
        }
    }
    safe.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character by its number: the ranges of the ISO 6429 controls and of Unicode's bidirectional
    /// formatting, as the standards list them.
    #[test]
    fn exactly_the_characters_that_steer_are_escaped() {
        let steering = [
            0x00..=0x08,
            0x0a..=0x1f,
            0x7f..=0x9f,
            0x2028..=0x2029,
            0x202a..=0x202e,
            0x2066..=0x2069,
        ];
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let number = u32::from(c);
            let expected = match steering.iter().any(|range| range.contains(&number)) {
                true => format!("\\u{{{number:x}}}"),
                false => c.to_string(),
            };
            assert_eq!(escape_line(&c.to_string()), expected);
        }
    }

    #[test]
    fn a_text_keeps_its_lines_and_no_carriage_return() {
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
