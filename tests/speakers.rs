//! Names of speakers: several spellings are one speaker, and a speaker belongs to one corpus.

mod desk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use desk::Desk;
use serde_json::Value;

const TRAIN: &str =
    "train --config small.toml --epochs 1 --device cpu --manifest list.csv --root corpus";

const NO_SHARED_SPEAKER: &str = "No speaker is in two subsets";

/// Writes the manifest `list.csv` of the corpus. `named` returns the label and the speaker of a recording,
/// given its number, voice (1 to 5) and emotion.
fn list(desk: &Desk, named: impl Fn(usize, usize, &str) -> (String, String)) {
    let mut text = "file,label,speaker\n".to_string();
    let mut number = 0;
    for emotion in ["anger", "neutral", "sadness"] {
        for voice in 1..=5 {
            for sentence in 1..=2 {
                let (label, speaker) = named(number, voice, emotion);
                text += &format!("{emotion}/v{voice:02}/{sentence}.wav,{label},\"{speaker}\"\n");
                number += 1;
            }
        }
    }
    fs::write(desk.path("list.csv"), text).unwrap();
}

/// The subsets of each voice; the voice is the folder of a recording.
fn subsets_of_voices(desk: &Desk, run: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut parts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in desk.table(&format!("{run}/split.csv")) {
        let voice = line["clip"].split('/').nth(1).unwrap().to_string();
        parts.entry(voice).or_default().insert(line["part"].clone());
    }
    parts
}

#[test]
fn a_speaker_with_several_spellings_is_in_one_subset() {
    let desk = Desk::with_corpus();
    let spellings = ["spk{}", "Spk0{} ", "SPK{}", " spk00{}"];
    list(&desk, |number, voice, emotion| {
        let speaker = spellings[number % spellings.len()].replace("{}", &voice.to_string());
        (emotion.into(), speaker)
    });
    let seen = desk.types(&format!("{TRAIN} --run mine")).fine();
    assert!(seen.out.contains("30 clips, 5 speakers"), "{}", seen.out);
    assert!(
        seen.out.contains("spellings of one speaker"),
        "{}",
        seen.out
    );
    assert!(seen.out.contains(NO_SHARED_SPEAKER), "{}", seen.out);
    let parts = subsets_of_voices(&desk, "mine");
    assert!(parts.values().all(|parts| parts.len() == 1), "{parts:?}");

    // The flags accept every spelling.
    let typed = "--run typed --test-speakers SPK02 --validation-speakers spk005";
    desk.types(&format!("{TRAIN} {typed}")).fine();
    let parts = subsets_of_voices(&desk, "typed");
    assert!(parts["v02"].contains("test") && parts["v05"].contains("validation"));
}

#[test]
fn names_that_may_be_one_speaker_or_two_are_rejected() {
    let desk = Desk::with_corpus();
    list(&desk, |number, voice, emotion| {
        let speaker = match number % 2 {
            0 => format!("{voice:02}"),
            _ => format!("spk{voice:02}"),
        };
        (emotion.into(), speaker)
    });
    desk.types(TRAIN).fails_with(&[
        "list.csv: the speakers '01' and 'spk01'; '02' and 'spk02'",
        "may be one person or several",
    ]);
    assert_eq!(desk.runs(), 0);
}

#[test]
fn folders_of_a_speaker_may_have_several_spellings() {
    let desk = Desk::with_corpus();
    for (emotion, spelling) in [("anger", "V3"), ("sadness", "v003")] {
        let folder = desk.path(&format!("corpus/{emotion}"));
        fs::rename(folder.join("v03"), folder.join(spelling)).unwrap();
    }
    let seen = desk
        .types("train --data corpus --config small.toml --epochs 1 --device cpu --run mine")
        .fine();
    let note = "speaker 'V3' is also written 'v003', 'v03': 3 spellings of one speaker";
    assert!(seen.out.contains(note), "{}", seen.out);
    let parts = desk.table("mine/split.csv");
    let of_voice = parts.iter().filter(|line| line["speaker"] == "V3");
    let parts: BTreeSet<&String> = of_voice.map(|line| &line["part"]).collect();
    assert_eq!(parts.len(), 1);
}

