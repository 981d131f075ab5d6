//! Disturbances of a waveform, as recordings outside a studio have them: noise, rooms, telephones,
//! band limits, levels.
//!
//! The functions work on samples. The same generator gives the same samples. FFT plans belong to
//! the thread, so that the clips of a training can be disturbed on all threads. A clip of three
//! seconds at 16 kHz takes less than two milliseconds, except for [`opus`] and the impulse
//! responses of very reverberant rooms. `catalogue` has the named disturbances of the stress test.

mod catalogue;
mod coding;
pub mod filter;
pub mod level;
pub mod noise;
pub mod room;
mod spectrum;
mod telephone;

pub use catalogue::{Category, Disturbance, Material};
pub use coding::opus;
pub use telephone::{Telephone, mu_law};
