//! A corpus, read as a whole: the clips that could be read, with their features.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::PathBuf;

use anyhow::{Result, bail};
use rayon::prelude::*;
use tch::Device;

use super::{Extraction, FeatureCache, Normalisation, PartTensors, extract};
use crate::audio::AudioConfig;
use crate::corpus::{Clip, ContentHash, Corpus, Skipped};
use crate::features::{FeatureConfig, Features};

/// The readable clips of a corpus and their features, in the same order.
#[derive(Debug)]
pub struct Loaded {
    /// The clips that could be read, each with the hash of its recording.
    pub clips: Vec<Clip>,
    /// Their features.
    pub features: Vec<Features>,
    /// Recordings that could not be read, relative to the corpus folder.
    pub skipped: Vec<Skipped>,
    /// The same recording under two names: places in `clips`, the earlier first.
    pub same: Vec<(usize, usize)>,
    /// Why a cache that was asked for could not be used.
    pub uncached: Option<String>,
}

impl Loaded {
    /// Reads every clip of a corpus, or takes its features from a cache. Where more than half cannot be
    /// read, something else is wrong than a few bad recordings, and it is an error.
    pub fn read(
        corpus: &Corpus,
        audio: &AudioConfig,
        config: &FeatureConfig,
        cache: Option<&FeatureCache>,
        advance: impl Fn() + Sync,
    ) -> Result<Loaded> {
        let files: Vec<PathBuf> = corpus.clips.iter().map(|clip| corpus.path(clip)).collect();
        let cached =
            cache.map(|cache| cache.extract(&corpus.folder, &files, audio, config, &advance));
        let (extraction, uncached): (Extraction, Option<String>) = match cached {
            Some(Ok(extraction)) => (extraction, None),
            // A cache saves time; that it fails must cost no training.
            Some(Err(error)) => {
                let extraction = extract(&files, audio, config, advance)?;
                (extraction, Some(format!("{error:#}")))
            }
            None => (extract(&files, audio, config, advance)?, None),
        };
        let relative = |skipped: Skipped| Skipped {
            file: skipped
                .file
                .strip_prefix(&corpus.folder)
                .map(Into::into)
                .unwrap_or(skipped.file),
            reason: skipped.reason,
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
        let contents = extraction.contents.unwrap_or_else(|| contents_of(&files));
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
        Ok(Loaded {
            same: same(&features)?,
            clips,
            features,
            skipped,
            uncached,
        })
    }

    /// The same recordings under two names and of two speakers, who may be one person: places in `clips`.
    /// An unknown speaker is nobody else.
    pub fn same_of_two_speakers(&self) -> Vec<(usize, usize)> {
        let differ = |&(first, second): &(usize, usize)| {
            let (first, second) = (&self.clips[first], &self.clips[second]);
            let are_known = !first.speaker.is_empty() && !second.speaker.is_empty();
            are_known && first.speaker_id() != second.speaker_id()
        };
        self.same.iter().copied().filter(differ).collect()
    }

    /// Some clips with what a model needs of them. A clip whose label is not among `classes` is
    /// left out.
    pub fn labelled(&self, indices: &[usize], classes: &[String]) -> Labelled<'_> {
        let mut labelled = Labelled::default();
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

/// Reads the hash of each recording of a corpus.
pub fn read_contents(corpus: &mut Corpus, cache: Option<&FeatureCache>) {
    let files: Vec<PathBuf> = corpus.clips.iter().map(|clip| corpus.path(clip)).collect();
    let contents = match cache {
        Some(cache) => cache.contents(&corpus.folder, &files),
        None => contents_of(&files),
    };
    for (clip, content) in corpus.clips.iter_mut().zip(contents) {
        clip.content = content;
    }
}

fn contents_of(files: &[PathBuf]) -> Vec<Option<ContentHash>> {
    let hash = |file: &PathBuf| ContentHash::of_file(file).ok();
    files.par_iter().map(hash).collect()
}

/// Values between those that are hashed: what is alike in them is compared as a whole.
const STRIDE: usize = 101;

/// Pairs of equal features: the first place where they are found, and another one. To the last bit,
/// two recordings have the same features only if they are one.
fn same(features: &[Features]) -> Result<Vec<(usize, usize)>> {
    let mut firsts: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut pairs = Vec::new();
    for (index, of_index) in features.iter().enumerate() {
        let values = of_index.read()?;
        let mut hasher = DefaultHasher::new();
        hasher.write_usize(of_index.frames());
        let some = values.iter().step_by(STRIDE);
        some.for_each(|v| hasher.write_u32(v.to_bits()));
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

/// Clips, their features, and their labels as places in a list of classes.
#[derive(Debug, Default)]
pub struct Labelled<'a> {
    /// Which clips.
    pub clips: Vec<&'a Clip>,
    /// Their features.
    pub features: Vec<&'a Features>,
    /// Their classes.
    pub labels: Vec<usize>,
}

impl Labelled<'_> {
    /// Takes mean and deviation of these clips. Only ever those of the training part.
    pub fn fit(&self, normalisation: &Normalisation) -> Result<()> {
        normalisation.fit_clips(&self.features)
    }

    /// Brings them to a device.
    pub fn tensors(&self, normalisation: &Normalisation, device: Device) -> Result<PartTensors> {
        PartTensors::new(&self.features, &self.labels, normalisation, device)
    }
}
