//! The run's CSV tables: which clip is in which part, what was said of it, what was mixed up.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::write_atomically;
use crate::bounded;
use crate::corpus::split::Part;
use crate::corpus::{Clip, ContentHash, Skipped, Source};
use crate::evaluation::Predictions;

/// A line of `split.csv`.
#[derive(Serialize, Deserialize)]
struct SplitLine {
    clip: String,
    /// The corpus of the speaker, only where there are several corpora.
    #[serde(skip_serializing_if = "Option::is_none")]
    corpus: Option<String>,
    speaker: String,
    label: String,
    /// Runs of before did not write it.
    #[serde(default)]
    corpus_label: String,
    part: Part,
    /// Runs of before did not write it.
    #[serde(default)]
    content: Option<ContentHash>,
}

/// Writes `split.csv`: each clip's place in the corpus folder, corpus (where there are several), speaker,
/// label, the corpus' own word for it, part, and the hash of its recording.
pub fn write_split(path: &Path, clips: &[Clip], parts: &[Part]) -> Result<()> {
    write_atomically(path, |file| print_split(file, clips, parts))
}

/// What stands in `split.csv`.
pub fn print_split(out: impl Write, clips: &[Clip], parts: &[Part]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let several = clips.iter().any(|clip| !clip.corpus.is_empty());
    for (clip, &part) in clips.iter().zip(parts) {
        writer.serialize(SplitLine {
            clip: clip.file.to_string_lossy().into_owned(),
            corpus: several.then(|| clip.corpus.clone()),
            speaker: clip.speaker_id().to_string(),
            label: clip.label.clone(),
            corpus_label: clip.corpus_label.clone(),
            part,
            content: clip.content,
        })?;
    }
    Ok(writer.flush()?)
}

/// Reads the `split.csv` of a run that was made of these corpora (none: of a single one). What is said
/// in a clip is not written there, so it comes back empty.
pub fn read_split(path: &Path, sources: &[Source]) -> Result<(Vec<Clip>, Vec<Part>)> {
    let place = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(place)?;
    parse_split(&text[..], sources).with_context(place)
}

/// The same from what [`print_split`] wrote.
pub fn parse_split(text: impl Read, sources: &[Source]) -> Result<(Vec<Clip>, Vec<Part>)> {
    let mut reader = csv::Reader::from_reader(text);
    let mut clips = Vec::new();
    let mut parts = Vec::new();
    for line in reader.deserialize() {
        let line: SplitLine = line?;
        let corpus = line
            .corpus
            .unwrap_or_else(|| corpus_of(&line.speaker, sources));
        let speaker = match line.speaker.strip_prefix(&format!("{corpus}:")) {
            Some(own) if !corpus.is_empty() => own.to_string(),
            _ => line.speaker,
        };
        clips.push(Clip {
            file: line.clip.into(),
            label: line.label,
            corpus_label: line.corpus_label,
            corpus,
            speaker,
            sentence: String::new(),
            content: line.content,
        });
        parts.push(line.part);
    }
    Ok((clips, parts))
}

/// The corpus of `emodb:03`. Earlier versions had no column for it.
fn corpus_of(speaker: &str, sources: &[Source]) -> String {
    let corpus = speaker.split_once(':').map(|(corpus, _)| corpus);
    let known = corpus.filter(|name| sources.iter().any(|source| source.name == *name));
    known.unwrap_or_default().to_string()
}

/// Writes `skipped.csv`: each recording that was left out, and why.
pub fn write_skipped(path: &Path, skipped: &[Skipped]) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(["file", "reason"])?;
        for Skipped { file, reason } in skipped {
            writer.write_record([file.to_string_lossy().as_ref(), reason])?;
        }
        Ok(writer.flush()?)
    })
}

/// Reads the recordings that `skipped.csv` names.
pub fn read_skipped(path: &Path) -> Result<Vec<Skipped>> {
    let place = || format!("cannot read {}", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(place)?;
    let lines = reader.deserialize().map(|line| {
        let (file, reason): (PathBuf, String) = line?;
        Ok(Skipped { file, reason })
    });
    lines.collect::<Result<_>>().with_context(place)
}

/// What a model said of one clip.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipPrediction<'a> {
    /// Which one, and the truth about it.
    pub clip: &'a Clip,
    /// The class with the highest probability.
    pub prediction: &'a str,
    /// One for each class, in the order of the classes.
    pub probabilities: &'a [f32],
}

