//! `emovox predict`: what a trained run hears in recordings.

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
use emovox::run::write_output;
use formats::{Answer, Format, Text};

/// Tells the emotion in recordings of any sample rate, channels and length
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox predict ravdess-bilstm my-voice.wav          one recording
  emovox predict ravdess-bilstm interviews/           a folder with all its subfolders
  emovox predict ravdess-bilstm *.wav --csv > x.csv   a table for a spreadsheet
  emovox predict ravdess-bilstm talk.wav --window 3   who feels what when in a long one
  emovox predict ravdess-bilstm talk.wav --window 3 --hop 0.5 --smooth 3 \\
      --format audacity --out talk.txt                labels to lay under it in Audacity
  emovox predict ravdess-bilstm talk.wav --window 3 --format webvtt --out talk.vtt    subtitles

With --window a recording is heard window by window. A hop's answer is the mean of the
log-probabilities of all windows that hold its middle; neighbours with the same label are one
segment.

A recording that cannot be read is named on standard error; the others are predicted all the same,
and the exit code is 1.")]
pub struct PredictArgs {
    /// The run: its name below runs/, its folder, or its bundle
    run: String,
    /// WAV files, or folders that hold some
    #[arg(required = true, value_name = "FILE|DIR")]
    recordings: Vec<PathBuf>,
    #[command(flatten)]
    runs: Runs,
    /// Hear windows of this length instead of each recording as a whole
    #[arg(long, value_name = "SECONDS")]
    window: Option<f64>,
    /// From one window to the next [default: 1, or the window if that is shorter]
    #[arg(long, value_name = "SECONDS", requires = "window")]
    hop: Option<f64>,
    /// Take the mean over this much time around each hop as well
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "window",
        default_value_t = 0.0
    )]
    smooth: f64,
    /// How to write it down
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    format: FormatName,
    /// The same as --format json
    #[arg(long, conflicts_with_all = ["csv", "format"])]
    json: bool,
    /// The same as --format csv
    #[arg(long, conflicts_with = "format")]
    csv: bool,
    /// The file to write, instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
}

/// The formats that --format names.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum FormatName {
    /// For people
    Table,
    /// One array
    Json,
    /// One object a line
    Jsonl,
    /// file, start, end, label, a probability per class
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
        "Audacity labels and WebVTT belong to one recording, and {} were named; name them one by one, \
         or take --format csv",
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
            "note: this model has heard synthetic speech only; what it says of people means little"
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
        // Of nothing there is nothing to write, and what was there stays.
        (Some(_), _) if answers == 0 => {}
        (Some(place), text) => write_output(place, |file| Ok(file.write_all(&text)?))?,
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

/// The answers on their way out: to standard output as they come, or into a file once all are there.
struct Output {
    text: Text,
    /// The text for a file.
    kept: Option<Vec<u8>>,
    answers: usize,
}

impl Output {
    /// The answers about a recording.
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

    /// Ends the text; what goes into a file comes back.
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

/// One answer for each recording; with its duration, where that is asked for.
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
                let span = match spans {
                    true => Some((0.0, probe(&prediction.file)?.seconds)),
                    false => None,
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

/// An answer for each segment of each recording.
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

/// The length of a recording that can be read.
fn seconds(file: &Path) -> Option<f64> {
    probe(file).ok().map(|info| info.seconds)
}

/// Names the recordings that are much longer than what models are trained on: some by name, the rest by
/// number.
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
            "warning: {} lasts {} and gets one prediction as a whole; --window 3 predicts it in windows of 3 s",
            file.display(),
            clock(*seconds)
        );
    }
    if long.len() > SHOWN {
        warning!("… and {} more", long.len() - SHOWN);
    }
}

/// The files named, and those in the folders named.
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
