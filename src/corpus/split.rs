//! Division of a corpus into subsets: clips for training, for the choice of the epoch, and for one
//! test at the end.
//!
//! By default, a speaker is in one subset only, so that the test score predicts the score on a new
//! speaker. [`Split::shared`] lists the subsets with common speakers; every output with scores of
//! such a split has a note about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Clip, SpeakerId, first_names, spelling_key};
use crate::audio::Excerpt;
use crate::plural::counted;

/// One of the three subsets of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subset {
    /// Clips to which the weights are fitted.
    Train,
    /// Clips by which every choice is made: best epoch, early stopping.
    Validation,
    /// Clips that are scored once, at the end, with the chosen weights.
    Test,
}

impl Subset {
    /// All subsets, in the order in which they are used.
    pub const ALL: [Subset; 3] = [Subset::Train, Subset::Validation, Subset::Test];
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Subset::Train => "train",
            Subset::Validation => "validation",
            Subset::Test => "test",
        })
    }
}

/// Method of the division.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SplitKind {
    /// By speaker: each speaker is in one subset only.
    #[default]
    Speaker,
    /// By clip, at random, with the same proportions of the classes in all subsets.
    Random,
    /// By a manifest, which has the subset of each clip.
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

/// Settings of the split, as in `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// Method of the division.
    pub kind: SplitKind,
    /// Fraction of the speakers (of the clips with a random split) for validation.
    pub validation_fraction: f64,
    /// Fraction of the speakers (of the clips with a random split) for the test.
    pub test_fraction: f64,
    /// Validation speakers, instead of a fraction drawn with `seed`.
    pub validation_speakers: Vec<String>,
    /// Test speakers, instead of a fraction drawn with `seed`.
    pub test_speakers: Vec<String>,
    /// Random seed of the split. It is separate from the seed of the training, so that trainings
    /// with several seeds have the same split.
    pub seed: u64,
}

impl SplitConfig {
    /// Checks the fractions.
    ///
    /// # Errors
    /// If the fractions leave a subset empty.
    pub fn validate(&self) -> Result<(), SplitError> {
        let (validation, test) = (self.validation_fraction, self.test_fraction);
        let is_possible = |fraction: f64| (0.0..1.0).contains(&fraction);
        let leaves_clips = validation + test < 1.0;
        let has_validation = validation > 0.0 || !self.validation_speakers.is_empty();
        let has_test = test > 0.0 || !self.test_speakers.is_empty();
        // A subset for the test needs a subset for the choice of the weights.
        let is_chosen = has_validation || !has_test;
        if is_possible(validation) && is_possible(test) && leaves_clips && is_chosen {
            Ok(())
        } else {
            Err(self.bad_fractions())
        }
    }

    fn bad_fractions(&self) -> SplitError {
        SplitError::BadFractions {
            validation: self.validation_fraction,
            test: self.test_fraction,
        }
    }
}

impl SplitConfig {
    /// True if no clip is left for a test: the training of a final model.
    pub fn is_without_test(&self) -> bool {
        self.kind != SplitKind::Given && self.test_fraction == 0.0 && self.test_speakers.is_empty()
    }

    /// True if all clips are for training.
    pub fn is_without_validation(&self) -> bool {
        self.is_without_test()
            && self.validation_fraction == 0.0
            && self.validation_speakers.is_empty()
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

/// The subset of every clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The subset of each clip, in the order of the clips.
    pub subsets: Vec<Subset>,
    /// The pairs of subsets with common speakers.
    pub shared: Shared,
}

impl Split {
    /// A split with the given subsets of the clips; it finds the subsets with common speakers.
    pub fn new(clips: &[Clip], subsets: Vec<Subset>) -> Split {
        let shared = Shared::between(clips, &subsets);
        Split { subsets, shared }
    }

