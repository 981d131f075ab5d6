//! What the trainings of a cross-validation come to together.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::{Cell, CrossValidation};
use crate::bounded;
use crate::config::RunConfig;
use crate::corpus::{self, Clip};
use crate::escape::escape_line;
use crate::evaluation::{
    self, Calibration, Intervals, MeanStd, Metrics, Predictions, Scores, SpeakerBootstrap,
    SpeakerScores,
};
use crate::leakage::Caveats;
use crate::report::{confusion_png, recall_png, reliability_png};
use crate::run::{
    RunFolder, SavedPredictions, read_predictions, write_atomically, write_bytes, write_confusion,
};

/// The scores of a cross-validation. All are fractions of 1.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// Its name.
    pub name: String,
    /// `ravdess`, `emodb` …
    pub corpus: String,
    /// Which folds.
    pub folds: String,
    /// The architecture.
    pub arch: String,
    /// What a reader must know to judge the numbers.
    pub notes: Vec<String>,
    /// True where a voice is heard in two parts of any cell.
    pub speakers_shared: bool,
    /// Trainings that are not done yet.
    pub missing: Vec<String>,
    /// The scores of each training that is.
    pub cells: Vec<CellScores>,
    /// Over the seeds: the mean of a seed's folds. A UAR counts the classes that a fold's speakers
    /// have; where they lack some, as EmoDB's do, `pooled` is the number to compare.
    pub mean_of_folds: MeanStdScores,
    /// Over the seeds: all test clips of a seed together.
    pub pooled: MeanStdScores,
    /// 95 % intervals of the pooled scores, by bootstrap over speakers. None of fewer than two.
    pub intervals: Option<Intervals>,
    /// The seeds of a fold as one: the mean of their probabilities for each clip. Several models, so
    /// it stands apart. None with one seed, or before all trainings are done.
    pub ensemble: Option<Scores>,
    /// The scores of each speaker, over all seeds.
    pub speakers: Vec<SpeakerScores>,
    /// How far the probabilities can be trusted, all trainings together.
    pub calibration: Calibration,
    /// All trainings together: a clip counts once a seed.
    pub metrics: Metrics,
    /// What the first seed's trainings said, each clip once, and who speaks in it.
    #[serde(skip)]
    pub heard_once: (Predictions, Vec<String>),
}

/// The scores of one training.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct CellScores {
    pub fold: String,
    pub seed: u64,
    pub speakers: usize,
    pub clips: usize,
    pub accuracy: f64,
    pub uar: f64,
    pub macro_f1: f64,
    /// Everything that a reader of these scores must know, in one line.
    pub notes: String,
}

impl CellScores {
    /// The notes, as the end of a line that shows these scores.
    pub fn note(&self) -> String {
        match self.notes.as_str() {
            "" => String::new(),
            notes => format!("   ({notes})"),
        }
    }
}

/// Mean and standard deviation over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct MeanStdScores {
    pub accuracy: MeanStd,
    pub uar: MeanStd,
    pub macro_f1: MeanStd,
}

/// What a training said of its test clips.
struct Tested<'a> {
    cell: Cell<'a>,
    saved: SavedPredictions,
    metrics: Metrics,
    caveats: Caveats,
}

impl CrossValidation {
    fn tested<'a>(&self, cell: Cell<'a>) -> Result<Tested<'a>> {
        let run = RunFolder::open(Path::new(""), &self.run_of(cell).to_string_lossy())?;
        let saved = read_predictions(&run.predictions_csv())?;
        Ok(Tested {
            cell,
            caveats: Caveats::of_run(&run)?,
            metrics: saved.predictions.metrics(),
            saved,
        })
    }

    /// The scores of a training that is done.
    pub fn score_of(&self, cell: Cell) -> Result<CellScores> {
        Ok(self.tested(cell)?.scores())
    }
}

impl Tested<'_> {
    fn scores(&self) -> CellScores {
        CellScores {
            fold: self.cell.fold.name.clone(),
            seed: self.cell.seed,
            speakers: corpus::speakers(&self.saved.clips).len(),
            clips: self.metrics.clips,
            accuracy: self.metrics.accuracy,
            uar: self.metrics.uar,
            macro_f1: self.metrics.macro_f1,
            notes: self.caveats.notes().join("; "),
        }
    }
}

