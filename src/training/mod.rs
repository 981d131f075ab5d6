//! Training: `fit.rs` is the recipe on one page; the other files are its parts.

mod all_reduce;
mod balance;
mod checkpoint;
mod control;
mod criterion;
mod epoch;
mod finite;
mod fit;
#[cfg(test)]
mod fixture;
#[allow(unsafe_code)] // calls C++; see there
mod fused;
mod loss;
mod meter;
mod optimizer;
mod pieces;
mod progress;
mod saving;
mod schedule;

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use tch::{Device, Tensor};

pub use crate::config::{
    AugmentationConfig, Balance, CheckpointSelection, Schedule, TrainingConfig,
};
pub use checkpoint::{SavedState, saved_state};
pub use finite::NonFiniteLoss;
pub use optimizer::AdamW;
pub use progress::{PartialEpoch, Progress};

use crate::augment::SpecAugment;
use crate::dataset::SplitTensors;
use crate::distributed::ProcessGroup;
use crate::evaluation::EpochMetrics;
use crate::evaluation::Predictions;
use crate::model::{self, EmotionModel, ModelConfig};
use crate::random;
use crate::run::RunFolder;
use checkpoint::TrainState;
use control::Control;
use fit::{Setup, fit};
use saving::Checkpoints;

/// The data of a training. The test subset is not part of it: it is scored once, elsewhere.
#[derive(Debug)]
pub struct TrainData {
    /// Bytes that identify the settings and the recordings. `last.ot` keeps them, so that a later
    /// training in its run folder can be compared ([`SavedState::identity`]).
    pub identity: Vec<u8>,
    /// Clips that the weights are fitted to.
    pub train: SplitTensors,
    /// File names of the training clips.
    pub train_names: Vec<String>,
    /// Group of each training clip (see [`Balance`]); empty without balancing.
    pub groups: Vec<(usize, usize)>,
    /// Corpus of each training clip; empty for one corpus.
    pub corpora: Vec<usize>,
    /// Clips that every epoch is scored on.
    pub validation: SplitTensors,
    /// Augmentation of the spectrum; `None` if the configuration has none.
    pub spec_augment: Option<SpecAugment>,
}

/// Progress of a training, reported while it runs.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "epochs and steps count from 1")]
pub enum Event<'a> {
    /// A step was submitted to the device.
    Step {
        epoch: usize,
        step: usize,
        steps: usize,
    },
    /// An epoch is completed and saved. The first steps of the next epoch may be reported before.
    Epoch {
        record: &'a EpochMetrics,
        best: bool,
    },
    /// None of the last `early_stopping` epochs improved the validation UAR.
    StoppedEarly { epoch: usize },
}

/// A model with new weights, drawn from the seed of the training.
pub fn fresh_model(
    config: &ModelConfig,
    seed: u64,
    coefficients: usize,
    classes: &[String],
    device: Device,
) -> EmotionModel {
    // libtorch's generator belongs to the whole process.
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _own = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    random::seed_libtorch(seed);
    EmotionModel::new(config, coefficients, classes, device)
}

/// Trains from the state in the run's `last.ot`, or from the start if there is none. After every
/// epoch, `last.ot`, `metrics.csv` and `best.ot` are written to the run folder while the next epoch
/// is trained.
///
/// If `stop` becomes true, the training completes its current step, saves, and returns; the result
/// tells whether the training [is over](Progress::is_over).
///
/// # Errors
/// [`NonFiniteLoss`], a run folder that cannot be read or written, or recordings that differ from those
/// of the run.
pub fn train(
    model: &EmotionModel,
    data: &TrainData,
    config: &TrainingConfig,
    run: &RunFolder,
    stop: &AtomicBool,
    monitor: impl FnMut(Event),
) -> Result<Progress> {
    train_in_group(
        &ProcessGroup::single(),
        model,
        data,
        config,
        run,
        stop,
        monitor,
    )
}

/// [`train`] by several processes. Each calls this function with the same data. In every step each
/// process computes its local slice of the batch, and all take the same step. Only the main process
/// reads and writes the run folder. Their number may differ from that before a resume.
///
/// # Errors
/// As [`train`]; also if a process is lost.
pub fn train_in_group(
    group: &ProcessGroup,
    model: &EmotionModel,
    data: &TrainData,
    config: &TrainingConfig,
    run: &RunFolder,
    stop: &AtomicBool,
    mut monitor: impl FnMut(Event),
) -> Result<Progress> {
    let normalisation = model.normalisation().copy();
    let mut state = TrainState::load(run, model, config, group)?;
    state.identity.clone_from(&data.identity);
    ensure!(
        model.normalisation().is_like(&normalisation),
        "the recordings differ from those that {} was started with: their MFCCs have other statistics",
        run.name()
    );
    ensure!(
        config.balance == Balance::None || data.groups.len() == data.train.clips(),
        "balancing by {} needs a group for every training clip",
        config.balance
    );
    let setup = Setup {
        model,
        data,
        config,
        group,
    };
    let mut control = Control::new(stop, group);
    let mut checkpoints = Checkpoints::begin(&setup, run, &state)?;
    let trained = fit(
        &setup,
        &mut state,
        &mut control,
        &mut checkpoints,
        &mut monitor,
    );
    // The pending checkpoint counts, however the training ended.
    let saved = checkpoints.finish(&mut monitor);
    trained.and(saved)?;
    if state.progress.is_stopped_early(config) {
        monitor(Event::StoppedEarly {
            epoch: state.progress.epochs.len(),
        });
    }
    Ok(state.progress)
}

/// Predictions of a subset without augmentation, and the mean cross-entropy over its clips.
///
/// # Errors
/// If the features of a clip are in a file that cannot be read.
pub fn score(
    model: &EmotionModel,
    subset: &SplitTensors,
    batch_size: usize,
) -> Result<(Predictions, f64)> {
    score_in_group(&ProcessGroup::single(), model, subset, batch_size)
}

/// [`score`] by several processes, which divide the batches; all get the result.
fn score_in_group(
    group: &ProcessGroup,
    model: &EmotionModel,
    subset: &SplitTensors,
    batch_size: usize,
) -> Result<(Predictions, f64)> {
    // All processes must divide the clips in the same way, also if some of them have no GPU.
    let device = if group.is_distributed() && !group.uses_nccl() {
        Device::Cpu
    } else {
        model.device()
    };
    let (clips, processes) = (subset.clips(), group.world_size());
    let batch_size = model::prediction_batch(batch_size, device, clips, processes);
    let is_local = |batch: usize| batch % processes == group.rank();
    let all_reduce = |rows: &mut Tensor| group.sum(rows);
    let log_probabilities =
        model::log_probabilities_of(model, subset, None, batch_size, is_local, all_reduce)?;
    let truth = subset.recording_labels();
    let loss: f64 = log_probabilities
        .iter()
        .zip(&truth)
        .map(|(row, &class)| -f64::from(row[class]))
        .sum::<f64>()
        / truth.len().max(1) as f64;
    let predictions = Predictions {
        classes: model.classes().to_vec(),
        probabilities: model::exponentials(log_probabilities),
        truth,
    };
    Ok((predictions, loss))
}

/// Loads the weights of the selected epoch into the model.
///
/// # Errors
/// If `best.ot` is missing, damaged, or does not fit the model.
pub fn load_selected(model: &EmotionModel, run: &RunFolder) -> Result<()> {
    model::load_weights(model, &run.best_ot()).context("the weights cannot be read back")
}
