//! `last.ot`: everything that a training needs to go on, in one file that is whole or not there.
//!
//! It holds the weights, the optimizer, the weights that count so far, the epochs behind it and the steps
//! of the one that it is in. Random numbers need no place in it: they are drawn from
//! (seed, epoch, step).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use tch::{Device, Kind, Tensor};

use super::config::TrainingConfig;
use super::optimizer::AdamW;
use super::progress::{PartialEpoch, Progress};
use crate::bounded;
use crate::distributed::Ranks;
use crate::model::{EmotionModel, about, check_about, decode, encode, fit, read_tensors};
use crate::run::{EpochRecord, RunFolder, read_metrics, write_keeping_previous};

/// `[epochs, 8]`: the columns of `metrics.csv`. Not there before the first epoch is over.
const EPOCHS: &str = "training.epochs";
/// `[4]`: the fields of [`PartialEpoch`].
const PARTIAL: &str = "training.partial";
/// What stands before the names of the weights that count so far.
const KEPT: &str = "best.";

/// Weights by their names, of their own: training on does not change them.
pub(super) type Weights = Vec<(String, Tensor)>;

/// A copy of a model's weights as they are now.
pub(super) fn copy_of(model: &EmotionModel) -> Weights {
    let copy = |(name, tensor): (String, Tensor)| (name, tensor.detach().copy());
    model.tensors().into_iter().map(copy).collect()
}

/// The whole state of a training as the bytes of `last.ot`. `kept` are the weights of the epoch that
/// counts so far, where there is one.
pub(super) fn encode_state(
    model: &EmotionModel,
    optimizer: &AdamW,
    progress: &Progress,
    kept: &Weights,
) -> Result<Vec<u8>> {
    let mut tensors = vec![about(model)?];
    tensors.extend(model.tensors());
    tensors.extend(optimizer.state());
    tensors.extend(kept_names(kept));
    // tch cannot save a tensor without elements.
    if !progress.epochs.is_empty() {
        tensors.push((EPOCHS.into(), epochs_tensor(&progress.epochs)));
    }
    let PartialEpoch {
        steps,
        loss_sum,
        hits,
        seconds,
    } = progress.partial;
    let partial = [steps as f64, loss_sum, hits as f64, seconds];
    tensors.push((PARTIAL.into(), Tensor::from_slice(&partial)));
    encode(&tensors)
}

/// Saves what [`encode_state`] gave; what was saved before stays as `previous.ot`.
pub(super) fn write(run: &RunFolder, state: &[u8]) -> Result<()> {
    write_keeping_previous(&run.last_ot(), &run.previous_ot(), |file| {
        Ok(file.write_all(state)?)
    })
}

/// The file that a run resumes from: `last.ot`, or the previous one where a process was killed
/// between moving one away and putting the next in its place. `None` where nothing was saved yet.
pub(super) fn find(run: &RunFolder) -> Result<Option<PathBuf>> {
    let saved = [run.last_ot(), run.previous_ot()]
        .into_iter()
        .find(|file| file.exists());
    if saved.is_none() {
        // Both are written after the first checkpoint.
        let epochs = match run.metrics_csv().exists() {
            true => read_metrics(&run.metrics_csv())?.len(),
            false => 0,
        };
        ensure!(
            epochs == 0 && !run.best_ot().exists(),
            "{} is gone, though this run was trained before; without it it cannot go on, and it is \
             left as it is",
            run.last_ot().display()
        );
    }
    Ok(saved)
}

/// How far a run has come, once all that it has saved is known to fit a model of its configuration
/// (which takes it up). `from_previous` asks for `previous.ot` in place of a `last.ot` that is broken.
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
            "{} is whole; leave --from-previous out",
            run.last_ot().display()
        );
        return read(&previous);
    }
    let Some(path) = find(run)? else {
        return Ok(Progress::default());
    };
    read(&path).map_err(|error| {
        // Whoever loses a file should hear at once what is left.
        match read(&previous) {
            Ok(progress) if path != previous => anyhow!(
                "{error:#}. But previous.ot is whole and has {} epochs behind it: add \
                 --from-previous to go on from there",
                progress.epochs.len()
            ),
            _ => error.context("this run cannot go on, and is left as it is"),
        }
    })
}

/// Puts a saved training back into a model and an optimizer of the same configuration; gives its
/// place and the weights that count. Of several processes the first one reads it, and the others are
/// given what it has read.
pub(super) fn load(
    run: &RunFolder,
    model: &EmotionModel,
    optimizer: &mut AdamW,
    ranks: &Ranks,
) -> Result<(Progress, Weights)> {
    let path = match ranks.is_first() {
        true => find(run)?,
        false => None,
    };
    if !ranks.are_several() {
        return match path {
            Some(path) => load_file(&path, model, optimizer),
            None => Ok((Progress::default(), Vec::new())),
        };
    }
    let read = |path: PathBuf| {
        bounded::read(&path, bounded::WEIGHTS)
            .with_context(|| format!("cannot read {}", path.display()))
    };
    match ranks.spread_bytes(path.map(read).transpose()?)? {
        Some(bytes) => take(&decode(bytes, model.device())?, model, optimizer)
            .with_context(|| format!("{} does not fit this run's config.toml", run.name())),
        None => {
            tch::no_grad(|| {
                let mut tensors = model.tensors().into_iter();
                tensors.try_for_each(|(_, mut tensor)| ranks.spread(&mut tensor))
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
    take(&saved, model, optimizer)
        .with_context(|| format!("{} does not fit this run's config.toml", path.display()))
}

fn take(
    saved: &BTreeMap<String, Tensor>,
    model: &EmotionModel,
    optimizer: &mut AdamW,
) -> Result<(Progress, Weights)> {
    check_about(model, saved)?;
    let progress = progress_of(saved)?;
    let kept = match progress.epochs.is_empty() {
        true => Vec::new(),
        false => copy_of(model),
    };
    let mut targets = model.tensors();
    targets.extend(optimizer.state());
    targets.extend(kept_names(&kept));
    fit(&targets, &[EPOCHS, PARTIAL], saved)?;
    optimizer.go_on_after(saved)?;
    Ok((progress, kept))
}

fn kept_names(kept: &Weights) -> impl Iterator<Item = (String, Tensor)> {
    kept.iter()
        .map(|(name, tensor)| (format!("{KEPT}{name}"), tensor.shallow_clone()))
}

fn epochs_tensor(epochs: &[EpochRecord]) -> Tensor {
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
        .context("it holds weights, but not the place in a training; only last.ot resumes")?;
    let garbled = || anyhow!("the place in the training is garbled");
    let numbers = |tensor: &Tensor| {
        let tensor = tensor.to_device(Device::Cpu).f_view([-1]).ok();
        let tensor = tensor.filter(|tensor| tensor.kind() == Kind::Double);
        tensor.and_then(|tensor| Vec::<f64>::try_from(tensor).ok())
    };
    let epochs = match saved.get(EPOCHS) {
        Some(epochs) => numbers(epochs).ok_or_else(garbled)?,
        None => Vec::new(),
    };
    let partial = numbers(partial).ok_or_else(garbled)?;
    let (rows, []) = epochs.as_chunks::<8>() else {
        return Err(garbled());
    };
    let &[steps, loss_sum, hits, seconds] = partial.as_slice() else {
        return Err(garbled());
    };
    ensure!(steps >= 0.0 && hits >= 0.0 && seconds >= 0.0, garbled());
    let epochs: Vec<EpochRecord> = rows
        .iter()
        .map(|row| EpochRecord {
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
    ensure!(in_order, garbled());
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
