//! What a matrix of corpora comes to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::{CrossCorpus, Member, Training};
use crate::corpus::{self, Clip, ContentHash, CorpusKind};
use crate::cross_validation::{begun, refuse_pooling};
use crate::escape::escape_line;
use crate::evaluation::{self, Intervals, MeanStd, Metrics, Predictions, SpeakerBootstrap};
use crate::inference::Trained;
use crate::leakage::{Caveats, Comparison, is_in_question};
use crate::report::{MatrixCell, confusion_png, matrix_png};
use crate::run::{RunFolder, read_predictions, read_split, write_atomically, write_bytes};

/// The scores of a matrix. All are fractions of 1.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// Its name.
    pub name: String,
    /// The architecture.
    pub arch: String,
    /// The labels that are told apart.
    pub labels: Vec<String>,
    /// What a reader must know to judge the numbers.
    pub notes: Vec<String>,
    /// Trainings that are not done yet, and what was not heard yet.
    pub missing: Vec<String>,
    /// Every pair of which something is done: first all that were trained on the first corpus.
    pub pairs: Vec<Pair>,
}

/// Trained on one corpus and tested on another, or on speakers of the same who were not heard.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    /// The corpus that was trained on.
    pub trained_on: String,
    /// The corpus that was tested on.
    pub tested_on: String,
    /// Who tested.
    pub speakers: usize,
    /// True where a voice of the training may be heard in the test.
    pub speakers_shared: bool,
    /// Everything that a reader of these scores must know.
    pub notes: Vec<String>,
    /// The scores with each seed.
    pub seeds: Vec<SeedScores>,
    /// Over the seeds.
    pub accuracy: MeanStd,
    /// Over the seeds.
    pub uar: MeanStd,
    /// Over the seeds.
    pub macro_f1: MeanStd,
    /// 95 % intervals by bootstrap over the speakers that test, of all seeds together. None of fewer than
    /// two speakers.
    pub intervals: Option<Intervals>,
    /// All seeds together: a clip counts once a seed.
    pub metrics: Metrics,
}

/// The scores with one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct SeedScores {
    pub seed: u64,
    pub clips: usize,
    pub accuracy: f64,
    pub uar: f64,
    pub macro_f1: f64,
}

/// Reads what the trainings that are done have said.
pub fn read_results(all: &CrossCorpus) -> Result<Results> {
    let members = &all.plan.corpus;
    let (mut pairs, mut missing) = (Vec::new(), Vec::new());
    members
        .iter()
        .try_for_each(|member| check_pooled(all, member))?;
    for on in members {
        for of in members {
            let trainings = all.plan.seeds.iter().map(|&seed| Training { on, seed });
            let (done, left): (Vec<Training>, Vec<Training>) =
                trainings.partition(|&training| all.has_heard(training, of));
            let told = |training: &Training| format!("{} on {}", training.name(), of.name);
            missing.extend(left.iter().map(told));
            pairs.extend(pair(all, &done, of)?);
        }
    }
    let mut notes = Vec::new();
    let kinds = || members.iter().filter_map(|member| member.data.corpus);
    if kinds().any(CorpusKind::is_synthetic) {
        notes.push("a corpus among them is synthetic".to_string());
    }
    let shared: Vec<String> = pairs
        .iter()
        .filter(|pair| pair.speakers_shared)
        .map(|pair| format!("{} and {}", pair.trained_on, pair.tested_on))
        .collect();
    if !shared.is_empty() {
        notes.push(format!("speakers shared: {}", shared.join(", ")));
    }
    match missing.len() {
        0 => {}
        1 => notes.push("1 score is not there yet".into()),
        several => notes.push(format!("{several} scores are not there yet")),
    }
    Ok(Results {
        name: name(all),
        arch: all.plan.config.model.arch().to_string(),
        labels: all.plan.labels.clone(),
        notes,
        missing,
        pairs,
    })
}

