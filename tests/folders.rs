//! Commands on folders and manifests as people have them: each says how it reads them.

mod env;

use std::fs;

use emovox::corpus::demo;
use env::process::run_command;
use env::{CommandOutput, TestEnv};

const TRAIN: &str = "train --config small.toml --device cpu --epochs 1 --no-cache";
/// Index of each emotion in the demo corpus.
const EMOTIONS: [(&str, usize); 3] = [("Angry", 0), ("Neutral", 5), ("sad", 6)];

/// Recordings of four voices, with the path that `place` gives for the voice and the emotion.
fn with(place: impl Fn(usize, &str) -> String) -> TestEnv {
    let env = TestEnv::new();
    for voice in 1..=4 {
        for (word, emotion) in EMOTIONS {
            for take in 1..=2 {
                let samples = demo::synthesise(voice, take, emotion, 1);
                let file = format!("{}/{take}.wav", place(voice, word));
                env.wav(&file, 16_000, 1, &samples);
            }
        }
    }
    env
}

#[track_caller]
fn says(output: &CommandOutput, words: &[&str]) {
    for word in words {
        assert!(output.out.contains(word), "lacks '{word}': {}", output.out);
    }
}

/// The subset of each speaker of a run.
fn subsets(env: &TestEnv, run: &str) -> Vec<(String, String)> {
    let table = env.table(&format!("{run}/split.csv"));
    let lines = table.iter();
    let mut subsets: Vec<(String, String)> = lines
        .map(|line| (line["speaker"].clone(), line["part"].clone()))
        .collect();
    subsets.sort();
    subsets.dedup();
    subsets
}

#[test]
fn folders_of_speakers_above_those_of_classes_are_trained_on() {
    let env = with(|voice, word| format!("mine/extra/spk{voice:02}/{word}"));
    let output = env.run(&format!("{TRAIN} --data mine --run a")).success();
    let rule = "read as */SPEAKER/CLASS (classes Angry, Neutral, sad; speakers spk01, spk02, spk03, spk04)";
    says(&output, &["3 classes (anger, neutral, sadness)", rule]);
    assert_eq!(subsets(&env, "a").len(), 4, "each speaker is in one subset");
    says(&env.run("doctor --data mine").success(), &[rule]);
    // Another meaning on request.
    let output = env.run(&format!("{TRAIN} --data mine --layout */CLASS --run b"));
    output.fails_with(&["the speaker of 24 of the 24 recordings is unknown"]);
}

#[test]
fn folders_of_subsets_are_the_split() {
    let subset = |voice| ["train", "train", "val", "test"][voice - 1];
    let env = with(|voice, word| format!("mine/{}/{word}/v{voice}", subset(voice)));
    let output = env.run(&format!("{TRAIN} --data mine --run a")).success();
    says(
        &output,
        &["SPLIT/CLASS/SPEAKER", "subsets test, train, val"],
    );
    let expected = [
        ("v1", "train"),
        ("v2", "train"),
        ("v3", "validation"),
        ("v4", "test"),
    ];
    let expected = expected.map(|(speaker, subset)| (speaker.to_string(), subset.to_string()));
    assert_eq!(subsets(&env, "a"), expected);
    let output = env
        .run(&format!("{TRAIN} --data mine --split speaker --run b"))
        .success();
    says(&output, &["are not used: the split is speaker"]);
}

#[test]
fn words_on_the_command_line_mean_what_folders_with_these_words_mean() {
    let env = with(|voice, word| format!("mine/{word}/{voice:02}"));
    let mut command = env.command(&format!("{TRAIN} --data mine --run a --map Angry=SAD"));
    command.args(["--labels", "Neutral, SAD", "--test-speakers", "03, 4"]);
    let output = run_command(command.args(["--validation-speakers", " 1"])).success();
    says(
        &output,
        &["2 classes (neutral, sadness)", "anger counts as sadness"],
    );
    let expected = [
        ("01", "validation"),
        ("02", "train"),
        ("03", "test"),
        ("04", "test"),
    ];
    let expected = expected.map(|(speaker, subset)| (speaker.to_string(), subset.to_string()));
    assert_eq!(subsets(&env, "a"), expected);
    env.run(&format!("{TRAIN} --data mine --labels anger,neutrl"))
        .fails_with(&["no recording has the label neutrl", "did you mean neutral?"]);
    let output = env.run("evaluate a --data mine/../mine --part all --map Neutral=sad");
    says(&output.success(), &["neutral"]);
}