    /// The indices of the clips in a subset.
    pub fn indices(&self, subset: Subset) -> Vec<usize> {
        (0..self.subsets.len())
            .filter(|&clip| self.subsets[clip] == subset)
            .collect()
    }
}

/// The pairs of subsets with common speakers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared(pub Vec<(Subset, Subset)>);

impl Shared {
    /// Compares the speakers of the subsets. All clips of unknown speakers count as clips of one
    /// speaker, because they may be of one person.
    fn between(clips: &[Clip], subsets: &[Subset]) -> Shared {
        let speakers = |subset: Subset| -> BTreeSet<SpeakerId> {
            let members = clips.iter().zip(subsets).filter(|&(_, &p)| p == subset);
            members.map(|(clip, _)| clip.speaker_id()).collect()
        };
        let pairs = [
            (Subset::Train, Subset::Validation),
            (Subset::Train, Subset::Test),
            (Subset::Validation, Subset::Test),
        ];
        let share = |&(a, b): &(Subset, Subset)| !speakers(a).is_disjoint(&speakers(b));
        Shared(pairs.into_iter().filter(share).collect())
    }

    /// True if any two subsets have a common speaker.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// True if no test speaker is in another subset.
    pub fn test_is_unseen(&self) -> bool {
        !self
            .0
            .iter()
            .any(|&(a, b)| a == Subset::Test || b == Subset::Test)
    }

    /// A note such as `speakers shared: train/validation, train/test`; `None` without common
    /// speakers.
    pub fn note(&self) -> Option<String> {
        let pairs: Vec<String> = self.0.iter().map(|(a, b)| format!("{a}/{b}")).collect();
        self.any()
            .then(|| format!("speakers shared: {}", pairs.join(", ")))
    }
}

/// The reason that clips cannot be split. Each message gives the next step.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum SplitError {
    #[error(
        "the class '{class}' has {}, too few for training, validation and \
             test; add clips of this class{leave_out}",
        counted(*count, "readable clip")
    )]
    SmallClass {
        class: String,
        count: usize,
        leave_out: String,
    },
    #[error(
        "only recordings of the class '{0}' can be read; a classifier needs at least two classes"
    )]
    OneClass(String),
    #[error(
        "the speaker of {unknown} of the {all} recordings is unknown, so they cannot be split by \
             speaker; use --split random (its score does not predict a score on new speakers), leave \
             these recordings out, or name their speakers: arrange the recordings as \
             CLASS/SPEAKER/clip.wav, or add a column for the speaker to the manifest"
    )]
    UnknownSpeakers { unknown: usize, all: usize },
    #[error(
        "there is only one speaker ({0}), so no speaker is left for the test; add recordings of other \
             speakers, or use --split random (its score does not predict a score on new speakers)"
    )]
    OneSpeaker(String),
    #[error("there is no speaker '{unknown}'; the speakers are {known}{hint}")]
    NoSuchSpeaker {
        unknown: String,
        known: String,
        hint: String,
    },
    #[error(
        "speaker '{0}' cannot be in both the validation and the test subset; remove it from one"
    )]
    InTwoParts(String),
    #[error("no speaker is left for training; {0} are in the validation or test subset")]
    NobodyTrains(String),
    #[error(
        "all clips of the class '{class}' are of one speaker ({speaker}), who is in the {subset} subset, \
             so no clip of this class is left for training; add clips of other speakers{leave_out}"
    )]
    ClassOfOneSpeaker {
        class: String,
        speaker: String,
        subset: Subset,
        leave_out: String,
    },
    #[error(
        "no clip of the class '{class}' is left for training: all its speakers ({speakers}) are in the \
             validation or test subset; choose other speakers or fractions, or another --split-seed, \
             add clips of other speakers{leave_out}"
    )]
    ClassNotTrained {
        class: String,
        speakers: String,
        leave_out: String,
    },
    #[error(
        "the fractions for validation ({validation}) and test ({test}) must be above 0, unless speakers \
             are named instead, and leave clips for training; a final model without a score may have \
             --test-fraction 0, and then --validation-fraction 0"
    )]
    BadFractions { validation: f64, test: f64 },
    #[error(
        "every class has only one training clip, so no clip is left for validation; add clips, or name \
             --validation-speakers"
    )]
    NoValidation,
    #[error(
        "--split given needs the subset of each clip: use a manifest with a column for it, or \
             --test-manifest"
    )]
    NotGiven,
    #[error("the manifest has no clip in the {subset} subset; add some, {or}")]
    NoneGiven { subset: Subset, or: &'static str },
    #[error("--validation-speakers and --test-speakers select speakers; they need --split speaker")]
    SpeakersAtRandom,
}

