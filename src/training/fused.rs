//! Binding to `fused.cpp`: libtorch's fused AdamW kernel, which tch does not expose.

use std::ffi::{c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::libtorch;

/// Settings of one optimizer step.
pub(super) struct Step {
    /// Number of the step, from 1.
    pub number: i64,
    /// Decay rates of the first and the second moment.
    pub betas: [f64; 2],
    pub weight_decay: f64,
    pub epsilon: f64,
    /// Largest norm of all gradients together; 0 turns clipping off.
    pub clip_norm: f64,
}

unsafe extern "C" {
    fn emovox_fused_adamw(
        tensors: *const *const C_tensor,
        rates: *const f64,
        count: usize,
        step: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        epsilon: f64,
        clip_norm: f64,
        message: *mut c_char,
        message_size: usize,
    ) -> c_int;
}

/// Updates every parameter by its gradient. `parameters` are values with their gradients, first and
/// second moments, all on one device; `rates` are the learning rates of the parameters.
///
/// # Panics
/// If libtorch fails, as tch's operations do. The panic has libtorch's message.
pub(super) fn adamw(parameters: &[[&Tensor; 4]], rates: &[f64], step: &Step) {
    assert_eq!(rates.len(), parameters.len());
    let tensors: Vec<*const C_tensor> = parameters
        .as_flattened()
        .iter()
        .map(|tensor| tensor.as_ptr())
        .collect();
    // SAFETY: the pointers are to live tensors, four for each parameter, and to as many rates. The tensors
    // are changed in place, as tch's in-place operations do through the same kind of pointer. The buffer
    // has `length` bytes.
    let updated = libtorch::call(|message, length| unsafe {
        emovox_fused_adamw(
            tensors.as_ptr(),
            rates.as_ptr(),
            parameters.len(),
            step.number as f64,
            step.betas[0],
            step.betas[1],
            step.weight_decay,
            step.epsilon,
            step.clip_norm,
            message,
            length,
        )
    });
    updated.unwrap_or_else(|message| panic!("{message}"));
}
