//! `emovox listen`: predictions for a live audio stream.

mod backlog;
mod delays;
mod input;
#[cfg(feature = "microphone")]
mod microphone;
mod show;

use std::io;
use std::process::ExitCode;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::adapt::AdaptArgs;
use super::bars::clock;
use super::models::{load, open_or_builtin};
use super::stop::Stop;
use super::{Runs, warning};
use backlog::Backlog;
use delays::Delays;
use emovox::audio::Channel;
use emovox::audio::stream::{RawEncoding, VoiceActivityConfig};
use emovox::device::DeviceChoice;
use emovox::inference::{StreamingPredictor, Windowing};
use emovox::plural::counted;
use input::{Arrival, Input};
use show::Show;

/// Maximum wait for input before the next check for Ctrl-C.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Classify a live audio stream, one prediction per second
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox listen < talk.wav                                                  by the built-in model
  emovox listen ravdess-bilstm < talk.wav
  arecord -q -f S16_LE -r 16000 -t wav | emovox listen ravdess-bilstm       microphone through ALSA
  parec --raw --rate 16000 --channels 1 --format s16le \\
      | emovox listen ravdess-bilstm --raw s16le --rate 16000               through PulseAudio
  ffmpeg -loglevel error -i talk.mp4 -f wav - | emovox listen ravdess-bilstm --json

Standard input is a WAV stream with any sample rate and channels, or raw samples with --raw. A \
gate detects speech by its level: 10 dB above a noise floor that is estimated continuously. Every \
--hop seconds, the command predicts the speech of the last --window seconds. Ctrl-C ends it.")]
pub struct ListenArgs {
    /// Run: its name below runs/, its folder, or its bundle [default: the built-in model]
    run: Option<String>,
    #[command(flatten)]
    runs: Runs,
    /// Encoding of standard input, if it is samples without a header
    #[arg(long, value_enum, value_name = "ENCODING", requires = "rate")]
    raw: Option<RawName>,
    /// Sample rate of --raw, in hertz
    #[arg(long, value_name = "HZ", requires = "raw")]
    rate: Option<u32>,
    /// Number of interleaved channels of --raw
    #[arg(long, value_name = "N", requires = "raw", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    channels: u16,
    /// Use the default microphone of the system instead of standard input
    #[cfg(feature = "microphone")]
    #[arg(long, conflicts_with = "raw")]
    microphone: bool,
    /// Maximum length of the audio for one prediction
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    window: f64,
    /// Time between two predictions [default: 1, or the window if that is shorter]
    #[arg(long, value_name = "SECONDS")]
    hop: Option<f64>,
    /// Minimum level of speech above the noise floor
    #[arg(long, value_name = "DECIBELS", default_value_t = VoiceActivityConfig::default().threshold)]
    gate: f64,
    #[command(flatten)]
    adapt: AdaptArgs,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,
}

/// The values of --raw.
#[derive(Clone, Copy, ValueEnum)]
enum RawName {
    /// Integers of 16 bits, little-endian
    S16le,
    /// Floats of 32 bits, little-endian
    F32le,
}

