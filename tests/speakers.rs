//! Names of speakers: several spellings are one speaker, and a speaker belongs to one corpus.

mod env;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use env::TestEnv;
use serde_json::Value;

const TRAIN: &str =
    "train --config small.toml --epochs 1 --device cpu --manifest list.csv --root corpus";

const NO_SHARED_SPEAKER: &str = "No speaker is in two subsets";

/// Writes the manifest `list.csv` of the corpus. `named` returns the label and the speaker of a recording,
/// given its number, voice (1 to 5) and emotion.
fn list(env: &TestEnv, named: impl Fn(usize, usize, &str) -> (String, String)) {
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
    fs::write(env.path("list.csv"), text).unwrap();
}

/// The subsets of each voice; the voice is the folder of a recording.
fn subsets_of_voices(env: &TestEnv, run: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut parts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in env.table(&format!("{run}/split.csv")) {
        let voice = line["clip"].split('/').nth(1).unwrap().to_string();
        parts.entry(voice).or_default().insert(line["part"].clone());
    }
    parts
}

#[test]
fn a_speaker_with_several_spellings_is_in_one_subset() {
    let env = TestEnv::with_corpus();
    let spellings = ["spk{}", "Spk0{} ", "SPK{}", " spk00{}"];
    list(&env, |number, voice, emotion| {
        let speaker = spellings[number % spellings.len()].replace("{}", &voice.to_string());
        (emotion.into(), speaker)
    });
    let output = env.run(&format!("{TRAIN} --run mine")).success();
    assert!(
        output.out.contains("30 clips, 5 speakers"),
        "{}",
        output.out
    );
    assert!(
        output.out.contains("spellings of one speaker"),
        "{}",
        output.out
    );
    assert!(output.out.contains(NO_SHARED_SPEAKER), "{}", output.out);
    let parts = subsets_of_voices(&env, "mine");
    assert!(parts.values().all(|parts| parts.len() == 1), "{parts:?}");

    // The flags accept every spelling.
    let typed = "--run typed --test-speakers SPK02 --validation-speakers spk005";
    env.run(&format!("{TRAIN} {typed}")).success();
    let parts = subsets_of_voices(&env, "typed");
    assert!(parts["v02"].contains("test") && parts["v05"].contains("validation"));
}

#[test]
fn names_that_may_be_one_speaker_or_two_are_rejected() {
    let env = TestEnv::with_corpus();
    list(&env, |number, voice, emotion| {
        let speaker = match number % 2 {
            0 => format!("{voice:02}"),
            _ => format!("spk{voice:02}"),
        };
        (emotion.into(), speaker)
    });
    env.run(TRAIN).fails_with(&[
        "list.csv: the speakers '01' and 'spk01'; '02' and 'spk02'",
        "may be one person or several",
    ]);
    assert_eq!(env.runs(), 0);
}

#[test]
fn folders_of_a_speaker_may_have_several_spellings() {
    let env = TestEnv::with_corpus();
    for (emotion, spelling) in [("anger", "V3"), ("sadness", "v003")] {
        let folder = env.path(&format!("corpus/{emotion}"));
        fs::rename(folder.join("v03"), folder.join(spelling)).unwrap();
    }
    let output = env
        .run("train --data corpus --config small.toml --epochs 1 --device cpu --run mine")
        .success();
    let note = "speaker 'V3' is also written 'v003', 'v03': 3 spellings of one speaker";
    assert!(output.out.contains(note), "{}", output.out);
    let parts = env.table("mine/split.csv");
    let of_voice = parts.iter().filter(|line| line["speaker"] == "V3");
    let parts: BTreeSet<&String> = of_voice.map(|line| &line["part"]).collect();
    assert_eq!(parts.len(), 1);
}

