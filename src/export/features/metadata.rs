//! What is known of each recording whose features are written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::corpus;
use crate::run::{beginning, write_output};

/// A recording and what its corpus says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Where it is, relative to the folder that holds all.
    pub file: PathBuf,
    /// Empty where the folder follows no corpus' rule.
    pub label: String,
    /// Empty where the corpus does not tell.
    pub speaker: String,
}

/// Labels and speakers of recordings, if the folder is a corpus that emovox knows.
pub fn describe(folder: &Path, recordings: &[PathBuf]) -> Vec<Described> {
    let clips = corpus::scan(folder, None).map_or(Vec::new(), |corpus| corpus.clips);
    let known: BTreeMap<_, _> = clips
        .into_iter()
        .map(|clip| (clip.file.clone(), clip))
        .collect();
    let one = |file: &PathBuf| {
        let clip = known.get(file);
        Described {
            file: file.clone(),
            label: clip.map_or_else(String::new, |clip| clip.label.clone()),
            speaker: clip.map_or_else(String::new, |clip| clip.speaker.clone()),
        }
    };
    recordings.iter().map(one).collect()
}

/// A line of the table.
#[derive(Debug, Default, Serialize)]
pub(super) struct Line {
    /// By which the features are found: a key in a file of many, a file name without its ending.
    pub name: String,
    pub file: String,
    pub label: String,
    pub speaker: String,
    pub frames: usize,
    pub coefficients: usize,
    /// In hertz; with the hop length it tells when each frame was.
    pub rate: u32,
    pub hop_length: usize,
}

/// The first line of the table.
const HEADER: &str = "name,file,label,speaker,frames,coefficients,rate,hop_length\n";

/// True for a table that [`write`] wrote.
pub(super) fn is_own(path: &Path) -> bool {
    beginning(path, HEADER.len() as u64) == HEADER.as_bytes()
}

/// The names in a table that [`write`] wrote; none where there is no such table.
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
