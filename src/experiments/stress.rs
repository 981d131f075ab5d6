//! The stress test of a trained run: predictions for disturbed clips.

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::audio::{self, AudioConfig, Waveform};
use crate::corpus::{Clip, ContentHash, Corpus, Skipped};
use crate::dataset::extract_waveforms;
use crate::disturbance::{Disturbance, Material};
use crate::evaluation::{AlignedLabels, GroupScores, Predictions};
use crate::inference::{Predictor, naming_clip};
use crate::reason::reason;

/// Number of voices of a babble, as in audEERING's ser-tests.
const VOICES: std::ops::RangeInclusive<u64> = 4..=7;

/// Clips with their waveforms, at the sample rate of a run, with silence at both ends.
#[derive(Debug, Default)]
pub struct DecodedClips {
    /// The clips that could be read, each with the hash of its recording.
    pub clips: Vec<Clip>,
    /// The waveform of each clip: four bytes for each sample, about 230 MB for an hour at 16 kHz.
    pub waveforms: Vec<Waveform>,
    /// Recordings that could not be read.
    pub skipped: Vec<Skipped>,
}

impl DecodedClips {
    /// Reads the clips of a corpus on all cores. `advance` is called for each clip, from any thread.
    ///
    /// # Errors
    /// If more than half of the clips cannot be read, as when the folder is another one.
    pub fn read(
        corpus: &Corpus,
        audio: &AudioConfig,
        advance: impl Fn() + Sync,
    ) -> Result<DecodedClips> {
        let read = |clip: &Clip| -> Result<(ContentHash, Waveform)> {
            let recording = corpus.recording(clip);
            let loaded = audio::load_untrimmed(&recording, audio)?;
            loaded.check_speech()?;
            Ok((ContentHash::of_excerpt(&recording)?, loaded.waveform))
        };
        let read = |clip: &Clip| {
            let result = read(clip);
            advance();
            result
        };
        let results: Vec<_> = corpus.clips.par_iter().map(read).collect();
        let mut decoded = DecodedClips::default();
        for (clip, result) in corpus.clips.iter().zip(results) {
            match result {
                Ok((content, waveform)) => {
                    decoded.clips.push(Clip {
                        content: Some(content),
                        ..clip.clone()
                    });
                    decoded.waveforms.push(waveform);
                }
                Err(error) => decoded.skipped.push(Skipped {
                    file: clip.file.clone(),
                    reason: reason(&error),
                }),
            }
        }
        if let Some(first) = decoded.skipped.first() {
            ensure!(
                decoded.skipped.len() <= decoded.clips.len(),
                "{} of the {} recordings in {} cannot be read; the first is {}: {}",
                decoded.skipped.len(),
                corpus.clips.len(),
                corpus.folder.display(),
                first.file.display(),
                first.reason
            );
        }
        Ok(decoded)
    }

    /// Replaces the labels by the scored classes, and drops clips with other labels. Returns the
    /// number of dropped clips.
    pub fn relabel(&mut self, labels: &AlignedLabels) -> usize {
        let before = self.clips.len();
        let clips = self.clips.drain(..).map(|clip| Clip {
            label: labels.of(&clip.label),
            ..clip
        });
        let pairs: Vec<(Clip, Waveform)> = clips
            .zip(self.waveforms.drain(..))
            .filter(|(clip, _)| labels.classes().contains(&clip.label))
            .collect();
        (self.clips, self.waveforms) = pairs.into_iter().unzip();
        before - self.clips.len()
    }
}

/// The clips of a stress test, and everything that disturbs them.
pub struct StressClips<'a> {
    /// The clips. All have one of the scored classes.
    pub clips: &'a [Clip],
    /// The waveform of each clip.
    pub waveforms: &'a [Waveform],
    /// Noise of the user.
    pub noises: &'a [Waveform],
    /// Impulse responses of the user.
    pub responses: &'a [Waveform],
    /// Seed of all random numbers.
    pub seed: u64,
}

