//! `ancestors.csv`: the recordings that the initial weights of a training were trained on.
//!
//! The file has a line for each training or validation recording of the initial weights, and of the
//! initial weights of that training, back to the first training. A line without a recording is for
//! weights of unknown origin.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::audio::excerpt::{SegmentColumns, segment_of};
use crate::audio::{Excerpt, Segment};
use crate::bounded;
use crate::config::DataConfig;
use crate::corpus::split::Subset;
use crate::corpus::{Clip, ContentHash, CorpusKind, source_of};
use crate::io::write_atomically;

/// A recording that weights were trained or validated on.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedClip {
    /// The name of the run that used the recording.
    pub run: String,
    /// The kind of its corpus. `None` if it is not recorded.
    pub kind: Option<CorpusKind>,
    /// The recording.
    pub clip: Clip,
    /// [`Subset::Train`], or [`Subset::Validation`] if the recording was only used to select weights.
    pub subset: Subset,
}

/// All known recordings that some weights were trained or validated on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lineage {
    /// The recordings, starting with those of the first training.
    pub clips: Vec<LearnedClip>,
    /// Names of initial weights of unknown origin.
    pub unknown: Vec<String>,
}

impl Lineage {
    /// The lineage of the weights of a run, from the lineage of its initial weights. `clips` and
    /// `subsets` have the same length.
    pub fn of_run(
        run: &str,
        data: &DataConfig,
        (clips, subsets): (&[Clip], &[Subset]),
        initial: Lineage,
    ) -> Lineage {
        let used = clips.iter().zip(subsets);
        let used = used.filter(|&(_, &subset)| subset != Subset::Test);
        let used = used.map(|(clip, &subset)| LearnedClip {
            run: run.to_string(),
            kind: kind_of(data, clip),
            clip: clip.clone(),
            subset,
        });
        Lineage {
            clips: initial.clips.into_iter().chain(used).collect(),
            unknown: initial.unknown,
        }
    }

    /// The lineage of weights of unknown origin.
    pub fn unknown(weights: &Path) -> Lineage {
        let name = weights.file_name().unwrap_or_default();
        Lineage {
            clips: Vec::new(),
            unknown: vec![name.to_string_lossy().into_owned()],
        }
    }

    /// True for randomly initialised weights.
    pub fn is_empty(&self) -> bool {
        self.clips.is_empty() && self.unknown.is_empty()
    }
}

/// The kind of the corpus that a clip is from.
pub fn kind_of(data: &DataConfig, clip: &Clip) -> Option<CorpusKind> {
    match source_of(&data.sources, clip) {
        Some(source) => data.sources[source].corpus,
        None => data.corpus,
    }
}

/// A line of `ancestors.csv`.
#[derive(Serialize, Deserialize)]
struct Line {
    run: String,
    clip: String,
    kind: Option<CorpusKind>,
    corpus: String,
    speaker: String,
    label: String,
    #[serde(rename = "part")]
    subset: Option<Subset>,
    content: Option<ContentHash>,
    /// Only read here; they are written as the last columns, if a clip is a segment.
    #[serde(default, skip_serializing)]
    start: String,
    #[serde(default, skip_serializing)]
    end: String,
}

/// Writes `ancestors.csv`, atomically.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_lineage(path: &Path, lineage: &Lineage) -> Result<()> {
    write_atomically(path, |file| print_lineage(file, lineage))
}

/// Writes the text of `ancestors.csv` to `out`.
///
/// # Errors
/// Fails if `out` cannot be written to.
pub fn print_lineage(out: impl Write, lineage: &Lineage) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let mut segments = lineage.clips.iter().map(|one| one.clip.file.segment);
    let has_segments = segments.any(|segment| segment.is_some());
    let mut write = |line: Line, segment: Option<Segment>| {
        if has_segments {
            writer.serialize((line, SegmentColumns::of(segment)))
        } else {
            writer.serialize(line)
        }
    };
    for run in &lineage.unknown {
        let line = Line {
            run: run.clone(),
            clip: String::new(),
            kind: None,
            corpus: String::new(),
            speaker: String::new(),
            label: String::new(),
            subset: None,
            content: None,
            start: String::new(),
            end: String::new(),
        };
        write(line, None)?;
    }
    for learned in &lineage.clips {
        let clip = &learned.clip;
        let line = Line {
            run: learned.run.clone(),
            clip: clip.file.path.to_string_lossy().into_owned(),
            kind: learned.kind,
            corpus: clip.corpus.clone(),
            speaker: clip.speaker.clone(),
            label: clip.label.clone(),
            subset: Some(learned.subset),
            content: clip.content,
            start: String::new(),
            end: String::new(),
        };
        write(line, clip.file.segment)?;
    }
    Ok(writer.flush()?)
}

/// Reads `ancestors.csv`.
///
/// # Errors
/// Fails if the file cannot be read, or if a line is not valid.
pub fn read_lineage(path: &Path) -> Result<Lineage> {
    let context = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(context)?;
    parse_lineage(&text[..]).with_context(context)
}

/// Parses the text that [`print_lineage`] writes.
///
/// # Errors
/// Fails if a line is not valid.
pub fn parse_lineage(text: impl Read) -> Result<Lineage> {
    let mut lineage = Lineage::default();
    for line in csv::Reader::from_reader(text).deserialize() {
        let line: Line = line?;
        match line.subset {
            None => lineage.unknown.push(line.run),
            Some(subset) => lineage.clips.push(LearnedClip {
                run: line.run,
                kind: line.kind,
                clip: Clip {
                    file: Excerpt {
                        path: line.clip.into(),
                        segment: segment_of(&line.start, &line.end).map_err(anyhow::Error::msg)?,
                    },
                    label: line.label,
                    corpus_label: String::new(),
                    corpus: line.corpus,
                    speaker: line.speaker,
                    sentence: String::new(),
                    content: line.content,
                },
                subset,
            }),
        }
    }
    Ok(lineage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_lineage_is_read_back_unchanged() {
        let clip = |file: &str, content: Option<ContentHash>| Clip {
            file: file.into(),
            label: "joy".into(),
            corpus_label: String::new(),
            corpus: "a".into(),
            speaker: "ann, the \"first\"".into(),
            sentence: String::new(),
            content,
        };
        let clips = [
            clip("x/1.wav", Some(ContentHash::from([7; 32]))),
            clip("x/2.wav", None),
            clip("x/3.wav", None),
        ];
        let subsets = [Subset::Train, Subset::Test, Subset::Validation];
        let data = DataConfig {
            corpus: Some(CorpusKind::CremaD),
            ..DataConfig::default()
        };
        let initial = Lineage::unknown(Path::new("/somewhere/first.ot"));
        let lineage = Lineage::of_run("second", &data, (&clips, &subsets), initial);
        assert_eq!(lineage.clips.len(), 2, "a test clip is not in the lineage");
        assert_eq!(lineage.unknown, ["first.ot"]);
        let mut text = Vec::new();
        print_lineage(&mut text, &lineage).unwrap();
        assert_eq!(parse_lineage(text.as_slice()).unwrap(), lineage);
    }
}
