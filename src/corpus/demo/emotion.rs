//! What emotion does to a voice, and how clearly.

use super::dice::Dice;

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

// The difficulty of the corpus. More spread, more habit or less strength make it harder.

/// How much a take differs from what its emotion asks for, in the units of [`VARIATION`].
const SPREAD: f64 = 0.68;
/// How much a person always differs from the next, in the same units.
const HABIT: f64 = 0.1;
/// How much of the emotion a take shows: some little, some more than the table asks for.
const STRENGTH: (f64, f64) = (0.85, 1.35);

/// What carries emotion, in steps away from neutral. The directions follow Scherer (1986, 2003),
/// Burkhardt & Sendlmeier (2000) and Juslin & Laukka (2003); the sizes are chosen for the task.
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

/// How much each of these varies for other reasons than emotion, in the same steps. The colour of a
/// voice varies most and its movement least, so that listening to the average sound is not enough.
#[rustfmt::skip]
const VARIATION: [f64; 15] =
    [  0.5,  0.3,  0.25, 0.4, 1.5,  0.25,  1.6,   1.2,  0.5,  0.5,  0.3,   0.8,   1.6,  1.6,  0.4];

/// One take's way of speaking, in units the synthesiser understands.
pub struct Style {
    /// Semitones above the voice's usual pitch.
    pub pitch: f64,
    /// Height of the accents in semitones.
    pub range: f64,
    /// Where the pitch goes at the end of the sentence, in semitones.
    pub final_move: f64,
    /// Where the loudness goes over the sentence, in dB: the pressure under the glottis drives
    /// both.
    pub swell: f64,
    /// Speed, 1 being usual.
    pub tempo: f64,
    /// Loudness in dB.
    pub loudness: f64,
    /// How much louder accented syllables are, in dB.
    pub stress: f64,
    /// What the source loses at 3 kHz, in dB.
    pub tilt: f64,
    /// Share of a period in which the glottis is open.
    pub open_quotient: f64,
    /// Breath noise beside the voice.
    pub breath: f64,
    /// Irregularity from period to period: of the length (jitter) and the strength (shimmer),
    /// relative.
    pub jitter: f64,
    pub shimmer: f64,
    /// How much every second period falls behind, 0 to 1.
    pub creak: f64,
    /// Trembling of the pitch in semitones.
    pub tremor: f64,
    /// How far vowels get from the neutral schwa: 1 is usual.
    pub precision: f64,
    /// Formant shift by the lips: spread above 1, protruded below.
    pub lips: f64,
    /// How far the way through the nose stays open, 0 to 1.
    pub nasal: f64,
    /// Pause between words in seconds.
    pub pause: f64,
}

/// How a person of these habits speaks one take of an emotion.
pub fn style(emotion: usize, expressive: f64, habits: &mut Dice, take: &mut Dice) -> Style {
    let strength = expressive * take.between(STRENGTH.0, STRENGTH.1);
    in_units(std::array::from_fn(|i| {
        strength * TABLE[emotion][i] + VARIATION[i] * (HABIT * habits.bell() + SPREAD * take.bell())
    }))
}

/// Steps to units. Ratios grow by a factor per step, and what cannot be negative is cut off at its
/// least.
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
