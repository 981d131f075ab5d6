//! Results of a cross-corpus matrix.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use super::{CorpusEntry, CrossCorpus};
use crate::audio::Excerpt;
use crate::config::RunConfig;
use crate::corpus::{self, Clip, ContentHash, CorpusKind};
use crate::escape::escape_line;
use crate::evaluation::{self, Intervals, MeanStd, Metrics, Scores};
use crate::experiments::plan::check_pooled;
use crate::experiments::summary::{
    SeedSummary, TestedTrial, note_line, percent, percent_interval, percent_spread, write_csv,
    write_report,
};
use crate::experiments::trial::Trial;
use crate::inference::Trained;
use crate::io::write_bytes;
use crate::leakage::{Caveats, Comparison, SYNTHETIC, is_in_question};
use crate::plural::counted;
use crate::report::{MatrixCell, confusion_png, joined_notes, matrix_png};

/// Scores of a cross-corpus matrix. They are fractions of 1.
#[derive(Debug, Clone, Serialize)]
pub struct CrossCorpusSummary {
    /// Name of the matrix.
    pub name: String,
    /// Architecture of the models.
    pub arch: String,
    /// Labels of all trials.
    pub labels: Vec<String>,
    /// Notes that a reader of the scores needs.
    pub notes: Vec<String>,
    /// Predictions that do not exist yet: name of the trial and of the test corpus.
    pub missing: Vec<String>,
    /// Pairs of corpora with at least one score, in the order of the training corpus.
    pub pairs: Vec<CorpusPair>,
}

/// Scores of models that were trained on one corpus and tested on one corpus.
#[derive(Debug, Clone, Serialize)]
pub struct CorpusPair {
    /// Name of the training corpus.
    pub trained_on: String,
    /// Name of the test corpus.
    pub tested_on: String,
    /// Number of test speakers.
    pub speakers: usize,
    /// True if a test speaker may be a training speaker too.
    pub speakers_shared: bool,
    /// Notes that a reader of the scores needs.
    pub notes: Vec<String>,
    /// Numbers of recordings that could not be read, one sentence each.
    pub left_out: Vec<String>,
    /// Labels that no test clip has. They are left out of the UAR.
    pub missing_labels: Vec<String>,
    /// UAR of a random choice: one over the number of labels that test clips have.
    pub chance: f64,
    /// Scores with each seed.
    pub seeds: Vec<SeedScores>,
    /// Mean and standard deviation over the seeds.
    #[serde(flatten)]
    pub scores: Scores<MeanStd>,
    /// 95 % intervals of the mean over the seeds, by bootstrap over the test speakers. None with
    /// fewer than two speakers.
    pub intervals: Option<Intervals>,
    /// Metrics of all seeds: each clip is counted once per seed.
    pub metrics: Metrics,
}

/// Scores with one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedScores {
    /// Random seed of the training.
    pub seed: u64,
    /// Number of test clips.
    pub clips: usize,
    /// Scores on the test clips.
    #[serde(flatten)]
    pub scores: Scores,
}

/// Numbers of recordings that could not be read for the training and for the test of a trial.
fn unreadable(
    predicted: &TestedTrial,
    trained: &CorpusEntry,
    tested: &CorpusEntry,
) -> Result<Vec<String>> {
    let config = RunConfig::read(&predicted.trial.run()?.config_toml())?;
    let mut counts = vec![(config.data.skipped, trained)];
    if trained != tested {
        let read = predicted.test.clips.len();
        counts.push((tested.clips.saturating_sub(read), tested));
    }
    counts.retain(|&(count, _)| count > 0);
    let sentence = |(count, corpus): (usize, &CorpusEntry)| {
        let recordings = counted(count, "unreadable recording");
        format!("{recordings} of {} left out", corpus.name)
    };
    Ok(counts.into_iter().map(sentence).collect())
}

impl CrossCorpus {
    /// Results of the finished trials.
    ///
    /// # Errors
    /// If files of a trial cannot be read, or if trials had different recordings.
    pub fn summary(&self) -> Result<CrossCorpusSummary> {
        let corpora = &self.plan.corpus;
        for corpus in corpora {
            let mut trials = self.trials_on(corpus);
            trials.retain(Trial::has_started);
            check_pooled(&trials)?;
        }
        let (mut pairs, mut missing) = (Vec::new(), Vec::new());
        for trained in corpora {
            for tested in corpora {
                let trials = self.trials_on(trained).into_iter();
                let (done, left): (Vec<Trial>, Vec<Trial>) =
                    trials.partition(|trial| self.has_predicted(trial, tested));
                let pair = |trial: &Trial| format!("{} on {}", trial.name(), tested.name);
                missing.extend(left.iter().map(pair));
                if !done.is_empty() {
                    pairs.push(self.pair(trained, tested, done)?);
                }
            }
        }
        let mut notes = Vec::new();
        let mut kinds = corpora.iter().filter_map(|corpus| corpus.data.corpus);
        if kinds.any(CorpusKind::is_synthetic) {
            notes.push("a corpus among them is synthetic".to_string());
        }
        let shared: Vec<String> = pairs
            .iter()
            .filter(|pair| pair.speakers_shared)
            .map(|pair| match &pair.trained_on {
                corpus if *corpus == pair.tested_on => format!("{corpus} with itself"),
                corpus => format!("{corpus} and {}", pair.tested_on),
            })
            .collect();
        if !shared.is_empty() {
            notes.push(format!("speakers shared: {}", shared.join(", ")));
        }
        match missing.len() {
            0 => {}
            1 => notes.push("1 score is missing".into()),
            several => notes.push(format!("{several} scores are missing")),
        }
        Ok(CrossCorpusSummary {
            name: self.name(),
            arch: self.plan.config.model.arch().to_string(),
            labels: self.plan.labels.clone(),
            notes,
            missing,
            pairs,
        })
    }

