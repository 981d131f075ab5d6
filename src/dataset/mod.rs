//! Converts clips to feature tensors on the device, and these to batches.
//!
//! All frames of a subset are in one tensor on the device. A batch is gathered from it by index, so
//! that a training copies only a few numbers for each clip to the device, once in each epoch. On a
//! CPU, a subset of more than 512 MiB stays in the files of the cache, and its disturbed copies in a
//! temporary file. Each batch is read from there, so that a corpus can be larger than the memory.

mod batch;
mod cache;
mod extract;
mod feature_file;
mod load;
mod normalisation;
mod npy;
mod sounds;
mod split_tensors;

pub use batch::{Batch, BatchPlan, SampleSpec};
pub use cache::{CacheEntry, CacheWait, FeatureCache, Unfinished};
pub use extract::{
    Extracted, Extraction, extract, extract_any, extract_each, extract_from, extract_one,
    extract_waveforms,
};
pub use feature_file::FeatureFile;
pub use load::{FeatureDataset, LabeledSubset, read_contents};
pub use normalisation::Normalisation;
pub use npy::{print_npy, write_npy};
pub use sounds::{Sounds, check_sounds, read_sounds};
pub use split_tensors::{MAX_IN_MEMORY, SplitTensors};
