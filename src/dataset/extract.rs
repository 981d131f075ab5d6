//! Computes the features of recordings on all cores. A recording that cannot be read is skipped
//! with the reason; it does not affect the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use rayon::prelude::*;

use crate::audio::{self, AudioConfig, Excerpt, Loaded, ReadSeek, SampleRate, Waveform};
use crate::corpus::{ContentHash, Skipped};
use crate::features::{Extractor, FeatureConfig, Features};
use crate::reason::reason;

/// The result of the feature extraction for a list of recordings.
#[derive(Debug)]
pub struct Extraction {
    /// Features with the index of the recording in the list, in the order of the list.
    pub features: Vec<(usize, Features)>,
    /// Recordings that could not be read.
    pub skipped: Vec<Skipped>,
    /// With a cache, the hash of each recording that could be hashed. `None` without a cache.
    pub contents: Option<Vec<Option<ContentHash>>>,
}

impl Extraction {
    /// The features of recordings, or the reasons that there are none.
    pub(super) fn of(files: &[Excerpt], results: Vec<Result<Features, String>>) -> Extraction {
        let (mut features, mut skipped) = (Vec::new(), Vec::new());
        for (index, (file, result)) in files.iter().zip(results).enumerate() {
            let file = file.clone();
            match result {
                Ok(of_file) => features.push((index, of_file)),
                Err(reason) => skipped.push(Skipped { file, reason }),
            }
        }
        Extraction {
            features,
            skipped,
            contents: None,
        }
    }
}

/// Reads recordings and computes their features. Recordings without speech are skipped. `advance`
/// is called after each recording, from any thread.
///
/// # Errors
/// If the settings are invalid. A recording that cannot be read is not an error.
pub fn extract(
    files: &[Excerpt],
    audio: &AudioConfig,
    config: &FeatureConfig,
    advance: impl Fn() + Sync,
) -> Result<Extraction> {
    let results = extract_each(files, audio, config, |_, features| {
        advance();
        features
    })?;
    Ok(Extraction::of(files, results))
}

/// Reads recordings on all cores and passes the features of each, or the reason that there are
/// none, to `take`. At most one recording for each core is in memory. Returns the results of `take`
/// in the order of the recordings.
///
/// # Errors
/// If the settings are invalid. A recording that cannot be read is not an error.
pub fn extract_each<T: Send>(
    files: &[Excerpt],
    audio: &AudioConfig,
    config: &FeatureConfig,
    take: impl Fn(&Excerpt, Result<Features, String>) -> T + Sync,
) -> Result<Vec<T>> {
    let extractors = Extractors::new(audio, config)?;
    let one = |file: &Excerpt| {
        let features = extractors.extract(file, audio);
        take(file, features.map_err(|error| reason(&error)))
    };
    Ok(files.par_iter().map(one).collect())
}

/// Features of a recording, whether it has speech or not.
#[derive(Debug)]
pub struct Extracted {
    /// The features.
    pub features: Features,
    /// Duration of the recording in seconds.
    pub seconds: f64,
    /// False if the recording has no sound above a noise floor.
    pub has_speech: bool,
    /// True if the channels of the recording cancel each other in the mix.
    pub is_cancelled: bool,
}

/// Reads recordings on all cores and computes their features, also of recordings without speech.
/// Returns the features, or the reason that there are none, in the order of the recordings.
/// `advance` is called after each recording, from any thread.
///
/// # Errors
/// If the settings are invalid. A recording that cannot be read is not an error.
pub fn extract_any(
    files: &[PathBuf],
    audio: &AudioConfig,
    config: &FeatureConfig,
    advance: impl Fn() + Sync,
) -> Result<Vec<Result<Extracted, String>>> {
    let extractors = Extractors::new(audio, config)?;
    let one = |file: &PathBuf| {
        let loaded = audio::load_checked(file, audio).map_err(anyhow::Error::from);
        let extracted = loaded.and_then(|loaded| extractors.of_loaded(&loaded));
        advance();
        extracted.map_err(|error| reason(&error))
    };
    Ok(files.par_iter().map(one).collect())
}

