//! Output during a training: curves.png, and events for TensorBoard.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::commands::warning;
use emovox::evaluation::EpochMetrics;
use emovox::experiments::Experiment;
use emovox::reason::reason;
use emovox::report::write_curves;
use emovox::run::{EventFile, RunFolder, read_metrics};
use emovox::training::CheckpointSelection;

/// Pause between two drawings of the curves, as a multiple of the duration of a drawing.
const PAUSE: u32 = 60;

pub(super) struct TrainingMonitor {
    run: RunFolder,
    keep: CheckpointSelection,
    notes: Vec<String>,
    /// Time of the next drawing of the curves.
    next_drawing: Instant,
    writes_events: bool,
    events: Option<EventFile>,
}

impl TrainingMonitor {
    /// Writes events if `tensorboard` is true, or if the run already has an event file.
    pub(super) fn new(experiment: &Experiment, tensorboard: bool) -> TrainingMonitor {
        let run = experiment.run.clone();
        TrainingMonitor {
            keep: experiment.config.training.checkpoint_selection,
            notes: experiment.caveats.notes(),
            next_drawing: Instant::now(),
            writes_events: tensorboard || run.events().exists(),
            events: None,
            run,
        }
    }

    /// Updates curves and events after an epoch. A failure is only a warning, because it must not
    /// end the training.
    pub(super) fn epoch(&mut self, record: &EpochMetrics) {
        if let Err(error) = self.draw() {
            warning!("cannot draw the curves: {}", reason(&error));
            self.next_drawing += Duration::from_secs(3600);
        }
        if self.writes_events
            && let Err(error) = self.write_event(record)
        {
            warning!("cannot write events for TensorBoard: {}", reason(&error));
            self.writes_events = false;
        }
    }

    fn draw(&mut self) -> Result<()> {
        let started = Instant::now();
        if started >= self.next_drawing {
            let epochs = read_metrics(&self.run.metrics_csv())?;
            let kept = self.keep.of(&epochs);
            write_curves(&self.run, &epochs, kept, &self.notes)?;
            self.next_drawing = Instant::now() + PAUSE * started.elapsed();
        }
        Ok(())
    }

    fn write_event(&mut self, record: &EpochMetrics) -> Result<()> {
        if let Some(events) = &mut self.events {
            return events.append(record);
        }
        // All epochs so far, including this one. Later ones may have been saved with it.
        let mut epochs = read_metrics(&self.run.metrics_csv())?;
        epochs.retain(|epoch| epoch.epoch <= record.epoch);
        self.events = Some(EventFile::begin(&self.run.events(), &epochs, &self.notes)?);
        Ok(())
    }
}
