//! Comparison of recordings with those that weights were trained or validated on.

use std::collections::{BTreeSet, HashSet};

use crate::audio::Excerpt;
use crate::config::DataConfig;
use crate::corpus::split::Subset;
use crate::corpus::{Clip, ContentHash, CorpusKind, SpeakerId, listed, spelling_key};
use crate::run::{LearnedClip, Lineage, kind_of};

/// The recordings and speakers that are both in a list of clips and in the lineage of some weights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Clips that are, byte for byte, training or validation recordings of the weights.
    pub recordings: BTreeSet<Excerpt>,
    /// Speakers of the clips who may be training or validation speakers of the weights, in the form
    /// of `split.csv`.
    pub speakers: BTreeSet<String>,
    /// True if both sides have recordings by unknown speakers, who may be the same people.
    pub unknown_speakers: bool,
    /// True if one of the two sides has recordings by unknown speakers.
    pub nameless: bool,
    /// True if the content hash of a recording is missing, on one of the two sides.
    pub unknown_contents: bool,
    /// True if the lineage starts with weights of unknown origin.
    pub unknown_weights: bool,
    /// True if several people may have the same name: outside the published corpora.
    pub names_only: bool,
}

/// A speaker, identified by name and corpus.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Person<'a> {
    kind: Option<CorpusKind>,
    id: SpeakerId<'a>,
    /// The name, independent of its spelling.
    key: String,
}

impl<'a> Person<'a> {
    fn of(kind: Option<CorpusKind>, clip: &'a Clip) -> Person<'a> {
        let id = clip.speaker_id();
        Person {
            kind,
            id,
            key: spelling_key(id.name),
        }
    }

    /// True for a published corpus, in which each name belongs to one person.
    fn is_published(&self) -> bool {
        self.kind.is_some_and(CorpusKind::is_published)
    }

    /// True if the two names may belong to the same person.
    fn may_be(&self, other: &Person) -> bool {
        match (self.kind, other.kind) {
            (Some(kind), Some(other_kind)) if self.is_published() && other.is_published() => {
                kind.has_speakers_of(other_kind) && self.id.name == other.id.name
            }
            (Some(CorpusKind::Folders), Some(CorpusKind::Folders)) => {
                // A corpus without a name is the only corpus of its run, and may be any corpus.
                let corpora = [self.id.corpus, other.id.corpus];
                let differ = !corpora.contains(&"") && corpora[0] != corpora[1];
                self.key == other.key && !differ
            }
            (Some(kind), Some(other_kind))
                if [kind, other_kind].iter().all(|kind| is_scanned(*kind)) =>
            {
                false
            }
            _ => alike(&self.key, &other.key),
        }
    }
}

/// True if the folder layout of the corpus gives the names of the speakers.
fn is_scanned(kind: CorpusKind) -> bool {
    !matches!(kind, CorpusKind::Manifest | CorpusKind::Union)
}

/// Compares two speaker names. In a manifest, the name may have the corpus as a prefix.
fn alike(one: &str, other: &str) -> bool {
    let ends =
        |long: &str, short: &str| long.split_once(':').is_some_and(|(_, name)| name == short);
    one == other || ends(one, other) || ends(other, one)
}

impl Comparison {
    /// Compares clips of the corpora in `data` with all recordings in the lineage of some weights.
    pub fn of<'a>(
        lineage: &Lineage,
        data: &DataConfig,
        clips: impl IntoIterator<Item = &'a Clip>,
    ) -> Comparison {
        Comparison::with(lineage, lineage.clips.iter().collect(), data, clips)
    }

