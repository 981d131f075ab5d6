//! Runs from manifests: training, resuming and evaluation, without repeating any flag.

mod env;

use std::fs;

use env::TestEnv;
use serde_json::Value;

const TRAIN: &str = "train --config small.toml --device cpu --run mine";

/// A row for each recording of the corpus; `part` maps a voice to its subset.
fn lines(env: &TestEnv, part: impl Fn(&str) -> Option<&'static str>) -> Vec<String> {
    let mut lines = Vec::new();
    for emotion in ["anger", "neutral", "sadness"] {
        for voice in 1..=5 {
            let voice = format!("v{voice:02}");
            for sentence in 1..=2 {
                let file = format!("{emotion}/{voice}/{sentence}.wav");
                assert!(env.path("corpus").join(&file).is_file());
                let part = part(&voice).map_or(String::new(), |part| format!(";{part}"));
                lines.push(format!("{file};{};{voice}{part}", emotion.to_uppercase()));
            }
        }
    }
    lines
}

fn parts(env: &TestEnv, run: &str) -> Vec<[String; 2]> {
    let mut table = csv::Reader::from_path(env.path(&format!("runs/{run}/split.csv"))).unwrap();
    let speaker_and_part = |line: csv::StringRecord| [line[1].to_string(), line[4].to_string()];
    let mut parts: Vec<_> = table
        .records()
        .map(|line| speaker_and_part(line.unwrap()))
        .collect();
    parts.sort();
    parts.dedup();
    parts
}

#[test]
fn a_run_does_not_need_its_manifest_after_the_training() {
    let env = TestEnv::with_corpus();
    let split = |voice: &str| {
        Some(match voice {
            "v04" => "dev",
            "v02" => "test",
            _ => "train",
        })
    };
    let list = format!(
        "file;label;speaker;split\r\n{}\r\n",
        lines(&env, split).join("\r\n")
    );
    fs::write(env.path("list.csv"), list).unwrap();
    let output = env
        .run(&format!("{TRAIN} --manifest list.csv --root corpus"))
        .success();
    assert!(
        output.out.contains(
            "corpus manifest in corpus: 30 clips, 5 speakers, 3 classes (anger, neutral, sadness)"
        ),
        "{}",
        output.out
    );
    let expected = [
        ["v01", "train"],
        ["v02", "test"],
        ["v03", "train"],
        ["v04", "validation"],
        ["v05", "train"],
    ];
    assert_eq!(parts(&env, "mine"), expected);

    let output = env
        .run("doctor --manifest list.csv --root corpus")
        .success();
    assert!(
        output.out.contains("speakers      5 (v01, v02"),
        "{}",
        output.out
    );
    let again = "evaluate mine --manifest list.csv --root corpus";
    let output = env.run(&format!("{again} --part test")).success();
    assert!(
        output.out.contains("test subset of manifest, 6 clips"),
        "{}",
        output.out
    );
    assert!(
        output.out.contains("no speaker is known to be one"),
        "{}",
        output.out
    );
    let output = env.run(again).success();
    assert!(
        output.out.contains("speakers shared: v01, v03, v04, v05"),
        "{}",
        output.out
    );

    // A configuration file that names the manifest gives the same run.
    let settings = fs::read_to_string(env.path("small.toml")).unwrap();
    let settings = settings + "\n[data]\nmanifest = \"list.csv\"\nfolder = \"corpus\"\n";
    fs::write(env.path("listed.toml"), settings).unwrap();
    env.run("train --config listed.toml --device cpu --run listed")
        .success();
    assert_eq!(parts(&env, "listed"), expected);
    // An export does not contain the path of the manifest.
    env.run("export mine").success();
    let bundle = fs::read(env.path("mine.emovox")).unwrap();
    let place = env.path("list.csv").canonicalize().unwrap();
    let place = place.parent().unwrap().display().to_string();
    assert!(!String::from_utf8_lossy(&bundle).contains(&place));

    // From here on, the manifest is removed and the recordings are moved.
    fs::remove_file(env.path("list.csv")).unwrap();
    let scores =
        |line: &str| -> Value { serde_json::from_str(&env.run(line).success().out).unwrap() };
    let report: Value =
        serde_json::from_str(&fs::read_to_string(env.path("runs/mine/report.json")).unwrap())
            .unwrap();
    assert_eq!(report["corpus"], "manifest");
    assert_eq!(
        scores("evaluate mine --json")["confusion"],
        report["confusion"]
    );
    env.run("predict mine corpus/anger/v01/1.wav").success();
    env.run("report mine").success();
    let page = fs::read_to_string(env.path("runs/mine/report.html")).unwrap();
    assert!(page.contains("v02/1.wav"), "the page finds the recordings");
    env.run("train --resume mine --epochs 4").success();
    env.run("train --resume mine --epochs 5 --manifest small.toml")
        .fails_with(&["in its split.csv", "without --manifest"]);
    fs::rename(env.path("corpus"), env.path("moved")).unwrap();
    env.run("train --resume mine --epochs 5 --data moved")
        .success();
    assert_eq!(parts(&env, "mine"), expected);
}

