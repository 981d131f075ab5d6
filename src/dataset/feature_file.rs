//! Features in an unnamed temporary file, for more of them than should be in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::features::{Features, StoredValues};

/// A file without a name, which the system removes when the process ends, however it ends.
#[derive(Debug)]
pub struct FeatureFile {
    file: Arc<File>,
    /// Position of the next matrix.
    next: AtomicU64,
}

impl FeatureFile {
    /// An empty file on the disk of a folder.
    ///
    /// # Errors
    /// If no file can be created in the folder.
    pub fn new(folder: &Path) -> Result<FeatureFile> {
        let file = tempfile::tempfile_in(folder);
        let file = file.with_context(|| format!("cannot create a file in {}", folder.display()))?;
        Ok(FeatureFile {
            file: Arc::new(file),
            next: AtomicU64::new(0),
        })
    }

    /// Writes a matrix to the file. The result reads its values from there. Several threads may
    /// call this at once.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn store(&self, features: &Features) -> Result<Features> {
        let values = features.read()?;
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_ne_bytes()).collect();
        let start = self.next.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file
            .write_all_at(&bytes, start)
            .context("cannot write features to a temporary file")?;
        let stored = StoredMatrix {
            file: self.file.clone(),
            start,
            size: values.len(),
        };
        let (frames, coefficients) = (features.frames(), features.coefficients());
        Ok(Features::in_file(frames, coefficients, Arc::new(stored)))
    }
}

/// The values of a matrix in the file.
struct StoredMatrix {
    file: Arc<File>,
    start: u64,
    size: usize,
}

impl StoredValues for StoredMatrix {
    fn read(&self) -> io::Result<Vec<f32>> {
        let mut bytes = vec![0; 4 * self.size];
        self.file.read_exact_at(&mut bytes, self.start)?;
        let (values, _) = bytes.as_chunks();
        Ok(values.iter().map(|&x| f32::from_ne_bytes(x)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_matrices_have_their_values_and_leave_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = FeatureFile::new(folder.path()).unwrap();
        let matrix = |frames: usize| {
            let values = (0..frames * 3).map(|x| (x * frames) as f32 / 7.0);
            Features::new(frames, 3, values.collect()).unwrap()
        };
        let matrices: Vec<Features> = (1..6).map(matrix).collect();
        let stored: Vec<Features> = matrices.iter().map(|m| file.store(m).unwrap()).collect();
        for (stored, matrix) in stored.iter().zip(&matrices) {
            assert_eq!(stored.frames(), matrix.frames());
            assert_eq!(stored.read().unwrap(), matrix.read().unwrap());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
