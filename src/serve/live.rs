//! A live stream: bytes → samples → events, with the same code as `emovox listen`.

use std::collections::VecDeque;

use anyhow::{Result, ensure};

use crate::audio::AudioError;
use crate::audio::stream::{RawEncoding, SoundStream, VoiceActivityConfig};
use crate::inference::{Predictor, StreamingPredictor, Windowing};

/// Longest header of a WAV stream, in bytes.
const HEADER: usize = 65_536;
/// Number of bytes that identify a format.
const SIGNATURE: usize = 12;

/// Settings of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct LiveSettings {
    /// Encoding of the samples; `None` for WAV, whose header has it.
    pub(super) raw: Option<RawFormat>,
    pub(super) windowing: Windowing,
    pub(super) gate: VoiceActivityConfig,
}

/// Samples without a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawFormat {
    pub(super) encoding: RawEncoding,
    pub(super) rate: u32,
    pub(super) channels: u16,
}

/// A stream that gets its bytes piece by piece.
pub(super) struct Live {
    predictor: &'static Predictor,
    settings: LiveSettings,
    state: State,
    /// True if no more bytes follow.
    is_last: bool,
}

enum State {
    /// The first bytes, until they contain the whole header.
    Header(Vec<u8>),
    Audio(Box<Audio>),
    Over,
}

struct Audio {
    sound: SoundStream<VecDeque<u8>>,
    streaming: StreamingPredictor<'static>,
    /// Samples that are read, but not processed.
    samples: Vec<f32>,
    /// Number of samples that are processed at once: those of a hop.
    piece: usize,
}

/// The results of a piece of a stream.
#[derive(Default)]
pub(super) struct Events {
    /// One JSON object for each event.
    pub(super) lines: Vec<String>,
    /// Duration of the processed samples, in seconds.
    pub(super) seconds: f64,
    /// True if more of the received bytes can be processed.
    pub(super) has_more: bool,
    /// True after the last event.
    pub(super) is_over: bool,
}

impl Live {
    pub(super) fn new(predictor: &'static Predictor, settings: LiveSettings) -> Live {
        Live {
            predictor,
            settings,
            state: State::Header(Vec::new()),
            is_last: false,
        }
    }

    /// Takes the next bytes, which are the last ones if `is_last`.
    pub(super) fn push(&mut self, bytes: &[u8], is_last: bool) {
        match &mut self.state {
            State::Header(start) => start.extend(bytes),
            State::Audio(audio) => audio.sound.source_mut().extend(bytes),
            State::Over => {}
        }
        self.is_last = is_last;
    }

    /// Processes at most a hop of the received bytes, so that a message with many hops does not hold
    /// a worker. Adds to `events`, also before an error.
    ///
    /// # Errors
    /// [`AudioError`] if the stream is not audio or ends too early; and if the
    /// prediction fails.
    pub(super) fn process(&mut self, events: &mut Events) -> Result<()> {
        if let State::Header(start) = &self.state {
            match open(self.predictor, &self.settings, start, self.is_last)? {
                Some(audio) => self.state = State::Audio(Box::new(audio)),
                None => return Ok(()),
            }
        }
        let State::Audio(audio) = &mut self.state else {
            events.is_over = true;
            return Ok(());
        };
        while audio.samples.len() <= audio.piece && audio.sound.read(&mut audio.samples)? > 0 {}
        let rest = audio
            .samples
            .split_off(audio.piece.min(audio.samples.len()));
        let samples = std::mem::replace(&mut audio.samples, rest);
        events.seconds = samples.len() as f64 / f64::from(audio.sound.sample_rate());
        let classes = self.predictor.classes();
        let lines = &mut events.lines;
        audio.streaming.push(&samples, |prediction| {
            lines.push(prediction.object(classes).to_string());
            Ok(())
        })?;
        events.has_more = !audio.samples.is_empty();
        let is_end = self.is_last || audio.sound.is_complete();
        if events.has_more || !is_end {
            return Ok(());
        }
        events.is_over = true;
        let State::Audio(audio) = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        let (missing, total) = (audio.sound.missing(), audio.streaming.seconds());
        audio.streaming.finish(|prediction| {
            lines.push(prediction.object(classes).to_string());
            Ok(())
        })?;
        ensure!(total > 0.0 || !lines.is_empty(), AudioError::NoSamples);
        ensure!(missing == 0, AudioError::Shortened(missing));
        Ok(())
    }
}

/// Opens a stream if its first bytes contain the whole header.
fn open(
    predictor: &'static Predictor,
    settings: &LiveSettings,
    start: &[u8],
    is_last: bool,
) -> Result<Option<Audio>> {
    let source: VecDeque<u8> = start.iter().copied().collect();
    let channel = predictor.config().audio.channel;
    let sound = match settings.raw {
        Some(raw) => SoundStream::raw(source, raw.encoding, raw.rate, raw.channels, channel),
        None => SoundStream::wav(source, channel),
    };
    let sound = match sound {
        // With more bytes this may become a header.
        Err(error) if !is_last && start.len() < HEADER => {
            let is_format = matches!(
                error,
                AudioError::TruncatedHeader | AudioError::BrokenHeader(_)
            );
            if is_format || start.len() < SIGNATURE {
                return Ok(None);
            }
            return Err(error.into());
        }
        sound => sound?,
    };
    let rate = sound.sample_rate();
    let LiveSettings {
        windowing, gate, ..
    } = settings;
    Ok(Some(Audio {
        streaming: StreamingPredictor::new(predictor, rate, windowing, gate)?,
        sound,
        samples: Vec::new(),
        piece: ((windowing.hop * f64::from(rate)) as usize).max(1),
    }))
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::inference::{BUILTIN, Trained};

    #[test]
    fn a_worker_gets_one_hop_at_a_time_and_the_events_do_not_depend_on_the_messages() {
        let trained = Trained::of_builtin(&BUILTIN[0]).unwrap();
        let predictor: &Predictor =
            Box::leak(Box::new(Predictor::of(trained, Device::Cpu).unwrap()));
        let rate = 1000;
        let settings = LiveSettings {
            raw: Some(RawFormat {
                encoding: RawEncoding::S16le,
                rate,
                channels: 1,
            }),
            windowing: Windowing::new(1.0, Some(0.25), 0.0),
            gate: VoiceActivityConfig::default(),
        };
        let samples = (0..3100).map(|n| ((n * n) % 20_000) as i16);
        let bytes: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
        let events = |size: usize| {
            let mut live = Live::new(predictor, settings);
            let mut lines = Vec::new();
            let mut messages = bytes.chunks(size).peekable();
            while let Some(message) = messages.next() {
                live.push(message, messages.peek().is_none());
                loop {
                    let mut events = Events::default();
                    live.process(&mut events).unwrap();
                    assert!(events.seconds <= 0.25);
                    // The resampler passes samples on in blocks, and the last ones at the end.
                    assert!(events.lines.len() <= 2 || events.is_over);
                    lines.extend(events.lines);
                    if !events.has_more {
                        assert_eq!(events.is_over, messages.peek().is_none());
                        break;
                    }
                }
            }
            lines
        };
        let expected = events(bytes.len());
        assert_eq!(expected.len(), 13);
        for size in [100, 501, 3000] {
            assert_eq!(events(size), expected, "{size}");
        }
    }
}
