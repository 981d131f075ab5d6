//! `emovox features`: export of MFCCs for other programs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use super::list::ListArgs;
use super::output::{OutputArgs, report_written};
use super::progress::bar;
use super::{Runs, open_data, tell_skipped, warning};
use emovox::audio::{AudioConfig, SampleRate};
use emovox::corpus::{CorpusError, Skipped, find_recordings};
use emovox::dataset::extract_one;
use emovox::export::{
    Described, FeatureFormat, LabeledFile, check_features, describe, is_own_matrix, write_features,
    write_matrix,
};
use emovox::features::FeatureConfig;
use emovox::inference::Trained;
use emovox::plural::counted;
use emovox::run::Outputs;

/// Write the MFCCs of recordings (frames × coefficients, float32) for NumPy and other programs
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox features clip.wav --out clip.npy
      with librosa's defaults; the transposed matrix in Python:
      y, sr = librosa.load('clip.wav'); librosa.feature.mfcc(y=y, sr=sr, n_mfcc=40)
  emovox features data/ravdess --out mfcc --sample-rate native --n-mfcc 13
      one file mfcc/….npy per recording, each with the sample rate of the recording
  emovox features clip.wav --out clip.npy --top-db off --lifter 22
  emovox features data/emodb --out emodb.npz --run emodb-bilstm
      a whole corpus in one file, with the feature settings of that run
      in Python: numpy.load('emodb.npz')['wav/03a01Fa']
  emovox features --manifest calls.csv --out mfcc
      the recordings of a manifest; a segment has its times in its name: mfcc/call_1.250-3.750.npy

Formats: .npy and .txt have one file per recording; .npz, .safetensors and .csv one file for all \
(a .csv has one line per frame). For a folder or a manifest, a table is written in addition, \
metadata.csv or NAME.metadata.csv: name, file, label, speaker, frames, coefficients, sample rate \
and hop length of each recording, and start and end in seconds if there are segments.")]
pub struct FeaturesArgs {
    /// Recording, or folder with recordings
    #[arg(
        value_name = "FILE|DIR",
        required_unless_present = "manifest",
        // clap drops the requirement of a manifest, which conflicts.
        conflicts_with_all = ["manifest", "root", "label_map", "column"]
    )]
    recordings: Option<PathBuf>,
    #[command(flatten)]
    list: ListArgs,
    /// Output file; for .npy and .txt of a folder or a manifest, the output folder
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    /// Output format [default: by the extension of --out, otherwise npy]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// Take the settings from this run (name below runs/, folder or bundle) instead of the flags
    /// below
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "sample_rate", "n_mfcc", "n_fft", "win_length", "hop_length", "n_mels", "fmin", "fmax", "top_db",
        "lifter", "deltas", "prosody"])]
    run: Option<String>,
    #[command(flatten)]
    runs: Runs,
    /// Sample rate to resample to, in hertz, or `native` for no resampling
    #[arg(long, value_name = "HZ", default_value = "22050")]
    sample_rate: SampleRate,
    /// Coefficients per frame
    #[arg(long, value_name = "N", default_value = "40")]
    n_mfcc: usize,
    /// Samples per FFT
    #[arg(long, value_name = "N", default_value = "2048")]
    n_fft: usize,
    /// Length of the window in samples [default: n_fft]
    #[arg(long, value_name = "N")]
    win_length: Option<usize>,
    /// Distance between two frames in samples
    #[arg(long, value_name = "N", default_value = "512")]
    hop_length: usize,
    /// Number of mel bands
    #[arg(long, value_name = "N", default_value = "128")]
    n_mels: usize,
    /// Lower edge of the mel bands, in hertz
    #[arg(long, value_name = "HZ", default_value = "0")]
    fmin: f32,
    /// Upper edge of the mel bands, in hertz [default: half the sample rate]
    #[arg(long, value_name = "HZ")]
    fmax: Option<f32>,
    /// Dynamic range below the loudest band in dB, or `off`
    #[arg(long, value_name = "DB", default_value = "80", value_parser = decibels)]
    top_db: Decibels,
    /// Cepstral lifter; 0 disables it
    #[arg(long, value_name = "L", default_value = "0")]
    lifter: f32,
    /// Order of the deltas to append: 0, 1, or 2 (deltas and delta-deltas)
    #[arg(long, value_name = "N", default_value = "0")]
    deltas: usize,
    /// Append pitch, voicing and loudness (and their deltas)
    #[arg(long)]
    prosody: bool,
}

/// The values of --format.
#[derive(Clone, Copy, ValueEnum)]
enum FormatName {
    /// One NumPy array per recording
    Npy,
    /// One NumPy archive for all recordings
    Npz,
    /// One safetensors file for all recordings
    Safetensors,
    /// One table for all recordings, one line per frame
    Csv,
    /// One text file per recording: one line per frame, separated by spaces
    Plain,
}