#[test]
fn a_word_for_a_missing_value_is_neither_a_speaker_nor_a_class() {
    let env = TestEnv::with_corpus();
    list(&env, |number, voice, emotion| {
        let label = if number == 4 { "NaN" } else { emotion };
        let speaker = match voice {
            1 => "Unknown".to_string(),
            2 => "n/a".to_string(),
            _ => format!("v{voice}"),
        };
        (label.into(), speaker)
    });
    env.run(TRAIN).fails_with(&[
        "the speaker of 12 of the 29 recordings is unknown",
        "--split random",
    ]);
    let output = env
        .run(&format!("{TRAIN} --split random --run mine"))
        .success();
    for words in [
        "29 clips, 3 speakers, unknown for 12 clips, 3 classes (anger, neutral, sadness)",
        "'Unknown' is not the name of a speaker: the speaker of 6 clips is unknown",
        "'n/a' is not the name of a speaker: the speaker of 6 clips is unknown",
        "its label is 'NaN', which is not a class (list.csv, line 6, column 2 (label))",
    ] {
        assert!(output.out.contains(words), "lacks {words}: {}", output.out);
    }
    let skipped = env.table("mine/skipped.csv");
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0]["file"], "anger/v03/1.wav");
}

#[test]
fn a_class_may_be_called_unknown_with_map() {
    let env = TestEnv::with_corpus();
    list(&env, |_, voice, emotion| {
        let label = if emotion == "sadness" {
            "unknown"
        } else {
            emotion
        };
        (label.into(), format!("v{voice}"))
    });
    let output = env.run(&format!("{TRAIN} --run two")).success();
    assert!(
        output.out.contains("2 classes (anger, neutral)"),
        "{}",
        output.out
    );
    let output = env
        .run(&format!("{TRAIN} --map unknown=unknown --run three"))
        .success();
    let classes = "3 classes (anger, neutral, unknown)";
    assert!(output.out.contains(classes), "{}", output.out);
}

