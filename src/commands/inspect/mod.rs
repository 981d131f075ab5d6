//! `emovox inspect`: pictures of recordings, and descriptions of corpora.

mod predict;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::folder::FolderArgs;
use super::models::open_or_builtin;
use super::output::{OutputArgs, check_picture_name};
use super::progress::bar;
use super::terminal::{print_error, print_text};
use super::{Runs, resolve, say};
use emovox::audio::{self, AudioConfig, SampleRate};
use emovox::corpus::SubsetWords;
use emovox::device::DeviceChoice;
use emovox::evaluation::argmax;
use emovox::features::FeatureConfig;
use emovox::inference::{NO_SPEECH, Predictor};
use emovox::inspection::{CorpusStats, Recording};
use emovox::io::write_output;
use emovox::reason::reason;
use emovox::report::{
    corpus_stats_png, corpus_stats_text, is_own_picture, isolated, recording_png,
};
use emovox::run::Outputs;

/// Draw recordings (waveform, mel spectrogram, MFCCs), or describe a corpus
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox inspect clip.wav                          draw clip.png, with predictions (built-in model)
  emovox inspect clip.wav --run ravdess-bilstm     features and predictions of that run over time
  emovox inspect clip.wav --sample-rate native     waveform, mel spectrogram and MFCCs alone
  emovox inspect *.wav --out pictures              one picture per recording
  emovox inspect data/tess                         describe a corpus: print tables, write tess.csv
                                                   (one line per clip) and tess.png

For a corpus, the command warns if a property other than the voice predicts the label, as the \
duration does in TESS (label leakage). A rule that predicts the class from this property alone is \
scored by balanced accuracy in five folds, and compared with chance and with shuffled labels.")]
pub struct InspectArgs {
    /// Recordings, or one folder with a corpus (or `demo`)
    #[arg(required = true, value_name = "FILE|DIR")]
    what: Vec<PathBuf>,
    /// Draw features and predictions of this run or bundle [default: the built-in model, without
    /// --sample-rate and --trim-db]
    #[arg(long, value_name = "RUN", conflicts_with_all = ["sample_rate", "trim_db"])]
    run: Option<String>,
    #[command(flatten)]
    runs: Runs,
    /// Output picture; for several recordings or a corpus, the output folder [default: current
    /// folder]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// No predictions: sample rate to resample to, in hertz, or `native` for no resampling
    #[arg(long, value_name = "HZ")]
    sample_rate: Option<SampleRate>,
    /// No predictions: trim silence at both ends, frames more than this many decibels below the
    /// loudest frame
    #[arg(long, value_name = "DB")]
    trim_db: Option<f32>,
    /// Length of a window in seconds, for the probabilities over time [default: 1.0]
    #[arg(long, value_name = "S", conflicts_with_all = ["sample_rate", "trim_db"])]
    window: Option<f64>,
    /// Distance between two windows in seconds [default: 0.1]
    #[arg(long, value_name = "S", conflicts_with_all = ["sample_rate", "trim_db"])]
    hop: Option<f64>,
    #[command(flatten)]
    folder: FolderArgs,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,
}

pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    let is_corpus = |path: &PathBuf| path.is_dir() || path.as_os_str() == "demo";
    match args.what.as_slice() {
        [folder] if is_corpus(folder) => {
            let for_recordings = [
                ("--run", args.run.is_some()),
                ("--sample-rate", args.sample_rate.is_some()),
                ("--trim-db", args.trim_db.is_some()),
                ("--window", args.window.is_some()),
                ("--hop", args.hop.is_some()),
            ];
            let given = for_recordings.iter().find(|(_, is_given)| *is_given);
            if let Some((flag, _)) = given {
                bail!("{flag} is for recordings; give recordings instead of a folder");
            }
            inspect_corpus(args, folder)
        }
        files => {
            if let Some(folder) = files.iter().find(|file| is_corpus(file)) {
                bail!(
                    "{} is a folder; inspect it without other arguments",
                    folder.display()
                );
            }
            if let Some(flag) = args.folder.given() {
                bail!("{flag} is for a corpus; give its folder instead of recordings");
            }
            inspect_files(args, files)
        }
    }
}

