//! AdamW whose whole state can be saved: tch's own optimizers keep theirs to themselves, and a
//! run resumed through them would be another run.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use tch::{Kind, Tensor};

use super::config::TrainingConfig;
use super::fused::{self, Step};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;

/// Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019). With a weight
/// decay of 0 it is plain Adam.
#[derive(Debug)]
pub struct AdamW {
    weight_decay: f64,
    epsilon: f64,
    parameters: Vec<Parameter>,
    /// Steps done.
    step: i64,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    value: Tensor,
    /// Running mean of the gradient.
    first_moment: Tensor,
    /// Running mean of its square.
    second_moment: Tensor,
}

impl AdamW {
    /// An optimizer at its first step.
    pub fn new(parameters: Vec<(String, Tensor)>, config: &TrainingConfig) -> Self {
        let parameters = parameters.into_iter().map(|(name, value)| Parameter {
            first_moment: value.zeros_like().set_requires_grad(false),
            second_moment: value.zeros_like().set_requires_grad(false),
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

    /// All gradients, one behind the other; zeros where there is none.
    pub fn gradients(&self) -> Tensor {
        let flat: Vec<Tensor> = self
            .parameters
            .iter()
            .map(|parameter| {
                let gradient = parameter.value.grad();
                match gradient.defined() {
                    true => gradient.flatten(0, -1),
                    false => parameter.value.zeros_like().flatten(0, -1),
                }
            })
            .collect();
        tch::no_grad(|| Tensor::cat(&flat, 0))
    }

    /// Puts gradients in the place of those that are there.
    pub fn set_gradients(&mut self, flat: &Tensor) {
        let mut next = 0;
        for Parameter { value, .. } in &mut self.parameters {
            if !value.grad().defined() {
                // There is none where a process had no clips in this batch.
                (value.sum(Kind::Float) * 0.0).backward();
            }
            let length = value.numel() as i64;
            let gradient = flat.narrow(0, next, length).view_as(value);
            tch::no_grad(|| value.grad().copy_(&gradient));
            next += length;
        }
    }

    /// Moves every parameter against its gradient, and forgets the gradients. Before, all of them are
    /// scaled down together so that their norm is at most `clip_norm`, if that is not 0.
    ///
    /// Biases, gains and other vectors are not pulled towards zero.
    pub fn step(&mut self, learning_rate: f64, clip_norm: f64) {
        self.step += 1;
        let parameters: Vec<[&Tensor; 3]> = self
            .parameters
            .iter()
            .map(|parameter| {
                [
                    &parameter.value,
                    &parameter.first_moment,
                    &parameter.second_moment,
                ]
            })
            .collect();
        let step = Step {
            number: self.step,
            learning_rate,
            betas: [BETA1, BETA2],
            weight_decay: self.weight_decay,
            epsilon: self.epsilon,
            clip_norm,
        };
        fused::adamw(&parameters, &step);
    }

    /// The state with its names: moments and the number of steps.
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

    /// Goes on after the number of steps in a saved state, once its moments are copied into
    /// [`AdamW::state`].
    pub fn go_on_after(&mut self, saved: &BTreeMap<String, Tensor>) -> Result<()> {
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

const STEP: &str = "optimizer.step";