/// None before the first training of it is done.
fn pair(all: &CrossCorpus, done: &[Training], of: &Member) -> Result<Option<Pair>> {
    let Some(first) = done.first() else {
        return Ok(None);
    };
    let mut seeds = Vec::new();
    let mut together = Predictions {
        classes: all.plan.labels.clone(),
        truth: Vec::new(),
        probabilities: Vec::new(),
    };
    let mut clips = Vec::new();
    let (mut notes, mut speakers_shared) = (Vec::new(), false);
    for &training in done {
        let saved = read_predictions(&all.predictions_of(training, of))?;
        let metrics = saved.predictions.metrics();
        seeds.push(SeedScores {
            seed: training.seed,
            clips: metrics.clips,
            accuracy: metrics.accuracy,
            uar: metrics.uar,
            macro_f1: metrics.macro_f1,
        });
        let (own, shared) = standing(all, training, of)?;
        speakers_shared |= shared;
        let new = own.into_iter().filter(|note| !notes.contains(note));
        let new: Vec<String> = new.collect();
        notes.extend(new);
        together.classes = saved.predictions.classes;
        together.truth.extend(saved.predictions.truth);
        together
            .probabilities
            .extend(saved.predictions.probabilities);
        clips.extend(saved.clips);
    }
    let speakers: Vec<&str> = clips.iter().map(|clip| clip.speaker.as_str()).collect();
    let spread = |score: fn(&SeedScores) -> f64| {
        let scores: Vec<f64> = seeds.iter().map(score).collect();
        MeanStd::of(&scores)
    };
    Ok(Some(Pair {
        trained_on: first.on.name.clone(),
        tested_on: of.name.clone(),
        speakers: corpus::speakers(&clips).len(),
        speakers_shared,
        notes,
        accuracy: spread(|seed| seed.accuracy),
        uar: spread(|seed| seed.uar),
        macro_f1: spread(|seed| seed.macro_f1),
        intervals: SpeakerBootstrap::new(&together, &speakers)
            .intervals(all.plan.config.split.seed),
        metrics: together.metrics(),
        seeds,
    }))
}

/// The notes on a training's score on a corpus, and true where it may know a voice in it.
fn standing(all: &CrossCorpus, training: Training, of: &Member) -> Result<(Vec<String>, bool)> {
    let run = all.run_of(training).to_string_lossy().into_owned();
    let run = RunFolder::open(Path::new(""), &run)?;
    if training.on.name == of.name {
        let caveats = Caveats::of_run(&run)?;
        return Ok((caveats.notes(), caveats.speakers_shared()));
    }
    let trained = Trained::of_folder(&run)?;
    let mut lineage = trained.lineage()?;
    let own = lineage.clips.iter_mut();
    for learned in own.filter(|learned| learned.run == trained.name()) {
        learned.clip.corpus.clone_from(&training.on.name);
    }
    let tested = read_predictions(&all.predictions_of(training, of))?.clips;
    let contents = contents_of(all, of)?;
    let clips: Vec<Clip> = tested
        .into_iter()
        .map(|clip| Clip {
            content: contents.get(&clip.file).copied(),
            corpus: of.name.clone(),
            ..clip
        })
        .collect();
    let known = Comparison::of(&lineage, &of.data, &clips);
    Ok((known.notes("this model"), known.shares_speakers()))
}

/// The content of the recordings of a corpus, as the trainings on it have recorded it.
fn contents_of(all: &CrossCorpus, of: &Member) -> Result<BTreeMap<PathBuf, ContentHash>> {
    let runs = begun(&all.folder, &format!("{}-seed-", of.name));
    let Some(run) = runs.first() else {
        return Ok(BTreeMap::new());
    };
    let (clips, _) = read_split(&run.split_csv(), &of.data.sources)?;
    let known = clips.into_iter();
    Ok(known
        .filter_map(|clip| Some((clip.file, clip.content?)))
        .collect())
}

/// Refuses to put scores together whose trainings on a corpus had different recordings of it.
fn check_pooled(all: &CrossCorpus, of: &Member) -> Result<()> {
    let runs = begun(&all.folder, &format!("{}-seed-", of.name));
    let recordings = |run: &RunFolder| -> Result<Vec<Clip>> {
        Ok(read_split(&run.split_csv(), &of.data.sources)?.0)
    };
    let Some((first, others)) = runs.split_first() else {
        return Ok(());
    };
    let ours = recordings(first)?;
    for other in others {
        refuse_pooling(first.path(), &ours, other.path(), &recordings(other)?)?;
    }
    Ok(())
}

