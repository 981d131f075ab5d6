//! Which clips train the model, which choose it, and which score it once at the end.
//!
//! By default a speaker belongs to one part only: the test score then says how well the model does
//! on a voice that it has never heard. A split that shares speakers between parts says so through
//! [`Split::shared`], and whoever prints its numbers prints that too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Clip, SpeakerId, spelling_key};

/// One of the three parts of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The weights are fitted to these clips.
    Train,
    /// Every choice (best epoch, early stopping) is made on these.
    Validation,
    /// Scored once, at the end, by the chosen weights.
    Test,
}

impl Part {
    /// All three, in the order in which they are used.
    pub const ALL: [Part; 3] = [Part::Train, Part::Validation, Part::Test];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        })
    }
}

/// What is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitKind {
    /// Speakers: no voice of one part is heard in another.
    #[default]
    Speaker,
    /// Clips only, with the classes in the same proportion in all parts.
    Random,
    /// Nothing: a manifest says which clip is in which part.
    Given,
}

impl fmt::Display for SplitKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            SplitKind::Speaker => "speaker",
            SplitKind::Random => "random",
            SplitKind::Given => "given",
        })
    }
}

/// How to split, as it stands in `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// What is kept apart.
    pub kind: SplitKind,
    /// Fraction of the speakers (or of the clips, at random) that validate.
    pub validation_fraction: f64,
    /// Fraction of the speakers (or of the clips, at random) that test.
    pub test_fraction: f64,
    /// These speakers validate, instead of a fraction drawn by `seed`.
    pub validation_speakers: Vec<String>,
    /// These speakers test, instead of a fraction drawn by `seed`.
    pub test_speakers: Vec<String>,
    /// Draws the split. Apart from the training's seed, so that trainings with several seeds share
    /// a split.
    pub seed: u64,
}

impl SplitConfig {
    /// Rejects fractions that leave a part empty.
    pub fn validate(&self) -> Result<(), SplitError> {
        let (validation, test) = (self.validation_fraction, self.test_fraction);
        match validation > 0.0 && test > 0.0 && validation + test < 1.0 {
            true => Ok(()),
            false => Err(SplitError::BadFractions { validation, test }),
        }
    }
}

impl Default for SplitConfig {
    fn default() -> Self {
        SplitConfig {
            kind: SplitKind::Speaker,
            validation_fraction: 0.15,
            test_fraction: 0.2,
            validation_speakers: Vec::new(),
            test_speakers: Vec::new(),
            seed: 1,
        }
    }
}

/// A part for every clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// In the order of the clips it was made for.
    pub parts: Vec<Part>,
    /// Which parts have speakers in common.
    pub shared: Shared,
}

impl Split {
    /// Judges a given assignment of clips to parts.
    pub fn new(clips: &[Clip], parts: Vec<Part>) -> Split {
        let shared = Shared::between(clips, &parts);
        Split { parts, shared }
    }

    /// The places of the clips that belong to a part.
    pub fn indices(&self, part: Part) -> Vec<usize> {
        (0..self.parts.len())
            .filter(|&clip| self.parts[clip] == part)
            .collect()
    }
}

/// The pairs of parts in which the same voice is heard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared(pub Vec<(Part, Part)>);

impl Shared {
    /// Compares the speakers of the parts. Clips whose speaker nobody knows count as one speaker:
    /// that they are strangers to each other cannot be shown.
    fn between(clips: &[Clip], parts: &[Part]) -> Shared {
        let speakers = |part: Part| -> BTreeSet<SpeakerId> {
            let of_part = clips.iter().zip(parts).filter(|&(_, &p)| p == part);
            of_part.map(|(clip, _)| clip.speaker_id()).collect()
        };
        let pairs = [
            (Part::Train, Part::Validation),
            (Part::Train, Part::Test),
            (Part::Validation, Part::Test),
        ];
        let share = |&(a, b): &(Part, Part)| !speakers(a).is_disjoint(&speakers(b));
        Shared(pairs.into_iter().filter(share).collect())
    }

