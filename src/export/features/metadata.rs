//! Metadata of the recordings whose features are exported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::corpus;
use crate::io::write_output;
use crate::run::beginning;

/// A recording with its label and speaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabeledFile {
    /// Path relative to the folder of all recordings.
    pub file: PathBuf,
    /// Emotion; empty if the folder is not a corpus that emovox reads.
    pub label: String,
    /// Name of the speaker; empty if unknown.
    pub speaker: String,
}

/// Labels and speakers of recordings. They are empty if `folder` is not a corpus that emovox reads.
pub fn describe(folder: &Path, recordings: &[PathBuf]) -> Vec<LabeledFile> {
    let clips = corpus::scan(folder, None).map_or(Vec::new(), |corpus| corpus.clips);
    let known: BTreeMap<_, _> = clips
        .into_iter()
        .map(|clip| (clip.file.clone(), clip))
        .collect();
    let one = |file: &PathBuf| {
        let clip = known.get(file);
        LabeledFile {
            file: file.clone(),
            label: clip.map_or_else(String::new, |clip| clip.label.clone()),
            speaker: clip.map_or_else(String::new, |clip| clip.speaker.clone()),
        }
    };
    recordings.iter().map(one).collect()
}

/// A row of the metadata table.
#[derive(Debug, Default, Serialize)]
pub(super) struct Line {
    /// Name of the features: the key in a file of many recordings, or the file name without
    /// extension.
    pub name: String,
    pub file: String,
    pub label: String,
    pub speaker: String,
    pub frames: usize,
    pub coefficients: usize,
    /// Sample rate in hertz; frame n is at n · hop_length / rate seconds.
    pub rate: u32,
    pub hop_length: usize,
}

/// First line of the table.
const HEADER: &str = "name,file,label,speaker,frames,coefficients,rate,hop_length\n";

/// True for a table that [`write`] wrote.
pub(super) fn is_own(path: &Path) -> bool {
    beginning(path, HEADER.len() as u64) == HEADER.as_bytes()
}

/// Names in a table that [`write`] wrote; none for any other file.
pub(super) fn names(path: &Path) -> BTreeSet<String> {
    let table = is_own(path).then(|| csv::Reader::from_path(path).ok());
    let lines = table.flatten().into_iter();
    let names = lines.flat_map(|table| table.into_records().flatten());
    names
        .filter_map(|line| line.get(0).map(String::from))
        .collect()
}

pub(super) fn write(path: &Path, lines: &[Line]) -> Result<()> {
    write_output(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        for line in lines {
            writer.serialize(line)?;
        }
        Ok(writer.flush()?)
    })
}