/// What some trainings that are done have said, speaker by speaker.
pub fn heard(all: &CrossValidation, cells: &[Cell]) -> Result<SpeakerBootstrap> {
    let tested: Vec<Tested> = cells
        .iter()
        .map(|&cell| all.tested(cell))
        .collect::<Result<_>>()?;
    let clips = clips_of(&tested);
    let speakers: Vec<&str> = clips.iter().map(|clip| clip.speaker.as_str()).collect();
    Ok(SpeakerBootstrap::new(&together(tested.iter()), &speakers))
}

/// Reads what the trainings that are done have said.
pub fn read_results(all: &CrossValidation) -> Result<Results> {
    let (done, missing): (Vec<Cell>, Vec<Cell>) = all
        .plan
        .cells()
        .into_iter()
        .partition(|&cell| all.is_done(cell));
    let not_compared = all.check_pooled(&done)?;
    let tested: Vec<Tested> = done
        .into_iter()
        .map(|cell| all.tested(cell))
        .collect::<Result<_>>()?;
    let (mut caveats, mut skipped) = (Caveats::default(), 0);
    for Tested {
        cell,
        saved,
        caveats: own,
        ..
    } in &tested
    {
        caveats.merge(own.clone());
        let data = RunConfig::read(&all.run_of(*cell).join("config.toml"))?.data;
        skipped = data.skipped.max(skipped);
        ensure!(
            saved.predictions.classes == tested[0].saved.predictions.classes,
            "{} tells apart other classes than {}; train both anew",
            cell.name(),
            tested[0].cell.name()
        );
    }
    let everything = together(tested.iter());
    let speakers: Vec<&str> = tested
        .iter()
        .flat_map(|tested| &tested.saved.clips)
        .map(|clip| clip.speaker.as_str())
        .collect();
    let by_speaker = SpeakerBootstrap::new(&everything, &speakers);
    let first: Vec<&Tested> = tested
        .iter()
        .filter(|one| one.cell.seed == tested[0].cell.seed)
        .collect();
    let first_speakers = first
        .iter()
        .flat_map(|tested| &tested.saved.clips)
        .map(|clip| clip.speaker.clone());

    let data = &all.plan.config.data;
    let mut notes = caveats.notes();
    if not_compared > 0 {
        notes.push(format!(
            "{not_compared} trainings were made before contents were recorded, so their recordings are \
             not compared"
        ));
    }
    if skipped > 0 {
        notes.push(format!("{skipped} unreadable recordings were left out"));
    }
    let absent = all.plan.absent(&corpus::speakers(&clips_of(&tested)));
    if missing.is_empty() && !absent.is_empty() {
        notes.push(format!(
            "without {} of the speakers of the published folds",
            absent.join(", ")
        ));
    }
    if !missing.is_empty() {
        notes.push(format!("{} trainings are not done yet", missing.len()));
    }
    let of_seeds = |score: &dyn Fn(&[&Tested]) -> [f64; 3]| {
        let seeds = all.plan.seeds.iter().map(|&seed| {
            let of_seed = tested.iter().filter(|tested| tested.cell.seed == seed);
            of_seed.collect::<Vec<_>>()
        });
        let scores: Vec<[f64; 3]> = seeds
            .filter(|seed| !seed.is_empty())
            .map(|s| score(&s))
            .collect();
        let spread =
            |which: usize| MeanStd::of(&scores.iter().map(|s| s[which]).collect::<Vec<_>>());
        MeanStdScores {
            accuracy: spread(0),
            uar: spread(1),
            macro_f1: spread(2),
        }
    };
    let three = |metrics: &Metrics| [metrics.accuracy, metrics.uar, metrics.macro_f1];
    let mean_of_folds = |seed: &[&Tested]| {
        [0, 1, 2].map(|which| {
            let of_folds = seed.iter().map(|tested| three(&tested.metrics)[which]);
            of_folds.sum::<f64>() / seed.len() as f64
        })
    };
    Ok(Results {
        name: name(all),
        corpus: data.name(),
        folds: all.plan.folds.clone(),
        arch: all.plan.config.model.arch().to_string(),
        notes,
        speakers_shared: caveats.speakers_shared(),
        missing: missing.iter().map(Cell::name).collect(),
        cells: tested.iter().map(Tested::scores).collect(),
        mean_of_folds: of_seeds(&mean_of_folds),
        pooled: of_seeds(&|seed| three(&together(seed.iter().copied()).metrics())),
        // Each clip counts once a seed, so accuracy and UAR are those of the mean over the seeds.
        intervals: by_speaker.intervals(all.plan.config.split.seed),
        ensemble: missing
            .is_empty()
            .then(|| ensemble(&tested, &all.plan.seeds))
            .flatten(),
        speakers: by_speaker.each(),
        calibration: Calibration::of(&everything),
        metrics: everything.metrics(),
        heard_once: (together(first.iter().copied()), first_speakers.collect()),
    })
}

