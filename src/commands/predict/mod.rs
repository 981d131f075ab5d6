//! `emovox predict`: predictions of a trained run for recordings.

mod formats;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;

use super::bars::clock;
use super::output::OutputArgs;
use super::progress::bar;
use super::{Runs, tell_skipped, terminal, warning};
use emovox::audio::probe;
use emovox::corpus::{Skipped, find_recordings};
use emovox::device::DeviceChoice;
use emovox::inference::{Predictor, Segment, Trained, Windowing};
use emovox::io::write_output;
use formats::{Answer, Format, Text};

/// Predict the emotion in recordings with any sample rate, channels and length
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox predict ravdess-bilstm my-voice.wav          one recording
  emovox predict ravdess-bilstm interviews/           a folder with all its subfolders
  emovox predict ravdess-bilstm *.wav --csv > x.csv   a table for a spreadsheet
  emovox predict ravdess-bilstm talk.wav --window 3   a long recording, window by window
  emovox predict ravdess-bilstm talk.wav --window 3 --hop 0.5 --smooth 3 \\
      --format audacity --out talk.txt                a label track for Audacity
  emovox predict ravdess-bilstm talk.wav --window 3 --format webvtt --out talk.vtt    subtitles

With --window, the recording is divided into overlapping windows. The prediction for a hop is the mean
of the log-probabilities of all windows that contain its centre; consecutive hops with the same label
are one segment.

Recordings that cannot be read are listed on standard error; the others are predicted, and the exit
code is 1.")]
pub struct PredictArgs {
    /// Run: its name below runs/, its folder, or its bundle
    run: String,
    /// WAV files, or folders with WAV files
    #[arg(required = true, value_name = "FILE|DIR")]
    recordings: Vec<PathBuf>,
    #[command(flatten)]
    runs: Runs,
    /// Predict windows of this length instead of whole recordings
    #[arg(long, value_name = "SECONDS")]
    window: Option<f64>,
    /// Distance between two windows [default: 1, or the window if that is shorter]
    #[arg(long, value_name = "SECONDS", requires = "window")]
    hop: Option<f64>,
    /// Average the predictions over this time around each hop
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "window",
        default_value_t = 0.0
    )]
    smooth: f64,
    /// Output format
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    format: FormatName,
    /// The same as --format json
    #[arg(long, conflicts_with_all = ["csv", "format"])]
    json: bool,
    /// The same as --format csv
    #[arg(long, conflicts_with = "format")]
    csv: bool,
    /// Output file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
}

/// The values of --format.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum FormatName {
    /// A table for people
    Table,
    /// One JSON array
    Json,
    /// One JSON object per line
    Jsonl,
    /// Columns file, start, end, label, and one probability per class
    Csv,
    /// A label track for Audacity
    Audacity,
    /// Subtitles for a video player or a browser
    Webvtt,
}