#[test]
fn a_manifest_can_be_one_of_several_corpora() {
    let env = with(|voice, word| format!("mine/{word}/{voice:02}"));
    let mut list = "file;label;speaker\n".to_string();
    for (word, emotion) in EMOTIONS {
        for voice in 5..=8 {
            let samples = demo::synthesise(voice, 1, emotion, 1);
            env.wav(&format!("more/{word}-{voice}.wav"), 16_000, 1, &samples);
            list += &format!("{word}-{voice}.wav;{word};{voice:02}\n");
        }
    }
    fs::write(env.path("list.csv"), list).unwrap();
    let both = "--manifest listed=list.csv --root listed=more --data folders=mine";
    let output = env
        .run(&format!("{TRAIN} {both} --balance corpus --run a"))
        .success();
    says(
        &output,
        &["36 clips, 8 speakers, 3 classes", "corpus folders+listed"],
    );
    let names: Vec<String> = subsets(&env, "a")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.first().map(String::as_str), Some("folders:01"));
    assert_eq!(names.last().map(String::as_str), Some("listed:08"));
    says(&env.run("evaluate a").success(), &["folders+listed"]);
    // The settings of the run find the manifest from everywhere.
    env.run("train --device cpu --no-cache --config runs/a/config.toml --run b")
        .success();
    assert_eq!(
        fs::read(env.path("runs/a/split.csv")).unwrap(),
        fs::read(env.path("runs/b/split.csv")).unwrap()
    );
    let line =
        format!("cross-corpus {both} --config small.toml --device cpu --epochs 1 --name all");
    says(&env.run(&line).success(), &["listed"]);
    env.run(&format!("{TRAIN} --manifest list.csv --manifest list.csv"))
        .fails_with(&["need names, as in --manifest mine=FILE"]);
    env.run("doctor --manifest listed=list.csv")
        .fails_with(&["has no name here; use --manifest list.csv"]);
}

#[test]
fn every_command_that_reads_a_folder_accepts_its_layout() {
    let env = with(|voice, word| format!("mine/extra/spk{voice:02}/{word}"));
    env.run(&format!("{TRAIN} --data mine --run a")).success();
    fs::rename(env.path("mine/extra"), env.path("mine/renamed")).unwrap();
    for command in ["doctor --data mine", "inspect mine --out pictures --force"] {
        for rule in ["*/SPEAKER/CLASS", "*/CLASS"] {
            let output = env.run(&format!("{command} --layout {rule}")).success();
            says(&output, &[&format!("read as {rule} ")]);
        }
    }
    // The names of the speakers are no labels of the model.
    env.run("evaluate a --data mine --layout */CLASS/*")
        .fails_with(&["no clip in mine has a label of the model"]);
    env.run("evaluate a --data mine --layout */SPEAKER/CLASS")
        .success();
    for flag in ["--layout */CLASS", "--corpus ravdess"] {
        for command in ["doctor", "evaluate a"] {
            let output = env.run(&format!("{command} {flag}"));
            assert_eq!(output.code, 2);
            assert!(
                output.error.contains("needs '--data <DIR>'"),
                "{}",
                output.error
            );
        }
    }
}

#[test]
fn a_final_model_has_no_score_and_names_the_cross_validation() {
    let env = with(|voice, word| format!("mine/{word}/{voice:02}"));
    let output = env.run(&format!(
        "{TRAIN} --data mine --test-fraction 0 --validation-fraction 0 --run final"
    ));
    let output = output.success();
    let estimate = "emovox cross-validate --config runs/final/config.toml --folds 5";
    says(
        &output,
        &["no score of its own", estimate, "24 clips, 4 speakers"],
    );
    assert!(
        subsets(&env, "final")
            .iter()
            .all(|(_, subset)| subset == "train")
    );
    assert!(!env.path("runs/final/report.json").exists());
    env.run("predict final mine/sad/01/1.wav").success();
    env.run("evaluate final")
        .fails_with(&["no clip in the test subset", "cross-validate"]);
    // No epoch is the best without a validation subset.
    assert!(!output.out.contains("best"), "{}", output.out);
    let report = env.run("report final").fails_with(&[
        "final is a final model",
        "runs/final/curves.png",
        "emovox evaluate runs/final --data DIR",
    ]);
    assert!(!report.error.contains("--resume"), "{}", report.error);
    env.run("train --resume final --epochs 2").success();

    let output = env
        .run(&format!("{TRAIN} --data mine --test-fraction 0 --run half"))
        .success();
    says(&output, &["no score of its own"]);
    let validated = subsets(&env, "half")
        .iter()
        .filter(|(_, subset)| subset == "validation")
        .count();
    assert_eq!(validated, 1);
    env.run(&format!("{TRAIN} --data mine --validation-fraction 0"))
        .fails_with(&["--test-fraction 0, and then --validation-fraction 0"]);
    // The same if the test speakers are named.
    env.run(&format!(
        "{TRAIN} --data mine --test-speakers 01 --test-fraction 0 --validation-fraction 0"
    ))
    .fails_with(&["unless speakers are named"]);
    env.run(&format!(
        "{TRAIN} --data mine --test-speakers 01 --test-fraction 0 --validation-speakers 02 \
         --validation-fraction 0"
    ))
    .success();
    env.run(&format!(
        "{TRAIN} --data mine --test-fraction 0 --validation-fraction 0 --early-stopping 3"
    ))
    .fails_with(&["no epoch can be chosen"]);
    let estimate = "cross-validate --config runs/final/config.toml --folds 2 --epochs 1 --name cv";
    says(&env.run(estimate).success(), &["all test clips together"]);
}

#[test]
fn an_unclear_folder_is_refused_before_a_run_begins() {
    let env = with(|voice, word| format!("mine/{}/c{}", voice, word.len()));
    env.run(&format!("{TRAIN} --data mine")).fails_with(&[
        "no clear meaning",
        "(1, 2, 3, 4)",
        "--layout SPEAKER/CLASS",
    ]);
    assert_eq!(env.runs(), 0);
    let output = env
        .run(&format!(
            "{TRAIN} --data mine --layout SPEAKER/CLASS --run a"
        ))
        .success();
    says(&output, &["3 classes (c3, c5, c7)"]);
}
