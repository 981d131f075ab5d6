//! Energy-based voice activity detection: a gate that finds the speech in a stream.
//!
//! Every 10 ms the level above 100 Hz is compared with a noise floor. The floor falls to a lower
//! level within about 30 ms and rises by 2 dB a second, so that it follows the pauses of speech and
//! adapts to a new noise, such as a fan, within about ten seconds. The gate opens if the level is
//! 10 dB above the floor for 30 ms, and closes if it is less than 6 dB above the floor for 400 ms;
//! two thresholds avoid fast switching. A margin of 100 ms on either side keeps soft onsets and
//! endings. Sounds shorter than 300 ms, such as a click or a cough, do not count as speech.
//!
//! The gate does not distinguish speech from music.

/// Length of a frame in milliseconds.
const FRAME_MS: u64 = 10;
/// Number of loud frames after which the gate opens.
const OPENS_AFTER: u64 = 3;
/// Number of quiet frames after which the gate closes.
const CLOSES_AFTER: u64 = 40;
/// Number of frames added before and behind the loud frames.
const MARGIN: u64 = 10;
/// Number of frames of the shortest speech.
const MIN_SPEECH: u64 = 30;
/// Distance of the closing threshold below the opening threshold, in decibels.
const HYSTERESIS: f64 = 4.0;
/// Lowest noise floor, in decibels of full scale.
const MIN_FLOOR: f64 = -70.0;
/// Noise floor at the start of a stream, in decibels of full scale.
const INITIAL_FLOOR: f64 = -50.0;
/// Share of the distance to a lower level by which the floor falls in a frame.
const FALL: f64 = 0.3;
/// Rise of the floor in a frame, in decibels.
const RISE: f64 = 0.02;
/// Cutoff of the high-pass filter in hertz. Lower frequencies are hum and rumble rather than voice.
const CUTOFF_HZ: f64 = 100.0;
/// Level of digital silence, in decibels of full scale.
const SILENCE: f64 = -100.0;
/// Sounds below this level, in decibels of full scale, are no speech: a 16-bit recording has hardly
/// any steps left for them.
const QUIETEST: f64 = -80.0;
/// Difference between the loudest and the quietest sound of a recording that noise alone does not
/// have, in decibels. The levels of frames of white noise differ by about 3 dB.
const VARIATION: f64 = 6.0;

/// Settings of the voice activity detection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VoiceActivityConfig {
    /// Distance above the noise floor from which on a sound counts as speech, in decibels.
    pub threshold: f64,
}

impl Default for VoiceActivityConfig {
    fn default() -> Self {
        VoiceActivityConfig { threshold: 10.0 }
    }
}

/// A segment of speech, as a range of samples of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpeechSegment {
    /// Index of the first sample.
    pub start: u64,
    /// Index behind the last sample; the stream may not have arrived there yet.
    pub end: u64,
}

/// Detector of speech in a stream. It keeps the latest segment of speech.
pub struct VoiceActivityGate {
    threshold: f64,
    /// Length of a frame in samples.
    frame_length: u64,
    /// Pole of the high-pass filter.
    pole: f64,
    /// Last input of the high-pass filter.
    input: f64,
    /// Last output of the high-pass filter.
    output: f64,
    /// Energy of the incomplete frame.
    energy: f64,
    /// Number of samples of the incomplete frame.
    collected: u64,
    /// Number of complete frames.
    frames: u64,
    /// Noise floor in decibels of full scale.
    floor: f64,
    /// Number of loud frames in a row.
    loud: u64,
    /// Number of quiet frames in a row while the gate is open.
    quiet: u64,
    /// True if the gate was open at any time.
    has_opened: bool,
    /// Levels of the last two frames.
    recent: [f64; 2],
    /// Level that three frames in a row reached.
    loudest: f64,
    /// Level of the quietest frame.
    quietest: f64,
    /// Segment of the open gate.
    open: Option<SpeechSegment>,
    /// Number of frames before the first loud frame of that segment.
    opened_after: u64,
    /// Latest segment that is long enough for speech.
    latest: Option<SpeechSegment>,
}

