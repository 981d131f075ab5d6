//! Filters of the vocal tract with two poles or two zeros, as in Klatt (1980), and a low-pass
//! filter.

use super::RATE;
use std::f64::consts::{PI, TAU};

/// Coefficients (a, b, c) of a resonance at `centre` Hz with a bandwidth of `width` Hz:
/// y = a·x + b·y₁ + c·y₂, with gain 1 at 0 Hz.
fn coefficients(centre: f64, width: f64) -> (f64, f64, f64) {
    let radius = (-PI * width / RATE).exp();
    let (b, c) = (2.0 * radius * (TAU * centre / RATE).cos(), -radius * radius);
    (1.0 - b - c, b, c)
}

/// A formant: amplifies frequencies near `centre` and passes the lowest frequencies unchanged.
#[derive(Clone, Copy, Default)]
pub struct Resonator {
    a: f64,
    b: f64,
    c: f64,
    past: [f64; 2],
}

impl Resonator {
    pub fn tune(&mut self, centre: f64, width: f64) {
        (self.a, self.b, self.c) = coefficients(centre, width);
    }

    pub fn pass(&mut self, input: f64) -> f64 {
        let output = self.a * input + self.b * self.past[0] + self.c * self.past[1];
        self.past = [output, self.past[0]];
        output
    }
}

/// The inverse of a resonator, for the zero that the open nasal tract adds.
#[derive(Clone, Copy, Default)]
pub struct Antiresonator {
    a: f64,
    b: f64,
    c: f64,
    past: [f64; 2],
}

impl Antiresonator {
    pub fn tune(&mut self, centre: f64, width: f64) {
        (self.a, self.b, self.c) = coefficients(centre, width);
    }

    pub fn pass(&mut self, input: f64) -> f64 {
        let output = (input - self.b * self.past[0] - self.c * self.past[1]) / self.a;
        self.past = [input, self.past[0]];
        output
    }
}

/// A band-pass filter with gain 1 at its centre: a resonator with zeros at 0 Hz and at half the
/// sample rate.
#[derive(Clone, Copy, Default)]
pub struct Band {
    a: f64,
    b: f64,
    c: f64,
    inputs: [f64; 2],
    outputs: [f64; 2],
}

impl Band {
    pub fn tune(&mut self, centre: f64, width: f64) {
        (_, self.b, self.c) = coefficients(centre, width);
        self.a = 0.5 * (1.0 + self.c);
    }

    pub fn pass(&mut self, input: f64) -> f64 {
        let output =
            self.a * (input - self.inputs[1]) + self.b * self.outputs[0] + self.c * self.outputs[1];
        self.inputs = [input, self.inputs[0]];
        self.outputs = [output, self.outputs[0]];
        output
    }
}

/// A low-pass filter with one pole.
#[derive(Clone, Copy)]
pub struct LowPass {
    keep: f64,
    past: f64,
}

impl LowPass {
    /// A filter with an attenuation of `loss` dB (more than 0) at `frequency` Hz.
    ///
    /// The pole d solves the quadratic equation |H|² = (1 − d)² / (1 + d² − 2d·cos ω).
    pub fn with_loss(loss: f64, frequency: f64) -> LowPass {
        let power = 10.0_f64.powf(-loss / 10.0);
        let q = (1.0 - power * (TAU * frequency / RATE).cos()) / (1.0 - power);
        LowPass {
            keep: q - (q * q - 1.0).sqrt(),
            past: 0.0,
        }
    }

    pub fn pass(&mut self, input: f64) -> f64 {
        self.past = (1.0 - self.keep) * input + self.keep * self.past;
        self.past
    }
}
