//! emovox hears emotion in speech: WAV recordings → MFCCs → an LSTM → a score that holds for
//! speakers it has never heard.
//!
//! Data flows one way, through one room after the other: [`corpus`] → [`audio`] → [`features`] →
//! [`dataset`] → [`model`] → [`inference`] → [`evaluation`] → [`training`] → [`report`];
//! [`inspection`] looks at recordings before any of it; [`leakage`] compares them with those that a model knows; [`experiment`] goes the whole way, [`cross_validation`] many times,
//! [`cross_corpus`] from one corpus to another, [`grid`] with many settings, [`distributed`] in several processes. The run folder's files are
//! known to [`run`] alone, its settings to [`config`].

#![deny(unsafe_code)]
#![deny(missing_docs)]

pub mod audio;
pub mod bounded;
pub mod config;
pub mod corpus;
pub mod cross_corpus;
pub mod cross_validation;
pub mod dataset;
#[allow(unsafe_code)] // loads libtorch_cuda.so, sets malloc; see there
pub mod device;
pub mod distributed;
pub mod escape;
pub mod evaluation;
pub mod experiment;
pub mod export;
pub mod features;
pub mod fetch;
pub mod grid;
pub mod inference;
pub mod inspection;
pub mod io;
pub mod leakage;
pub mod memory;
pub mod model;
#[cfg(unix)]
#[allow(unsafe_code)] // blocks signals, prepares processes; see there
pub mod process;
pub mod report;
pub mod run;
pub mod training;

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
