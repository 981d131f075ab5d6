//! Effect of each emotion on the voice, and the strength of that effect.

use super::rng::DemoRng;

/// The seven classes, in the order of their indices.
pub const EMOTIONS: [&str; 7] = [
    "anger",
    "boredom",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
];

// These three constants set the difficulty of the corpus. More variation or less strength make it
// harder.

/// Standard deviation between the takes of one emotion, in the units of [`VARIATION`].
const TAKE_STD: f64 = 0.68;
/// Standard deviation between speakers, in the same units.
const SPEAKER_STD: f64 = 0.1;
/// Range of the factor by which a take multiplies the values of the table.
const STRENGTH: (f64, f64) = (0.85, 1.35);

/// Acoustic correlates of each emotion, in steps away from neutral. The directions follow Scherer
/// (1986, 2003), Burkhardt & Sendlmeier (2000) and Juslin & Laukka (2003); the sizes are chosen for
/// the task.
#[rustfmt::skip]
const TABLE: [[f64; 15]; 7] = [
    // pitch range final tempo loud stress bright breath rough creak tremor precise lips nasal pause
    [  1.4,  1.5, -2.2,  1.0, 1.5,  2.0,   2.0,  -1.0,  1.5,  0.3,  0.0,   1.0,   0.0,  0.0, -0.5], // anger
    [ -1.2, -2.0,  0.9, -0.6,-0.8, -2.0,  -0.5,   0.0,  0.0,  0.3, -0.3,  -2.0,  -0.3,  0.3,  0.2], // boredom
    [ -1.0,  0.8, -1.2, -1.2,-0.3,  1.2,   0.5,   0.0,  1.0,  2.5,  0.0,   0.3,  -0.8,  2.0,  1.2], // disgust
    [  2.0, -1.2,  1.2,  2.0, 0.0, -0.8,  -0.6,   1.6,  1.5,  0.0,  3.8,  -0.3,   0.3,  0.0, -0.5], // fear
    [  1.7,  2.0,  2.2,  0.7, 0.8,  0.6,   0.8,   0.0, -0.5, -0.5,  0.0,   0.6,   1.8,  0.0, -0.3], // happiness
    [  0.0,  0.0,  0.0,  0.0, 0.0,  0.0,   0.0,   0.0,  0.0,  0.0,  0.0,   0.0,   0.0,  0.0,  0.0], // neutral
    [ -0.8, -1.3, -1.8, -1.7,-1.5, -1.3,  -2.0,   2.0,  0.5,  0.0,  0.8,  -1.0,  -0.5,  0.0,  1.8], // sadness
];

/// Variation of each correlate that is not caused by emotion, in the same steps. The timbre of a
/// voice varies most and its movement varies least, so that features averaged over time are not
/// enough.
#[rustfmt::skip]
const VARIATION: [f64; 15] =
    [  0.5,  0.3,  0.25, 0.4, 1.5,  0.25,  1.6,   1.2,  0.5,  0.5,  0.3,   0.8,   1.6,  1.6,  0.4];

/// Speaking style of one take, in the units of the synthesiser.
pub struct Style {
    /// Mean pitch above the usual pitch of the voice, in semitones.
    pub pitch: f64,
    /// Height of the accents in semitones.
    pub range: f64,
    /// Movement of the pitch at the end of the sentence, in semitones.
    pub final_move: f64,
    /// Change of the loudness over the sentence, in dB. Subglottal pressure drives both this and
    /// `final_move`.
    pub swell: f64,
    /// Speaking rate relative to the usual rate.
    pub tempo: f64,
    /// Loudness relative to a neutral take, in dB.
    pub loudness: f64,
    /// Extra loudness of accented syllables, in dB.
    pub stress: f64,
    /// Spectral tilt: attenuation of the source at 3 kHz, in dB.
    pub tilt: f64,
    /// Share of a period in which the glottis is open.
    pub open_quotient: f64,
    /// Amplitude of the breath noise relative to the voice.
    pub breath: f64,
    /// Relative variation of the length of a period.
    pub jitter: f64,
    /// Relative variation of the strength of a period.
    pub shimmer: f64,
    /// Delay and weakness of every second period, 0 to 1.
    pub creak: f64,
    /// Amplitude of the pitch tremor, in semitones.
    pub tremor: f64,
    /// Distance of the vowels from the neutral schwa; 1 is usual.
    pub precision: f64,
    /// Factor of the formants by the lips: spread above 1, protruded below.
    pub lips: f64,
    /// Opening of the nasal tract during the whole sentence, 0 to 1.
    pub nasal: f64,
    /// Pause between words in seconds.
    pub pause: f64,
}

/// Draws the style of one take of an emotion. `expressive` and `speaker` belong to the voice,
/// `take` belongs to the clip.
pub fn style(emotion: usize, expressive: f64, speaker: &mut DemoRng, take: &mut DemoRng) -> Style {
    let strength = expressive * take.between(STRENGTH.0, STRENGTH.1);
    in_units(std::array::from_fn(|i| {
        let variation = SPEAKER_STD * speaker.bell() + TAKE_STD * take.bell();
        strength * TABLE[emotion][i] + VARIATION[i] * variation
    }))
}

/// Converts steps to units. Ratios grow by a constant factor a step; values that cannot be negative
/// are clamped.
fn in_units(steps: [f64; 15]) -> Style {
    let [
        pitch,
        range,
        end,
        tempo,
        loud,
        stress,
        bright,
        breath,
        rough,
        creak,
        tremor,
        precise,
        lips,
        nasal,
        pause,
    ] = steps;
    Style {
        pitch: 2.2 * pitch,
        range: 3.0 * 1.45_f64.powf(range),
        final_move: -1.0 + 2.5 * end,
        swell: -2.5 + 3.0 * end,
        tempo: 1.09_f64.powf(tempo),
        loudness: 2.0 * loud,
        stress: (3.5 + 2.0 * stress).max(0.0),
        tilt: (9.0 - 2.4 * bright).clamp(1.0, 26.0),
        open_quotient: (0.60 - 0.04 * bright + 0.05 * breath).clamp(0.35, 0.85),
        breath: 0.05 * 1.55_f64.powf(breath),
        jitter: 0.006 * 1.7_f64.powf(rough),
        shimmer: 0.04 * 1.5_f64.powf(rough),
        creak: (0.02 + 0.08 * creak).clamp(0.0, 0.6),
        tremor: (0.10 + 0.30 * tremor).max(0.0),
        precision: (1.0 + 0.12 * precise).clamp(0.4, 1.3),
        lips: 1.0 + 0.02 * lips,
        nasal: (0.10 + 0.13 * nasal).clamp(0.0, 0.8),
        pause: (0.02 + 0.025 * pause).max(0.0),
    }
}
