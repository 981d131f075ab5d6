//! Writers of the file formats for features.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use safetensors::{Dtype, View};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::metadata::Line;
use crate::dataset::print_npy;
use crate::features::Features;
use crate::io::{write_one_of_many, write_output};
use crate::run::beginning;

/// File format of exported features. A matrix is `[frames, coefficients]`, float32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureFormat {
    /// A `.npy` file for each recording.
    Npy,
    /// One archive for `numpy.load` with an array for each recording.
    Npz,
    /// One safetensors file with a tensor for each recording.
    Safetensors,
    /// One table with a row for each frame, including the label and speaker of the recording.
    Csv,
    /// A text file for each recording: one line a frame, values separated by spaces.
    Plain,
}

impl FeatureFormat {
    const ALL: [FeatureFormat; 5] = [
        FeatureFormat::Npy,
        FeatureFormat::Npz,
        FeatureFormat::Safetensors,
        FeatureFormat::Csv,
        FeatureFormat::Plain,
    ];

    /// Format of a file by the extension of its name; none for an unknown extension.
    pub fn of(path: &Path) -> Option<FeatureFormat> {
        let ending = path.extension()?;
        FeatureFormat::ALL
            .into_iter()
            .find(|format| ending == format.ending())
    }

    /// True if each recording is written to its own file.
    pub fn is_folder(self) -> bool {
        matches!(self, FeatureFormat::Npy | FeatureFormat::Plain)
    }

    /// True for a file of many recordings that emovox wrote in this format. False for formats with
    /// a file for each recording, which cannot hold a mark.
    pub(super) fn is_own(self, file: &Path) -> bool {
        match self {
            FeatureFormat::Csv => {
                beginning(file, CSV.len() as u64 + 3) == format!("{CSV},c0").as_bytes()
            }
            FeatureFormat::Safetensors => {
                let expected = format!("{{\"__metadata__\":{{\"{MARK}\":");
                beginning(file, 8 + expected.len() as u64).get(8..) == Some(expected.as_bytes())
            }
            FeatureFormat::Npz => end(file, MARK.len()) == MARK.as_bytes(),
            FeatureFormat::Npy | FeatureFormat::Plain => false,
        }
    }

    fn ending(self) -> &'static str {
        match self {
            FeatureFormat::Npy => "npy",
            FeatureFormat::Npz => "npz",
            FeatureFormat::Safetensors => "safetensors",
            FeatureFormat::Csv => "csv",
            FeatureFormat::Plain => "txt",
        }
    }
}

/// Key in the metadata or the comment of a file of features, by which emovox recognises its own
/// files.
const MARK: &str = "emovox_features";
/// Columns of a table before the coefficients.
const CSV: &str = "file,label,speaker,rate,frame";

