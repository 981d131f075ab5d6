//! Comparison of the current recordings with those of a run, by content.

use std::collections::BTreeMap;
use std::fmt;

use super::Clip;
use crate::audio::Excerpt;
use crate::plural::counted;

/// The differences between the recordings of a run and the current recordings. Each recording is
/// identified by its path in the corpus folder and its segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Recordings with other bytes.
    pub replaced: Vec<Excerpt>,
    /// Recordings with another label or another speaker.
    pub relabelled: Vec<Excerpt>,
    /// Recordings of the run that do not exist any more.
    pub gone: Vec<Excerpt>,
    /// Current recordings that the run does not have.
    pub new: Vec<Excerpt>,
    /// Number of recordings without a known content hash on one of the two sides.
    pub not_compared: usize,
}

impl Changes {
    /// Compares the recordings of a run with the current recordings.
    pub fn between(run: &[Clip], now: &[Clip]) -> Changes {
        let by_file = |clips: &'_ [Clip]| -> BTreeMap<Excerpt, usize> {
            let files = clips.iter().map(|clip| clip.file.clone());
            files.zip(0..).collect()
        };
        let (ours, theirs) = (by_file(run), by_file(now));
        let mut changes = Changes::default();
        for clip in run {
            let Some(&other) = theirs.get(&clip.file) else {
                changes.gone.push(clip.file.clone());
                continue;
            };
            let other = &now[other];
            match (clip.content, other.content) {
                (Some(before), Some(after)) if before != after => {
                    changes.replaced.push(clip.file.clone());
                }
                (Some(_), Some(_)) => {}
                _ => changes.not_compared += 1,
            }
            if clip.label != other.label || clip.speaker_id() != other.speaker_id() {
                changes.relabelled.push(clip.file.clone());
            }
        }
        let files = now.iter().map(|clip| &clip.file);
        let new = files.filter(|&file| !ours.contains_key(file));
        changes.new = new.cloned().collect();
        changes
    }

    /// Number of differences.
    pub fn count(&self) -> usize {
        self.lists().iter().map(|(_, files)| files.len()).sum()
    }

    /// True if there is no difference.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    fn lists(&self) -> [(&'static str, &[Excerpt]); 4] {
        [
            ("replaced", &self.replaced),
            ("with another label or speaker", &self.relabelled),
            ("gone", &self.gone),
            ("new", &self.new),
        ]
    }
}

impl fmt::Display for Changes {
    /// `2 replaced (a.wav, b.wav), 1 gone (c.wav)`
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let lists = self.lists().into_iter();
        let lists = lists.filter(|(_, files)| !files.is_empty());
        let parts: Vec<String> = lists
            .map(|(kind, files)| format!("{} {kind} ({})", files.len(), first_names(files)))
            .collect();
        f.write_str(&parts.join(", "))
    }
}

/// The number of recordings and the names of the first ones: `2 recordings (a.wav, b.wav)`.
pub fn listed(files: &[impl fmt::Display]) -> String {
    let recordings = counted(files.len(), "recording");
    format!("{recordings} ({})", first_names(files))
}

/// The names of the first files, and the number of the others.
fn first_names(files: &[impl fmt::Display]) -> String {
    const SHOWN: usize = 5;
    let shown = files.iter().take(SHOWN);
    let shown: Vec<String> = shown.map(ToString::to_string).collect();
    let shown = shown.join(", ");
    match files.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::ContentHash;

    fn clip(file: &str, label: &str, content: Option<u8>) -> Clip {
        Clip {
            file: file.into(),
            label: label.into(),
            corpus_label: String::new(),
            corpus: String::new(),
            speaker: "ann".into(),
            sentence: String::new(),
            content: content.map(|byte| ContentHash::from([byte; 32])),
        }
    }

    #[test]
    fn each_kind_of_difference_is_named() {
        let run = [
            clip("same.wav", "joy", Some(1)),
            clip("other.wav", "joy", Some(2)),
            clip("gone.wav", "joy", Some(3)),
            clip("label.wav", "joy", Some(4)),
        ];
        let now = [
            clip("label.wav", "fear", Some(4)),
            clip("new.wav", "joy", Some(3)),
            clip("other.wav", "joy", Some(9)),
            clip("same.wav", "joy", Some(1)),
        ];
        let changes = Changes::between(&run, &now);
        assert_eq!(
            changes.to_string(),
            "1 replaced (other.wav), 1 with another label or speaker (label.wav), 1 gone (gone.wav), 1 \
             new (new.wav)"
        );
        assert_eq!(changes.count(), 4);
        assert!(Changes::between(&run, &run).is_empty());
    }

    #[test]
    fn unknown_content_is_counted_and_does_not_count_as_equal() {
        let (run, now) = (
            [clip("a.wav", "joy", None)],
            [clip("a.wav", "joy", Some(1))],
        );
        let changes = Changes::between(&run, &now);
        assert!(changes.is_empty());
        assert_eq!(changes.not_compared, 1);
    }

    #[test]
    fn a_long_list_is_cut() {
        let files: Vec<String> = (0..8).map(|number| number.to_string()).collect();
        assert_eq!(first_names(&files), "0, 1, 2, 3, 4 and 3 more");
        assert_eq!(listed(&files[..2]), "2 recordings (0, 1)");
        assert_eq!(listed(&files[..1]), "1 recording (0)");
    }
}
