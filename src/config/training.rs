//! Training settings: the section `[training]` of `config.toml`.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{Arch, RunConfig};
use crate::device::DeviceChoice;

/// Settings of a training, except those of the data and the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Random seed of weights, clip order, dropout, augmentation and disturbed copies. The same seed
    /// gives the same bytes on the same CPU, with any number of threads.
    pub seed: u64,
    /// CPU or GPU.
    pub device: DeviceChoice,
    /// Allows TensorFloat-32 in cuDNN's LSTM: a faster multiplication with 11 instead of 24 bits, on
    /// GPUs from Ampere on. Without it, a GPU computes with the precision of a CPU.
    #[serde(default)]
    pub tf32: bool,
    /// Number of epochs; an epoch has as many clips as the training subset. 0 leaves the choice to
    /// [`choose_epochs`](TrainingConfig::choose_epochs) when a run begins.
    pub epochs: usize,
    /// Largest number of clips in a step. The steps of an epoch have nearly the same number of clips.
    pub batch_size: usize,
    /// Number of batches whose clips are sorted by length together, which reduces padding. With 1,
    /// every batch is drawn from the whole training subset.
    #[serde(default = "four")]
    pub sorted_batches: usize,
    /// Highest learning rate of the schedule.
    pub learning_rate: f64,
    /// Learning rate as a function of the step.
    pub schedule: Schedule,
    /// Decoupled weight decay (AdamW); with 0 the optimizer is Adam.
    pub weight_decay: f64,
    /// Adam's ε, which avoids a division by zero.
    pub epsilon: f64,
    /// Largest norm of the gradient, to which larger gradients are scaled down; 0 turns clipping
    /// off.
    pub clip_norm: f64,
    /// Weights the loss of each class by the inverse of its frequency.
    pub class_weights: bool,
    /// Groups of clips that are equally frequent in every epoch.
    #[serde(default)]
    pub balance: Balance,
    /// A clip of a corpus that lacks a class is no evidence against this class: the softmax of its
    /// loss has only the classes of its corpus.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mask_absent_classes: bool,
    /// Share of the target probability that is distributed evenly over all classes.
    pub label_smoothing: f64,
    /// Weight of the supervised contrastive loss, which moves the embeddings of clips of one class
    /// towards each other; 0 turns it off.
    #[serde(default = "none")]
    pub contrastive: f64,
    /// Number of epochs without a better one after which the training stops; 0 turns early stopping
    /// off. An epoch is better with a higher validation UAR, or with the same and a lower loss.
    pub early_stopping: usize,
    /// Checkpoint selection: the epoch whose weights become `best.ot`.
    #[serde(default = "best")]
    pub checkpoint_selection: CheckpointSelection,
    /// File with initial weights; without it the weights are drawn at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_weights: Option<PathBuf>,
    /// Learning rate of all layers but the last one, relative to `learning_rate`. It applies only to
    /// a training with initial weights; without them these layers have to be learned.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub body_learning_rate: f64,
    /// Accepts initial weights that were trained on recordings or speakers of the test subset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_leak: bool,
    /// Longest piece of a recording in seconds. Longer recordings are divided into equal pieces for
    /// training and prediction, so that no recording determines the cost of a step; the prediction
    /// is the mean over the pieces. 0 leaves all recordings whole.
    #[serde(default = "none")]
    pub piece_seconds: f64,
    /// Random variation of the training clips.
    pub augmentation: AugmentationConfig,
    /// Disturbed copies of the training recordings.
    #[serde(default)]
    pub disturbance: DisturbanceConfig,
}

/// Learning rate schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// A constant learning rate.
    Constant,
    /// A half cosine up over the first 30 % of the training, then a half cosine down to almost 0
    /// (Smith & Topin 2018).
    OneCycle,
}

/// Groups of clips that are equally frequent in every epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// No balancing: an epoch has every clip once.
    #[default]
    None,
    /// The classes are equally frequent.
    Class,
    /// The corpora are equally frequent.
    Corpus,
    /// The classes of every corpus are equally frequent.
    CorpusClass,
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Balance::None => "none",
            Balance::Class => "class",
            Balance::Corpus => "corpus",
            Balance::CorpusClass => "corpus-class",
        })
    }
}

/// Checkpoint selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointSelection {
    /// The epoch with the highest validation UAR. With few validation speakers, this choice depends
    /// much on chance.
    Best,
    /// The last epoch. With a schedule that ends near 0, the weights have converged by then.
    Last,
}

