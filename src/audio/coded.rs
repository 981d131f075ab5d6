//! Decoding of all formats except uncompressed WAV: by symphonia, and by opus-rs for Opus.
//!
//! Files are not trusted: a panic of a decoder is an error of the recording, and the number of
//! decoded samples is limited by the size of the file.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_ADPCM_IMA_QT, CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_ALAC,
    CODEC_ID_FLAC, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW,
    CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatReader, SeekMode, SeekTo, Track, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::packet::Packet;
use symphonia::core::units::{TimeBase, Timestamp};
use symphonia::default::formats::{
    AdtsReader, AiffReader, CafReader, FlacReader, IsoMp4Reader, MkvReader, MpaReader, OggReader,
    WavReader,
};

use super::AudioError;
use super::config::SAMPLE_RATES;
use super::gapless::{self, Trim};
use super::magic::Container;
use super::opus::{self, Opus};
use super::source::Section;
use crate::memory::OutOfMemory;

/// Number of samples of a channel that any file may have: 23 minutes at 48 kHz.
const ANY_FILE: u64 = 1 << 26;
/// Number of samples of a channel for each byte of a larger file. Opus at its lowest rate, with
/// silence left out, has 320.
const PER_BYTE: u64 = 512;
/// Largest number of channels.
const MAX_CHANNELS: usize = 64;
/// Largest number of frames of a packet.
const MAX_PACKET: u64 = 1 << 20;
/// Largest padding at the end in seconds; a longer one is an error of the file.
const MAX_PADDING: u64 = 5;
/// One packet of so many may be damaged.
const DAMAGED_OF: u64 = 20;

/// A recording that is decoded packet by packet.
pub(super) struct Coded<'s> {
    container: &'static str,
    reader: Box<dyn FormatReader + 's>,
    track: u32,
    decoder: Decoder,
    /// Name of the codec, for people.
    pub(super) codec: &'static str,
    /// Samples per second and channel, in hertz.
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    /// Bits of a sample; `None` for lossy codecs.
    pub(super) bits: Option<u16>,
    /// True if the durations of the packets are exact numbers of samples.
    durations_are_exact: bool,
    /// Number of frames to drop at the start.
    delay: u64,
    /// Number of frames after the delay, where it is known.
    length: Option<u64>,
    /// Number of frames to drop at the end.
    padding: u64,
    /// Number of decoded frames so far.
    decoded: u64,
    /// Number of returned frames so far.
    returned: u64,
    /// Largest number of decoded frames.
    limit: u64,
    packets: u64,
    damaged: u64,
    is_over: bool,
    /// Decoded samples that are not returned yet: all channels of a frame, then the next frame. The
    /// last ones may be padding.
    waiting: Vec<f32>,
}

enum Decoder {
    Symphonia {
        decoder: Box<dyn AudioDecoder>,
        block: Vec<f32>,
    },
    Opus(Box<Opus>),
}

impl<'s> Coded<'s> {
    /// Opens a recording, and decodes its first samples: the sample rate and the channels are those
    /// of the decoded samples, because headers may have other ones or none.
    pub(super) fn open(container: Container, section: Section<'s>) -> Result<Self, AudioError> {
        guarded(container.long_name(), || {
            Coded::try_open(container, section)
        })
    }

