//! The CSV tables of a run: the subset of each clip, skipped recordings, predictions, confusions.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::audio::Excerpt;
use crate::audio::excerpt::{SegmentColumns, segment_of};
use crate::bounded;
use crate::corpus::split::Subset;
use crate::corpus::{Clip, ContentHash, Skipped, Source};
use crate::escape::shell_word;
use crate::evaluation::Predictions;
use crate::io::write_atomically;
use crate::plural::counted;

use super::RunFolder;

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
    #[serde(rename = "part")]
    subset: Subset,
    /// Missing in runs of early versions.
    #[serde(default)]
    content: Option<ContentHash>,
    /// Only read here; they are written as the last columns, if a clip is a segment.
    #[serde(default, skip_serializing)]
    start: String,
    #[serde(default, skip_serializing)]
    end: String,
}

/// Writes `split.csv`, atomically: for each clip the path in the corpus folder, the corpus (if
/// there are several), speaker, label, label of the corpus, subset, the hash of the recording,
/// and start and end in seconds (if a clip is a segment of its file). `clips` and `subsets` have the same length.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_split(path: &Path, clips: &[Clip], subsets: &[Subset]) -> Result<()> {
    write_atomically(path, |file| print_split(file, clips, subsets))
}

/// Writes the text of `split.csv` to `out`.
///
/// # Errors
/// Fails if `out` cannot be written to.
pub fn print_split(out: impl Write, clips: &[Clip], subsets: &[Subset]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let several = clips.iter().any(|clip| !clip.corpus.is_empty());
    let has_segments = clips.iter().any(|clip| clip.file.segment.is_some());
    for (clip, &subset) in clips.iter().zip(subsets) {
        let line = SplitLine {
            clip: clip.file.path.to_string_lossy().into_owned(),
            corpus: several.then(|| clip.corpus.clone()),
            speaker: clip.speaker_id().to_string(),
            label: clip.label.clone(),
            corpus_label: clip.corpus_label.clone(),
            subset,
            content: clip.content,
            start: String::new(),
            end: String::new(),
        };
        if has_segments {
            writer.serialize((line, SegmentColumns::of(clip.file.segment)))?;
        } else {
            writer.serialize(line)?;
        }
    }
    Ok(writer.flush()?)
}

/// Reads the `split.csv` of a run on several corpora (`sources`; empty for a single corpus). The
/// file does not contain sentences, so [`Clip::sentence`] is empty.
///
/// # Errors
/// Fails if the file cannot be read, if a line is not valid, or if it has no clips.
pub fn read_split(path: &Path, sources: &[Source]) -> Result<(Vec<Clip>, Vec<Subset>)> {
    let context = || format!("cannot read {}", path.display());
    let text = bounded::read(path, bounded::TABLE).with_context(context)?;
    let (clips, subsets) = parse_split(&text[..], sources).with_context(context)?;
    ensure!(
        !clips.is_empty(),
        "{} has no clips: the file was changed or damaged after the training started. Restore it, or start \
         a new run",
        path.display()
    );
    Ok((clips, subsets))
}

/// Like [`read_split`], with the text that [`print_split`] writes.
///
/// # Errors
/// Fails if a line is not valid.
pub fn parse_split(text: impl Read, sources: &[Source]) -> Result<(Vec<Clip>, Vec<Subset>)> {
    let mut reader = csv::Reader::from_reader(text);
    let mut clips = Vec::new();
    let mut subsets = Vec::new();
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
            file: Excerpt {
                path: line.clip.into(),
                segment: segment_of(&line.start, &line.end).map_err(anyhow::Error::msg)?,
            },
            label: line.label,
            corpus_label: line.corpus_label,
            corpus,
            speaker,
            sentence: String::new(),
            content: line.content,
        });
        subsets.push(line.subset);
    }
    Ok((clips, subsets))
}

