//! A voice-activity gate: where in a stream somebody speaks.
//!
//! Every 10 ms the level above 100 Hz is compared with a noise floor. The floor follows the quiet:
//! down within some 30 ms, up by 2 dB a second, so that it finds the pauses of speech and learns a fan
//! that is switched on within ten seconds or so. The gate opens where the level stays 10 dB above the
//! floor for 30 ms, and shuts where it has been less than 6 dB above it for 400 ms: two thresholds, so
//! that it does not flutter. Speech keeps 100 ms on either side, for soft onsets and endings. What is
//! shorter than 300 ms, such as a click or a cough, is no speech.
//!
//! It knows loud from quiet, not speech from music.

/// Milliseconds of a frame.
const FRAME: u64 = 10;
/// Frames that must be loud for the gate to open, and quiet for it to shut.
const OPENS_AFTER: u64 = 3;
const SHUTS_AFTER: u64 = 40;
/// Frames kept before what is loud and behind it.
const MARGIN: u64 = 10;
/// Frames of the shortest speech.
const SHORTEST: u64 = 30;
/// Decibels by which the closing threshold is lower.
const HYSTERESIS: f64 = 4.0;
/// The floor's range, where it starts, and how it moves in each frame.
const LOWEST_FLOOR: f64 = -70.0;
const FIRST_FLOOR: f64 = -50.0;
const FALL: f64 = 0.3;
const RISE: f64 = 0.02;
/// Below this frequency, in hertz, there is hum and rumble rather than voice.
const LOWEST_VOICE: f64 = 100.0;
/// Digital silence, in decibels below full scale.
const SILENCE: f64 = -100.0;

/// How speech is told from the background.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateConfig {
    /// Decibels above the noise floor from which on something is speech.
    pub threshold: f64,
}

impl Default for GateConfig {
    fn default() -> Self {
        GateConfig { threshold: 10.0 }
    }
}

/// A stretch of speech, by the places of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The first sample.
    pub start: u64,
    /// The sample behind the last one; it may not have come yet.
    pub end: u64,
}

/// Follows a stream and remembers the latest stretch of speech in it.
pub struct Gate {
    threshold: f64,
    frame_length: u64,
    /// Of the high-pass: its pole, its last input and output.
    pole: f64,
    input: f64,
    output: f64,
    /// Energy and samples of the frame that is not whole yet.
    energy: f64,
    collected: u64,
    /// Whole frames so far.
    frames: u64,
    floor: f64,
    loud: u64,
    quiet: u64,
    open: Option<Stretch>,
    latest: Option<Stretch>,
}

impl Gate {
    /// For streams of this sample rate, in hertz.
    pub fn new(config: &GateConfig, sample_rate: u32) -> Gate {
        let rate = f64::from(sample_rate);
        Gate {
            threshold: config.threshold,
            frame_length: (u64::from(sample_rate) * FRAME / 1000).max(1),
            pole: (-std::f64::consts::TAU * LOWEST_VOICE / rate).exp(),
            input: 0.0,
            output: 0.0,
            energy: 0.0,
            collected: 0,
            frames: 0,
            floor: FIRST_FLOOR,
            loud: 0,
            quiet: 0,
            open: None,
            latest: None,
        }
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        for &sample in samples {
            let sample = f64::from(sample);
            self.output = sample - self.input + self.pole * self.output;
            self.input = sample;
            self.energy += self.output * self.output;
            self.collected += 1;
            if self.collected == self.frame_length {
                let power = self.energy / self.frame_length as f64;
                self.frame((10.0 * power.log10()).max(SILENCE));
                (self.energy, self.collected) = (0.0, 0);
            }
        }
    }

    /// The latest stretch of speech that is no mere click; it grows while somebody speaks.
    pub fn latest(&self) -> Option<Stretch> {
        self.latest
    }

    /// The noise floor, in decibels below full scale.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    fn frame(&mut self, level: f64) {
        self.frames += 1;
        let above = level - self.floor;
        let change = if above < 0.0 { FALL * above } else { RISE };
        self.floor = (self.floor + change).max(LOWEST_FLOOR);

