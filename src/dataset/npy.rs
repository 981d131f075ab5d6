//! Writes features as NumPy files.
//!
//! The available crates contain a parser of Python literals for reading any file. These files need
//! only a header of one line (NumPy Enhancement Proposal 1), with the same bytes as from NumPy.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;

use crate::features::Features;
use crate::io::write_output;

/// Alignment of the first value in the file, in bytes.
const ALIGNMENT: usize = 64;

/// Writes features to a `.npy` file: float32, `(frames, coefficients)`. The write is atomic.
///
/// # Errors
/// If the file cannot be written.
pub fn write_npy(features: &Features, path: &Path) -> Result<()> {
    write_output(path, |file| Ok(print_npy(features, file)?))
}

/// Writes the bytes of a `.npy` file.
///
/// # Errors
/// If writing to `out` fails.
pub fn print_npy(features: &Features, mut out: impl Write) -> io::Result<()> {
    let (frames, coefficients) = (features.frames(), features.coefficients());
    let mut header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({frames}, {coefficients}), }}"
    );
    // Magic, version and length are ten bytes, the line end is one byte.
    let padded = (10 + header.len() + 1).next_multiple_of(ALIGNMENT) - 10;
    header.extend(std::iter::repeat_n(' ', padded - 1 - header.len()));
    header.push('\n');

    out.write_all(b"\x93NUMPY\x01\x00")?;
    // With two numbers, the header has at most 192 bytes.
    out.write_all(&(padded as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    for value in features.values() {
        out.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_equal_those_of_numpy() {
        // import io, numpy; out = io.BytesIO() numpy.save(out, numpy.array([[1, -2, 0.5], [3, 4,
        // 5]], dtype='<f4')); print(out.getvalue())
        let mut expected = b"\x93NUMPY\x01\x00v\x00".to_vec();
        expected.extend(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        expected.resize(127, b' ');
        expected.push(b'\n');
        expected.extend(b"\x00\x00\x80?\x00\x00\x00\xc0\x00\x00\x00?");
        expected.extend(b"\x00\x00@@\x00\x00\x80@\x00\x00\xa0@");
        let features = Features::new(2, 3, vec![1.0, -2.0, 0.5, 3.0, 4.0, 5.0]).unwrap();
        let mut bytes = Vec::new();
        print_npy(&features, &mut bytes).unwrap();
        assert_eq!(bytes, expected);
    }
}
