//! Measurements of every recording of a corpus, and warnings about the corpus.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use anyhow::Result;
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use super::ShortcutProbe;
use crate::audio::excerpt::SegmentColumns;
use crate::audio::{self, AudioError, Channel, Excerpt};
use crate::corpus::{self, Clip, Corpus, CorpusKind, Skipped};
use crate::io::write_output;
use crate::run::beginning;

/// Smallest number of consecutive samples at full scale that counts as clipping.
const CLIPPED_RUN: usize = 3;
/// A recording with a peak below this level is silent, in decibels of full scale.
const SILENCE_DB: f64 = -60.0;

/// Measurements of one recording: a row of the CSV file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ClipFacts {
    /// The recording, with its path relative to the corpus folder. A table has its path here, and
    /// the times of segments in its last columns.
    #[serde(serialize_with = "path_only")]
    pub clip: Excerpt,
    /// Name of the speaker; empty if unknown.
    pub speaker: String,
    /// The emotion, as one of the names that all corpora share.
    pub label: String,
    /// The emotion, as the corpus names it.
    pub corpus_label: String,
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u16,
    /// Valid bits of a sample; none for lossy encodings.
    pub bits: Option<u16>,
    /// Duration.
    pub seconds: f64,
    /// Root mean square of the samples, in decibels of full scale.
    pub rms_db: f64,
    /// Highest amplitude, in decibels of full scale.
    pub peak_db: f64,
    /// Number of samples in runs of three or more samples at full scale, of all channels.
    pub clipped_samples: usize,
    /// True if the peak is below −60 dB.
    pub silent: bool,
    /// The first recording with identical samples; none if this is the first.
    #[serde(serialize_with = "as_text")]
    pub same_as: Option<Excerpt>,
}

fn path_only<S: Serializer>(clip: &Excerpt, serializer: S) -> Result<S::Ok, S::Error> {
    clip.path.serialize(serializer)
}

fn as_text<S: Serializer>(clip: &Option<Excerpt>, serializer: S) -> Result<S::Ok, S::Error> {
    clip.as_ref().map(Excerpt::to_string).serialize(serializer)
}

/// Statistics of a corpus.
#[derive(Debug, Clone)]
pub struct CorpusStats {
    /// The corpus whose naming rule was applied.
    pub kind: CorpusKind,
    /// Folder of the corpus.
    pub folder: PathBuf,
    /// The labels that occur, sorted.
    pub classes: Vec<String>,
    /// The speakers that occur, sorted.
    pub speakers: Vec<String>,
    /// Measurements of the readable recordings.
    pub clips: Vec<ClipFacts>,
    /// The unreadable recordings, and those that are not part of the corpus.
    pub left_out: Vec<Skipped>,
    /// Tests of properties that may predict the label (duration, speaker, sample rate).
    pub probes: Vec<ShortcutProbe>,
}

impl CorpusStats {
    /// Reads every recording of a corpus completely. `advance` is called after each recording, from
    /// any thread.
    pub fn read(corpus: &Corpus, advance: impl Fn() + Sync) -> CorpusStats {
        let read: Vec<Result<(ClipFacts, u64), AudioError>> = corpus
            .clips
            .par_iter()
            .map(|clip| {
                let facts = measure(&corpus.recording(clip), clip);
                advance();
                facts
            })
            .collect();
        let (mut clips, mut left_out) = (Vec::new(), corpus.skipped.clone());
        let mut firsts: HashMap<u64, Excerpt> = HashMap::new();
        for (clip, result) in corpus.clips.iter().zip(read) {
            match result {
                Ok((mut facts, hash)) => {
                    facts.same_as = firsts.get(&hash).cloned();
                    firsts.entry(hash).or_insert_with(|| facts.clip.clone());
                    clips.push(facts);
                }
                Err(error) => left_out.push(Skipped {
                    file: clip.file.clone(),
                    reason: error.to_string(),
                }),
            }
        }
        CorpusStats {
            kind: corpus.kind,
            folder: corpus.folder.clone(),
            classes: corpus::classes(&corpus.clips),
            speakers: corpus::speakers(&corpus.clips),
            probes: probes(&clips),
            clips,
            left_out,
        }
    }

