//! Folds for cross-validation: every speaker is in the test subset once, and the model of that fold
//! was not trained on this speaker.
//!
//! The score on a single test subset of a few speakers depends on these speakers as much as on the
//! model. With folds, every speaker is tested, and published folds make scores comparable with
//! published scores.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Clip, CorpusKind, SpeakerId};
use crate::plural::{counted, is_or_are};

/// Fraction of the remaining speakers of a fold that are in the validation subset. It is small,
/// because more training speakers improve the model more than a better choice of the epoch does:
/// the learning rate falls to almost zero, so that late epochs are similar.
const VALIDATION_FRACTION: f64 = 0.1;

/// Test actors of the EmoBox folds for RAVDESS (Ma et al. 2024).
const RAVDESS_EMOBOX: [&[&str]; 6] = [
    &["01", "11", "20", "21"],
    &["04", "10", "12", "14"],
    &["08", "09", "19", "23"],
    &["03", "05", "07", "24"],
    &["02", "15", "16", "18"],
    &["06", "13", "17", "22"],
];

/// Test actors of the folds of Luna-Jiménez et al. (2021).
const RAVDESS_LUNA: [&[&str]; 5] = [
    &["02", "05", "14", "15", "16"],
    &["03", "06", "07", "13", "18"],
    &["10", "11", "12", "19", "20"],
    &["08", "17", "21", "23", "24"],
    &["01", "04", "09", "22"],
];

/// Test speakers of the five sessions of IEMOCAP (Busso et al. 2008): leave one session out.
const IEMOCAP_SESSIONS: [&[&str]; 5] = [
    &["Ses01F", "Ses01M"],
    &["Ses02F", "Ses02M"],
    &["Ses03F", "Ses03M"],
    &["Ses04F", "Ses04M"],
    &["Ses05F", "Ses05M"],
];

/// First and last test actor of the five folds of EMO-SUPERB for CREMA-D (Wu et al. 2024). The test
/// actors of the next fold validate.
const CREMA_D_EMO_SUPERB: [(u32, u32); 5] = [
    (1001, 1018),
    (1019, 1036),
    (1037, 1054),
    (1055, 1072),
    (1073, 1091),
];

/// Division of the speakers into test folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folds {
    /// The six folds of EmoBox for RAVDESS (Ma et al. 2024).
    RavdessEmobox6,
    /// The five folds of Luna-Jiménez et al. (2021) for RAVDESS.
    RavdessLuna5,
    /// The five sessions of IEMOCAP (Busso et al. 2008).
    IemocapSessions,
    /// The five folds of EMO-SUPERB for CREMA-D (Wu et al. 2024).
    CremaDEmoSuperb5,
    /// Leave one speaker out: each speaker is a fold.
    Loso,
    /// Leave one corpus out: the speakers of each corpus are a fold.
    Corpora,
    /// This number of groups of speakers, drawn with the seed.
    Groups(usize),
}

impl Folds {
    /// The published test speakers of each fold; empty if the folds depend on the corpus and the
    /// seed.
    pub fn published(self) -> &'static [&'static [&'static str]] {
        match self {
            Folds::RavdessEmobox6 => &RAVDESS_EMOBOX,
            Folds::RavdessLuna5 => &RAVDESS_LUNA,
            Folds::IemocapSessions => &IEMOCAP_SESSIONS,
            Folds::CremaDEmoSuperb5 | Folds::Loso | Folds::Corpora | Folds::Groups(_) => &[],
        }
    }
}

impl fmt::Display for Folds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Folds::RavdessEmobox6 => f.pad("ravdess-emobox6"),
            Folds::RavdessLuna5 => f.pad("ravdess-luna5"),
            Folds::IemocapSessions => f.pad("iemocap-sessions"),
            Folds::CremaDEmoSuperb5 => f.pad("crema-d-emosuperb5"),
            Folds::Loso => f.pad("loso"),
            Folds::Corpora => f.pad("corpora"),
            Folds::Groups(count) => f.pad(&count.to_string()),
        }
    }
}

impl FromStr for Folds {
    type Err = FoldError;

