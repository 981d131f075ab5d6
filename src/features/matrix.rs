//! What extraction yields.

use std::fmt;
use std::sync::Arc;

/// Where the values of matrices lie: in memory of their own, or in a file that is mapped.
pub type Values = Arc<dyn AsRef<[f32]> + Send + Sync>;

/// A matrix of features, frames × coefficients. A clone shares the values.
#[derive(Clone)]
pub struct Features {
    frames: usize,
    coefficients: usize,
    values: Values,
    /// Where the first frame starts in `values`.
    start: usize,
}

impl Features {
    /// From row-major values, frame after frame; `None` if there are not frames × coefficients.
    pub fn new(frames: usize, coefficients: usize, values: Vec<f32>) -> Option<Self> {
        let length = values.len();
        let features = Features::within(frames, coefficients, Arc::new(values), 0)?;
        (features.values().len() == length).then_some(features)
    }

    /// A matrix among others in the same place, from `start` on; `None` if it is not all there.
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

    /// The frames from `first` to before `end`, which share the values.
    ///
    /// # Panics
    /// If there are no such frames.
    pub fn slice(&self, first: usize, end: usize) -> Features {
        assert!(first <= end && end <= self.frames, "frames of the matrix");
        Features {
            frames: end - first,
            start: self.start + first * self.coefficients,
            ..self.clone()
        }
    }

    /// Rows: one per hop of the waveform.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Columns: the MFCCs, then their deltas, then their delta-deltas; then prosody in the same way.
    pub fn coefficients(&self) -> usize {
        self.coefficients
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &(*self.values).as_ref()[self.start..self.start + self.frames * self.coefficients]
    }

    /// One frame's coefficients.
    ///
    /// # Panics
    /// If there is no such frame.
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