fn clips_of(tested: &[Tested]) -> Vec<Clip> {
    let clips = tested.iter().flat_map(|tested| &tested.saved.clips);
    clips.cloned().collect()
}

fn name(all: &CrossValidation) -> String {
    let name = all.folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The scores of the mean probabilities over the seeds. Every training of a fold has the same test
/// clips in the same order; where one could not read a recording that another could, there is none.
fn ensemble(tested: &[Tested], seeds: &[u64]) -> Option<Scores> {
    let of_seed = |seed: u64| tested.iter().filter(move |tested| tested.cell.seed == seed);
    let (first, others) = seeds
        .split_first()
        .filter(|(_, others)| !others.is_empty())?;
    let names =
        |seed: u64| of_seed(seed).flat_map(|tested| tested.saved.clips.iter().map(|c| &c.file));
    let mut all = together(of_seed(*first));
    for &seed in others {
        if !names(seed).eq(names(*first)) {
            return None;
        }
        let other = together(of_seed(seed));
        for (row, other) in all.probabilities.iter_mut().zip(other.probabilities) {
            row.iter_mut().zip(other).for_each(|(p, other)| *p += other);
        }
    }
    let metrics = all.metrics();
    Some(Scores {
        accuracy: metrics.accuracy,
        uar: metrics.uar,
        macro_f1: metrics.macro_f1,
    })
}

/// The predictions of several trainings, one behind the other.
fn together<'a>(tested: impl Iterator<Item = &'a Tested<'a>>) -> Predictions {
    let mut all = Predictions {
        classes: Vec::new(),
        truth: Vec::new(),
        probabilities: Vec::new(),
    };
    for Tested { saved, .. } in tested {
        all.classes.clone_from(&saved.predictions.classes);
        all.truth.extend(&saved.predictions.truth);
        all.probabilities
            .extend(saved.predictions.probabilities.iter().cloned());
    }
    all
}

/// Writes all tables, the report and the picture.
pub fn write_results(all: &CrossValidation, results: &Results) -> Result<()> {
    let file = |name: &str| all.folder.join(name);
    write_rows(&file("folds.csv"), &results.cells)?;
    write_rows(&file("speakers.csv"), &results.speakers)?;
    write_all_predictions(all)?;
    write_bytes(&file("report.txt"), results.text().as_bytes())?;
    let json = serde_json::to_string_pretty(results).context("the report cannot be written")?;
    write_bytes(&file("report.json"), (json + "\n").as_bytes())?;
    if results.cells.is_empty() {
        return Ok(());
    }
    write_confusion(
        &file("confusion.csv"),
        &results.metrics.classes,
        &results.metrics.confusion,
    )?;
    let title = format!("{}: all folds and seeds", results.name);
    let note = (!results.notes.is_empty()).then(|| results.notes.join("; "));
    write_bytes(
        &file("confusion.png"),
        &confusion_png(&results.metrics, &title, note.as_deref())?,
    )?;
    write_bytes(
        &file("reliability.png"),
        &reliability_png(&results.calibration, &title, note.as_deref())?,
    )?;
    let (heard, speakers) = &results.heard_once;
    let speakers: Vec<&str> = speakers.iter().map(String::as_str).collect();
    let title = format!(
        "{}: all folds, seed {}",
        results.name, results.cells[0].seed
    );
    write_bytes(
        &file("recall.png"),
        &recall_png(heard, &speakers, &title, note.as_deref())?,
    )
}

fn write_rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        rows.iter().try_for_each(|row| writer.serialize(row))?;
        Ok(writer.flush()?)
    })
}

