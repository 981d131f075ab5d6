//! What trainings say of corpora that they were not trained on.

use std::path::Path;

use anyhow::{Context, Result};

use super::{CrossCorpus, Member, Training};
use crate::dataset::{FeatureCache, FeatureDataset};
use crate::experiment::open_corpus;
use crate::inference::{Predictor, naming_clip};
use crate::run::{ClipPrediction, RunFolder, write_predictions};

/// Lets every training that is done hear a corpus that is not its own, if it has not yet. `advance` is
/// called after each recording, `stop` is asked before each training.
pub fn hear_others(
    all: &CrossCorpus,
    of: &Member,
    cache: Option<&FeatureCache>,
    advance: impl Fn() + Sync,
    stop: impl Fn() -> bool,
) -> Result<()> {
    let left: Vec<Training> = all
        .plan
        .trainings()
        .into_iter()
        .filter(|&training| training.on.name != of.name)
        .filter(|&training| all.is_trained(training) && !all.has_heard(training, of))
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    let config = &all.plan.config;
    let corpus = open_corpus(&of.data)?;
    let loaded = FeatureDataset::read(&corpus, &config.audio, &config.features, cache, advance)?;
    for training in left {
        if stop() {
            return Ok(());
        }
        hear(all, training, of, &loaded)
            .with_context(|| format!("{} on {}", training.name(), of.name))?;
    }
    Ok(())
}

fn hear(all: &CrossCorpus, training: Training, of: &Member, loaded: &FeatureDataset) -> Result<()> {
    let run = RunFolder::open(Path::new(""), &all.run_of(training).to_string_lossy())?;
    let device = all.plan.config.training.device.resolve()?;
    let predictor = Predictor::open(&run, device)?;
    let clips: Vec<usize> = (0..loaded.clips.len()).collect();
    let known = loaded.subset(&clips, predictor.classes());
    let probabilities = predictor
        .probabilities(&known.features)
        .map_err(|error| naming_clip(error, &known.clips))?;
    let rows: Vec<ClipPrediction> = known
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
        &all.predictions_of(training, of),
        predictor.classes(),
        &rows,
    )
}
