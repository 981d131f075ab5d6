//! The CSV tables of a run: the subset of each clip, skipped recordings, predictions, confusions.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::corpus::split::Subset;
use crate::corpus::{Clip, ContentHash, Skipped, Source};
use crate::evaluation::Predictions;
use crate::io::write_atomically;

/// A line of `split.csv`.
#[derive(Serialize, Deserialize)]
struct SplitLine {
    clip: String,
    /// The corpus of the speaker, only if there are several corpora.
    #[serde(skip_serializing_if = "Option::is_none")]
    corpus: Option<String>,
    speaker: String,
    label: String,
    /// Missing in runs of early versions.
    #[serde(default)]
    corpus_label: String,
    part: Subset,
    /// Missing in runs of early versions.
    #[serde(default)]
    content: Option<ContentHash>,
}

/// Writes `split.csv`, atomically: for each clip the path in the corpus folder, the corpus (if
/// there are several), speaker, label, label of the corpus, subset, and the hash of the recording.
/// `clips` and `parts` have the same length.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_split(path: &Path, clips: &[Clip], parts: &[Subset]) -> Result<()> {
    write_atomically(path, |file| print_split(file, clips, parts))
}

/// Writes the text of `split.csv` to `out`.
///
/// # Errors
/// Fails if `out` cannot be written to.
pub fn print_split(out: impl Write, clips: &[Clip], parts: &[Subset]) -> Result<()> {
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

/// Reads the `split.csv` of a run on several corpora (`sources`; empty for a single corpus). The
/// file does not contain sentences, so [`Clip::sentence`] is empty.
///
/// # Errors
/// Fails if the file cannot be read, or if a line is not valid.
pub fn read_split(path: &Path, sources: &[Source]) -> Result<(Vec<Clip>, Vec<Subset>)> {
    let context = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(context)?;
    parse_split(&text[..], sources).with_context(context)
}

/// Like [`read_split`], with the text that [`print_split`] writes.
///
/// # Errors
/// Fails if a line is not valid.
pub fn parse_split(text: impl Read, sources: &[Source]) -> Result<(Vec<Clip>, Vec<Subset>)> {
    let mut reader = csv::Reader::from_reader(text);
    let mut clips = Vec::new();
    let mut parts = Vec::new();
    for line in reader.deserialize() {
        let line: SplitLine = line?;
        let corpus = line
            .corpus
            .unwrap_or_else(|| corpus_of(&line.speaker, sources));
        let speaker = match line.speaker.strip_prefix(&format!("{corpus}:")) {
            Some(name) if !corpus.is_empty() => name.to_string(),
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

/// The corpus of a speaker such as `emodb:03`. Early versions had no column for it.
fn corpus_of(speaker: &str, sources: &[Source]) -> String {
    let corpus = speaker.split_once(':').map(|(corpus, _)| corpus);
    let known = corpus.filter(|name| sources.iter().any(|source| source.name == *name));
    known.unwrap_or_default().to_string()
}

/// Writes `skipped.csv`, atomically: each recording that was left out, with the reason.
///
/// # Errors
/// Fails if the file cannot be written.
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

/// Reads `skipped.csv`.
///
/// # Errors
/// Fails if the file cannot be read.
pub fn read_skipped(path: &Path) -> Result<Vec<Skipped>> {
    let context = || format!("cannot read {}", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(context)?;
    let lines = reader.deserialize().map(|line| {
        let (file, reason): (PathBuf, String) = line?;
        Ok(Skipped { file, reason })
    });
    lines.collect::<Result<_>>().with_context(context)
}

/// The prediction of a model for one clip.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipPrediction<'a> {
    /// The clip with its true label.
    pub clip: &'a Clip,
    /// The class with the highest probability.
    pub prediction: &'a str,
    /// One probability per class, in the order of the classes.
    pub probabilities: &'a [f32],
}

/// Writes `predictions.csv`, atomically: clip, speaker, truth, prediction, a probability per class.
///
/// # Errors
/// Fails if the file cannot be written.
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

/// The content of `predictions.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedPredictions {
    /// The clips with label and speaker, as [`SpeakerId`] prints it. The other fields are empty.
    ///
    /// [`SpeakerId`]: crate::corpus::SpeakerId
    pub clips: Vec<Clip>,
    /// The predictions, in the order of the clips.
    pub predictions: Predictions,
}

impl SavedPredictions {
    /// No predictions yet.
    fn new(classes: &[String]) -> SavedPredictions {
        SavedPredictions {
            clips: Vec::new(),
            predictions: Predictions {
                classes: classes.to_vec(),
                truth: Vec::new(),
                probabilities: Vec::new(),
            },
        }
    }
}

/// Reads `predictions.csv`.
///
/// # Errors
/// Fails if the file cannot be read, or if a line has an unknown class or a probability that is not
/// finite.
pub fn read_predictions(path: &Path) -> Result<SavedPredictions> {
    let (classes, mut all) = read_predictions_by(path, 0)?;
    let none = || SavedPredictions::new(&classes);
    Ok(all.pop_first().map_or_else(none, |(_, saved)| saved))
}

/// Predictions of several trainings, by the columns that identify a training.
pub type PredictionsByTraining = BTreeMap<Vec<String>, SavedPredictions>;

/// Reads the predictions of a cross-validation, in which each row begins with fold and seed. Returns
/// those of each training, by `[fold, seed]`.
///
/// # Errors
/// As [`read_predictions`].
pub fn read_fold_predictions(path: &Path) -> Result<PredictionsByTraining> {
    Ok(read_predictions_by(path, 2)?.1)
}

/// The classes, and the predictions of the rows that agree in the first `keys` columns.
fn read_predictions_by(path: &Path, keys: usize) -> Result<(Vec<String>, PredictionsByTraining)> {
    let context = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(context)?;
    let mut reader = csv::Reader::from_reader(&text[..]);
    let header = reader.headers().with_context(context)?.iter();
    let classes: Vec<String> = header.skip(keys + 4).map(str::to_string).collect();
    let mut all = BTreeMap::new();
    for record in reader.records() {
        let record = record.with_context(context)?;
        let key: Vec<String> = record.iter().take(keys).map(str::to_string).collect();
        let columns: csv::StringRecord = record.iter().skip(keys).collect();
        let (file, speaker, label, _, row): (PathBuf, String, String, String, Vec<f32>) =
            columns.deserialize(None).with_context(context)?;
        ensure!(
            row.iter().all(|probability| probability.is_finite()),
            "cannot read {}: a probability of {} is NaN or infinite; `emovox evaluate` repeats the \
             predictions",
            path.display(),
            file.display()
        );
        let class = classes.iter().position(|class| *class == label);
        let class = class
            .with_context(|| format!("no class '{label}'"))
            .with_context(context)?;
        let saved = all
            .entry(key)
            .or_insert_with(|| SavedPredictions::new(&classes));
        saved.predictions.truth.push(class);
        saved.predictions.probabilities.push(row);
        saved.clips.push(Clip {
            file,
            label,
            corpus_label: String::new(),
            corpus: String::new(),
            speaker,
            sentence: String::new(),
            content: None,
        });
    }
    Ok((classes, all))
}

/// Writes `confusion.csv`, atomically: one line per true class, one column per predicted class,
/// counts of clips.
///
/// # Errors
/// Fails if the file cannot be written.
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
            manifest: None,
        };
        vec![source("emodb"), source("ravdess")]
    }

    fn written(clips: &[Clip]) -> String {
        let mut text = Vec::new();
        print_split(&mut text, clips, &vec![Subset::Test; clips.len()]).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn read(text: &str, sources: &[Source]) -> Vec<Clip> {
        parse_split(text.as_bytes(), sources).unwrap().0
    }

    #[test]
    fn speakers_of_several_corpora_are_read_back_unchanged() {
        let clips = [clip("emodb", "03"), clip("ravdess", "a:03"), clip("b", "")];
        let text = written(&clips);
        assert!(text.contains(",emodb,emodb:03,anger,"), "{text}");
        assert_eq!(read(&text, &sources()), clips);
    }

    #[test]
    fn one_corpus_needs_no_column_and_a_colon_has_no_meaning() {
        let clips = [clip("", "emodb:03"), clip("", "")];
        let text = written(&clips);
        assert!(text.starts_with("clip,speaker,label,corpus_label,part,content\n"));
        assert_eq!(read(&text, &[]), clips);
    }

    #[test]
    fn a_file_of_an_early_version_has_the_corpus_in_the_speaker() {
        let text = "clip,speaker,label,corpus_label,part\n\
                    x/03.wav,emodb:03,anger,W,train\n\
                    x/a:03.wav,ravdess:a:03,anger,W,test\n\
                    x/.wav,,anger,W,test\n";
        let expected = [clip("emodb", "03"), clip("ravdess", "a:03"), clip("", "")];
        assert_eq!(read(text, &sources()), expected);
    }
}
