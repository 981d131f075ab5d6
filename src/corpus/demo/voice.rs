//! The synthetic voices and their recording conditions.

use Kind::{Child, Female, Male};

/// Type of a voice, which the README of the corpus counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Male,
    Female,
    Child,
}

/// A synthetic voice and its recording conditions. [`super::emotion`] draws its speaking habits.
pub struct Voice {
    pub kind: Kind,
    /// Usual pitch in Hz.
    pub pitch: f64,
    /// Formant frequencies relative to those of an adult male; a shorter vocal tract has higher
    /// ones.
    pub tract: f64,
    /// Formant bandwidths relative to the usual bandwidths.
    pub damping: f64,
    /// Strength of the expressed emotions; 1 is usual.
    pub expressive: f64,
    /// Level of the recording in dB. It varies so that loudness alone hardly predicts the emotion.
    pub level: f64,
    /// Gain of the microphone above about 2 kHz, in dB.
    pub treble: f64,
    /// Amplitude of the first reflections of the room, relative to the direct sound.
    pub room: f64,
    /// Level of the background noise in dB of full scale.
    pub noise: f64,
}

#[rustfmt::skip]
pub const SPEAKERS: [Voice; 14] = [
    //    kind    pitch  tract damping expressive level treble room  noise
    voice(Male,   112.0, 1.00, 1.00,   1.00,       0.0,  0.0,  0.10, -60.0),
    voice(Female, 205.0, 1.15, 1.00,   1.05,       2.0,  0.8,  0.12, -61.0),
    voice(Child,  262.0, 1.26, 1.05,   1.00,       1.0,  0.4,  0.08, -59.0),
    voice(Male,   124.0, 1.02, 1.05,   1.00,      -1.5, -0.5,  0.12, -59.0),
    voice(Female, 188.0, 1.12, 0.95,   1.06,      -1.0,  0.8,  0.06, -60.0),
    voice(Male,   106.0, 0.98, 0.95,   1.04,      -1.5,  0.3,  0.08, -61.0),
    voice(Female, 218.0, 1.17, 1.05,   0.96,       2.0, -0.6,  0.13, -59.0),
    voice(Child,  248.0, 1.22, 1.00,   1.03,      -1.5,  0.5,  0.10, -60.0),
    voice(Male,   128.0, 1.02, 1.00,   1.08,       0.8,  0.3,  0.10, -60.0),
    voice(Female, 184.0, 1.11, 1.05,   0.97,       0.5, -0.8,  0.13, -59.0),
    voice(Male,   118.0, 1.01, 1.05,   0.98,       1.0, -0.6,  0.11, -59.0),
    voice(Female, 228.0, 1.18, 0.95,   1.00,      -2.0,  0.0,  0.10, -59.0),
    voice(Child,  255.0, 1.24, 1.00,   0.97,       0.5, -0.4,  0.07, -60.0),
    voice(Female, 196.0, 1.13, 1.00,   1.02,      -0.5,  0.3,  0.11, -60.0),
];

#[allow(clippy::too_many_arguments)]
const fn voice(
    kind: Kind,
    pitch: f64,
    tract: f64,
    damping: f64,
    expressive: f64,
    level: f64,
    treble: f64,
    room: f64,
    noise: f64,
) -> Voice {
    Voice {
        kind,
        pitch,
        tract,
        damping,
        expressive,
        level,
        treble,
        room,
        noise,
    }
}
