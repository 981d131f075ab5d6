//! A corpus, read as a whole: the clips that could be read, with their features.

use std::path::PathBuf;

use anyhow::{Result, bail};
use tch::Device;

use super::{PartTensors, Skipped, extract, frames_of};
use crate::audio::AudioConfig;
use crate::corpus::{Clip, Corpus};
use crate::features::{FeatureConfig, Features};
use crate::model::Normalisation;

/// The readable clips of a corpus and their features, in the same order.
#[derive(Debug)]
pub struct Loaded {
    /// The clips that could be read.
    pub clips: Vec<Clip>,
    /// Their features.
    pub features: Vec<Features>,
    /// Recordings that could not be read, relative to the corpus folder.
    pub skipped: Vec<Skipped>,
}

impl Loaded {
    /// Reads every clip of a corpus. Where more than half cannot be read, something else is wrong
    /// than a few bad recordings, and it is an error.
    pub fn read(
        corpus: &Corpus,
        audio: &AudioConfig,
        config: &FeatureConfig,
        advance: impl Fn() + Sync,
    ) -> Result<Loaded> {
        let files: Vec<PathBuf> = corpus.clips.iter().map(|clip| corpus.path(clip)).collect();
        let extraction = extract(&files, audio, config, advance)?;
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
        let (clips, features) = extraction
            .features
            .into_iter()
            .map(|(index, features)| (corpus.clips[index].clone(), features))
            .unzip();
        Ok(Loaded {
            clips,
            features,
            skipped,
        })
    }

    /// Features and class of some clips. The classes are indices into `classes`; a clip of another
    /// label is left out.
    pub fn labelled(&self, indices: &[usize], classes: &[String]) -> Vec<(&Features, usize)> {
        let class = |index: usize| classes.iter().position(|c| *c == self.clips[index].label);
        indices
            .iter()
            .filter_map(|&index| Some((&self.features[index], class(index)?)))
            .collect()
    }

    /// Fits a model's normalisation to some clips.
    pub fn fit(&self, indices: &[usize], classes: &[String], to: &Normalisation) -> Result<()> {
        to.fit(&frames_of(&self.labelled(indices, classes))?);
        Ok(())
    }

    /// Some clips as tensors on a device.
    pub fn tensors(
        &self,
        indices: &[usize],
        classes: &[String],
        normalisation: &Normalisation,
        device: Device,
    ) -> Result<PartTensors> {
        PartTensors::new(&self.labelled(indices, classes), normalisation, device)
    }
}