fn inspect_corpus(args: &InspectArgs, folder: &Path) -> Result<ExitCode> {
    let corpus = args.folder.open(folder, SubsetWords::default())?;
    for line in corpus.rules.iter().chain(&corpus.notes) {
        say!("{line}");
    }
    let out = args.out.clone().unwrap_or_else(|| ".".into());
    make_folder(&out)?;
    let whole = std::fs::canonicalize(&corpus.folder).unwrap_or_else(|_| corpus.folder.clone());
    // The root of the file system has no name.
    let name = whole.file_name().unwrap_or("corpus".as_ref());
    let name = name.to_string_lossy();
    let (csv, picture) = (
        out.join(format!("{name}.csv")),
        out.join(format!("{name}.png")),
    );
    let mut outputs = args.output.outputs();
    for clip in &corpus.clips {
        outputs.protect(&corpus.recording(clip).path);
    }
    outputs.check(&csv, CorpusStats::is_own_csv)?;
    outputs.check(&picture, is_own_picture)?;
    let bar = bar(corpus.clips.len(), "recordings", "clips");
    let stats = CorpusStats::read(&corpus, || bar.inc(1));
    bar.finish_and_clear();
    stats.write_csv(&csv)?;
    write(&picture, &corpus_stats_png(&stats)?)?;
    print_text(
        &(corpus_stats_text(&stats)
            + "
"),
    );
    say!("wrote {} and {}", csv.display(), picture.display());
    Ok(ExitCode::SUCCESS)
}

fn inspect_files(args: &InspectArgs, files: &[PathBuf]) -> Result<ExitCode> {
    let predictor = if args.sample_rate.is_none() && args.trim_db.is_none() {
        let trained = open_or_builtin(&args.runs.runs_dir, args.run.as_deref())?;
        Some(Predictor::of(trained, resolve(args.device)?)?)
    } else {
        None
    };
    let mut names = Names::new(args, files.len())?;
    let mut outputs = args.output.outputs();
    files.iter().for_each(|file| outputs.protect(file));
    if let Some(name) = &args.run {
        outputs.protect_run(&args.runs.runs_dir, name);
    }
    let mut failed = false;
    for file in files {
        let picture = names.of(file);
        // After an error, the other recordings are still drawn.
        match draw(args, predictor.as_ref(), &mut outputs, file, &picture) {
            Ok(description) => say!(
                "{}: {description}; drew {}",
                file.display(),
                picture.display()
            ),
            Err(error) => {
                failed = true;
                print_error(&reason(&error));
            }
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Draws a recording, and returns its description.
fn draw(
    args: &InspectArgs,
    predictor: Option<&Predictor>,
    outputs: &mut Outputs,
    file: &Path,
    picture: &Path,
) -> Result<String> {
    outputs.check(picture, is_own_picture)?;
    check_picture_name(picture)?;
    let title = file
        .file_name()
        .unwrap_or(file.as_os_str())
        .to_string_lossy();
    let Some(predictor) = predictor else {
        let sample_rate = args.sample_rate.unwrap_or(SampleRate::Native);
        let audio = AudioConfig {
            sample_rate,
            trim_db: args.trim_db,
            ..AudioConfig::default()
        };
        let recording = Recording::read(file, &audio, &picture_features(file, sample_rate)?)?;
        write(picture, &recording_png(&recording, None, &title, None)?)?;
        return Ok(recording.facts().join("; "));
    };
    let config = predictor.config();
    let recording = Recording::read(file, &config.audio, &config.features)?;
    let predictions = if recording.has_speech {
        let (window, hop) = (args.window.unwrap_or(1.0), args.hop.unwrap_or(0.1));
        let predicted = predict::predictions(predictor, &recording, window, hop);
        Some(predicted.with_context(|| file.display().to_string())?)
    } else {
        None
    };
    let output = match &predictions {
        Some(predictions) => {
            let best = argmax(&predictions.whole);
            let label = isolated(&predictions.classes[best]).to_string();
            format!("{label} {:.0} %", 100.0 * predictions.whole[best])
        }
        None => NO_SPEECH.to_string(),
    };
    let note = config
        .data
        .is_synthetic()
        .then_some("this model was trained on synthetic speech only");
    let png = recording_png(
        &recording,
        predictions.as_ref(),
        &format!("{title}: {output}"),
        note,
    )?;
    write(picture, &png)?;
    Ok(format!("{output}; {}", recording.facts().join("; ")))
}

fn write(picture: &Path, png: &[u8]) -> Result<()> {
    write_output(picture, |file| Ok(file.write_all(png)?))
}

/// Feature settings for a picture: frames of about 60 ms every 8 ms, with a resolution in time for
/// syllables and in frequency for the harmonics of a voice.
fn picture_features(file: &Path, rate: SampleRate) -> Result<FeatureConfig> {
    let rate = match rate {
        SampleRate::Hz(rate) => rate,
        SampleRate::Native => {
            audio::probe(file)
                .with_context(|| file.display().to_string())?
                .sample_rate
        }
    };
    let n_fft = (rate as usize / 25).next_power_of_two();
    let n_mels = 128.min(n_fft / 4);
    Ok(FeatureConfig {
        n_fft,
        hop_length: n_fft / 8,
        n_mels,
        n_mfcc: 40.min(n_mels),
        ..FeatureConfig::default()
    })
}

/// Names of the pictures.
struct Names {
    /// The picture that --out names, for a single recording.
    given: Option<PathBuf>,
    folder: PathBuf,
    taken: BTreeSet<String>,
}

impl Names {
    fn new(args: &InspectArgs, files: usize) -> Result<Names> {
        let out = args.out.clone().unwrap_or_else(|| ".".into());
        let is_picture = out
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("png"));
        let given = (files == 1 && is_picture && !out.is_dir()).then(|| out.clone());
        if given.is_none() {
            make_folder(&out)?;
        }
        Ok(Names {
            given,
            folder: out,
            taken: BTreeSet::new(),
        })
    }

    /// The path for the picture of `file`: the name of the recording, with a number if that is
    /// taken.
    fn of(&mut self, file: &Path) -> PathBuf {
        if let Some(given) = &self.given {
            return given.clone();
        }
        let stem = file
            .file_stem()
            .unwrap_or(file.as_os_str())
            .to_string_lossy();
        let numbered = (2..).map(|number| format!("{stem}-{number}.png"));
        let mut names = std::iter::once(format!("{stem}.png")).chain(numbered);
        let name = names
            .find(|name| self.taken.insert(name.clone()))
            .unwrap_or_default();
        self.folder.join(name)
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}