    fn try_open(container: Container, mut section: Section<'s>) -> Result<Self, AudioError> {
        let name = container.long_name();
        let limit = ANY_FILE.max(section.len().saturating_mul(PER_BYTE));
        let tracks = match container {
            Container::Matroska => gapless::of_matroska(&mut section)?,
            _ => Vec::new(),
        };
        let edits = match container {
            Container::Mp4 => gapless::of_mp4(&mut section)?,
            _ => Trim::default(),
        };
        let ogg_end = match container {
            Container::Ogg => gapless::end_of_ogg(&mut section)?,
            _ => None,
        };
        if gapless::is_truncated(container, &mut section)? {
            // symphonia 0.6 searches for elements behind the sound, which are not there.
            section.read_forwards();
        }
        let section = section.part(0, u64::MAX)?;
        let reader = open_reader(container, section).map_err(|error| opening(name, error))?;
        let track = sound_track(reader.as_ref()).ok_or(AudioError::UnsupportedCodec(format!(
            "{name} without a sound track in a known encoding"
        )))?;
        let (decoder, codec, bits) = decoder_of(container, track)?;

        let mut trim = tracks
            .iter()
            .find(|(number, _)| *number == u64::from(track.id))
            .map_or(edits, |(_, trim)| *trim);
        if codec == "Vorbis" {
            // The decoder returns nothing for the first packet.
            trim.start = gapless::Span::default();
        }
        let mut coded = Coded {
            container: name,
            track: track.id,
            durations_are_exact: false,
            decoder,
            codec,
            sample_rate: 0,
            channels: 0,
            bits,
            delay: 0,
            length: None,
            padding: 0,
            decoded: 0,
            returned: 0,
            limit,
            packets: 0,
            damaged: 0,
            is_over: false,
            waiting: Vec::new(),
            reader,
        };
        while coded.waiting.is_empty() && coded.decode_packet()? {}
        if coded.waiting.is_empty() {
            return Err(match coded.damaged {
                0 => AudioError::NoSamples,
                _ => coded.too_much_damage(),
            });
        }
        coded.set_trim(container, &trim, ogg_end);
        Ok(coded)
    }

    /// Sets the delay and the padding. The sample rate is known from the first packet.
    fn set_trim(&mut self, container: Container, trim: &Trim, ogg_end: Option<u64>) {
        let rate = self.sample_rate;
        self.delay = trim.start.samples(rate);
        self.length = trim.length.map(|length| length.samples(rate));
        self.padding = trim.end.samples(rate);
        let track = self
            .reader
            .tracks()
            .iter()
            .find(|track| track.id == self.track);
        if let (Container::Caf, Some(track)) = (container, track) {
            self.delay = track.delay.unwrap_or(0).into();
            match self.codec {
                // Packets of a fixed size: the number of frames includes the padding.
                "IMA ADPCM" => self.padding = track.padding.unwrap_or(0).into(),
                _ => self.length = track.num_frames,
            }
        }
        if let Decoder::Opus(opus) = &self.decoder {
            self.delay = opus.pre_skip;
            if let Some(end) = ogg_end {
                self.length = end.checked_sub(self.delay).filter(|&length| length > 0);
            }
        }
        if self.padding > MAX_PADDING * u64::from(rate) {
            self.padding = 0;
        }
        let is_fragmented = container == Container::Mp4 && trim.length.is_none();
        self.durations_are_exact = container != Container::Matroska
            && !is_fragmented
            && track
                .and_then(|track| track.time_base)
                .is_some_and(|base| Some(base) == TimeBase::try_from_recip(rate));
    }

    /// Moves towards the frame with this index, and never behind it. Returns the index of the next
    /// frame: 0, the start of the recording, for codecs whose samples depend on earlier packets.
    ///
    /// Every block of FLAC is decoded independently and has its position, so FLAC gives the same
    /// samples from any block on. MP3, AAC, Vorbis and Opus do not: their decoders keep state.
    pub(super) fn seek(&mut self, frame: u64) -> Result<u64, AudioError> {
        let is_independent = self.container == Container::Flac.long_name();
        if !is_independent || self.delay > 0 || frame <= self.decoded {
            return Ok(0);
        }
        guarded(self.container, || {
            let to = SeekTo::Timestamp {
                ts: Timestamp::new(i64::try_from(frame).unwrap_or(i64::MAX)),
                track_id: self.track,
            };
            let Ok(found) = self.reader.seek(SeekMode::Accurate, to) else {
                return self.rewind();
            };
            match u64::try_from(found.actual_ts.get()) {
                Ok(position) if position <= frame => {
                    self.start_at(position);
                    Ok(position)
                }
                _ => self.rewind(),
            }
        })
    }

