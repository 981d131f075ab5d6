//! Predictions of a trained run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tch::Device;

use super::{Trained, check_predictions, vtlp_warps};
use crate::audio::Channel;
use crate::augment::VtlpWarps;
use crate::config::RunConfig;
use crate::corpus::Skipped;
use crate::dataset::{self, Extracted, Normalisation, SplitTensors};
use crate::evaluation::at_temperature;
use crate::features::Features;
use crate::memory;
use crate::model::{self, EmotionModel};
use crate::parallel::{self, Shared};
use crate::run::RunFolder;

/// Number of clips in a batch.
const BATCH_SIZE: usize = 64;
/// Number of recordings for each thread whose features are in memory at once.
const CHUNK: usize = 8;
/// Seconds of speech that the statistics of the training count as in an adaptation.
const PRIOR_SECONDS: f64 = 60.0;

/// The best weights of a run with its settings. Threads may share it: it only reads its tensors.
#[derive(Debug)]
pub struct Predictor {
    trained: Shared<Trained>,
    model: Shared<EmotionModel>,
    input: Shared<Input>,
    is_adapted: bool,
}

/// Changes of the features before the model reads them.
#[derive(Debug)]
struct Input {
    normalisation: Normalisation,
    warps: Option<VtlpWarps>,
}

impl Input {
    fn new(config: &RunConfig, normalisation: Normalisation, device: Device) -> Result<Input> {
        Ok(Input {
            warps: vtlp_warps(config, &normalisation, device)?,
            normalisation,
        })
    }
}

/// The prediction for one recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Path of the recording.
    pub file: PathBuf,
    /// The class with the highest probability.
    pub label: String,
    /// The probability of each class, in the order of [`Predictor::classes`].
    pub probabilities: Vec<f32>,
    /// False if the recording has no sound above a noise floor. Then the label and the
    /// probabilities mean nothing.
    pub has_speech: bool,
    /// True if the channels of the recording have opposite phases and cancel each other in the mix.
    pub is_cancelled: bool,
}

impl Predictor {
    /// Loads a run from its folder.
    ///
    /// # Errors
    /// If the settings or weights of the run cannot be read, or do not fit each other.
    pub fn open(run: &RunFolder, device: Device) -> Result<Predictor> {
        Predictor::of(Trained::of_folder(run)?, device)
    }

    /// Loads the model of an open run or bundle.
    ///
    /// # Errors
    /// If the weights cannot be read, or do not fit the settings.
    pub fn of(trained: Trained, device: Device) -> Result<Predictor> {
        let model = trained.model(device)?;
        let normalisation = model.normalisation().copy();
        Ok(Predictor {
            input: Shared::new(Input::new(trained.config(), normalisation, device)?),
            trained: Shared::new(trained),
            model: Shared::new(model),
            is_adapted: false,
        })
    }

    /// The classes of the model, in the order of its probabilities.
    pub fn classes(&self) -> &[String] {
        &self.config().data.classes
    }

    /// The settings of the run.
    pub fn config(&self) -> &RunConfig {
        self.trained().config()
    }

    /// Selects the channel of recordings with several channels, instead of that of the run.
    pub fn set_channel(&mut self, channel: Channel) {
        self.trained.get_mut().set_channel(channel);
    }

    /// The run from which the model was loaded.
    pub fn trained(&self) -> &Trained {
        self.trained.get()
    }

    /// The model with its weights.
    pub fn model(&self) -> &EmotionModel {
        self.model.get()
    }

    /// The VTLP warps for test-time augmentation; `None` without test-time augmentation.
    pub fn warps(&self) -> Option<&VtlpWarps> {
        self.input.get().warps.as_ref()
    }

