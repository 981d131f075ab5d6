//! Disturbances of a waveform, as recordings outside a studio have them: noise, rooms, telephones,
//! band limits, levels.
//!
//! All functions work on samples and keep their number. The same generator gives the same samples.
//! Buffers and FFT plans belong to the thread, so that the clips of a training can be disturbed on
//! all threads; a clip of three seconds at 16 kHz takes about a millisecond.

pub mod filter;
pub mod level;
pub mod noise;
pub mod room;
mod spectrum;
mod telephone;

pub use telephone::{Telephone, mu_law};
