//! The disturbances of the stress test, by name. docs/stress.md describes each, with its source.

use std::borrow::Cow;
use std::fmt;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::room::{Room, reverberate};
use super::{Telephone, filter, level, noise, opus};
use crate::audio::{self, AudioError, Waveform};

/// Threshold in decibels for the silence before the first second of a clip: that of the default
/// recipe.
const TRIM_DB: f32 = 40.0;

/// Kind of a disturbance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Changes that a listener hardly notices.
    Small,
    /// Noise beside the speech.
    Noise,
    /// A much lower level.
    Level,
    /// Reverberation.
    Room,
    /// A telephone line, and lossy coding.
    Transmission,
    /// Microphone and converter: spectral tilt, sample rate, bit depth.
    Chain,
    /// Only the beginning of a clip.
    Length,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Category::Small => "small",
            Category::Noise => "noise",
            Category::Level => "level",
            Category::Room => "room",
            Category::Transmission => "transmission",
            Category::Chain => "chain",
            Category::Length => "length",
        })
    }
}

/// A disturbance of the stress test.
#[derive(Debug, Clone, PartialEq)]
pub struct Disturbance {
    /// Name in all tables.
    pub name: String,
    /// Kind of the disturbance.
    pub category: Category,
    /// True if it is one of the 20 disturbances whose checks are counted.
    pub is_core: bool,
    effect: Effect,
}

