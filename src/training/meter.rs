//! Loss and correct predictions of an epoch, summed over its steps.

use std::time::Instant;

use anyhow::Result;
use tch::{Kind, Tensor};

use super::epoch::RankBatch;
use super::fit::Setup;
use super::progress::PartialEpoch;
use crate::distributed::ProcessGroup;

/// Sums of this process. They stay on the device until they are requested, so that a step does not
/// wait for the device.
pub(super) struct Meter {
    loss_sum: Tensor,
    hits: Tensor,
    seconds_before: f64,
    started: Instant,
}

impl Meter {
    /// Continues the sums of an incomplete epoch. The main process holds the sums of all processes.
    pub fn resume(before: &PartialEpoch, setup: &Setup) -> Meter {
        let device = setup.model.device();
        let sums = if setup.group.is_main() {
            before.clone()
        } else {
            PartialEpoch::default()
        };
        Meter {
            loss_sum: Tensor::from(sums.loss_sum).to_device(device),
            hits: Tensor::from(sums.hits).to_device(device),
            seconds_before: before.seconds,
            started: Instant::now(),
        }
    }

    /// Adds a step. `loss` is this process's term of the mean over the whole batch; `logits` are
    /// `[networks, batch, classes]`.
    pub fn add(&mut self, loss: &Tensor, logits: &Tensor, batch: &RankBatch) {
        self.loss_sum += loss.detach() * batch.global_size as f64;
        if batch.local_size > 0 {
            let correct = logits.argmax(-1, false).eq_tensor(&batch.labels);
            self.hits += correct.sum(Kind::Int64);
        }
    }

    /// The sums of all processes after `steps` steps.
    ///
    /// # Errors
    /// If the communication between processes fails.
    pub fn sums(&self, steps: usize, group: &ProcessGroup) -> Result<PartialEpoch> {
        let mut sums =
            Tensor::from_slice(&[self.loss_sum.double_value(&[]), self.hits.double_value(&[])]);
        group.sum(&mut sums)?;
        Ok(PartialEpoch {
            steps,
            loss_sum: sums.double_value(&[0]),
            hits: sums.double_value(&[1]) as i64,
            seconds: self.seconds(),
        })
    }

    /// Time spent on the epoch, in seconds.
    pub fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }
}