#[test]
fn a_word_for_a_missing_value_is_neither_a_speaker_nor_a_class() {
    let desk = Desk::with_corpus();
    list(&desk, |number, voice, emotion| {
        let label = if number == 4 { "NaN" } else { emotion };
        let speaker = match voice {
            1 => "Unknown".to_string(),
            2 => "n/a".to_string(),
            _ => format!("v{voice}"),
        };
        (label.into(), speaker)
    });
    desk.types(TRAIN).fails_with(&[
        "the speaker of 12 of the 29 recordings is unknown",
        "--split random",
    ]);
    let seen = desk
        .types(&format!("{TRAIN} --split random --run mine"))
        .fine();
    for words in [
        "29 clips, 4 speakers, 3 classes (anger, neutral, sadness)",
        "'Unknown' is not the name of a speaker: the speaker of 6 clip(s) is unknown",
        "'n/a' is not the name of a speaker: the speaker of 6 clip(s) is unknown",
        "its label is 'NaN', which is not a class (list.csv, line 6, column 2 (label))",
    ] {
        assert!(seen.out.contains(words), "lacks {words}: {}", seen.out);
    }
    let skipped = desk.table("mine/skipped.csv");
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0]["file"], "anger/v03/1.wav");
}

#[test]
fn a_class_may_be_called_unknown_with_map() {
    let desk = Desk::with_corpus();
    list(&desk, |_, voice, emotion| {
        let label = if emotion == "sadness" {
            "unknown"
        } else {
            emotion
        };
        (label.into(), format!("v{voice}"))
    });
    let seen = desk.types(&format!("{TRAIN} --run two")).fine();
    assert!(
        seen.out.contains("2 classes (anger, neutral)"),
        "{}",
        seen.out
    );
    let seen = desk
        .types(&format!("{TRAIN} --map unknown=unknown --run three"))
        .fine();
    let classes = "3 classes (anger, neutral, unknown)";
    assert!(seen.out.contains(classes), "{}", seen.out);
}