    /// True where any two parts share a speaker.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// True where the test part is of speakers that no other part has.
    pub fn test_is_unheard(&self) -> bool {
        !self
            .0
            .iter()
            .any(|&(a, b)| a == Part::Test || b == Part::Test)
    }

    /// `speakers shared: train/validation, train/test`, or nothing to say.
    pub fn note(&self) -> Option<String> {
        let pairs: Vec<String> = self.0.iter().map(|(a, b)| format!("{a}/{b}")).collect();
        self.any()
            .then(|| format!("speakers shared: {}", pairs.join(", ")))
    }
}

/// Why clips cannot be split. Each message says what to do next.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum SplitError {
    #[error(
        "the class '{class}' has {count} readable clip(s), too few to train, validate and \
             test; record more of it, or take it out of the folder"
    )]
    SmallClass { class: String, count: usize },
    #[error(
        "only recordings of the class '{0}' can be read; a classifier needs at least two classes"
    )]
    OneClass(String),
    #[error(
        "the speaker of {unknown} of the {all} recordings is unknown, so they cannot be split by \
             speaker; use --split random (its score says nothing about new voices), leave these \
             recordings out, or name their speakers: lay the recordings out as \
             CLASS/SPEAKER/clip.wav, or give the manifest a column for the speaker"
    )]
    UnknownSpeakers { unknown: usize, all: usize },
    #[error(
        "only one speaker ({0}) was found, so no voice is left to test on; add recordings of \
             other speakers, or use --split random (its score says nothing about new voices)"
    )]
    OneSpeaker(String),
    #[error("there is no speaker '{unknown}' here; the speakers are {known}")]
    NoSuchSpeaker { unknown: String, known: String },
    #[error("speaker '{0}' cannot both validate and test")]
    InTwoParts(String),
    #[error("no speaker is left to train on; {0} validate or test")]
    NobodyTrains(String),
    #[error(
        "no clip of the class '{class}' is left to train on: every speaker of it validates or \
             tests; choose other speakers or fractions, or another --split-seed"
    )]
    ClassNotTrained { class: String },
    #[error(
        "the fractions for validation ({validation}) and test ({test}) must both lie above 0 \
             and leave something to train on"
    )]
    BadFractions { validation: f64, test: f64 },
    #[error(
        "nobody says which clip is in which part, as --split given wants it; that is for a manifest \
             with a column for it, or with --test-manifest"
    )]
    NotGiven,
    #[error("the manifest names no clip for the {part} part; name some, {or}")]
    NoneGiven { part: Part, or: &'static str },
    #[error(
        "--validation-speakers and --test-speakers choose voices, so they need --split speaker"
    )]
    SpeakersAtRandom,
}

/// The fewest clips of a class with which all three parts can have one.
const SMALLEST_CLASS: usize = 3;

/// Assigns every clip to a part. `given` are the parts that a manifest says, by the clips' files; only
/// [`SplitKind::Given`] looks at them.
pub fn split(
    clips: &[Clip],
    config: &SplitConfig,
    given: &BTreeMap<PathBuf, Part>,
) -> Result<Split, SplitError> {
    config.validate()?;
    let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, clip) in clips.iter().enumerate() {
        classes.entry(&clip.label).or_default().push(index);
    }
    if let (1, Some((class, _))) = (classes.len(), classes.first_key_value()) {
        return Err(SplitError::OneClass(class.to_string()));
    }
    if config.kind != SplitKind::Given
        && let Some((class, members)) = classes.iter().find(|(_, m)| m.len() < SMALLEST_CLASS)
    {
        return Err(SplitError::SmallClass {
            class: class.to_string(),
            count: members.len(),
        });
    }

    let parts = match config.kind {
        SplitKind::Speaker => by_speaker(clips, config)?,
        SplitKind::Random | SplitKind::Given if !config.validation_speakers.is_empty() => {
            return Err(SplitError::SpeakersAtRandom);
        }
        SplitKind::Random | SplitKind::Given if !config.test_speakers.is_empty() => {
            return Err(SplitError::SpeakersAtRandom);
        }
        SplitKind::Random => stratified(
            clips,
            config.validation_fraction,
            config.test_fraction,
            config.seed,
        ),
        SplitKind::Given => as_given(clips, config, given)?,
    };
    let trained = |members: &[usize]| members.iter().any(|&clip| parts[clip] == Part::Train);
    if let Some((class, _)) = classes.iter().find(|(_, members)| !trained(members)) {
        return Err(SplitError::ClassNotTrained {
            class: class.to_string(),
        });
    }
    Ok(Split::new(clips, parts))
}