    fn pair(
        &self,
        trained: &CorpusEntry,
        tested: &CorpusEntry,
        trials: Vec<Trial>,
    ) -> Result<CorpusPair> {
        let mut predicted = Vec::new();
        let (mut notes, mut left_out) = (Vec::new(), Vec::new());
        let mut speakers_shared = false;
        let add_new = |notes: &mut Vec<String>, more: Vec<String>| {
            for note in more {
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        };
        for trial in trials {
            let one = if trained == tested {
                TestedTrial::read(trial)?
            } else {
                TestedTrial::read_from(trial, self.predictions_path(&trial, tested))?
            };
            let of_trial = self.caveats(&one, trained, tested)?;
            speakers_shared |= of_trial.speakers_shared;
            add_new(&mut notes, of_trial.notes);
            add_new(&mut left_out, unreadable(&one, trained, tested)?);
            predicted.push(one);
        }
        let all = SeedSummary::of(&predicted, self.plan.config.split.seed);
        let seed_scores = |one: &TestedTrial| SeedScores {
            seed: one.trial.seed,
            clips: one.test.clips.len(),
            scores: one.scores,
        };
        let metrics = all.pooled.predictions.metrics();
        Ok(CorpusPair {
            trained_on: trained.name.clone(),
            tested_on: tested.name.clone(),
            speakers: corpus::speakers(&all.pooled.clips).len(),
            speakers_shared,
            notes,
            left_out,
            missing_labels: metrics.missing().into_iter().map(String::from).collect(),
            chance: metrics.chance(),
            seeds: predicted.iter().map(seed_scores).collect(),
            scores: all.scores,
            intervals: all.intervals,
            metrics,
        })
    }

    fn caveats(
        &self,
        predicted: &TestedTrial,
        trained: &CorpusEntry,
        tested: &CorpusEntry,
    ) -> Result<PairCaveats> {
        let run = predicted.trial.run()?;
        if trained == tested {
            let caveats = Caveats::of_run(&run)?;
            return Ok(PairCaveats {
                notes: caveats.notes(),
                speakers_shared: caveats.speakers_shared(),
            });
        }
        let model = Trained::of_folder(&run)?;
        let mut lineage = model.lineage()?;
        for learned in &mut lineage.clips {
            if learned.run == model.name() {
                learned.clip.corpus.clone_from(&trained.name);
            }
        }
        let contents = self.contents(tested)?;
        let clips = predicted.test.clips.iter();
        let clips: Vec<Clip> = clips
            .map(|clip| Clip {
                content: contents.get(&clip.file).copied(),
                corpus: tested.name.clone(),
                ..clip.clone()
            })
            .collect();
        let known = Comparison::of(&lineage, &tested.data, &clips);
        let mut notes = known.notes("this model");
        if trained.data.is_synthetic() || tested.data.is_synthetic() {
            notes.insert(0, SYNTHETIC.into());
        }
        Ok(PairCaveats {
            notes,
            speakers_shared: known.shares_speakers(),
        })
    }

    /// Content hashes of the recordings of a corpus, as a trial on it has saved them.
    fn contents(&self, corpus: &CorpusEntry) -> Result<BTreeMap<Excerpt, ContentHash>> {
        let trials = self.trials_on(corpus);
        let Some(trial) = trials.iter().find(|trial| trial.has_started()) else {
            return Ok(BTreeMap::new());
        };
        let clips = trial.recordings()?.into_iter();
        Ok(clips
            .filter_map(|clip| Some((clip.file, clip.content?)))
            .collect())
    }

    /// Writes the tables, the report and the pictures.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_summary(&self, summary: &CrossCorpusSummary) -> Result<()> {
        let file = |name: &str| self.folder.join(name);
        let columns = [
            "trained_on",
            "tested_on",
            "seed",
            "speakers",
            "clips",
            "accuracy",
            "uar",
            "macro_f1",
            "chance",
            "notes",
        ];
        let of_pair = |pair| CorpusPair::rows(pair);
        write_csv(
            &file("pairs.csv"),
            columns,
            summary.pairs.iter().flat_map(of_pair),
        )?;
        write_report(&self.folder, "report", &summary.text(), summary)?;
        for pair in &summary.pairs {
            let (trained, tested) = (&pair.trained_on, &pair.tested_on);
            let seeds = match pair.seeds.len() {
                1 => "",
                _ => ", all seeds",
            };
            let title = format!("trained on {trained}, tested on {tested}{seeds}");
            let metrics = pair.metrics.with_macro_f1(pair.scores.macro_f1.mean);
            let png = confusion_png(&metrics, &title, joined_notes(&pair.all_notes()).as_deref())?;
            write_bytes(&file(&format!("{trained}-to-{tested}.png")), &png)?;
        }
        let corpora = self.plan.corpus.iter();
        let names: Vec<String> = corpora.map(|corpus| corpus.name.clone()).collect();
        let cell = |trained: &String, tested: &String| {
            let pair = summary.pair(trained, tested);
            MatrixCell {
                uar: pair.map(|pair| pair.scores.uar),
                interval: pair.and_then(|pair| Some(pair.intervals?.uar)),
                chance: pair
                    .filter(|pair| !pair.missing_labels.is_empty())
                    .map(|pair| pair.chance),
            }
        };
        let row = |trained| names.iter().map(|tested| cell(trained, tested)).collect();
        let cells: Vec<Vec<MatrixCell>> = names.iter().map(row).collect();
        let png = matrix_png(
            &summary.name,
            &names,
            &cells,
            summary.chance(),
            joined_notes(&summary.notes).as_deref(),
        )?;
        write_bytes(&file("matrix.png"), &png)
    }
}

