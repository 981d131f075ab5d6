//! Words that no font can draw. They become numbers; each picture with such numbers has a legend,
//! in which the words are written with escapes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use unicode_bidi::{BidiClass, bidi_class};

use super::face::{Weight, face_for};

/// The words in order of their numbers, which start from 1. All pictures of a process have the same
/// numbers, so that one message explains them.
static WORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The text with `[1]`, `[2]` … in place of words that no font can draw; neighbouring words have
/// one number.
pub fn numbered(text: &str, weight: Weight) -> String {
    if text.is_ascii() || text.chars().all(|letter| can_be_drawn(letter, weight)) {
        return text.to_string();
    }
    let is_missing = |word: &str| !word.chars().all(|letter| can_be_drawn(letter, weight));
    let words: Vec<&str> = text.split(' ').collect();
    let groups = words.chunk_by(|&first, &second| is_missing(first) && is_missing(second));
    let replaced = groups.map(|group| match group {
        [word] if !is_missing(word) => word.to_string(),
        words => with_number(&words.join(" ")),
    });
    replaced.collect::<Vec<_>>().join(" ")
}

/// The number of some words. Brackets and punctuation around them are kept.
fn with_number(words: &str) -> String {
    let core = words.trim_matches(|letter: char| letter.is_ascii_punctuation());
    words.replacen(core, &format!("[{}]", number(core)), 1)
}

fn number(word: &str) -> usize {
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(index) = words.iter().position(|known| known == word) {
        return index + 1;
    }
    words.push(word.to_string());
    words.len()
}

fn can_be_drawn(letter: char, weight: Weight) -> bool {
    is_invisible(letter) || face_for(letter, weight).is_some()
}

/// True for joiners, direction marks and variation selectors.
fn is_invisible(letter: char) -> bool {
    use BidiClass::*;
    let is_selector = matches!(letter, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    let is_mark = matches!(
        bidi_class(letter),
        BN | LRE | LRO | RLE | RLO | PDF | LRI | RLI | FSI | PDI
    );
    is_selector || is_mark
}

/// The numbers in one picture.
#[derive(Default)]
pub struct Legend {
    numbers: BTreeSet<usize>,
}

impl Legend {
    /// Adds the numbers in a text that is drawn.
    pub fn add(&mut self, text: &str) {
        let words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
        let drawn = (1..=words.len()).filter(|number| text.contains(&format!("[{number}]")));
        self.numbers.extend(drawn);
    }

    /// The entries, such as `[1] = \u{751f}\u{6c14}`.
    pub fn entries(&self) -> Vec<String> {
        let words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = |&number: &usize| {
            let word = words.get(number - 1)?;
            Some(format!("[{number}] = {}", word.escape_default()))
        };
        self.numbers.iter().filter_map(entry).collect()
    }
}

/// A message that names the words that pictures of this process have as numbers; `None` if there
/// are none.
pub fn missing_letters() -> Option<String> {
    let words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if words.is_empty() {
        return None;
    }
    const SHOWN: usize = 10;
    let named = words.iter().enumerate().take(SHOWN);
    let mut named: Vec<String> = named
        .map(|(index, word)| format!("{word} (shown as [{}])", index + 1))
        .collect();
    if words.len() > SHOWN {
        named.push(format!("{} more", words.len() - SHOWN));
    }
    Some(format!(
        "pictures: no font on this machine has the letters of {}: install a font that has them, \
         such as Noto Sans CJK or Noto Sans Devanagari, and draw the pictures again",
        named.join(", ")
    ))
}
