//! CASIA, the Chinese emotional corpus (Institute of Automation 2008), in the part of 1200 clips that is
//! in circulation: `speaker/emotion/number`, as in `liuchanhg/angry/201.wav`.

use std::path::Path;

use super::layout::folder_at;
use super::{Labels, digits, emotion};

/// The speakers, as their folders are spelled, in lower case.
const SPEAKERS: [&str; 4] = ["liuchanhg", "wangzhe", "zhaoquanyin", "zhaozuoxiang"];
const EMOTIONS: [&str; 6] = ["angry", "fear", "happy", "neutral", "sad", "surprise"];

pub(super) fn parse(file: &Path) -> Option<Labels> {
    let depth = file.parent()?.components().count();
    let speaker = folder_at(file, depth.checked_sub(2)?)?;
    let word = folder_at(file, depth - 1)?.to_lowercase();
    let number = file.file_stem()?.to_str()?;
    let is_known = SPEAKERS.contains(&speaker.to_lowercase().as_str())
        && EMOTIONS.contains(&word.as_str())
        && digits(number, 3).is_some();
    is_known.then(|| Labels::new(emotion::common(&word), &word, speaker, number))
}