impl From<FormatName> for FeatureFormat {
    fn from(name: FormatName) -> FeatureFormat {
        match name {
            FormatName::Npy => FeatureFormat::Npy,
            FormatName::Npz => FeatureFormat::Npz,
            FormatName::Safetensors => FeatureFormat::Safetensors,
            FormatName::Csv => FeatureFormat::Csv,
            FormatName::Plain => FeatureFormat::Plain,
        }
    }
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

/// Rejects an output with an unknown extension, if nothing else tells the format.
fn check_ending(out: &Path, format: Option<FeatureFormat>) -> Result<()> {
    if let (None, Some(ending), false) = (format, out.extension(), out.is_dir()) {
        bail!(
            "there is no format .{}; use .npy, .npz, .safetensors, .csv or --format, or the name of a \
             folder for the recordings of a folder",
            ending.display()
        );
    }
    Ok(())
}

pub fn run(args: FeaturesArgs) -> Result<ExitCode> {
    let (audio, config) = args.settings()?;
    let named = args.format.map(FeatureFormat::from);
    let format = named.or(FeatureFormat::of(&args.out));
    let mut outputs = args.output.outputs();
    if let Some(run) = &args.run {
        outputs.protect_run(&args.runs.runs_dir, run);
    }
    args.list.protect(&mut outputs);
    let many = match &args.recordings {
        Some(file) if !file.is_dir() => None,
        Some(folder) => Some(Many::in_folder(folder)?),
        None => Some(args.listed()?),
    };
    if let Some(many) = many {
        check_ending(&args.out, format)?;
        // A name without an extension is a folder.
        let format = format.unwrap_or(FeatureFormat::Npy);
        let out = (args.out.as_path(), format);
        return many.write(out, &mut outputs, &audio, &config);
    }
    let recording = args.recordings.unwrap_or_default();
    ensure!(
        !args.out.is_dir(),
        "{} is a folder; for one recording, --out must be a file",
        args.out.display()
    );
    let features = extract_one(&recording, &audio, &config)?;
    let named = format;
    let format = format.unwrap_or(FeatureFormat::Npy);
    outputs.protect(&recording);
    outputs.check(&args.out, |file| is_own_matrix(file, &features, format))?;
    check_ending(&args.out, named)?;
    write_matrix(&features, &recording, (&args.out, format))?;
    let line = format!(
        "{}: {} frames × {} coefficients",
        args.out.display(),
        features.frames(),
        features.coefficients()
    );
    report_written(&args.out, &line);
    Ok(ExitCode::SUCCESS)
}

impl FeaturesArgs {
    /// The recordings of the manifest.
    fn listed(&self) -> Result<Many> {
        let data = self.list.data()?;
        let corpus = open_data(&data.context("--manifest or a folder is needed")?)?;
        for note in &corpus.notes {
            warning!("{note}");
        }
        Ok(Many {
            recordings: corpus.clips.iter().map(LabeledFile::from).collect(),
            folder: corpus.folder,
            skipped: corpus.skipped,
        })
    }

    /// The settings of the run if --run is given, otherwise those of the flags.
    fn settings(&self) -> Result<(AudioConfig, FeatureConfig)> {
        if let Some(name) = &self.run {
            let run = Trained::open(&self.runs.runs_dir, name)?;
            return Ok((run.config().audio.clone(), run.config().features.clone()));
        }
        let audio = AudioConfig {
            sample_rate: self.sample_rate,
            trim_db: None,
            ..AudioConfig::default()
        };
        let config = FeatureConfig {
            n_mfcc: self.n_mfcc,
            n_fft: self.n_fft,
            win_length: self.win_length,
            hop_length: self.hop_length,
            n_mels: self.n_mels,
            fmin: self.fmin,
            fmax: self.fmax,
            top_db: self.top_db.0,
            lifter: self.lifter,
            deltas: self.deltas,
            prosody: self.prosody,
            ..FeatureConfig::default()
        };
        Ok((audio, config))
    }
}

/// Recordings of a folder or a manifest.
struct Many {
    folder: PathBuf,
    recordings: Vec<LabeledFile>,
    skipped: Vec<Skipped>,
}

impl Many {
    /// All recordings below a folder.
    fn in_folder(folder: &Path) -> Result<Many> {
        let found = find_recordings(folder)?;
        found.require(folder)?;
        let Described {
            recordings,
            without_labels,
        } = describe(folder, &found.recordings);
        // Recordings of no corpus are the usual case.
        if let Some(error) = without_labels
            && !matches!(error, CorpusError::UnknownNames { .. })
        {
            warning!("labels and speakers are left empty: {error}");
        }
        Ok(Many {
            folder: folder.into(),
            recordings,
            skipped: found.skipped,
        })
    }

    /// Writes the features of all recordings, and the table of the recordings.
    fn write(
        mut self,
        (out, format): (&Path, FeatureFormat),
        outputs: &mut Outputs,
        audio: &AudioConfig,
        config: &FeatureConfig,
    ) -> Result<ExitCode> {
        ensure!(
            format.is_folder() || !out.is_dir(),
            "{} is a folder; --out must be the one file for all features",
            out.display()
        );
        for recording in &self.recordings {
            outputs.protect(&recording.file.below(&self.folder).path);
        }
        check_features(outputs, &self.recordings, (out, format))?;
        let count = self.recordings.len();
        let progress = bar(count, "features", "clips");
        let unreadable = write_features(
            &self.folder,
            &self.recordings,
            audio,
            config,
            (out, format),
            || progress.inc(1),
        )?;
        progress.finish_and_clear();
        let written = count - unreadable.len();
        self.skipped.extend(unreadable);
        tell_skipped(&self.skipped);
        let line = format!(
            "{}: {}, {} skipped",
            out.display(),
            counted(written, "recording"),
            self.skipped.len()
        );
        report_written(out, &line);
        Ok(if self.skipped.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