    fn from_str(word: &str) -> Result<Folds, FoldError> {
        match word {
            "ravdess-emobox6" => Ok(Folds::RavdessEmobox6),
            "ravdess-luna5" => Ok(Folds::RavdessLuna5),
            "iemocap-sessions" => Ok(Folds::IemocapSessions),
            "crema-d-emosuperb5" => Ok(Folds::CremaDEmoSuperb5),
            "loso" => Ok(Folds::Loso),
            "corpora" => Ok(Folds::Corpora),
            number => match number.parse() {
                Ok(count) if count >= 2 => Ok(Folds::Groups(count)),
                _ => Err(FoldError::NoSuchFolds(word.into())),
            },
        }
    }
}

/// One fold of a cross-validation. Speakers that are in neither list are in the training subset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// The number of the fold from 1 (a published fold keeps its number), or the speaker or corpus left
    /// out.
    pub name: String,
    /// The test speakers, sorted.
    pub test: Vec<String>,
    /// The validation speakers, sorted; the best epoch is chosen by their clips.
    pub validation: Vec<String>,
}

/// The reason that clips cannot be divided into folds. Each message gives the next step.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum FoldError {
    #[error(
        "unknown folds '{0}'; use ravdess-emobox6, ravdess-luna5, iemocap-sessions, \
             crema-d-emosuperb5, loso (leave one speaker out), corpora (leave one corpus out), or a \
             number of groups of speakers, 2 or more"
    )]
    NoSuchFolds(String),
    #[error(
        "the speakers of some recordings are unknown, so folds by speaker are impossible; arrange \
             the recordings as CLASS/SPEAKER/clip.wav, or add a column for the speaker to the manifest"
    )]
    UnknownSpeakers,
    #[error(
        "{folds} are folds of the speakers of {corpus}, but {file} is not a recording of {corpus} (its name \
             or its speaker is different); use loso, a number of groups of speakers, or, with several \
             corpora, --test-corpora"
    )]
    NotOfCorpus {
        folds: Folds,
        corpus: &'static str,
        file: String,
    },
    #[error(
        "cannot divide {} into {}; use 2 to {speakers} groups",
        counted(*speakers, "speaker"),
        counted(*groups, "group")
    )]
    GroupsWithoutSpeakers { groups: usize, speakers: usize },
    #[error(
        "the folds 'corpora' leave one corpus out, but there is only one; add others with --data \
             NAME=FOLDER"
    )]
    OneCorpus,
    #[error(
        "{} {} too few for folds: training, validation and test need one speaker each; add \
             recordings of other speakers",
        counted(*.0, "speaker"),
        is_or_are(*.0)
    )]
    TooFewSpeakers(usize),
    #[error(
        "with {test} in the test subset, only {} {} left, too few for training and validation; \
             add recordings of other speakers, or use other folds",
        counted(*left, "speaker"),
        is_or_are(*left)
    )]
    NobodyTrains { test: String, left: usize },
}

