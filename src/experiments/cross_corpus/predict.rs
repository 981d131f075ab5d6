//! Predictions of trials for corpora that they were not trained on.

use anyhow::{Context, Result};

use super::{CorpusEntry, CrossCorpus};
use crate::corpus::Skipped;
use crate::dataset::{FeatureCache, FeatureDataset};
use crate::experiments::run::open_corpus;
use crate::experiments::trial::{Subject, Trial};
use crate::inference::{Predictor, naming_clip};
use crate::run::{ClipPrediction, write_predictions};

/// Predicts one corpus with every finished trial on another corpus that has not predicted it yet, and
/// returns its recordings that cannot be read. `advance` is called after each recording is read, `stop`
/// before each trial.
///
/// # Errors
/// If the corpus or a run cannot be read, or if the predictions cannot be written.
pub fn predict_corpus(
    study: &CrossCorpus,
    corpus: &CorpusEntry,
    cache: Option<&FeatureCache>,
    advance: impl Fn() + Sync,
    stop: impl Fn() -> bool,
) -> Result<Vec<Skipped>> {
    let mut trials = study.trials();
    trials.retain(|trial| {
        trial.subject != Subject::Corpus(corpus)
            && trial.is_done()
            && !study.has_predicted(trial, corpus)
    });
    if trials.is_empty() {
        return Ok(Vec::new());
    }
    let config = &study.plan.config;
    let found = open_corpus(&corpus.data)?;
    let loaded = FeatureDataset::read(&found, &config.audio, &config.features, cache, advance)?;
    for trial in trials {
        if stop() {
            break;
        }
        predict(study, &trial, corpus, &loaded)
            .with_context(|| format!("{} on {}", trial.name(), corpus.name))?;
    }
    Ok(loaded.skipped)
}

fn predict(
    study: &CrossCorpus,
    trial: &Trial,
    corpus: &CorpusEntry,
    loaded: &FeatureDataset,
) -> Result<()> {
    let device = study.plan.config.training.device.resolve()?;
    let predictor = Predictor::open(&trial.run()?, device)?;
    let clips: Vec<usize> = (0..loaded.clips.len()).collect();
    let labeled = loaded.subset(&clips, predictor.classes());
    let probabilities = predictor
        .probabilities(&labeled.features)
        .map_err(|error| naming_clip(error, &labeled.clips))?;
    let rows: Vec<ClipPrediction> = labeled
        .clips
        .iter()
        .zip(&probabilities)
        .map(|(&clip, row)| ClipPrediction {
            clip,
            prediction: predictor.label_of(row),
            probabilities: row,
        })
        .collect();
    write_predictions(
        &study.predictions_path(trial, corpus),
        predictor.classes(),
        &rows,
    )
}
