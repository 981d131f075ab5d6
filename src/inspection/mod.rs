//! Measurements of a single recording and of a corpus, before any training. Does not use libtorch.

mod corpus_stats;
mod mel;
mod recording;
mod shortcut;

pub use corpus_stats::{ClipFacts, CorpusStats};
pub use mel::mel_spectrogram;
pub use recording::Recording;
pub use shortcut::{ShortcutProbe, balanced_accuracy};