    /// Moves to the start of the recording, if it cannot move to a frame.
    fn rewind(&mut self) -> Result<u64, AudioError> {
        let to = SeekTo::Timestamp {
            ts: Timestamp::ZERO,
            track_id: self.track,
        };
        let found = self.reader.seek(SeekMode::Accurate, to);
        found.map_err(|error| damaged(self.container, &error))?;
        self.start_at(0);
        Ok(0)
    }

    /// Forgets the decoded samples: the next packet starts with this frame.
    fn start_at(&mut self, frame: u64) {
        if let Decoder::Symphonia { decoder, .. } = &mut self.decoder {
            decoder.reset();
        }
        self.waiting.clear();
        self.decoded = frame;
        self.is_over = false;
    }

    /// Decodes some more samples. Returns all channels of a frame, then the next frame; nothing at
    /// the end.
    pub(super) fn read(&mut self) -> Result<Vec<f32>, AudioError> {
        guarded(self.container, || self.try_read())
    }

    fn try_read(&mut self) -> Result<Vec<f32>, AudioError> {
        let channels = usize::from(self.channels);
        loop {
            let frames = (self.waiting.len() / channels) as u64;
            let start = self.decoded - frames;
            let ready = frames.saturating_sub(self.padding);
            let mut samples: Vec<f32> = match ready {
                0 => Vec::new(),
                _ => self.waiting.drain(..ready as usize * channels).collect(),
            };
            // The part of the samples between the delay and the end.
            let end = self
                .length
                .map_or(u64::MAX, |length| self.delay.saturating_add(length));
            samples.truncate(end.saturating_sub(start).min(ready) as usize * channels);
            let dropped = self.delay.saturating_sub(start) as usize * channels;
            samples.drain(..dropped.min(samples.len()));
            if !samples.is_empty() {
                self.returned += (samples.len() / channels) as u64;
                return Ok(samples);
            }
            if !self.decode_packet()? {
                self.waiting.clear();
                return Ok(Vec::new());
            }
        }
    }

    /// Number of frames, by the durations of the packets if they are exact, else by decoding.
    pub(super) fn count_frames(mut self) -> Result<u64, AudioError> {
        guarded(self.container, || {
            let is_opus = matches!(self.decoder, Decoder::Opus(_));
            if !self.durations_are_exact && !is_opus {
                while !self.try_read()?.is_empty() {}
                return Ok(self.returned);
            }
            let mut total = self.decoded;
            while let Some(packet) = self.next_packet()? {
                total = total.saturating_add(match is_opus {
                    true => opus::frames(&packet.data).unwrap_or(0) as u64,
                    // symphonia 0.6 does not subtract the trims from the durations of MP3.
                    false if self.codec == "MP3" => {
                        let trims = packet
                            .trim_start
                            .get()
                            .saturating_add(packet.trim_end.get());
                        packet.dur.get().saturating_sub(trims)
                    }
                    false => packet.dur.get(),
                });
            }
            let rest = total.saturating_sub(self.delay + self.padding);
            Ok(self.length.map_or(rest, |length| rest.min(length)))
        })
    }

