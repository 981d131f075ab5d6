//! The file names of the demo corpus, written and read in one place.

use super::emotion::EMOTIONS;

/// What the name of a demo clip says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoName {
    /// The speaker, such as `v07`.
    pub voice: String,
    /// What was said, such as `s03`.
    pub sentence: String,
    /// One of [`EMOTIONS`].
    pub emotion: &'static str,
    /// Which attempt, from 1.
    pub take: usize,
}

/// Reads a name such as `demo-v07-s03-anger-2.wav`; `None` for any other.
pub fn parse_name(file_name: &str) -> Option<DemoName> {
    let stem = file_name.strip_suffix(".wav")?;
    let [demo, voice, sentence, emotion, take] =
        stem.split('-').collect::<Vec<_>>().try_into().ok()?;
    let known =
        demo == "demo" && numbered(voice, 'v') && numbered(sentence, 's') && digits(take, 1);
    known.then_some(())?;
    Some(DemoName {
        voice: voice.to_owned(),
        sentence: sentence.to_owned(),
        emotion: EMOTIONS.into_iter().find(|known| *known == emotion)?,
        take: take.parse().ok().filter(|&take| take > 0)?,
    })
}

/// The name of a clip, the arguments as for [`super::synthesise`].
pub fn file_name(voice: usize, sentence: usize, emotion: usize, take: usize) -> String {
    format!(
        "demo-v{voice:02}-s{sentence:02}-{}-{take}.wav",
        EMOTIONS[emotion]
    )
}

/// The folder of a voice.
pub fn folder_name(voice: usize) -> String {
    format!("v{voice:02}")
}

/// Whether `text` is `letter` and a number of two digits.
pub fn numbered(text: &str, letter: char) -> bool {
    text.strip_prefix(letter)
        .is_some_and(|number| digits(number, 2))
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}
