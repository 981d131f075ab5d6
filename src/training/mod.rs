//! The loop, and what only the loop needs: order and augmentation, loss, optimizer, schedule,
//! checkpoint.

mod augment;
mod balance;
mod checkpoint;
mod config;
mod explosion;
#[allow(unsafe_code)] // calls C++; see there
mod fused;
mod gather;
mod loss;
mod optimizer;
mod progress;
mod random;
mod saving;
mod schedule;
mod spectrum;
mod step;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Tensor};

pub use balance::Balance;
pub use checkpoint::saved_progress;
pub use config::{AugmentationConfig, Keep, Schedule, TrainingConfig};
pub use explosion::Explosion;
pub use optimizer::AdamW;
pub use progress::{PartialEpoch, Progress};
pub use spectrum::Spectrum;

use crate::dataset::{PartTensors, Plan, PlannedClip};
use crate::distributed::{Ranks, share};
use crate::evaluation::Predictions;
use crate::inference;
use crate::model::{self, EmotionModel, ModelConfig};
use crate::run::{EpochRecord, RunFolder, write_bytes, write_metrics};
use checkpoint::Weights;
use explosion::Watch;
use random::Purpose;
use saving::Saving;
use step::{Share, Wishes};

/// What is trained on and chosen by. The test part is not here: it is scored once, elsewhere.
#[derive(Debug)]
pub struct Data {
    /// What the weights are fitted to.
    pub train: PartTensors,
    /// What its clips are called.
    pub train_names: Vec<String>,
    /// What each of them shares its part of an epoch with, where [`TrainingConfig::balance`] asks for it.
    pub groups: Vec<(usize, usize)>,
    /// What every epoch is judged by.
    pub validation: PartTensors,
    /// Present where the augmentation varies the spectrum.
    pub spectrum: Option<Spectrum>,
}

/// What a training tells while it goes on.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "epochs and steps count from 1")]
pub enum Event<'a> {
    /// A step was handed to the device.
    Step {
        epoch: usize,
        step: usize,
        steps: usize,
    },
    /// An epoch is over and saved; the first steps of the next one may have been told of before.
    Epoch { record: &'a EpochRecord, best: bool },
    /// No epoch of the last `early_stopping` ones was the best so far, so this was the last.
    StoppedEarly { epoch: usize },
}

/// A model with fresh weights, drawn by the training's seed.
pub fn fresh_model(
    config: &ModelConfig,
    seed: u64,
    coefficients: usize,
    classes: &[String],
    device: Device,
) -> EmotionModel {
    random::seed_libtorch(seed, Purpose::Weights, 0, 0);
    EmotionModel::new(config, coefficients, classes, device)
}

/// An epoch that takes longer than this is saved while it goes on.
const SAVE_EVERY: Duration = Duration::from_secs(300);

/// Trains from where the run's `last.ot` left off, or from the start where there is none. After
/// every epoch `last.ot`, `metrics.csv` and `best.ot` are written to the run folder while the next one
/// goes on.
///
/// Once `stop` is true the step that it is in is finished and saved, and that is all: whether the
/// training [is over](Progress::is_over) tells what happened.
///
/// One training at a time in a process: libtorch's random generator is one for all threads, so two
/// would take numbers from each other and neither could be made again.
pub fn train(
    model: &EmotionModel,
    data: &Data,
    config: &TrainingConfig,
    run: &RunFolder,
    stop: &AtomicBool,
    tell: impl FnMut(Event),
) -> Result<Progress> {
    train_by(&Ranks::alone(), model, data, config, run, stop, tell)
}

