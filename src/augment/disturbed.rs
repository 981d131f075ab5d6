//! Disturbed copies of the training recordings, so that a model also learns from rooms, noise and
//! microphones that the corpus does not contain (multi-condition training).
//!
//! The waveform is disturbed before silence is trimmed and before features are computed, as it
//! happens to a real recording. The copies are made once, when a training begins or is resumed.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::audio::{self, AudioConfig, Excerpt, Waveform};
use crate::config::DisturbanceConfig;
use crate::dataset::extract_waveforms;
use crate::disturbance::{Telephone, filter, level, noise, room};
use crate::features::{FeatureConfig, Features};
use crate::parallel;
use crate::random;

/// Number of recordings whose voices are the babble of the copies.
const VOICES: usize = 64;

/// Share of recorded noise, if there is any.
const RECORDED: f64 = 1.0 / 3.0;

/// Everything that determines the disturbances of the copies, apart from the recordings.
#[derive(Debug, Clone, Copy)]
pub struct CopyRecipe<'a> {
    /// Number of the copies, and frequency of each disturbance.
    pub config: &'a DisturbanceConfig,
    /// Recordings of noise; may be empty.
    pub noises: &'a [Waveform],
    /// Random seed of the training.
    pub seed: u64,
}

/// Makes the features of the disturbed copies of the training recordings: of all recordings in
/// their first copy, then of all in the next. Copies depend on the seed, the number of the copy
/// and the index of the recording only. `take` receives each copy, from any thread, and returns a
/// matrix with the same values. If it returns `None`, no further copies are made, and the result is
/// `None`.
///
/// # Errors
/// If a recording cannot be read, or if `take` fails.
pub fn disturbed_copies(
    recordings: &[Excerpt],
    (audio, features): (&AudioConfig, &FeatureConfig),
    recipe: &CopyRecipe,
    take: impl Fn(Features) -> Result<Option<Features>> + Sync,
) -> Result<Option<Vec<Features>>> {
    let &CopyRecipe {
        config,
        noises,
        seed,
    } = recipe;
    if config.copies == 0 {
        return Ok(Some(Vec::new()));
    }
    let is_stopped = AtomicBool::new(false);
    let voices = voices(recordings, audio, seed)?;
    let mut copies = Vec::with_capacity(config.copies * recordings.len());
    for copy in 1..=config.copies {
        let make = |recording: usize| {
            ensure!(!is_stopped.load(Ordering::Relaxed), "stopped");
            let file = &recordings[recording];
            let loaded = audio::load_untrimmed(file, audio);
            let mut waveform = loaded.with_context(|| file.display().to_string())?.waveform;
            let mut rng = random::of_copy(seed, copy, recording);
            let others = |voice: &&Voice| {
                voice.recording != recording && voice.waveform.sample_rate == waveform.sample_rate
            };
            let others: Vec<&[f32]> = voices
                .iter()
                .filter(others)
                .map(|voice| voice.waveform.samples.as_slice())
                .collect();
            let rate = waveform.sample_rate;
            let of_rate = |noise: &&Waveform| noise.sample_rate == rate;
            let sources = Sources {
                voices: others,
                noises: noises.iter().filter(of_rate).collect(),
            };
            disturb(&mut waveform, &sources, config, &mut rng)
                .with_context(|| file.display().to_string())?;
            Ok(waveform)
        };
        let take = |copy| {
            let taken = take(copy)?;
            if taken.is_none() {
                is_stopped.store(true, Ordering::Relaxed);
            }
            Ok(taken)
        };
        let made = extract_waveforms(recordings.len(), audio, features, make, take);
        if is_stopped.load(Ordering::Relaxed) {
            return Ok(None);
        }
        copies.extend(made?.into_iter().flatten());
    }
    Ok(Some(copies))
}

/// A training recording whose voice is part of the babble.
struct Voice {
    recording: usize,
    waveform: Waveform,
}

fn voices(recordings: &[Excerpt], audio: &AudioConfig, seed: u64) -> Result<Vec<Voice>> {
    let mut rng = random::of_copy(seed, 0, 0);
    let mut drawn: Vec<usize> = (0..recordings.len()).collect();
    drawn.shuffle(&mut rng);
    drawn.truncate(VOICES);
    let load = |recording: usize| {
        let loaded = audio::load_excerpt(&recordings[recording], audio)?;
        Ok(Voice {
            recording,
            waveform: loaded.waveform,
        })
    };
    parallel::map(drawn, load).into_iter().collect()
}

/// Sounds at the sample rate of a waveform, from which its noise is made.
struct Sources<'a> {
    /// Other training recordings.
    voices: Vec<&'a [f32]>,
    /// Recordings of noise.
    noises: Vec<&'a Waveform>,
}