/// Divides the speakers of a corpus into folds: every speaker is in the test subset of one fold. A
/// tenth of the other speakers of a fold (at least one), drawn with the seed and the fold, is the
/// validation subset.
///
/// Groups differ by at most one speaker and have similar numbers of clips: the speakers are
/// shuffled with the seed, and assigned in order of their numbers of clips, the largest first, each
/// to the group with the fewest clips so far. With several corpora, each corpus is distributed over
/// all groups. The sex of the speakers is not balanced, because clips do not have this information.
///
/// A published fold keeps only the speakers that the clips have, and a fold without speakers is
/// left out. Scores on such folds are not comparable with scores on the whole corpus: compare the
/// folds with [`Folds::published`] and report the difference.
///
/// # Errors
/// If a speaker is unknown, if there are too few speakers for the folds, or if the clips are not
/// those of the corpus of published folds.
pub fn folds(clips: &[Clip], folds: Folds, seed: u64) -> Result<Vec<Fold>, FoldError> {
    let mut counts: BTreeMap<SpeakerId, usize> = BTreeMap::new();
    for clip in clips {
        *counts.entry(clip.speaker_id()).or_default() += 1;
    }
    if counts.keys().any(|speaker| speaker.name.is_empty()) {
        return Err(FoldError::UnknownSpeakers);
    }
    if counts.len() < 3 {
        return Err(FoldError::TooFewSpeakers(counts.len()));
    }

    let tests: Vec<Vec<SpeakerId>> = match folds {
        Folds::RavdessEmobox6 | Folds::RavdessLuna5 | Folds::IemocapSessions => {
            check_corpus(clips, folds)?;
            let present = |fold: &&[&'static str]| {
                let corpus = clips[0].corpus.as_str();
                let actors = fold.iter().map(|&name| SpeakerId { corpus, name });
                actors.filter(|actor| counts.contains_key(actor)).collect()
            };
            folds.published().iter().map(present).collect()
        }
        Folds::CremaDEmoSuperb5 => {
            check_corpus(clips, folds)?;
            let within = |&(first, last): &(u32, u32)| {
                let actors = counts.keys().copied();
                let is_within = |number: u32| (first..=last).contains(&number);
                actors
                    .filter(|actor| actor.name.parse().is_ok_and(is_within))
                    .collect()
            };
            CREMA_D_EMO_SUPERB.iter().map(within).collect()
        }
        Folds::Loso => counts.keys().map(|&speaker| vec![speaker]).collect(),
        Folds::Corpora => by_corpus(&counts)?,
        Folds::Groups(groups) => deal_groups(&counts, groups, seed)?,
    };

    let mut made = Vec::new();
    for (index, test) in tests.iter().enumerate() {
        if test.is_empty() {
            continue;
        }
        let others = counts.keys().filter(|speaker| !test.contains(speaker));
        let mut others: Vec<SpeakerId> = others.copied().collect();
        if others.len() < 2 {
            return Err(FoldError::NobodyTrains {
                test: sorted(test).join(", "),
                left: others.len(),
            });
        }
        others.shuffle(&mut generator(seed, Draw::Validation(index)));
        let mut validation = interleave_corpora(others);
        validation
            .truncate(((validation.len() as f64 * VALIDATION_FRACTION).round() as usize).max(1));
        let next = &tests[(index + 1) % tests.len()];
        if folds == Folds::CremaDEmoSuperb5 && !next.is_empty() {
            validation.clone_from(next);
        }
        made.push(Fold {
            name: match folds {
                Folds::Loso => folder_name(&sorted(test).concat(), index + 1),
                Folds::Corpora => folder_name(test[0].corpus, index + 1),
                _ => (index + 1).to_string(),
            },
            test: sorted(test),
            validation: sorted(&validation),
        });
    }
    Ok(made)
}

/// The speakers of each corpus.
fn by_corpus<'a>(
    counts: &BTreeMap<SpeakerId<'a>, usize>,
) -> Result<Vec<Vec<SpeakerId<'a>>>, FoldError> {
    let mut corpora: BTreeMap<&str, Vec<SpeakerId>> = BTreeMap::new();
    for &speaker in counts.keys() {
        corpora.entry(speaker.corpus).or_default().push(speaker);
    }
    if corpora.len() < 2 {
        return Err(FoldError::OneCorpus);
    }
    Ok(corpora.into_values().collect())
}

/// Reorders speakers so that the corpora take turns. Speakers of one corpus keep their order.
fn interleave_corpora(speakers: Vec<SpeakerId>) -> Vec<SpeakerId> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut turns: Vec<(usize, SpeakerId)> = speakers
        .into_iter()
        .map(|speaker| {
            let turn = counts.entry(speaker.corpus).or_default();
            *turn += 1;
            (*turn, speaker)
        })
        .collect();
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, speaker)| speaker).collect()
}

/// Name of the fold that leaves a speaker out: the name of the speaker, with characters that are
/// not allowed in folder names replaced. The speakers of a manifest can have any name.
fn folder_name(speaker: &str, number: usize) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_.+:@".contains(c);
    if speaker.chars().all(plain) && !speaker.starts_with('.') {
        speaker.to_string()
    } else {
        let cleaned = speaker.chars().map(|c| if plain(c) { c } else { '_' });
        format!("{number}_{}", cleaned.collect::<String>())
    }
}

/// Divides speakers into groups by their numbers of clips (`counts`).
fn deal_groups<'a>(
    counts: &BTreeMap<SpeakerId<'a>, usize>,
    groups: usize,
    seed: u64,
) -> Result<Vec<Vec<SpeakerId<'a>>>, FoldError> {
    if !(2..=counts.len()).contains(&groups) {
        return Err(FoldError::GroupsWithoutSpeakers {
            groups,
            speakers: counts.len(),
        });
    }
    let mut speakers: Vec<(SpeakerId, usize)> =
        counts.iter().map(|(&s, &count)| (s, count)).collect();
    speakers.shuffle(&mut generator(seed, Draw::Groups));
    speakers.sort_by_key(|&(speaker, count)| (speaker.corpus, std::cmp::Reverse(count)));

    let mut dealt: Vec<(Vec<SpeakerId>, usize)> = vec![Default::default(); groups];
    for (speaker, count) in speakers {
        let next = dealt.iter_mut().min_by_key(|(group, clips)| {
            let same = |other: &&SpeakerId| other.corpus == speaker.corpus;
            (group.iter().filter(same).count(), group.len(), *clips)
        });
        if let Some((group, clips)) = next {
            group.push(speaker);
            *clips += count;
        }
    }
    Ok(dealt.into_iter().map(|(group, _)| group).collect())
}