#[test]
fn a_recording_of_two_speakers_is_reported_and_marks_the_score() {
    let env = TestEnv::with_corpus();
    fs::create_dir_all(env.path("corpus/anger/v06")).unwrap();
    let from = env.path("corpus/anger/v01/1.wav");
    fs::copy(from, env.path("corpus/anger/v06/x.wav")).unwrap();
    let train = "train --data corpus --config small.toml --epochs 1 --device cpu";
    let message = "the same recording belongs to speaker v01 and to speaker v06: anger/v01/1.wav and \
                anger/v06/x.wav";

    let parts = "--test-speakers v01 --validation-speakers v02";
    let output = env.run(&format!("{train} {parts} --run apart")).success();
    assert!(output.out.contains(message), "{}", output.out);
    let before_training = output.out.find(message) < output.out.find("epoch ");
    assert!(before_training, "{}", output.out);
    assert!(!output.out.contains(NO_SHARED_SPEAKER), "{}", output.out);
    let report = fs::read_to_string(env.path("runs/apart/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["speakers_shared"], true);
    let output = env.run("evaluate apart").success();
    assert!(!output.out.contains(NO_SHARED_SPEAKER), "{}", output.out);
    env.run("report apart").success();
    let page = fs::read_to_string(env.path("runs/apart/report.html")).unwrap();
    assert!(!page.contains("no speaker is in two subsets"));

    // If both are in one subset, the score is not affected.
    let parts = "--test-speakers v03 --validation-speakers v02";
    let output = env
        .run(&format!("{train} {parts} --run together"))
        .success();
    assert!(output.out.contains(message), "{}", output.out);
    assert!(output.out.contains(NO_SHARED_SPEAKER), "{}", output.out);
    env.run("report together").success();
    let page = fs::read_to_string(env.path("runs/together/report.html")).unwrap();
    assert!(page.contains("no speaker is in two subsets"));
}

#[test]
fn many_duplicate_recordings_are_counted() {
    let env = TestEnv::with_corpus();
    for emotion in ["anger", "neutral", "sadness"] {
        for voice in 1..=2 {
            for sentence in 1..=2 {
                let from = env.path(&format!("corpus/{emotion}/v0{voice}/{sentence}.wav"));
                let copy = env.path(&format!("corpus/{emotion}/v1{voice}"));
                fs::create_dir_all(&copy).unwrap();
                fs::copy(from, copy.join(format!("{sentence}.wav"))).unwrap();
            }
        }
    }
    let output = env
        .run("train --data corpus --config small.toml --epochs 1 --device cpu")
        .success();
    let listed = output
        .out
        .matches("the same recording belongs to speaker")
        .count();
    assert_eq!(listed, 10, "{}", output.out);
    assert!(
        output.out.contains("2 more pairs of identical recordings"),
        "{}",
        output.out
    );
}

#[test]
fn a_colon_in_the_speakers_of_a_manifest_changes_nothing() {
    let env = TestEnv::with_corpus();
    let parts = |separator: &str| {
        list(&env, |_, voice, emotion| {
            (
                emotion.into(),
                format!("s{}{separator}{}", voice / 2, voice % 2),
            )
        });
        let run = if separator == ":" { "colon" } else { "dash" };
        env.run(&format!("{TRAIN} --run {run}")).success();
        subsets_of_voices(&env, run)
    };
    assert_eq!(parts(":"), parts("-"));

    // The same applies to a name that looks like a corpus and its speaker.
    list(&env, |_, voice, emotion| {
        (emotion.into(), format!("manifest:v{voice}"))
    });
    env.run(&format!("{TRAIN} --run like --test-speakers manifest:v2"))
        .success();
    assert!(subsets_of_voices(&env, "like")["v02"].contains("test"));
    env.run("evaluate like").success();
}

#[test]
fn a_run_of_several_corpora_from_an_earlier_version_can_be_used() {
    // Whether the bytes of a GPU repeat has not been measured.
    let env = TestEnv::with_corpus().on_cpu();
    env.split_corpus();
    let train = "train --data a=corpus --data b=other --config small.toml --device cpu";
    for run in ["now", "before"] {
        env.run(&format!(
            "{train} --epochs 1 --test-speakers b:v04 --run {run}"
        ))
        .success();
    }
    // The earlier version had no column for the corpus.
    let mut text = csv::Writer::from_writer(Vec::new());
    text.write_record(["clip", "speaker", "label", "corpus_label", "part"])
        .unwrap();
    for line in env.table("before/split.csv") {
        let speaker = line["speaker"].clone();
        assert!(speaker.starts_with(&format!("{}:", line["corpus"])));
        let rest = ["label", "corpus_label", "part"].map(|column| line[column].as_str());
        let line = [&[line["clip"].as_str(), &speaker], &rest[..]].concat();
        text.write_record(line).unwrap();
    }
    fs::write(
        env.path("runs/before/split.csv"),
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
            let out = env.run(&command.replace("RUN", run)).success().out;
            let mut lines: Vec<String> = out.lines().map(String::from).collect();
            lines.remove(1);
            lines
        };
        assert_eq!(scores("before"), scores("now"), "{command}");
    }
    for run in ["now", "before"] {
        env.run(&format!("train --resume {run} --epochs 2"))
            .success();
        env.run(&format!("report {run}")).success();
        env.run(&format!("export {run}")).success();
    }
    let read = |file: &str| fs::read(env.path(file)).unwrap();
    for file in ["best.ot", "predictions.csv"] {
        let of = |run: &str| read(&format!("runs/{run}/{file}"));
        assert!(of("now") == of("before"), "{file}");
    }
    let speakers = env.table("now/predictions.csv");
    assert!(speakers.iter().all(|line| line["speaker"] == "b:v04"));
}

#[test]
fn clips_without_a_speaker_are_counted_apart() {
    let env = TestEnv::with_corpus();
    list(&env, |_, voice, emotion| {
        let speaker = if voice == 1 {
            "unknown"
        } else {
            ["a", "b"][voice % 2]
        };
        (emotion.into(), speaker.into())
    });
    let output = env
        .run(&format!("{TRAIN} --split random --run mine"))
        .success();
    for words in [
        "30 clips, 2 speakers, unknown for 6 clips, 3 classes",
        "speakers (a, b)",
    ] {
        assert!(output.out.contains(words), "{}", output.out);
    }
    let output = env
        .run("doctor --manifest list.csv --root corpus")
        .success();
    assert!(
        output.out.contains("speakers      2 (a, b)\n"),
        "{}",
        output.out
    );
}