pub fn run(args: ListenArgs) -> Result<ExitCode> {
    let mut backlog = Backlog::new(Instant::now());
    let windowing = Windowing {
        window: args.window,
        hop: args
            .hop
            .unwrap_or(Windowing::default().hop.min(args.window)),
        smooth: 0.0,
    };
    windowing.validate()?;
    if !(1.0..=60.0).contains(&args.gate) {
        bail!("--gate {} dB is outside 1 to 60 dB", args.gate);
    }
    let trained = open_or_builtin(&args.runs.runs_dir, args.run.as_deref())?;
    let mut predictor = load(trained, args.device)?;
    args.adapt.adapt(&mut predictor)?;

    let input = open(&args, predictor.config().audio.channel)?;
    let stop = Stop::listen();
    let gate = VoiceActivityConfig {
        threshold: args.gate,
    };
    // While libtorch initialises, audio waits in the queue of the input.
    let stream = StreamingPredictor::new(&predictor, input.sample_rate, &windowing, &gate)?;
    stream.prepare()?;
    if !args.json {
        warning!("input: {}; Ctrl-C ends the command", input.described);
    }

    let mut show = Show::new(predictor.classes(), args.json);
    let began = Instant::now();
    let heard = hear(&input, stream, &mut show, &mut backlog, stop, windowing.hop)?;
    show.finish();
    if !args.json || heard.failure.is_some() {
        warning!("{}", heard.summary(began.elapsed()));
    }
    match heard.failure {
        Some(reason) => bail!("the stream failed after {}: {reason}", clock(heard.seconds)),
        None if stop.is_asked() => Ok(stop.exit_code()),
        None if heard.seconds == 0.0 => {
            bail!("no audio: the stream ended before its first sample")
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

/// A stream that has ended.
struct Heard {
    /// Length of the audio.
    seconds: f64,
    /// Number of predictions of speech.
    predictions: usize,
    delays: Delays,
    /// The reason that the stream broke off.
    failure: Option<String>,
}

impl Heard {
    /// The last line of the output.
    fn summary(&self, elapsed: Duration) -> String {
        let speed = self.seconds / elapsed.as_secs_f64();
        let seconds = clock(self.seconds);
        let predictions = counted(self.predictions, "prediction");
        if speed > 2.0 {
            format!("{seconds} of audio, {predictions}; {speed:.0} times as fast as real time")
        } else {
            format!("{seconds} of audio, {predictions}{}", self.delays)
        }
    }
}

/// Shows the predictions of a stream until it ends or the user stops it. `hop` is in seconds.
fn hear(
    input: &Input,
    mut stream: StreamingPredictor,
    show: &mut Show,
    backlog: &mut Backlog,
    stop: &Stop,
    hop: f64,
) -> Result<Heard> {
    let mut delays = Delays::default();
    let (mut predictions, mut failure) = (0, None);
    backlog.catch_up(Instant::now(), 0.0);
    while !stop.is_asked() {
        let arrival = input.arrivals.try_recv().or_else(|_| {
            let arrival = input.arrivals.recv_timeout(POLL_INTERVAL);
            backlog.catch_up(Instant::now(), stream.seconds());
            arrival
        });
        match arrival {
            Ok(Arrival::Sound { at, samples }) => stream.push(&samples, |prediction| {
                show.prediction(&prediction)?;
                if prediction.speech.is_some() {
                    predictions += 1;
                    delays.add(at.elapsed());
                }
                let delay = backlog.warning(Instant::now(), prediction.time, input.received());
                if let Some(delay) = delay {
                    warning!(
                        "warning: the predictions are {:.0} s behind the audio, and the delay \
                         grows: this machine is too slow; try a longer --hop than {hop} s",
                        delay.as_secs_f64()
                    );
                }
                Ok(())
            })?,
            Ok(Arrival::Lost(samples)) => warning!(
                "lost {:.2} s of audio: this machine is too slow; try a longer --hop",
                samples as f64 / f64::from(input.sample_rate)
            ),
            Ok(Arrival::Over { missing: 0 }) => break,
            Ok(Arrival::Over { missing }) => {
                failure = Some(format!("it ended {missing} bytes too early"));
                break;
            }
            Ok(Arrival::Broken(reason)) => {
                failure = Some(reason);
                break;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let seconds = stream.seconds();
    stream.finish(|prediction| {
        predictions += usize::from(prediction.speech.is_some());
        show.prediction(&prediction)
    })?;
    Ok(Heard {
        seconds,
        predictions,
        delays,
        failure,
    })
}

/// Opens the input, of which the model reads `channel`.
fn open(args: &ListenArgs, channel: Channel) -> Result<Input> {
    #[cfg(feature = "microphone")]
    if args.microphone {
        return microphone::open(channel);
    }
    match (args.raw, args.rate) {
        (Some(raw), Some(rate)) => {
            let encoding = match raw {
                RawName::S16le => RawEncoding::S16le,
                RawName::F32le => RawEncoding::F32le,
            };
            input::raw(io::stdin(), encoding, rate, args.channels, channel)
        }
        _ => input::wav(io::stdin(), channel),
    }
}
