//! Sound as it arrives: read by a thread of its own, so that Ctrl-C is heard in silence too.

use std::io::{IsTerminal, Read, Stdin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use emovox::audio::AudioError;
use emovox::audio::stream::{RawEncoding, SoundStream};

/// Reads that wait to be heard; then whoever writes has to wait. At most 64 KiB each.
const QUEUE: usize = 32;

/// What comes in.
pub(super) enum Arrival {
    /// Mono samples, and when the last of them came.
    Sound { at: Instant, samples: Vec<f32> },
    /// So many samples came while the queue was full, and are gone.
    #[cfg_attr(
        not(feature = "microphone"),
        expect(dead_code, reason = "a pipe waits")
    )]
    Lost(u64),
    /// The end, and how many bytes were promised that never came.
    Over { missing: u64 },
    /// The end, and why.
    Broken(String),
}

/// An open stream of sound.
pub(super) struct Input {
    pub sample_rate: u32,
    pub described: String,
    pub arrivals: Receiver<Arrival>,
    /// Samples that were read from a pipe or a file, also those that wait in the queue.
    pub read: Arc<AtomicU64>,
    /// Keeps the microphone open.
    #[cfg(feature = "microphone")]
    #[expect(dead_code, reason = "held, not read")]
    pub device: Option<cpal::Stream>,
}

impl Input {
    /// Seconds of sound that were read.
    pub(super) fn received(&self) -> f64 {
        self.read.load(Ordering::Relaxed) as f64 / f64::from(self.sample_rate)
    }
}

/// A WAV stream on standard input.
pub(super) fn wav(stdin: Stdin) -> Result<Input> {
    check(&stdin)?;
    let stream = SoundStream::wav(stdin).map_err(|error| match error {
        AudioError::Empty => AudioErrorHere("it is empty; does the program before it work?".into()),
        AudioError::TruncatedHeader => AudioErrorHere("it ends inside the WAV header".into()),
        AudioError::Unrecognised => AudioErrorHere(
            "it is no WAV stream; of samples without a header, tell what they are: \
             --raw s16le --rate 16000 --channels 1"
                .into(),
        ),
        AudioError::NotWav(format) => AudioErrorHere(format!(
            "it is not WAV but {format}; convert it: ffmpeg -loglevel error -i FILE -f wav - | emovox \
             listen …"
        )),
        other => AudioErrorHere(other.to_string()),
    });
    Ok(start(stream.context("cannot listen to standard input")?))
}

/// Samples without a header on standard input.
pub(super) fn raw(
    stdin: Stdin,
    encoding: RawEncoding,
    sample_rate: u32,
    channels: u16,
) -> Result<Input> {
    check(&stdin)?;
    Ok(start(SoundStream::raw(
        stdin,
        encoding,
        sample_rate,
        channels,
    )?))
}

/// A stream's reason, in words that do not speak of files.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct AudioErrorHere(String);

fn check(stdin: &Stdin) -> Result<()> {
    ensure!(
        !stdin.is_terminal(),
        "standard input is a terminal, and sound must come from somewhere: arecord -q -f S16_LE -r 16000 \
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
    // It ends with the stream or with the process, whichever comes first.
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
        // Nobody listens any more.
        if sender.send(arrival).is_err() || last {
            return;
        }
    }
}