/// Minimum number of clips of a class, so that each subset can have one.
const MIN_CLASS_SIZE: usize = 3;

/// Assigns every clip to a subset. `given` has the subsets of a manifest, by the recordings
/// of the clips; it is used only by [`SplitKind::Given`].
///
/// # Errors
/// If the settings are invalid, or if the clips cannot be divided by them; see [`SplitError`].
pub fn split(
    clips: &[Clip],
    config: &SplitConfig,
    given: &BTreeMap<Excerpt, Subset>,
) -> Result<Split, SplitError> {
    config.validate()?;
    let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, clip) in clips.iter().enumerate() {
        classes.entry(&clip.label).or_default().push(index);
    }
    if let (1, Some((class, _))) = (classes.len(), classes.first_key_value()) {
        return Err(SplitError::OneClass(class.to_string()));
    }
    if config.is_without_validation() {
        return Ok(Split::new(clips, vec![Subset::Train; clips.len()]));
    }
    if config.kind != SplitKind::Given
        && let Some((class, members)) = classes.iter().find(|(_, m)| m.len() < MIN_CLASS_SIZE)
    {
        return Err(SplitError::SmallClass {
            class: class.to_string(),
            count: members.len(),
            leave_out: leave_out(class, &classes),
        });
    }

    let subsets = match config.kind {
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
    if subsets.contains(&Subset::Test) && !subsets.contains(&Subset::Validation) {
        return Err(match config.validation_fraction {
            0.0 => config.bad_fractions(),
            _ => SplitError::NoValidation,
        });
    }
    let trained = |members: &[usize]| members.iter().any(|&clip| subsets[clip] == Subset::Train);
    if let Some((class, members)) = classes.iter().find(|(_, members)| !trained(members)) {
        let speakers: BTreeSet<SpeakerId> = members
            .iter()
            .map(|&clip| clips[clip].speaker_id())
            .collect();
        let (class, leave_out) = (class.to_string(), leave_out(class, &classes));
        return Err(if speakers.len() == 1 {
            SplitError::ClassOfOneSpeaker {
                class,
                speaker: listed(speakers),
                subset: subsets[members[0]],
                leave_out,
            }
        } else {
            SplitError::ClassNotTrained {
                class,
                speakers: listed(speakers),
                leave_out,
            }
        });
    }
    Ok(Split::new(clips, subsets))
}

/// The end of an error about a class: the flag that leaves the class out, if two classes are left.
fn leave_out(class: &str, classes: &BTreeMap<&str, Vec<usize>>) -> String {
    let others: Vec<&str> = classes
        .keys()
        .copied()
        .filter(|&other| other != class)
        .collect();
    if others.len() < 2 {
        return String::new();
    }
    format!(
        ", or leave the class out: --labels '{0}' (in a file of settings: labels below [data])",
        others.join(",")
    )
}

