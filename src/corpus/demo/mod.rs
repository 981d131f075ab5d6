//! The built-in demo corpus: synthetic, because no recording can be shipped.
//!
//! Fourteen synthetic voices speak seven made-up sentences in seven emotions. A small formant
//! synthesiser makes them out of what carries emotion in real voices: pitch, its range and
//! movement, tempo, loudness, spectral tilt, breath, creak, tremor, articulation. Good for trying
//! emovox out and for testing it; **a score on it says nothing about people**.
//!
//! ```text
//! phone     what is said          ┐
//! voice     who says it           ├─ score ── tract (glottis → filter) ── recording ── store
//! emotion   how it is said        ┘
//! ```

mod dice;
mod emotion;
mod filter;
mod glottis;
mod name;
mod phone;
mod recording;
mod score;
mod store;
mod tract;
mod voice;

pub use emotion::EMOTIONS;
pub use name::{DemoName, parse_name};
pub use store::{DemoSummary, ensure};

use dice::Dice;

/// Samples per second of every clip.
pub const SAMPLE_RATE: u32 = 16_000;
const RATE: f64 = SAMPLE_RATE as f64;

/// Goes up with every change that alters a sample, so that an older corpus on disk is made anew.
pub const VERSION: u32 = 1;

/// How many synthetic voices there are.
pub const VOICES: usize = voice::VOICES.len();
/// How many made-up sentences each of them speaks.
pub const SENTENCES: usize = phone::SENTENCES.len();

/// How often a voice speaks a sentence in one emotion: the first sentence twice, the others once.
pub const fn takes(sentence: usize) -> usize {
    if sentence == 1 { 2 } else { 1 }
}

/// Speaks one clip, 16 kHz, within [-1, 1].
///
/// Voice, sentence and take count from 1, as in the file names; `emotion` is an index into
/// [`EMOTIONS`]. The samples follow from the arguments alone: the chance in them is a ChaCha8
/// stream seeded with these. Everything is computed in 64 bits, so that what the mathematical
/// libraries of two machines may disagree on (the last bit of a sine) is practically always gone
/// when a sample is rounded to 16 bits.
///
/// # Panics
/// If a voice, sentence or emotion does not exist.
pub fn synthesise(voice: usize, sentence: usize, emotion: usize, take: usize) -> Vec<f32> {
    let speaker = &voice::VOICES[voice - 1];
    let dice = |purpose: u8, [sentence, emotion, take]: [usize; 3]| {
        Dice::new([
            VERSION as u8,
            purpose,
            voice as u8,
            sentence as u8,
            emotion as u8,
            take as u8,
            0,
            0,
        ])
    };
    let clip = [sentence, emotion, take];
    let style = emotion::style(
        emotion,
        speaker.expressive,
        &mut dice(b'h', [0; 3]),
        &mut dice(b's', clip),
    );
    let score = score::score(
        phone::SENTENCES[sentence - 1],
        &style,
        &mut dice(b'p', clip),
    );
    let dry = tract::play(&score, speaker, &style, &mut dice(b'n', clip));
    recording::record(
        dry,
        speaker,
        style.loudness,
        &mut dice(b'r', [0; 3]),
        &mut dice(b'm', clip),
    )
}
