//! Input of the audio stream. A separate thread reads it, so that Ctrl-C works without audio too.

use std::io::{IsTerminal, Read, Stdin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use emovox::audio::stream::{RawEncoding, SoundStream};
use emovox::audio::{AudioError, Channel};

/// Maximum number of reads in the queue, of at most 64 KiB each. If it is full, the writer waits.
const QUEUE: usize = 32;

/// An event of the input.
pub(super) enum Arrival {
    /// Mono samples, and the arrival time of the last one.
    Sound { at: Instant, samples: Vec<f32> },
    /// The number of samples that were lost because the queue was full.
    #[cfg_attr(
        not(feature = "microphone"),
        expect(dead_code, reason = "a pipe waits")
    )]
    Lost(u64),
    /// The end, with the number of bytes that the header states but that did not arrive.
    Over { missing: u64 },
    /// The end after an error, with its message.
    Broken(String),
}

/// An open audio stream.
pub(super) struct Input {
    pub sample_rate: u32,
    pub described: String,
    pub arrivals: Receiver<Arrival>,
    /// Number of samples that were read from a pipe or a file, including those in the queue.
    pub read: Arc<AtomicU64>,
    /// Keeps the microphone open.
    #[cfg(feature = "microphone")]
    #[expect(dead_code, reason = "held, not read")]
    pub device: Option<cpal::Stream>,
}

impl Input {
    /// Seconds of audio that were read.
    pub(super) fn received(&self) -> f64 {
        self.read.load(Ordering::Relaxed) as f64 / f64::from(self.sample_rate)
    }
}

/// Opens a WAV stream on standard input, and reads its `channel`.
pub(super) fn wav(stdin: Stdin, channel: Channel) -> Result<Input> {
    check(&stdin)?;
    let stream = SoundStream::wav(stdin, channel).map_err(|error| match error {
        AudioError::Empty => {
            StreamError("it is empty; check the program that writes to it".into())
        }
        AudioError::TruncatedHeader => StreamError("it ends inside the WAV header".into()),
        AudioError::Unrecognised => StreamError(
            "it is not a WAV stream; for samples without a header, give their format: \
             --raw s16le --rate 16000 --channels 1"
                .into(),
        ),
        AudioError::NotWav(format) => StreamError(format!(
            "it is not WAV but {format}; convert it: ffmpeg -loglevel error -i FILE -f wav - | emovox \
             listen …"
        )),
        other => StreamError(other.to_string()),
    });
    Ok(start(stream.context("cannot listen to standard input")?))
}

/// Opens a stream of samples without a header on standard input, and reads its `channel`.
pub(super) fn raw(
    stdin: Stdin,
    encoding: RawEncoding,
    sample_rate: u32,
    channels: u16,
    channel: Channel,
) -> Result<Input> {
    check(&stdin)?;
    Ok(start(SoundStream::raw(
        stdin,
        encoding,
        sample_rate,
        channels,
        channel,
    )?))
}

/// The message of an audio error, worded for a stream instead of a file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct StreamError(String);

fn check(stdin: &Stdin) -> Result<()> {
    ensure!(
        !stdin.is_terminal(),
        "standard input is a terminal; connect an audio stream: arecord -q -f S16_LE -r 16000 \
         -t wav | emovox listen RUN, or emovox listen RUN < FILE.wav"
    );
    Ok(())
}

fn start(stream: SoundStream<impl Read + Send + 'static>) -> Input {
    let (sender, arrivals) = sync_channel(QUEUE);
    let sample_rate = stream.sample_rate();
    let channels = match stream.channels() {
        1 => "mono".to_string(),
        2 => "stereo".to_string(),
        channels => format!("{channels} channels"),
    };
    // The thread ends with the stream or with the process.
    let count = Arc::<AtomicU64>::default();
    let counter = count.clone();
    thread::spawn(move || read(stream, &sender, &counter));
    Input {
        sample_rate,
        described: format!("{sample_rate} Hz, {channels}"),
        arrivals,
        read: count,
        #[cfg(feature = "microphone")]
        device: None,
    }
}

fn read(mut stream: SoundStream<impl Read>, sender: &SyncSender<Arrival>, count: &AtomicU64) {
    loop {
        let mut samples = Vec::new();
        let arrival = match stream.read(&mut samples) {
            Ok(0) => Arrival::Over {
                missing: stream.missing(),
            },
            Ok(_) => Arrival::Sound {
                at: Instant::now(),
                samples,
            },
            Err(error) => Arrival::Broken(error.to_string()),
        };
        if let Arrival::Sound { samples, .. } = &arrival {
            count.fetch_add(samples.len() as u64, Ordering::Relaxed);
        }
        let last = !matches!(arrival, Arrival::Sound { .. });
        // The receiver is closed.
        if sender.send(arrival).is_err() || last {
            return;
        }
    }
}
