//! IEMOCAP (Busso et al. 2008): `SesNNG_dialogue_GNNN`, as in `Ses01F_impro01_M002`: the session, the
//! person with the markers, the dialogue, and the speaker of the utterance. The labels are in
//! `dialog/EmoEvaluation/*.txt`, in lines such as
//! `[6.2901 - 8.2357]  Ses01F_impro01_F000  neu  [2.5000, 2.5000, 2.5000]`.

use std::collections::BTreeMap;

use super::{Entry, Labels};
use crate::corpus::{Sex, digits};

/// Codes of the annotations. `xxx` is no agreement, which is not a label.
const EMOTIONS: [(&str, &str); 11] = [
    ("ang", "anger"),
    ("dis", "disgust"),
    ("exc", "excitement"),
    ("fea", "fear"),
    ("fru", "frustration"),
    ("hap", "happiness"),
    ("neu", "neutral"),
    ("oth", "other"),
    ("sad", "sadness"),
    ("sur", "surprise"),
    ("xxx", "unknown"),
];

/// The speaker of a session is a woman or a man: `Ses01F` and `Ses01M`.
pub(super) fn parse(stem: &str) -> Option<Labels> {
    let fields: Vec<&str> = stem.split('_').collect();
    let (&[start, dialogue, utterance] | &[start, dialogue, _, utterance]) = fields.as_slice()
    else {
        return None;
    };
    let sex = |letter: &str| ["F", "M"].contains(&letter);
    let (session, marked) = start.strip_prefix("Ses0")?.split_at_checked(1)?;
    let (speaker, number) = utterance.split_at_checked(1)?;
    // A few dialogues have two parts (`script01_1`, `script03_2b`).
    let part = fields.get(2).filter(|_| fields.len() == 4);
    let is_part = part.is_none_or(|part| {
        let number = part.strip_suffix(['a', 'b']).unwrap_or(part);
        digits(number, 1).is_some()
    });
    let scene = dialogue
        .strip_prefix("impro")
        .or(dialogue.strip_prefix("script"))?;
    let scene = scene.strip_suffix(['a', 'b']).unwrap_or(scene);
    // `XX` marks utterances of both speakers; they have no numbers.
    let is_known = digits(session, 1).is_some_and(|number| (1..=5).contains(&number))
        && sex(marked)
        && sex(speaker)
        && digits(number, 3).is_some()
        && digits(scene, 2).is_some()
        && is_part;
    is_known.then(|| Labels::new("", "", format!("Ses0{session}{speaker}"), ""))
}

pub(super) fn entries(text: &str) -> BTreeMap<String, Entry> {
    let lines = text.lines().filter(|line| line.starts_with('['));
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let &[_, stem, code, ..] = fields.as_slice() else {
            return None;
        };
        let (code, label) = EMOTIONS.iter().find(|(known, _)| *known == code)?;
        let labels = Labels {
            label: (*label).into(),
            corpus_label: (*code).into(),
            ..parse(stem)?
        };
        let entry = Entry {
            labels,
            subset: None,
            unused: None,
        };
        Some((stem.to_string(), entry))
    };
    lines.filter_map(entry).collect()
}

pub(in crate::corpus) fn sex(speaker: &str) -> Option<Sex> {
    Sex::of_initial(speaker.get(5..)?)
}