        let place = |frame: u64| frame * self.frame_length;
        let opens = above > self.threshold;
        self.loud = if opens { self.loud + 1 } else { 0 };
        match &mut self.open {
            None if self.loud >= OPENS_AFTER => {
                self.quiet = 0;
                self.open = Some(Stretch {
                    start: place((self.frames - self.loud).saturating_sub(MARGIN)),
                    end: place(self.frames + MARGIN),
                });
            }
            None => {}
            Some(_) if above <= self.threshold - HYSTERESIS => {
                self.quiet += 1;
                if self.quiet >= SHUTS_AFTER {
                    self.open = None;
                }
            }
            Some(stretch) => {
                self.quiet = 0;
                stretch.end = place(self.frames + MARGIN);
            }
        }
        if let Some(stretch) = self.open
            && stretch.end - stretch.start >= place(SHORTEST + 2 * MARGIN)
        {
            self.latest = Some(stretch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::demo;

    const RATE: usize = demo::SAMPLE_RATE as usize;

    /// Noise of an RMS in decibels below full scale.
    fn noise(seconds: f64, level: f64) -> Vec<f32> {
        let mut state = 1u32;
        let amplitude = 10f64.powf(level / 20.0) * 3f64.sqrt();
        (0..(seconds * RATE as f64) as usize)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (amplitude * (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0)) as f32
            })
            .collect()
    }

    /// The stretches that a gate finds, as it has them once they are over.
    fn stretches(samples: &[f32]) -> Vec<(f64, f64)> {
        let mut gate = Gate::new(&GateConfig::default(), RATE as u32);
        let mut found: Vec<Stretch> = Vec::new();
        for piece in samples.chunks(97) {
            gate.push(piece);
            if let Some(stretch) = gate.latest() {
                match found.last_mut() {
                    Some(last) if last.start == stretch.start => *last = stretch,
                    _ => found.push(stretch),
                }
            }
        }
        let seconds = |at: u64| at as f64 / RATE as f64;
        found
            .iter()
            .map(|stretch| (seconds(stretch.start), seconds(stretch.end)))
            .collect()
    }

    #[test]
    fn a_burst_in_noise_is_found_where_it_is_whatever_the_level() {
        for background in [-70.0, -55.0, -40.0] {
            let mut samples = noise(9.0, background);
            for (sample, burst) in samples[6 * RATE..]
                .iter_mut()
                .zip(noise(1.5, background + 25.0))
            {
                *sample += burst;
            }
            let found = stretches(&samples);
            let late: Vec<_> = found.into_iter().filter(|(_, end)| *end > 5.5).collect();
            assert_eq!(late.len(), 1, "{background}: {late:?}");
            let (start, end) = late[0];
            assert!((start - 5.9).abs() < 0.03, "{background}: {start}");
            assert!((end - 7.6).abs() < 0.03, "{background}: {end}");
        }
    }

    #[test]
    fn a_click_is_no_speech_and_a_fan_is_learnt() {
        let mut samples = noise(30.0, -60.0);
        for (sample, click) in samples[2 * RATE..].iter_mut().zip(noise(0.05, -10.0)) {
            *sample += click;
        }
        assert_eq!(stretches(&samples), []);
        for (sample, fan) in samples[5 * RATE..].iter_mut().zip(noise(25.0, -40.0)) {
            *sample += fan;
        }
        let found = stretches(&samples);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1 < 15.0, "learnt within ten seconds: {found:?}");
        assert_eq!(stretches(&vec![0.0; 3 * RATE]), []);
    }

    #[test]
    fn sentences_of_all_voices_are_heard_and_the_pauses_are_not() {
        for voice in 1..=demo::VOICES {
            let mut samples = noise(2.0, -65.0);
            let (sentence, emotion) = (1 + voice % demo::SENTENCES, voice % demo::EMOTIONS.len());
            let speech = demo::synthesise(voice, sentence, emotion, 1);
            let spoken = speech.len() as f64 / RATE as f64;
            samples.extend(speech);
            samples.extend(noise(2.0, -65.0));
            let found = stretches(&samples);
            let total: f64 = found.iter().map(|(start, end)| end - start).sum();
            assert!(
                !found.is_empty() && total > 0.5 * spoken && total < spoken + 0.4,
                "voice {voice}: {found:?} of {spoken} s"
            );
            assert!(
                found[0].0 > 1.5 && found[0].1 < 2.0 + spoken + 0.6,
                "{found:?}"
            );
        }
    }
}
