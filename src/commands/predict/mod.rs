//! `emovox predict`: predictions of a trained run for recordings.

mod formats;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use tempfile::NamedTempFile;

use super::adapt::AdaptArgs;
use super::bars::clock;
use super::models::{load, open_or_builtin};
use super::output::OutputArgs;
use super::progress::bar;
use super::{Runs, tell_skipped, terminal, warning};
use emovox::audio::{Channel, ChannelChoice, is_recording_name, probe};
use emovox::corpus::{CorpusError, Skipped, find_recordings};
use emovox::device::DeviceChoice;
use emovox::inference::{Answer, Predictor, Segment, Trained, Windowing};
use emovox::io::write_output;
use emovox::reason::reason;
use formats::{Format, Text};

/// Predict the emotion in recordings with any sample rate, channels and length
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox predict my-voice.m4a                         one recording, by the built-in model
  emovox predict ravdess-bilstm my-voice.wav          by a run of your own
  emovox predict ravdess-bilstm interviews/           a folder with all its subfolders
  emovox predict ravdess-bilstm *.wav --csv > x.csv   a table for a spreadsheet
  emovox predict ravdess-bilstm talk.wav --window 3   a long recording, window by window
  emovox predict ravdess-bilstm call.mp3 --channel each    each side of a call on its own
  emovox predict my-voice.wav --adapt-to my-recordings     adapted to the same voice and microphone
  curl -s URL | emovox predict ravdess-bilstm -       a recording from standard input
  emovox predict ravdess-bilstm talk.wav --window 3 --hop 0.5 --smooth 3 \\
      --format audacity --out talk.txt                a label track for Audacity
  emovox predict ravdess-bilstm talk.wav --window 3 --format webvtt --out talk.vtt    subtitles

With --window, the recording is divided into overlapping windows. The prediction for a hop is the \
mean of the log-probabilities of all windows that contain its centre; consecutive hops with the \
same label are one segment, and so are those without speech.

WAV, AIFF, CAF, FLAC, MP3, Ogg Vorbis, Opus, M4A, and the sound track of MP4, Matroska and WebM \
are read; the content of a file determines its format, not its name.

Recordings that cannot be read are listed on standard error; the others are predicted, and the \
exit code is 1.")]
pub struct PredictArgs {
    /// Run: its name below runs/, its folder, or its bundle; without a run, the built-in model predicts
    #[arg(value_name = "RUN|FILE|DIR")]
    run: String,
    /// Recordings, or folders with recordings; - for a recording on standard input
    #[arg(value_name = "FILE|DIR")]
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
    /// Channel: mix (the mean of all), left, right, a number from 1, or each [default: that of the run]
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<ChannelChoice>,
    #[command(flatten)]
    adapt: AdaptArgs,
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
    /// Device: auto, cpu, cuda or cuda:N [default: cpu; for 500 recordings or more, auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
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
    /// Columns file, with --channel each channel, with --window start and end, label, and one probability per
    /// class
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
    let runs = &args.runs.runs_dir;
    let run = args.run();
    let given = args.recordings()?;
    let input = StandardInput::read(&given)?;
    let files = recordings(&given, &input)?;
    let format = args.format();
    ensure!(
        args.channel != Some(ChannelChoice::Each) || !args.adapt.is_given(),
        "--adapt-to adapts to one voice, and each channel has another; select one with --channel left or right"
    );
    ensure!(
        args.channel != Some(ChannelChoice::Each) || !format.is_a_track(),
        "Audacity labels and WebVTT are for one channel; select it with --channel left or right, or use \
         --format csv"
    );
    ensure!(
        files.len() == 1 || !format.is_a_track(),
        "Audacity labels and WebVTT are for one recording, but there are {}; give one recording, or \
         use --format csv",
        files.len()
    );
    let trained = open_or_builtin(runs, run)?;
    if let Some(out) = &args.out {
        let mut outputs = args.output.outputs();
        run.iter().for_each(|run| outputs.protect_run(runs, run));
        files.iter().for_each(|file| outputs.protect(file));
        let classes = &trained.config().data.classes;
        outputs.check(out, |file| formats::is_own(file, format, classes))?;
    }
    let mut predictor = load(trained, args.device_for(files.len()))?;
    if let Some(ChannelChoice::One(channel)) = args.channel {
        predictor.set_channel(channel);
    }
    args.adapt.adapt(&mut predictor)?;
    let seconds: Vec<Option<f64>> = files.iter().map(|file| seconds(file)).collect();
    let readable = files
        .iter()
        .zip(&seconds)
        .filter(|(_, seconds)| seconds.is_some());
    let each = args.channel == Some(ChannelChoice::Each);
    let suffix = if each { " (right)" } else { "" };
    let names: Vec<String> = readable
        .map(|(file, _)| input.name(file) + suffix)
        .collect();
    let mut out = Output {
        text: Text::new(format, predictor.classes(), &names),
        kept: args.out.is_some().then(Vec::new),
        answers: 0,
    };
    if windowing.is_none() {
        warn_of_long(&files, &seconds, &input);
    }
    let mut skipped = Vec::new();
    for pass in args.passes(&files, predictor.config().audio.channel) {
        predictor.set_channel(pass.channel);
        let left_out = match &windowing {
            Some(windowing) => predict_windows(&predictor, &pass, &input, windowing, &mut out)?,
            None => predict_whole(&predictor, &pass, &input, &mut out)?,
        };
        skipped.extend(left_out.into_iter().map(|skipped| input.renamed(skipped)));
    }
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
    /// The run, if the first word is not a recording. The name of a run takes precedence.
    fn run(&self) -> Option<&str> {
        let (word, path) = (self.run.as_str(), Path::new(&self.run));
        let runs = &self.runs.runs_dir;
        let is_in_runs = path.is_relative() && runs.join(path).exists();
        let is_run = Trained::exists(runs, word) || is_in_runs;
        // Without the permission to look at a path, it is a recording, so that the error names the
        // permission.
        let has_recordings =
            || find_recordings(path).map_or(true, |found| !found.recordings.is_empty());
        let is_recording = if path.is_dir() {
            has_recordings()
        } else {
            path.try_exists().unwrap_or(true) && (is_recording_name(path) || probe(path).is_ok())
        };
        let is_recording = word == "-" || !is_run && is_recording;
        (!is_recording).then_some(self.run.as_str())
    }

