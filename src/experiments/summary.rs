//! Scores of several trials together: mean and standard deviation over the seeds, intervals over
//! speakers; and the functions that write them as text, CSV and JSON.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::trial::{Subject, Trial};
use crate::corpus;
use crate::escape::escape_line;
use crate::evaluation::{Interval, Intervals, MeanStd, Predictions, Scores, SpeakerBootstrap};
use crate::io::{write_atomically, write_bytes};
use crate::leakage::Caveats;
use crate::report::joined_notes;
use crate::run::{SavedPredictions, read_predictions, read_test_predictions};

/// End of the note about trials without scores.
pub(super) const NOT_DONE: &str = "not finished yet";

/// Scores of one trial. They are fractions of 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialScores {
    /// Name of the fold; empty for a trial without folds.
    pub fold: String,
    /// Random seed of the training.
    pub seed: u64,
    /// Number of test speakers.
    pub speakers: usize,
    /// Number of test clips.
    pub clips: usize,
    /// Scores on the test clips.
    #[serde(flatten)]
    pub scores: Scores,
    /// Notes that a reader of the scores needs, in one line.
    pub notes: String,
}

impl TrialScores {
    /// The notes as the end of a line with these scores.
    pub fn note(&self) -> String {
        match self.notes.as_str() {
            "" => String::new(),
            notes => format!("   ({notes})"),
        }
    }
}

impl Trial<'_> {
    /// Scores of a finished trial.
    ///
    /// # Errors
    /// If its files cannot be read.
    pub fn scores(&self) -> Result<TrialScores> {
        let caveats = Caveats::of_run(&self.run()?)?;
        Ok(TestedTrial::read(*self)?.scores_with(&caveats))
    }
}

/// A trial with its predictions for the clips of a test set.
pub(super) struct TestedTrial<'a> {
    pub(super) trial: Trial<'a>,
    pub(super) test: SavedPredictions,
    pub(super) scores: Scores,
}

