//! Predictions and labels → accuracy, UAR, F1, confusion, intervals, calibration. Does not use tch.

mod calibration;
mod epoch;
mod fairness;
mod interval;
mod labels;
mod metrics;
mod robustness;
mod tables;

pub use calibration::{Bin, Calibration, at_temperature, fit_temperature};
pub use epoch::EpochMetrics;
pub use fairness::GroupScores;
pub use interval::{Interval, Intervals, MeanStd, Scores, SpeakerBootstrap, SpeakerScores, wilson};
pub use labels::{AlignedLabels, LabelMap};
pub use metrics::{ClassMetrics, Metrics, Predictions, argmax, from_labels};
pub use robustness::{LEAST_UAR_CHANGE, LEAST_UNCHANGED, Robustness};
pub use tables::{classification_table, confusion_table};
