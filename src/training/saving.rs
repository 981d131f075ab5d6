//! Checkpoints of a training: within an epoch at once, after an epoch in a separate thread while
//! the next epoch is trained. On a GPU, epochs that end soon after a checkpoint are saved together.

use std::panic;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use tch::{Device, Tensor};

use super::Event;
use super::checkpoint::{self, TrainState, Weights, in_main_memory};
use super::fit::Setup;
use crate::evaluation::EpochMetrics;
use crate::io::write_bytes;
use crate::model;
use crate::run::{RunFolder, write_metrics};

/// Least time between two checkpoints after epochs on a GPU, where an epoch can be shorter than the
/// time that a disk needs.
const GPU_INTERVAL: Duration = Duration::from_secs(1);

/// The files of a training in its run folder. Only the main process writes them.
pub(super) struct Checkpoints<'a> {
    setup: &'a Setup<'a>,
    run: &'a RunFolder,
    /// Least time between the starts of two checkpoints after epochs; 0 saves every epoch.
    interval: Duration,
    /// Start of the last checkpoint after an epoch.
    last_start: Option<Instant>,
    /// The state after an epoch that is not written yet.
    waiting: Option<Snapshot>,
    pending: Option<AsyncCheckpoint>,
}

/// The state after an epoch, in main memory.
struct Snapshot {
    /// The tensors of `last.ot`.
    state: Weights,
    /// The tensors of `best.ot`, if it changes.
    selected: Option<Weights>,
    /// The rows of `metrics.csv`.
    epochs: Vec<EpochMetrics>,
    /// The epochs since the snapshot before.
    completed: Vec<Completed>,
}

/// An epoch that `monitor` gets when it is saved.
struct Completed {
    record: EpochMetrics,
    /// True if the epoch had the best validation UAR so far.
    best: bool,
}

/// A checkpoint that a thread is writing.
struct AsyncCheckpoint {
    completed: Vec<Completed>,
    thread: JoinHandle<Result<()>>,
}

impl Snapshot {
    fn write(&self, run: &RunFolder) -> Result<()> {
        checkpoint::write(run, &self.state)?;
        write_metrics(&run.metrics_csv(), &self.epochs)?;
        match &self.selected {
            Some(weights) => write_bytes(&run.best_ot(), &model::encode(weights)?),
            None => Ok(()),
        }
    }
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
            interval: match setup.model.device() {
                Device::Cpu => Duration::ZERO,
                _ => GPU_INTERVAL,
            },
            last_start: None,
            waiting: None,
            pending: None,
        })
    }

    /// Saves a training within an epoch.
    ///
    /// # Errors
    /// If this checkpoint or an earlier one cannot be written.
    pub fn save_partial_epoch(
        &mut self,
        state: &TrainState,
        monitor: &mut dyn FnMut(Event),
    ) -> Result<()> {
        self.finish(monitor)?;
        if self.setup.group.is_main() {
            checkpoint::write(self.run, &state.snapshot(self.setup.model)?)?;
        }
        Ok(())
    }

    /// Copies the epoch that `state` has completed last, and begins to save it if the time has
    /// come. `monitor` gets the epoch when it is saved.
    ///
    /// # Errors
    /// If an earlier checkpoint cannot be written.
    pub fn save_epoch(&mut self, state: &TrainState, monitor: &mut dyn FnMut(Event)) -> Result<()> {
        if self.interval.is_zero() {
            self.finish(monitor)?;
        }
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
        let mut selected = None;
        if is(state.progress.selected(config)) {
            let mut weights = vec![model::metadata(model)?];
            weights.extend(in_main_memory(copied(&state.selected)));
            selected = Some(weights);
        }
        let mut snapshot = Snapshot {
            state: state.snapshot(model)?,
            selected,
            epochs: state.progress.epochs.clone(),
            completed: Vec::new(),
        };
        // The new state replaces one that was not written.
        if let Some(before) = self.waiting.take() {
            snapshot.selected = snapshot.selected.or(before.selected);
            snapshot.completed = before.completed;
        }
        snapshot.completed.push(Completed { record, best });
        self.waiting = Some(snapshot);
        self.poll(monitor)
    }

    /// Reports epochs that are saved, and begins to save those that wait if the time has come. Does
    /// not wait.
    ///
    /// # Errors
    /// If a checkpoint could not be written.
    pub fn poll(&mut self, monitor: &mut dyn FnMut(Event)) -> Result<()> {
        if let Some(pending) = self.pending.take_if(|pending| pending.thread.is_finished()) {
            pending.join(monitor)?;
        }
        let is_due = self
            .last_start
            .is_none_or(|start| start.elapsed() >= self.interval);
        if self.pending.is_none() && is_due {
            self.start();
        }
        Ok(())
    }

    /// Begins to save the epochs that wait.
    fn start(&mut self) {
        if let Some(mut snapshot) = self.waiting.take() {
            let (run, completed) = (self.run.clone(), std::mem::take(&mut snapshot.completed));
            self.last_start = Some(Instant::now());
            self.pending = Some(AsyncCheckpoint {
                completed,
                thread: thread::spawn(move || snapshot.write(&run)),
            });
        }
    }

    /// Waits until all completed epochs are saved, and reports them to `monitor`.
    ///
    /// # Errors
    /// If a checkpoint cannot be written.
    pub fn finish(&mut self, monitor: &mut dyn FnMut(Event)) -> Result<()> {
        while self.pending.is_some() || self.waiting.is_some() {
            if let Some(pending) = self.pending.take() {
                pending.join(monitor)?;
            }
            self.start();
        }
        Ok(())
    }
}