/// Disturbs a waveform in the order of a recording: room, voice and microphone, noise, telephone or
/// band limits, clipping, level, quantisation.
fn disturb(
    waveform: &mut Waveform,
    sources: &Sources,
    config: &DisturbanceConfig,
    rng: &mut ChaCha8Rng,
) -> Result<()> {
    let rate = waveform.sample_rate;
    let samples = &mut waveform.samples;
    if rng.random_bool(config.room) {
        let rt60 = rng.random_range(0.1..0.6);
        let distance = rng.random_range(0.3..2.5);
        let room = room::Room::draw(rt60, distance, rng);
        room::reverberate(samples, &room.impulse_response(rate));
    }
    if rng.random_bool(config.tilt) {
        filter::tilt(samples, rate, rng.random_range(-4.0..4.0));
    }
    if rng.random_bool(config.noise) {
        let [lowest, highest] = config.snr_db.map(|db| db as f32);
        let snr_db = lowest + (highest - lowest) * rng.random::<f32>();
        let noise = draw_noise(samples.len(), rate, sources, rng);
        noise::mix_at_snr(samples, &noise, rate, snr_db);
    }
    // Without telephones no random number is drawn for them, so older runs keep their copies.
    if config.telephone > 0.0 && rng.random_bool(config.telephone) {
        Telephone::draw(rng).send(waveform, rng)?;
    } else if rng.random_bool(config.band_limit) {
        limit_band(samples, rate, rng);
    }
    let samples = &mut waveform.samples;
    if rng.random_bool(config.clipping) {
        level::clip(samples, rng.random_range(0.1..0.9));
    }
    let peak = level::peak(samples);
    if peak > 0.0 {
        let [lowest, highest] = config.peak_db.map(|db| db as f32);
        let db = lowest + (highest - lowest) * rng.random::<f32>();
        level::gain(samples, db - 20.0 * peak.log10());
    }
    level::quantise(samples, 16);
    Ok(())
}

/// Draws the kind of the noise, and the noise.
fn draw_noise(samples: usize, rate: u32, sources: &Sources, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let Sources { voices, noises } = sources;
    if !noises.is_empty() && rng.random_bool(RECORDED) {
        let recorded = noises[rng.random_range(0..noises.len() as u64) as usize];
        return noise::excerpt(&recorded.samples, samples, rng);
    }
    match rng.random_range(0..100) {
        0..20 => noise::white(samples, rng),
        20..45 => {
            let exponent = rng.random_range(-1.0..2.0);
            noise::coloured(samples, rate, exponent, rng)
        }
        45..75 if !voices.is_empty() => {
            let mut talking = voices.clone();
            let count = rng.random_range(2..8);
            let (talking, _) = talking.partial_shuffle(rng, count);
            noise::babble(talking, samples, rate, rng)
        }
        75..80 => {
            let mains = [50.0, 60.0][rng.random_range(0..2)];
            noise::hum(samples, rate, mains, rng)
        }
        80..90 => noise::environmental(samples, rate, rng),
        _ => {
            // Up to the highest frequency of the features; equally many in each octave.
            let octaves = (0.45 * rate as f32 / 100.0).log2();
            let hz = 100.0 * (octaves * rng.random::<f32>()).exp2();
            noise::tone(samples, rate, hz, rng)
        }
    }
}

