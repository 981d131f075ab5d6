//! The recipe of a training on one page, in the order of execution.
//!
//! Everything that is not the recipe is a named object that this page calls: the processes that
//! train together ([`ProcessGroup`], `all_reduce`), the threads ([`Pieces`]), requests to stop or to save ([`Control`]), checkpoints
//! ([`Checkpoints`]), sums over the steps ([`Meter`]), and the check for NaN ([`FiniteGuard`]).

use anyhow::Result;

use super::checkpoint::TrainState;
use super::control::Control;
use super::criterion::Criterion;
use super::epoch::EpochPlan;
use super::finite::{FiniteGuard, check_validation_loss};
use super::meter::Meter;
use super::pieces::{Parameters, Pieces};
use super::saving::Checkpoints;
use super::{Event, TrainData, TrainingConfig, score_in_group};
use crate::augment::Augmentation;
use crate::distributed::ProcessGroup;
use crate::evaluation::{EpochMetrics, Metrics};
use crate::model::EmotionModel;

/// The inputs of a training that do not change while it runs.
pub(super) struct Setup<'a> {
    pub model: &'a EmotionModel,
    pub data: &'a TrainData,
    pub config: &'a TrainingConfig,
    pub group: &'a ProcessGroup,
}

/// Loss and metrics on the validation subset.
struct Validation {
    loss: f64,
    metrics: Metrics,
}

impl Validation {
    /// `None` if there is no validation clip: a final model is trained on all recordings.
    fn of(setup: &Setup) -> Result<Option<Validation>> {
        let (subset, batch_size) = (&setup.data.validation, setup.config.batch_size);
        if subset.lengths().is_empty() {
            return Ok(None);
        }
        let (predictions, loss) = score_in_group(setup.group, setup.model, subset, batch_size)?;
        let metrics = predictions.metrics();
        Ok(Some(Validation { loss, metrics }))
    }
}

/// Trains until the last epoch, an early stop, or a request to stop. The epochs and steps that
/// `state` contains are not repeated.
///
/// # Errors
/// [`super::NonFiniteLoss`], features that cannot be read, a checkpoint that cannot be
/// written, or the loss of another process.
pub(super) fn fit(
    setup: &Setup,
    state: &mut TrainState,
    control: &mut Control,
    checkpoints: &mut Checkpoints,
    monitor: &mut dyn FnMut(Event),
) -> Result<()> {
    let &Setup {
        model,
        data,
        config,
        group,
    } = setup;
    let ensemble_size = model.ensemble_size() as f64;
    let clip_norm = config.clip_norm * ensemble_size.sqrt();
    let augmentation = Augmentation {
        classes: model.classes().len() as i64,
        spec_augment: data.spec_augment.as_ref(),
        config: &config.augmentation,
    };
    let criterion = Criterion::new(model, data, config);
    let parameters = Parameters::of(model);
    while !state.progress.is_over(config) && !control.is_stopped() {
        let epoch = state.progress.epochs.len() + 1;
        let plan = EpochPlan::draw(setup, augmentation, epoch);
        let (first_step, steps) = (state.progress.partial.steps, plan.steps());
        let mut meter = Meter::resume(&state.progress.partial, setup);
        let mut guard = FiniteGuard::new(model.device(), first_step);
        let mut pieces = Pieces::new(model, &plan, &parameters);
        for step in first_step..steps {
            let batch = plan.batch(step);
            let forward = pieces.forward(step)?;
            let loss = criterion.loss(&forward.output, &forward.targets, &batch, group)?;
            guard.check(&loss.cross_entropy, &plan)?;
            meter.add(&loss.cross_entropy, &forward.output.logits, &batch);
            let mut gradients = pieces.backward(forward, &loss.total);
            monitor(Event::Step {
                epoch,
                step: step + 1,
                steps,
            });
            let requested = control.agree(group, &mut gradients)?;
            let optimizer = &mut state.optimizer;
            optimizer.step(&gradients, plan.learning_rate(step), clip_norm);
            checkpoints.poll(monitor)?;
            if requested.stop || requested.save {
                guard.check_state(model, &plan, step)?;
                state.progress.partial = meter.sums(step + 1, group)?;
                checkpoints.save_partial_epoch(state, monitor)?;
                control.saved(requested);
            }
            if requested.stop {
                return Ok(());
            }
        }
        guard.check_losses(&plan)?;
        let train = meter.sums(steps, group)?;
        let validation = Validation::of(setup)?;
        if let Some(validation) = &validation {
            check_validation_loss(validation.loss, &plan)?;
        }
        let validated = |value: fn(&Validation) -> f64| validation.as_ref().map_or(f64::NAN, value);
        state.end_epoch(
            EpochMetrics {
                epoch,
                train_loss: train.loss_sum / plan.clips(),
                train_accuracy: train.hits as f64 / (plan.clips() * ensemble_size),
                validation_loss: validated(|validation| validation.loss),
                validation_accuracy: validated(|validation| validation.metrics.accuracy),
                validation_uar: validated(|validation| validation.metrics.uar),
                learning_rate: plan.learning_rate(steps.saturating_sub(1)),
                seconds: meter.seconds(),
            },
            model,
            config,
        );
        checkpoints.save_epoch(state, monitor)?;
        control.saved_epoch();
    }
    Ok(())
}
