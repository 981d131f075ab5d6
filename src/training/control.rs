//! Requests to stop the training or to save it between two steps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tch::Tensor;

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

/// Number of steps between two looks at the requests where NCCL sums them: a look waits for the GPU.
const STEPS_OF_A_GPU: usize = 50;

/// The requests of this process, and the end of the training.
pub(super) struct Control<'a> {
    stop: &'a AtomicBool,
    /// True if other processes have to agree to a stop.
    needs_agreement: bool,
    last_save: Instant,
    stopped: bool,
    /// The requests of all processes in the last step, if nobody has looked at them.
    unread: Option<Tensor>,
    /// Number of steps since the last look.
    steps: usize,
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
            steps: 0,
        }
    }

    /// Sums the gradients of all processes, and returns the actions that they agree on after this step.
    ///
    /// # Errors
    /// If the communication between processes fails.
    pub fn agree(&mut self, group: &ProcessGroup, gradients: &mut [Tensor]) -> Result<StepControl> {
        let request = self.request();
        match all_reduce::gradients(group, gradients, request)? {
            Some(requests) => Ok(self.look(requests, group.uses_nccl())),
            None => Ok(request),
        }
    }

    /// The actions that the sums of all requests (`[2]`) ask for. Every process looks after the same
    /// steps, also if some of them have no GPU: then it is Gloo that sums, and it has waited anyway.
    fn look(&mut self, requests: Tensor, is_on_gpus: bool) -> StepControl {
        self.steps += 1;
        if is_on_gpus && self.steps < STEPS_OF_A_GPU {
            // A request is repeated in each step, so only the last sum counts.
            self.unread = Some(requests.copy());
            return StepControl::default();
        }
        self.steps = 0;
        self.unread = None;
        StepControl {
            stop: requests.double_value(&[0]) > 0.0,
            save: requests.double_value(&[1]) > 0.0,
        }
    }

    /// The request of this process.
    pub fn request(&self) -> StepControl {
        StepControl {
            stop: self.stop.load(Ordering::Relaxed),
            save: self.last_save.elapsed() > SAVE_EVERY,
        }
    }

    /// Records a checkpoint within an epoch, and whether the processes agreed to stop.
    pub fn saved(&mut self, agreed: StepControl) {
        self.last_save = Instant::now();
        self.stopped |= agreed.stop;
    }

    /// Records the checkpoint at the end of an epoch, and a request to stop that nobody has looked at.
    pub fn saved_epoch(&mut self) {
        let unread = self.unread.take();
        let stop = unread.is_some_and(|requests| requests.double_value(&[0]) > 0.0);
        self.steps = 0;
        self.saved(StepControl { stop, save: false });
    }

    /// True if no further epoch may begin. Several processes receive the request to stop at
    /// different times, so they stop only after a step in which all agreed.
    pub fn is_stopped(&self) -> bool {
        self.stopped || (!self.needs_agreement && self.request().stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(stop: bool, save: bool) -> Tensor {
        Tensor::from_slice(&[f32::from(u8::from(stop)), f32::from(u8::from(save))])
    }

    #[test]
    fn main_memory_answers_in_the_same_step() {
        let stop = AtomicBool::new(false);
        let mut control = Control::new(&stop, &ProcessGroup::single());
        assert!(control.look(sums(true, false), false).stop);
        assert!(control.look(sums(false, true), false).save);
        let none = control.look(sums(false, false), false);
        assert!(!none.stop && !none.save);
    }

    #[test]
    fn gpus_answer_after_fifty_steps_or_at_the_end_of_the_epoch() {
        let stop = AtomicBool::new(false);
        let mut control = Control::new(&stop, &ProcessGroup::single());
        for step in 1..=2 * STEPS_OF_A_GPU {
            let agreed = control.look(sums(true, true), true);
            let is_due = step % STEPS_OF_A_GPU == 0;
            assert_eq!((agreed.stop, agreed.save), (is_due, is_due), "step {step}");
        }
        control.saved_epoch();
        assert!(!control.is_stopped(), "the last look was the last step");
        // An epoch of one step.
        assert!(!control.look(sums(true, false), true).stop);
        control.saved_epoch();
        assert!(control.is_stopped());
    }
}
