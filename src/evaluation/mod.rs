//! Predictions and labels → accuracy, UAR, F1, confusion. Knows nothing of tch.

mod metrics;
mod tables;

pub use metrics::{ClassMetrics, Metrics, Predictions, from_labels};
pub use tables::{classification_table, confusion_table};
