//! Requests to stop the training or to save it between two steps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tch::{Device, Tensor};

use super::all_reduce;
use crate::distributed::ProcessGroup;

/// Time between two checkpoints within an epoch.
const SAVE_EVERY: Duration = Duration::from_secs(300);

/// Actions after a step, requested by one process or agreed between all processes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StepControl {
    /// Stop the training.
    pub stop: bool,
    /// Save a checkpoint.
    pub save: bool,
}

/// The requests of this process, and the end of the training.
pub(super) struct Control<'a> {
    stop: &'a AtomicBool,
    /// True if other processes have to agree to a stop.
    needs_agreement: bool,
    last_save: Instant,
    stopped: bool,
    /// On a GPU, the requests of all processes in the last step.
    unread: Option<Tensor>,
}

impl<'a> Control<'a> {
    /// `stop` becomes true when the training should stop.
    pub fn new(stop: &'a AtomicBool, group: &ProcessGroup) -> Control<'a> {
        Control {
            stop,
            needs_agreement: group.is_distributed(),
            last_save: Instant::now(),
            stopped: false,
            unread: None,
        }
    }

    /// Sums the gradients of all processes, and returns the actions that they agree on. A GPU may
    /// still compute the step, so there the processes agree on the requests of the step before.
    ///
    /// # Errors
    /// If the communication between processes fails.
    pub fn agree(&mut self, group: &ProcessGroup, gradients: &mut [Tensor]) -> Result<StepControl> {
        let request = self.request();
        let Some(requests) = all_reduce::gradients(group, gradients, request)? else {
            return Ok(request);
        };
        let agreed = match requests.device() {
            Device::Cpu => Some(requests),
            _ => self.unread.replace(requests.copy()),
        };
        Ok(agreed.map_or_else(StepControl::default, |requests| {
            let requests = requests.to_device(Device::Cpu);
            StepControl {
                stop: requests.double_value(&[0]) > 0.0,
                save: requests.double_value(&[1]) > 0.0,
            }
        }))
    }

    /// The request of this process.
    pub fn request(&self) -> StepControl {
        StepControl {
            stop: self.stop.load(Ordering::Relaxed),
            save: self.last_save.elapsed() > SAVE_EVERY,
        }
    }

    /// Records a checkpoint, and whether the processes agreed to stop.
    pub fn saved(&mut self, agreed: StepControl) {
        self.last_save = Instant::now();
        // Another request to save is no longer needed, and a request to stop is repeated.
        self.unread = None;
        self.stopped |= agreed.stop;
    }

    /// True if no further epoch may begin. Several processes receive the request to stop at
    /// different times, so they stop only after a step in which all agreed.
    pub fn is_stopped(&self) -> bool {
        self.stopped || (!self.needs_agreement && self.request().stop)
    }
}