impl VoiceActivityGate {
    /// A gate for streams of `sample_rate` hertz.
    pub fn new(config: &VoiceActivityConfig, sample_rate: u32) -> VoiceActivityGate {
        let rate = f64::from(sample_rate);
        VoiceActivityGate {
            threshold: config.threshold,
            frame_length: (u64::from(sample_rate) * FRAME_MS / 1000).max(1),
            pole: (-std::f64::consts::TAU * CUTOFF_HZ / rate).exp(),
            input: 0.0,
            output: 0.0,
            energy: 0.0,
            collected: 0,
            frames: 0,
            floor: INITIAL_FLOOR,
            loud: 0,
            quiet: 0,
            has_opened: false,
            recent: [SILENCE; 2],
            loudest: SILENCE,
            quietest: 0.0,
            open: None,
            opened_after: 0,
            latest: None,
        }
    }

    /// Processes the next samples of the stream.
    pub fn push(&mut self, samples: &[f32]) {
        for &sample in samples {
            let sample = f64::from(sample);
            self.output = sample - self.input + self.pole * self.output;
            self.input = sample;
            self.energy += self.output * self.output;
            self.collected += 1;
            if self.collected == self.frame_length {
                let power = self.energy / self.frame_length as f64;
                self.end_frame((10.0 * power.log10()).max(SILENCE));
                (self.energy, self.collected) = (0.0, 0);
            }
        }
    }

    /// The segment of the open gate, of any length; its end moves on with every loud frame.
    pub fn open(&self) -> Option<SpeechSegment> {
        self.open
    }

    /// The latest segment of speech; its end moves on while the speech continues.
    pub fn latest(&self) -> Option<SpeechSegment> {
        self.latest
    }

    /// True if there was a sound, of any length, that opened the gate, or that differs from the
    /// quietest part of the stream: quiet speech in noise does not open the gate.
    pub fn has_speech(&self) -> bool {
        let varies = self.loudest - self.quietest >= VARIATION && self.loudest > QUIETEST;
        self.has_opened || varies
    }