/// Every speaker in one part. With two speakers there is none left to validate: then a random
/// share of the training speaker's clips does, and [`Split::shared`] tells.
fn by_speaker(clips: &[Clip], config: &SplitConfig) -> Result<Vec<Part>, SplitError> {
    let speakers: BTreeSet<SpeakerId> = clips.iter().map(Clip::speaker_id).collect();
    let unknown = clips.iter().filter(|clip| clip.speaker.is_empty()).count();
    if unknown > 0 {
        return Err(SplitError::UnknownSpeakers {
            unknown,
            all: clips.len(),
        });
    }
    if let (1, Some(only)) = (speakers.len(), speakers.first()) {
        return Err(SplitError::OneSpeaker(only.to_string()));
    }
    let mut given: BTreeMap<SpeakerId, Part> = BTreeMap::new();
    let named = [
        (&config.validation_speakers, Part::Validation),
        (&config.test_speakers, Part::Test),
    ];
    for (names, part) in named {
        for name in names {
            let Some(speaker) = typed(name, &speakers) else {
                return Err(SplitError::NoSuchSpeaker {
                    unknown: name.clone(),
                    known: listed(speakers),
                });
            };
            if given
                .insert(speaker, part)
                .is_some_and(|before| before != part)
            {
                return Err(SplitError::InTwoParts(name.clone()));
            }
        }
    }

    // The speakers not given are drawn: first those that test, then those that validate.
    let mut drawn: Vec<SpeakerId> = speakers
        .iter()
        .filter(|s| !given.contains_key(s))
        .copied()
        .collect();
    drawn.shuffle(&mut ChaCha8Rng::seed_from_u64(config.seed));
    let mut draw = |part: Part, fraction: f64| {
        let (taken, left) = shares(&drawn, &speakers, part, fraction);
        given.extend(taken.into_iter().map(|speaker| (speaker, part)));
        drawn = left;
    };
    if config.test_speakers.is_empty() {
        draw(Part::Test, config.test_fraction);
    }
    if config.validation_speakers.is_empty() {
        draw(Part::Validation, config.validation_fraction);
    }
    if drawn.is_empty() {
        return Err(SplitError::NobodyTrains(listed(given.into_keys())));
    }
    let part_of = |clip: &Clip| {
        given
            .get(&clip.speaker_id())
            .copied()
            .unwrap_or(Part::Train)
    };
    let mut parts: Vec<Part> = clips.iter().map(part_of).collect();

    if !parts.contains(&Part::Validation) {
        share_training(clips, &mut parts, config);
    }
    Ok(parts)
}

/// The speaker whom somebody typed: exactly so, or in another spelling that only one speaker has.
fn typed<'a>(name: &str, speakers: &BTreeSet<SpeakerId<'a>>) -> Option<SpeakerId<'a>> {
    let written = |speaker: &&SpeakerId| speaker.to_string() == name;
    let alike = |speaker: &&SpeakerId| spelling_key(&speaker.to_string()) == spelling_key(name);
    let one = speakers.iter().find(written).or_else(|| {
        let mut alike = speakers.iter().filter(alike);
        alike.next().filter(|_| alike.next().is_none())
    });
    one.copied()
}

