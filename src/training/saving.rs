//! Checkpoints written by a separate thread while the next epoch is trained.

use std::panic;
use std::thread::{self, JoinHandle};

use anyhow::Result;

use crate::run::EpochRecord;

/// A checkpoint that is being written.
pub(super) struct Saving {
    /// Metrics of the saved epoch.
    pub record: EpochRecord,
    /// True if the epoch has the best validation UAR so far.
    pub best: bool,
    thread: JoinHandle<Result<()>>,
}

impl Saving {
    /// Starts to save an epoch. `write` owns its data, because the training continues meanwhile.
    pub fn begin(
        record: EpochRecord,
        best: bool,
        write: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Saving {
        Saving {
            record,
            best,
            thread: thread::spawn(write),
        }
    }

    /// True if [`Saving::wait`] returns at once.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the epoch is saved, and returns its record and `best`.
    ///
    /// # Errors
    /// The error of `write`.
    pub fn wait(self) -> Result<(EpochRecord, bool)> {
        match self.thread.join() {
            Ok(saved) => saved.map(|()| (self.record, self.best)),
            Err(panicked) => panic::resume_unwind(panicked),
        }
    }
}