/// Random variation of the training clips, drawn again in every epoch. Validation and test clips
/// are never varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationConfig {
    /// Largest relative change of the speed: 0.1 means from 10 % slower to 10 % faster.
    pub speed: f64,
    /// Number of time masks in a clip (SpecAugment, Park et al. 2019).
    pub time_masks: usize,
    /// Largest width of a time mask, in frames.
    pub time_mask_frames: i64,
    /// Largest relative change of the frequencies (vocal tract length perturbation), which moves
    /// the formants as a shorter or longer vocal tract does.
    #[serde(default = "none")]
    pub frequency_warp: f64,
    /// Number of frequency masks in a clip (SpecAugment).
    #[serde(default)]
    pub frequency_masks: usize,
    /// Largest width of a frequency mask, in mel bands.
    #[serde(default)]
    pub frequency_mask_bands: i64,
    /// Cepstral offset: standard deviation of a constant that is added to the normalised MFCCs of a
    /// clip, drawn for each coefficient. It is e times smaller every forty coefficients. The offset
    /// imitates the filter of another microphone, room or voice.
    #[serde(default = "none")]
    pub cepstral_offset: f64,
    /// Standard deviation of the noise that is added to the normalised features.
    pub noise: f64,
    /// Share of the clips that are mixed with another clip (mixup, Zhang et al. 2018).
    pub mixup: f64,
}

/// Disturbed copies of the training recordings (multi-condition training). Every epoch uses each
/// recording once, either as it is or one of its copies, all with the same probability. Validation
/// and test recordings are never disturbed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DisturbanceConfig {
    /// Number of copies of each recording; 0 turns the disturbances off.
    pub copies: usize,
    /// Share of the copies that sound as if recorded in a room.
    pub room: f64,
    /// Share of the copies whose spectrum is tilted.
    pub tilt: f64,
    /// Share of the copies with additive noise: white or coloured, babble of other training
    /// recordings, hum, tones.
    pub noise: f64,
    /// Folder with recordings of noise, which are a third of the noise; without it, all noise is
    /// synthetic or babble.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_folder: Option<PathBuf>,
    /// Lowest and highest signal-to-noise ratio, in decibels.
    pub snr_db: [f64; 2],
    /// Share of the copies that were sent over a telephone line.
    pub telephone: f64,
    /// Share of the other copies without the lowest or the highest frequencies, or both.
    pub band_limit: f64,
    /// Share of the copies that are clipped.
    pub clipping: f64,
    /// Lowest and highest peak of a copy, in decibels below full scale.
    pub peak_db: [f64; 2],
}

impl Default for DisturbanceConfig {
    /// No copies, as in runs that are older than these settings.
    fn default() -> Self {
        DisturbanceConfig {
            copies: 0,
            room: 0.4,
            tilt: 0.5,
            noise: 0.85,
            noise_folder: None,
            snr_db: [3.0, 45.0],
            telephone: 0.0,
            band_limit: 0.4,
            clipping: 0.2,
            peak_db: [-30.0, -1.0],
        }
    }
}

impl DisturbanceConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is out of range.
    fn validate(&self) -> Result<()> {
        let shares = [
            self.room,
            self.tilt,
            self.noise,
            self.telephone,
            self.band_limit,
            self.clipping,
        ];
        ensure!(
            self.copies <= MAX_COPIES,
            "in [training.disturbance] copies must be at most {MAX_COPIES}"
        );
        ensure!(
            shares.iter().all(|share| (0.0..=1.0).contains(share)),
            "in [training.disturbance] room, tilt, noise, telephone, band_limit and clipping are \
             shares between 0 and 1"
        );
        ensure!(
            self.noise_folder.is_none() || (self.copies > 0 && self.noise > 0.0),
            "--noise has no effect without disturbed copies; set copies and noise in \
             [training.disturbance]"
        );
        let [lowest, highest] = self.snr_db;
        ensure!(
            -20.0 <= lowest && lowest <= highest && highest <= 100.0,
            "in [training.disturbance] snr_db must be two increasing numbers from -20 to 100"
        );
        let [lowest, highest] = self.peak_db;
        ensure!(
            -80.0 <= lowest && lowest <= highest && highest <= 0.0,
            "in [training.disturbance] peak_db must be two increasing numbers from -80 to 0"
        );
        Ok(())
    }
}

/// Maximum number of disturbed copies: each takes as much memory as the recordings.
const MAX_COPIES: usize = 20;