#[test]
fn two_json_manifests_give_training_and_test_subset() {
    let env = TestEnv::with_corpus();
    let json = |tests: bool| -> String {
        let mut text = String::new();
        for line in lines(&env, |_| None) {
            let fields: Vec<&str> = line.split(';').collect();
            let (file, letter, voice) = (fields[0], &fields[1][..1], fields[2]);
            if ["v03", "v05"].contains(&voice) == tests {
                text += &format!(
                    "{{\"key\": \"x\", \"wav\": \"downloads/mine/{file}\", \"emo\": \"{letter}\", \
                     \"spk\": \"{voice}\"}}\n"
                );
            }
        }
        text
    };
    fs::create_dir_all(env.path("lists/fold_1")).unwrap();
    fs::write(env.path("lists/fold_1/train.jsonl"), json(false)).unwrap();
    fs::write(env.path("lists/fold_1/test.jsonl"), json(true)).unwrap();
    let map = "{\"A\": \"Angry\", \"N\": \"Neutral\", \"S\": \"Sad\"}";
    fs::write(env.path("lists/label_map.json"), map).unwrap();
    let both = format!(
        "{TRAIN} --epochs 1 --manifest lists/fold_1/train.jsonl --test-manifest lists/fold_1/test.jsonl"
    );
    let output = env.run(&format!("{both} --root corpus")).success();
    for words in [
        "(anger, neutral, sadness)",
        "label_map.json",
        "first 2 folders",
    ] {
        assert!(output.out.contains(words), "lacks {words}: {}", output.out);
    }
    let parts = parts(&env, "mine");
    let testing: Vec<&str> = parts
        .iter()
        .filter(|[_, part]| part == "test")
        .map(|[speaker, _]| speaker.as_str())
        .collect();
    assert_eq!(testing, ["v03", "v05"]);
    let validating = parts
        .iter()
        .filter(|[_, part]| part == "validation")
        .count();
    assert_eq!(
        (parts.len(), validating),
        (5, 1),
        "a training speaker validates: {parts:?}"
    );

    // The folds of a cross-validation contradict the split of the manifests.
    env.run(
        &both
            .replace("train --config", "cross-validate --config")
            .replace("--run mine", "--root corpus"),
    )
    .fails_with(&["tests every speaker once", "--test-manifest"]);
}

#[test]
fn a_cross_validation_of_a_manifest_tests_each_speaker_once() {
    let env = TestEnv::with_corpus();
    let list = format!("file;emotion;spk\n{}\n", lines(&env, |_| None).join("\n"));
    fs::write(env.path("corpus/list.csv"), list).unwrap();
    let line = "cross-validate --manifest corpus/list.csv --config small.toml --arch mean-lstm \
                --device cpu --epochs 1 --name all --folds 2";
    let output = env.run(line).success();
    assert!(
        output.out.contains("2 trials of mean-lstm"),
        "{}",
        output.out
    );
    let again = env.run(line).success();
    assert!(
        again.out.contains("2 of 2 trials are already finished"),
        "{}",
        again.out
    );
    let predictions = fs::read_to_string(env.path("runs/all/predictions.csv")).unwrap();
    assert_eq!(predictions.lines().count(), 1 + 30);
}

#[test]
fn an_invalid_manifest_is_rejected_before_files_are_written() {
    let env = TestEnv::with_corpus();
    let train = |list: &str, more: &str| {
        fs::write(env.path("list.csv"), list).unwrap();
        env.run(&format!("{TRAIN} --manifest list.csv --root corpus {more}"))
    };
    let nobody: String = lines(&env, |_| None)
        .iter()
        .map(|line| line.rsplit_once(';').unwrap().0.to_string() + "\n")
        .collect();
    let nobody = format!("file;label\n{nobody}");
    train(&nobody, "").fails_with(&[
        "the speaker of 30 of the 30 recordings is unknown",
        "--split random",
        "a column for the speaker",
    ]);
    train(&nobody, "--split given").fails_with(&["--split given", "--test-manifest"]);
    train("file;label\nanger/v01/1.wav;anger\nanger/v01/2.wav;\n", "")
        .fails_with(&["list.csv, line 3, column 2 (label): the value is empty"]);
    train("file;label\nlost.wav;anger\n", "").fails_with(&["line 2", "relative to with --root"]);
    env.run(&format!("{TRAIN} --manifest lost.csv"))
        .fails_with(&["there is no file lost.csv"]);
    env.run(&format!("{TRAIN} --manifest list.csv --root lost"))
        .fails_with(&["there is no folder lost"]);
    assert_eq!(env.runs(), 0);
    train(&nobody, "--split random --epochs 1").success();
    let both = env.run(&format!("{TRAIN} --manifest list.csv --data corpus"));
    assert_eq!(both.code, 2, "{}", both.error);
}

#[test]
fn recordings_with_absolute_paths_may_move() {
    let env = TestEnv::with_corpus();
    let place = env.path("corpus").canonicalize().unwrap();
    let lines = lines(&env, |_| None);
    let lines = lines
        .iter()
        .map(|line| format!("{}/{line}\n", place.display()));
    let list = format!("file;label;speaker\n{}", lines.collect::<String>());
    fs::write(env.path("list.csv"), list).unwrap();
    env.run(&format!("{TRAIN} --manifest list.csv")).success();
    fs::rename(place, env.path("moved")).unwrap();
    let output = env.run("evaluate mine --data moved").success();
    assert!(
        output.out.contains("test subset of manifest"),
        "{}",
        output.out
    );
}