/// Caveats of the scores of one trial on one corpus.
struct PairCaveats {
    notes: Vec<String>,
    speakers_shared: bool,
}

impl CorpusPair {
    /// All notes, also about recordings that could not be read, and labels that no test clip has.
    fn all_notes(&self) -> Vec<String> {
        let mut notes = [self.notes.as_slice(), &self.left_out].concat();
        if !self.missing_labels.is_empty() {
            notes.push(format!(
                "no test clip of {}: chance is {}",
                self.missing_labels.join(", "),
                percent(self.chance)
            ));
        }
        notes
    }

    /// The rows of `pairs.csv`, one for each seed.
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |of_seed: &SeedScores| {
            vec![
                self.trained_on.clone(),
                self.tested_on.clone(),
                of_seed.seed.to_string(),
                self.speakers.to_string(),
                of_seed.clips.to_string(),
                of_seed.scores.accuracy.to_string(),
                of_seed.scores.uar.to_string(),
                of_seed.scores.macro_f1.to_string(),
                self.chance.to_string(),
                self.all_notes().join("; "),
            ]
        };
        self.seeds.iter().map(row).collect()
    }
}

impl CrossCorpusSummary {
    /// Scores of a pair of corpora.
    pub fn pair(&self, trained_on: &str, tested_on: &str) -> Option<&CorpusPair> {
        let mut pairs = self.pairs.iter();
        pairs.find(|pair| pair.trained_on == trained_on && pair.tested_on == tested_on)
    }

    /// UAR of a random choice, if all labels have test clips.
    pub fn chance(&self) -> f64 {
        1.0 / self.labels.len().max(1) as f64
    }

    /// The results as text.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {}, trained on one corpus and tested on another; labels {}\n",
            escape_line(&self.name),
            self.arch,
            escape_line(&self.labels.join(", "))
        );
        text += &note_line(&self.notes);
        if self.pairs.is_empty() {
            return text;
        }
        let longest = self.pairs.iter().map(|pair| pair.trained_on.len()).max();
        let width = longest.unwrap_or_default().max("trained on".len());
        text += &format!(
            "\n{:width$}  {:width$}  speakers  clips  accuracy   UAR           95 % over speakers\n",
            "trained on", "tested on"
        );
        for pair in &self.pairs {
            let intervals = pair.intervals.as_ref();
            let notes = joined_notes(&pair.all_notes()).map(|notes| format!("   {notes}"));
            let line = format!(
                "{:width$}  {:width$}  {:>8}  {:>5}  {:>8}   {:<12}  {}{}",
                pair.trained_on,
                pair.tested_on,
                pair.speakers,
                pair.seeds.first().map_or(0, |seed| seed.clips),
                percent(pair.scores.accuracy.mean),
                percent_spread(&pair.scores.uar),
                intervals.map_or("–".into(), |intervals| percent_interval(&intervals.uar)),
                notes.unwrap_or_default()
            );
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", escape_line(&line));
        }
        let own_corpus_is_in_question = self.pairs.iter().any(|pair| {
            pair.trained_on == pair.tested_on
                && (pair.speakers_shared || is_in_question(&pair.notes))
        });
        text += "\n";
        if !own_corpus_is_in_question {
            text += "The test speakers of a model's own corpus are not in its training subset. ";
        }
        let has_other = self
            .pairs
            .iter()
            .any(|pair| !pair.missing_labels.is_empty());
        let except = if has_other { ", except as noted" } else { "" };
        text += &format!("Chance is {} UAR{except}.\n", percent(self.chance()));
        for pair in &self.pairs {
            text += &format!(
                "\nTrained on {}, tested on {} (rows: truth, columns: prediction), all seeds\n\n",
                escape_line(&pair.trained_on),
                escape_line(&pair.tested_on)
            );
            text += &evaluation::confusion_table(&pair.metrics);
        }
        text
    }
}