/// Writes `predictions.csv`: clip, speaker, truth, prediction, a probability per class.
pub fn write_predictions(
    path: &Path,
    classes: &[String],
    predictions: &[ClipPrediction],
) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        let fixed = ["clip", "speaker", "truth", "prediction"];
        writer.write_record(fixed.into_iter().chain(classes.iter().map(String::as_str)))?;
        for ClipPrediction {
            clip,
            prediction,
            probabilities,
        } in predictions
        {
            let mut line = vec![
                clip.file.to_string_lossy().into_owned(),
                clip.speaker_id().to_string(),
                clip.label.clone(),
                prediction.to_string(),
            ];
            line.extend(
                probabilities
                    .iter()
                    .map(|probability| probability.to_string()),
            );
            writer.write_record(line)?;
        }
        Ok(writer.flush()?)
    })
}

/// What stands in a `predictions.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedPredictions {
    /// Each clip with its label and its speaker, the latter as [`SpeakerId`] writes it. The rest is not
    /// written there.
    ///
    /// [`SpeakerId`]: crate::corpus::SpeakerId
    pub clips: Vec<Clip>,
    /// What was said of them, in the same order.
    pub predictions: Predictions,
}

/// Reads `predictions.csv`.
pub fn read_predictions(path: &Path) -> Result<SavedPredictions> {
    let place = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(place)?;
    let mut reader = csv::Reader::from_reader(&text[..]);
    let classes: Vec<String> = reader
        .headers()
        .with_context(place)?
        .iter()
        .skip(4)
        .map(str::to_string)
        .collect();
    let (mut clips, mut truth, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
    for line in reader.deserialize() {
        let (file, speaker, label, _, row): (PathBuf, String, String, String, Vec<f32>) =
            line.with_context(place)?;
        ensure!(
            row.iter().all(|probability| probability.is_finite()),
            "cannot read {}: a probability of {} is NaN or infinite; `emovox evaluate` predicts the clips \
             again",
            path.display(),
            file.display()
        );
        let class = classes.iter().position(|class| *class == label);
        truth.push(
            class
                .with_context(|| format!("no class '{label}'"))
                .with_context(place)?,
        );
        probabilities.push(row);
        clips.push(Clip {
            file,
            label,
            corpus_label: String::new(),
            corpus: String::new(),
            speaker,
            sentence: String::new(),
            content: None,
        });
    }
    Ok(SavedPredictions {
        clips,
        predictions: Predictions {
            classes,
            truth,
            probabilities,
        },
    })
}

/// Writes `confusion.csv`: a line per true class, a column per predicted one, counts of clips.
pub fn write_confusion(path: &Path, classes: &[String], counts: &[Vec<u64>]) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(std::iter::once("truth").chain(classes.iter().map(String::as_str)))?;
        for (class, row) in classes.iter().zip(counts) {
            let counts = row.iter().map(u64::to_string);
            writer.write_record(std::iter::once(class.clone()).chain(counts))?;
        }
        Ok(writer.flush()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::CorpusKind;

    fn clip(corpus: &str, speaker: &str) -> Clip {
        Clip {
            file: format!("x/{speaker}.wav").into(),
            label: "anger".into(),
            corpus_label: "W".into(),
            corpus: corpus.into(),
            speaker: speaker.into(),
            sentence: String::new(),
            content: None,
        }
    }

    fn sources() -> Vec<Source> {
        let source = |name: &str| Source {
            name: name.into(),
            folder: name.into(),
            corpus: Some(CorpusKind::Folders),
        };
        vec![source("emodb"), source("ravdess")]
    }

    fn written(clips: &[Clip]) -> String {
        let mut text = Vec::new();
        print_split(&mut text, clips, &vec![Part::Test; clips.len()]).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn read(text: &str, sources: &[Source]) -> Vec<Clip> {
        parse_split(text.as_bytes(), sources).unwrap().0
    }

    #[test]
    fn speakers_of_several_corpora_come_back_as_they_were() {
        let clips = [clip("emodb", "03"), clip("ravdess", "a:03"), clip("b", "")];
        let text = written(&clips);
        assert!(text.contains(",emodb,emodb:03,anger,"), "{text}");
        assert_eq!(read(&text, &sources()), clips);
    }

    #[test]
    fn one_corpus_needs_no_column_and_a_colon_means_nothing_there() {
        let clips = [clip("", "emodb:03"), clip("", "")];
        let text = written(&clips);
        assert!(text.starts_with("clip,speaker,label,corpus_label,part,content\n"));
        assert_eq!(read(&text, &[]), clips);
    }

    #[test]
    fn an_earlier_version_wrote_the_corpus_before_the_speaker() {
        let text = "clip,speaker,label,corpus_label,part\n\
                    x/03.wav,emodb:03,anger,W,train\n\
                    x/a:03.wav,ravdess:a:03,anger,W,test\n\
                    x/.wav,,anger,W,test\n";
        let expected = [clip("emodb", "03"), clip("ravdess", "a:03"), clip("", "")];
        assert_eq!(read(text, &sources()), expected);
    }
}
