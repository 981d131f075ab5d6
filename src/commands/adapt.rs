//! Adaptation of a model to a voice and a microphone: `--adapt-to` of predictions, `--adapt` of scores.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::progress::bar;
use super::{tell_skipped, warning};
use emovox::audio::{Excerpt, Segment};
use emovox::corpus::{Clip, find_recordings};
use emovox::dataset::{Extraction, extract};
use emovox::features::Features;
use emovox::inference::Predictor;
use emovox::plural::counted;

/// Largest number of recordings in a folder that a model adapts to. They are drawn at random, always
/// the same.
const MOST_RECORDINGS: usize = 200;
/// Seconds that are read of all recordings together: some 80 MB of features.
const MOST_SECONDS: u64 = 3000;

#[derive(Args)]
pub(super) struct AdaptArgs {
    /// Other recordings of the same voice and microphone, to which the model adapts; no labels needed
    #[arg(long, value_name = "DIR|FILE")]
    adapt_to: Option<PathBuf>,
}

impl AdaptArgs {
    /// True if the flag is given.
    pub(super) fn is_given(&self) -> bool {
        self.adapt_to.is_some()
    }

    /// Adapts the model, if the flag is given.
    pub(super) fn adapt(&self, predictor: &mut Predictor) -> Result<()> {
        let Some(given) = &self.adapt_to else {
            return Ok(());
        };
        predictor.trained().check_adaptable()?;
        let files = recordings(given).context("--adapt-to must be recordings of the voice")?;
        let config = predictor.config();
        let progress = bar(files.len(), "adapting", "recordings");
        let Extraction {
            features,
            mut skipped,
            ..
        } = extract(&files, &config.audio, &config.features, || progress.inc(1))?;
        progress.finish_and_clear();
        // The user named files, not their beginnings.
        let files = skipped.iter_mut().map(|skipped| &mut skipped.file);
        files.for_each(|file| file.segment = None);
        tell_skipped(&skipped);
        ensure!(
            !features.is_empty(),
            "--adapt-to {}: there is no recording with speech",
            given.display()
        );
        let features: Vec<&Features> = features.iter().map(|(_, features)| features).collect();
        let share = predictor.adapt(&features)?;
        warning!(
            "adapted to {} in {}: the statistics are {:.0} % theirs and {:.0} % those of the training",
            counted(features.len(), "recording"),
            given.display(),
            100.0 * share,
            100.0 * (1.0 - share)
        );
        Ok(())
    }
}

/// The beginning of each recording in a folder, or of a single one.
fn recordings(given: &Path) -> Result<Vec<Excerpt>> {
    let files = if given.is_file() {
        vec![given.to_path_buf()]
    } else {
        let found = find_recordings(given)?;
        found.require(given)?;
        tell_skipped(&found.skipped);
        // A regular selection could leave out an emotion whose number is in the names.
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn = found.recordings.sample(&mut rng, MOST_RECORDINGS);
        let mut drawn: Vec<PathBuf> = drawn.map(|file| given.join(file)).collect();
        drawn.sort();
        drawn
    };
    let beginning = Segment {
        start: Duration::ZERO,
        end: Some(Duration::from_secs(MOST_SECONDS / files.len() as u64)),
    };
    let excerpts = files.into_iter().map(|path| Excerpt {
        path,
        segment: Some(beginning),
    });
    Ok(excerpts.collect())
}

/// Groups of recordings. The model adapts to each of them before it is scored on it.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum AdaptationGroups {
    /// The recordings of each speaker
    Speaker,
    /// All recordings of a corpus, which have one microphone
    All,
}

impl AdaptationGroups {
    /// The group of each clip.
    ///
    /// # Errors
    /// If the speaker of a clip is not known, but needed.
    pub(super) fn of(self, clips: &[&Clip]) -> Result<Vec<String>> {
        let unknown = clips.iter().filter(|clip| clip.speaker.is_empty()).count();
        ensure!(
            self == AdaptationGroups::All || unknown == 0,
            "--adapt speaker: the speakers of {} are not known; --adapt all adapts to all recordings together",
            counted(unknown, "clip")
        );
        let group = |clip: &&Clip| match self {
            AdaptationGroups::Speaker => clip.speaker_id().to_string(),
            AdaptationGroups::All => clip.corpus.clone(),
        };
        Ok(clips.iter().map(group).collect())
    }

    /// The limit of the score, as a note beside it.
    pub(super) fn note(self) -> String {
        let recordings = match self {
            AdaptationGroups::Speaker => "the scored recordings of each speaker",
            AdaptationGroups::All => "all scored recordings of a corpus",
        };
        format!(
            "adapted to {recordings}, without their labels; a single recording of a new voice has no such \
             score"
        )
    }
}
