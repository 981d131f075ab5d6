//! How to train, as it stands in `config.toml`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::balance::Balance;
use crate::device::DeviceChoice;
use crate::run::EpochRecord;

/// Everything about the training but the data and the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Draws weights, order, dropout and augmentation. The same seed on the same CPU gives the
    /// same bytes, with the same number of threads.
    pub seed: u64,
    /// Where to compute.
    pub device: DeviceChoice,
    /// How often every clip is trained on.
    pub epochs: usize,
    /// Clips per step.
    pub batch_size: usize,
    /// Clips are sorted by length in stretches of this many batches, which saves padding; 1 draws
    /// every batch from the whole part.
    pub sorted_batches: usize,
    /// The highest learning rate of the schedule.
    pub learning_rate: f64,
    /// How the learning rate goes over the training.
    pub schedule: Schedule,
    /// Decoupled weight decay (AdamW); 0 is Adam.
    pub weight_decay: f64,
    /// Adam's ε, which keeps its division from zero.
    pub epsilon: f64,
    /// The gradient is scaled down to this norm; 0 leaves it alone.
    pub clip_norm: f64,
    /// Weighs each class by how rare it is.
    pub class_weights: bool,
    /// What has the same share of every epoch, however many clips of it there are.
    pub balance: Balance,
    /// Share of the target that goes to all classes alike.
    pub label_smoothing: f64,
    /// Weight of the contrastive loss, which draws clips of one class together in what the model makes of
    /// them before it tells the classes apart; 0 is none.
    #[serde(default = "none")]
    pub contrastive: f64,
    /// Stop when this many epochs brought no better validation UAR; 0 never stops early.
    pub early_stopping: usize,
    /// Which epoch's weights count.
    #[serde(default = "best")]
    pub keep: Keep,
    /// Weights to start from, instead of fresh ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_weights: Option<PathBuf>,
    /// Train also if those weights have learned from recordings or speakers of the test part.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_leak: bool,
    /// Recordings that last longer, in seconds, are trained on and predicted in equal pieces, so that no
    /// single one sets the cost of a step; the prediction is the mean over the pieces. 0 leaves all whole.
    #[serde(default = "none")]
    pub piece_seconds: f64,
    /// How training clips are varied.
    pub augmentation: AugmentationConfig,
}

/// How the learning rate goes over the training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The same all the time.
    Constant,
    /// Up for a third of the training, then down to nothing, both by half a cosine
    /// (Smith & Topin 2018).
    OneCycle,
}

/// Which epoch's weights count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// That of the highest validation UAR. With few speakers to validate, much of it is luck.
    Best,
    /// The last: where the learning rate ends at nothing, the weights have come to rest there.
    Last,
}

impl Keep {
    /// The epoch whose weights count, of those behind a training.
    pub fn of(self, epochs: &[EpochRecord]) -> Option<&EpochRecord> {
        match self {
            Keep::Best => EpochRecord::best(epochs),
            Keep::Last => epochs.last(),
        }
    }
}

/// How training clips are varied, anew in every epoch. Nothing else is ever varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentationConfig {
    /// Speed differs by up to this share: 0.1 is from 10 % slower to 10 % faster.
    pub speed: f64,
    /// Stretches of a clip that are masked (SpecAugment, Park et al. 2019).
    pub time_masks: usize,
    /// The longest such stretch, in frames.
    pub time_mask_frames: i64,
    /// Formants move by up to this share, as if the vocal tract were shorter or longer.
    pub frequency_warp: f64,
    /// Stretches of mel bands that are masked.
    pub frequency_masks: usize,
    /// The widest such stretch, in bands.
    pub frequency_mask_bands: i64,
    /// Standard deviation of a constant added to a whole clip's normalised MFCCs, another one for each
    /// coefficient and e times less every forty coefficients: as if another microphone, room or
    /// voice had filtered it.
    #[serde(default = "none")]
    pub channel: f64,
    /// Standard deviation of noise on the normalised features.
    pub noise: f64,
    /// Share of the clips that are mixed with another one (mixup, Zhang et al. 2018).
    pub mixup: f64,
}

impl TrainingConfig {
    /// Refuses settings that cannot be trained with.
    pub fn validate(&self) -> Result<()> {
        let a = &self.augmentation;
        ensure!(self.epochs > 0, "--epochs must be at least 1");
        ensure!(self.batch_size > 0, "--batch-size must be at least 1");
        ensure!(self.sorted_batches > 0, "sorted_batches must be at least 1");
        ensure!(
            self.learning_rate > 0.0 && self.learning_rate <= 1.0,
            "--learning-rate is {}, but must lie above 0 and not above 1",
            self.learning_rate
        );
        ensure!(
            self.weight_decay >= 0.0 && self.epsilon > 0.0 && self.clip_norm >= 0.0,
            "weight_decay and clip_norm must be 0 or more, epsilon above 0"
        );
        ensure!(
            !self.class_weights || !matches!(self.balance, Balance::Class | Balance::CorpusClass),
            "--class-weights and --balance {} both make up for rare classes; take one of them",
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
            "in [training.augmentation] speed and frequency_warp must lie in 0 to 0.5"
        );
        ensure!(
            (0.0..=1.0).contains(&a.mixup) && a.noise >= 0.0 && a.channel >= 0.0,
            "in [training.augmentation] mixup must lie in 0 to 1, noise and channel at 0 or above"
        );
        ensure!(
            self.piece_seconds == 0.0 || (1.0..=3600.0).contains(&self.piece_seconds),
            "piece_seconds must be 0, which leaves recordings whole, or from 1 to 3600"
        );
        ensure!(
            a.time_mask_frames >= 0 && a.frequency_mask_bands >= 0,
            "time_mask_frames and frequency_mask_bands must be 0 or more"
        );
        Ok(())
    }
}

impl Default for TrainingConfig {
    /// The recipe of the default architecture.
    fn default() -> Self {
        TrainingConfig {
            seed: 1,
            device: DeviceChoice::Auto,
            epochs: 100,
            batch_size: 32,
            sorted_batches: 4,
            learning_rate: 3e-3,
            schedule: Schedule::OneCycle,
            weight_decay: 1e-2,
            epsilon: 1e-8,
            clip_norm: 1.0,
            class_weights: false,
            balance: Balance::None,
            label_smoothing: 0.1,
            contrastive: 0.3,
            early_stopping: 0,
            keep: Keep::Last,
            init_weights: None,
            allow_leak: false,
            piece_seconds: 20.0,
            augmentation: AugmentationConfig::default(),
        }
    }
}

impl Default for AugmentationConfig {
    fn default() -> Self {
        AugmentationConfig {
            speed: 0.15,
            time_masks: 2,
            time_mask_frames: 30,
            frequency_warp: 0.12,
            frequency_masks: 1,
            frequency_mask_bands: 10,
            channel: 0.3,
            noise: 0.0,
            mixup: 0.3,
        }
    }
}

/// What runs had that were made before there was such a setting.
fn none() -> f64 {
    0.0
}

/// The same for what they kept.
fn best() -> Keep {
    Keep::Best
}

impl AugmentationConfig {
    /// Clips as they are.
    pub fn none() -> Self {
        AugmentationConfig {
            speed: 0.0,
            time_masks: 0,
            time_mask_frames: 0,
            frequency_warp: 0.0,
            frequency_masks: 0,
            frequency_mask_bands: 0,
            channel: 0.0,
            noise: 0.0,
            mixup: 0.0,
        }
    }
}
