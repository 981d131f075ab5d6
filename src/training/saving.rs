//! Checkpoints of a training: within an epoch at once, after an epoch in a separate thread while
//! the next epoch is trained.

use std::panic;
use std::thread::{self, JoinHandle};

use anyhow::Result;

use super::Event;
use super::checkpoint::{self, TrainState};
use super::fit::Setup;
use crate::evaluation::EpochMetrics;
use crate::io::write_bytes;
use crate::model;
use crate::run::{RunFolder, write_metrics};

/// The files of a training in its run folder. Only the main process writes them.
pub(super) struct Checkpoints<'a> {
    setup: &'a Setup<'a>,
    run: &'a RunFolder,
    pending: Option<AsyncCheckpoint>,
}

/// A checkpoint that a thread is writing.
struct AsyncCheckpoint {
    /// Metrics of the saved epoch.
    record: EpochMetrics,
    /// True if the epoch has the best validation UAR so far.
    best: bool,
    thread: JoinHandle<Result<()>>,
}

impl<'a> Checkpoints<'a> {
    /// Writes `metrics.csv` and `best.ot` as `state` has them: a process that was killed may have
    /// left older ones.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn begin(
        setup: &'a Setup<'a>,
        run: &'a RunFolder,
        state: &TrainState,
    ) -> Result<Checkpoints<'a>> {
        if setup.group.is_main() {
            write_metrics(&run.metrics_csv(), &state.progress.epochs)?;
            if !state.selected.is_empty() {
                model::save_weights(setup.model, &state.selected, &run.best_ot())?;
            }
        }
        Ok(Checkpoints {
            setup,
            run,
            pending: None,
        })
    }

    /// Saves a training within an epoch.
    ///
    /// # Errors
    /// If this checkpoint or the pending one cannot be written.
    pub fn save_partial_epoch(
        &mut self,
        state: &TrainState,
        monitor: &mut dyn FnMut(Event),
    ) -> Result<()> {
        self.finish(monitor)?;
        if self.setup.group.is_main() {
            checkpoint::write(self.run, &state.encode(self.setup.model)?)?;
        }
        Ok(())
    }

    /// Begins to save the epoch that `state` has completed last. `monitor` gets the epoch when it
    /// is saved.
    ///
    /// # Errors
    /// If the pending checkpoint cannot be written.
    pub fn save_epoch(&mut self, state: &TrainState, monitor: &mut dyn FnMut(Event)) -> Result<()> {
        self.finish(monitor)?;
        let Some(record) = state.progress.epochs.last().cloned() else {
            return Ok(());
        };
        let Setup { model, config, .. } = *self.setup;
        let is = |epoch: Option<&EpochMetrics>| epoch.map(|e| e.epoch) == Some(record.epoch);
        let best = is(state.progress.best());
        if !self.setup.group.is_main() {
            monitor(Event::Epoch {
                record: &record,
                best,
            });
            return Ok(());
        }
        let selected = is(state.progress.selected(config))
            .then(|| model::encode_weights(model, &state.selected))
            .transpose()?;
        let (run, epochs) = (self.run.clone(), state.progress.epochs.clone());
        let bytes = state.encode(model)?;
        let write = move || {
            checkpoint::write(&run, &bytes)?;
            write_metrics(&run.metrics_csv(), &epochs)?;
            match selected {
                Some(weights) => write_bytes(&run.best_ot(), &weights),
                None => Ok(()),
            }
        };
        self.pending = Some(AsyncCheckpoint {
            record,
            best,
            thread: thread::spawn(write),
        });
        Ok(())
    }

    /// Reports the pending epoch to `monitor` if it is saved. Does not wait.
    ///
    /// # Errors
    /// If the pending checkpoint could not be written.
    pub fn poll(&mut self, monitor: &mut dyn FnMut(Event)) -> Result<()> {
        match &self.pending {
            Some(pending) if pending.thread.is_finished() => self.finish(monitor),
            _ => Ok(()),
        }
    }

    /// Waits until the pending epoch is saved, and reports it to `monitor`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(&mut self, monitor: &mut dyn FnMut(Event)) -> Result<()> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        match pending.thread.join() {
            Ok(saved) => saved?,
            Err(panicked) => panic::resume_unwind(panicked),
        }
        let (record, best) = (&pending.record, pending.best);
        monitor(Event::Epoch { record, best });
        Ok(())
    }
}