/// Splits by speaker. With two speakers, none is left for validation: then a random fraction of the
/// training clips is the validation subset, and [`Split::shared`] has this pair of subsets.
fn by_speaker(clips: &[Clip], config: &SplitConfig) -> Result<Vec<Subset>, SplitError> {
    let speakers: BTreeSet<SpeakerId> = clips.iter().map(Clip::speaker_id).collect();
    let unknown = clips.iter().filter(|clip| clip.speaker.is_empty()).count();
    if unknown > 0 {
        return Err(SplitError::UnknownSpeakers {
            unknown,
            all: clips.len(),
        });
    }
    if let (1, Some(only), false) = (speakers.len(), speakers.first(), config.is_without_test()) {
        return Err(SplitError::OneSpeaker(only.to_string()));
    }
    let mut given: BTreeMap<SpeakerId, Subset> = BTreeMap::new();
    let named = [
        (&config.validation_speakers, Subset::Validation),
        (&config.test_speakers, Subset::Test),
    ];
    for (names, subset) in named {
        for name in names {
            let Some(speaker) = find_speaker(name, &speakers) else {
                return Err(no_such_speaker(name, &speakers));
            };
            if given
                .insert(speaker, subset)
                .is_some_and(|before| before != subset)
            {
                return Err(SplitError::InTwoParts(name.clone()));
            }
        }
    }

    // Draw the speakers that are not given: first the test speakers, then the validation speakers.
    let mut drawn: Vec<SpeakerId> = speakers
        .iter()
        .filter(|s| !given.contains_key(s))
        .copied()
        .collect();
    drawn.shuffle(&mut ChaCha8Rng::seed_from_u64(config.seed));
    let mut draw = |subset: Subset, fraction: f64| {
        let (taken, left) = take_fraction(&drawn, &speakers, subset, fraction);
        given.extend(taken.into_iter().map(|speaker| (speaker, subset)));
        drawn = left;
    };
    if config.test_speakers.is_empty() && config.test_fraction > 0.0 {
        draw(Subset::Test, config.test_fraction);
    }
    if config.validation_speakers.is_empty() && config.validation_fraction > 0.0 {
        draw(Subset::Validation, config.validation_fraction);
    }
    if drawn.is_empty() {
        return Err(SplitError::NobodyTrains(listed(given.into_keys())));
    }
    let subset_of = |clip: &Clip| {
        given
            .get(&clip.speaker_id())
            .copied()
            .unwrap_or(Subset::Train)
    };
    let mut subsets: Vec<Subset> = clips.iter().map(subset_of).collect();

    if !subsets.contains(&Subset::Validation) {
        validate_training_clips(clips, &mut subsets, config);
    }
    Ok(subsets)
}

/// Finds a speaker by the name that the user typed: the same name, or another spelling of the name
/// of exactly one speaker.
fn find_speaker<'a>(name: &str, speakers: &BTreeSet<SpeakerId<'a>>) -> Option<SpeakerId<'a>> {
    let is_equal = |speaker: &&SpeakerId| speaker.to_string() == name;
    let is_similar =
        |speaker: &&SpeakerId| spelling_key(&speaker.to_string()) == spelling_key(name);
    let found = speakers.iter().find(is_equal).or_else(|| {
        let mut similar = speakers.iter().filter(is_similar);
        similar.next().filter(|_| similar.next().is_none())
    });
    found.copied()
}

/// The error for a name that no speaker has. Speakers of several corpora are written CORPUS:SPEAKER,
/// which a user may not know; the hint names those whose own name is the end of `name`.
fn no_such_speaker(name: &str, speakers: &BTreeSet<SpeakerId>) -> SplitError {
    let own_name = name.rsplit([':', '/', '\\']).next().unwrap_or(name);
    let meant: Vec<SpeakerId> = speakers
        .iter()
        .copied()
        .filter(|speaker| spelling_key(speaker.name) == spelling_key(own_name))
        .collect();
    let hint = if meant.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", listed(meant))
    };
    SplitError::NoSuchSpeaker {
        unknown: name.into(),
        known: listed(speakers.iter().copied()),
        hint,
    }
}

/// Names of speakers for one line; of many speakers the first ones.
fn listed<'a>(speakers: impl IntoIterator<Item = SpeakerId<'a>>) -> String {
    let names: Vec<String> = speakers.into_iter().map(|id| id.to_string()).collect();
    first_names(&names)
}

