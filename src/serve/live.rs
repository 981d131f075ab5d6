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
}

/// The results of a piece of a stream.
#[derive(Default)]
pub(super) struct Events {
    /// One JSON object for each event.
    pub(super) lines: Vec<String>,
    /// Duration of the samples in the piece, in seconds.
    pub(super) seconds: f64,
    pub(super) is_over: bool,
}

impl Live {
    pub(super) fn new(predictor: &'static Predictor, settings: LiveSettings) -> Live {
        Live {
            predictor,
            settings,
            state: State::Header(Vec::new()),
        }
    }

    /// Processes the next bytes, which are the last ones if `is_last`. Adds to `events`, also
    /// before an error.
    ///
    /// # Errors
    /// [`AudioError`] if the stream is not audio or ends too early; and if the
    /// prediction fails.
    pub(super) fn push(&mut self, bytes: &[u8], is_last: bool, events: &mut Events) -> Result<()> {
        match &mut self.state {
            State::Header(start) => {
                start.extend(bytes);
                match open(self.predictor, &self.settings, start, is_last)? {
                    Some(audio) => self.state = State::Audio(Box::new(audio)),
                    None => return Ok(()),
                }
            }
            State::Audio(audio) => audio.sound.source_mut().extend(bytes),
            State::Over => {}
        }
        let State::Audio(audio) = &mut self.state else {
            events.is_over = true;
            return Ok(());
        };
        let mut samples = Vec::new();
        while audio.sound.read(&mut samples)? > 0 {}
        events.seconds = samples.len() as f64 / f64::from(audio.sound.sample_rate());
        let classes = self.predictor.classes();
        let lines = &mut events.lines;
        audio.streaming.hear(&samples, |prediction| {
            lines.push(prediction.object(classes).to_string());
            Ok(())
        })?;
        if !is_last && !audio.sound.is_complete() {
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
    let sound = match settings.raw {
        Some(raw) => SoundStream::raw(source, raw.encoding, raw.rate, raw.channels),
        None => SoundStream::wav(source),
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
    }))
}
