//! The feature matrix, which is the result of an extraction.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Values of a matrix that are in a file and are read when they are needed.
pub trait StoredValues: Send + Sync {
    /// Reads all values, row-major.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    fn read(&self) -> io::Result<Vec<f32>>;
}

/// Storage of the values of one or several matrices.
#[derive(Clone)]
enum Values {
    InMemory(Arc<Vec<f32>>),
    /// Values in a file. The second field holds them after [`Features::values`] has read them.
    InFile(Arc<dyn StoredValues>, Arc<OnceLock<Vec<f32>>>),
}

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
        (frames.checked_mul(coefficients)? == values.len()).then(|| Features {
            frames,
            coefficients,
            values: Values::InMemory(Arc::new(values)),
            start: 0,
        })
    }

    /// A matrix whose values stay in a file, because a complete corpus does not fit into memory.
    pub fn in_file(frames: usize, coefficients: usize, values: Arc<dyn StoredValues>) -> Self {
        Features {
            frames,
            coefficients,
            values: Values::InFile(values, Arc::default()),
            start: 0,
        }
    }

    /// The frames `first..end`, which share the values.
    ///
    /// # Panics
    /// If the matrix does not have these frames.
    pub fn slice(&self, first: usize, end: usize) -> Features {
        assert!(first <= end && end <= self.frames, "frames of the matrix");
        Features {
            frames: end - first,
            start: self.start + first * self.coefficients,
            ..self.clone()
        }
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

    /// Number of values.
    pub fn size(&self) -> usize {
        self.frames * self.coefficients
    }

    /// All values, row-major. Values in a file are read and do not stay in memory.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn read(&self) -> io::Result<Cow<'_, [f32]>> {
        let own = self.range();
        match &self.values {
            Values::InMemory(values) => Ok(Cow::Borrowed(&values[own])),
            Values::InFile(file, read) => match read.get() {
                Some(values) => Ok(Cow::Borrowed(&values[own])),
                None => {
                    let mut values = file.read()?;
                    values.truncate(own.end);
                    values.drain(..own.start);
                    Ok(Cow::Owned(values))
                }
            },
        }
    }

    /// All values, row-major. Values in a file are read once and then stay in memory.
    ///
    /// # Panics
    /// If the values are in a file that cannot be read or is damaged; [`Features::read`] returns the
    /// error instead.
    pub fn values(&self) -> &[f32] {
        let all = match &self.values {
            Values::InMemory(values) => values,
            Values::InFile(file, read) => read.get_or_init(|| {
                let values = file.read();
                values.unwrap_or_else(|error| panic!("features cannot be read: {error}"))
            }),
        };
        &all[self.range()]
    }

    /// Indices of the values of this matrix in the storage.
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.size()
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
            .field("values", &self.read().ok())
            .finish()
    }
}