/// Removes low frequencies, high ones, or both.
fn limit_band(samples: &mut [f32], rate: u32, rng: &mut ChaCha8Rng) {
    let order = [2, 4, 8][rng.random_range(0..3)];
    let is_narrow = rng.random_range(0..3);
    if is_narrow != 0 {
        filter::high_pass(samples, rate, rng.random_range(80.0..400.0), order);
    }
    if is_narrow != 1 {
        let highest = rng.random_range(0.3..0.95) * rate as f32 / 2.0;
        filter::low_pass(samples, rate, highest, order);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::config::RunConfig;
    use crate::dataset::read_sounds;

    /// Three recordings of one second: tones with pauses.
    fn recordings(folder: &std::path::Path) -> Vec<Excerpt> {
        let write = |index: usize| {
            let path = folder.join(format!("{index}.wav"));
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 16_000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut writer = hound::WavWriter::create(&path, spec).unwrap();
            for sample in 0..16_000 {
                let angle = sample as f64 * 0.1 * (index + 1) as f64;
                let loud = f64::from(u8::from(sample / 2000 % 2 == 0));
                writer
                    .write_sample((8000.0 * loud * angle.sin()) as i16)
                    .unwrap();
            }
            writer.finalize().unwrap();
            Excerpt::from(path)
        };
        (0..3).map(write).collect()
    }

    fn copies(files: &[Excerpt], disturbance: &DisturbanceConfig, seed: u64) -> Vec<Features> {
        copies_with(files, disturbance, seed, &[])
    }

    fn copies_with(
        files: &[Excerpt],
        config: &DisturbanceConfig,
        seed: u64,
        noises: &[Waveform],
    ) -> Vec<Features> {
        let RunConfig {
            audio, features, ..
        } = RunConfig::recipe(Default::default());
        let recipe = CopyRecipe {
            config,
            noises,
            seed,
        };
        let take = |copy| Ok(Some(copy));
        let copies = disturbed_copies(files, (&audio, &features), &recipe, take);
        copies.unwrap().unwrap()
    }

    fn values(copies: &[Features]) -> Vec<Vec<f32>> {
        let values = copies.iter().map(|copy| copy.read().unwrap().to_vec());
        values.collect()
    }

    /// Recordings of noise replace a part of the synthetic noise.
    #[test]
    fn recordings_of_noise_change_some_copies() {
        let folder = tempfile::tempdir().unwrap();
        let files = recordings(folder.path());
        let config = DisturbanceConfig {
            copies: 4,
            noise: 1.0,
            ..DisturbanceConfig::default()
        };
        let audio = RunConfig::recipe(Default::default()).audio;
        let noises = read_sounds(folder.path(), &audio).unwrap();
        let synthetic = values(&copies(&files, &config, 1));
        let recorded = values(&copies_with(&files, &config, 1, &noises.waveforms));
        assert_eq!(synthetic.len(), recorded.len());
        assert_ne!(synthetic, recorded);
    }

    #[test]
    fn copies_depend_on_the_seed_the_copy_and_the_recording() {
        let folder = tempfile::tempdir().unwrap();
        let files = recordings(folder.path());
        let config = DisturbanceConfig {
            copies: 2,
            ..DisturbanceConfig::default()
        };
        let all = values(&copies(&files, &config, 1));
        assert_eq!(all.len(), 6);
        assert_eq!(all, values(&copies(&files, &config, 1)));
        for (first, one) in all.iter().enumerate() {
            assert!(one.iter().all(|value| value.is_finite()));
            assert!(all.iter().skip(first + 1).all(|other| other != one));
        }
        assert_ne!(all, values(&copies(&files, &config, 2)));
        // Another number of copies does not change the first one.
        let fewer = DisturbanceConfig {
            copies: 1,
            ..config
        };
        assert_eq!(values(&copies(&files, &fewer, 1)), all[..3]);
    }

    #[test]
    fn no_copies_are_made_after_one_that_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let files = recordings(folder.path());
        let RunConfig {
            audio, features, ..
        } = RunConfig::recipe(Default::default());
        let config = DisturbanceConfig {
            copies: 1000,
            ..DisturbanceConfig::default()
        };
        let made = AtomicUsize::new(0);
        let take = |_| {
            made.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        };
        let recipe = CopyRecipe {
            config: &config,
            noises: &[],
            seed: 1,
        };
        let copies = disturbed_copies(&files, (&audio, &features), &recipe, take);
        assert!(copies.unwrap().is_none());
        assert!(made.into_inner() <= files.len());
    }

    #[test]
    fn a_copy_that_was_sent_over_a_telephone_has_no_high_frequencies() {
        let config = DisturbanceConfig {
            room: 0.0,
            tilt: 0.0,
            noise: 0.0,
            telephone: 1.0,
            clipping: 0.0,
            ..DisturbanceConfig::default()
        };
        let sources = Sources {
            voices: Vec::new(),
            noises: Vec::new(),
        };
        let power_above_db = |waveform: &Waveform, hz: f32| {
            let mut above = waveform.samples.clone();
            filter::high_pass(&mut above, waveform.sample_rate, hz, 8);
            10.0 * (level::mean_power(&above) / level::mean_power(&waveform.samples)).log10()
        };
        for seed in 0..20 {
            let mut rng = random::of_copy(seed, 1, 0);
            let mut waveform = Waveform {
                samples: noise::white(32_000, &mut rng),
                sample_rate: 16_000,
            };
            assert!(power_above_db(&waveform, 4500.0) > -5.0);
            disturb(&mut waveform, &sources, &config, &mut rng).unwrap();
            assert_eq!(waveform.samples.len(), 32_000);
            let above = power_above_db(&waveform, 4500.0);
            assert!(above < -30.0, "seed {seed}: {above}");
        }
    }

    /// Without shares only the level differs, which the prosody and all MFCCs but the first ignore.
    #[test]
    fn without_any_share_only_the_level_changes() {
        let folder = tempfile::tempdir().unwrap();
        let files = recordings(folder.path());
        let config = DisturbanceConfig {
            copies: 1,
            room: 0.0,
            tilt: 0.0,
            noise: 0.0,
            telephone: 0.0,
            band_limit: 0.0,
            clipping: 0.0,
            peak_db: [-2.0, -2.0],
            ..DisturbanceConfig::default()
        };
        let RunConfig {
            audio, features, ..
        } = RunConfig::recipe(Default::default());
        let load = |file: usize| Ok(audio::load_untrimmed(&files[file], &audio)?.waveform);
        let clean = extract_waveforms(files.len(), &audio, &features, load, Ok).unwrap();
        for (copy, clean) in copies(&files, &config, 1).iter().zip(&clean) {
            assert_eq!(copy.frames(), clean.frames());
            let (copy, clean) = (copy.read().unwrap(), clean.read().unwrap());
            let change: Vec<f32> = copy.iter().zip(clean.iter()).map(|(a, b)| a - b).collect();
            // All mel bands rise by the same decibels, and MFCC 0 by √64 times as many.
            let expected = 8.0 * (20.0 * (32768.0_f32 / 8000.0).log10() - 2.0);
            assert!((change[0] - expected).abs() < 1.0, "{}", change[0]);
            assert!(change[1].abs() < 1.0, "{}", change[1]);
        }
    }
}
