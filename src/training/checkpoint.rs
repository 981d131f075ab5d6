//! `last.ot`: the complete state of a training in one file.
//!
//! It has the weights, the optimizer, the selected weights, the metrics of the completed epochs, and
//! the progress within the current epoch; also the settings and the split, to notice if the other
//! files of the run are changed. Random numbers are not part of it: they are drawn from
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
use crate::plural::counted;
use crate::reason::reason;
use crate::run::{RunFolder, read_metrics};

/// `[epochs, 8]`: the columns of `metrics.csv`. Absent before the first epoch is completed.
const EPOCHS: &str = "training.epochs";
/// `[4]`: the fields of [`PartialEpoch`].
const PARTIAL: &str = "training.partial";
/// The bytes of [`SavedState::identity`]. Absent if there are none.
const IDENTITY: &str = "training.identity";
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
    /// See [`SavedState::identity`]; empty if unknown.
    pub identity: Vec<u8>,
}

/// The state of a training, without its tensors.
#[derive(Debug, Default)]
pub struct SavedState {
    /// Completed epochs and steps.
    pub progress: Progress,
    /// The bytes of [`super::TrainData`] that identify what it was trained with; `None` in runs of
    /// early versions.
    pub identity: Option<Vec<u8>>,
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
        let (saved, selected) = load(run, model, &mut optimizer, group)?;
        Ok(TrainState {
            optimizer,
            progress: saved.progress,
            selected,
            identity: saved.identity.unwrap_or_default(),
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

    /// The tensors of `last.ot`, copied to main memory: the training may go on before they are
    /// written.
    ///
    /// # Errors
    /// If the metadata cannot be written.
    pub fn snapshot(&self, model: &EmotionModel) -> Result<Weights> {
        let mut on_device = model.tensors();
        on_device.extend(self.optimizer.state());
        on_device.extend(selected_names(&self.selected));
        let mut tensors = vec![metadata(model)?];
        tensors.extend(in_main_memory(on_device));
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
        if !self.identity.is_empty() {
            tensors.push((IDENTITY.into(), Tensor::from_slice(&self.identity)));
        }
        Ok(tensors)
    }
}

/// Copies of tensors in main memory. From a GPU, all 32-bit floats are copied at once, because every
/// copy waits for the GPU.
pub(super) fn in_main_memory(tensors: Weights) -> Weights {
    let is_on_gpu = tensors.iter().any(|(_, x)| x.device() != Device::Cpu);
    let tensors = if is_on_gpu { at_once(tensors) } else { tensors };
    let copy = |(name, tensor): (String, Tensor)| (name, tensor.detach().copy());
    tensors.into_iter().map(copy).collect()
}

/// The 32-bit floats as parts of one tensor in main memory, and the other tensors unchanged.
fn at_once(mut tensors: Weights) -> Weights {
    let mut floats: Vec<&mut Tensor> = tensors.iter_mut().map(|(_, tensor)| tensor).collect();
    floats.retain(|tensor| tensor.kind() == Kind::Float);
    let rows: Vec<Tensor> = floats.iter().map(|x| x.detach().flatten(0, -1)).collect();
    let all = Tensor::cat(&rows, 0).to_device(Device::Cpu);
    let mut next = 0;
    for tensor in floats {
        let length = tensor.numel() as i64;
        *tensor = all.narrow(0, next, length).view(tensor.size().as_slice());
        next += length;
    }
    tensors
}

/// Writes `last.ot` from a [`TrainState::snapshot`], and keeps the file before it as `previous.ot`.
///
/// # Errors
/// If libtorch cannot serialise a tensor, or if the file cannot be written.
pub(super) fn write(run: &RunFolder, snapshot: &Weights) -> Result<()> {
    let bytes = encode(snapshot)?;
    write_keeping_previous(&run.last_ot(), &run.previous_ot(), |file| {
        Ok(file.write_all(&bytes)?)
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

/// The saved state of a run. It is loaded into `model`, which checks that it fits the
/// configuration. With `from_previous`, `previous.ot` replaces a damaged `last.ot`.
///
/// # Errors
/// If the file is missing, damaged, or does not fit the model; with `from_previous`, also if
/// `last.ot` is not damaged.
pub fn saved_state(
    run: &RunFolder,
    model: &EmotionModel,
    config: &TrainingConfig,
    from_previous: bool,
) -> Result<SavedState> {
    let mut optimizer = AdamW::new(model.parameters(), config);
    let mut read = |path: &Path| {
        let (saved, _) = load_file(path, model, &mut optimizer)?;
        anyhow::Ok(saved)
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
        return Ok(SavedState::default());
    };
    read(&path).map_err(|error| {
        // The message names the file that can replace the damaged one.
        match read(&previous) {
            Ok(saved) if path != previous => anyhow!(
                "{}. previous.ot is not damaged and has {}: add --from-previous to resume from it",
                reason(&error),
                counted(saved.progress.epochs.len(), "completed epoch")
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
) -> Result<(SavedState, Weights)> {
    let path = if group.is_main() { find(run)? } else { None };
    if !group.is_distributed() {
        return match path {
            Some(path) => load_file(&path, model, optimizer),
            None => Ok(Default::default()),
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
            Ok(Default::default())
        }
    }
}

fn load_file(
    path: &Path,
    model: &EmotionModel,
    optimizer: &mut AdamW,
) -> Result<(SavedState, Weights)> {
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
) -> Result<(SavedState, Weights)> {
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
    load_state_dict(&targets, &[EPOCHS, PARTIAL, IDENTITY], saved)?;
    optimizer.resume_after(saved)?;
    let identity = saved.get(IDENTITY).map(bytes_of).transpose()?;
    Ok((SavedState { progress, identity }, selected))
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let bytes = tensor.to_device(Device::Cpu).f_view([-1]).ok();
    let bytes = bytes.filter(|bytes| bytes.kind() == Kind::Uint8);
    let bytes = bytes.and_then(|bytes| Vec::<u8>::try_from(bytes).ok());
    bytes.context("the settings of the training are damaged")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_copied_at_once_are_the_same_bits() {
        let tensors = || -> Weights {
            vec![
                (
                    "matrix".into(),
                    Tensor::from_slice(&[1.5f32, -2.0, 3.0, 4.0]).view([2, 2]),
                ),
                ("step".into(), Tensor::from_slice(&[7i64])),
                ("scalar".into(), Tensor::from(0.25f32)),
                (
                    "turned".into(),
                    Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]).view([2, 2]).tr(),
                ),
            ]
        };
        assert_eq!(at_once(tensors()), tensors());
        assert_eq!(in_main_memory(tensors()), tensors());
        // The rows of a transposed tensor are in another order in memory.
        let contiguous = |tensors: Weights| -> Weights { tensors.into_iter().take(3).collect() };
        let saved = |tensors: Weights| encode(&in_main_memory(contiguous(tensors))).unwrap();
        assert!(
            saved(at_once(tensors())) == saved(tensors()),
            "the same bytes in a file"
        );
    }
}
