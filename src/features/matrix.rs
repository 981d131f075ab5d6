//! What extraction yields.

/// A matrix of features, frames × coefficients.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    frames: usize,
    coefficients: usize,
    values: Vec<f32>,
}

impl Features {
    /// From row-major values, frame after frame; `None` if there are not frames × coefficients.
    pub fn new(frames: usize, coefficients: usize, values: Vec<f32>) -> Option<Self> {
        (frames.checked_mul(coefficients) == Some(values.len())).then_some(Features {
            frames,
            coefficients,
            values,
        })
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
        &self.values
    }

    /// Gives the values away, row after row.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// One frame's coefficients.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn row(&self, frame: usize) -> &[f32] {
        let start = frame * self.coefficients;
        &self.values[start..start + self.coefficients]
    }
}