/// The corpus of a speaker such as `emodb:03`. Early versions had no column for it.
fn corpus_of(speaker: &str, sources: &[Source]) -> String {
    let corpus = speaker.split_once(':').map(|(corpus, _)| corpus);
    let known = corpus.filter(|name| sources.iter().any(|source| source.name == *name));
    known.unwrap_or_default().to_string()
}

/// The cells of the columns `start` and `end`.
fn segment_cells(file: &Excerpt) -> [String; 2] {
    let SegmentColumns { start, end } = SegmentColumns::of(file.segment);
    [start, end]
}

/// Writes `skipped.csv`, atomically: each recording that was left out, with the reason. If one of
/// them is a segment, the table has two more columns, start and end in seconds.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_skipped(path: &Path, skipped: &[Skipped]) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        let has_segments = skipped.iter().any(|skipped| skipped.file.segment.is_some());
        let times = if has_segments {
            &SegmentColumns::NAMES[..]
        } else {
            &[]
        };
        writer.write_record(["file", "reason"].iter().chain(times))?;
        for Skipped { file, reason } in skipped {
            let mut line = vec![file.path.to_string_lossy().into_owned(), reason.clone()];
            if has_segments {
                line.extend(segment_cells(file));
            }
            writer.write_record(line)?;
        }
        Ok(writer.flush()?)
    })
}

/// A line of `skipped.csv`.
#[derive(Deserialize)]
struct SkippedLine {
    file: PathBuf,
    reason: String,
    #[serde(default)]
    start: String,
    #[serde(default)]
    end: String,
}

