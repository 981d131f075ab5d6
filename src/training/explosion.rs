//! Detection of NaN and infinite losses without a wait for the device at every step.

use std::fmt;

use tch::{Device, Tensor};

/// The error of a training whose loss or weights are NaN or infinite.
#[derive(Debug, Clone, PartialEq)]
pub struct Explosion {
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

impl std::error::Error for Explosion {}

impl fmt::Display for Explosion {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Explosion {
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

/// Checks the losses of the steps. Reading a value from a GPU waits for the GPU, so on a GPU many
/// losses are checked at once.
pub(super) struct Watch {
    /// Number of steps between two checks.
    every: usize,
    /// Losses that have not been checked.
    losses: Vec<Tensor>,
    /// Number of steps before the first of `losses`.
    checked: usize,
}

impl Watch {
    pub(super) fn new(device: Device, steps_before: usize) -> Self {
        Watch {
            every: if device == Device::Cpu { 1 } else { 50 },
            losses: Vec::new(),
            checked: steps_before,
        }
    }

    /// Adds the loss of a step. If a check is due, returns the first bad loss with its step, from
    /// 0.
    pub(super) fn see(&mut self, loss: Tensor) -> Option<(usize, f64)> {
        self.losses.push(loss);
        if self.losses.len() < self.every {
            return None;
        }
        self.look()
    }

    /// Checks the remaining losses. Returns the first bad loss with its step, from 0.
    pub(super) fn look(&mut self) -> Option<(usize, f64)> {
        let losses = std::mem::take(&mut self.losses);
        let first = self.checked;
        self.checked += losses.len();
        if losses.is_empty() || Tensor::stack(&losses, 0).isfinite().all().int64_value(&[]) == 1 {
            return None;
        }
        let values = losses.iter().map(|loss| loss.double_value(&[]));
        (first..).zip(values).find(|(_, loss)| !loss.is_finite())
    }
}
