//! Numbers in messages, with the noun and the verb in the right form.

use std::fmt::Display;

/// A number with its noun: `1 clip`, `2 clips`, `1 class`, `2 classes`.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    if count == N::from(1) {
        return format!("{count} {noun}");
    }
    let ending = if noun.ends_with('s') { "es" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// The verb after a number of things: `is` or `are`.
pub fn is_or_are<N: PartialEq + From<u8>>(count: N) -> &'static str {
    if count == N::from(1) { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_and_verbs_follow_the_number() {
        for (count, clips, classes, verb) in [
            (0_usize, "0 clips", "0 classes", "are"),
            (1, "1 clip", "1 class", "is"),
            (2, "2 clips", "2 classes", "are"),
        ] {
            assert_eq!(counted(count, "clip"), clips);
            assert_eq!(counted(count, "class"), classes);
            assert_eq!(is_or_are(count), verb);
        }
    }
}
