//! Adaptation of a model to a voice and a microphone: `--adapt-to` of predictions, `--adapt` of scores.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use super::progress::bar;
use super::{tell_skipped, warning};
use emovox::corpus::{Clip, Skipped, find_recordings};
use emovox::dataset::extract_any;
use emovox::features::Features;
use emovox::inference::{PRIOR_RECORDINGS, Predictor};
use emovox::plural::counted;

/// Largest number of recordings in a folder that a model adapts to, evenly spaced in the order of their
/// names.
const MOST_RECORDINGS: usize = 200;

#[derive(Args)]
pub(super) struct AdaptArgs {
    /// Adapt the model to the voice and the microphone of these recordings (no labels are needed; they
    /// should have several emotions)
    #[arg(long, value_name = "DIR|FILE")]
    adapt_to: Option<PathBuf>,
}

impl AdaptArgs {
    /// Adapts the model, if the flag is given.
    pub(super) fn adapt(&self, predictor: &mut Predictor) -> Result<()> {
        let Some(given) = &self.adapt_to else {
            return Ok(());
        };
        let files = recordings(given).context("--adapt-to must be recordings of the voice")?;
        let config = predictor.config();
        let progress = bar(files.len(), "adapting", "recordings");
        let extracted = extract_any(&files, &config.audio, &config.features, || progress.inc(1))?;
        progress.finish_and_clear();
        let mut skipped = Vec::new();
        let mut features: Vec<Features> = Vec::new();
        for (file, extracted) in files.iter().zip(extracted) {
            let reason = match extracted {
                Ok(one) if one.has_speech => {
                    features.push(one.features);
                    continue;
                }
                Ok(_) => "there is no speech in it".to_string(),
                Err(reason) => reason,
            };
            skipped.push(Skipped {
                file: file.as_path().into(),
                reason,
            });
        }
        tell_skipped(&skipped);
        ensure!(
            !features.is_empty(),
            "--adapt-to {}: there is no recording with speech",
            given.display()
        );
        predictor.adapt(&features.iter().collect::<Vec<_>>())?;
        let few = match features.len() {
            ..20 => format!(
                "; the statistics of the training still count as {PRIOR_RECORDINGS}, more than these, so give \
                 more if you can"
            ),
            _ => String::new(),
        };
        warning!(
            "adapted to {} in {}{few}",
            counted(features.len(), "recording"),
            given.display()
        );
        Ok(())
    }
}

/// The recordings in a folder, or a single one.
fn recordings(given: &Path) -> Result<Vec<PathBuf>> {
    if given.is_file() {
        return Ok(vec![given.to_path_buf()]);
    }
    let found = find_recordings(given)?;
    found.require(given)?;
    let step = found.recordings.len().div_ceil(MOST_RECORDINGS);
    let chosen = found.recordings.iter().step_by(step);
    Ok(chosen.map(|file| given.join(file)).collect())
}

/// Recordings that a model adapts to together before it is scored on them.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum Voices {
    /// Those of each speaker
    Speaker,
    /// All together: they have one microphone
    All,
}

impl Voices {
    /// The voice of each clip.
    pub(super) fn of(self, clips: &[&Clip]) -> Vec<String> {
        let voice = |clip: &&Clip| match self {
            Voices::Speaker => clip.speaker_id().to_string(),
            Voices::All => String::new(),
        };
        clips.iter().map(voice).collect()
    }

    /// What a reader of the score must know.
    pub(super) fn note(self) -> String {
        let recordings = match self {
            Voices::Speaker => "the recordings of each speaker",
            Voices::All => "all of these recordings together",
        };
        format!(
            "the model adapted to {recordings}, without their labels, before it predicted them; on a single \
             recording of a new voice it cannot"
        )
    }
}