/// Reads a recording of at most `longest` seconds from any seekable source and computes its
/// features like [`extract_any`], on this thread.
///
/// # Errors
/// If the settings are invalid, or if the recording cannot be read or is too long.
pub fn extract_from(
    source: impl ReadSeek,
    audio: &AudioConfig,
    config: &FeatureConfig,
    longest: f64,
) -> Result<Extracted> {
    let extractors = Extractors::new(audio, config)?;
    extractors.of_loaded(&audio::load_from(source, audio, longest)?)
}

/// Computes the features of `count` waveforms on all cores; `make` makes the waveform of a number,
/// and `take` receives its features. Silence at both ends is trimmed as in recordings. Each waveform
/// is dropped after its features exist.
///
/// # Errors
/// If the settings are invalid, if `make` or `take` fails, or if the memory does not suffice.
pub fn extract_waveforms<T: Send>(
    count: usize,
    audio: &AudioConfig,
    config: &FeatureConfig,
    make: impl Fn(usize) -> Result<Waveform> + Sync,
    take: impl Fn(Features) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let extractors = Extractors::new(audio, config)?;
    let one = |index| {
        let mut waveform = make(index)?;
        audio::trim(&mut waveform, audio);
        take(extractors.of(&waveform)?)
    };
    (0..count).into_par_iter().map(one).collect()
}

/// Computes the features of one recording, also without speech.
///
/// # Errors
/// If the settings are invalid, or if the recording cannot be read.
pub fn extract_one(file: &Path, audio: &AudioConfig, config: &FeatureConfig) -> Result<Features> {
    let extractors = Extractors::new(audio, config)?;
    let features = || extractors.of(&audio::load_checked(file, audio)?.waveform);
    features().with_context(|| file.display().to_string())
}

/// One extractor for each sample rate. There are several only if recordings keep their sample
/// rates.
struct Extractors<'a> {
    config: &'a FeatureConfig,
    by_rate: Mutex<BTreeMap<u32, Arc<Extractor>>>,
}

impl<'a> Extractors<'a> {
    /// Checks the settings before the first recording is read; invalid settings are an error.
    fn new(audio: &AudioConfig, config: &'a FeatureConfig) -> Result<Self> {
        let mut by_rate = BTreeMap::new();
        if let SampleRate::Hz(rate) = audio.sample_rate {
            by_rate.insert(rate, Arc::new(Extractor::new(config, rate)?));
        }
        Ok(Extractors {
            config,
            by_rate: Mutex::new(by_rate),
        })
    }

    /// The features of a recording with speech.
    fn extract(&self, file: &Excerpt, audio: &AudioConfig) -> Result<Features> {
        let loaded = audio::load_excerpt(file, audio)?;
        loaded.check_speech()?;
        self.of(&loaded.waveform)
    }

    /// The features of a recording with or without speech.
    fn of_loaded(&self, loaded: &Loaded) -> Result<Extracted> {
        Ok(Extracted {
            features: self.of(&loaded.waveform)?,
            seconds: loaded.seconds,
            has_speech: loaded.has_speech,
            is_cancelled: loaded.is_cancelled,
        })
    }

    fn of(&self, waveform: &Waveform) -> Result<Features> {
        let extractor = self.for_rate(waveform.sample_rate)?;
        Ok(extractor.try_extract(waveform)?)
    }

    fn for_rate(&self, rate: u32) -> Result<Arc<Extractor>> {
        let mut by_rate = self
            .by_rate
            .lock()
            .map_err(|_| anyhow!("another recording failed"))?;
        if let Some(extractor) = by_rate.get(&rate) {
            return Ok(extractor.clone());
        }
        let extractor = Arc::new(Extractor::new(self.config, rate)?);
        by_rate.insert(rate, extractor.clone());
        Ok(extractor)
    }
}