/// Recordings that some disturbances need, at any sample rate.
#[derive(Debug, Default)]
pub struct Material<'a> {
    /// Clips of other speakers, for babble.
    pub voices: Vec<&'a Waveform>,
    /// Noise of the user.
    pub noises: &'a [Waveform],
    /// Impulse responses of the user.
    pub responses: &'a [Waveform],
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Effect {
    Tone,
    AppendZeros,
    PrependZeros,
    CropStart,
    CropEnd,
    Clip,
    Gain(f32),
    HighPass,
    LowPass,
    FaintNoise,
    Noise(Noise, f32),
    /// Gain in decibels, then 16 bits.
    Level(f32),
    /// Reverberation time in seconds.
    Room(f32),
    Responses,
    Telephone,
    /// Bits per second.
    Opus(i32),
    /// Decibels per octave.
    Tilt(f32),
    /// Sample rate in hertz, and back.
    Resample(u32),
    /// Number of bits.
    Depth(u32),
    /// Seconds.
    First(f32),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Noise {
    White,
    Pink,
    Babble,
    Hum,
    Environmental,
    /// Recordings of the user.
    Recorded,
}

impl Disturbance {
    fn new(category: Category, name: impl Into<String>, effect: Effect) -> Disturbance {
        Disturbance {
            name: name.into(),
            category,
            is_core: false,
            effect,
        }
    }

    fn noise(kind: Noise, snr_db: f32) -> Disturbance {
        let name = match kind {
            Noise::White => "white noise",
            Noise::Pink => "pink noise",
            Noise::Babble => "babble",
            Noise::Hum => "hum",
            Noise::Environmental => "environment",
            Noise::Recorded => "own noise",
        };
        let name = format!("{name} {snr_db} dB");
        Disturbance::new(Category::Noise, name, Effect::Noise(kind, snr_db))
    }

    fn counted(self) -> Disturbance {
        Disturbance {
            is_core: true,
            ..self
        }
    }

    /// All disturbances that need no recordings of the user, in the order of the tables.
    pub fn all() -> Vec<Disturbance> {
        let small = |name, effect| Disturbance::new(Category::Small, name, effect);
        let noise = Disturbance::noise;
        let level = |db: f32| {
            Disturbance::new(Category::Level, format!("level {db} dB"), Effect::Level(db))
        };
        let room = |seconds: f32| {
            Disturbance::new(
                Category::Room,
                format!("room {seconds} s"),
                Effect::Room(seconds),
            )
        };
        let transmission = |name, effect| Disturbance::new(Category::Transmission, name, effect);
        let chain = |name, effect| Disturbance::new(Category::Chain, name, effect);
        let first = |seconds: f32| {
            Disturbance::new(
                Category::Length,
                format!("first {seconds} s"),
                Effect::First(seconds),
            )
        };
        vec![
            small("tone", Effect::Tone).counted(),
            small("zeros at the start", Effect::PrependZeros),
            small("zeros at the end", Effect::AppendZeros).counted(),
            small("crop at the start", Effect::CropStart).counted(),
            small("crop at the end", Effect::CropEnd).counted(),
            small("clipping", Effect::Clip).counted(),
            small("gain +2 dB", Effect::Gain(2.0)).counted(),
            small("gain -2 dB", Effect::Gain(-2.0)).counted(),
            small("high-pass", Effect::HighPass).counted(),
            small("low-pass", Effect::LowPass).counted(),
            small("faint white noise", Effect::FaintNoise).counted(),
            noise(Noise::White, 20.0).counted(),
            noise(Noise::White, 10.0).counted(),
            noise(Noise::White, 5.0),
            noise(Noise::Babble, 20.0).counted(),
            noise(Noise::Babble, 10.0).counted(),
            noise(Noise::Babble, 5.0),
            noise(Noise::Pink, 20.0).counted(),
            noise(Noise::Pink, 10.0),
            noise(Noise::Pink, 5.0),
            noise(Noise::Environmental, 20.0).counted(),
            noise(Noise::Environmental, 10.0),
            noise(Noise::Environmental, 5.0),
            noise(Noise::Hum, 20.0),
            noise(Noise::Hum, 10.0),
            noise(Noise::Hum, 5.0),
            level(-20.0).counted(),
            level(-40.0),
            room(0.3),
            room(0.4).counted(),
            room(0.8),
            transmission("telephone", Effect::Telephone).counted(),
            transmission("Opus 16 kbit/s", Effect::Opus(16_000)).counted(),
            chain("tilt -3 dB/octave", Effect::Tilt(-3.0)),
            chain("tilt +3 dB/octave", Effect::Tilt(3.0)),
            chain("8 kHz", Effect::Resample(8000)),
            chain("44.1 kHz", Effect::Resample(44_100)),
            chain("8 bits", Effect::Depth(8)),
            first(1.0),
            first(2.0),
            first(3.0),
        ]
    }

    /// The 20 disturbances whose checks are counted.
    pub fn core() -> Vec<Disturbance> {
        let mut core = Disturbance::all();
        core.retain(|disturbance| disturbance.is_core);
        core
    }

    /// The disturbances by recorded noise of the user.
    pub fn with_recorded_noise() -> Vec<Disturbance> {
        [20.0, 10.0, 5.0]
            .map(|snr_db| Disturbance::noise(Noise::Recorded, snr_db))
            .into()
    }

    /// The disturbance by impulse responses of the user.
    pub fn with_impulse_responses() -> Disturbance {
        Disturbance::new(Category::Room, "own room", Effect::Responses)
    }

    /// Disturbs a clip. The same generator gives the same samples.
    ///
    /// # Errors
    /// If a sample rate is not supported, or if the memory does not suffice.
    pub fn apply(
        &self,
        clip: &Waveform,
        material: &Material,
        rng: &mut ChaCha8Rng,
    ) -> Result<Waveform, AudioError> {
        let rate = clip.sample_rate;
        let mut disturbed = clip.clone();
        let samples = &mut disturbed.samples;
        match self.effect {
            Effect::Tone => add_tone(samples, rate, rng),
            Effect::AppendZeros => samples.resize(samples.len() + draw_edge(rate, rng), 0.0),
            Effect::PrependZeros => {
                let zeros = vec![0.0; draw_edge(rate, rng)];
                samples.splice(..0, zeros);
            }
            Effect::CropStart => {
                let cropped = draw_edge(rate, rng).min(samples.len() / 2);
                samples.drain(..cropped);
            }
            Effect::CropEnd => {
                let cropped = draw_edge(rate, rng).min(samples.len() / 2);
                samples.truncate(samples.len() - cropped);
            }
            Effect::Clip => level::clip_loudest(samples, one_of([0.001, 0.002, 0.003], rng)),
            Effect::Gain(db) => level::gain(samples, db),
            Effect::HighPass => {
                filter::high_pass(samples, rate, one_of([50.0, 100.0, 150.0], rng), 1)
            }
            Effect::LowPass => {
                filter::low_pass(samples, rate, one_of([6500.0, 7000.0, 7500.0], rng), 1)
            }
            Effect::FaintNoise => {
                let snr_db = one_of([35.0, 40.0, 45.0], rng);
                let white = noise::white(samples.len(), rng);
                noise::mix_at_snr(samples, &white, rate, snr_db);
            }
            Effect::Noise(kind, snr_db) => {
                let noise = make_noise(kind, clip, material, rng)?;
                noise::mix_at_snr(samples, &noise, rate, snr_db);
            }
            Effect::Level(db) => {
                level::gain(samples, db);
                level::quantise(samples, 16);
            }
            Effect::Room(rt60) => {
                let room = Room::draw(rt60, rng.random_range(0.5..2.0), rng);
                reverberate(samples, &room.impulse_response(rate));
            }
            Effect::Responses => {
                if let Some(response) = any_of(material.responses, rng) {
                    reverberate(samples, &at_rate(response, rate)?.samples);
                }
            }
            Effect::Telephone => Telephone::default().send(&mut disturbed, rng)?,
            Effect::Opus(bits_per_second) => disturbed = opus(clip, bits_per_second)?,
            Effect::Tilt(db_per_octave) => {
                let power = level::mean_power(samples);
                filter::tilt(samples, rate, db_per_octave);
                level::scale_to_power(samples, power);
            }
            Effect::Resample(other) => {
                disturbed = audio::resample(&audio::resample(clip, other)?, rate)?;
                disturbed.samples.resize(clip.samples.len(), 0.0);
            }
            Effect::Depth(bits) => level::quantise(samples, bits),
            Effect::First(seconds) => {
                disturbed = audio::trim_silence(clip, TRIM_DB);
                disturbed.samples.truncate((seconds * rate as f32) as usize);
            }
        }
        Ok(disturbed)
    }
}

/// 100, 500 or 1000 samples at 16 kHz: 6, 31 or 63 ms.
fn draw_edge(sample_rate: u32, rng: &mut ChaCha8Rng) -> usize {
    one_of([100, 500, 1000], rng) * sample_rate as usize / 16_000
}

/// Adds a tone between 5 and 7 kHz (at a low sample rate below 45 % of it), whose peak is 40, 45 or
/// 50 dB below that of the clip.
fn add_tone(samples: &mut [f32], sample_rate: u32, rng: &mut ChaCha8Rng) {
    let hz = rng.random_range(5000.0..7000.0_f32);
    let tone = noise::tone(
        samples.len(),
        sample_rate,
        hz.min(0.45 * sample_rate as f32),
        rng,
    );
    let db = one_of([40.0, 45.0, 50.0_f32], rng);
    let amplitude = level::peak(samples) * 10.0_f32.powf(-db / 20.0);
    for (sample, tone) in samples.iter_mut().zip(tone) {
        *sample += amplitude * tone;
    }
}

/// Noise as long as the clip.
fn make_noise(
    kind: Noise,
    clip: &Waveform,
    material: &Material,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<f32>, AudioError> {
    let (length, rate) = (clip.samples.len(), clip.sample_rate);
    Ok(match kind {
        Noise::White => noise::white(length, rng),
        Noise::Pink => noise::pink(length, rate, rng),
        Noise::Hum => noise::hum(length, rate, one_of([50.0, 60.0], rng), rng),
        Noise::Environmental => noise::environmental(length, rate, rng),
        Noise::Babble => {
            let voices = material.voices.iter().map(|voice| at_rate(voice, rate));
            let voices = voices.collect::<Result<Vec<_>, _>>()?;
            let voices: Vec<&[f32]> = voices.iter().map(|voice| &voice.samples[..]).collect();
            noise::babble(&voices, length, rate, rng)
        }
        Noise::Recorded => match any_of(material.noises, rng) {
            Some(recording) => noise::excerpt(&at_rate(recording, rate)?.samples, length, rng),
            None => vec![0.0; length],
        },
    })
}

fn at_rate(waveform: &Waveform, sample_rate: u32) -> Result<Cow<'_, Waveform>, AudioError> {
    if waveform.sample_rate == sample_rate {
        return Ok(Cow::Borrowed(waveform));
    }
    Ok(Cow::Owned(audio::resample(waveform, sample_rate)?))
}

fn one_of<T: Copy, const N: usize>(choices: [T; N], rng: &mut ChaCha8Rng) -> T {
    choices[rng.random_range(0..N as u64) as usize]
}

fn any_of<'a, T>(choices: &'a [T], rng: &mut ChaCha8Rng) -> Option<&'a T> {
    let index = rng.random_range(0..choices.len().max(1) as u64);
    choices.get(index as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;
    use crate::corpus::demo;

    /// More than three seconds of speech.
    fn clip(voice: usize, sample_rate: u32) -> Waveform {
        let sentences = 1..=demo::SENTENCES;
        let samples = sentences.flat_map(|sentence| demo::synthesise(voice, sentence, 0, 1));
        let clip = Waveform {
            samples: samples.take(4 * 16_000).collect(),
            sample_rate: 16_000,
        };
        audio::resample(&clip, sample_rate).unwrap()
    }

    fn every() -> Vec<Disturbance> {
        let mut every = Disturbance::all();
        every.extend(Disturbance::with_recorded_noise());
        every.push(Disturbance::with_impulse_responses());
        every
    }

    #[test]
    fn the_core_has_20_disturbances_and_every_name_is_unique() {
        assert_eq!(Disturbance::core().len(), 20);
        let every = every();
        let names: BTreeSet<&str> = every.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names.len(), every.len());
        let core = every.iter().filter(|one| one.is_core).count();
        assert_eq!(core, 20);
    }

    #[test]
    fn every_disturbance_changes_a_clip_reproducibly_at_any_rate() {
        let voices = [clip(2, 16_000), clip(3, 22_050)];
        let noises = [clip(4, 44_100)];
        let response = Room::draw(0.2, 1.0, &mut ChaCha8Rng::seed_from_u64(1));
        let responses = [Waveform {
            samples: response.impulse_response(16_000),
            sample_rate: 16_000,
        }];
        let material = Material {
            voices: voices.iter().collect(),
            noises: &noises,
            responses: &responses,
        };
        for rate in [8000, 16_000] {
            let mut clip = clip(1, rate);
            // Shorter than the voices and the noise, whose beginning is then random.
            clip.samples.truncate(clip.samples.len() * 7 / 8);
            for disturbance in every() {
                let apply = |seed| {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    disturbance.apply(&clip, &material, &mut rng).unwrap()
                };
                let disturbed = apply(1);
                let name = &disturbance.name;
                assert!(disturbed == apply(1), "{name}");
                assert_eq!(disturbed.sample_rate, rate, "{name}");
                assert!(disturbed.samples.iter().all(|x| x.is_finite()), "{name}");
                // A low-pass above half the sample rate, and 8 kHz at 8 kHz.
                let is_exempt = rate == 8000 && ["low-pass", "8 kHz"].contains(&name.as_str());
                assert!(disturbed != clip || is_exempt, "{name}");
                if disturbance.category == Category::Noise {
                    assert_eq!(disturbed.samples.len(), clip.samples.len(), "{name}");
                    assert!(disturbed != apply(2), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_tone_is_40_to_50_db_below_the_peak() {
        let clip = clip(1, 16_000);
        let tone = &Disturbance::core()[0];
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let disturbed = tone.apply(&clip, &Material::default(), &mut rng).unwrap();
            let added = disturbed.samples.iter().zip(&clip.samples);
            let added: Vec<f32> = added.map(|(after, before)| after - before).collect();
            let db = 20.0 * (level::peak(&clip.samples) / level::peak(&added)).log10();
            let nearest = [40.0, 45.0, 50.0].map(|step: f32| (db - step).abs());
            assert!(nearest.into_iter().fold(f32::MAX, f32::min) < 0.1, "{db}");
        }
    }

    #[test]
    fn the_first_second_starts_where_the_sound_starts() {
        let mut late = clip(1, 16_000);
        late.samples.splice(..0, vec![0.0; 16_000]);
        let first = Disturbance::new(Category::Length, "first", Effect::First(0.5));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let first = first.apply(&late, &Material::default(), &mut rng).unwrap();
        assert_eq!(first.samples.len(), 8000);
        assert!(level::peak(&first.samples[..1600]) > 0.0);
    }
}
