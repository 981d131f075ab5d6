//! A loss that is no number any more, found without making the device wait.

use std::fmt;

use tch::{Device, Tensor};

/// A loss, or a weight, became NaN or infinite.
#[derive(Debug, Clone, PartialEq)]
pub struct Explosion {
    /// "training loss", "validation loss" or "weights".
    pub which: &'static str,
    /// NaN or infinite.
    pub loss: f64,
    /// From 1.
    pub epoch: usize,
    /// The step of the epoch, from 1; for a validation loss the one before it.
    pub step: usize,
    /// At that step.
    pub learning_rate: f64,
    /// The clips of that step's batch.
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
        let place = if *which == "training loss" {
            "at"
        } else {
            "after"
        };
        write!(
            f,
            "the {which} became {loss} {place} step {step} of epoch {epoch}, at a learning rate \
             of {learning_rate:.3e}. What was saved before is kept, but the same settings would lead \
             here again: start a new run with a smaller --learning-rate"
        )?;
        if !clips.is_empty() {
            write!(
                f,
                ", and look at the clips of that step: {}",
                clips.join(", ")
            )?;
        }
        Ok(())
    }
}

/// Looks at the losses of the steps. To read a number from a GPU is to wait for it, so there they
/// are looked at many at a time.
pub(super) struct Watch {
    every: usize,
    losses: Vec<Tensor>,
    /// Steps before the first of `losses`.
    seen: usize,
}

impl Watch {
    pub(super) fn new(device: Device, steps_before: usize) -> Self {
        Watch {
            every: if device == Device::Cpu { 1 } else { 50 },
            losses: Vec::new(),
            seen: steps_before,
        }
    }

    /// Takes the loss of a step; gives the first bad one (its step, from 0) if it is time to look.
    pub(super) fn see(&mut self, loss: Tensor) -> Option<(usize, f64)> {
        self.losses.push(loss);
        if self.losses.len() < self.every {
            return None;
        }
        self.look()
    }

    /// Gives the first bad loss of those not looked at yet.
    pub(super) fn look(&mut self) -> Option<(usize, f64)> {
        let losses = std::mem::take(&mut self.losses);
        let first = self.seen;
        self.seen += losses.len();
        if losses.is_empty() || Tensor::stack(&losses, 0).isfinite().all().int64_value(&[]) == 1 {
            return None;
        }
        let values = losses.iter().map(|loss| loss.double_value(&[]));
        (first..).zip(values).find(|(_, loss)| !loss.is_finite())
    }
}