/// The last `length` bytes of a file; none if it cannot be read or is shorter.
fn end(file: &Path, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|mut file| {
        file.seek(SeekFrom::End(-(length as i64)))?;
        file.take(length as u64).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Writer of one file with the features of all recordings, one recording after the other.
pub(super) enum Writer<'a, 'b> {
    Npz(Box<ZipWriter<&'a mut BufWriter<&'b File>>>),
    Csv(Box<csv::Writer<&'a mut BufWriter<&'b File>>>),
    /// Matrices are collected until the end, because the header at the start has their lengths.
    Safetensors(&'a mut BufWriter<&'b File>, Vec<(String, Matrix)>),
}

impl<'a, 'b> Writer<'a, 'b> {
    pub(super) fn of_file(
        file: &'a mut BufWriter<&'b File>,
        format: FeatureFormat,
        coefficients: usize,
    ) -> Result<Writer<'a, 'b>> {
        Ok(match format {
            FeatureFormat::Npz => {
                let mut zip = ZipWriter::new(file);
                zip.set_comment(MARK)?;
                Writer::Npz(Box::new(zip))
            }
            FeatureFormat::Csv => {
                let mut writer = csv::Writer::from_writer(file);
                let fixed = CSV.split(',').map(String::from);
                let columns = (0..coefficients).map(|column| format!("c{column}"));
                writer.write_record(fixed.chain(columns))?;
                Writer::Csv(Box::new(writer))
            }
            _ => Writer::Safetensors(file, Vec::new()),
        })
    }

    pub(super) fn add(&mut self, line: &Line, features: &Features) -> Result<()> {
        match self {
            Writer::Npz(zip) => {
                let options =
                    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
                zip.start_file(format!("{}.npy", line.name), options)?;
                Ok(print_npy(features, zip)?)
            }
            Writer::Csv(writer) => {
                for (frame, row) in rows(features).enumerate() {
                    let known = [line.recording(), line.label.clone(), line.speaker.clone()];
                    let known = known
                        .into_iter()
                        .chain([line.rate.to_string(), frame.to_string()]);
                    writer.write_record(known.chain(row.iter().map(f32::to_string)))?;
                }
                Ok(())
            }
            Writer::Safetensors(_, matrices) => {
                matrices.push((line.name.clone(), Matrix::of(features)));
                Ok(())
            }
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Writer::Npz(zip) => {
                zip.finish()?;
            }
            Writer::Csv(mut writer) => writer.flush()?,
            Writer::Safetensors(file, matrices) => {
                let version = env!("CARGO_PKG_VERSION").to_string();
                let metadata = HashMap::from([(MARK.to_string(), version)]);
                file.write_all(&safetensors::serialize(matrices, Some(metadata))?)?;
            }
        }
        Ok(())
    }
}

/// Path of the file of a recording below `folder`; `name` is its path without the extension.
pub(super) fn place_below(folder: &Path, name: &str, format: FeatureFormat) -> PathBuf {
    folder.join(format!("{name}.{}", format.ending()))
}

/// Writes the features of one of many recordings below `folder`; `name` is the path without the
/// extension. `sync_file_system` must follow the last one.
pub(super) fn write_below(
    folder: &Path,
    name: &str,
    features: &Features,
    format: FeatureFormat,
) -> Result<()> {
    let path = place_below(folder, name, format);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create the folder {}", parent.display()))?;
    }
    write_one_of_many(&path, |file| print(features, format, file))
}

/// Writes one matrix to its own file, `.npy` or text.
pub(super) fn write_alone(features: &Features, path: &Path, format: FeatureFormat) -> Result<()> {
    write_output(path, |file| print(features, format, file))
}

/// Writes the bytes of a `.npy` file or of a text file.
fn print(features: &Features, format: FeatureFormat, out: &mut impl Write) -> Result<()> {
    match format {
        FeatureFormat::Plain => out.write_all(plain(features).as_bytes())?,
        _ => print_npy(features, out)?,
    }
    Ok(())
}

/// True if the file equals the file that would be written for `features`.
pub(super) fn is_same(file: &Path, features: &Features, format: FeatureFormat) -> bool {
    let mut expected = Vec::new();
    // Writing to memory does not fail.
    let _ = print(features, format, &mut expected);
    beginning(file, expected.len() as u64 + 1) == expected
}

fn rows(features: &Features) -> impl Iterator<Item = &[f32]> {
    features
        .values()
        .chunks_exact(features.coefficients().max(1))
}

/// Text for `numpy.loadtxt` and shell tools. Each value is the shortest text that is read back as
/// the same float32.
fn plain(features: &Features) -> String {
    let mut text = String::new();
    for row in rows(features) {
        for (column, value) in row.iter().enumerate() {
            let separator = if column == 0 { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(text, "{separator}{value}");
        }
        text.push('\n');
    }
    text
}

/// A matrix in the byte order of a safetensors file.
pub(super) struct Matrix {
    shape: [usize; 2],
    bytes: Vec<u8>,
}

impl Matrix {
    fn of(features: &Features) -> Matrix {
        let values = features.values().iter();
        Matrix {
            shape: [features.frames(), features.coefficients()],
            bytes: values.flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

impl View for Matrix {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}
