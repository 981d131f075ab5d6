//! `emovox listen`: a live ear.

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

use super::bars::clock;
use super::stop::Stop;
use super::{Runs, warning};
use backlog::Backlog;
use delays::Delays;
use emovox::audio::stream::{GateConfig, RawEncoding};
use emovox::device::DeviceChoice;
use emovox::inference::{Ear, Predictor, Trained, Windowing};
use input::{Arrival, Input};
use show::Show;

/// How often it is looked whether somebody pressed Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(100);

/// Listens to a stream, and shows each second who feels what
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox listen ravdess-bilstm < talk.wav
  arecord -q -f S16_LE -r 16000 -t wav | emovox listen ravdess-bilstm       a microphone, by ALSA
  parec --raw --rate 16000 --channels 1 --format s16le \\
      | emovox listen ravdess-bilstm --raw s16le --rate 16000               one by PulseAudio
  ffmpeg -loglevel error -i talk.mp4 -f wav - | emovox listen ravdess-bilstm --json

Standard input is a WAV stream, whatever its rate and channels, or raw samples with --raw. A gate
tells speech from the background by its level: 10 dB above a noise floor that it learns as it
goes. What is heard is the speech of the last --window seconds, once every --hop. Ctrl-C ends it.")]
pub struct ListenArgs {
    /// The run: its name below runs/, its folder, or its bundle
    run: String,
    #[command(flatten)]
    runs: Runs,
    /// Standard input is samples without a header, written so
    #[arg(long, value_enum, value_name = "ENCODING", requires = "rate")]
    raw: Option<RawName>,
    /// Their sample rate
    #[arg(long, value_name = "HZ", requires = "raw")]
    rate: Option<u32>,
    /// Their channels, interleaved
    #[arg(long, value_name = "N", requires = "raw", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    channels: u16,
    /// Listen to the microphone instead, the system's default one
    #[cfg(feature = "microphone")]
    #[arg(long, conflicts_with = "raw")]
    microphone: bool,
    /// How far back an answer reaches at most
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    window: f64,
    /// From one answer to the next [default: 1, or the window if that is shorter]
    #[arg(long, value_name = "SECONDS")]
    hop: Option<f64>,
    /// How far speech must be above the noise
    #[arg(long, value_name = "DECIBELS", default_value_t = GateConfig::default().threshold)]
    gate: f64,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
}

/// The encodings that --raw names.
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
    let trained = Trained::open(&args.runs.runs_dir, &args.run)?;
    let predictor = Predictor::of(trained, args.device.resolve()?)?;
    if predictor.config().data.is_synthetic() {
        warning!(
            "note: this model has heard synthetic speech only; what it says of people means little"
        );
    }

    let input = open(&args)?;
    let stop = Stop::listen();
    let gate = GateConfig {
        threshold: args.gate,
    };
    // What comes while libtorch prepares itself waits in the input's queue.
    let mut ear = Ear::new(&predictor, input.sample_rate, &windowing, &gate)?;
    if !args.json {
        warning!("listening to {}; Ctrl-C ends it", input.described);
    }

    let mut show = Show::new(predictor.classes(), args.json);
    let mut delays = Delays::default();
    let mut trouble = None;
    let began = Instant::now();
    backlog.catch_up(began, 0.0);
    while !stop.is_asked() {
        let arrival = input.arrivals.try_recv().or_else(|_| {
            let arrival = input.arrivals.recv_timeout(PATIENCE);
            backlog.catch_up(Instant::now(), ear.seconds());
            arrival
        });
        match arrival {
            Ok(Arrival::Sound { at, samples }) => {
                ear.hear(&samples, |heard| {
                    show.heard(&heard)?;
                    if heard.speech.is_some() {
                        delays.add(at.elapsed());
                    }
                    if let Some(delay) = backlog.warning(Instant::now(), heard.time, input.received()) {
                        warning!(
                            "warning: the predictions are {:.0} s behind the sound, and fall further behind: \
                             this machine does not keep up; try a longer --hop than {} s",
                            delay.as_secs_f64(),
                            windowing.hop
                        );
                    }
                    Ok(())
                })?;
            }
            Ok(Arrival::Lost(samples)) => warning!(
                "lost {:.2} s of sound: this machine does not keep up; try a longer --hop",
                samples as f64 / f64::from(input.sample_rate)
            ),
            Ok(Arrival::Over { missing: 0 }) => break,
            Ok(Arrival::Over { missing }) => {
                trouble = Some(format!("it ended {missing} bytes too early"));
                break;
            }
            Ok(Arrival::Broken(reason)) => {
                trouble = Some(reason);
                break;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let seconds = ear.seconds();
    ear.finish(|heard| show.heard(&heard))?;
    show.finish();
    if !args.json || trouble.is_some() {
        let speed = seconds / began.elapsed().as_secs_f64();
        let (seconds, answers) = (clock(seconds), delays.answers());
        match speed > 2.0 {
            // Sound that was not waited for does not tell how late an answer is.
            true => {
                warning!("heard {seconds}, {answers} answers; {speed:.0} times as fast as it lasts")
            }
            false => warning!("heard {seconds}, {answers} answers{delays}"),
        }
    }
    match trouble {
        Some(reason) => bail!("the stream broke after {}: {reason}", clock(seconds)),
        None if stop.is_asked() => Ok(stop.exit_code()),
        None if seconds == 0.0 => {
            bail!("no sound came: the stream was over before its first sample")
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

fn open(args: &ListenArgs) -> Result<Input> {
    #[cfg(feature = "microphone")]
    if args.microphone {
        return microphone::open();
    }
    match (args.raw, args.rate) {
        (Some(raw), Some(rate)) => {
            let encoding = match raw {
                RawName::S16le => RawEncoding::S16le,
                RawName::F32le => RawEncoding::F32le,
            };
            input::raw(io::stdin(), encoding, rate, args.channels)
        }
        _ => input::wav(io::stdin()),
    }
}