impl StressClips<'_> {
    /// The waveform of a clip with a disturbance. It depends on the seed, on the disturbance and on
    /// the content of the clip only; babble also depends on the other clips.
    fn disturbed(&self, index: usize, disturbance: &Disturbance) -> Result<Waveform> {
        let clip = &self.clips[index];
        let mut rng = self.generator(disturbance, clip);
        let material = Material {
            voices: self.voices(clip, &mut rng),
            noises: self.noises,
            responses: self.responses,
        };
        let disturbed = disturbance.apply(&self.waveforms[index], &material, &mut rng);
        disturbed.with_context(|| format!("{}: {}", disturbance.name, clip.file.display()))
    }

    fn generator(&self, disturbance: &Disturbance, clip: &Clip) -> ChaCha8Rng {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"emovox stress");
        hasher.update(&self.seed.to_le_bytes());
        if let Some(content) = clip.content {
            hasher.update(content.as_ref());
        }
        hasher.update(disturbance.name.as_bytes());
        ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
    }

    /// Some clips of other speakers. With a single speaker, some other clips.
    fn voices(&self, clip: &Clip, rng: &mut ChaCha8Rng) -> Vec<&Waveform> {
        let own = clip.speaker_id();
        let is_other_speaker = |other: &Clip| other.speaker_id() != own;
        let has_others = self.clips.iter().any(is_other_speaker);
        let others = self.clips.iter().zip(self.waveforms).filter(|(other, _)| {
            if has_others {
                is_other_speaker(other)
            } else {
                other.file != clip.file
            }
        });
        let others: Vec<&Waveform> = others.map(|(_, waveform)| waveform).collect();
        let count = rng.random_range(VOICES);
        let draw = |_| {
            let index = rng.random_range(0..others.len().max(1) as u64);
            others.get(index as usize).copied()
        };
        (0..count).filter_map(draw).collect()
    }
}

/// The predictions of a trained run for clips with and without disturbances.
pub struct StressTest<'a> {
    /// The trained run.
    pub predictor: &'a Predictor,
    /// Classes of the model and labels of the clips, as common classes.
    pub labels: &'a AlignedLabels,
    /// The clips.
    pub clips: StressClips<'a>,
    /// The group of each clip, such as its speaker, if the model adapts to each group: to its disturbed
    /// clips, because a microphone or a room disturbs all of them.
    pub groups: Option<Vec<String>>,
}

impl StressTest<'_> {
    /// Predictions for the clips as they are.
    ///
    /// # Errors
    /// If the features do not fit into memory, or if libtorch fails.
    pub fn clean(&self) -> Result<Predictions> {
        let waveforms = self.clips.waveforms;
        self.predict(|clip| Ok(waveforms[clip].clone()))
    }

    /// Predictions for the clips with a disturbance. `advance` is called for each clip, from any
    /// thread.
    ///
    /// # Errors
    /// If a clip cannot be disturbed, if the features do not fit into memory, or if libtorch fails.
    pub fn disturbed(
        &self,
        disturbance: &Disturbance,
        advance: impl Fn() + Sync,
    ) -> Result<Predictions> {
        let clips = &self.clips;
        self.predict(|index| {
            let waveform = clips.disturbed(index, disturbance);
            advance();
            waveform
        })
    }

    fn predict(&self, waveform: impl Fn(usize) -> Result<Waveform> + Sync) -> Result<Predictions> {
        let config = self.predictor.config();
        let clips: Vec<&Clip> = self.clips.clips.iter().collect();
        let (audio, features) = (&config.audio, &config.features);
        let features = extract_waveforms(clips.len(), audio, features, waveform, Ok)?;
        let features: Vec<_> = features.iter().collect();
        let probabilities = match &self.groups {
            Some(groups) => self.predictor.probabilities_by_group(&features, groups),
            None => self.predictor.probabilities(&features),
        };
        let probabilities = probabilities.map_err(|error| naming_clip(error, &clips))?;
        let class = |clip: &&Clip| {
            let mut classes = self.labels.classes().iter();
            let class = classes.position(|class| *class == clip.label);
            class.with_context(|| format!("{} has no class of the model", clip.file.display()))
        };
        let truth: Vec<usize> = clips.iter().map(class).collect::<Result<_>>()?;
        Ok(self.labels.predictions(probabilities, truth))
    }
}

/// Scores of the sexes, languages and corpora of clips, as far as they are known; none for a
/// property that all clips have in common.
pub fn group_scores(
    corpus: &Corpus,
    clips: &[Clip],
    predictions: &Predictions,
) -> Vec<GroupScores> {
    let sex = |clip: &Clip| corpus.kind_of(clip)?.sex(&clip.speaker);
    let language = |clip: &Clip| corpus.kind_of(clip)?.language();
    let name = |clip: &Clip| (!clip.corpus.is_empty()).then(|| clip.corpus.clone());
    let properties: [(&str, Vec<Option<String>>); 3] = [
        (
            "sex",
            clips
                .iter()
                .map(|clip| Some(sex(clip)?.to_string()))
                .collect(),
        ),
        (
            "language",
            clips
                .iter()
                .map(|clip| Some(language(clip)?.to_string()))
                .collect(),
        ),
        ("corpus", clips.iter().map(name).collect()),
    ];
    let scores = properties.iter();
    let scores =
        scores.flat_map(|(property, groups)| GroupScores::of(predictions, property, groups, 1));
    scores.collect()
}