/// Rejects clips of another corpus than that of published folds.
fn check_corpus(clips: &[Clip], folds: Folds) -> Result<(), FoldError> {
    let (corpus, is_of_corpus): (_, fn(&Clip) -> bool) = match folds {
        Folds::IemocapSessions => ("IEMOCAP", is_iemocap),
        Folds::CremaDEmoSuperb5 => ("CREMA-D", is_crema_d),
        _ => ("RAVDESS", is_ravdess),
    };
    let is_foreign = |clip: &&Clip| !is_of_corpus(clip) || clip.corpus != clips[0].corpus;
    match clips.iter().find(is_foreign) {
        Some(foreign) => Err(FoldError::NotOfCorpus {
            folds,
            corpus,
            file: foreign.file.to_string(),
        }),
        None => Ok(()),
    }
}

/// True for a clip of RAVDESS. It compares the file name too, because other corpora have the same
/// speaker numbers: EmoDB also has a 03.
fn is_ravdess(clip: &Clip) -> bool {
    let labels = CorpusKind::Ravdess.parse(&clip.file.path);
    labels.is_some_and(|labels| labels.speaker == clip.speaker)
}

/// True for a clip of a speaker of IEMOCAP, also if it is a segment of a dialogue.
fn is_iemocap(clip: &Clip) -> bool {
    let speaker = clip.speaker.as_str();
    let mut sessions = IEMOCAP_SESSIONS.iter();
    sessions.any(|session| session.contains(&speaker))
}

fn is_crema_d(clip: &Clip) -> bool {
    let labels = CorpusKind::CremaD.parse(&clip.file.path);
    labels.is_some_and(|labels| labels.speaker == clip.speaker)
}

/// Purpose of random numbers. Each purpose has its own stream.
enum Draw {
    Groups,
    /// Validation speakers of the fold with this index, from 0.
    Validation(usize),
}

fn generator(seed: u64, draw: Draw) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(match draw {
        Draw::Groups => 0,
        Draw::Validation(fold) => fold as u64 + 1,
    });
    generator
}

