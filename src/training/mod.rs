//! The loop, and what only the loop needs: order and augmentation, loss, optimizer, schedule,
//! checkpoint.

mod augment;
mod checkpoint;
mod config;
mod loss;
mod optimizer;
mod random;
mod schedule;
mod spectrum;

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tch::{Device, Kind, Tensor};

pub use checkpoint::Progress;
pub use config::{AugmentationConfig, Schedule, TrainingConfig};
pub use optimizer::AdamW;
pub use spectrum::Spectrum;

use crate::dataset::{PartTensors, Plan};
use crate::evaluation::Predictions;
use crate::inference;
use crate::model::{self, EmotionModel, ModelConfig};
use crate::run::{EpochRecord, Journal, RunFolder};
use random::Purpose;

/// What is trained on and chosen by. The test part is not here: it is scored once, elsewhere.
#[derive(Debug)]
pub struct Data {
    /// What the weights are fitted to.
    pub train: PartTensors,
    /// What the best epoch is chosen by.
    pub validation: PartTensors,
    /// Present where the augmentation varies the spectrum.
    pub spectrum: Option<Spectrum>,
    /// The labels in the order of the model's outputs.
    pub classes: Vec<String>,
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
    /// An epoch is over and saved.
    Epoch { record: &'a EpochRecord, best: bool },
    /// No epoch of the last `early_stopping` ones was the best so far, so this was the last.
    StoppedEarly { epoch: usize },
}

/// A model with fresh weights, drawn by the training's seed.
pub fn fresh_model(
    config: &ModelConfig,
    seed: u64,
    coefficients: usize,
    classes: usize,
    device: Device,
) -> EmotionModel {
    random::seed_libtorch(seed, Purpose::Weights, 0, 0);
    EmotionModel::new(config, coefficients, classes, device)
}

/// Trains from where the run's `last.ot` left off, or from the start where there is none, and
/// leaves `metrics.csv`, `last.ot` and `best.ot` in the run folder after every epoch.
///
/// One training at a time in a process: libtorch's random generator is one for all threads, so two
/// would take numbers from each other and neither could be made again.
pub fn train(
    model: &EmotionModel,
    data: &Data,
    config: &TrainingConfig,
    run: &RunFolder,
    mut tell: impl FnMut(Event),
) -> Result<Progress> {
    let mut optimizer = AdamW::new(model.parameters(), config);
    let mut progress = match run.last_ot().exists() {
        true => checkpoint::load(&run.last_ot(), model, &mut optimizer)?,
        false => {
            let epochs = Journal::read(&run.metrics_csv()).map_or(0, |epochs| epochs.len());
            // One line may stand there without a checkpoint: that of a first epoch cut short.
            ensure!(
                epochs <= 1,
                "{} is gone, though {epochs} epochs were trained; without it this run cannot go \
                 on, and it is left as it is",
                run.last_ot().display()
            );
            Progress::start()
        }
    };
    let journal = Journal::open(&run.metrics_csv(), progress.epoch)?;
    let class_weights = config.class_weights.then(|| {
        let weights = loss::balanced_weights(&data.train.labels(), data.classes.len());
        Tensor::from_slice(&weights).to_device(model.device())
    });

    while progress.epoch < config.epochs {
        if config.early_stopping > 0
            && progress.epoch - progress.best_epoch >= config.early_stopping
        {
            tell(Event::StoppedEarly {
                epoch: progress.epoch,
            });
            break;
        }
        let started = Instant::now();
        let epoch = progress.epoch + 1;
        let trained = train_epoch(
            model,
            &mut optimizer,
            data,
            config,
            class_weights.as_ref(),
            epoch,
            &mut tell,
        )?;
        let (validation, validation_loss) =
            score(model, &data.validation, &data.classes, config.batch_size)?;
        let metrics = validation.metrics();
        ensure!(
            validation_loss.is_finite(),
            exploded("validation", validation_loss, epoch)
        );

        let best = progress.improves(metrics.uar, validation_loss);
        if best {
            progress.best_epoch = epoch;
            progress.best_uar = metrics.uar;
            progress.best_loss = validation_loss;
        }
        progress.epoch = epoch;
        let record = EpochRecord {
            epoch,
            train_loss: trained.loss,
            train_accuracy: trained.accuracy,
            validation_loss,
            validation_accuracy: metrics.accuracy,
            validation_uar: metrics.uar,
            learning_rate: trained.learning_rate,
            seconds: started.elapsed().as_secs_f64(),
        };
        // `last.ot` comes last: an epoch counts once it is there. A stop before leaves a line or
        // weights too many, which the same epoch, trained again, writes again.
        journal.append(&record)?;
        if best {
            model::save_weights(model, &run.best_ot())?;
        }
        checkpoint::save(&run.last_ot(), model, &optimizer, &progress)?;
        tell(Event::Epoch {
            record: &record,
            best,
        });
    }
    Ok(progress)
}

/// What an epoch came to, over its steps.
struct Trained {
    loss: f64,
    accuracy: f64,
    learning_rate: f64,
}

fn train_epoch(
    model: &EmotionModel,
    optimizer: &mut AdamW,
    data: &Data,
    config: &TrainingConfig,
    class_weights: Option<&Tensor>,
    epoch: usize,
    tell: &mut impl FnMut(Event),
) -> Result<Trained> {
    let classes = data.classes.len() as i64;
    let clips = data.train.clips() as f64;
    let order = augment::plan_epoch(
        data.train.lengths(),
        config,
        &mut random::generator(config.seed, Purpose::Order, epoch),
    );
    let plan = Plan::new(&data.train, order, config.batch_size);
    let steps = plan.batches();

    // Both sums stay on the device until the epoch is over.
    let mut loss_sum = Tensor::zeros([], (Kind::Double, model.device()));
    let mut hits = Tensor::zeros([], (Kind::Int64, model.device()));
    let mut learning_rate = config.learning_rate;
    for step in 0..steps {
        random::seed_libtorch(config.seed, Purpose::Step, epoch, step);
        let done = (epoch - 1) * steps + step;
        learning_rate =
            config
                .schedule
                .learning_rate(config.learning_rate, done, config.epochs * steps);

        let batch = plan.batch(step);
        let augmented = augment::augment(
            &batch,
            classes,
            data.spectrum.as_ref(),
            &config.augmentation,
        );
        let logits = model.forward(&augmented.features, &batch.lengths, true);
        let targets = loss::smooth(&augmented.targets, config.label_smoothing);
        let loss = loss::cross_entropy(&logits, &targets, class_weights);

        optimizer.zero_grad();
        loss.backward();
        if config.clip_norm > 0.0 {
            optimizer.clip_gradient_norm(config.clip_norm);
        }
        optimizer.step(learning_rate);

        loss_sum += loss.detach() * batch.labels.size()[0] as f64;
        hits += logits
            .argmax(-1, false)
            .eq_tensor(&batch.labels)
            .sum(Kind::Int64);
        tell(Event::Step {
            epoch,
            step: step + 1,
            steps,
        });
    }

    let loss = loss_sum.double_value(&[]) / clips;
    ensure!(loss.is_finite(), exploded("training", loss, epoch));
    Ok(Trained {
        loss,
        accuracy: hits.int64_value(&[]) as f64 / clips,
        learning_rate,
    })
}

fn exploded(which: &str, loss: f64, epoch: usize) -> String {
    format!(
        "the {which} loss became {loss} in epoch {epoch}; last.ot and best.ot keep the epochs before. \
         Start a new run with a smaller --learning-rate"
    )
}

/// What the model says of a part, and its mean cross-entropy per clip.
pub fn score(
    model: &EmotionModel,
    part: &PartTensors,
    classes: &[String],
    batch_size: usize,
) -> Result<(Predictions, f64)> {
    let log_probabilities = inference::log_probabilities(model, part, batch_size)?;
    let truth = part.labels();
    let loss: f64 = log_probabilities
        .iter()
        .zip(&truth)
        .map(|(row, &class)| -f64::from(row[class]))
        .sum::<f64>()
        / truth.len().max(1) as f64;
    let predictions = Predictions {
        classes: classes.to_vec(),
        probabilities: inference::exponentials(log_probabilities),
        truth,
    };
    Ok((predictions, loss))
}

/// The weights that validation chose, put back into the model.
pub fn load_best(model: &EmotionModel, run: &RunFolder) -> Result<()> {
    model::load_weights(model, &run.best_ot()).context("the best weights cannot be read back")
}