    /// The next packet of the track; `None` at the end.
    fn next_packet(&mut self) -> Result<Option<Packet>, AudioError> {
        while !self.is_over {
            match self.reader.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Ok(Some(packet)),
                Ok(Some(_)) => {}
                Ok(None) => self.is_over = true,
                // The file is truncated.
                Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.is_over = true;
                }
                Err(Error::IoError(error)) => return Err(error.into()),
                // Another recording follows in the same Ogg file.
                Err(Error::ResetRequired) => {
                    return Err(AudioError::UnsupportedCodec(format!(
                        "{} with several recordings one after the other",
                        self.container
                    )));
                }
                Err(error) => return Err(damaged(self.container, &error)),
            }
        }
        Ok(None)
    }

    /// Decodes a packet. Returns false at the end.
    fn decode_packet(&mut self) -> Result<bool, AudioError> {
        let Some(packet) = self.next_packet()? else {
            self.check_damage()?;
            return Ok(false);
        };
        self.packets += 1;
        let (rate, channels, samples) = match &mut self.decoder {
            Decoder::Opus(opus) => {
                let channels = opus.channels;
                match opus.decode(&packet.data) {
                    Some(samples) => (opus::RATE, channels, samples),
                    None => {
                        self.damaged += 1;
                        return Ok(true);
                    }
                }
            }
            Decoder::Symphonia { decoder, block } => match decoder.decode(&packet) {
                Ok(decoded) => {
                    decoded.copy_to_vec_interleaved(block);
                    let spec = decoded.spec();
                    (spec.rate(), spec.channels().count(), block.as_slice())
                }
                Err(Error::DecodeError(_) | Error::IoError(_) | Error::ResetRequired) => {
                    self.damaged += 1;
                    return Ok(true);
                }
                Err(error) => return Err(opening(self.codec, error)),
            },
        };
        if samples.is_empty() {
            return Ok(true);
        }
        if self.channels == 0 {
            if !SAMPLE_RATES.contains(&rate) {
                return Err(AudioError::SampleRate(rate));
            }
            if !(1..=MAX_CHANNELS).contains(&channels) {
                let reason = format!("{} with {channels} channels", self.codec);
                return Err(AudioError::UnsupportedCodec(reason));
            }
            (self.sample_rate, self.channels) = (rate, channels as u16);
        }
        if (rate, channels) != (self.sample_rate, usize::from(self.channels)) {
            return Err(AudioError::Damaged {
                format: self.codec,
                reason: "the sample rate or the number of channels changes".into(),
            });
        }
        self.decoded += (samples.len() / channels) as u64;
        if self.decoded > self.limit {
            return Err(AudioError::Damaged {
                format: self.codec,
                reason: format!(
                    "{} samples are too many for a file of this size",
                    self.decoded
                ),
            });
        }
        let memory = self.waiting.try_reserve(samples.len());
        memory.map_err(|_| OutOfMemory { bytes: 0 })?;
        self.waiting.extend_from_slice(samples);
        Ok(true)
    }

    /// Rejects a recording with too many damaged packets, of those that were read so far.
    pub(super) fn check_damage(&self) -> Result<(), AudioError> {
        if self.damaged * DAMAGED_OF > self.packets {
            return Err(self.too_much_damage());
        }
        Ok(())
    }

    fn too_much_damage(&self) -> AudioError {
        AudioError::Damaged {
            format: self.codec,
            reason: format!(
                "{} of {} packets cannot be decoded",
                self.damaged, self.packets
            ),
        }
    }
}

/// Runs a decoder. Its panic is an error of the recording.
fn guarded<T>(
    format: &'static str,
    decode: impl FnOnce() -> Result<T, AudioError>,
) -> Result<T, AudioError> {
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    outcome.unwrap_or(Err(AudioError::Damaged {
        format,
        reason: "its decoder fails".into(),
    }))
}

fn open_reader<'s>(
    container: Container,
    section: Section<'s>,
) -> Result<Box<dyn FormatReader + 's>, Error> {
    let source = MediaSourceStream::new(Box::new(section), Default::default());
    let options = Default::default();
    Ok(match container {
        Container::Wave | Container::Rifx => Box::new(WavReader::try_new(source, options)?),
        Container::Aiff => Box::new(AiffReader::try_new(source, options)?),
        Container::Caf => Box::new(CafReader::try_new(source, options)?),
        Container::Flac => Box::new(FlacReader::try_new(source, options)?),
        Container::Ogg => Box::new(OggReader::try_new(source, options)?),
        Container::Mp4 => Box::new(IsoMp4Reader::try_new(source, options)?),
        Container::Matroska => Box::new(MkvReader::try_new(source, options)?),
        Container::Adts => Box::new(AdtsReader::try_new(source, options)?),
        Container::Mpeg => Box::new(MpaReader::try_new(source, options)?),
    })
}