/// Takes the first of the drawn speakers, a fraction of all speakers. Returns the taken and the
/// remaining speakers. With several corpora, the fraction is taken from each corpus, but never its
/// last speaker; if this gives no speaker, all corpora count as one.
fn take_fraction<'a>(
    drawn: &[SpeakerId<'a>],
    speakers: &BTreeSet<SpeakerId<'a>>,
    subset: Subset,
    fraction: f64,
) -> (Vec<SpeakerId<'a>>, Vec<SpeakerId<'a>>) {
    let corpus = |speaker: SpeakerId<'a>| speaker.corpus;
    let take = |corpora: &[&str], named: &dyn Fn(SpeakerId<'a>) -> &'a str| -> Vec<SpeakerId<'a>> {
        let mut taken = Vec::new();
        for &name in corpora {
            let all = speakers.iter().filter(|&&s| named(s) == name).count();
            let available: Vec<SpeakerId> = drawn
                .iter()
                .copied()
                .filter(|&s| named(s) == name)
                .collect();
            let count = ((all as f64 * fraction).round() as usize).max(1);
            // A speaker must be left for training. For the test subset, the caller checks this
            // later.
            let spared = usize::from(subset == Subset::Validation || corpora.len() > 1);
            taken
                .extend_from_slice(&available[..count.min(available.len().saturating_sub(spared))]);
        }
        taken
    };
    let corpora: BTreeSet<&str> = speakers.iter().map(|&speaker| corpus(speaker)).collect();
    let corpora: Vec<&str> = corpora.into_iter().collect();
    let mut taken = take(&corpora, &corpus);
    if taken.is_empty() {
        taken = take(&[""], &|_| "");
    }
    let mut left = drawn.to_vec();
    left.retain(|speaker| !taken.contains(speaker));
    (taken, left)
}

/// Splits by the manifest. If it has no validation clip, some of the training speakers become the
/// validation subset.
fn as_given(
    clips: &[Clip],
    config: &SplitConfig,
    given: &BTreeMap<Excerpt, Subset>,
) -> Result<Vec<Subset>, SplitError> {
    let subsets = clips.iter().map(|clip| given.get(&clip.file).copied());
    let mut subsets: Vec<Subset> = subsets.collect::<Option<_>>().ok_or(SplitError::NotGiven)?;
    let needed = [
        (Subset::Train, "or select another split with --split"),
        (
            Subset::Test,
            "for example in a separate manifest with --test-manifest, or select another split with \
             --split",
        ),
    ];
    if let Some(&(subset, or)) = needed.iter().find(|(subset, _)| !subsets.contains(subset)) {
        return Err(SplitError::NoneGiven { subset, or });
    }
    if subsets.contains(&Subset::Validation) {
        return Ok(subsets);
    }
    let trained = clips
        .iter()
        .zip(&subsets)
        .filter(|&(_, &p)| p == Subset::Train);
    let speakers: BTreeSet<SpeakerId> = trained.map(|(clip, _)| clip.speaker_id()).collect();
    let is_unknown = |speaker: &SpeakerId| speaker.name.is_empty();
    if speakers.iter().any(is_unknown) || speakers.len() < 2 {
        validate_training_clips(clips, &mut subsets, config);
        return Ok(subsets);
    }
    let mut drawn: Vec<SpeakerId> = speakers.into_iter().collect();
    let count = (drawn.len() as f64 * config.validation_fraction).round() as usize;
    let count = count.clamp(1, drawn.len() - 1);
    drawn.shuffle(&mut ChaCha8Rng::seed_from_u64(config.seed));
    for (clip, subset) in clips.iter().zip(&mut subsets) {
        if *subset == Subset::Train && drawn[..count].contains(&clip.speaker_id()) {
            *subset = Subset::Validation;
        }
    }
    Ok(subsets)
}