    /// Writes a CSV file with one row for each recording.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        write_output(path, |file| {
            let mut writer = csv::Writer::from_writer(file);
            let has_segments = self.clips.iter().any(|clip| clip.clip.segment.is_some());
            for clip in &self.clips {
                if has_segments {
                    writer.serialize((clip, SegmentColumns::of(clip.clip.segment)))?;
                } else {
                    writer.serialize(clip)?;
                }
            }
            Ok(writer.flush()?)
        })
    }

    /// True for a file that [`CorpusStats::write_csv`] wrote, which has the same columns.
    pub fn is_own_csv(path: &Path) -> bool {
        let mut table = Vec::new();
        let written = csv::Writer::from_writer(&mut table).serialize(ClipFacts::default());
        // Two more columns follow in a table with segments.
        let header = table.split(|&byte| byte == b'\n').next();
        let is_same = |header: &[u8]| beginning(path, header.len() as u64) == header;
        written.is_ok() && header.is_some_and(is_same)
    }

    /// Warnings about the corpus, one line each: properties that predict the label, and duplicate,
    /// clipped and silent recordings.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for probe in self.probes.iter().filter(|g| g.is_worth_a_warning()) {
            warnings.push(format!(
                "the {} alone predicts the class with a balanced accuracy of {:.0} % (chance {:.0} %): \
                 a score on this corpus may measure this property instead of the voice",
                probe.property,
                100.0 * probe.balanced_accuracy,
                100.0 * probe.chance
            ));
        }
        let count = |is: fn(&ClipFacts) -> bool| self.clips.iter().filter(|clip| is(clip)).count();
        let label_of = |file: &Excerpt| {
            let mut clips = self.clips.iter();
            clips
                .find(|clip| clip.clip == *file)
                .map(|clip| &clip.label)
        };
        let contradictory = self.clips.iter().filter(|clip| {
            let first = clip.same_as.as_ref().and_then(label_of);
            first.is_some_and(|label| *label != clip.label)
        });
        let counts = [
            (
                contradictory.count(),
                "identical in sound to another with a contradictory label",
            ),
            (
                count(|clip| clip.same_as.is_some()),
                "identical in sound to another",
            ),
            (
                count(|clip| clip.clipped_samples > 0),
                "clipped at full scale",
            ),
            (count(|clip| clip.silent), "silent"),
        ];
        for (clips, fault) in counts.into_iter().filter(|(clips, _)| *clips > 0) {
            let (noun, verb) = if clips == 1 {
                ("recording", "is")
            } else {
                ("recordings", "are")
            };
            warnings.push(format!("{clips} {noun} {verb} {fault}; see the CSV file"));
        }
        warnings
    }

    /// Clips with the label `class`.
    pub fn of_class<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a ClipFacts> {
        self.clips.iter().filter(move |clip| clip.label == class)
    }
}

/// Amplitude that counts as full scale, for samples with this number of bits: two 16-bit steps below
/// the largest value.
fn full_scale(bits: Option<u16>) -> f32 {
    let step = |bits: u16| 2f32.powi(1 - i32::from(bits));
    let missing = bits.filter(|&bits| bits < 16).map_or(0.0, step);
    1.0 - missing - 2.0 * step(16)
}

/// Measurements of a recording, and a hash of its samples.
fn measure(recording: &Excerpt, clip: &Clip) -> Result<(ClipFacts, u64), AudioError> {
    let info = audio::probe(&recording.path)?;
    let waveform = audio::read_excerpt(recording, Channel::Mix)?.waveform;
    let samples = &waveform.samples;
    let energy: f64 = samples.iter().map(|x| f64::from(*x).powi(2)).sum();
    let peak = samples.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
    let decibels = |amplitude: f64| 20.0 * amplitude.max(1e-6).log10();
    let mut hasher = DefaultHasher::new();
    hasher.write_u32(info.sample_rate);
    samples.iter().for_each(|x| hasher.write_u32(x.to_bits()));
    let full_scale = full_scale(info.bits_per_sample);
    let clipped = |samples: &[f32]| -> usize {
        samples
            .chunk_by(|a, b| (a.abs() >= full_scale) == (b.abs() >= full_scale))
            .filter(|run| run.len() >= CLIPPED_RUN && run[0].abs() >= full_scale)
            .map(<[f32]>::len)
            .sum()
    };
    let of_channel = |channel| {
        let samples = audio::read_excerpt(recording, channel)?.waveform.samples;
        Ok(clipped(&samples))
    };
    let clipped_samples = if info.channels == 1 {
        clipped(samples)
    } else {
        // In the mix, a channel that is clipped alone is below full scale.
        let channels = (1..=info.channels).map(Channel::Number);
        channels
            .map(of_channel)
            .sum::<Result<usize, AudioError>>()?
    };
    let peak_db = decibels(f64::from(peak));
    let facts = ClipFacts {
        clip: clip.file.clone(),
        speaker: clip.speaker_id().to_string(),
        label: clip.label.clone(),
        corpus_label: clip.corpus_label.clone(),
        sample_rate: info.sample_rate,
        channels: info.channels,
        bits: info.bits_per_sample,
        seconds: waveform.seconds(),
        rms_db: decibels((energy / samples.len().max(1) as f64).sqrt()),
        peak_db,
        clipped_samples,
        silent: peak_db < SILENCE_DB,
        same_as: None,
    };
    Ok((facts, hasher.finish()))
}

/// Tests of the duration, and of the speaker and the sample rate if the corpus has several.
fn probes(clips: &[ClipFacts]) -> Vec<ShortcutProbe> {
    let (labels, classes) = indices(clips.iter().map(|clip| clip.label.clone()));
    if classes < 2 {
        return Vec::new();
    }
    let seconds: Vec<f64> = clips.iter().map(|clip| clip.seconds).collect();
    let mut probes = vec![ShortcutProbe::of_numbers("duration", &seconds, &labels)];
    let names = [
        (
            "speaker",
            indices(clips.iter().map(|clip| clip.speaker.clone())),
        ),
        (
            "sample rate",
            indices(clips.iter().map(|clip| clip.sample_rate)),
        ),
    ];
    for (property, (names, distinct)) in names {
        if distinct > 1 {
            probes.push(ShortcutProbe::of_names(property, &names, &labels));
        }
    }
    probes
}

/// Index of each value in the sorted list of distinct values, and the length of that list.
fn indices<T: Ord + Clone>(values: impl Iterator<Item = T>) -> (Vec<usize>, usize) {
    let values: Vec<T> = values.collect();
    let mut distinct = values.clone();
    distinct.sort();
    distinct.dedup();
    let index = |value: &T| distinct.partition_point(|other| other < value);
    (values.iter().map(index).collect(), distinct.len())
}