impl AsyncCheckpoint {
    /// Waits until the epochs are saved, and reports them.
    fn join(self, monitor: &mut dyn FnMut(Event)) -> Result<()> {
        match self.thread.join() {
            Ok(saved) => saved?,
            Err(panicked) => panic::resume_unwind(panicked),
        }
        for Completed { record, best } in &self.completed {
            let best = *best;
            monitor(Event::Epoch { record, best });
        }
        Ok(())
    }
}

impl Drop for Checkpoints<'_> {
    /// Saves the completed epochs after a panic in the training.
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            let _ = pending.thread.join();
        }
        if let Some(waiting) = self.waiting.take() {
            let _ = waiting.write(self.run);
        }
    }
}

/// The same tensors.
fn copied(weights: &Weights) -> Weights {
    let same = |(name, tensor): &(String, Tensor)| (name.clone(), tensor.shallow_clone());
    weights.iter().map(same).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::panic::AssertUnwindSafe;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::config::{Arch, RunConfig};
    use crate::distributed::ProcessGroup;
    use crate::run::read_metrics;
    use crate::training::control::Control;
    use crate::training::fit::fit;
    use crate::training::fixture;

    /// Trains for six epochs of two steps.
    fn train(run: &RunFolder, interval: Duration, monitor: &mut dyn FnMut(Event)) {
        let mut training = RunConfig::recipe(Arch::MeanLstm).training;
        (training.epochs, training.batch_size) = (6, 4);
        let model = fixture::model(Arch::MeanLstm);
        let data = fixture::data(8, 4, &model);
        let group = ProcessGroup::single();
        let mut state = TrainState::load(run, &model, &training, &group).unwrap();
        let setup = Setup {
            model: &model,
            data: &data,
            config: &training,
            group: &group,
        };
        let stop = AtomicBool::new(false);
        let mut control = Control::new(&stop, &group);
        let mut checkpoints = Checkpoints::begin(&setup, run, &state).unwrap();
        checkpoints.interval = interval;
        fit(&setup, &mut state, &mut control, &mut checkpoints, monitor).unwrap();
        checkpoints.finish(monitor).unwrap();
    }

    /// The files of a training, without the durations.
    fn files(run: &RunFolder) -> (Vec<u8>, String, Vec<EpochMetrics>) {
        let mut last = model::read_tensors(&run.last_ot(), Device::Cpu).unwrap();
        last.remove("training.epochs");
        let mut metrics = read_metrics(&run.metrics_csv()).unwrap();
        metrics.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
        let last = last.iter().map(|(name, x)| (name, x.flatten(0, -1)));
        let last: Vec<_> = last
            .map(|(name, x)| (name, Vec::<f64>::try_from(x).unwrap()))
            .collect();
        let best = fs::read(run.best_ot()).unwrap();
        (best, format!("{last:?}"), metrics)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn epochs_that_are_saved_together_leave_the_same_files() {
        let runs = tempfile::tempdir().unwrap();
        // After an hour, only the first epoch is saved before the end.
        let trained = [Duration::ZERO, HOUR].map(|interval| {
            let name = interval.as_secs().to_string();
            let (run, _lock) = RunFolder::create(runs.path(), &name, |_| Ok(())).unwrap();
            let mut epochs = Vec::new();
            train(&run, interval, &mut |event| {
                if let Event::Epoch { record, best } = event {
                    epochs.push((record.epoch, best));
                }
            });
            assert_eq!(epochs.len(), 6);
            (epochs, files(&run))
        });
        assert!(trained[0] == trained[1]);
    }

    #[test]
    fn a_panic_in_the_training_loses_no_completed_epoch() {
        let runs = tempfile::tempdir().unwrap();
        let (run, _lock) = RunFolder::create(runs.path(), "run", |_| Ok(())).unwrap();
        let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
            train(&run, HOUR, &mut |event| {
                if matches!(event, Event::Step { epoch: 4, .. }) {
                    panic!("CUDA error: unspecified launch failure");
                }
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(read_metrics(&run.metrics_csv()).unwrap().len(), 3);
        train(&run, HOUR, &mut |_| ());
        let (whole, _lock) = RunFolder::create(runs.path(), "whole", |_| Ok(())).unwrap();
        train(&whole, HOUR, &mut |_| ());
        assert!(files(&run) == files(&whole));
    }
}
