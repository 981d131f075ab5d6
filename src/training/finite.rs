//! Detection of NaN and infinite losses without a wait for the device at every step.

use std::fmt;

use anyhow::{Result, bail};
use tch::{Device, Tensor};

use super::epoch::EpochPlan;
use crate::model::EmotionModel;

/// The error of a training whose loss or weights are NaN or infinite.
#[derive(Debug, Clone, PartialEq)]
pub struct NonFiniteLoss {
    /// The bad quantity: "training loss", "validation loss" or "weights".
    pub which: &'static str,
    /// Its value: NaN or infinite.
    pub loss: f64,
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Number of the step in the epoch, from 1; for a validation loss, the last step before it.
    pub step: usize,
    /// Learning rate of that step.
    pub learning_rate: f64,
    /// Names of the clips in the batch of that step.
    pub clips: Vec<String>,
}

impl std::error::Error for NonFiniteLoss {}

impl fmt::Display for NonFiniteLoss {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let NonFiniteLoss {
            which,
            loss,
            epoch,
            step,
            learning_rate,
            clips,
        } = self;
        let preposition = if *which == "training loss" {
            "at"
        } else {
            "after"
        };
        write!(
            f,
            "the {which} became {loss} {preposition} step {step} of epoch {epoch}, at a learning \
             rate of {learning_rate:.3e}. Earlier checkpoints are kept, but the same settings would \
             fail again: start a new run with a smaller --learning-rate"
        )?;
        if !clips.is_empty() {
            write!(
                f,
                ", and check the clips of that step: {}",
                clips.join(", ")
            )?;
        }
        Ok(())
    }
}

/// Checks the losses of an epoch's steps. Reading a value from a GPU waits for the GPU, so on a GPU
/// many losses are checked at once.
pub(super) struct FiniteGuard {
    /// Number of steps between two checks.
    every: usize,
    /// Losses that have not been checked.
    losses: Vec<Tensor>,
    /// Number of steps before the first of `losses`.
    checked: usize,
}

impl FiniteGuard {
    /// A guard for the steps from `first_step` (from 0).
    pub fn new(device: Device, first_step: usize) -> Self {
        FiniteGuard {
            every: if device == Device::Cpu { 1 } else { 50 },
            losses: Vec::new(),
            checked: first_step,
        }
    }

    /// Adds the loss of a step, and checks the losses if a check is due.
    ///
    /// # Errors
    /// [`NonFiniteLoss`], with the first loss that is not finite.
    pub fn check(&mut self, loss: &Tensor, plan: &EpochPlan) -> Result<()> {
        self.losses.push(loss.detach());
        if self.losses.len() < self.every {
            return Ok(());
        }
        self.check_losses(plan)
    }

    /// Checks the remaining losses.
    ///
    /// # Errors
    /// [`NonFiniteLoss`], with the first loss that is not finite.
    pub fn check_losses(&mut self, plan: &EpochPlan) -> Result<()> {
        let losses = std::mem::take(&mut self.losses);
        let first = self.checked;
        self.checked += losses.len();
        if losses.is_empty() || Tensor::stack(&losses, 0).isfinite().all().int64_value(&[]) == 1 {
            return Ok(());
        }
        let values = losses.iter().map(|loss| loss.double_value(&[]));
        match (first..).zip(values).find(|(_, loss)| !loss.is_finite()) {
            Some((step, loss)) => bail!(non_finite("training loss", loss, plan, step)),
            None => Ok(()),
        }
    }

    /// Checks the remaining losses and all weights before a checkpoint after `step` (from 0). A
    /// gradient may be NaN although the loss was not.
    ///
    /// # Errors
    /// [`NonFiniteLoss`].
    pub fn check_state(
        &mut self,
        model: &EmotionModel,
        plan: &EpochPlan,
        step: usize,
    ) -> Result<()> {
        self.check_losses(plan)?;
        let is_finite = |tensor: &Tensor| tensor.isfinite().all().int64_value(&[]) == 1;
        if !model
            .parameters()
            .iter()
            .all(|(_, tensor)| is_finite(tensor))
        {
            bail!(non_finite("weights", f64::NAN, plan, step));
        }
        Ok(())
    }
}

/// Checks the validation loss of an epoch.
///
/// # Errors
/// [`NonFiniteLoss`].
pub(super) fn check_validation_loss(loss: f64, plan: &EpochPlan) -> Result<()> {
    if !loss.is_finite() {
        let last_step = plan.steps().saturating_sub(1);
        bail!(NonFiniteLoss {
            clips: Vec::new(),
            ..non_finite("validation loss", loss, plan, last_step)
        });
    }
    Ok(())
}

/// The error of a step (from 0).
fn non_finite(which: &'static str, loss: f64, plan: &EpochPlan, step: usize) -> NonFiniteLoss {
    NonFiniteLoss {
        which,
        loss,
        epoch: plan.epoch,
        step: step + 1,
        learning_rate: plan.learning_rate(step),
        clips: plan.clip_names(step),
    }
}
