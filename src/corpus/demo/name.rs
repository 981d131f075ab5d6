//! File names of the demo corpus: writing and parsing.

use super::emotion::EMOTIONS;

/// Contents of the file name of a demo clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoName {
    /// The speaker, such as `v07`.
    pub voice: String,
    /// The sentence, such as `s03`.
    pub sentence: String,
    /// The emotion: one of [`EMOTIONS`].
    pub emotion: &'static str,
    /// Number of the take, from 1.
    pub take: usize,
}

/// Parses a file name such as `demo-v07-s03-anger-2.wav`. `None` for a name of another form.
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

/// File name of a clip; the arguments are those of [`super::synthesise`].
pub fn file_name(voice: usize, sentence: usize, emotion: usize, take: usize) -> String {
    format!(
        "demo-v{voice:02}-s{sentence:02}-{}-{take}.wav",
        EMOTIONS[emotion]
    )
}

/// Name of the folder with the clips of a voice.
pub fn folder_name(voice: usize) -> String {
    format!("v{voice:02}")
}

/// True if `text` is `letter` followed by two digits.
pub fn numbered(text: &str, letter: char) -> bool {
    text.strip_prefix(letter)
        .is_some_and(|number| digits(number, 2))
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}
