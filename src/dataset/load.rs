//! Loads a corpus: the readable clips with their features.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use anyhow::{Result, bail};
use tch::Device;

use super::{Extraction, FeatureCache, Normalisation, SplitTensors, extract};
use crate::audio::{AudioConfig, Excerpt};
use crate::corpus::{Clip, Corpus, Skipped, hash_excerpts, hash_files};
use crate::features::{FeatureConfig, Features};
use crate::reason::reason;

/// The readable clips of a corpus and their features, in the same order.
#[derive(Debug)]
pub struct FeatureDataset {
    /// The clips that could be read, each with the hash of its recording.
    pub clips: Vec<Clip>,
    /// The features of each clip.
    pub features: Vec<Features>,
    /// Recordings that could not be read, relative to the corpus folder.
    pub skipped: Vec<Skipped>,
    /// Pairs of clips with the same recording under two names: indices in `clips`, the smaller
    /// first.
    pub same: Vec<(usize, usize)>,
    /// The reason that a requested cache could not be used.
    pub uncached: Option<String>,
}

impl FeatureDataset {
    /// Reads every clip of a corpus, or takes its features from a cache. `advance` is called for
    /// each clip, from any thread.
    ///
    /// # Errors
    /// If the settings are invalid, or if more than half of the clips cannot be read, which has
    /// another cause than a few bad recordings.
    pub fn read(
        corpus: &Corpus,
        audio: &AudioConfig,
        config: &FeatureConfig,
        cache: Option<&FeatureCache>,
        advance: impl Fn() + Sync,
    ) -> Result<FeatureDataset> {
        let files = recordings(corpus);
        let cached =
            cache.map(|cache| cache.extract(&corpus.folder, &files, audio, config, &advance));
        let (extraction, uncached): (Extraction, Option<String>) = match cached {
            Some(Ok(extraction)) => (extraction, None),
            // A cache only saves time: without it, the training continues.
            Some(Err(error)) => {
                let extraction = extract(&files, audio, config, advance)?;
                (extraction, Some(reason(&error)))
            }
            None => (extract(&files, audio, config, advance)?, None),
        };
        let relative = |skipped: Skipped| {
            let path = &skipped.file.path;
            Skipped {
                file: skipped
                    .file
                    .at(path.strip_prefix(&corpus.folder).unwrap_or(path)),
                reason: skipped.reason,
            }
        };
        let skipped: Vec<Skipped> = extraction.skipped.into_iter().map(relative).collect();
        if 2 * skipped.len() > files.len() {
            bail!(
                "{} of the {} recordings in {} cannot be read; the first is {}: {}",
                skipped.len(),
                files.len(),
                corpus.folder.display(),
                skipped[0].file.display(),
                skipped[0].reason
            );
        }
        let hash = || hash_excerpts(&files, hash_files);
        let contents = extraction.contents.unwrap_or_else(hash);
        let (clips, features): (Vec<Clip>, Vec<Features>) = extraction
            .features
            .into_iter()
            .map(|(index, features)| {
                let clip = Clip {
                    content: contents[index],
                    ..corpus.clips[index].clone()
                };
                (clip, features)
            })
            .unzip();
        Ok(FeatureDataset {
            same: equal_pairs(&features)?,
            clips,
            features,
            skipped,
            uncached,
        })
    }

    /// Pairs of clips with the same recording and two different speakers, who may be one person:
    /// indices in `clips`. Unknown speakers do not count as different.
    pub fn same_of_two_speakers(&self) -> Vec<(usize, usize)> {
        let differ = |&(first, second): &(usize, usize)| {
            let (first, second) = (&self.clips[first], &self.clips[second]);
            let are_known = !first.speaker.is_empty() && !second.speaker.is_empty();
            are_known && first.speaker_id() != second.speaker_id()
        };
        self.same.iter().copied().filter(differ).collect()
    }

    /// Pairs of clips with the same recording and two different labels, which contradict each other:
    /// indices in `clips`.
    pub fn same_of_two_labels(&self) -> Vec<(usize, usize)> {
        let label = |index: usize| &self.clips[index].label;
        let differ = |&(first, second): &(usize, usize)| label(first) != label(second);
        self.same.iter().copied().filter(differ).collect()
    }

    /// The clips at some indices with features and class indices. A clip whose label is not in
    /// `classes` is left out.
    pub fn subset(&self, indices: &[usize], classes: &[String]) -> LabeledSubset<'_> {
        let mut labelled = LabeledSubset::default();
        for &index in indices {
            let clip = &self.clips[index];
            if let Some(label) = classes.iter().position(|class| *class == clip.label) {
                labelled.clips.push(clip);
                labelled.features.push(&self.features[index]);
                labelled.labels.push(label);
            }
        }
        labelled
    }
}

/// Hashes each recording of a corpus. A recording that cannot be read has no hash.
pub fn read_contents(corpus: &mut Corpus, cache: Option<&FeatureCache>) {
    let files = recordings(corpus);
    let contents = match cache {
        Some(cache) => cache.contents(&corpus.folder, &files),
        None => hash_excerpts(&files, hash_files),
    };
    for (clip, content) in corpus.clips.iter_mut().zip(contents) {
        clip.content = content;
    }
}

fn recordings(corpus: &Corpus) -> Vec<Excerpt> {
    let clips = corpus.clips.iter();
    clips.map(|clip| corpus.recording(clip)).collect()
}

/// Distance between the hashed values. Features with equal hashes are compared completely.
const STRIDE: usize = 101;

/// Pairs of equal features: the first index and another index. Two recordings have features that
/// are equal to the last bit only if they are the same recording.
fn equal_pairs(features: &[Features]) -> Result<Vec<(usize, usize)>> {
    let mut firsts: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut pairs = Vec::new();
    for (index, clip) in features.iter().enumerate() {
        let values = clip.read()?;
        let mut hasher = DefaultHasher::new();
        hasher.write_usize(clip.frames());
        let sample = values.iter().step_by(STRIDE);
        sample.for_each(|v| hasher.write_u32(v.to_bits()));
        let candidates = firsts.entry(hasher.finish()).or_default();
        let mut first = None;
        for &candidate in candidates.iter() {
            if first.is_none() && features[candidate].read()? == values {
                first = Some(candidate);
            }
        }
        match first {
            Some(first) => pairs.push((first, index)),
            None => candidates.push(index),
        }
    }
    Ok(pairs)
}

/// Clips with their features and class indices.
#[derive(Debug, Default)]
pub struct LabeledSubset<'a> {
    /// The clips.
    pub clips: Vec<&'a Clip>,
    /// The features of each clip.
    pub features: Vec<&'a Features>,
    /// The class index of each clip.
    pub labels: Vec<usize>,
}

impl LabeledSubset<'_> {
    /// Computes the statistics of `normalisation` from these clips, which must be those of the
    /// training subset.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn fit(&self, normalisation: &Normalisation) -> Result<()> {
        normalisation.fit_clips(&self.features)
    }

    /// Copies the features to a device as normalised tensors.
    ///
    /// # Errors
    /// If the memory of the device does not suffice, or if a file with features cannot be read.
    pub fn tensors(&self, normalisation: &Normalisation, device: Device) -> Result<SplitTensors> {
        SplitTensors::new(&self.features, &self.labels, normalisation, device)
    }
}
