//! Experiments: one run from its recordings to its score, and studies of many runs.
//!
//! A study is a list of trials with one plan. There are three kinds: a
//! [cross-validation](CrossValidation) has a trial for each fold and seed, a [cross-corpus
//! matrix](CrossCorpus) for each corpus and seed, and a [sweep](Sweep) has a cross-validation for
//! each combination of values. They have in common:
//!
//! - [`Plan`], [`Study`], [`check`]: the plan file; a study continues only with the same plan and
//!   recordings.
//! - [`Trial`]: the settings, the run folder and the state of one training.
//! - [`Runner`]: the processes that train trials.
//! - Scores over seeds and speakers, in the summary of each kind of study.

mod cross_corpus;
mod cross_validation;
mod evaluate;
mod identity;
mod initial;
mod plan;
mod run;
#[cfg(unix)]
mod runner;
mod stress;
mod summary;
mod sweep;
mod trial;

pub use cross_corpus::{
    CorpusEntry, CorpusPair, CorpusPlan, CrossCorpus, CrossCorpusSummary, SeedScores,
    predict_corpus,
};
pub use cross_validation::{CrossValidation, CrossValidationSummary, FoldPlan};
pub use evaluate::{NOT_COMPARED, ScoreNotes, notes_on_others, notes_on_own};
pub use plan::{Plan, Study, check};
pub use run::{Experiment, Own, SavedRun, open_corpus, own_recordings, saved_progress};
#[cfg(unix)]
pub use runner::{Job, Outcome, Runner, default_jobs};
pub use stress::{DecodedClips, StressClips, StressTest, group_scores};
pub use summary::TrialScores;
pub use sweep::{
    BaselineDifference, Combination, HyperParams, HyperParamsRow, Sweep, SweepFile, SweepSummary,
    SweepTrial, TrialRow,
};
pub use trial::{Subject, Trial, TrialState};