fn listed<'a>(speakers: impl IntoIterator<Item = SpeakerId<'a>>) -> String {
    let names: Vec<String> = speakers.into_iter().map(|id| id.to_string()).collect();
    names.join(", ")
}

/// The first of the speakers drawn, a fraction of all, and those that are left. Of several corpora each
/// gives its share, but for its last speaker; where that comes to nobody, all are taken as one corpus.
fn shares<'a>(
    drawn: &[SpeakerId<'a>],
    speakers: &BTreeSet<SpeakerId<'a>>,
    part: Part,
    fraction: f64,
) -> (Vec<SpeakerId<'a>>, Vec<SpeakerId<'a>>) {
    let corpus = |speaker: SpeakerId<'a>| speaker.corpus;
    let of = |corpora: &[&str], named: &dyn Fn(SpeakerId<'a>) -> &'a str| -> Vec<SpeakerId<'a>> {
        let mut taken = Vec::new();
        for &name in corpora {
            let all = speakers.iter().filter(|&&s| named(s) == name).count();
            let here: Vec<SpeakerId> = drawn
                .iter()
                .copied()
                .filter(|&s| named(s) == name)
                .collect();
            let count = ((all as f64 * fraction).round() as usize).max(1);
            // Somebody must be left to train; who tests, and whom that leaves, is looked at later.
            let spared = usize::from(part == Part::Validation || corpora.len() > 1);
            taken.extend_from_slice(&here[..count.min(here.len().saturating_sub(spared))]);
        }
        taken
    };
    let corpora: BTreeSet<&str> = speakers.iter().map(|&speaker| corpus(speaker)).collect();
    let corpora: Vec<&str> = corpora.into_iter().collect();
    let mut taken = of(&corpora, &corpus);
    if taken.is_empty() {
        taken = of(&[""], &|_| "");
    }
    let mut left = drawn.to_vec();
    left.retain(|speaker| !taken.contains(speaker));
    (taken, left)
}

/// As the manifest says. Where it has nobody validate, some of the training speakers do.
fn as_given(
    clips: &[Clip],
    config: &SplitConfig,
    given: &BTreeMap<PathBuf, Part>,
) -> Result<Vec<Part>, SplitError> {
    let parts = clips.iter().map(|clip| given.get(&clip.file).copied());
    let mut parts: Vec<Part> = parts.collect::<Option<_>>().ok_or(SplitError::NotGiven)?;
    let needed = [
        (Part::Train, "or split otherwise with --split"),
        (
            Part::Test,
            "in a list of their own with --test-manifest, or split otherwise with --split",
        ),
    ];
    if let Some(&(part, or)) = needed.iter().find(|(part, _)| !parts.contains(part)) {
        return Err(SplitError::NoneGiven { part, or });
    }
    if parts.contains(&Part::Validation) {
        return Ok(parts);
    }
    let trained = clips.iter().zip(&parts).filter(|&(_, &p)| p == Part::Train);
    let speakers: BTreeSet<SpeakerId> = trained.map(|(clip, _)| clip.speaker_id()).collect();
    let is_unknown = |speaker: &SpeakerId| speaker.name.is_empty();
    if speakers.iter().any(is_unknown) || speakers.len() < 2 {
        share_training(clips, &mut parts, config);
        return Ok(parts);
    }
    let mut drawn: Vec<SpeakerId> = speakers.into_iter().collect();
    let count = (drawn.len() as f64 * config.validation_fraction).round() as usize;
    let count = count.clamp(1, drawn.len() - 1);
    drawn.shuffle(&mut ChaCha8Rng::seed_from_u64(config.seed));
    for (clip, part) in clips.iter().zip(&mut parts) {
        if *part == Part::Train && drawn[..count].contains(&clip.speaker_id()) {
            *part = Part::Validation;
        }
    }
    Ok(parts)
}