    /// Adapts the model to a voice and a microphone, from the features of recordings of both. Their
    /// emotions need not be known, but should be several: an emotion that all of them have becomes the
    /// neutral state of the voice.
    ///
    /// Features are normalised with the statistics of these recordings instead of those of the training
    /// (speaker normalisation, Schuller et al. 2010), as far as there are enough of them: the statistics
    /// of the training count as much as a minute of speech (MAP estimation, Gauvain & Lee 1994). Returns
    /// the share of these recordings in the new statistics.
    ///
    /// # Errors
    /// If the run does not normalise its features, if there are none, or if they are in a file that
    /// cannot be read.
    pub fn adapt(&mut self, recordings: &[&Features]) -> Result<f64> {
        self.input = Shared::new(self.adapted(recordings)?);
        self.is_adapted = true;
        let frames: usize = recordings.iter().map(|features| features.frames()).sum();
        Ok(frames as f64 / (frames as f64 + self.prior_frames()))
    }

    /// True after [`Predictor::adapt`].
    pub fn is_adapted(&self) -> bool {
        self.is_adapted
    }

    fn adapted(&self, recordings: &[&Features]) -> Result<Input> {
        self.trained().check_adaptable()?;
        let has_frames = recordings.iter().any(|features| features.frames() > 0);
        ensure!(has_frames, "there is no recording to adapt to");
        let normalisation = self.model().normalisation();
        let normalisation = normalisation.adapted(recordings, self.prior_frames())?;
        Input::new(self.config(), normalisation, self.model().device())
    }

    fn prior_frames(&self) -> f64 {
        self.config().hops_in(PRIOR_SECONDS)
    }

    /// Probabilities `[recordings][classes]` for the features of recordings, calibrated with the
    /// temperature that was fitted to the validation subset.
    ///
    /// # Errors
    /// [`NonFinitePrediction`](super::NonFinitePrediction) if a probability is NaN or infinite.
    pub fn probabilities(&self, features: &[&Features]) -> Result<Vec<Vec<f32>>> {
        let rows = self.unchecked_probabilities(features, self.input.get())?;
        check_predictions(&rows)?;
        Ok(rows)
    }

    /// Like [`Predictor::probabilities`], with an [adaptation](Predictor::adapt) to the recordings of
    /// each group, such as those of a speaker. `groups` has the group of each recording.
    ///
    /// # Errors
    /// As [`Predictor::probabilities`] and [`Predictor::adapt`].
    pub fn probabilities_by_group(
        &self,
        features: &[&Features],
        groups: &[String],
    ) -> Result<Vec<Vec<f32>>> {
        let mut by_group: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (recording, group) in groups.iter().enumerate() {
            by_group.entry(group).or_default().push(recording);
        }
        let mut rows = vec![Vec::new(); features.len()];
        for recordings in by_group.values() {
            let own: Vec<&Features> = recordings.iter().map(|&index| features[index]).collect();
            let input = self.adapted(&own)?;
            let probabilities = self.unchecked_probabilities(&own, &input)?;
            for (&recording, row) in recordings.iter().zip(probabilities) {
                rows[recording] = row;
            }
        }
        check_predictions(&rows)?;
        Ok(rows)
    }

    fn unchecked_probabilities(
        &self,
        features: &[&Features],
        input: &Input,
    ) -> Result<Vec<Vec<f32>>> {
        if features.is_empty() {
            return Ok(Vec::new());
        }
        // The true classes are unknown; the value has no effect.
        let labels = vec![0; features.len()];
        let model = self.model();
        let Input {
            normalisation,
            warps,
        } = input;
        let most = self.config().piece_frames();
        let rows = memory::computing(|| {
            let tensors = SplitTensors::new(features, &labels, normalisation, model.device())?;
            let tensors = tensors.in_pieces(most);
            model::log_probabilities(model, &tensors, warps.as_ref(), BATCH_SIZE)
        })?;
        Ok(at_temperature(&rows, self.config().calibration.temperature))
    }

