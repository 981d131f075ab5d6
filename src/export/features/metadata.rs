//! Metadata of the recordings whose features are exported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::audio::excerpt::SegmentColumns;
use crate::audio::{Excerpt, Segment};
use crate::bounded;
use crate::corpus::{self, Clip, CorpusError};
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

/// The recordings of a folder.
#[derive(Debug)]
pub struct Described {
    /// The recordings with their labels and speakers.
    pub recordings: Vec<LabeledFile>,
    /// The reason that labels and speakers are empty, if the folder is not a corpus that emovox reads.
    pub without_labels: Option<CorpusError>,
}

/// Labels and speakers of recordings in a folder.
pub fn describe(folder: &Path, recordings: &[PathBuf]) -> Described {
    let (clips, without_labels) = match corpus::scan(folder, None) {
        Ok(corpus) => (corpus.clips, None),
        Err(error) => (Vec::new(), Some(error)),
    };
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
    Described {
        recordings: recordings.iter().map(one).collect(),
        without_labels,
    }
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

/// First line of the table, without and with segments, whose start and end are in seconds.
const HEADERS: [&str; 2] = [
    "name,file,label,speaker,frames,coefficients,rate,hop_length",
    "name,file,label,speaker,frames,coefficients,rate,hop_length,start,end",
];

/// First line of the table of an export that is not complete.
const UNFINISHED: [&str; 2] = ["name", "unfinished"];

/// True for a table that [`write`] wrote. A user who adds columns makes it a manifest.
pub(super) fn is_own(path: &Path) -> bool {
    let first = first_line(path);
    HEADERS.iter().any(|header| first == header.as_bytes())
}

/// True for a table that [`write_unfinished`] wrote.
pub(super) fn is_unfinished(path: &Path) -> bool {
    first_line(path) == UNFINISHED.join(",").as_bytes()
}

/// The first line of a file. A very long line is cut, but stays longer than every header.
fn first_line(path: &Path) -> Vec<u8> {
    let beginning = beginning(path, 2 * HEADERS[1].len() as u64);
    let mut lines = beginning.split(|&byte| byte == b'\n');
    lines.next().unwrap_or_default().to_vec()
}

/// Names in a table that [`write`] or [`write_unfinished`] wrote; none for any other file.
pub(super) fn names(path: &Path) -> BTreeSet<String> {
    let is_table = is_own(path) || is_unfinished(path);
    let bytes = is_table.then(|| bounded::read(path, bounded::TABLE).ok());
    let bytes = bytes.flatten().unwrap_or_default();
    let lines = csv::Reader::from_reader(bytes.as_slice()).into_records();
    lines
        .filter_map(|line| line.ok()?.get(0).map(String::from))
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

/// Writes the names of an export before its files, so that the files of an export that is interrupted
/// can be recognised.
pub(super) fn write_unfinished(path: &Path, names: impl Iterator<Item = String>) -> Result<()> {
    write_output(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(UNFINISHED)?;
        for name in names {
            writer.write_record([name.as_str(), ""])?;
        }
        Ok(writer.flush()?)
    })
}
