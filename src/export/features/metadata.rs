//! Metadata of the recordings whose features are exported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::audio::excerpt::SegmentColumns;
use crate::audio::{Excerpt, Segment};
use crate::corpus::{self, Clip};
use crate::io::write_output;
use crate::run::beginning;

/// A recording with its label and speaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabeledFile {
    /// The recording, with its path relative to the folder of all recordings.
    pub file: Excerpt,
    /// Emotion; empty if the folder is not a corpus that emovox reads.
    pub label: String,
    /// Name of the speaker; empty if unknown.
    pub speaker: String,
}

impl From<&Clip> for LabeledFile {
    fn from(clip: &Clip) -> LabeledFile {
        LabeledFile {
            file: clip.file.clone(),
            label: clip.label.clone(),
            speaker: clip.speaker.clone(),
        }
    }
}

/// Labels and speakers of recordings. They are empty if `folder` is not a corpus that emovox reads.
pub fn describe(folder: &Path, recordings: &[PathBuf]) -> Vec<LabeledFile> {
    let clips = corpus::scan(folder, None).map_or(Vec::new(), |corpus| corpus.clips);
    let known: BTreeMap<_, _> = clips
        .into_iter()
        .map(|clip| (clip.file.clone(), clip))
        .collect();
    let one = |file: &PathBuf| {
        let file = Excerpt::from(file);
        let clip = known.get(&file);
        LabeledFile {
            label: clip.map_or_else(String::new, |clip| clip.label.clone()),
            speaker: clip.map_or_else(String::new, |clip| clip.speaker.clone()),
            file,
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
    /// Written as the last two columns, if a recording is a segment.
    #[serde(skip)]
    pub segment: Option<Segment>,
}

impl Line {
    /// The recording in one column: its path, with the times of a segment as in a URL.
    pub(super) fn recording(&self) -> String {
        match self.segment {
            Some(segment) => format!("{}#{}", self.file, segment.url_fragment()),
            None => self.file.clone(),
        }
    }
}

/// First line of the table. With segments, two more columns follow: start and end in seconds.
const HEADER: &str = "name,file,label,speaker,frames,coefficients,rate,hop_length";

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
        let has_segments = lines.iter().any(|line| line.segment.is_some());
        for line in lines {
            if has_segments {
                writer.serialize((line, SegmentColumns::of(line.segment)))?;
            } else {
                writer.serialize(line)?;
            }
        }
        Ok(writer.flush()?)
    })
}