/// The same by several processes, each of which calls this with the same data: in every step each trains on
/// its share of the batch, and all take the step of the whole batch. Only the first one reads and writes
/// the run folder. They need not be as many as before when a training goes on.
pub fn train_by(
    ranks: &Ranks,
    model: &EmotionModel,
    data: &Data,
    config: &TrainingConfig,
    run: &RunFolder,
    stop: &AtomicBool,
    mut tell: impl FnMut(Event),
) -> Result<Progress> {
    let mut optimizer = AdamW::new(model.parameters(), config);
    let fitted = model.normalisation().copy();
    let (progress, kept) = checkpoint::load(run, model, &mut optimizer, ranks)?;
    ensure!(
        model.normalisation().is_like(&fitted),
        "these are not the recordings that {} was begun with: their MFCCs differ",
        run.name()
    );
    ensure!(
        config.balance == Balance::None || data.groups.len() == data.train.clips(),
        "to balance by {}, each clip must say what it belongs to",
        config.balance
    );
    let class_weights = config.class_weights.then(|| {
        let weights = loss::balanced_weights(&data.train.labels(), model.classes().len());
        Tensor::from_slice(&weights).to_device(model.device())
    });
    let mut training = Training {
        model,
        data,
        config,
        run,
        stop,
        class_weights,
        optimizer,
        progress,
        kept,
        saving: None,
        ranks,
        stopped: false,
    };
    training.write_views()?;
    let trained = training.epochs(&mut tell);
    // Whatever ended it: what was being saved counts.
    let saved = training.saved(&mut tell);
    trained.and(saved)?;
    if training.progress.is_stopped_early(config) {
        tell(Event::StoppedEarly {
            epoch: training.progress.epochs.len(),
        });
    }
    Ok(training.progress)
}

/// A training as it goes on.
struct Training<'a> {
    model: &'a EmotionModel,
    data: &'a Data,
    config: &'a TrainingConfig,
    run: &'a RunFolder,
    stop: &'a AtomicBool,
    class_weights: Option<Tensor>,
    optimizer: AdamW,
    progress: Progress,
    /// The weights of the epoch that counts so far.
    kept: Weights,
    /// The epoch that is on its way to the disk.
    saving: Option<Saving>,
    ranks: &'a Ranks,
    /// True once all processes have agreed to stop.
    stopped: bool,
}

/// What an epoch came to, over its steps.
struct Trained {
    loss: f64,
    accuracy: f64,
    learning_rate: f64,
    steps: usize,
}

