//! Speech emotion recognition: recordings → MFCCs → an LSTM → a score on speakers that the model
//! was not trained on.
//!
//! Data flows in one direction through the modules: [`corpus`] → [`audio`] → [`features`] →
//! [`dataset`] → [`model`] → [`inference`] → [`evaluation`] → [`training`] → [`report`].
//! [`inspection`] describes recordings before a training. [`leakage`] compares recordings with
//! those that a model was trained on. [`experiments`] runs one training from the recordings to the
//! score, or many: one per fold, corpus or setting. [`distributed`] trains in several processes.
//! Only [`run`] knows the files of a run folder, and only [`config`] its settings.

pub mod audio;
pub mod augment;
pub mod bounded;
pub mod config;
pub mod corpus;
pub mod dataset;
#[allow(unsafe_code)] // loads libtorch_cuda.so, configures malloc
pub mod device;
pub mod distributed;
pub mod disturbance;
pub mod escape;
pub mod evaluation;
pub mod experiments;
pub mod export;
pub mod features;
pub mod fetch;
pub mod inference;
pub mod inspection;
pub mod io;
pub mod leakage;
#[allow(unsafe_code)] // calls libtorch for its version
pub mod libtorch;
pub mod memory;
pub mod model;
#[allow(unsafe_code)] // shares tensors between threads
pub mod parallel;
pub mod plural;
#[cfg(unix)]
#[allow(unsafe_code)] // blocks signals, prepares child processes
pub mod process;
pub mod random;
pub mod reason;
pub mod report;
pub mod run;
pub mod serve;
pub mod training;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
