//! `last.ot`: the complete state of a training in one file.
//!
//! It has the weights, the optimizer, the selected weights, the metrics of the completed epochs, and
//! the progress within the current epoch. Random numbers are not part of it: they are drawn from
//! (seed, epoch, step).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use tch::{Device, Kind, Tensor};

use super::optimizer::AdamW;
use super::progress::{PartialEpoch, Progress};
use crate::bounded;
use crate::config::TrainingConfig;
use crate::distributed::ProcessGroup;
use crate::evaluation::EpochMetrics;
use crate::io::write_keeping_previous;
use crate::model::{
    EmotionModel, check_metadata, check_numbers, decode, encode, load_state_dict, metadata,
    read_tensors,
};
use crate::run::{RunFolder, read_metrics};

/// `[epochs, 8]`: the columns of `metrics.csv`. Absent before the first epoch is completed.
const EPOCHS: &str = "training.epochs";
/// `[4]`: the fields of [`PartialEpoch`].
const PARTIAL: &str = "training.partial";
/// Prefix of the names of the selected weights.
const SELECTED: &str = "best.";

/// Weights by name. They are copies, so training does not change them.
pub(super) type Weights = Vec<(String, Tensor)>;

/// Everything that changes during a training, apart from the weights of the model.
pub(super) struct TrainState {
    pub optimizer: AdamW,
    pub progress: Progress,
    /// Weights of the selected epoch so far; empty before the first epoch is completed.
    pub selected: Weights,
}

impl TrainState {
    /// Loads the state of a run into `model`, or begins a new one. With several processes, the main
    /// process reads the file and sends it to the others.
    ///
    /// # Errors
    /// If the file is damaged, or does not fit the model.
    pub fn load(
        run: &RunFolder,
        model: &EmotionModel,
        config: &TrainingConfig,
        group: &ProcessGroup,
    ) -> Result<TrainState> {
        let mut optimizer = AdamW::new(model.parameters(), config);
        let (progress, selected) = load(run, model, &mut optimizer, group)?;
        Ok(TrainState {
            optimizer,
            progress,
            selected,
        })
    }

    /// Completes an epoch. If it is the selected one, its weights are copied.
    pub fn end_epoch(
        &mut self,
        record: EpochMetrics,
        model: &EmotionModel,
        config: &TrainingConfig,
    ) {
        let epoch = record.epoch;
        self.progress.epochs.push(record);
        self.progress.partial = PartialEpoch::default();
        if self.progress.selected(config).map(|kept| kept.epoch) == Some(epoch) {
            self.selected = copy_of(model);
        }
    }

    /// The bytes of `last.ot`.
    ///
    /// # Errors
    /// If libtorch cannot serialise a tensor.
    pub fn encode(&self, model: &EmotionModel) -> Result<Vec<u8>> {
        let mut tensors = vec![metadata(model)?];
        tensors.extend(model.tensors());
        tensors.extend(self.optimizer.state());
        tensors.extend(selected_names(&self.selected));
        // tch cannot save a tensor without elements.
        if !self.progress.epochs.is_empty() {
            tensors.push((EPOCHS.into(), epochs_tensor(&self.progress.epochs)));
        }
        let PartialEpoch {
            steps,
            loss_sum,
            hits,
            seconds,
        } = self.progress.partial;
        let partial = [steps as f64, loss_sum, hits as f64, seconds];
        tensors.push((PARTIAL.into(), Tensor::from_slice(&partial)));
        encode(&tensors)
    }
}

/// Writes `last.ot`, and keeps the file before it as `previous.ot`.
pub(super) fn write(run: &RunFolder, state: &[u8]) -> Result<()> {
    write_keeping_previous(&run.last_ot(), &run.previous_ot(), |file| {
        Ok(file.write_all(state)?)
    })
}