/// Maximum number of masks of a spectrum; SpecAugment has one or two. Each takes memory for every clip.
const MAX_MASKS: usize = 20;

/// Smallest number of epochs that is chosen for a large corpus, and largest for a small one.
const CHOSEN_EPOCHS: [usize; 2] = [10, 400];

impl TrainingConfig {
    /// Sets the number of epochs for a training subset with this number of clips, if it is 0: as
    /// many as make this number of steps, but at least 10 and at most 400. A training with initial
    /// weights has a third of them (docs/recipe.md, eighth round).
    pub fn choose_epochs(&mut self, clips: usize, steps: usize) {
        if self.epochs == 0 {
            let in_epoch = clips.div_ceil(self.batch_size).max(1);
            let [fewest, most] = CHOSEN_EPOCHS;
            let epochs = steps.div_ceil(in_epoch).clamp(fewest, most);
            self.epochs = match self.init_weights {
                Some(_) => epochs.div_ceil(3).max(fewest),
                None => epochs,
            };
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        let a = &self.augmentation;
        ensure!(self.batch_size > 0, "--batch-size must be at least 1");
        ensure!(self.sorted_batches > 0, "sorted_batches must be at least 1");
        ensure!(
            self.learning_rate > 0.0 && self.learning_rate <= 1.0,
            "--learning-rate is {}, but must be above 0 and at most 1",
            self.learning_rate
        );
        ensure!(
            (0.0..=1.0).contains(&self.body_learning_rate),
            "body_learning_rate is {}, but must be a share of the learning rate, between 0 and 1",
            self.body_learning_rate
        );
        ensure!(
            self.weight_decay >= 0.0 && self.epsilon > 0.0 && self.clip_norm >= 0.0,
            "weight_decay and clip_norm must be 0 or more, epsilon above 0"
        );
        ensure!(
            !self.class_weights || !matches!(self.balance, Balance::Class | Balance::CorpusClass),
            "--class-weights and --balance {} both compensate for rare classes; use one of them",
            self.balance
        );
        ensure!(
            (0.0..1.0).contains(&self.label_smoothing),
            "label_smoothing must be at least 0 and below 1"
        );
        ensure!(
            self.contrastive >= 0.0 && self.contrastive.is_finite(),
            "contrastive must be 0 or more"
        );
        ensure!(
            [a.speed, a.frequency_warp]
                .iter()
                .all(|share| (0.0..=0.5).contains(share)),
            "in [training.augmentation] speed and frequency_warp must be between 0 and 0.5"
        );
        ensure!(
            (0.0..=1.0).contains(&a.mixup) && a.noise >= 0.0 && a.cepstral_offset >= 0.0,
            "in [training.augmentation] mixup must be between 0 and 1, noise and cepstral_offset 0 or more"
        );
        ensure!(
            self.piece_seconds == 0.0 || (1.0..=3600.0).contains(&self.piece_seconds),
            "piece_seconds must be 0, which leaves recordings whole, or from 1 to 3600"
        );
        ensure!(
            a.time_mask_frames >= 0 && a.frequency_mask_bands >= 0,
            "time_mask_frames and frequency_mask_bands must be 0 or more"
        );
        ensure!(
            a.time_masks <= MAX_MASKS && a.frequency_masks <= MAX_MASKS,
            "in [training.augmentation] time_masks and frequency_masks must be at most {MAX_MASKS}"
        );
        self.disturbance.validate()
    }
}

impl Default for TrainingConfig {
    /// The settings of the default recipe.
    fn default() -> Self {
        RunConfig::recipe(Arch::Bilstm).training
    }
}

impl Default for AugmentationConfig {
    /// The settings of the default recipe.
    fn default() -> Self {
        TrainingConfig::default().augmentation
    }
}

/// Sorting of runs that are older than this setting.
fn four() -> usize {
    4
}

/// Value of settings that switch something on, in runs that are older than these settings.
fn none() -> f64 {
    0.0
}

/// All layers learn at the same rate.
fn one() -> f64 {
    1.0
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

/// Checkpoint selection of runs that are older than this setting.
fn best() -> CheckpointSelection {
    CheckpointSelection::Best
}

impl AugmentationConfig {
    /// No augmentation.
    pub fn none() -> Self {
        AugmentationConfig {
            speed: 0.0,
            time_masks: 0,
            time_mask_frames: 0,
            frequency_warp: 0.0,
            frequency_masks: 0,
            frequency_mask_bands: 0,
            cepstral_offset: 0.0,
            noise: 0.0,
            mixup: 0.0,
        }
    }
}
