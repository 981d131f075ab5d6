//! Measurements of emovox for `scripts/compare` that no command of emovox makes.
//!
//! ```text
//! compare extract LIST [RATE]   recordings → MFCC of the files in LIST, with librosa's defaults
//! compare kernels LIST          MFCC alone, and the FFT alone on the same frames, one core
//! compare dump CONFIG DIR OUT   the features that a run with this config.toml trains on, as .npy
//! ```
//! The first two print a line of JSON.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use emovox::audio::{self, AudioConfig, Excerpt, SampleRate, Waveform};
use emovox::config::RunConfig;
use emovox::corpus;
use emovox::dataset::{FeatureDataset, extract_each, write_npy};
use emovox::device;
use emovox::features::{Extractor, FeatureConfig};
use realfft::RealFftPlanner;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["extract", list] => extract(&files(list)?, AudioConfig::default()),
        ["extract", list, rate] => extract(&files(list)?, at_rate(rate.parse()?)),
        ["kernels", list] => kernels(&files(list)?),
        ["dump", config, folder, out] => dump(config.as_ref(), folder.as_ref(), out.as_ref()),
        _ => bail!("compare extract LIST [RATE] | kernels LIST | dump CONFIG DIR OUT"),
    }
}

/// The paths in a text file, one on each line.
fn files(list: &str) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(list).with_context(|| format!("cannot read {list}"))?;
    Ok(text.lines().map(PathBuf::from).collect())
}

fn at_rate(hertz: u32) -> AudioConfig {
    AudioConfig {
        sample_rate: SampleRate::Hz(hertz),
        ..AudioConfig::default()
    }
}

/// Reading, resampling (by default to 22 050 Hz) and MFCCs, on `RAYON_NUM_THREADS` cores. As with the
/// peers, the first file is read once before the measurement. malloc is configured as in `emovox`.
fn extract(files: &[PathBuf], audio: AudioConfig) -> Result<()> {
    device::keep_freed_memory();
    let config = FeatureConfig::default();
    let files: Vec<Excerpt> = files.iter().map(Excerpt::from).collect();
    let frames = |files: &[Excerpt]| {
        extract_each(files, &audio, &config, |_, features| {
            features.map_or(0, |features| features.frames())
        })
    };
    frames(&files[..files.len().min(1)])?;
    let started = Instant::now();
    let frames: usize = frames(&files)?.iter().sum();
    let seconds = started.elapsed().as_secs_f64();
    println!("{{\"seconds\": {seconds}, \"frames\": {frames}}}");
    Ok(())
}

/// MFCCs of waveforms in memory at their own rate, and the time of the FFTs alone, which every program
/// with the same FFT needs.
fn kernels(files: &[PathBuf]) -> Result<()> {
    let config = FeatureConfig::default();
    let mut extractors = BTreeMap::new();
    let mut waveforms = Vec::new();
    for file in files {
        let waveform = audio::read(file)?;
        let rate = waveform.sample_rate;
        if let std::collections::btree_map::Entry::Vacant(place) = extractors.entry(rate) {
            place.insert(Extractor::new(&config, rate)?);
        }
        waveforms.push(waveform);
    }
    let mut frames = 0;
    let mut mfcc = |waveforms: &[Waveform]| {
        for waveform in waveforms {
            frames += extractors[&waveform.sample_rate].extract(waveform).frames();
        }
    };
    mfcc(&waveforms[..waveforms.len().min(1)]);
    let started = Instant::now();
    mfcc(&waveforms);
    let mfcc = started.elapsed();
    let fft = ffts(&waveforms, &config);
    println!(
        "{{\"seconds\": {}, \"fft\": {}, \"frames\": {frames}}}",
        mfcc.as_secs_f64(),
        fft.as_secs_f64()
    );
    Ok(())
}

/// The time of the FFTs alone. Framing is not measured.
fn ffts(waveforms: &[Waveform], config: &FeatureConfig) -> Duration {
    let (n_fft, hop) = (config.n_fft, config.hop_length);
    let plan = RealFftPlanner::<f32>::new().plan_fft_forward(n_fft);
    let (mut spectrum, mut scratch) = (plan.make_output_vec(), plan.make_scratch_vec());
    let mut total = Duration::ZERO;
    for waveform in waveforms {
        let mut padded = vec![0.0; n_fft / 2];
        padded.extend_from_slice(&waveform.samples);
        padded.resize(padded.len() + n_fft / 2, 0.0);
        let frames = padded.windows(n_fft).step_by(hop);
        let mut frames: Vec<Vec<f32>> = frames.map(<[f32]>::to_vec).collect();
        let started = Instant::now();
        for frame in &mut frames {
            plan.process_with_scratch(frame, &mut spectrum, &mut scratch)
                .expect("the plan made its buffers itself");
        }
        total += started.elapsed();
    }
    total
}

/// The features of a run, with its trimming, deltas and prosody, so that the peers train on the same
/// numbers.
fn dump(config: &Path, folder: &Path, out: &Path) -> Result<()> {
    let config = RunConfig::read(config)?;
    let corpus = corpus::scan(folder, config.data.corpus)?;
    let loaded = FeatureDataset::read(&corpus, &config.audio, &config.features, None, || {})?;
    for (clip, features) in loaded.clips.iter().zip(&loaded.features) {
        let place = out.join(&clip.file.path).with_extension("npy");
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        write_npy(features, &place)?;
    }
    Ok(())
}