/// The file from which a run resumes: `last.ot`, or `previous.ot` if a process was killed between
/// the two renames. `None` if nothing was saved yet.
fn find(run: &RunFolder) -> Result<Option<PathBuf>> {
    let saved = [run.last_ot(), run.previous_ot()]
        .into_iter()
        .find(|file| file.exists());
    if saved.is_none() {
        // Both are written after the first checkpoint.
        let epochs = if run.metrics_csv().exists() {
            read_metrics(&run.metrics_csv())?.len()
        } else {
            0
        };
        ensure!(
            epochs == 0 && !run.best_ot().exists(),
            "{} is missing, although this run was trained before; the run cannot be resumed without it, \
             and was not changed",
            run.last_ot().display()
        );
    }
    Ok(saved)
}

/// Progress of a run. The saved state is loaded into `model`, which checks that it fits the
/// configuration. With `from_previous`, `previous.ot` replaces a damaged `last.ot`.
///
/// # Errors
/// If the file is missing, damaged, or does not fit the model; with `from_previous`, also if
/// `last.ot` is not damaged.
pub fn saved_progress(
    run: &RunFolder,
    model: &EmotionModel,
    config: &TrainingConfig,
    from_previous: bool,
) -> Result<Progress> {
    let mut optimizer = AdamW::new(model.parameters(), config);
    let mut read = |path: &Path| {
        let (progress, _) = load_file(path, model, &mut optimizer)?;
        anyhow::Ok(progress)
    };
    let previous = run.previous_ot();
    if from_previous {
        ensure!(
            read(&run.last_ot()).is_err(),
            "{} is not damaged; omit --from-previous",
            run.last_ot().display()
        );
        return read(&previous);
    }
    let Some(path) = find(run)? else {
        return Ok(Progress::default());
    };
    read(&path).map_err(|error| {
        // The error says which file can replace the damaged one.
        match read(&previous) {
            Ok(progress) if path != previous => anyhow!(
                "{error:#}. previous.ot is not damaged and has {} completed epochs: add \
                 --from-previous to resume from it",
                progress.epochs.len()
            ),
            _ => error.context("this run cannot be resumed, and was not changed"),
        }
    })
}

/// Loads a saved training into a model and an optimizer of the same configuration. Returns the
/// progress and the selected weights.
fn load(
    run: &RunFolder,
    model: &EmotionModel,
    optimizer: &mut AdamW,
    group: &ProcessGroup,
) -> Result<(Progress, Weights)> {
    let path = if group.is_main() { find(run)? } else { None };
    if !group.is_distributed() {
        return match path {
            Some(path) => load_file(&path, model, optimizer),
            None => Ok((Progress::default(), Vec::new())),
        };
    }
    let read = |path: PathBuf| {
        bounded::read(&path, bounded::WEIGHTS)
            .with_context(|| format!("cannot read {}", path.display()))
    };
    match group.broadcast_bytes(path.map(read).transpose()?)? {
        Some(bytes) => take(&decode(bytes, model.device())?, model, optimizer)
            .with_context(|| format!("{} does not fit this run's config.toml", run.name())),
        None => {
            tch::no_grad(|| {
                let mut tensors = model.tensors().into_iter();
                tensors.try_for_each(|(_, mut tensor)| group.broadcast(&mut tensor))
            })?;
            Ok((Progress::default(), Vec::new()))
        }
    }
}

fn load_file(
    path: &Path,
    model: &EmotionModel,
    optimizer: &mut AdamW,
) -> Result<(Progress, Weights)> {
    let saved = read_tensors(path, model.device())?;
    // `progress_of` checks the metrics: some of them may be NaN.
    let weights = saved.iter().filter(|(name, _)| *name != EPOCHS);
    check_numbers(weights).with_context(|| format!("{} cannot be used", path.display()))?;
    take(&saved, model, optimizer)
        .with_context(|| format!("{} does not fit this run's config.toml", path.display()))
}

