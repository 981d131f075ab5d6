//! AdamW with a state that can be saved. The optimizers of tch do not expose their state, so a run
//! resumed with them would differ from an uninterrupted run.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use tch::{Kind, Tensor};

use super::fused::{self, Step};
use crate::config::TrainingConfig;
use crate::model::is_last_layer;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;

/// Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019). With a weight
/// decay of 0 it is plain Adam.
#[derive(Debug)]
pub struct AdamW {
    weight_decay: f64,
    epsilon: f64,
    parameters: Vec<Parameter>,
    /// Number of completed steps.
    step: i64,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    value: Tensor,
    /// Its learning rate, relative to that of a step.
    rate: f64,
    /// Running mean of the gradient.
    first_moment: Tensor,
    /// Running mean of the squared gradient.
    second_moment: Tensor,
}

impl AdamW {
    /// An optimizer before its first step; the moments are zero.
    pub fn new(parameters: Vec<(String, Tensor)>, config: &TrainingConfig) -> Self {
        let parameters = parameters.into_iter().map(|(name, value)| Parameter {
            first_moment: value.zeros_like().set_requires_grad(false),
            second_moment: value.zeros_like().set_requires_grad(false),
            rate: rate(&name, config),
            name,
            value,
        });
        AdamW {
            weight_decay: config.weight_decay,
            epsilon: config.epsilon,
            parameters: parameters.collect(),
            step: 0,
        }
    }

    /// Updates every parameter by its gradient; a parameter with an undefined gradient does not
    /// change. If `clip_norm` is not 0, all gradients together are first scaled down to a norm of at
    /// most `clip_norm`.
    ///
    /// Weight decay does not apply to biases, gains and other vectors.
    ///
    /// # Panics
    /// If there is not one gradient for each parameter, or if libtorch fails.
    pub fn step(&mut self, gradients: &[Tensor], learning_rate: f64, clip_norm: f64) {
        self.step += 1;
        assert_eq!(gradients.len(), self.parameters.len());
        let parameters: Vec<[&Tensor; 4]> = self
            .parameters
            .iter()
            .zip(gradients)
            .map(|(parameter, gradient)| {
                [
                    &parameter.value,
                    gradient,
                    &parameter.first_moment,
                    &parameter.second_moment,
                ]
            })
            .collect();
        let rates: Vec<f64> = self
            .parameters
            .iter()
            .map(|parameter| learning_rate * parameter.rate)
            .collect();
        let step = Step {
            number: self.step,
            betas: [BETA1, BETA2],
            weight_decay: self.weight_decay,
            epsilon: self.epsilon,
            clip_norm,
        };
        fused::adamw(&parameters, &rates, &step);
    }

    /// The named tensors of the state: the number of steps and the moments.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = vec![(STEP.to_string(), Tensor::from_slice(&[self.step]))];
        for parameter in &self.parameters {
            let Parameter {
                name,
                first_moment,
                second_moment,
                ..
            } = parameter;
            state.push((format!("optimizer.m.{name}"), first_moment.shallow_clone()));
            state.push((format!("optimizer.v.{name}"), second_moment.shallow_clone()));
        }
        state
    }

    /// Takes the number of steps from a saved state. The caller copies the saved moments into the
    /// tensors of [`AdamW::state`].
    ///
    /// # Errors
    /// If `saved` has no number of steps.
    pub fn resume_after(&mut self, saved: &BTreeMap<String, Tensor>) -> Result<()> {
        self.step = saved
            .get(STEP)
            .and_then(|step| {
                i64::try_from(step.to_kind(Kind::Int64).to_device(tch::Device::Cpu)).ok()
            })
            .filter(|&step| step >= 0)
            .context("the optimizer's step is missing")?;
        Ok(())
    }
}

/// Learning rate of a parameter, relative to that of the last layer.
fn rate(name: &str, config: &TrainingConfig) -> f64 {
    if config.init_weights.is_none() || is_last_layer(name) {
        return 1.0;
    }
    config.body_learning_rate
}

const STEP: &str = "optimizer.step";
