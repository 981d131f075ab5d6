//! Identity of a speaker.

use std::cmp::Ordering;
use std::fmt;

use super::Clip;

/// The name of a speaker with its corpus: speaker 03 of one corpus is not speaker 03 of another.
///
/// It is displayed as `emodb:03`, or as `03` with one corpus. Speakers are sorted by their
/// displayed names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpeakerId<'a> {
    /// The corpus of the speaker. Empty with one corpus, and for an unknown speaker.
    pub corpus: &'a str,
    /// The name in this corpus. Empty for an unknown speaker.
    pub name: &'a str,
}

impl Clip {
    /// Identity of the speaker. All unknown speakers count as one speaker, because they may be one.
    pub fn speaker_id(&self) -> SpeakerId<'_> {
        SpeakerId {
            corpus: if self.speaker.is_empty() {
                ""
            } else {
                &self.corpus
            },
            name: &self.speaker,
        }
    }
}

impl SpeakerId<'_> {
    fn separator(&self) -> &'static str {
        if self.corpus.is_empty() { "" } else { ":" }
    }
}

impl fmt::Display for SpeakerId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}{}{}", self.corpus, self.separator(), self.name)
    }
}

impl Ord for SpeakerId<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let written = |id: &Self| {
            let parts = [id.corpus, id.separator(), id.name];
            parts.into_iter().flat_map(str::bytes)
        };
        written(self)
            .cmp(written(other))
            .then_with(|| self.corpus.cmp(other.corpus))
    }
}

impl PartialOrd for SpeakerId<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<'a>(corpus: &'a str, name: &'a str) -> SpeakerId<'a> {
        SpeakerId { corpus, name }
    }

    #[test]
    fn speakers_are_sorted_by_their_displayed_names() {
        let mut ids = [
            id("a", "2"),
            id("a-b", "1"),
            id("", "a:0"),
            id("a1", "0"),
            id("", ""),
        ];
        ids.sort();
        let mut written = ids.map(|id| id.to_string());
        assert_eq!(written, ["", "a-b:1", "a1:0", "a:0", "a:2"]);
        written.sort();
        assert_eq!(written, ids.map(|id| id.to_string()));
    }

    #[test]
    fn a_colon_in_a_name_is_not_a_corpus() {
        assert_ne!(id("a", "b"), id("", "a:b"));
        assert_ne!(id("a", "b").cmp(&id("", "a:b")), Ordering::Equal);
    }
}