fn take(
    saved: &BTreeMap<String, Tensor>,
    model: &EmotionModel,
    optimizer: &mut AdamW,
) -> Result<(Progress, Weights)> {
    check_metadata(model, saved)?;
    let progress = progress_of(saved)?;
    let selected = if progress.epochs.is_empty() {
        Vec::new()
    } else {
        copy_of(model)
    };
    let mut targets = model.tensors();
    targets.extend(optimizer.state());
    targets.extend(selected_names(&selected));
    load_state_dict(&targets, &[EPOCHS, PARTIAL], saved)?;
    optimizer.resume_after(saved)?;
    Ok((progress, selected))
}

fn selected_names(selected: &Weights) -> impl Iterator<Item = (String, Tensor)> {
    selected
        .iter()
        .map(|(name, tensor)| (format!("{SELECTED}{name}"), tensor.shallow_clone()))
}

fn epochs_tensor(epochs: &[EpochMetrics]) -> Tensor {
    let rows: Vec<f64> = epochs
        .iter()
        .flat_map(|epoch| {
            [
                epoch.epoch as f64,
                epoch.train_loss,
                epoch.train_accuracy,
                epoch.validation_loss,
                epoch.validation_accuracy,
                epoch.validation_uar,
                epoch.learning_rate,
                epoch.seconds,
            ]
        })
        .collect();
    Tensor::from_slice(&rows).view([epochs.len() as i64, 8])
}

fn progress_of(saved: &BTreeMap<String, Tensor>) -> Result<Progress> {
    let partial = saved
        .get(PARTIAL)
        .context("it has weights, but no optimizer and no progress; only last.ot can be resumed")?;
    let damaged = || anyhow!("the progress of the training is damaged");
    let numbers = |tensor: &Tensor| {
        let tensor = tensor.to_device(Device::Cpu).f_view([-1]).ok();
        let tensor = tensor.filter(|tensor| tensor.kind() == Kind::Double);
        tensor.and_then(|tensor| Vec::<f64>::try_from(tensor).ok())
    };
    let epochs = match saved.get(EPOCHS) {
        Some(epochs) => numbers(epochs).ok_or_else(damaged)?,
        None => Vec::new(),
    };
    let partial = numbers(partial).ok_or_else(damaged)?;
    let (rows, []) = epochs.as_chunks::<8>() else {
        return Err(damaged());
    };
    let &[steps, loss_sum, hits, seconds] = partial.as_slice() else {
        return Err(damaged());
    };
    ensure!(steps >= 0.0 && hits >= 0.0 && seconds >= 0.0, damaged());
    let epochs: Vec<EpochMetrics> = rows
        .iter()
        .map(|row| EpochMetrics {
            epoch: row[0] as usize,
            train_loss: row[1],
            train_accuracy: row[2],
            validation_loss: row[3],
            validation_accuracy: row[4],
            validation_uar: row[5],
            learning_rate: row[6],
            seconds: row[7],
        })
        .collect();
    let in_order = epochs
        .iter()
        .zip(1..)
        .all(|(row, epoch)| row.epoch == epoch);
    ensure!(in_order, damaged());
    // Without validation clips, the validation metrics are NaN.
    let finite = epochs.iter().all(|row| {
        let others = [
            row.train_loss,
            row.train_accuracy,
            row.learning_rate,
            row.seconds,
        ];
        others.iter().all(|value| value.is_finite())
    });
    ensure!(finite, "some of its metrics are NaN or infinite");
    Ok(Progress {
        epochs,
        partial: PartialEpoch {
            steps: steps as usize,
            loss_sum,
            hits: hits as i64,
            seconds,
        },
    })
}

/// A copy of the current weights of a model.
fn copy_of(model: &EmotionModel) -> Weights {
    let copy = |(name, tensor): (String, Tensor)| (name, tensor.detach().copy());
    model.tensors().into_iter().map(copy).collect()
}
