//! Audio as a stream: from a pipe, or from a file that is too long for the memory.
//!
//! ```text
//! bytes ── SoundStream ── mono ── StreamResampler ── the run's rate ─┬─ Ring: the latest samples
//!                                                                    └─ VoiceActivityGate: segments of speech
//! ```
//!
//! The division of the bytes into pieces does not change the result.

mod gate;
mod header;
mod resampler;
mod ring;

use std::io::{ErrorKind, Read};

pub use gate::{SpeechSegment, VoiceActivityConfig, VoiceActivityGate};
pub use resampler::StreamResampler;
pub use ring::Ring;

use super::channel::Mixer;
use super::config::SAMPLE_RATES;
use super::format::{Encoding, Format};
use super::{AudioError, Channel, decode};

/// Largest number of bytes in one read: the capacity of a pipe on Linux.
const BLOCK: usize = 1 << 16;

/// Encoding of samples without a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawEncoding {
    /// 16-bit integers, little-endian.
    S16le,
    /// 32-bit floats, little-endian, full scale at ±1.
    F32le,
}

/// Audio that is read piece by piece as mono: one of its channels, or their mean.
pub struct SoundStream<R> {
    source: R,
    format: Format,
    mixer: Mixer,
    /// Number of bytes that remain according to the header; none if the length is unknown.
    left: Option<u64>,
    bytes: Vec<u8>,
    /// Number of filled bytes of `bytes`: the start of an incomplete sample.
    filled: usize,
    /// Number of mono samples returned so far.
    samples: u64,
}

impl<R: Read> SoundStream<R> {
    /// A WAV stream, whose `channel` is read. If its header has no length, it is read until its end.
    ///
    /// # Errors
    /// If the header is not that of a supported WAV file, if there is no such channel, or if reading
    /// fails.
    pub fn wav(mut source: R, channel: Channel) -> Result<SoundStream<R>, AudioError> {
        let (format, left) = header::read(&mut source)?;
        SoundStream::new(source, format, left, channel).map_err(of_stream)
    }

    /// A stream of samples without a header, whose `channel` is read; `sample_rate` is in hertz.
    ///
    /// # Errors
    /// If the sample rate is not supported, or if there is no such channel.
    pub fn raw(
        source: R,
        encoding: RawEncoding,
        sample_rate: u32,
        channels: u16,
        channel: Channel,
    ) -> Result<SoundStream<R>, AudioError> {
        if !SAMPLE_RATES.contains(&sample_rate) {
            return Err(AudioError::SampleRate(sample_rate));
        }
        let (encoding, valid_bits) = match encoding {
            RawEncoding::S16le => (Encoding::Signed16, 16),
            RawEncoding::F32le => (Encoding::Float32, 32),
        };
        let format = Format {
            sample_rate,
            channels: channels.max(1),
            valid_bits,
            encoding,
            big_endian: false,
        };
        SoundStream::new(source, format, None, channel).map_err(of_stream)
    }

    pub(super) fn new(
        source: R,
        format: Format,
        left: Option<u64>,
        channel: Channel,
    ) -> Result<SoundStream<R>, AudioError> {
        let width = format.frame_width();
        Ok(SoundStream {
            source,
            mixer: Mixer::new(channel, format.channels)?,
            left,
            bytes: vec![0; width * (BLOCK / width).max(1)],
            format,
            filled: 0,
            samples: 0,
        })
    }

    /// True if the channels that were read so far cancel each other in the mix.
    pub(super) fn is_cancelled(&self) -> bool {
        self.mixer.is_cancelled()
    }

    /// The source. If [`SoundStream::read`] returned 0 because the source had no more bytes, it
    /// continues with those that the source gets later.
    pub fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// True if all samples that the header states were read.
    pub fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    /// Sample rate in hertz.
    pub fn sample_rate(&self) -> u32 {
        self.format.sample_rate
    }

    /// Number of channels of the source: 1 is mono, 2 is stereo.
    pub fn channels(&self) -> u16 {
        self.format.channels
    }

    /// Waits for samples and appends them to `mono`. Returns their number, 0 at the end of the
    /// stream.
    ///
    /// # Errors
    /// If reading fails, or if a sample is not finite or too large.
    pub fn read(&mut self, mono: &mut Vec<f32>) -> Result<usize, AudioError> {
        let width = self.format.frame_width();
        while self.left != Some(0) {
            let room = self.bytes.len() - self.filled;
            let room = self
                .left
                .map_or(room, |left| left.min(room as u64) as usize);
            let read = match self
                .source
                .read(&mut self.bytes[self.filled..self.filled + room])
            {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.left = self.left.map(|left| left - read as u64);
            self.filled += read;
            let whole = self.filled / width * width;
            if whole == 0 {
                continue;
            }
            let mut samples = Vec::with_capacity(whole / width);
            let bytes = &mut self.bytes[..whole];
            decode::mix(bytes, &self.format, &mut self.mixer, &mut samples)
                .map_err(|error| self.with_stream_position(error))?;
            self.bytes.copy_within(whole..self.filled, 0);
            self.filled -= whole;
            self.samples += samples.len() as u64;
            mono.extend_from_slice(&samples);
            return Ok(samples.len());
        }
        Ok(0)
    }

    /// Number of missing bytes at the end of the stream: the rest of the length in the header or,
    /// if that is unknown, the rest of the last sample.
    pub fn missing(&self) -> u64 {
        let width = self.format.frame_width();
        match self.left {
            Some(left) => left,
            None if self.filled > 0 => (width - self.filled) as u64,
            None => 0,
        }
    }

    /// Changes the sample index in an error from an index in a piece to an index in the stream.
    fn with_stream_position(&self, error: AudioError) -> AudioError {
        let in_stream = |index: usize| index + self.samples as usize;
        match error {
            AudioError::NotFinite(index) => AudioError::NotFinite(in_stream(index)),
            AudioError::TooLarge(index, sample) => AudioError::TooLarge(in_stream(index), sample),
            other => other,
        }
    }
}

/// The error of a stream. The user of a stream cannot choose the channel.
fn of_stream(error: AudioError) -> AudioError {
    match error {
        AudioError::NoChannel { channel, channels } => {
            AudioError::NoStreamChannel { channel, channels }
        }
        other => other,
    }
}