pub fn run(args: PredictArgs) -> Result<ExitCode> {
    let windowing = args.windowing();
    if let Some(windowing) = &windowing {
        windowing.validate()?;
    }
    let files = recordings(&args.recordings)?;
    let format = args.format();
    ensure!(
        files.len() == 1 || !format.is_a_track(),
        "Audacity labels and WebVTT are for one recording, but there are {}; give one recording, or \
         use --format csv",
        files.len()
    );
    let trained = Trained::open(&args.runs.runs_dir, &args.run)?;
    if let Some(out) = &args.out {
        let mut outputs = args.output.outputs();
        outputs.protect_run(&args.runs.runs_dir, &args.run);
        files.iter().for_each(|file| outputs.protect(file));
        let classes = &trained.config().data.classes;
        outputs.check(out, |file| formats::is_own(file, format, classes))?;
    }
    let predictor = Predictor::of(trained, args.device.resolve()?)?;
    if predictor.config().data.is_synthetic() {
        warning!(
            "note: this model was trained on synthetic speech only; its predictions for human speech mean \
             little"
        );
    }
    let seconds: Vec<Option<f64>> = files.iter().map(|file| seconds(file)).collect();
    let readable = files
        .iter()
        .zip(&seconds)
        .filter(|(_, seconds)| seconds.is_some());
    let names: Vec<String> = readable.map(|(file, _)| name(file)).collect();
    let mut out = Output {
        text: Text::new(format, predictor.classes(), &names),
        kept: args.out.is_some().then(Vec::new),
        answers: 0,
    };
    let skipped = match &windowing {
        Some(windowing) => predict_windows(&predictor, &files, &seconds, windowing, &mut out)?,
        None => {
            warn_of_long(&files, &seconds);
            predict_whole(&predictor, &files, format.is_a_track(), &mut out)?
        }
    };
    tell_skipped(&skipped);
    let answers = out.answers;
    match (&args.out, out.end()?) {
        // Without predictions nothing is written, and an existing file stays.
        (Some(_), _) if answers == 0 => {}
        (Some(path), text) => write_output(path, |file| Ok(file.write_all(&text)?))?,
        (None, _) => {}
    }
    Ok(if skipped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl PredictArgs {
    fn windowing(&self) -> Option<Windowing> {
        self.window.map(|window| Windowing {
            window,
            hop: self.hop.unwrap_or(Windowing::default().hop.min(window)),
            smooth: self.smooth,
        })
    }

    fn format(&self) -> Format {
        let windows = self.window.is_some();
        match self.format {
            _ if self.json => Format::Json,
            _ if self.csv => Format::Csv { windows },
            FormatName::Table => Format::Table { windows },
            FormatName::Json => Format::Json,
            FormatName::Jsonl => Format::JsonLines,
            FormatName::Csv => Format::Csv { windows },
            FormatName::Audacity => Format::Audacity,
            FormatName::Webvtt => Format::WebVtt,
        }
    }
}

/// The output of the predictions: to standard output one by one, or to a file when all are
/// complete.
struct Output {
    text: Text,
    /// The text for a file; `None` for standard output.
    kept: Option<Vec<u8>>,
    answers: usize,
}

impl Output {
    /// Outputs the predictions for a recording.
    fn take(&mut self, answers: Vec<Answer>, progress: &ProgressBar) -> Result<()> {
        self.answers += answers.len();
        let text = self.text.next(answers)?;
        match &mut self.kept {
            Some(kept) => kept.extend(text),
            None => {
                let format = self.text.format();
                progress.suspend(|| formats::print(format, &text));
                terminal::check()?;
            }
        }
        Ok(())
    }

    /// Ends the text, and returns the whole text for a file; nothing for standard output.
    fn end(self) -> Result<Vec<u8>> {
        let format = self.text.format();
        let end = self.text.end()?;
        match self.kept {
            Some(kept) => Ok([kept, end].concat()),
            None => {
                formats::print(format, &end);
                Ok(Vec::new())
            }
        }
    }
}

/// Outputs one prediction per recording, with its duration if `spans` is true. Returns the skipped
/// recordings.
fn predict_whole(
    predictor: &Predictor,
    files: &[PathBuf],
    spans: bool,
    out: &mut Output,
) -> Result<Vec<Skipped>> {
    let progress = bar(files.len(), "predicting", "clips");
    let mut skipped = Vec::new();
    let predicted = predictor.predict_each(
        files,
        || progress.inc(1),
        |prediction| match prediction {
            Ok(prediction) => {
                let span = if spans {
                    Some((0.0, probe(&prediction.file)?.seconds))
                } else {
                    None
                };
                let answer = Answer {
                    file: name(&prediction.file),
                    span,
                    label: prediction.label,
                    probability: prediction.probabilities.iter().copied().fold(0.0, f32::max),
                    probabilities: prediction.probabilities,
                };
                out.take(vec![answer], &progress)
            }
            Err(left_out) => {
                skipped.push(left_out);
                Ok(())
            }
        },
    );
    progress.finish_and_clear();
    predicted.map(|()| skipped)
}

/// Outputs one prediction per segment of each recording. Returns the skipped recordings.
fn predict_windows(
    predictor: &Predictor,
    files: &[PathBuf],
    seconds: &[Option<f64>],
    windowing: &Windowing,
    out: &mut Output,
) -> Result<Vec<Skipped>> {
    let total: f64 = seconds.iter().flatten().sum();
    let progress = bar(total.ceil() as usize, "predicting", "seconds");
    let mut skipped = Vec::new();
    let mut read = 0.0;
    for file in files {
        let segments = predictor.segments(file, windowing, |more| {
            read += more;
            progress.set_position(read as u64);
        });
        match segments {
            Ok(segments) => {
                let answer = |segment: Segment| Answer {
                    file: name(file),
                    span: Some((segment.start, segment.end)),
                    label: segment.label,
                    probability: segment.probability,
                    probabilities: segment.probabilities,
                };
                out.take(segments.into_iter().map(answer).collect(), &progress)?;
            }
            Err(error) => skipped.push(Skipped {
                file: file.clone(),
                reason: format!("{error:#}"),
            }),
        }
    }
    progress.finish_and_clear();
    Ok(skipped)
}

/// The length of a recording in seconds; `None` if it cannot be read.
fn seconds(file: &Path) -> Option<f64> {
    probe(file).ok().map(|info| info.seconds)
}

/// Warns of recordings that are much longer than training clips: the first ones by name, the others
/// as a count.
fn warn_of_long(files: &[PathBuf], seconds: &[Option<f64>]) {
    const LONG: f64 = 60.0;
    const SHOWN: usize = 10;
    let long = files.iter().zip(seconds);
    let long: Vec<(&PathBuf, f64)> = long
        .filter_map(|(file, &seconds)| Some((file, seconds?)))
        .filter(|(_, seconds)| *seconds > LONG)
        .collect();
    for (file, seconds) in long.iter().take(SHOWN) {
        warning!(
            "warning: {} has a length of {}, and gets a single prediction; --window 3 predicts windows of 3 s",
            file.display(),
            clock(*seconds)
        );
    }
    if long.len() > SHOWN {
        warning!("… and {} more", long.len() - SHOWN);
    }
}

/// The given files, and the recordings in the given folders.
fn recordings(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            let inside = find_recordings(path)?;
            if inside.recordings.is_empty() {
                bail!("no WAV file in {}", path.display());
            }
            tell_skipped(&inside.skipped);
            files.extend(inside.recordings.iter().map(|file| path.join(file)));
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn name(file: &Path) -> String {
    file.to_string_lossy().into_owned()
}
