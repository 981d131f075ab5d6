//! `emovox evaluate`: scores of a trained run on its own corpus or on another corpus.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::cache::{CacheArgs, tell_uncached};
use super::progress::bar;
use super::resolve;
use super::scored::ScoredArgs;
use super::terminal::{print_json, print_text};
use emovox::dataset::FeatureDataset;
use emovox::device::DeviceChoice;
use emovox::evaluation::Calibration;
use emovox::experiments::ScoreNotes;
use emovox::inference::{Predictor, naming_clip};
use emovox::report::Report;

/// Score a trained run: accuracy, UAR, F1, confusion matrix
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox evaluate ravdess-bilstm                      the test subset, as after the training
  emovox evaluate ravdess-bilstm --subset validation  another subset
  emovox evaluate ravdess-bilstm --data data/emodb    another corpus, its clips with known labels
  emovox evaluate ravdess-bilstm --data data/emodb --map boredom=sadness --map calm=calm
      count boredom as sadness, and calm as calm
  emovox evaluate ravdess-bilstm --manifest mine.csv --root data/mine
      the recordings in a manifest; --subset test selects its test subset
  emovox evaluate ravdess-bilstm --data data/emodb --adapt speaker
      adapted to each speaker first, as emovox predict --adapt-to is
  emovox evaluate ravdess-bilstm --json               JSON for programs

On another corpus, calm and boredom count as neutral, and pleasant surprise as surprise, if one side \
(the model or the corpus) has the first label and the other side only the second; the mapped labels \
are printed. A --map pair applies to the model and to the recordings. Clips with another label that \
the model does not have are left out and counted.")]
pub struct EvaluateArgs {
    #[command(flatten)]
    scored: ScoredArgs,
    /// Print JSON, with fractions of 1
    #[arg(long)]
    json: bool,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    #[command(flatten)]
    cache: CacheArgs,
}

pub fn run(args: EvaluateArgs) -> Result<ExitCode> {
    let predictor = Predictor::of(args.scored.open()?, resolve(args.device)?)?;
    let config = predictor.config();
    let chosen = args.scored.choose(predictor.trained())?;

    let progress = bar(chosen.corpus.clips.len(), "features", "clips");
    let cache = args.cache.open();
    let (audio, features) = (&config.audio, &config.features);
    let mut loaded = FeatureDataset::read(&chosen.corpus, audio, features, cache.as_ref(), || {
        progress.inc(1)
    })?;
    progress.finish_and_clear();
    tell_uncached(&loaded);
    chosen.warn(&loaded.skipped);

    let ScoreNotes {
        speakers_shared,
        mut notes,
    } = chosen.notes(predictor.trained(), &loaded.clips)?;
    let labels = args
        .scored
        .map_labels(&chosen, predictor.classes(), &loaded.clips)?;
    for clip in &mut loaded.clips {
        clip.label = labels.of(&clip.label);
    }
    notes.extend(labels.note());

    let classes = labels.classes();
    let all: Vec<usize> = (0..loaded.clips.len()).collect();
    let known = loaded.subset(&all, classes);
    let probabilities = match args.scored.adapt {
        Some(groups) => {
            notes.push(groups.note());
            predictor.probabilities_by_group(&known.features, &groups.of(&known.clips)?)
        }
        None => predictor.probabilities(&known.features),
    };
    let probabilities = probabilities.map_err(|error| naming_clip(error, &known.clips))?;
    let predictions = labels.predictions(probabilities, known.labels);
    let report = Report {
        run: predictor.trained().name().to_string(),
        corpus: chosen.corpus.name(),
        subset: chosen.subset,
        speakers_shared,
        notes,
        synthetic: chosen.corpus.kind.is_synthetic() || config.data.is_synthetic(),
        epoch: None,
        skipped_recordings: chosen.skipped_before + loaded.skipped.len(),
        unknown_label: loaded.clips.len() - known.clips.len(),
        temperature: config.calibration.temperature,
        ece_before: None,
        calibration: Calibration::of(&predictions),
        metrics: predictions.metrics(),
    };
    if args.json {
        print_json(&report.json()?)
    } else {
        print_text(&report.text())
    }
    Ok(ExitCode::SUCCESS)
}
