//! `last.ot`: everything that a training needs to go on, in one file that is whole or not there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::{Kind, Tensor};

use super::optimizer::AdamW;
use crate::model::{EmotionModel, read_tensors, refuse_others, restore, write_tensors};
use crate::run::is_better;

/// The format of `last.ot`; a file of another one is refused.
const FORMAT: i64 = 1;
const PLACE: &str = "training.place";
const BEST: &str = "training.best";

/// How far a training has come, and what its best epoch was.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Epochs finished.
    pub epoch: usize,
    /// The best epoch so far, by [`Progress::improves`]; 0 before the first.
    pub best_epoch: usize,
    /// Its validation UAR.
    pub best_uar: f64,
    /// Its validation loss.
    pub best_loss: f64,
}

impl Progress {
    /// Before the first epoch.
    pub fn start() -> Self {
        Progress {
            epoch: 0,
            best_epoch: 0,
            best_uar: -1.0,
            best_loss: f64::INFINITY,
        }
    }

    /// Whether these validation figures beat the best so far.
    pub fn improves(&self, uar: f64, loss: f64) -> bool {
        is_better((uar, loss), (self.best_uar, self.best_loss))
    }
}

/// Saves weights, optimizer and progress.
pub fn save(
    path: &Path,
    model: &EmotionModel,
    optimizer: &AdamW,
    progress: &Progress,
) -> Result<()> {
    let place = [FORMAT, progress.epoch as i64, progress.best_epoch as i64];
    let best = [progress.best_uar, progress.best_loss];
    let mut tensors = trained(model, optimizer);
    tensors.push((PLACE.to_string(), Tensor::from_slice(&place)));
    tensors.push((BEST.to_string(), Tensor::from_slice(&best)));
    write_tensors(path, &tensors)
}

/// Puts a saved training back into a model and an optimizer of the same configuration.
pub fn load(path: &Path, model: &EmotionModel, optimizer: &mut AdamW) -> Result<Progress> {
    let misfit = || format!("{} does not fit this run's config.toml", path.display());
    let saved = read_tensors(path, model.device())?;
    let progress = progress_of(&saved).with_context(misfit)?;
    refuse_others(&trained(model, optimizer), &[PLACE, BEST], &saved).with_context(misfit)?;
    restore(&model.tensors(), &saved).with_context(misfit)?;
    optimizer.restore(&saved).with_context(misfit)?;
    Ok(progress)
}

/// What training changes: weights and moments.
fn trained(model: &EmotionModel, optimizer: &AdamW) -> Vec<(String, Tensor)> {
    let mut tensors = model.tensors();
    tensors.extend(optimizer.state());
    tensors
}

fn progress_of(saved: &BTreeMap<String, Tensor>) -> Result<Progress> {
    let (Some(place), Some(best)) = (saved.get(PLACE), saved.get(BEST)) else {
        anyhow::bail!("it holds weights, but not the place in a training; only last.ot resumes");
    };
    let on_cpu =
        |tensor: &Tensor, kind| tensor.to_device(tch::Device::Cpu).to_kind(kind).view([-1]);
    let place = Vec::<i64>::try_from(on_cpu(place, Kind::Int64))?;
    let best = Vec::<f64>::try_from(on_cpu(best, Kind::Double))?;
    let (&[format, epoch, best_epoch], &[best_uar, best_loss]) =
        (place.as_slice(), best.as_slice())
    else {
        anyhow::bail!("the place in the training is garbled");
    };
    ensure!(
        format == FORMAT,
        "its format is {format}, this emovox knows {FORMAT}"
    );
    let number =
        |value: i64| usize::try_from(value).context("the place in the training is garbled");
    Ok(Progress {
        epoch: number(epoch)?,
        best_epoch: number(best_epoch)?,
        best_uar,
        best_loss,
    })
}