    /// Current noise floor, in decibels of full scale (negative).
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// Updates the noise floor and the gate by the level of a complete frame, in decibels of full
    /// scale.
    fn end_frame(&mut self, level: f64) {
        self.frames += 1;
        let [earlier, last] = self.recent;
        self.recent = [last, level];
        self.loudest = self.loudest.max(level.min(last).min(earlier));
        self.quietest = self.quietest.min(level);
        let above = level - self.floor;
        let change = if above < 0.0 { FALL * above } else { RISE };
        self.floor = (self.floor + change).max(MIN_FLOOR);

        let sample_of = |frame: u64| frame * self.frame_length;
        let opens = above > self.threshold;
        self.loud = if opens { self.loud + 1 } else { 0 };
        match &mut self.open {
            None if self.loud >= OPENS_AFTER => {
                self.quiet = 0;
                self.has_opened = true;
                self.opened_after = self.frames - self.loud;
                self.open = Some(SpeechSegment {
                    start: sample_of(self.opened_after.saturating_sub(MARGIN)),
                    end: sample_of(self.frames + MARGIN),
                });
            }
            None => {}
            Some(_) if above <= self.threshold - HYSTERESIS => {
                self.quiet += 1;
                if self.quiet >= CLOSES_AFTER {
                    self.open = None;
                }
            }
            Some(segment) => {
                self.quiet = 0;
                segment.end = sample_of(self.frames + MARGIN);
            }
        }
        if let Some(segment) = self.open
            && segment.end >= sample_of(self.opened_after + MIN_SPEECH + MARGIN)
        {
            self.latest = Some(segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::demo;

    const RATE: usize = demo::SAMPLE_RATE as usize;

    /// White noise with an RMS of `level` decibels of full scale.
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

    /// Start and end in seconds of all segments that a gate finds.
    fn segments(samples: &[f32]) -> Vec<(f64, f64)> {
        let mut gate = VoiceActivityGate::new(&VoiceActivityConfig::default(), RATE as u32);
        let mut found: Vec<SpeechSegment> = Vec::new();
        for piece in samples.chunks(97) {
            gate.push(piece);
            if let Some(segment) = gate.latest() {
                match found.last_mut() {
                    Some(last) if last.start == segment.start => *last = segment,
                    _ => found.push(segment),
                }
            }
        }
        let seconds = |sample: u64| sample as f64 / RATE as f64;
        found
            .iter()
            .map(|segment| (seconds(segment.start), seconds(segment.end)))
            .collect()
    }

    #[test]
    fn a_burst_in_noise_is_found_at_any_noise_level() {
        for background in [-70.0, -55.0, -40.0] {
            let mut samples = noise(9.0, background);
            for (sample, burst) in samples[6 * RATE..]
                .iter_mut()
                .zip(noise(1.5, background + 25.0))
            {
                *sample += burst;
            }
            let found = segments(&samples);
            let late: Vec<_> = found.into_iter().filter(|(_, end)| *end > 5.5).collect();
            assert_eq!(late.len(), 1, "{background}: {late:?}");
            let (start, end) = late[0];
            assert!((start - 5.9).abs() < 0.03, "{background}: {start}");
            assert!((end - 7.6).abs() < 0.03, "{background}: {end}");
        }
    }

    /// Before the start there is no room for the margin.
    #[test]
    fn a_short_word_is_speech_at_the_start_too() {
        for start in [0.0, 0.04, 2.0] {
            let mut samples = noise(4.0, -65.0);
            let first = (start * RATE as f64) as usize;
            for (sample, word) in samples[first..].iter_mut().zip(noise(0.35, -20.0)) {
                *sample += word;
            }
            assert_eq!(segments(&samples).len(), 1, "{start}");
        }
    }

    #[test]
    fn a_click_is_not_speech_and_the_floor_adapts_to_a_fan() {
        let mut samples = noise(30.0, -60.0);
        for (sample, click) in samples[2 * RATE..].iter_mut().zip(noise(0.05, -10.0)) {
            *sample += click;
        }
        assert_eq!(segments(&samples), []);
        for (sample, fan) in samples[5 * RATE..].iter_mut().zip(noise(25.0, -40.0)) {
            *sample += fan;
        }
        let found = segments(&samples);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1 < 15.0, "adapts within ten seconds: {found:?}");
        assert_eq!(segments(&vec![0.0; 3 * RATE]), []);
    }

    /// As the sad clips of some actors of CREMA-D: the voice is 8 dB above the noise.
    #[test]
    fn quiet_speech_in_noise_is_speech_and_noise_alone_is_not() {
        let has_speech = |samples: &[f32]| {
            let mut gate = VoiceActivityGate::new(&VoiceActivityConfig::default(), RATE as u32);
            gate.push(samples);
            gate.has_speech()
        };
        let mut samples = noise(2.0, -50.0);
        assert!(!has_speech(&samples));
        for (sample, voice) in samples[RATE..].iter_mut().zip(noise(0.5, -42.0)) {
            *sample += voice;
        }
        assert!(has_speech(&samples));
        assert!(!has_speech(&vec![0.25; 2 * RATE]), "a constant");
        assert!(!has_speech(&noise(2.0, -90.0)), "dither");
    }

    #[test]
    fn the_speech_of_every_voice_is_found_and_the_pauses_are_not() {
        for voice in 1..=demo::SPEAKERS {
            let mut samples = noise(2.0, -65.0);
            let (sentence, emotion) = (1 + voice % demo::SENTENCES, voice % demo::EMOTIONS.len());
            let speech = demo::synthesise(voice, sentence, emotion, 1);
            let spoken = speech.len() as f64 / RATE as f64;
            samples.extend(speech);
            samples.extend(noise(2.0, -65.0));
            let found = segments(&samples);
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
