//! What can be watched while a training goes on: curves.png, and TensorBoard's events.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::commands::warning;
use emovox::experiment::Experiment;
use emovox::report::write_curves;
use emovox::run::{EpochRecord, EventFile, RunFolder, read_metrics};
use emovox::training::Keep;

/// The curves are drawn again once this many times what that costs has gone by.
const PATIENCE: u32 = 20;

pub(super) struct Follower {
    run: RunFolder,
    keep: Keep,
    notes: Vec<String>,
    /// When the curves are drawn next.
    next_drawing: Instant,
    wants_events: bool,
    events: Option<EventFile>,
}

impl Follower {
    /// A run that was asked for events once goes on with them.
    pub(super) fn new(experiment: &Experiment, tensorboard: bool) -> Follower {
        let run = experiment.run.clone();
        Follower {
            keep: experiment.config.training.keep,
            notes: experiment.caveats.notes(),
            next_drawing: Instant::now(),
            wants_events: tensorboard || run.events().exists(),
            events: None,
            run,
        }
    }

    /// An epoch is over. A picture that cannot be drawn ends no training.
    pub(super) fn epoch(&mut self, record: &EpochRecord) {
        if let Err(error) = self.draw() {
            warning!("the curves are not drawn: {error:#}");
            self.next_drawing += Duration::from_secs(3600);
        }
        if self.wants_events
            && let Err(error) = self.tell(record)
        {
            warning!("no events for TensorBoard: {error:#}");
            self.wants_events = false;
        }
    }

    fn draw(&mut self) -> Result<()> {
        let started = Instant::now();
        if started >= self.next_drawing {
            let epochs = read_metrics(&self.run.metrics_csv())?;
            let kept = self.keep.of(&epochs);
            write_curves(&self.run, &epochs, kept, &self.notes)?;
            self.next_drawing = Instant::now() + PATIENCE * started.elapsed();
        }
        Ok(())
    }

    fn tell(&mut self, record: &EpochRecord) -> Result<()> {
        if let Some(events) = &mut self.events {
            return events.append(record);
        }
        // All epochs so far, this one among them.
        let epochs = read_metrics(&self.run.metrics_csv())?;
        self.events = Some(EventFile::begin(&self.run.events(), &epochs, &self.notes)?);
        Ok(())
    }
}