impl Training<'_> {
    fn epochs(&mut self, tell: &mut impl FnMut(Event)) -> Result<()> {
        while !self.progress.is_over(self.config) && !self.is_stopped() {
            self.epoch(tell)?;
        }
        Ok(())
    }

    /// Several processes hear of a wish to stop at different times, and agree on it in a step.
    fn is_stopped(&self) -> bool {
        match self.ranks.are_several() {
            true => self.stopped,
            false => self.asked_to_stop(),
        }
    }

    /// Trains an epoch, or what is left of one, and begins to save it.
    fn epoch(&mut self, tell: &mut impl FnMut(Event)) -> Result<()> {
        let epoch = self.progress.epochs.len() + 1;
        let started = Instant::now();
        let seconds_before = self.progress.partial.seconds;
        let Some(trained) = self.steps(epoch, tell)? else {
            return Ok(());
        };
        let validation = &self.data.validation;
        let (predictions, validation_loss) =
            score_by(self.ranks, self.model, validation, self.config.batch_size)?;
        if !validation_loss.is_finite() {
            bail!(Explosion {
                which: "validation loss",
                loss: validation_loss,
                epoch,
                step: trained.steps,
                learning_rate: trained.learning_rate,
                clips: Vec::new(),
            });
        }
        let metrics = predictions.metrics();
        let record = EpochRecord {
            epoch,
            train_loss: trained.loss,
            train_accuracy: trained.accuracy,
            validation_loss,
            validation_accuracy: metrics.accuracy,
            validation_uar: metrics.uar,
            learning_rate: trained.learning_rate,
            seconds: seconds_before + started.elapsed().as_secs_f64(),
        };
        self.progress.epochs.push(record.clone());
        self.progress.partial = PartialEpoch::default();
        let best = self.progress.best().map(|best| best.epoch) == Some(epoch);
        let kept = self.progress.kept(self.config).map(|kept| kept.epoch) == Some(epoch);
        if kept {
            self.kept = checkpoint::copy_of(self.model);
        }
        self.saved(tell)?;
        if !self.ranks.is_first() {
            let record = &record;
            tell(Event::Epoch { record, best });
            return Ok(());
        }
        let (run, epochs) = (self.run.clone(), self.progress.epochs.clone());
        let checkpoint = self.checkpoint()?;
        let weights = kept
            .then(|| model::encode_weights(self.model, &self.kept))
            .transpose()?;
        self.saving = Some(Saving::begin(record, best, move || {
            checkpoint::write(&run, &checkpoint)?;
            write_metrics(&run.metrics_csv(), &epochs)?;
            match weights {
                Some(weights) => write_bytes(&run.best_ot(), &weights),
                None => Ok(()),
            }
        }));
        Ok(())
    }

    /// Waits until nothing is being saved any more, and tells of the epoch that was.
    fn saved(&mut self, tell: &mut impl FnMut(Event)) -> Result<()> {
        if let Some(saving) = self.saving.take() {
            let (record, best) = saving.wait()?;
            let record = &record;
            tell(Event::Epoch { record, best });
        }
        Ok(())
    }

    /// The steps of an epoch that are left. `None` where it was asked to stop; what is done is
    /// saved then.
    fn steps(&mut self, epoch: usize, tell: &mut impl FnMut(Event)) -> Result<Option<Trained>> {
        let Training {
            data,
            config,
            ranks,
            ..
        } = *self;
        let clips = data.train.clips() as f64;
        let order = self.order(epoch);
        let plan = match ranks.are_several() {
            true => {
                let own = |clips| share(clips, ranks.rank(), ranks.size());
                Plan::shared(&data.train, order, config.batch_size, ranks.size(), own)
            }
            false => Plan::new(&data.train, order, config.batch_size),
        };
        let steps = plan.batches();
        let whole = |step: usize| {
            let left = data.train.clips() - step * config.batch_size;
            left.min(config.batch_size)
        };
        let learning_rate = |step: usize| {
            let done = (epoch - 1) * steps + step;
            let schedule = config.schedule;
            schedule.learning_rate(config.learning_rate, done, config.epochs * steps)
        };
        let explosion = |(step, loss): (usize, f64)| Explosion {
            which: "training loss",
            loss,
            epoch,
            step: step + 1,
            learning_rate: learning_rate(step),
            clips: plan
                .clips(step)
                .map(|clip| data.train_names[clip].clone())
                .collect(),
        };

        // Both sums stay on the device until the epoch is over.
        let device = self.model.device();
        let before = self.progress.partial.clone();
        let begun = match ranks.is_first() {
            true => before.clone(),
            false => PartialEpoch::default(),
        };
        let mut loss_sum = Tensor::from(begun.loss_sum).to_device(device);
        let mut hits = Tensor::from(begun.hits).to_device(device);
        let mut watch = Watch::new(device, before.steps);
        let started = Instant::now();
        let mut saved = started;
        for step in before.steps..steps {
            random::seed_libtorch_for(config.seed, epoch, step, ranks.rank());
            let wishes = Wishes {
                stop: self.asked_to_stop(),
                save: saved.elapsed() > SAVE_EVERY,
            };
            let own = (plan.size(step) > 0)
                .then(|| plan.batch(step))
                .transpose()?;
            let batch = Share {
                own: own.as_ref(),
                whole: whole(step),
            };
            let (loss, hit, agreed) = self.step(&batch, learning_rate(step), wishes)?;
            if let Some(bad) = watch.see(loss.shallow_clone()) {
                bail!(explosion(bad));
            }
            loss_sum += loss * batch.whole as f64;
            hits += hit;
            tell(Event::Step {
                epoch,
                step: step + 1,
                steps,
            });

            if self.saving.as_ref().is_some_and(Saving::is_over) {
                self.saved(tell)?;
            }
            let Wishes { stop, save } = match ranks.are_several() {
                true => agreed,
                false => Wishes {
                    stop: self.asked_to_stop(),
                    save: saved.elapsed() > SAVE_EVERY,
                },
            };
            self.stopped = stop;
            if stop || save {
                if let Some(bad) = watch.look() {
                    bail!(explosion(bad));
                }
                // A gradient may be no number though the loss was one.
                if !self.weights_are_numbers() {
                    let mut explosion = explosion((step, f64::NAN));
                    explosion.which = "weights";
                    bail!(explosion);
                }
                let (loss_sum, hits) = self.over_all(&loss_sum, &hits)?;
                self.progress.partial = PartialEpoch {
                    steps: step + 1,
                    loss_sum,
                    hits,
                    seconds: before.seconds + started.elapsed().as_secs_f64(),
                };
                self.saved(tell)?;
                if ranks.is_first() {
                    checkpoint::write(self.run, &self.checkpoint()?)?;
                }
                saved = Instant::now();
            }
            if stop {
                return Ok(None);
            }
        }
        if let Some(bad) = watch.look() {
            bail!(explosion(bad));
        }
        let (loss_sum, hits) = self.over_all(&loss_sum, &hits)?;
        Ok(Some(Trained {
            loss: loss_sum / clips,
            accuracy: hits as f64 / (clips * self.model.members() as f64),
            learning_rate: learning_rate(steps.saturating_sub(1)),
            steps,
        }))
    }

    /// The clips of an epoch in the order in which they come.
    fn order(&self, epoch: usize) -> Vec<PlannedClip> {
        let Training { data, config, .. } = *self;
        let generator = |purpose| random::generator(config.seed, purpose, epoch);
        let lengths = data.train.lengths();
        if config.balance == Balance::None {
            return augment::plan_epoch(lengths, config, &mut generator(Purpose::Order));
        }
        let drawn = balance::draw(&data.groups, &mut generator(Purpose::Draw));
        let lengths: Vec<i64> = drawn.iter().map(|&clip| lengths[clip]).collect();
        let mut order = augment::plan_epoch(&lengths, config, &mut generator(Purpose::Order));
        for planned in &mut order {
            planned.clip = drawn[planned.clip];
        }
        order
    }

    /// Sums of all processes.
    fn over_all(&self, loss_sum: &Tensor, hits: &Tensor) -> Result<(f64, i64)> {
        if !self.ranks.are_several() {
            return Ok((loss_sum.double_value(&[]), hits.int64_value(&[])));
        }
        let mut both = Tensor::from_slice(&[loss_sum.double_value(&[]), hits.double_value(&[])]);
        self.ranks.sum(&mut both)?;
        Ok((both.double_value(&[0]), both.double_value(&[1]) as i64))
    }

    fn weights_are_numbers(&self) -> bool {
        let weights = self.model.parameters();
        weights
            .iter()
            .all(|(_, weight)| weight.isfinite().all().int64_value(&[]) == 1)
    }

    fn asked_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What was done counts once these bytes are on the disk. All else in the run folder can be made
    /// again from them.
    fn checkpoint(&self) -> Result<Vec<u8>> {
        checkpoint::encode_state(self.model, &self.optimizer, &self.progress, &self.kept)
    }

    /// Writes `metrics.csv` and `best.ot` as the checkpoint has them: a process that was killed may
    /// have left older ones.
    fn write_views(&self) -> Result<()> {
        if !self.ranks.is_first() {
            return Ok(());
        }
        write_metrics(&self.run.metrics_csv(), &self.progress.epochs)?;
        if self.kept.is_empty() {
            return Ok(());
        }
        model::save_weights(self.model, &self.kept, &self.run.best_ot())
    }
}

/// What the model says of a part, of each clip as it is, and its mean cross-entropy per clip.
pub fn score(
    model: &EmotionModel,
    part: &PartTensors,
    batch_size: usize,
) -> Result<(Predictions, f64)> {
    score_by(&Ranks::alone(), model, part, batch_size)
}

/// The same by several processes, which share the work and all know what came of it.
fn score_by(
    ranks: &Ranks,
    model: &EmotionModel,
    part: &PartTensors,
    batch_size: usize,
) -> Result<(Predictions, f64)> {
    let log_probabilities = inference::log_probabilities_by(ranks, model, part, None, batch_size)?;
    let truth = part.recording_labels();
    let loss: f64 = log_probabilities
        .iter()
        .zip(&truth)
        .map(|(row, &class)| -f64::from(row[class]))
        .sum::<f64>()
        / truth.len().max(1) as f64;
    let predictions = Predictions {
        classes: model.classes().to_vec(),
        probabilities: inference::exponentials(log_probabilities),
        truth,
    };
    Ok((predictions, loss))
}

/// The weights that count, put back into the model.
pub fn load_kept(model: &EmotionModel, run: &RunFolder) -> Result<()> {
    model::load_weights(model, &run.best_ot()).context("the weights cannot be read back")
}
