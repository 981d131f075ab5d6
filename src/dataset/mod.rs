//! Clips → feature tensors on the device → batches.
//!
//! All frames of a part lie in one tensor on the device. A batch is gathered from it by index, so
//! nothing crosses to the device while training but a few numbers a clip, once an epoch. On a CPU, a
//! part of more than 512 MiB is left where its features are, which is a file of the cache, and each
//! batch is read from there: so a corpus may be larger than memory.

mod batch;
mod cache;
mod extract;
mod load;
mod normalisation;
mod npy;
mod part;
mod vocal_tract;

pub use batch::{Batch, Plan, PlannedClip};
pub use cache::{CacheWait, FeatureCache, Held, Unfinished};
pub use extract::{Extraction, extract, extract_each, extract_one};
pub use load::{Labelled, Loaded, read_contents};
pub use normalisation::Normalisation;
pub use npy::{print_npy, write_npy};
pub use part::PartTensors;
pub use vocal_tract::VocalTracts;
pub(crate) use vocal_tract::dct_matrix;