/// Moves a random fraction of the training clips to the validation subset, for corpora without a
/// speaker for it.
fn validate_training_clips(clips: &[Clip], subsets: &mut [Subset], config: &SplitConfig) {
    let indices: Vec<usize> = (0..clips.len())
        .filter(|&i| subsets[i] == Subset::Train)
        .collect();
    let training: Vec<Clip> = indices.iter().map(|&i| clips[i].clone()).collect();
    let new_subsets = stratified(&training, config.validation_fraction, 0.0, config.seed);
    for (&clip, subset) in indices.iter().zip(new_subsets) {
        subsets[clip] = subset;
    }
}

/// Splits at random, class by class, so that every subset has the same proportions of the classes.
fn stratified(clips: &[Clip], validation: f64, test: f64, seed: u64) -> Vec<Subset> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut subsets = vec![Subset::Train; clips.len()];
    let classes: BTreeSet<&str> = clips.iter().map(|clip| clip.label.as_str()).collect();
    for class in classes {
        let mut members: Vec<usize> = (0..clips.len())
            .filter(|&i| clips[i].label == class)
            .collect();
        members.shuffle(&mut random);
        let share = |fraction: f64| (members.len() as f64 * fraction).round() as usize;
        // A fraction above zero takes at least one clip; for validation, only if one is left for
        // training.
        let tests = share(test).max(usize::from(test > 0.0));
        let validations = share(validation).max(usize::from(validation > 0.0));
        let validations = validations.min(members.len().saturating_sub(tests + 1));
        for &clip in members.iter().take(tests) {
            subsets[clip] = Subset::Test;
        }
        for &clip in members.iter().skip(tests).take(validations) {
            subsets[clip] = Subset::Validation;
        }
    }
    subsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Clips of `speakers` speakers, with `takes` clips of each of three emotions.
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

    fn count(split: &Split, subset: Subset) -> usize {
        split.indices(subset).len()
    }

    #[test]
    fn no_speaker_is_in_two_subsets_for_any_number_of_speakers() {
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
                    Subset::ALL.iter().all(|&subset| count(&split, subset) > 0),
                    "{speakers} {seed}"
                );
            }
        }
    }

    #[test]
    fn the_only_training_clip_of_a_class_stays_in_training() {
        let mut clips = clips(2, 4);
        // The speaker who is not tested has one clip of fear.
        let config = SplitConfig {
            test_speakers: vec!["s1".into()],
            ..SplitConfig::default()
        };
        let mut of_fear = 0;
        clips.retain(|clip| {
            let is_fear = clip.label == "fear" && clip.speaker != "s1";
            of_fear += usize::from(is_fear);
            !is_fear || of_fear == 1
        });
        let split = by_config(&clips, &config).unwrap();
        let is_trained =
            |(clip, subset): (&Clip, &Subset)| *subset == Subset::Train && clip.label == "fear";
        assert!(clips.iter().zip(&split.subsets).any(is_trained));
        assert_eq!(count(&split, Subset::Validation), 2);

        clips.retain(|clip| clip.speaker == "s1" || clip.file.path.ends_with("0.wav"));
        assert_eq!(by_config(&clips, &config), Err(SplitError::NoValidation));
    }

    #[test]
    fn a_final_model_has_no_test_and_may_have_no_validation() {
        let fractions = |validation_fraction, test_fraction| SplitConfig {
            validation_fraction,
            test_fraction,
            ..SplitConfig::default()
        };
        for speakers in [1, 2, 20] {
            let clips = clips(speakers, 3);
            let all = by_config(&clips, &fractions(0.0, 0.0)).unwrap();
            assert_eq!(count(&all, Subset::Train), clips.len());
            let validated = by_config(&clips, &fractions(0.15, 0.0)).unwrap();
            assert_eq!(count(&validated, Subset::Test), 0);
            assert!(count(&validated, Subset::Validation) > 0, "{speakers}");
            assert_eq!(validated.shared.any(), speakers == 1);
        }
        // Test speakers that are named are still tested.
        let mut named = SplitConfig {
            test_speakers: vec!["s1".into()],
            ..fractions(0.0, 0.0)
        };
        let without_validation = by_config(&clips(5, 2), &named).unwrap_err();
        assert!(matches!(
            without_validation,
            SplitError::BadFractions { .. }
        ));
        named.validation_speakers = vec!["s2".into()];
        let split = by_config(&clips(5, 2), &named).unwrap();
        assert_eq!(count(&split, Subset::Test), 6);
        for (validation, test) in [
            (0.0, 0.2),
            (-0.1, 0.0),
            (0.0, 1.0),
            (0.5, 0.5),
            (f64::NAN, 0.0),
        ] {
            assert!(
                fractions(validation, test).validate().is_err(),
                "{validation} {test}"
            );
        }
    }

    #[test]
    fn twenty_speakers_are_split_by_the_fractions() {
        let split = by_config(&clips(20, 1), &SplitConfig::default()).unwrap();
        assert_eq!(
            Subset::ALL.map(|subset| count(&split, subset)),
            [13 * 3, 3 * 3, 4 * 3]
        );
    }

    #[test]
    fn with_two_speakers_a_note_reports_the_shared_validation_speaker() {
        let clips = clips(2, 10);
        let split = by_config(&clips, &SplitConfig::default()).unwrap();
        assert_eq!(
            split.shared.note().unwrap(),
            "speakers shared: train/validation"
        );
        assert!(count(&split, Subset::Validation) > 0 && count(&split, Subset::Test) == 30);
    }

    #[test]
    fn random_keeps_the_proportion_of_the_classes() {
        let clips = clips(10, 10);
        let config = SplitConfig {
            kind: SplitKind::Random,
            ..SplitConfig::default()
        };
        let split = by_config(&clips, &config).unwrap();
        assert!(split.shared.any() && !split.shared.test_is_unseen());
        for subset in Subset::ALL {
            let count_of = |label: &str| {
                split
                    .indices(subset)
                    .iter()
                    .filter(|&&clip| clips[clip].label == label)
                    .count()
            };
            let neutral = count_of("neutral");
            assert_eq!((count_of("anger"), count_of("fear")), (neutral, neutral));
        }
    }

    #[test]
    fn given_speakers_are_in_the_given_subsets() {
        let config = SplitConfig {
            validation_speakers: vec!["s1".into()],
            test_speakers: vec!["s2".into(), "s4".into()],
            ..SplitConfig::default()
        };
        let clips = clips(6, 1);
        let split = by_config(&clips, &config).unwrap();
        for (clip, subset) in clips.iter().zip(&split.subsets) {
            let expected = match clip.speaker.as_str() {
                "s1" => Subset::Validation,
                "s2" | "s4" => Subset::Test,
                _ => Subset::Train,
            };
            assert_eq!(*subset, expected);
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

        // If codes differ by a zero, only the exact name is accepted.
        let mut coded = clips.clone();
        for clip in coded.iter_mut().filter(|clip| clip.speaker == "s3") {
            clip.speaker = "s02".into();
        }
        assert_eq!(
            by_config(&coded, &test("s2")).unwrap().subsets,
            expected.subsets
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
            assert_eq!(count(&split, Subset::Test), 9, "one speaker of six");
        }
    }

    #[test]
    fn impossible_splits_are_errors() {
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

        let absent = SplitConfig {
            test_speakers: vec!["s9".into()],
            ..default.clone()
        };
        let absent = message(&clips(3, 2), &absent);
        assert!(absent.contains("no speaker 's9'") && !absent.contains("did you mean"));

        let mut corpora = clips(50, 2);
        for clip in &mut corpora {
            clip.corpus = "a".into();
        }
        let bare = SplitConfig {
            test_speakers: vec!["a/s31".into()],
            ..default.clone()
        };
        let bare = message(&corpora, &bare);
        assert!(bare.ends_with("and 20 more; did you mean a:s31?"), "{bare}");

        let twice = SplitConfig {
            test_speakers: vec!["s1".into()],
            validation_speakers: vec!["s1".into()],
            ..default.clone()
        };
        assert!(message(&clips(3, 2), &twice).contains("both the validation and the test subset"));

        let all = SplitConfig {
            test_fraction: 0.9,
            validation_fraction: 0.2,
            ..default
        };
        assert!(message(&clips(3, 2), &all).contains("leave clips for training"));
    }

    #[test]
    fn the_fractions_are_taken_from_each_of_several_corpora() {
        let speakers = |corpus: &str, count: usize| {
            let mut clips = clips(count, 2);
            for clip in &mut clips {
                clip.file = clip.file.below(Path::new(corpus));
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
            let count_speakers = |corpus: &str, subset: Subset| {
                let clips = union.iter().zip(&made.subsets);
                let members =
                    clips.filter(|(clip, p)| **p == subset && clip.file.path.starts_with(corpus));
                let speakers: BTreeSet<SpeakerId> =
                    members.map(|(clip, _)| clip.speaker_id()).collect();
                speakers.len()
            };
            let subsets = |corpus| Subset::ALL.map(|subset| count_speakers(corpus, subset));
            assert_eq!(subsets("big"), [26, 6, 8]);
            assert_eq!(subsets("small"), [2, 1, 1]);
            assert_eq!(
                subsets("one"),
                [1, 0, 0],
                "the only speaker of a corpus is a training speaker"
            );
        }
        // With one speaker in each corpus, every subset still has a speaker.
        let alone = ["a", "b", "c", "d"]
            .map(|corpus| speakers(corpus, 1))
            .concat();
        let made = by_config(&alone, &SplitConfig::default()).unwrap();
        assert!(Subset::ALL.iter().all(|&subset| count(&made, subset) > 0));
    }

    #[test]
    fn the_subsets_of_a_manifest_are_kept_and_validation_is_taken_from_training() {
        let clips = clips(6, 2);
        let given = |subset: &dyn Fn(&str) -> Subset| -> BTreeMap<Excerpt, Subset> {
            let subsets = clips
                .iter()
                .map(|clip| (clip.file.clone(), subset(&clip.speaker)));
            subsets.collect()
        };
        let config = SplitConfig {
            kind: SplitKind::Given,
            ..SplitConfig::default()
        };
        let whole = given(&|speaker| match speaker {
            "s0" => Subset::Test,
            "s1" => Subset::Validation,
            _ => Subset::Train,
        });
        let made = split(&clips, &config, &whole).unwrap();
        for (clip, subset) in clips.iter().zip(&made.subsets) {
            assert_eq!(whole[&clip.file], *subset);
        }
        assert!(!made.shared.any());

        let without = given(&|speaker| match speaker {
            "s0" | "s1" => Subset::Test,
            _ => Subset::Train,
        });
        let made = split(&clips, &config, &without).unwrap();
        assert_eq!(made, split(&clips, &config, &without).unwrap());
        assert_eq!(
            (count(&made, Subset::Test), count(&made, Subset::Validation)),
            (12, 6)
        );
        assert!(!made.shared.any(), "validation has complete speakers");

        // With one training speaker, a fraction of their clips is for validation, with a note.
        let alone = given(&|speaker| match speaker {
            "s0" => Subset::Train,
            _ => Subset::Test,
        });
        let made = split(&clips, &config, &alone).unwrap();
        assert_eq!(made.shared.0, [(Subset::Train, Subset::Validation)]);

        let error = |given: &BTreeMap<Excerpt, Subset>| {
            split(&clips, &config, given).unwrap_err().to_string()
        };
        assert!(error(&BTreeMap::new()).contains("--test-manifest"));
        assert!(error(&given(&|_| Subset::Train)).contains("no clip in the test subset"));
        assert!(error(&given(&|_| Subset::Test)).contains("no clip in the train subset"));
    }
}
