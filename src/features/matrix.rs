//! The feature matrix, which is the result of an extraction.

use std::fmt;
use std::sync::Arc;

/// Storage of one or several matrices: owned memory or a memory-mapped file.
pub type Values = Arc<dyn AsRef<[f32]> + Send + Sync>;

/// A feature matrix [frames, coefficients], row-major. A clone shares the values.
#[derive(Clone)]
pub struct Features {
    frames: usize,
    coefficients: usize,
    values: Values,
    /// Index of the first value of the first frame in `values`.
    start: usize,
}

impl Features {
    /// A matrix of row-major values, frame after frame. `None` if the number of values is not
    /// frames × coefficients.
    pub fn new(frames: usize, coefficients: usize, values: Vec<f32>) -> Option<Self> {
        let length = values.len();
        let features = Features::within(frames, coefficients, Arc::new(values), 0)?;
        (features.values().len() == length).then_some(features)
    }

    /// A matrix in storage that several matrices share; `start` is the index of its first value.
    /// `None` if the storage ends before the matrix does.
    pub fn within(
        frames: usize,
        coefficients: usize,
        values: Values,
        start: usize,
    ) -> Option<Self> {
        let end = start.checked_add(frames.checked_mul(coefficients)?)?;
        (end <= (*values).as_ref().len()).then_some(Features {
            frames,
            coefficients,
            values,
            start,
        })
    }

    /// Number of rows: one for each hop of the waveform.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Number of columns. Their order is MFCCs, their deltas, their delta-deltas; then prosody, its
    /// deltas, its delta-deltas.
    pub fn coefficients(&self) -> usize {
        self.coefficients
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &(*self.values).as_ref()[self.start..self.start + self.frames * self.coefficients]
    }

    /// Coefficients of one frame.
    ///
    /// # Panics
    /// If `frame` is not below [`Features::frames`].
    pub fn row(&self, frame: usize) -> &[f32] {
        let start = frame * self.coefficients;
        &self.values()[start..start + self.coefficients]
    }
}

impl PartialEq for Features {
    fn eq(&self, other: &Self) -> bool {
        let shape = |features: &Features| (features.frames, features.coefficients);
        shape(self) == shape(other) && self.values() == other.values()
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Features")
            .field("frames", &self.frames)
            .field("coefficients", &self.coefficients)
            .field("values", &self.values())
            .finish()
    }
}