fn name(all: &CrossCorpus) -> String {
    let name = all.folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Writes the tables, the report and the pictures.
pub fn write_results(all: &CrossCorpus, results: &Results) -> Result<()> {
    let file = |name: &str| all.folder.join(name);
    write_pairs(&file("pairs.csv"), results)?;
    write_bytes(&file("report.txt"), results.text().as_bytes())?;
    let json = serde_json::to_string_pretty(results).context("the report cannot be written")?;
    write_bytes(&file("report.json"), (json + "\n").as_bytes())?;
    let note = (!results.notes.is_empty()).then(|| results.notes.join("; "));
    for pair in &results.pairs {
        let seeds = match pair.seeds.len() {
            1 => "",
            _ => ", all seeds",
        };
        let (on, of) = (&pair.trained_on, &pair.tested_on);
        let title = format!("trained on {on}, tested on {of}{seeds}");
        let note = (!pair.notes.is_empty()).then(|| pair.notes.join("; "));
        let png = confusion_png(&pair.metrics, &title, note.as_deref())?;
        let name = format!("{}-to-{}.png", pair.trained_on, pair.tested_on);
        write_bytes(&file(&name), &png)?;
    }
    let names: Vec<String> = all
        .plan
        .corpus
        .iter()
        .map(|member| member.name.clone())
        .collect();
    let cell = |on: &String, of: &String| {
        let pair = results.pair(on, of);
        MatrixCell {
            uar: pair.map(|pair| pair.uar),
            interval: pair.and_then(|pair| Some(pair.intervals?.uar)),
        }
    };
    let row = |on: &String| names.iter().map(|of| cell(on, of)).collect();
    let cells: Vec<Vec<MatrixCell>> = names.iter().map(row).collect();
    let png = matrix_png(
        &results.name,
        &names,
        &cells,
        results.chance(),
        note.as_deref(),
    )?;
    write_bytes(&file("matrix.png"), &png)
}

/// A line for each pair and seed.
fn write_pairs(path: &Path, results: &Results) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record([
            "trained_on",
            "tested_on",
            "seed",
            "speakers",
            "clips",
            "accuracy",
            "uar",
            "macro_f1",
            "notes",
        ])?;
        for pair in &results.pairs {
            for seed in &pair.seeds {
                writer.write_record([
                    pair.trained_on.clone(),
                    pair.tested_on.clone(),
                    seed.seed.to_string(),
                    pair.speakers.to_string(),
                    seed.clips.to_string(),
                    seed.accuracy.to_string(),
                    seed.uar.to_string(),
                    seed.macro_f1.to_string(),
                    pair.notes.join("; "),
                ])?;
            }
        }
        Ok(writer.flush()?)
    })
}

impl Results {
    /// What is known of a pair.
    pub fn pair(&self, trained_on: &str, tested_on: &str) -> Option<&Pair> {
        let mut pairs = self.pairs.iter();
        pairs.find(|pair| pair.trained_on == trained_on && pair.tested_on == tested_on)
    }

    /// The UAR of guessing.
    pub fn chance(&self) -> f64 {
        1.0 / self.labels.len().max(1) as f64
    }

    /// The results for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {}, trained on one corpus and tested on another; labels {}\n",
            escape_line(&self.name),
            self.arch,
            escape_line(&self.labels.join(", "))
        );
        if !self.notes.is_empty() {
            text += &format!("Note: {}.\n", escape_line(&self.notes.join("; ")));
        }
        if self.pairs.is_empty() {
            return text;
        }
        let widest = self.pairs.iter().map(|pair| pair.trained_on.len()).max();
        let width = widest.unwrap_or_default().max("trained on".len());
        text += &format!(
            "\n{:width$}  {:width$}  speakers  clips  accuracy   UAR           95 % over speakers\n",
            "trained on", "tested on"
        );
        for pair in &self.pairs {
            let uar = match pair.uar.std {
                Some(deviation) => {
                    format!("{:.1} ± {:.1}", 100.0 * pair.uar.mean, 100.0 * deviation)
                }
                None => format!("{:.1}", 100.0 * pair.uar.mean),
            };
            let interval = pair.intervals.map_or("–".to_string(), |intervals| {
                let uar = intervals.uar;
                format!("{:.1} – {:.1}", 100.0 * uar.low, 100.0 * uar.high)
            });
            let notes = match pair.notes.as_slice() {
                [] => String::new(),
                notes => format!("   {}", notes.join("; ")),
            };
            // Writing to a String cannot fail.
            let line = format!(
                "{:width$}  {:width$}  {:>8}  {:>5}  {:>8.1}   {uar:<12}  {interval}{notes}",
                pair.trained_on,
                pair.tested_on,
                pair.speakers,
                pair.seeds.first().map_or(0, |seed| seed.clips),
                100.0 * pair.accuracy.mean,
            );
            let _ = writeln!(text, "{}", escape_line(&line));
        }
        let at_home = |pair: &&Pair| pair.trained_on == pair.tested_on;
        text += match self
            .pairs
            .iter()
            .filter(at_home)
            .any(|pair| pair.speakers_shared || is_in_question(&pair.notes))
        {
            true => "\n",
            false => "\nOn its own corpus a training is tested on speakers that it has not heard. ",
        };
        text += &format!("Chance is {:.1} UAR.\n", 100.0 * self.chance());
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