/// Reads `skipped.csv`.
///
/// # Errors
/// Fails if the file cannot be read.
pub fn read_skipped(path: &Path) -> Result<Vec<Skipped>> {
    let context = || format!("cannot read {}", path.display());
    let text = bounded::read_text(path, bounded::TABLE).with_context(context)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let lines = reader.deserialize().map(|line| {
        let line: SkippedLine = line?;
        let file = Excerpt {
            path: line.file,
            segment: segment_of(&line.start, &line.end).map_err(anyhow::Error::msg)?,
        };
        Ok(Skipped {
            file,
            reason: line.reason,
        })
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
/// If a clip is a segment, the last two columns are start and end in seconds.
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
        let mut segments = predictions.iter().map(|one| one.clip.file.segment);
        let has_segments = segments.any(|segment| segment.is_some());
        let times = if has_segments {
            &SegmentColumns::NAMES[..]
        } else {
            &[]
        };
        let columns = fixed.into_iter().chain(classes.iter().map(String::as_str));
        writer.write_record(columns.chain(times.iter().copied()))?;
        for ClipPrediction {
            clip,
            prediction,
            probabilities,
        } in predictions
        {
            let mut line = vec![
                clip.file.path.to_string_lossy().into_owned(),
                clip.speaker_id().to_string(),
                clip.label.clone(),
                prediction.to_string(),
            ];
            line.extend(
                probabilities
                    .iter()
                    .map(|probability| probability.to_string()),
            );
            if has_segments {
                line.extend(segment_cells(&clip.file));
            }
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

/// Reads the predictions of a run for its test subset, and compares them with its `split.csv`.
///
/// # Errors
/// As [`read_predictions`], and if the clips, their speakers or labels are not those of the test subset.
pub fn read_test_predictions(run: &RunFolder) -> Result<SavedPredictions> {
    let file = run.predictions_csv();
    let saved = read_predictions(&file)?;
    // Without names of corpora, a speaker is read as it was written.
    let (clips, subsets) = read_split(&run.split_csv(), &[])?;
    let split = clips.iter().zip(subsets);
    let tested: Vec<_> = split
        .filter(|(_, subset)| *subset == Subset::Test)
        .map(|(clip, _)| (&clip.file, clip.speaker_id().to_string(), &clip.label))
        .collect();
    let predicted: Vec<_> = saved
        .clips
        .iter()
        .map(|clip| (&clip.file, clip.speaker.clone(), &clip.label))
        .collect();
    ensure!(
        predicted == tested,
        "{} does not have the {} of the test subset in split.csv: one of the two files was changed. \
         Restore it, or write the predictions again: emovox train --resume {}",
        file.display(),
        counted(tested.len(), "clip"),
        shell_word(&run.path().display().to_string())
    );
    Ok(saved)
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
    let mut classes: Vec<String> = header.skip(keys + 4).map(str::to_string).collect();
    // Classes are sorted, so these two are never classes in this order.
    let has_segments = classes.ends_with(&SegmentColumns::NAMES.map(String::from));
    if has_segments {
        classes.truncate(classes.len() - 2);
    }
    let mut all = BTreeMap::new();
    for record in reader.records() {
        let record = record.with_context(context)?;
        let key: Vec<String> = record.iter().take(keys).map(str::to_string).collect();
        let columns: csv::StringRecord = record.iter().skip(keys).take(4 + classes.len()).collect();
        let (clip, speaker, label, _, row): (PathBuf, String, String, String, Vec<f32>) =
            columns.deserialize(None).with_context(context)?;
        let time = |index: usize| {
            let place = keys + 4 + classes.len() + index;
            record
                .get(place)
                .filter(|_| has_segments)
                .unwrap_or_default()
        };
        let segment = segment_of(time(0), time(1)).map_err(anyhow::Error::msg);
        let file = Excerpt {
            path: clip,
            segment: segment.with_context(context)?,
        };
        ensure!(
            row.iter().all(|probability| probability.is_finite()),
            "cannot read {}: a probability of {} is NaN or infinite. `emovox train \
             --resume RUN` writes the predictions of a run again",
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

    /// A clip of seconds 1.25 to 3.75 of its file.
    fn segment_clip() -> Clip {
        let mut clip = clip("", "anna");
        clip.file.segment = segment_of("1.25", "3.75").unwrap();
        clip
    }

    #[test]
    fn segments_add_two_columns_at_the_end() {
        let mut open = segment_clip();
        open.file.segment = segment_of("0.5", "").unwrap();
        let clips = [segment_clip(), clip("", "anna"), open];
        let text = written(&clips);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with(",part,content,start,end"), "{text}");
        assert!(lines[1].ends_with(",test,,1.25,3.75"), "{text}");
        assert!(lines[2].ends_with(",test,,,"), "{text}");
        assert!(lines[3].ends_with(",test,,0.5,"), "{text}");
        assert_eq!(read(&text, &[]), clips);
        let wrong = text.replace("1.25,3.75", "3.75,1.25");
        let error = parse_split(wrong.as_bytes(), &[]).unwrap_err();
        assert!(
            error.to_string().contains("ends before it starts"),
            "{error}"
        );
    }

    #[test]
    fn skipped_segments_and_predictions_of_segments_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        let skipped = |file: Excerpt| Skipped {
            file,
            reason: "silent".into(),
        };
        for clips in [
            vec![segment_clip(), clip("", "anna")],
            vec![clip("", "anna")],
        ] {
            let left_out: Vec<Skipped> = clips
                .iter()
                .map(|clip| skipped(clip.file.clone()))
                .collect();
            write_skipped(&path, &left_out).unwrap();
            assert_eq!(read_skipped(&path).unwrap(), left_out);

            // Classes may have the names of the columns.
            let classes = ["anger", "end", "start"].map(String::from);
            let rows = clips.iter().map(|clip| ClipPrediction {
                clip,
                prediction: "anger",
                probabilities: &[0.5, 0.25, 0.25],
            });
            write_predictions(&path, &classes, &rows.collect::<Vec<_>>()).unwrap();
            let saved = read_predictions(&path).unwrap();
            assert_eq!(saved.predictions.classes, classes);
            assert_eq!(saved.predictions.probabilities[0], [0.5, 0.25, 0.25]);
            let files = |clips: &[Clip]| clips.iter().map(|c| c.file.clone()).collect::<Vec<_>>();
            assert_eq!(files(&saved.clips), files(&clips));
        }
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