#[test]
fn a_recording_of_two_speakers_is_reported_and_marks_the_score() {
    let desk = Desk::with_corpus();
    fs::create_dir_all(desk.path("corpus/anger/v06")).unwrap();
    let from = desk.path("corpus/anger/v01/1.wav");
    fs::copy(from, desk.path("corpus/anger/v06/x.wav")).unwrap();
    let train = "train --data corpus --config small.toml --epochs 1 --device cpu";
    let message = "the same recording belongs to speaker v01 and to speaker v06: anger/v01/1.wav and \
                anger/v06/x.wav";

    let parts = "--test-speakers v01 --validation-speakers v02";
    let seen = desk.types(&format!("{train} {parts} --run apart")).fine();
    assert!(seen.out.contains(message), "{}", seen.out);
    let before_training = seen.out.find(message) < seen.out.find("epoch ");
    assert!(before_training, "{}", seen.out);
    assert!(!seen.out.contains(NO_SHARED_SPEAKER), "{}", seen.out);
    let report = fs::read_to_string(desk.path("runs/apart/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["speakers_shared"], true);
    let seen = desk.types("evaluate apart").fine();
    assert!(!seen.out.contains(NO_SHARED_SPEAKER), "{}", seen.out);
    desk.types("report apart").fine();
    let page = fs::read_to_string(desk.path("runs/apart/report.html")).unwrap();
    assert!(!page.contains("no speaker is in two subsets"));

    // If both are in one subset, the score is not affected.
    let parts = "--test-speakers v03 --validation-speakers v02";
    let seen = desk
        .types(&format!("{train} {parts} --run together"))
        .fine();
    assert!(seen.out.contains(message), "{}", seen.out);
    assert!(seen.out.contains(NO_SHARED_SPEAKER), "{}", seen.out);
    desk.types("report together").fine();
    let page = fs::read_to_string(desk.path("runs/together/report.html")).unwrap();
    assert!(page.contains("no speaker is in two subsets"));
}

#[test]
fn many_duplicate_recordings_are_counted() {
    let desk = Desk::with_corpus();
    for emotion in ["anger", "neutral", "sadness"] {
        for voice in 1..=2 {
            for sentence in 1..=2 {
                let from = desk.path(&format!("corpus/{emotion}/v0{voice}/{sentence}.wav"));
                let copy = desk.path(&format!("corpus/{emotion}/v1{voice}"));
                fs::create_dir_all(&copy).unwrap();
                fs::copy(from, copy.join(format!("{sentence}.wav"))).unwrap();
            }
        }
    }
    let seen = desk
        .types("train --data corpus --config small.toml --epochs 1 --device cpu")
        .fine();
    let listed = seen
        .out
        .matches("the same recording belongs to speaker")
        .count();
    assert_eq!(listed, 10, "{}", seen.out);
    assert!(
        seen.out
            .contains("2 more pairs of recordings are identical"),
        "{}",
        seen.out
    );
}

#[test]
fn a_colon_in_the_speakers_of_a_manifest_changes_nothing() {
    let desk = Desk::with_corpus();
    let parts = |separator: &str| {
        list(&desk, |_, voice, emotion| {
            (
                emotion.into(),
                format!("s{}{separator}{}", voice / 2, voice % 2),
            )
        });
        let run = if separator == ":" { "colon" } else { "dash" };
        desk.types(&format!("{TRAIN} --run {run}")).fine();
        subsets_of_voices(&desk, run)
    };
    assert_eq!(parts(":"), parts("-"));

    // The same applies to a name that looks like a corpus and its speaker.
    list(&desk, |_, voice, emotion| {
        (emotion.into(), format!("manifest:v{voice}"))
    });
    desk.types(&format!("{TRAIN} --run like --test-speakers manifest:v2"))
        .fine();
    assert!(subsets_of_voices(&desk, "like")["v02"].contains("test"));
    desk.types("evaluate like").fine();
}

#[test]
fn a_run_of_several_corpora_from_an_earlier_version_can_be_used() {
    let desk = Desk::with_corpus();
    desk.split_corpus();
    let train = "train --data a=corpus --data b=other --config small.toml --device cpu";
    for run in ["now", "before"] {
        desk.types(&format!(
            "{train} --epochs 1 --test-speakers b:v04 --run {run}"
        ))
        .fine();
    }
    // The earlier version had no column for the corpus.
    let mut text = csv::Writer::from_writer(Vec::new());
    text.write_record(["clip", "speaker", "label", "corpus_label", "part"])
        .unwrap();
    for line in desk.table("before/split.csv") {
        let speaker = line["speaker"].clone();
        assert!(speaker.starts_with(&format!("{}:", line["corpus"])));
        let rest = ["label", "corpus_label", "part"].map(|column| line[column].as_str());
        let line = [&[line["clip"].as_str(), &speaker], &rest[..]].concat();
        text.write_record(line).unwrap();
    }
    fs::write(
        desk.path("runs/before/split.csv"),
        text.into_inner().unwrap(),
    )
    .unwrap();

    for command in [
        "evaluate RUN",
        "evaluate RUN --part train",
        "evaluate RUN --data other",
    ] {
        // The second line is about content hashes, which the earlier version did not record.
        let scores = |run: &str| {
            let out = desk.types(&command.replace("RUN", run)).fine().out;
            let mut lines: Vec<String> = out.lines().map(String::from).collect();
            lines.remove(1);
            lines
        };
        assert_eq!(scores("before"), scores("now"), "{command}");
    }
    for run in ["now", "before"] {
        desk.types(&format!("train --resume {run} --epochs 2"))
            .fine();
        desk.types(&format!("report {run}")).fine();
        desk.types(&format!("export {run}")).fine();
    }
    let read = |file: &str| fs::read(desk.path(file)).unwrap();
    for file in ["best.ot", "predictions.csv"] {
        let of = |run: &str| read(&format!("runs/{run}/{file}"));
        assert!(of("now") == of("before"), "{file}");
    }
    let speakers = desk.table("now/predictions.csv");
    assert!(speakers.iter().all(|line| line["speaker"] == "b:v04"));
}
