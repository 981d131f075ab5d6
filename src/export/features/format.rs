//! The formats, one after the other.

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
use crate::dataset::{print_npy, write_npy};
use crate::features::Features;
use crate::run::{beginning, write_output};

/// How features are written. A matrix is frames × coefficients, float32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureFormat {
    /// A `.npy` file per recording.
    Npy,
    /// One archive for `numpy.load`, an array per recording.
    Npz,
    /// One file, a tensor per recording.
    Safetensors,
    /// One table: a line per frame, with the recording's label and speaker.
    Csv,
    /// A text file per recording: a line per frame, numbers with spaces between.
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

    /// What a file name's ending stands for.
    pub fn of(path: &Path) -> Option<FeatureFormat> {
        let ending = path.extension()?;
        FeatureFormat::ALL
            .into_iter()
            .find(|format| ending == format.ending())
    }

    /// True where each recording has a file of its own.
    pub fn is_folder(self) -> bool {
        matches!(self, FeatureFormat::Npy | FeatureFormat::Plain)
    }

    /// True for a file of many recordings that emovox wrote in this format. A file of one recording
    /// has no room for a mark.
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

/// By this mark in its metadata or its comment a file of features is known as ours.
const MARK: &str = "emovox_features";
/// The columns of a table before the coefficients.
const CSV: &str = "file,label,speaker,rate,frame";

/// The last bytes of a file; none where it cannot be read or is shorter.
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

/// The one file that features go into while they come.
pub(super) enum Writer<'a, 'b> {
    Npz(Box<ZipWriter<&'a mut BufWriter<&'b File>>>),
    Csv(Box<csv::Writer<&'a mut BufWriter<&'b File>>>),
    /// The header comes first and has the length of all: they wait.
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
                    let known = [&line.file, &line.label, &line.speaker].map(String::clone);
                    let known = known
                        .into_iter()
                        .chain([line.rate.to_string(), frame.to_string()]);
                    writer.write_record(known.chain(row.iter().map(f32::to_string)))?;
                }
                Ok(())
            }
            Writer::Safetensors(_, waiting) => {
                waiting.push((line.name.clone(), Matrix::of(features)));
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
            Writer::Safetensors(file, waiting) => {
                let version = env!("CARGO_PKG_VERSION").to_string();
                let metadata = HashMap::from([(MARK.to_string(), version)]);
                file.write_all(&safetensors::serialize(waiting, Some(metadata))?)?;
            }
        }
        Ok(())
    }
}

/// The file of a recording in a folder of many.
pub(super) fn place_below(folder: &Path, name: &str, format: FeatureFormat) -> PathBuf {
    folder.join(format!("{name}.{}", format.ending()))
}

/// The same in a folder, at the place that the recording has in its own.
pub(super) fn write_below(
    folder: &Path,
    name: &str,
    features: &Features,
    format: FeatureFormat,
) -> Result<()> {
    let place = place_below(folder, name, format);
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
    }
    write_alone(features, &place, format)
}

/// A file for one matrix: `.npy` or text.
pub(super) fn write_alone(features: &Features, path: &Path, format: FeatureFormat) -> Result<()> {
    match format {
        FeatureFormat::Plain => {
            write_output(path, |file| Ok(file.write_all(plain(features).as_bytes())?))
        }
        _ => write_npy(features, path),
    }
}

/// True for a file that holds this one matrix already, to the last byte.
pub(super) fn is_same(file: &Path, features: &Features, format: FeatureFormat) -> bool {
    let mut expected = Vec::new();
    match format {
        FeatureFormat::Plain => expected.extend(plain(features).as_bytes()),
        // Writing to memory does not fail.
        _ => _ = print_npy(features, &mut expected),
    }
    beginning(file, expected.len() as u64 + 1) == expected
}

fn rows(features: &Features) -> impl Iterator<Item = &[f32]> {
    features
        .values()
        .chunks_exact(features.coefficients().max(1))
}

/// As `numpy.loadtxt` and a shell read it. The shortest text that gives the same float32 again.
fn plain(features: &Features) -> String {
    let mut text = String::new();
    for row in rows(features) {
        for (column, value) in row.iter().enumerate() {
            let between = if column == 0 { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(text, "{between}{value}");
        }
        text.push('\n');
    }
    text
}

/// A matrix as it lies in a safetensors file.
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