    /// Predicts recordings. Returns the predictions, and the recordings that cannot be predicted
    /// with the reasons.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn predict(
        &self,
        files: &[PathBuf],
        advance: impl Fn() + Sync,
    ) -> Result<(Vec<Prediction>, Vec<Skipped>)> {
        let (mut predictions, mut skipped) = (Vec::new(), Vec::new());
        self.predict_each(files, advance, |prediction| {
            match prediction {
                Ok(prediction) => predictions.push(prediction),
                Err(left_out) => skipped.push(left_out),
            }
            Ok(())
        })?;
        Ok((predictions, skipped))
    }

    /// Predicts recordings, and passes each prediction to `take` as soon as it exists, in the order
    /// of the files. Only a few recordings are in memory at once. `advance` is called for each
    /// recording that was read, from any thread.
    ///
    /// # Errors
    /// If `take` or libtorch fails. A recording that cannot be read, or is too long for the memory,
    /// is not an error: it is passed to `take` with the reason.
    pub fn predict_each(
        &self,
        files: &[PathBuf],
        advance: impl Fn() + Sync,
        mut take: impl FnMut(Result<Prediction, Skipped>) -> Result<()>,
    ) -> Result<()> {
        let RunConfig {
            audio, features, ..
        } = self.config();
        for files in files.chunks(CHUNK * parallel::threads()) {
            let extracted = dataset::extract_any(files, audio, features, &advance)?;
            let mut rows = self.rows_of_groups(&extracted)?.into_iter();
            for (file, extracted) in files.iter().zip(extracted) {
                let prediction = match extracted {
                    Ok(extracted) => {
                        let row = rows.next().context("a recording has no prediction")?;
                        row.map(|probabilities| Prediction {
                            file: file.clone(),
                            label: self.label_of(&probabilities).to_string(),
                            probabilities,
                            has_speech: extracted.has_speech,
                            is_cancelled: extracted.is_cancelled,
                        })
                    }
                    Err(reason) => Err(reason),
                };
                take(prediction.map_err(|reason| Skipped {
                    file: file.into(),
                    reason,
                }))?;
            }
        }
        Ok(())
    }

    /// The probabilities of each recording that was read. On a CPU, the groups that are predicted
    /// together do not depend on the number of threads.
    fn rows_of_groups(
        &self,
        extracted: &[Result<Extracted, String>],
    ) -> Result<Vec<Result<Vec<f32>, String>>> {
        let size = match self.model().device() {
            Device::Cpu => CHUNK,
            _ => extracted.len().max(1),
        };
        let groups = extracted.chunks(size).map(|group| {
            let read = group.iter().flatten().map(|one| &one.features);
            read.collect::<Vec<_>>()
        });
        let rows = parallel::map(groups.collect(), |group| self.rows(&group));
        Ok(rows.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }

    /// The probabilities of each recording, or the reason that it has none. If the memory does not
    /// suffice for all recordings at once, they are predicted one by one.
    fn rows(&self, features: &[&Features]) -> Result<Vec<Result<Vec<f32>, String>>> {
        let checked = |row: Vec<f32>| match check_predictions(std::slice::from_ref(&row)) {
            Ok(()) => Ok(row),
            Err(error) => Err(error.to_string()),
        };
        match self.unchecked_probabilities(features, self.input.get()) {
            Ok(rows) => Ok(rows.into_iter().map(checked).collect()),
            Err(error) if !memory::is_out_of_memory(&error) => Err(error),
            Err(error) if features.len() == 1 => Ok(vec![Err(error.to_string())]),
            Err(_) => {
                let one = |features: &&Features| self.rows(&[*features]);
                let rows: Result<Vec<_>> = features.iter().map(one).collect();
                Ok(rows?.into_iter().flatten().collect())
            }
        }
    }

    /// Predicts one recording.
    ///
    /// # Errors
    /// If the recording cannot be predicted; the message has its path and the reason.
    pub fn predict_one(&self, file: &Path) -> Result<Prediction> {
        let (mut predictions, skipped) = self.predict(&[file.to_path_buf()], || {})?;
        if let Some(skipped) = skipped.first() {
            anyhow::bail!("{}: {}", file.display(), skipped.reason);
        }
        predictions
            .pop()
            .with_context(|| format!("{}: there is no prediction", file.display()))
    }

    /// The name of the most probable class; with a tie, the first one.
    pub fn label_of(&self, row: &[f32]) -> &str {
        let mut best = 0;
        for (class, probability) in row.iter().enumerate() {
            if *probability > row[best] {
                best = class;
            }
        }
        self.classes().get(best).map_or("", String::as_str)
    }
}