/// Where no speaker is left to validate, a random share of the training clips does.
fn share_training(clips: &[Clip], parts: &mut [Part], config: &SplitConfig) {
    let rest: Vec<usize> = (0..clips.len())
        .filter(|&i| parts[i] == Part::Train)
        .collect();
    let training: Vec<Clip> = rest.iter().map(|&i| clips[i].clone()).collect();
    let shares = stratified(&training, config.validation_fraction, 0.0, config.seed);
    for (&clip, part) in rest.iter().zip(shares) {
        parts[clip] = part;
    }
}

/// Clips at random, class by class, so that every part has the classes in the same proportion.
fn stratified(clips: &[Clip], validation: f64, test: f64, seed: u64) -> Vec<Part> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut parts = vec![Part::Train; clips.len()];
    let classes: BTreeSet<&str> = clips.iter().map(|clip| clip.label.as_str()).collect();
    for class in classes {
        let mut members: Vec<usize> = (0..clips.len())
            .filter(|&i| clips[i].label == class)
            .collect();
        members.shuffle(&mut random);
        let share = |fraction: f64| (members.len() as f64 * fraction).round() as usize;
        // A fraction above zero takes at least one clip.
        let tests = share(test).max(usize::from(test > 0.0));
        let validations = share(validation).max(usize::from(validation > 0.0));
        for &clip in members.iter().take(tests) {
            parts[clip] = Part::Test;
        }
        for &clip in members.iter().skip(tests).take(validations) {
            parts[clip] = Part::Validation;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// `speakers` voices that say `takes` clips of each of three emotions.
    fn clips(speakers: usize, takes: usize) -> Vec<Clip> {
        let mut clips = Vec::new();
        for speaker in 0..speakers {
            for label in ["anger", "fear", "neutral"] {
                for take in 0..takes {
                    clips.push(Clip {
                        file: format!("{label}/{speaker}/{take}.wav").into(),
                        label: label.into(),
                        corpus_label: label.into(),
                        corpus: String::new(),
                        speaker: format!("s{speaker}"),
                        sentence: String::new(),
                        content: None,
                    });
                }
            }
        }
        clips
    }

    fn by_config(clips: &[Clip], config: &SplitConfig) -> Result<Split, SplitError> {
        split(clips, config, &BTreeMap::new())
    }

    fn count(split: &Split, part: Part) -> usize {
        split.indices(part).len()
    }

    #[test]
    fn no_voice_in_two_parts_whatever_the_numbers() {
        for speakers in 3..30 {
            for seed in 0..20 {
                let clips = clips(speakers, 2);
                let config = SplitConfig {
                    seed,
                    ..SplitConfig::default()
                };
                let split = by_config(&clips, &config).unwrap();
                assert_eq!(split.shared, Shared::default());
                assert!(
                    Part::ALL.iter().all(|&part| count(&split, part) > 0),
                    "{speakers} {seed}"
                );
            }
        }
    }

    #[test]
    fn twenty_speakers_split_as_the_fractions_say() {
        let split = by_config(&clips(20, 1), &SplitConfig::default()).unwrap();
        assert_eq!(
            Part::ALL.map(|part| count(&split, part)),
            [13 * 3, 3 * 3, 4 * 3]
        );
    }

    #[test]
    fn two_speakers_share_validation_and_say_so() {
        let clips = clips(2, 10);
        let split = by_config(&clips, &SplitConfig::default()).unwrap();
        assert_eq!(
            split.shared.note().unwrap(),
            "speakers shared: train/validation"
        );
        assert!(count(&split, Part::Validation) > 0 && count(&split, Part::Test) == 30);
    }

    #[test]
    fn random_keeps_the_proportion_of_the_classes() {
        let clips = clips(10, 10);
        let config = SplitConfig {
            kind: SplitKind::Random,
            ..SplitConfig::default()
        };
        let split = by_config(&clips, &config).unwrap();
        assert!(split.shared.any() && !split.shared.test_is_unheard());
        for part in Part::ALL {
            let of = |label: &str| {
                split
                    .indices(part)
                    .iter()
                    .filter(|&&clip| clips[clip].label == label)
                    .count()
            };
            assert_eq!((of("anger"), of("fear")), (of("neutral"), of("neutral")));
        }
    }

    #[test]
    fn named_speakers_are_taken_at_their_word() {
        let config = SplitConfig {
            validation_speakers: vec!["s1".into()],
            test_speakers: vec!["s2".into(), "s4".into()],
            ..SplitConfig::default()
        };
        let clips = clips(6, 1);
        let split = by_config(&clips, &config).unwrap();
        for (clip, part) in clips.iter().zip(&split.parts) {
            let expected = match clip.speaker.as_str() {
                "s1" => Part::Validation,
                "s2" | "s4" => Part::Test,
                _ => Part::Train,
            };
            assert_eq!(*part, expected);
        }
    }

    #[test]
    fn a_named_speaker_may_be_typed_in_another_spelling() {
        let test = |speaker: &str| SplitConfig {
            test_speakers: vec![speaker.into()],
            ..SplitConfig::default()
        };
        let clips = clips(6, 1);
        let expected = by_config(&clips, &test("s2")).unwrap();
        assert_eq!(by_config(&clips, &test(" S02")).unwrap(), expected);

        // Where codes differ by a zero, only what was typed exactly is taken.
        let mut coded = clips.clone();
        for clip in coded.iter_mut().filter(|clip| clip.speaker == "s3") {
            clip.speaker = "s02".into();
        }
        assert_eq!(
            by_config(&coded, &test("s2")).unwrap().parts,
            expected.parts
        );
        let error = by_config(&coded, &test("S2")).unwrap_err();
        assert!(error.to_string().contains("no speaker 'S2'"), "{error}");
    }

    #[test]
    fn a_colon_in_the_name_of_a_speaker_changes_no_split() {
        let named = |separator: &str| {
            let mut clips = clips(6, 3);
            for clip in &mut clips {
                let voice: usize = clip.speaker[1..].parse().unwrap();
                clip.speaker = format!("s{}{separator}{}", voice / 2, ["f", "m"][voice % 2]);
            }
            clips
        };
        for seed in 0..20 {
            let config = SplitConfig {
                seed,
                ..SplitConfig::default()
            };
            let split = by_config(&named(":"), &config).unwrap();
            assert_eq!(split, by_config(&named("-"), &config).unwrap());
            assert_eq!(count(&split, Part::Test), 9, "one speaker of six");
        }
    }

    #[test]
    fn what_cannot_be_split_says_why() {
        let message = |clips: &[Clip], config: &SplitConfig| {
            by_config(clips, config).unwrap_err().to_string()
        };
        let default = SplitConfig::default();

        assert!(message(&clips(1, 5), &default).contains("only one speaker (s0)"));

        let mut unknown = clips(2, 3);
        unknown.iter_mut().for_each(|clip| clip.speaker.clear());
        let error = message(&unknown, &default);
        assert!(error.contains("18 of the 18 recordings") && error.contains("--split random"));

        let mut lonely = clips(4, 3);
        lonely[0].label = "disgust".into();
        assert!(message(&lonely, &default).contains("'disgust' has 1 readable clip"));

        let stranger = SplitConfig {
            test_speakers: vec!["s9".into()],
            ..default.clone()
        };
        assert!(message(&clips(3, 2), &stranger).contains("no speaker 's9'"));

        let twice = SplitConfig {
            test_speakers: vec!["s1".into()],
            validation_speakers: vec!["s1".into()],
            ..default.clone()
        };
        assert!(message(&clips(3, 2), &twice).contains("both validate and test"));

        let all = SplitConfig {
            test_fraction: 0.9,
            validation_fraction: 0.2,
            ..default
        };
        assert!(message(&clips(3, 2), &all).contains("leave something to train on"));
    }

    #[test]
    fn each_of_several_corpora_gives_its_share() {
        let speakers = |corpus: &str, count: usize| {
            let mut clips = clips(count, 2);
            for clip in &mut clips {
                clip.file = Path::new(corpus).join(&clip.file);
                clip.corpus = corpus.into();
            }
            clips
        };
        let union = [
            speakers("big", 40),
            speakers("small", 4),
            speakers("one", 1),
        ]
        .concat();
        for seed in 0..20 {
            let config = SplitConfig {
                seed,
                ..SplitConfig::default()
            };
            let made = by_config(&union, &config).unwrap();
            assert!(!made.shared.any());
            let of = |corpus: &str, part: Part| {
                let clips = union.iter().zip(&made.parts);
                let here = clips.filter(|(clip, p)| **p == part && clip.file.starts_with(corpus));
                let speakers: BTreeSet<SpeakerId> =
                    here.map(|(clip, _)| clip.speaker_id()).collect();
                speakers.len()
            };
            let parts = |corpus| Part::ALL.map(|part| of(corpus, part));
            assert_eq!(parts("big"), [26, 6, 8]);
            assert_eq!(parts("small"), [2, 1, 1]);
            assert_eq!(parts("one"), [1, 0, 0], "a corpus' only speaker trains");
        }
        // One speaker each: somebody tests all the same.
        let alone = ["a", "b", "c", "d"]
            .map(|corpus| speakers(corpus, 1))
            .concat();
        let made = by_config(&alone, &SplitConfig::default()).unwrap();
        assert!(Part::ALL.iter().all(|&part| count(&made, part) > 0));
    }

    #[test]
    fn a_manifest_s_parts_are_kept_and_validation_comes_out_of_training() {
        let clips = clips(6, 2);
        let given = |part: &dyn Fn(&str) -> Part| -> BTreeMap<PathBuf, Part> {
            let parts = clips
                .iter()
                .map(|clip| (clip.file.clone(), part(&clip.speaker)));
            parts.collect()
        };
        let config = SplitConfig {
            kind: SplitKind::Given,
            ..SplitConfig::default()
        };
        let whole = given(&|speaker| match speaker {
            "s0" => Part::Test,
            "s1" => Part::Validation,
            _ => Part::Train,
        });
        let made = split(&clips, &config, &whole).unwrap();
        for (clip, part) in clips.iter().zip(&made.parts) {
            assert_eq!(whole[&clip.file], *part);
        }
        assert!(!made.shared.any());

        let without = given(&|speaker| match speaker {
            "s0" | "s1" => Part::Test,
            _ => Part::Train,
        });
        let made = split(&clips, &config, &without).unwrap();
        assert_eq!(made, split(&clips, &config, &without).unwrap());
        assert_eq!(
            (count(&made, Part::Test), count(&made, Part::Validation)),
            (12, 6)
        );
        assert!(!made.shared.any(), "whole speakers validate");

        // One speaker trains: a share of their clips validates, and that is told.
        let alone = given(&|speaker| match speaker {
            "s0" => Part::Train,
            _ => Part::Test,
        });
        let made = split(&clips, &config, &alone).unwrap();
        assert_eq!(made.shared.0, [(Part::Train, Part::Validation)]);

        let error = |given: &BTreeMap<PathBuf, Part>| {
            split(&clips, &config, given).unwrap_err().to_string()
        };
        assert!(error(&BTreeMap::new()).contains("--test-manifest"));
        assert!(error(&given(&|_| Part::Train)).contains("no clip for the test part"));
        assert!(error(&given(&|_| Part::Test)).contains("no clip for the train part"));
    }
}
