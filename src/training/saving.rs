//! Saving beside the training: the disk takes its time while the next epoch goes on.

use std::panic;
use std::thread::{self, JoinHandle};

use anyhow::Result;

use crate::run::EpochRecord;

/// An epoch that is on its way to the disk.
pub(super) struct Saving {
    pub record: EpochRecord,
    pub best: bool,
    thread: JoinHandle<Result<()>>,
}

impl Saving {
    /// Begins to save an epoch. What `write` needs it must own: the training goes on.
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

    /// Whether [`Saving::wait`] would return at once.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Returns once the epoch is saved, or with what kept it from being.
    pub fn wait(self) -> Result<(EpochRecord, bool)> {
        match self.thread.join() {
            Ok(saved) => saved.map(|()| (self.record, self.best)),
            Err(panicked) => panic::resume_unwind(panicked),
        }
    }
}