    /// All recordings and folders.
    fn recordings(&self) -> Result<Vec<PathBuf>> {
        let first = self.run().is_none().then(|| PathBuf::from(&self.run));
        let given: Vec<PathBuf> = first.into_iter().chain(self.recordings.clone()).collect();
        if given.is_empty() {
            let word = &self.run;
            let has_run = Trained::exists(&self.runs.runs_dir, word);
            if !has_run && Path::new(word).is_dir() {
                return Err(CorpusError::NoRecordings(word.into()).into());
            }
            ensure!(
                has_run,
                "there is no recording and no run '{word}'; check the path, and give a recording, a folder with \
                 recordings, or a run below {} (emovox models lists the built-in models)",
                self.runs.runs_dir.display()
            );
            bail!("give the recordings that {word} predicts: emovox predict {word} FILE");
        }
        Ok(given)
    }

    /// The start of a GPU takes longer than the prediction of some recordings on the CPU.
    fn device_for(&self, recordings: usize) -> DeviceChoice {
        const MANY: usize = 500;
        let usual = if recordings < MANY {
            DeviceChoice::Cpu
        } else {
            DeviceChoice::Auto
        };
        self.device.unwrap_or(usual)
    }

    fn windowing(&self) -> Option<Windowing> {
        self.window
            .map(|window| Windowing::new(window, self.hop, self.smooth))
    }

    /// The recordings and the channel of each pass. With --channel each, there is a pass for each
    /// channel of each recording.
    fn passes(&self, files: &[PathBuf], of_run: Channel) -> Vec<Pass> {
        let all = |channel| {
            vec![Pass {
                files: files.to_vec(),
                channel,
                is_one_of_several: false,
            }]
        };
        let each = |file: &PathBuf| {
            // A recording that cannot be read is skipped later.
            let channels = probe(file).map_or(1, |info| info.channels);
            let file = file.clone();
            (1..=channels).map(move |number| Pass {
                files: vec![file.clone()],
                channel: Channel::Number(number),
                is_one_of_several: true,
            })
        };
        match self.channel {
            None => all(of_run),
            Some(ChannelChoice::One(channel)) => all(channel),
            Some(ChannelChoice::Each) => files.iter().flat_map(each).collect(),
        }
    }