/// `predictions.csv`: those of each training, with its fold and seed before them.
fn write_all_predictions(all: &CrossValidation) -> Result<()> {
    write_atomically(&all.folder.join("predictions.csv"), |file| {
        let mut writer = csv::Writer::from_writer(file);
        let mut headed = false;
        for cell in all
            .plan
            .cells()
            .into_iter()
            .filter(|&cell| all.is_done(cell))
        {
            let path = all.run_of(cell).join("predictions.csv");
            let text = bounded::read(&path, bounded::TABLE)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let mut reader = csv::Reader::from_reader(&text[..]);
            if !headed {
                writer.write_record(["fold", "seed"].into_iter().chain(reader.headers()?))?;
                headed = true;
            }
            let seed = cell.seed.to_string();
            for line in reader.records() {
                let line = line?;
                writer.write_record([cell.fold.name.as_str(), &seed].into_iter().chain(&line))?;
            }
        }
        Ok(writer.flush()?)
    })
}

impl Results {
    /// The results for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {} on {}, {}\n",
            escape_line(&self.name),
            self.arch,
            escape_line(&self.corpus),
            match self.folds.as_str() {
                "one split" => "one split".to_string(),
                folds => format!("folds {folds}, by speaker"),
            }
        );
        if !self.notes.is_empty() {
            text += &format!("Note: {}.\n", escape_line(&self.notes.join("; ")));
        }
        if self.cells.is_empty() {
            return text;
        }
        text += "\nfold  seed  speakers  clips  accuracy    UAR  macro-F1\n";
        for cell in &self.cells {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:>4}  {:>4}  {:>8}  {:>5}  {:>8.1}  {:>5.1}  {:>8.1}",
                escape_line(&cell.fold),
                cell.seed,
                cell.speakers,
                cell.clips,
                100.0 * cell.accuracy,
                100.0 * cell.uar,
                100.0 * cell.macro_f1
            );
        }
        let line = |spread: &MeanStd| match spread.std {
            Some(deviation) => format!("{:.1} ± {:.1}", 100.0 * spread.mean, 100.0 * deviation),
            None => format!("{:.1}", 100.0 * spread.mean),
        };
        text += "\n";
        let seeds = [
            ("mean of the folds", &self.mean_of_folds),
            ("all test clips together", &self.pooled),
        ];
        for (what, scores) in seeds {
            let [accuracy, uar, macro_f1] =
                [scores.accuracy, scores.uar, scores.macro_f1].map(|spread| line(&spread));
            text += &format!(
                "{what:<26}  accuracy {accuracy:<12}  UAR {uar:<12}  macro-F1 {macro_f1}\n"
            );
        }
        if let Some(intervals) = &self.intervals {
            let [accuracy, uar, macro_f1] = [intervals.accuracy, intervals.uar, intervals.macro_f1]
                .map(|interval| {
                    format!("{:.1} – {:.1}", 100.0 * interval.low, 100.0 * interval.high)
                });
            text += &format!(
                "{:<26}  accuracy {accuracy:<12}  UAR {uar:<12}  macro-F1 {macro_f1}\n",
                "95 % interval, by speakers"
            );
        }
        if let Some(scores) = &self.ensemble {
            let [accuracy, uar, macro_f1] = [scores.accuracy, scores.uar, scores.macro_f1]
                .map(|score| format!("{:.1}", 100.0 * score));
            text += &format!(
                "{:<26}  accuracy {accuracy:<12}  UAR {uar:<12}  macro-F1 {macro_f1}\n",
                "seeds as one (ensemble)"
            );
        }
        text += &format!(
            "{:<26}  {:.1} %\n",
            "expected calibration error",
            100.0 * self.calibration.ece
        );
        text += "\nspeaker  clips  accuracy    UAR\n";
        for speaker in &self.speakers {
            let _ = writeln!(
                text,
                "{:>7}  {:>5}  {:>8.1}  {:>5.1}",
                escape_line(&speaker.speaker),
                speaker.clips,
                100.0 * speaker.accuracy,
                100.0 * speaker.uar
            );
        }
        text += "\n";
        text += &evaluation::classification_table(&self.metrics);
        text += "\nConfusion (rows: truth, columns: prediction), all trainings\n\n";
        text += &evaluation::confusion_table(&self.metrics);
        text
    }
}