/// The default sound track, or the first one.
fn sound_track<'r>(reader: &'r (dyn FormatReader + '_)) -> Option<&'r Track> {
    let is_sound = |track: &&Track| track.track_type() == Some(TrackType::Audio);
    reader
        .default_track(TrackType::Audio)
        .or_else(|| reader.tracks().iter().find(is_sound))
}

/// The decoder of a track, the name of its codec, and the bits of a sample of a lossless codec.
fn decoder_of(
    container: Container,
    track: &Track,
) -> Result<(Decoder, &'static str, Option<u16>), AudioError> {
    let unknown = || AudioError::UnsupportedCodec(format!("in {}", container.long_name()));
    let params = track
        .codec_params
        .as_ref()
        .and_then(|params| params.audio());
    let params = params.ok_or_else(unknown)?;
    let codec = name_of(params.codec);
    if params.codec == CODEC_ID_OPUS {
        let head = params.extra_data.as_deref().unwrap_or_default();
        return Ok((Decoder::Opus(Box::new(Opus::new(head)?)), codec, None));
    }
    let is_16_bits = [CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S16BE].contains(&params.codec);
    if container == Container::Mp4 && codec == "PCM" && !is_16_bits {
        // symphonia 0.6 does not read the byte order of these.
        return Err(AudioError::UnsupportedCodec(
            "PCM in QuickTime, other than of 16 bits".into(),
        ));
    }
    // The decoder allocates memory for a whole packet.
    let frames = params.max_frames_per_packet.max(params.frames_per_block);
    let channels = params.channels.as_ref().map_or(0, Channels::count);
    if frames.is_some_and(|frames| frames > MAX_PACKET) || channels > MAX_CHANNELS {
        return Err(AudioError::Damaged {
            format: codec,
            reason: "its packets or channels are too many".into(),
        });
    }
    let mut params = params.clone();
    if [CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW].contains(&params.codec) {
        // CAF gives the bits of the code.
        params.bits_per_sample = None;
        params.bits_per_coded_sample = None;
    }
    let bits = match codec {
        "PCM" | "FLAC" | "ALAC" => params.bits_per_sample,
        _ => None,
    };
    let bits = bits
        .and_then(|bits| u16::try_from(bits).ok())
        .filter(|&bits| bits > 0);
    let decoder = symphonia::default::get_codecs()
        .make_audio_decoder(&params, &AudioDecoderOptions::default())
        .map_err(|error| opening(container.long_name(), error))?;
    let block = Vec::new();
    Ok((Decoder::Symphonia { decoder, block }, codec, bits))
}

fn name_of(codec: AudioCodecId) -> &'static str {
    match codec {
        CODEC_ID_AAC => "AAC",
        CODEC_ID_ADPCM_IMA_QT | CODEC_ID_ADPCM_IMA_WAV => "IMA ADPCM",
        CODEC_ID_ADPCM_MS => "Microsoft ADPCM",
        CODEC_ID_ALAC => "ALAC",
        CODEC_ID_FLAC => "FLAC",
        CODEC_ID_MP3 => "MP3",
        CODEC_ID_OPUS => "Opus",
        CODEC_ID_PCM_ALAW => "A-law",
        CODEC_ID_PCM_MULAW => "µ-law",
        CODEC_ID_VORBIS => "Vorbis",
        _ => "PCM",
    }
}

/// Converts an error of a reader or decoder that could not be opened.
fn opening(format: &'static str, error: Error) -> AudioError {
    match error {
        Error::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            AudioError::TruncatedHeader
        }
        // symphonia's own errors of reading have no number of the operating system.
        Error::IoError(error) if error.raw_os_error().is_some() => error.into(),
        Error::Unsupported(reason) => AudioError::UnsupportedCodec(format!("{format}: {reason}")),
        error => damaged(format, &error),
    }
}

fn damaged(format: &'static str, error: &Error) -> AudioError {
    AudioError::Damaged {
        format,
        reason: error.to_string(),
    }
}
