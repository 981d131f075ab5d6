//! Sound while it is still coming: from a pipe, or from a file too long to hold.
//!
//! ```text
//! bytes ── SoundStream ── mono ── StreamResampler ── the run's rate ─┬─ Ring: the latest samples
//!                                                                   └─ Gate: where speech is
//! ```
//!
//! However the bytes are cut into pieces, what comes out is the same.

mod gate;
mod header;
mod resampler;
mod ring;

use std::io::{ErrorKind, Read};

pub use gate::{Gate, GateConfig, Stretch};
pub use resampler::StreamResampler;
pub use ring::Ring;

use super::config::SAMPLE_RATES;
use super::format::{Encoding, Format};
use super::{AudioError, decode};

/// How many bytes are read at once, at most: what a pipe holds.
const BLOCK: usize = 1 << 16;

/// How samples without a header are written. Both are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawEncoding {
    /// Integers of 16 bits.
    S16le,
    /// Floats of 32 bits, full scale at ±1.
    F32le,
}

/// Sound that is read piece by piece, as mono: the mean of its channels.
pub struct SoundStream<R> {
    source: R,
    format: Format,
    /// Bytes that are still to come, where that is known.
    left: Option<u64>,
    bytes: Vec<u8>,
    /// How much of `bytes` is filled: the start of a sample whose end has not come.
    filled: usize,
    samples: u64,
}

impl<R: Read> SoundStream<R> {
    /// A WAV stream. Lengths that were never filled in mean that it goes on until it ends.
    pub fn wav(mut source: R) -> Result<SoundStream<R>, AudioError> {
        let (format, left) = header::read(&mut source)?;
        Ok(SoundStream::new(source, format, left))
    }

    /// Samples without a header.
    pub fn raw(
        source: R,
        encoding: RawEncoding,
        sample_rate: u32,
        channels: u16,
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
        };
        Ok(SoundStream::new(source, format, None))
    }

    pub(super) fn new(source: R, format: Format, left: Option<u64>) -> SoundStream<R> {
        let width = format.frame_width();
        SoundStream {
            source,
            left,
            bytes: vec![0; width * (BLOCK / width).max(1)],
            format,
            filled: 0,
            samples: 0,
        }
    }

    /// Samples per second and channel, in hertz.
    pub fn sample_rate(&self) -> u32 {
        self.format.sample_rate
    }

    /// 1 is mono, 2 stereo.
    pub fn channels(&self) -> u16 {
        self.format.channels
    }

    /// Waits for sound and appends it; how many samples came, 0 once the stream is over.
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
            decode::mix(&self.bytes[..whole], &self.format, &mut samples)
                .map_err(|error| self.placed(error))?;
            self.bytes.copy_within(whole..self.filled, 0);
            self.filled -= whole;
            self.samples += samples.len() as u64;
            mono.extend_from_slice(&samples);
            return Ok(samples.len());
        }
        Ok(0)
    }

    /// Bytes that were promised and never came, once the stream is over: of the samples that its header
    /// counts, or of the last one.
    pub fn missing(&self) -> u64 {
        let width = self.format.frame_width();
        match self.left {
            Some(left) => left,
            None if self.filled > 0 => (width - self.filled) as u64,
            None => 0,
        }
    }

    /// An error says which sample it is about, counted from the start of the stream.
    fn placed(&self, error: AudioError) -> AudioError {
        let placed = |at: usize| at + self.samples as usize;
        match error {
            AudioError::NotFinite(at) => AudioError::NotFinite(placed(at)),
            AudioError::TooLarge(at, sample) => AudioError::TooLarge(placed(at), sample),
            other => other,
        }
    }
}