impl<'a> TestedTrial<'a> {
    /// The predictions for the test subset of a finished trial.
    pub(super) fn read(trial: Trial<'a>) -> Result<TestedTrial<'a>> {
        trial.check_settings()?;
        Ok(TestedTrial::of(
            trial,
            read_test_predictions(&trial.files())?,
        ))
    }

    /// Predictions of the trial in another file.
    pub(super) fn read_from(trial: Trial<'a>, file: PathBuf) -> Result<TestedTrial<'a>> {
        trial.check_settings()?;
        Ok(TestedTrial::of(trial, read_predictions(&file)?))
    }

    fn of(trial: Trial<'a>, test: SavedPredictions) -> TestedTrial<'a> {
        TestedTrial {
            trial,
            scores: scores_of(&test),
            test,
        }
    }

    pub(super) fn scores_with(&self, caveats: &Caveats) -> TrialScores {
        TrialScores {
            fold: match self.trial.subject {
                Subject::Fold(fold) => fold.name.clone(),
                Subject::Corpus(_) => String::new(),
            },
            seed: self.trial.seed,
            speakers: corpus::speakers(&self.test.clips).len(),
            clips: self.test.clips.len(),
            scores: self.scores,
            notes: caveats.notes().join("; "),
        }
    }
}

/// Predictions of several trials, one after the other. A clip is contained once for each trial that
/// predicts it.
pub(super) fn pool<'a>(tested: impl IntoIterator<Item = &'a TestedTrial<'a>>) -> SavedPredictions {
    let mut pooled = SavedPredictions {
        clips: Vec::new(),
        predictions: Predictions {
            classes: Vec::new(),
            truth: Vec::new(),
            probabilities: Vec::new(),
        },
    };
    for TestedTrial { test, .. } in tested {
        let (all, test_predictions) = (&mut pooled.predictions, &test.predictions);
        all.classes.clone_from(&test_predictions.classes);
        all.truth.extend(&test_predictions.truth);
        all.probabilities
            .extend_from_slice(&test_predictions.probabilities);
        pooled.clips.extend_from_slice(&test.clips);
    }
    pooled
}

/// Speaker of each clip.
pub(super) fn speakers(test: &SavedPredictions) -> Vec<&str> {
    let clips = test.clips.iter();
    clips.map(|clip| clip.speaker.as_str()).collect()
}

/// Confusion matrices by speaker, of the trials with each seed.
pub(super) fn by_speaker(tested: &[TestedTrial]) -> SpeakerBootstrap {
    let of_seed = |trials: &Vec<&TestedTrial>| {
        let test = pool(trials.iter().copied());
        SpeakerBootstrap::new(&test.predictions, &speakers(&test))
    };
    let seeds: Vec<SpeakerBootstrap> = by_seed(tested).iter().map(of_seed).collect();
    SpeakerBootstrap::of_trainings(&seeds)
}

pub(super) fn scores_of(test: &SavedPredictions) -> Scores {
    Scores::from(&test.predictions.metrics())
}

/// Scores of trials with one or several seeds.
pub(super) struct SeedSummary {
    /// Over the seeds; the test clips of all trials with the same seed are pooled.
    pub(super) scores: Scores<MeanStd>,
    /// 95 % intervals of the mean over the seeds, by bootstrap over the speakers.
    pub(super) intervals: Option<Intervals>,
    pub(super) by_speaker: SpeakerBootstrap,
    pub(super) pooled: SavedPredictions,
}

impl SeedSummary {
    /// `seed` determines the resamples of speakers.
    pub(super) fn of(tested: &[TestedTrial], seed: u64) -> SeedSummary {
        let pooled = pool(tested);
        let by_speaker = by_speaker(tested);
        SeedSummary {
            scores: over_seeds(tested, |seed| scores_of(&pool(seed.iter().copied()))),
            intervals: by_speaker.intervals(seed),
            by_speaker,
            pooled,
        }
    }
}

/// Mean and standard deviation over the seeds, of the scores of the trials with each seed.
pub(super) fn over_seeds(
    tested: &[TestedTrial],
    score: impl Fn(&[&TestedTrial]) -> Scores,
) -> Scores<MeanStd> {
    let of_seeds: Vec<Scores> = by_seed(tested).iter().map(|seed| score(seed)).collect();
    Scores::across(&of_seeds, MeanStd::of)
}

/// The trials of each seed, in the order of the first trial with the seed.
pub(super) fn by_seed<'t, 'a>(tested: &'t [TestedTrial<'a>]) -> Vec<Vec<&'t TestedTrial<'a>>> {
    let mut seeds: Vec<Vec<&TestedTrial>> = Vec::new();
    for one in tested {
        let seed = seeds
            .iter_mut()
            .find(|of| of[0].trial.seed == one.trial.seed);
        match seed {
            Some(of_seed) => of_seed.push(one),
            None => seeds.push(vec![one]),
        }
    }
    seeds
}

/// A fraction in percent, with one decimal.
pub(super) fn percent(value: f64) -> String {
    format!("{:.1}", 100.0 * value)
}

/// Mean and standard deviation in percent: `62.3 ± 1.2`.
pub(super) fn percent_spread(spread: &MeanStd) -> String {
    match spread.std {
        Some(deviation) => format!("{} ± {}", percent(spread.mean), percent(deviation)),
        None => percent(spread.mean),
    }
}

/// The ends of an interval in percent: `60.1 – 64.5`.
pub(super) fn percent_interval(interval: &Interval) -> String {
    format!("{} – {}", percent(interval.low), percent(interval.high))
}

/// The line with the notes of a text report; empty without notes.
pub(super) fn note_line(notes: &[String]) -> String {
    match joined_notes(notes) {
        Some(notes) => format!("Note: {}.\n", escape_line(&notes)),
        None => String::new(),
    }
}

/// Writes a report as `STEM.txt` and `STEM.json`.
pub(super) fn write_report(
    folder: &Path,
    stem: &str,
    text: &str,
    report: &impl Serialize,
) -> Result<()> {
    write_bytes(&folder.join(format!("{stem}.txt")), text.as_bytes())?;
    let json = serde_json::to_string_pretty(report).context("the report cannot be written")?;
    write_bytes(
        &folder.join(format!("{stem}.json")),
        (json + "\n").as_bytes(),
    )
}

/// Writes a CSV file with a header and rows. A row may be a tuple that contains structs: each of
/// their fields is a column.
pub(super) fn write_csv<'a, T: Serialize>(
    path: &Path,
    header: impl IntoIterator<Item = &'a str>,
    rows: impl IntoIterator<Item = T>,
) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(file);
        writer.write_record(header)?;
        rows.into_iter().try_for_each(|row| writer.serialize(row))?;
        Ok(writer.flush()?)
    })
}

/// Writes a CSV file with rows of named columns. All rows have the same names.
pub(super) fn write_columns<'a>(
    path: &Path,
    rows: impl Iterator<Item = Vec<(&'a str, String)>>,
) -> Result<()> {
    let mut rows = rows.peekable();
    let header: Vec<&str> = rows
        .peek()
        .into_iter()
        .flatten()
        .map(|(name, _)| *name)
        .collect();
    let values = rows.map(|row| row.into_iter().map(|(_, value)| value).collect::<Vec<_>>());
    write_csv(path, header, values)
}
