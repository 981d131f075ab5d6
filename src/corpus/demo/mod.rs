//! The built-in demo corpus. It is synthetic, because emovox cannot ship recordings of people.
//!
//! Fourteen synthetic voices speak seven made-up sentences in seven emotions. A small formant
//! synthesiser varies the acoustic correlates of emotion in real voices: pitch, pitch range and
//! movement, tempo, loudness, spectral tilt, breath, creak, tremor, articulation. The corpus is for
//! trying and testing emovox; **a score on it does not predict a score on people**.
//!
//! ```text
//! phone     sentence   ┐
//! voice     speaker    ├─ timeline ── tract (glottis → filter) ── recording ── store
//! emotion   style      ┘
//! ```

mod emotion;
mod filter;
mod glottis;
mod name;
mod phone;
mod recording;
mod rng;
mod store;
mod timeline;
mod tract;
mod voice;

pub use emotion::EMOTIONS;
pub use name::{DemoName, parse_name};
pub use store::{DemoSummary, ensure};

use rng::DemoRng;

/// Sample rate of every clip, in hertz.
pub const SAMPLE_RATE: u32 = 16_000;
const RATE: f64 = SAMPLE_RATE as f64;

/// Version of the corpus. It increases with every change that alters a sample, so that an older
/// corpus on disk is replaced.
pub const VERSION: u32 = 1;

/// Number of synthetic voices.
pub const SPEAKERS: usize = voice::SPEAKERS.len();
/// Number of made-up sentences; every voice speaks each of them.
pub const SENTENCES: usize = phone::SENTENCES.len();

/// Number of takes for each voice, sentence and emotion: two of the first sentence, one of the
/// others.
pub const fn takes(sentence: usize) -> usize {
    if sentence == 1 { 2 } else { 1 }
}

/// Synthesises one clip: samples within [-1, 1] at [`SAMPLE_RATE`].
///
/// Voice, sentence and take count from 1, as in the file names; `emotion` is an index into
/// [`EMOTIONS`]. The samples depend only on the arguments, which seed the ChaCha8 streams. All
/// computations use 64 bits. The mathematical libraries of two machines may differ in the last bit
/// of a sine, but rounding a sample to 16 bits practically always removes this difference.
///
/// # Panics
/// If the voice, sentence or emotion does not exist.
pub fn synthesise(voice: usize, sentence: usize, emotion: usize, take: usize) -> Vec<f32> {
    let speaker = &voice::SPEAKERS[voice - 1];
    let rng_of = |purpose: u8, [sentence, emotion, take]: [usize; 3]| {
        DemoRng::new([
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
        &mut rng_of(b'h', [0; 3]),
        &mut rng_of(b's', clip),
    );
    let frames = timeline::frames(
        phone::SENTENCES[sentence - 1],
        &style,
        &mut rng_of(b'p', clip),
    );
    let dry = tract::render(&frames, speaker, &style, &mut rng_of(b'n', clip));
    recording::record(
        dry,
        speaker,
        style.loudness,
        &mut rng_of(b'r', [0; 3]),
        &mut rng_of(b'm', clip),
    )
}
