//! CREMA-D (Cao et al. 2014): `actor_sentence_EMOTION_level`, as in `1001_DFA_ANG_XX`: actors 1001
//! to 1091, a code of three letters for each of twelve sentences, and the intensity: LO, MD, HI or
//! XX (unspecified). In the published corpus, one name ends in a single X (`1040_ITH_SAD_X`).

use super::{Labels, Sex, digits};

const EMOTIONS: [(&str, &str); 6] = [
    ("ANG", "anger"),
    ("DIS", "disgust"),
    ("FEA", "fear"),
    ("HAP", "happiness"),
    ("NEU", "neutral"),
    ("SAD", "sadness"),
];
const SENTENCES: [&str; 12] = [
    "IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI",
];
const LEVELS: [&str; 5] = ["LO", "MD", "HI", "XX", "X"];
/// Female actors, from `VideoDemographics.csv` of the corpus.
const WOMEN: [u16; 43] = [
    1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025, 1028,
    1029, 1030, 1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060, 1061, 1063,
    1072, 1073, 1074, 1075, 1076, 1078, 1079, 1082, 1084, 1089, 1091,
];

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let fields: Vec<&str> = stem.split('_').collect();
    let &[actor, sentence, emotion, level] = fields.as_slice() else {
        return None;
    };
    let known = digits(actor, 4).is_some_and(|actor| (1001..=1091).contains(&actor))
        && SENTENCES.contains(&sentence)
        && LEVELS.contains(&level);
    let (_, label) = EMOTIONS
        .iter()
        .find(|(code, _)| known && *code == emotion)?;
    Some(Labels::new(*label, emotion, actor, sentence))
}

pub(super) fn sex(actor: &str) -> Option<Sex> {
    let actor: u16 = actor.parse().ok()?;
    Some(if WOMEN.contains(&actor) {
        Sex::Female
    } else {
        Sex::Male
    })
}
