//! The hops of a recording in which somebody speaks.

use crate::audio::stream::{VoiceActivityConfig, VoiceActivityGate};

/// Number of pieces of a second in which the gate gets the samples. An open gate stays open for at
/// least 0.4 s, so it is seen at the end of a piece.
const PIECES: usize = 10;

/// Finds the hops with speech while a recording is read, with the gate of `emovox listen`.
pub(super) struct SpeechHops {
    gate: VoiceActivityGate,
    /// Length of a hop in samples.
    hop: u64,
    /// Length of a piece in samples.
    piece: usize,
    /// True for each hop, from the first to the last one with speech, that has speech.
    found: Vec<bool>,
}

impl SpeechHops {
    /// For a recording of `sample_rate` hertz with hops of `hop` samples.
    pub fn new(sample_rate: u32, hop: u64) -> SpeechHops {
        SpeechHops {
            gate: VoiceActivityGate::new(&VoiceActivityConfig::default(), sample_rate),
            hop,
            piece: (sample_rate as usize / PIECES).max(1),
            found: Vec::new(),
        }
    }

    /// Processes the next samples of the recording.
    pub fn push(&mut self, samples: &[f32]) {
        for piece in samples.chunks(self.piece) {
            self.gate.push(piece);
            let Some(open) = self.gate.open() else {
                continue;
            };
            let end = open.end.div_ceil(self.hop) as usize;
            self.found.resize(self.found.len().max(end), false);
            self.found[(open.start / self.hop) as usize..end].fill(true);
        }
    }

    /// For each of `count` hops, true if it has speech. Speech that is too quiet for the gate is
    /// somewhere in the recording, so all of its hops may have it.
    pub fn finish(mut self, count: usize) -> Vec<bool> {
        let is_too_quiet = self.found.is_empty() && self.gate.has_speech();
        self.found.resize(count, false);
        if is_too_quiet {
            self.found.fill(true);
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: u32 = 16_000;

    /// Speech of this many seconds: a rough tone.
    fn sound(seconds: f64) -> Vec<f32> {
        let samples = (seconds * f64::from(RATE)) as usize;
        (0..samples).map(|n| 0.1 * (n % 80) as f32 / 80.0).collect()
    }

    fn silence(seconds: f64) -> Vec<f32> {
        vec![0.0; (seconds * f64::from(RATE)) as usize]
    }

    fn found(samples: &[f32], hop: u64, pieces: &[usize]) -> Vec<bool> {
        let mut hops = SpeechHops::new(RATE, hop);
        let mut rest = samples;
        for &piece in pieces {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            hops.push(now);
            rest = later;
        }
        hops.push(rest);
        hops.finish(samples.len().div_ceil(hop as usize))
    }

    #[test]
    fn a_pause_has_no_speech_and_a_short_word_has() {
        let samples = [sound(1.5), silence(3.0), sound(0.15), silence(2.35)].concat();
        let expected = [true, true, false, false, true, false, false];
        assert_eq!(found(&samples, 16_000, &[]), expected);
        assert_eq!(found(&silence(3.0), 16_000, &[]), [false; 3]);
        assert_eq!(found(&[], 16_000, &[]), [false; 0]);
    }

    #[test]
    fn speech_that_is_too_quiet_for_the_gate_may_be_anywhere() {
        // The tone becomes louder so slowly that the gate takes it for noise.
        let samples: Vec<f32> = (0..10 * RATE)
            .map(|n| 1e-4 * (1.0 + n as f32 / RATE as f32) * ((n % 80) as f32 / 40.0 - 1.0))
            .collect();
        let mut gate = VoiceActivityGate::new(&VoiceActivityConfig::default(), RATE);
        gate.push(&samples);
        assert!(gate.has_speech() && gate.latest().is_none());
        assert_eq!(found(&samples, 16_000, &[]), [true; 10]);
    }

    proptest! {
        #[test]
        fn the_pieces_of_the_recording_do_not_matter(
            parts in prop::collection::vec((0.0..0.8f64, 0.0..2.0f64), 1..5),
            hop in 800u64..40_000,
            pieces in prop::collection::vec(1usize..30_000, 0..20),
        ) {
            let samples: Vec<f32> = parts
                .iter()
                .flat_map(|&(speech, pause)| [sound(speech), silence(pause)].concat())
                .collect();
            prop_assert_eq!(found(&samples, hop, &pieces), found(&samples, hop, &[1]));
        }
    }
}
