//! `emovox features`: MFCCs as NumPy files, to compare with other programs or to feed them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::progress::bar;
use super::tell_skipped;
use emovox::audio::{AudioConfig, SampleRate};
use emovox::corpus::{Found, Skipped, find_recordings};
use emovox::dataset::{extract_each, extract_one, write_npy};
use emovox::features::{FeatureConfig, Features};

/// Writes the MFCCs of recordings as .npy files (frames × coefficients, float32)
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox features clip.wav --out clip.npy
      with librosa's defaults, so in Python this is the same matrix, transposed:
      y, sr = librosa.load('clip.wav'); librosa.feature.mfcc(y=y, sr=sr, n_mfcc=40)
  emovox features data/ravdess --out mfcc --sample-rate native --n-mfcc 13
      one mfcc/….npy per recording, each at its own sample rate
  emovox features clip.wav --out clip.npy --top-db off --lifter 22")]
pub struct FeaturesArgs {
    /// A WAV file, or a folder that holds some
    #[arg(value_name = "FILE|DIR")]
    recordings: PathBuf,
    /// The .npy file; for a folder, the folder to put one .npy per recording in
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Hertz to resample to, or `native` to keep the file's own
    #[arg(long, value_name = "HZ", default_value = "22050")]
    sample_rate: SampleRate,
    /// Coefficients per frame
    #[arg(long, value_name = "N", default_value = "40")]
    n_mfcc: usize,
    /// Samples per FFT
    #[arg(long, value_name = "N", default_value = "2048")]
    n_fft: usize,
    /// Samples under the window [default: n_fft]
    #[arg(long, value_name = "N")]
    win_length: Option<usize>,
    /// Samples from one frame to the next
    #[arg(long, value_name = "N", default_value = "512")]
    hop_length: usize,
    /// Mel bands
    #[arg(long, value_name = "N", default_value = "128")]
    n_mels: usize,
    /// Lower edge of the mel bands, in hertz
    #[arg(long, value_name = "HZ", default_value = "0")]
    fmin: f32,
    /// Upper edge of the mel bands [default: half the sample rate]
    #[arg(long, value_name = "HZ")]
    fmax: Option<f32>,
    /// Floor below the loudest band, in dB, or `off`
    #[arg(long, value_name = "DB", default_value = "80", value_parser = decibels)]
    top_db: Decibels,
    /// Cepstral lifter; 0 is none
    #[arg(long, value_name = "L", default_value = "0")]
    lifter: f32,
    /// 1: append deltas; 2: delta-deltas too
    #[arg(long, value_name = "N", default_value = "0")]
    deltas: usize,
    /// Append pitch, voicing and loudness (and their deltas)
    #[arg(long)]
    prosody: bool,
}

/// A number of decibels, or `off`.
#[derive(Clone, Copy)]
struct Decibels(Option<f32>);

fn decibels(text: &str) -> Result<Decibels, String> {
    match text {
        "off" => Ok(Decibels(None)),
        _ => text
            .parse()
            .map(|decibels| Decibels(Some(decibels)))
            .map_err(|_| format!("'{text}' is neither a number of decibels nor `off`")),
    }
}

pub fn run(args: FeaturesArgs) -> Result<ExitCode> {
    let audio = AudioConfig {
        sample_rate: args.sample_rate,
        trim_db: None,
    };
    let config = FeatureConfig {
        n_mfcc: args.n_mfcc,
        n_fft: args.n_fft,
        win_length: args.win_length,
        hop_length: args.hop_length,
        n_mels: args.n_mels,
        fmin: args.fmin,
        fmax: args.fmax,
        top_db: args.top_db.0,
        lifter: args.lifter,
        deltas: args.deltas,
        prosody: args.prosody,
    };
    if args.recordings.is_dir() {
        return folder(&args.recordings, &args.out, &audio, &config);
    }
    ensure!(
        !args.out.is_dir(),
        "{} is a folder; for one recording --out names the .npy file",
        args.out.display()
    );
    let features = extract_one(&args.recordings, &audio, &config)?;
    write_npy(&features, &args.out)?;
    println!(
        "{}: {} frames × {} coefficients",
        args.out.display(),
        features.frames(),
        features.coefficients()
    );
    Ok(ExitCode::SUCCESS)
}

/// One `.npy` per recording, in the same subfolders.
fn folder(
    recordings: &Path,
    out: &Path,
    audio: &AudioConfig,
    config: &FeatureConfig,
) -> Result<ExitCode> {
    let Found {
        recordings: names,
        mut skipped,
    } = find_recordings(recordings);
    if names.is_empty() {
        bail!("no WAV file in {}", recordings.display());
    }
    let progress = bar(names.len(), "features", "clips");
    let files: Vec<PathBuf> = names.iter().map(|name| recordings.join(name)).collect();
    let results = extract_each(&files, audio, config, |file, features| {
        progress.inc(1);
        match features {
            Ok(features) => write_below(out, recordings, file, &features).map(|()| None),
            Err(reason) => Ok(Some(Skipped {
                file: file.into(),
                reason,
            })),
        }
    })?;
    let unreadable: Vec<Option<Skipped>> = results.into_iter().collect::<Result<_>>()?;
    let unreadable: Vec<Skipped> = unreadable.into_iter().flatten().collect();
    let written = files.len() - unreadable.len();
    skipped.extend(unreadable);
    progress.finish_and_clear();
    tell_skipped(&skipped);
    println!(
        "{}: {written} recordings, {} skipped",
        out.display(),
        skipped.len()
    );
    Ok(if skipped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Puts a recording's features at the same place in `out` as it has in `recordings`.
fn write_below(out: &Path, recordings: &Path, file: &Path, features: &Features) -> Result<()> {
    let name = file.strip_prefix(recordings).unwrap_or(file);
    let place = out.join(name).with_extension("npy");
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
    }
    write_npy(features, &place)
}