    fn format(&self) -> Format {
        let windows = self.window.is_some();
        let channels = self.channel == Some(ChannelChoice::Each);
        match self.format {
            _ if self.json => Format::Json,
            _ if self.csv => Format::Csv { windows, channels },
            FormatName::Table => Format::Table { windows },
            FormatName::Json => Format::Json,
            FormatName::Jsonl => Format::JsonLines,
            FormatName::Csv => Format::Csv { windows, channels },
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

/// Recordings that are predicted with the same channel.
struct Pass {
    files: Vec<PathBuf>,
    channel: Channel,
    /// True if every channel of a recording has its own prediction.
    is_one_of_several: bool,
}

impl Pass {
    fn shown_channel(&self) -> Option<Channel> {
        self.is_one_of_several.then_some(self.channel)
    }
}

/// Outputs one prediction per recording, with its duration if the format is a track of labels.
/// Returns the skipped recordings.
fn predict_whole(
    predictor: &Predictor,
    pass: &Pass,
    input: &StandardInput,
    out: &mut Output,
) -> Result<Vec<Skipped>> {
    let progress = bar(pass.files.len(), "predicting", "clips");
    let mut skipped = Vec::new();
    let predicted = predictor.predict_each(
        &pass.files,
        || progress.inc(1),
        |prediction| match prediction {
            Ok(prediction) => {
                let span = if out.text.format().is_a_track() {
                    Some((0.0, probe(&prediction.file)?.seconds))
                } else {
                    None
                };
                if prediction.is_cancelled {
                    progress.suspend(|| warn_of_cancelled(&input.name(&prediction.file)));
                }
                let name = input.name(&prediction.file);
                let mut answer = Answer::of_recording(name, pass.shown_channel(), prediction);
                answer.span = span;
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
    pass: &Pass,
    input: &StandardInput,
    windowing: &Windowing,
    out: &mut Output,
) -> Result<Vec<Skipped>> {
    let total: f64 = pass.files.iter().filter_map(|file| seconds(file)).sum();
    let progress = bar(total.ceil() as usize, "predicting", "seconds");
    let mut skipped = Vec::new();
    let mut read = 0.0;
    for file in &pass.files {
        let predicted = predictor.segments(file, windowing, |more| {
            read += more;
            progress.set_position(read as u64);
        });
        match predicted {
            Ok(predicted) => {
                if predicted.is_cancelled {
                    progress.suspend(|| warn_of_cancelled(&input.name(file)));
                }
                let answer = |segment: Segment| {
                    let channel = pass.shown_channel();
                    Answer::of_segment(input.name(file), channel, segment)
                };
                out.take(
                    predicted.segments.into_iter().map(answer).collect(),
                    &progress,
                )?;
            }
            Err(error) => skipped.push(Skipped {
                file: file.into(),
                reason: reason(&error),
            }),
        }
    }
    progress.finish_and_clear();
    Ok(skipped)
}

fn warn_of_cancelled(name: &str) {
    warning!(
        "warning: the channels of {name} have opposite phases and cancel each other in the mix; select one \
         of them with --channel left or --channel right"
    );
}

/// The recording on standard input, which is copied to a temporary file.
struct StandardInput(Option<NamedTempFile>);

impl StandardInput {
    const NAME: &str = "-";

    /// Reads standard input if it is one of the recordings.
    fn read(named: &[PathBuf]) -> Result<StandardInput> {
        let count = named.iter().filter(|path| path.as_os_str() == Self::NAME);
        match count.count() {
            0 => return Ok(StandardInput(None)),
            1 => {}
            _ => bail!("standard input (-) has one recording only; give - once"),
        }
        let stdin = io::stdin();
        ensure!(
            !stdin.is_terminal(),
            "standard input is a terminal; connect a recording: emovox predict RUN - < FILE"
        );
        let mut file = NamedTempFile::with_prefix("emovox-")?;
        let copied = io::copy(&mut stdin.lock(), &mut file);
        copied.context("cannot read the recording on standard input")?;
        Ok(StandardInput(Some(file)))
    }

    fn path(&self) -> Option<&Path> {
        self.0.as_ref().map(NamedTempFile::path)
    }

    /// The name of a recording for the output.
    fn name(&self, file: &Path) -> String {
        match self.path() {
            Some(path) if path == file => Self::NAME.into(),
            _ => file.to_string_lossy().into_owned(),
        }
    }

    fn renamed(&self, skipped: Skipped) -> Skipped {
        Skipped {
            file: self.name(&skipped.file.path).into(),
            ..skipped
        }
    }
}

/// The length of a recording in seconds; `None` if it cannot be read.
fn seconds(file: &Path) -> Option<f64> {
    probe(file).ok().map(|info| info.seconds)
}

/// Warns of recordings that are much longer than training clips: the first ones by name, the others
/// as a count.
fn warn_of_long(files: &[PathBuf], seconds: &[Option<f64>], input: &StandardInput) {
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
            input.name(file),
            clock(*seconds)
        );
    }
    if long.len() > SHOWN {
        warning!("… and {} more", long.len() - SHOWN);
    }
}

/// The given files, and the recordings in the given folders.
fn recordings(named: &[PathBuf], input: &StandardInput) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if path.as_os_str() == StandardInput::NAME {
            files.extend(input.path().map(Path::to_path_buf));
        } else if path.is_dir() {
            let inside = find_recordings(path)?;
            inside.require(path)?;
            tell_skipped(&inside.skipped);
            files.extend(inside.recordings.iter().map(|file| path.join(file)));
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}