fn sorted(speakers: &[SpeakerId]) -> Vec<String> {
    let mut names: Vec<String> = speakers.iter().map(SpeakerId::to_string).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::*;

    fn clip(file: String, speaker: &str) -> Clip {
        Clip {
            file: file.into(),
            label: "anger".into(),
            corpus_label: "angry".into(),
            corpus: String::new(),
            speaker: speaker.into(),
            sentence: String::new(),
            content: None,
        }
    }

    /// One speaker for each number, with this number of clips.
    fn clips_of(counts: &[usize]) -> Vec<Clip> {
        let clips = |(index, &count): (usize, &usize)| {
            let speaker = format!("s{index:02}");
            (0..count)
                .map(|take| clip(format!("anger/{speaker}/{take}.wav"), &speaker))
                .collect::<Vec<_>>()
        };
        counts.iter().enumerate().flat_map(clips).collect()
    }

    fn ravdess(actors: &[u32]) -> Vec<Clip> {
        let clip_of = |actor: &u32| {
            let file = format!("Actor_{actor:02}/03-01-05-01-01-01-{actor:02}.wav");
            clip(file, &format!("{actor:02}"))
        };
        actors.iter().map(clip_of).collect()
    }

    /// Asserts that every speaker is tested once and is in one subset of each fold, and that each
    /// fold has a training speaker.
    fn assert_valid(clips: &[Clip], folds: &[Fold]) {
        let speakers = super::super::speakers(clips);
        let mut tested: Vec<&String> = folds.iter().flat_map(|fold| &fold.test).collect();
        tested.sort();
        assert_eq!(tested, speakers.iter().collect::<Vec<_>>());
        for fold in folds {
            let placed: BTreeSet<&String> = fold.test.iter().chain(&fold.validation).collect();
            assert_eq!(placed.len(), fold.test.len() + fold.validation.len());
            assert!(!fold.test.is_empty() && !fold.validation.is_empty());
            assert!(placed.iter().all(|speaker| speakers.contains(speaker)));
            assert!(placed.len() < speakers.len(), "a training speaker is left");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn groups_test_every_speaker_once_and_are_balanced(
            counts in vec(1usize..40, 4..30),
            groups in 2usize..30,
            seed: u64,
        ) {
            let clips = clips_of(&counts);
            let groups = groups.min(counts.len());
            let made = folds(&clips, Folds::Groups(groups), seed).unwrap();
            assert_valid(&clips, &made);
            prop_assert_eq!(made.len(), groups);
            prop_assert_eq!(&made, &folds(&clips, Folds::Groups(groups), seed).unwrap());

            let spread = |sizes: Vec<usize>| {
                sizes.iter().max().unwrap() - sizes.iter().min().unwrap()
            };
            prop_assert!(spread(made.iter().map(|fold| fold.test.len()).collect()) <= 1);
            let tested = |fold: &Fold| {
                clips.iter().filter(|clip| fold.test.contains(&clip.speaker)).count()
            };
            prop_assert!(spread(made.iter().map(tested).collect()) <= *counts.iter().max().unwrap());
        }

        #[test]
        fn each_of_several_corpora_is_distributed_over_all_groups(
            speakers_per_corpus in vec(1usize..12, 2..4),
            groups in 2usize..6,
            seed: u64,
        ) {
            let clips: Vec<Clip> = speakers_per_corpus
                .iter()
                .enumerate()
                .flat_map(|(corpus, &speakers)| (0..speakers).map(move |number| (corpus, number)))
                .flat_map(|(corpus, number)| vec![(corpus, number); 1 + number % 3])
                .map(|(corpus, number)| Clip {
                    corpus: ["a", "b", "c"][corpus].into(),
                    ..clip("x.wav".into(), &number.to_string())
                })
                .collect();
            let speakers: usize = speakers_per_corpus.iter().sum();
            prop_assume!(speakers >= groups + 2);
            let made = folds(&clips, Folds::Groups(groups), seed).unwrap();
            let spread = |count: &dyn Fn(&Fold) -> usize| {
                let counts: Vec<usize> = made.iter().map(count).collect();
                counts.iter().max().unwrap() - counts.iter().min().unwrap()
            };
            prop_assert!(spread(&|fold| fold.test.len()) <= 1);
            for corpus in ["a:", "b:", "c:"] {
                let tested = |fold: &Fold| fold.test.iter().filter(|s| s.starts_with(corpus)).count();
                prop_assert!(spread(&tested) <= 1);
            }
        }

        #[test]
        fn leaving_one_out_tests_every_speaker_once(counts in vec(1usize..5, 3..30), seed: u64) {
            let clips = clips_of(&counts);
            let made = folds(&clips, Folds::Loso, seed).unwrap();
            assert_valid(&clips, &made);
            prop_assert_eq!(made.len(), counts.len());
            prop_assert!(made.iter().all(|fold| fold.test == [fold.name.clone()]));
            prop_assert_eq!(made, folds(&clips, Folds::Loso, seed).unwrap());
        }

        #[test]
        fn published_folds_test_every_actor_that_is_there(
            actors in subsequence((1..=24).collect::<Vec<u32>>(), 7..=24),
            seed: u64,
        ) {
            let clips = ravdess(&actors);
            for kind in [Folds::RavdessEmobox6, Folds::RavdessLuna5] {
                let made = folds(&clips, kind, seed).unwrap();
                assert_valid(&clips, &made);
                for fold in &made {
                    let published = kind.published()[fold.name.parse::<usize>().unwrap() - 1];
                    prop_assert!(fold.test.iter().all(|actor| published.contains(&actor.as_str())));
                }
                prop_assert_eq!(made, folds(&clips, kind, seed).unwrap());
            }
        }
    }

    #[test]
    fn the_name_of_a_fold_is_its_speaker_without_characters_that_folders_cannot_have() {
        let named = |speaker| folder_name(speaker, 7);
        assert_eq!(named("03"), "03");
        assert_eq!(named("emodb:03"), "emodb:03");
        assert_eq!(named("ann/2"), "7_ann_2");
        assert_eq!(named("../x"), "7_.._x");
        assert_eq!(named("Zoë"), "Zoë");
    }

    #[test]
    fn validation_speakers_come_from_all_corpora_in_turn() {
        let order = |corpora: &[&str], names: &[&str]| {
            let ids = corpora.iter().zip(names);
            let turns = interleave_corpora(
                ids.map(|(corpus, name)| SpeakerId { corpus, name })
                    .collect(),
            );
            turns.iter().map(SpeakerId::to_string).collect::<Vec<_>>()
        };
        assert_eq!(order(&[""; 3], &["3", "b:1", "2"]), ["3", "b:1", "2"]);
        assert_eq!(
            order(&["a", "a", "b", "a", "b"], &["3", "1", "2", "2", "1"]),
            ["a:3", "b:2", "a:1", "b:1", "a:2"]
        );
    }

    #[test]
    fn twenty_speakers_in_five_groups() {
        let clips = clips_of(&[60; 20]);
        let made = folds(&clips, Folds::Groups(5), 1).unwrap();
        let names: Vec<&str> = made.iter().map(|fold| fold.name.as_str()).collect();
        assert_eq!(names, ["1", "2", "3", "4", "5"]);
        for fold in &made {
            assert_eq!((fold.test.len(), fold.validation.len()), (4, 2));
        }
        assert_ne!(made, folds(&clips, Folds::Groups(5), 2).unwrap());
    }

    #[test]
    fn speakers_with_few_and_with_many_clips_share_a_group() {
        let clips = clips_of(&[8, 7, 6, 5]);
        for seed in 0..10 {
            for fold in folds(&clips, Folds::Groups(2), seed).unwrap() {
                let is_tested = |clip: &&Clip| fold.test.contains(&clip.speaker);
                assert_eq!(clips.iter().filter(is_tested).count(), 13);
            }
        }
    }

    #[test]
    fn the_published_folds_contain_each_of_the_24_actors_once() {
        let actors: Vec<String> = (1..=24).map(|actor| format!("{actor:02}")).collect();
        for kind in [Folds::RavdessEmobox6, Folds::RavdessLuna5] {
            let mut published = kind.published().concat();
            published.sort();
            assert_eq!(published, actors);
        }
    }

    #[test]
    fn a_published_fold_without_speakers_is_left_out() {
        let actors: Vec<u32> = (1..=24)
            .filter(|a| ![8, 9, 19, 23, 1].contains(a))
            .collect();
        let made = folds(&ravdess(&actors), Folds::RavdessEmobox6, 1).unwrap();
        let names: Vec<&str> = made.iter().map(|fold| fold.name.as_str()).collect();
        assert_eq!(names, ["1", "2", "4", "5", "6"]);
        assert_eq!(made[0].test, ["11", "20", "21"]);
        assert_eq!(made[1].test, ["04", "10", "12", "14"]);
    }

    #[test]
    fn iemocap_is_divided_into_its_sessions() {
        let speakers = (1..=5).flat_map(|n| ["F", "M"].map(|sex| format!("Ses0{n}{sex}")));
        let mut clips: Vec<Clip> = speakers
            .map(|speaker| clip(format!("{speaker}_impro01.wav"), &speaker))
            .collect();
        let made = folds(&clips, Folds::IemocapSessions, 1).unwrap();
        assert_eq!(made.len(), 5);
        assert_eq!(made[1].test, ["Ses02F", "Ses02M"]);
        assert!(made.iter().all(|fold| !fold.validation.is_empty()));
        clips.push(clip("a.wav".into(), "anna"));
        let error = folds(&clips, Folds::IemocapSessions, 1).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a.wav is not a recording of IEMOCAP"),
            "{error}"
        );
    }

    #[test]
    fn folds_are_displayed_as_they_are_parsed() {
        for word in [
            "ravdess-emobox6",
            "ravdess-luna5",
            "iemocap-sessions",
            "loso",
            "2",
            "10",
        ] {
            assert_eq!(word.parse::<Folds>().unwrap().to_string(), word);
        }
        for word in ["ravdess", "LOSO", "", "0", "1", "-3", "2.5"] {
            let error = word.parse::<Folds>().unwrap_err().to_string();
            for known in ["ravdess-emobox6", "ravdess-luna5", "loso", "number"] {
                assert!(error.contains(known), "{error}");
            }
        }
    }

    #[test]
    fn impossible_folds_are_errors() {
        let message = |clips: &[Clip], kind| folds(clips, kind, 1).unwrap_err().to_string();

        let unknown = [clips_of(&[3; 5]), vec![clip("a.wav".into(), "")]].concat();
        assert!(message(&unknown, Folds::Loso).contains("CLASS/SPEAKER/clip.wav"));

        assert!(message(&clips_of(&[3; 5]), Folds::RavdessLuna5).contains("anger/s00/0.wav"));
        let of_corpus = |corpus: &str, actors: &[u32]| -> Vec<Clip> {
            let clips = ravdess(actors).into_iter();
            clips
                .map(|clip| Clip {
                    corpus: corpus.into(),
                    ..clip
                })
                .collect()
        };
        let several = [of_corpus("a", &[1, 2]), of_corpus("b", &[3])].concat();
        assert!(message(&several, Folds::RavdessLuna5).contains("--test-corpora"));
        let emodb = ["03", "08", "09"].map(|s| clip(format!("wav/{s}a01Fa.wav"), s));
        assert!(message(&emodb, Folds::RavdessEmobox6).contains("is not a recording of RAVDESS"));

        for groups in [1, 6] {
            let kind = Folds::Groups(groups);
            assert!(message(&clips_of(&[3; 5]), kind).contains("use 2 to 5 groups"));
        }
        for kind in [Folds::Loso, Folds::Groups(2)] {
            for speakers in 0..3 {
                assert!(message(&clips_of(&vec![3; speakers]), kind).contains("too few for folds"));
            }
        }
        let one_left = "only 1 speaker is left";
        assert!(message(&clips_of(&[3; 3]), Folds::Groups(2)).contains(one_left));
        let one_fold = "with 01, 11, 20 in the test subset, only 0";
        assert!(message(&ravdess(&[1, 11, 20]), Folds::RavdessEmobox6).contains(one_fold));
    }

    #[test]
    fn published_folds_of_one_of_several_corpora_have_its_name() {
        let clips: Vec<Clip> = ravdess(&(1..=24).collect::<Vec<_>>())
            .into_iter()
            .map(|clip| Clip {
                corpus: "r".into(),
                ..clip
            })
            .collect();
        let made = folds(&clips, Folds::RavdessLuna5, 1).unwrap();
        assert_eq!(made[4].test, ["r:01", "r:04", "r:09", "r:22"]);
    }

    #[test]
    fn leave_one_corpus_out_tests_all_speakers_of_a_corpus() {
        let clip_of = |(corpus, speaker): (&str, &str)| Clip {
            corpus: corpus.into(),
            ..clip(format!("{corpus}/{speaker}.wav"), speaker)
        };
        let clips = [
            ("a", "1"),
            ("a", "2"),
            ("b", "1"),
            ("b", "3"),
            ("c", "1"),
            ("c", "4"),
        ];
        let clips = clips.map(clip_of);
        let made = folds(&clips, Folds::Corpora, 3).unwrap();
        let names: Vec<&str> = made.iter().map(|fold| fold.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(made[1].test, ["b:1", "b:3"]);
        for fold in &made {
            let other = |speaker: &String| !speaker.starts_with(&fold.name);
            assert!(!fold.validation.is_empty() && fold.validation.iter().all(other));
        }
        let alone = folds(&clips_of(&[2, 3, 4]), Folds::Corpora, 3);
        assert_eq!(alone, Err(FoldError::OneCorpus));
    }

    #[test]
    fn the_next_fold_of_emo_superb_validates() {
        let clip_of = |actor: u32| clip(format!("{actor}_DFA_ANG_XX.wav"), &actor.to_string());
        let clips: Vec<Clip> = (1001..=1091).map(clip_of).collect();
        let made = folds(&clips, Folds::CremaDEmoSuperb5, 1).unwrap();
        assert_valid(&clips, &made);
        let sizes: Vec<usize> = made.iter().map(|fold| fold.test.len()).collect();
        assert_eq!(sizes, [18, 18, 18, 18, 19]);
        assert_eq!(
            (made[4].test[0].as_str(), made[4].test[18].as_str()),
            ("1073", "1091")
        );
        for (fold, next) in made.iter().zip(made.iter().cycle().skip(1)) {
            assert_eq!(fold.validation, next.test);
        }
        let foreign = folds(&ravdess(&[1, 2, 3, 4]), Folds::CremaDEmoSuperb5, 1);
        assert!(matches!(foreign, Err(FoldError::NotOfCorpus { .. })));
    }
}