    /// Like [`Comparison::of`], but only with the training recordings of the weights.
    pub fn with_trained<'a>(
        lineage: &Lineage,
        data: &DataConfig,
        clips: impl IntoIterator<Item = &'a Clip>,
    ) -> Comparison {
        let learned = lineage.clips.iter();
        let trained = learned.filter(|learned| learned.subset == Subset::Train);
        Comparison::with(lineage, trained.collect(), data, clips)
    }

    fn with<'a>(
        lineage: &Lineage,
        learned: Vec<&LearnedClip>,
        data: &DataConfig,
        clips: impl IntoIterator<Item = &'a Clip>,
    ) -> Comparison {
        let clips: Vec<&Clip> = clips.into_iter().collect();
        let mut comparison = Comparison {
            unknown_weights: !lineage.unknown.is_empty(),
            ..Comparison::default()
        };
        if learned.is_empty() || clips.is_empty() {
            return comparison;
        }
        let contents: HashSet<ContentHash> =
            learned.iter().filter_map(|one| one.clip.content).collect();
        let is_known = |clip: &&&Clip| clip.content.is_some_and(|hash| contents.contains(&hash));
        let known = clips.iter().filter(is_known);
        comparison.recordings = known.map(|clip| clip.file.clone()).collect();
        comparison.unknown_contents = learned.iter().any(|one| one.clip.content.is_none())
            || clips.iter().any(|clip| clip.content.is_none());

        let people: HashSet<Person> = clips
            .iter()
            .map(|clip| Person::of(kind_of(data, clip), clip))
            .collect();
        let known_people: HashSet<Person> = learned
            .iter()
            .map(|one| Person::of(one.kind, &one.clip))
            .collect();
        let all_people = || people.iter().chain(&known_people);
        comparison.nameless = all_people().any(|person| person.id.name.is_empty());
        comparison.names_only = all_people().any(|person| !person.is_published());
        for known_person in &known_people {
            for person in people.iter().filter(|&other| known_person.may_be(other)) {
                match person.id.name {
                    "" => comparison.unknown_speakers = true,
                    _ => _ = comparison.speakers.insert(person.id.to_string()),
                }
            }
        }
        comparison
    }

    /// True if a recording or a speaker was in the training or validation of the weights.
    pub fn is_leak(&self) -> bool {
        !self.recordings.is_empty() || !self.speakers.is_empty()
    }

    /// True if a speaker may have been in the training or validation of the weights.
    pub fn shares_speakers(&self) -> bool {
        self.is_leak() || self.unknown_speakers
    }

    /// Adds the result of another comparison.
    pub fn merge(&mut self, other: Comparison) {
        self.recordings.extend(other.recordings);
        self.speakers.extend(other.speakers);
        self.unknown_speakers |= other.unknown_speakers;
        self.nameless |= other.nameless;
        self.unknown_contents |= other.unknown_contents;
        self.unknown_weights |= other.unknown_weights;
        self.names_only |= other.names_only;
    }

    /// The notes for a score on these recordings: everything shared, and everything that could not
    /// be compared. `who` names the weights or the model in the notes.
    pub fn notes(&self, who: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.speakers.is_empty() {
            let speakers: Vec<&str> = self.speakers.iter().map(String::as_str).collect();
            let compared = if self.names_only {
                " (compared by name only)"
            } else {
                ""
            };
            notes.push(format!(
                "speakers shared: {} trained or validated {who}{compared}",
                speakers.join(", ")
            ));
        }
        if self.unknown_speakers {
            notes.push(format!(
                "speakers shared: unknown speakers here and in the training of {who}"
            ));
        }
        match self.recordings.len() {
            0 => {}
            1 => notes.push(format!("recordings shared: 1 trained or validated {who}")),
            many => notes.push(format!(
                "recordings shared: {many} trained or validated {who}"
            )),
        }
        if self.unknown_contents {
            notes.push(format!(
                "recordings are not compared with all training recordings of {who}: some have no content \
                 hash"
            ));
        }
        if self.unknown_weights {
            notes.push("the training recordings of the initial weights are not known".into());
        }
        notes
    }

    /// The names of the shared recordings and speakers, for an error message.
    pub fn listed(&self) -> String {
        let mut shared = Vec::new();
        if !self.recordings.is_empty() {
            let files: Vec<&Excerpt> = self.recordings.iter().collect();
            shared.push(listed(&files));
        }
        if !self.speakers.is_empty() {
            let speakers: Vec<&str> = self.speakers.iter().map(String::as_str).collect();
            let names = if self.names_only { " by name" } else { "" };
            shared.push(format!("speakers {}{names}", speakers.join(", ")));
        }
        shared.join("; ")
    }

    /// The statement for a score without shared speakers and recordings. It claims no more than was
    /// compared.
    pub fn statement(&self) -> String {
        if !self.unknown_weights && !self.unknown_contents && !self.nameless && !self.names_only {
            return "speakers and recordings other than those of the model's training".into();
        }
        let speakers = if self.nameless {
            "not all speakers are known"
        } else {
            "no speaker is known to be one that the model was trained on"
        };
        if self.unknown_contents {
            speakers.into()
        } else {
            format!("{speakers}; no recording is byte for byte one that the model was trained on")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(corpus: &str, speaker: &str, content: Option<u8>) -> Clip {
        Clip {
            file: format!("{speaker}.wav").into(),
            label: "joy".into(),
            corpus_label: String::new(),
            corpus: corpus.into(),
            speaker: speaker.into(),
            sentence: String::new(),
            content: content.map(|byte| ContentHash::from([byte; 32])),
        }
    }

    fn data(kind: CorpusKind) -> DataConfig {
        DataConfig {
            corpus: Some(kind),
            ..DataConfig::default()
        }
    }

    fn learned(kind: CorpusKind, clip: Clip) -> Lineage {
        Lineage::of_run(
            "first",
            &data(kind),
            (&[clip], &[Subset::Train]),
            Lineage::default(),
        )
    }

    /// True if the trained speaker and the tested speaker, (corpus kind, corpus, name), may be the
    /// same person.
    fn shared(trained: (CorpusKind, &str, &str), tested: (CorpusKind, &str, &str)) -> bool {
        let lineage = learned(trained.0, clip(trained.1, trained.2, Some(1)));
        let tested_clip = clip(tested.1, tested.2, Some(2));
        let known = Comparison::of(&lineage, &data(tested.0), [&tested_clip]);
        assert!(known.recordings.is_empty());
        known.shares_speakers()
    }

    #[test]
    fn names_of_published_corpora_are_compared_within_the_corpus() {
        use CorpusKind::{Emodb, Folders, Ravdess, RavdessSong};
        assert!(shared((Ravdess, "", "03"), (RavdessSong, "", "03")));
        assert!(shared((Ravdess, "a", "03"), (Ravdess, "b", "03")));
        assert!(!shared((Ravdess, "", "03"), (Ravdess, "", "04")));
        assert!(!shared((Ravdess, "", "03"), (Emodb, "", "03")));
        assert!(!shared((Ravdess, "", "03"), (Folders, "", "03")));
    }

    #[test]
    fn equal_names_in_folders_or_manifests_may_be_the_same_person() {
        use CorpusKind::{Emodb, Folders, Manifest};
        assert!(shared((Folders, "", "Ann 03"), (Folders, "", "ann 3")));
        assert!(shared((Folders, "", "03"), (Folders, "b", "03")));
        assert!(!shared((Folders, "a", "03"), (Folders, "b", "03")));
        assert!(!shared((Folders, "", "03"), (Folders, "", "04")));
        assert!(shared((Emodb, "emodb", "03"), (Manifest, "", "3")));
        assert!(shared((Manifest, "", "emodb:03"), (Emodb, "", "03")));
        assert!(shared((Folders, "", ""), (Folders, "", "")), "both unknown");
    }

    #[test]
    fn a_recording_is_recognised_under_any_name_in_any_corpus() {
        let lineage = learned(CorpusKind::Emodb, clip("", "03", Some(7)));
        let clips = [clip("", "someone", Some(7)), clip("", "else", Some(8))];
        let known = Comparison::of(&lineage, &data(CorpusKind::Folders), &clips);
        assert_eq!(known.listed(), "1 recording (someone.wav)");
        assert!(known.is_leak() && known.speakers.is_empty());
    }

    #[test]
    fn a_statement_claims_no_more_than_was_compared() {
        let other = "speakers and recordings other than those of the model's training";
        let compare = |lineage: &Lineage, kind: CorpusKind, speaker: &str| {
            Comparison::of(lineage, &data(kind), [&clip("", speaker, Some(2))])
        };
        let compared = learned(CorpusKind::Ravdess, clip("", "03", Some(1)));
        assert_eq!(
            compare(&compared, CorpusKind::Ravdess, "04").statement(),
            other
        );
        // Names from folders, unknown speakers, missing content hashes, unknown weights.
        let folders = compare(&compared, CorpusKind::Folders, "04").statement();
        assert!(folders.contains("known to be one") && folders.contains("byte for byte"));
        let nameless = compare(&compared, CorpusKind::Folders, "").statement();
        assert!(nameless.contains("not all speakers are known"));
        let old = learned(CorpusKind::Ravdess, clip("", "03", None));
        let old = compare(&old, CorpusKind::Ravdess, "04");
        assert!(old.statement() != other && !old.statement().contains("byte for byte"));
        assert!(old.notes("this model")[0].contains("not compared"));
        let unknown = Lineage {
            unknown: vec!["x.ot".into()],
            ..compared
        };
        let unknown = compare(&unknown, CorpusKind::Ravdess, "04");
        assert!(unknown.statement() != other);
        assert!(unknown.notes("this model")[0].contains("are not known"));
    }
}
