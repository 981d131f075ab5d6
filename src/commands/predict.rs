//! `emovox predict`: what a trained run hears in recordings.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Map, json};

use super::progress::bar;
use super::{Runs, tell_skipped};
use emovox::corpus::find_recordings;
use emovox::device::DeviceChoice;
use emovox::inference::{Prediction, Predictor};
use emovox::run::RunFolder;

/// Tells the emotion in recordings of any sample rate, channels and length
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox predict ravdess-bilstm my-voice.wav          one recording
  emovox predict ravdess-bilstm interviews/           a folder with all its subfolders
  emovox predict ravdess-bilstm *.wav --csv > x.csv   a table for a spreadsheet

A recording that cannot be read is named on standard error; the others are predicted all the same,
and the exit code is 1.")]
pub struct PredictArgs {
    /// The run: its name below runs/, or its folder
    run: String,
    /// WAV files, or folders that hold some
    #[arg(required = true, value_name = "FILE|DIR")]
    recordings: Vec<PathBuf>,
    #[command(flatten)]
    runs: Runs,
    /// Print a JSON array
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV: file, label, a probability per class
    #[arg(long)]
    csv: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
}

pub fn run(args: PredictArgs) -> Result<ExitCode> {
    let files = recordings(&args.recordings)?;
    let run = RunFolder::open(&args.runs.runs_dir, &args.run)?;
    let predictor = Predictor::open(&run, args.device.resolve()?)?;
    let progress = bar(files.len(), "features", "clips");
    let (predictions, skipped) = predictor.predict(&files, || progress.inc(1))?;
    progress.finish_and_clear();
    tell_skipped(&skipped);
    if predictor.config().data.is_synthetic() {
        eprintln!(
            "note: this model has heard synthetic speech only; what it says of people means little"
        );
    }

    let out = io::stdout().lock();
    match () {
        () if args.json => print_json(out, predictor.classes(), &predictions)?,
        () if args.csv => print_csv(out, predictor.classes(), &predictions)?,
        () => print_table(out, predictor.classes(), &predictions)?,
    }
    Ok(if skipped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The files named, and those in the folders named.
fn recordings(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            let inside = find_recordings(path);
            if inside.recordings.is_empty() {
                bail!("no WAV file in {}", path.display());
            }
            tell_skipped(&inside.skipped);
            files.extend(inside.recordings.iter().map(|file| path.join(file)));
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn name(file: &Path) -> String {
    file.to_string_lossy().into_owned()
}

fn print_table(mut out: impl Write, classes: &[String], predictions: &[Prediction]) -> Result<()> {
    let label_width = classes.iter().map(|class| class.len()).max().unwrap_or(0);
    let file_width = predictions
        .iter()
        .map(|p| name(&p.file).chars().count())
        .max()
        .unwrap_or(0);
    write!(out, "{:file_width$}  {:label_width$}", "file", "label")?;
    for class in classes {
        write!(out, "  {class:>7}")?;
    }
    writeln!(out)?;
    for Prediction {
        file,
        label,
        probabilities,
    } in predictions
    {
        write!(out, "{:file_width$}  {label:label_width$}", name(file))?;
        for (class, probability) in classes.iter().zip(probabilities) {
            let width = class.len().max(7);
            write!(out, "  {:>width$}", format!("{:.1} %", 100.0 * probability))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn print_csv(out: impl Write, classes: &[String], predictions: &[Prediction]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let header = ["file", "label"]
        .into_iter()
        .chain(classes.iter().map(String::as_str));
    writer.write_record(header)?;
    for Prediction {
        file,
        label,
        probabilities,
    } in predictions
    {
        let numbers = probabilities
            .iter()
            .map(|probability| probability.to_string());
        writer.write_record([name(file), label.clone()].into_iter().chain(numbers))?;
    }
    Ok(writer.flush()?)
}

fn print_json(mut out: impl Write, classes: &[String], predictions: &[Prediction]) -> Result<()> {
    let array: Vec<serde_json::Value> = predictions
        .iter()
        .map(
            |Prediction {
                 file,
                 label,
                 probabilities,
             }| {
                let by_class: Map<_, _> = classes
                    .iter()
                    .zip(probabilities)
                    .map(|(class, probability)| (class.clone(), json!(probability)))
                    .collect();
                json!({ "file": name(file), "label": label, "probabilities": by_class })
            },
        )
        .collect();
    serde_json::to_writer_pretty(&mut out, &array)?;
    Ok(writeln!(out)?)
}
