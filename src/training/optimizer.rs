//! AdamW whose whole state can be saved: tch's own optimizers keep theirs to themselves, and a
//! run resumed through them would be another run.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use tch::{Kind, Tensor};

use super::config::TrainingConfig;

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

    /// Forgets the gradients of the step before.
    pub fn zero_grad(&mut self) {
        for parameter in &mut self.parameters {
            parameter.value.zero_grad();
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
                // Nothing has asked for one yet where a process had no clips in its first batch.
                (value.sum(Kind::Float) * 0.0).backward();
            }
            let length = value.numel() as i64;
            let gradient = flat.narrow(0, next, length).view_as(value);
            tch::no_grad(|| value.grad().copy_(&gradient));
            next += length;
        }
    }

    /// Scales all gradients down together so that their norm is at most `norm`.
    pub fn clip_gradient_norm(&self, norm: f64) {
        tch::no_grad(|| {
            let gradients: Vec<Tensor> = self.parameters.iter().map(|p| p.value.grad()).collect();
            let norms: Vec<Tensor> = gradients.iter().map(Tensor::norm).collect();
            let total = Tensor::stack(&norms, 0).norm();
            // Stays on the device: nobody waits to learn whether there is something to clip.
            let scale = (norm / (total + 1e-6)).clamp_max(1.0);
            for mut gradient in gradients {
                let _ = gradient.g_mul_(&scale);
            }
        });
    }

    /// Moves every parameter against its gradient.
    pub fn step(&mut self, learning_rate: f64) {
        self.step += 1;
        let correction1 = 1.0 - BETA1.powi(self.step as i32);
        let correction2 = 1.0 - BETA2.powi(self.step as i32);
        tch::no_grad(|| {
            for Parameter {
                value,
                first_moment,
                second_moment,
                ..
            } in &mut self.parameters
            {
                let gradient = value.grad();
                // Biases, gains and other vectors are not pulled towards zero.
                if self.weight_decay > 0.0 && value.dim() > 1 {
                    let _ = value.g_mul_scalar_(1.0 - learning_rate * self.weight_decay);
                }
                let _ = first_moment.lerp_(&gradient, 1.0 - BETA1);
                let _ = second_moment.g_mul_scalar_(BETA2);
                let _ = second_moment.addcmul_(&(&gradient * (1.0 - BETA2)), &gradient);
                let divisor = second_moment.sqrt() / correction2.sqrt() + self.epsilon;
                let _ =
                    value.addcdiv_(&(&*first_moment * (-learning_rate / correction1)), &divisor);
            }
        });
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
            .context("the optimizer's step is missing")?;
        Ok(())
    }
}

const STEP: &str = "optimizer.step";
