//! Training on several corpora, selecting labels, and cross-corpus evaluation.

mod env;

use std::collections::BTreeMap;
use std::fs;

use emovox::corpus::demo;
use env::TestEnv;
use serde_json::Value;

/// Two corpora, recognised by their file names: EmoDB with boredom, RAVDESS with calm and surprise.
fn env() -> TestEnv {
    let env = TestEnv::new();
    let write = |file: String, voice: usize, emotion: &str, take: usize| {
        let place = demo::EMOTIONS.iter().position(|known| *known == emotion);
        let samples = demo::synthesise(voice, 1 + take, place.unwrap(), 1);
        env.wav(&file, 16_000, 1, &samples);
    };
    for (voice, speaker) in ["03", "08", "09", "10"].into_iter().enumerate() {
        for (letter, emotion) in [
            ("W", "anger"),
            ("N", "neutral"),
            ("T", "sadness"),
            ("L", "neutral"),
        ] {
            for take in 1..=2 {
                write(
                    format!("one/wav/{speaker}a0{take}{letter}a.wav"),
                    voice + 1,
                    emotion,
                    take,
                );
            }
        }
    }
    let words = [
        ("05", "anger"),
        ("01", "neutral"),
        ("04", "sadness"),
        ("02", "neutral"),
        ("08", "anger"),
    ];
    for actor in 1..=4 {
        for (code, emotion) in words {
            for take in 1..=2 {
                let name = format!("two/Actor_0{actor}/03-01-{code}-01-0{take}-01-0{actor}.wav");
                write(name, actor + 4, emotion, take);
            }
        }
    }
    env
}

const BOTH: &str =
    "--data emodb=one --data ravdess=two --arch mean-lstm --config small.toml --device cpu";

fn small(env: &TestEnv) {
    let small = "[model]\narch = \"mean-lstm\"\nhidden = 16\n\
                 [training]\nepochs = 2\nbatch_size = 8\n";
    fs::write(env.path("small.toml"), small).unwrap();
}

#[test]
fn two_corpora_are_trained_as_one() {
    // Whether the bytes of a GPU repeat has not been measured.
    let env = env().on_cpu();
    small(&env);
    let output = env
        .run(&format!("train {BOTH} --balance corpus-class --run both"))
        .success();
    for words in [
        "corpus emodb+ravdess in ",
        ": 64 clips, 8 speakers, 3 classes (anger, neutral, sadness)",
        "boredom counts as neutral",
        "calm counts as neutral",
        "8 clips are left out (labels: surprise)",
    ] {
        assert!(output.out.contains(words), "lacks {words}: {}", output.out);
    }
    let lines = env.table("both/split.csv");
    for line in &lines {
        let (corpus, speakers) = if line["clip"].starts_with("one/") {
            ("emodb", ["03", "08", "09", "10"])
        } else {
            ("ravdess", ["01", "02", "03", "04"])
        };
        assert_eq!(line["corpus"], corpus);
        let speakers = speakers.map(|speaker| format!("{corpus}:{speaker}"));
        assert!(speakers.contains(&line["speaker"]), "{line:?}");
    }
    assert_eq!(lines.len(), 64);
    let written = fs::read_to_string(env.path("runs/both/split.csv")).unwrap();
    for own_word in [",neutral,calm,", ",sadness,T,"] {
        assert!(written.contains(own_word), "lacks {own_word}: {written}");
    }

    // The run finds its corpora without --data.
    let report = fs::read_to_string(env.path("runs/both/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["corpus"], "emodb+ravdess");
    let scored = env.run("evaluate both --json").success();
    let scored: Value = serde_json::from_str(&scored.out).unwrap();
    assert_eq!(scored["confusion"], report["confusion"]);
    // The speakers are also recognised if only one of the corpora is evaluated.
    for corpus in ["one", "two"] {
        let output = env.run(&format!("evaluate both --data {corpus}")).success();
        assert!(output.out.contains("speakers shared: "), "{}", output.out);
    }
    env.run("evaluate both --data x=one")
        .fails_with(&["has no name 'x'", "--data one"]);
    // A manifest may name the speakers without their corpus.
    let list = "file,label,speaker\n03a01Wa.wav,anger,03\n08a01Na.wav,neutral,08\n";
    fs::write(env.path("list.csv"), list).unwrap();
    let output = env
        .run("evaluate both --manifest list.csv --root one/wav")
        .success();
    assert!(output.out.contains("speakers shared: "), "{}", output.out);
    env.run("export both").success();
    // A bundle has the list of its training recordings.
    let mut trained = lines.iter().filter(|line| line["part"] == "train");
    let trained = trained.find_map(|line| line["speaker"].strip_prefix("emodb:"));
    let (train, speaker) = ("train --data one --config small.toml", trained.unwrap());
    let train = format!("{train} --init-weights both.emovox --test-speakers {speaker}");
    env.run(&train).fails_with(&[
        "both.emovox were trained or validated on the test subset",
        "--allow-leak",
    ]);
    env.run("train --data one --balance corpus-class")
        .fails_with(&["several corpora", "--balance class"]);
    let bundle = String::from_utf8_lossy(&fs::read(env.path("both.emovox")).unwrap()).into_owned();
    for corpus in ["EmoDB", "RAVDESS"] {
        assert!(bundle.contains(corpus), "the licence of {corpus}");
    }
    env.run("train --config runs/both/config.toml --run again")
        .success();
    let weights = |run: &str| fs::read(env.path(&format!("runs/{run}/best.ot"))).unwrap();
    assert_eq!(
        weights("both"),
        weights("again"),
        "config.toml has all settings"
    );
    fs::create_dir(env.path("moved")).unwrap();
    for corpus in ["one", "two"] {
        fs::rename(env.path(corpus), env.path("moved").join(corpus)).unwrap();
    }
    env.run("train --resume both --epochs 3")
        .fails_with(&["--data gives their new folder"]);
    env.run("train --resume both --epochs 3 --data x=moved")
        .fails_with(&["the one folder"]);
    env.run("train --resume both --epochs 3 --data moved --labels anger,sadness")
        .fails_with(&[
            "the settings differ from those of both",
            "data.labels is not set",
        ]);
    env.run("train --resume both --epochs 3 --data moved")
        .success();
    env.run("report both").success();
}

#[test]
fn speakers_of_the_second_folder_are_recognised() {
    let env = TestEnv::with_corpus();
    small(&env);
    env.split_corpus();
    env.run("train --data a=corpus --data b=other --config small.toml --device cpu --run two")
        .success();
    let output = env.run("evaluate two --data other").success();
    assert!(output.out.contains("speakers shared: "), "{}", output.out);
}

#[test]
fn invalid_combinations_of_corpora_are_rejected() {
    let env = env();
    small(&env);
    let train = |words: &str| env.run(&format!("train --config small.toml --device cpu {words}"));
    train("--data one --data two").fails_with(&["several corpora need names", "one has no name"]);
    train("--data a=one --data a=two").fails_with(&["two corpora have the name a"]);
    train("--data a=one --data b=one").fails_with(&["is in b as well as in an earlier"]);
    train("--data a=one --data b=lost").fails_with(&["there is no folder lost"]);
    train("--data ravdess=one --data b=two").fails_with(&["follows the rule of ravdess"]);
    train("--data a=one --data b=two --corpus tess").fails_with(&["--data ravdess=DIR"]);
    train("--data two --labels anger,joy")
        .fails_with(&["no recording has the label joy; the labels are anger, calm"]);
    train("--data two --map joy=anger").fails_with(&["no recording has the label joy"]);
    train("--data two --class-weights --balance class").fails_with(&["use one of them"]);
    let output = train("--data a=two --data b/c=two");
    assert_eq!(output.code, 2, "{}", output.error);
    assert_eq!(env.runs(), 0);
    let output = train("--data two --labels anger,neutral --map calm=neutral --run few").success();
    assert!(
        output.out.contains("2 classes (anger, neutral)"),
        "{}",
        output.out
    );
    assert_eq!(env.table("few/split.csv").len(), 4 * 2 * 3);
    env.run("evaluate few").success();
}

/// Number of clips and UAR of a `predictions.csv`, computed independently.
fn uar(env: &TestEnv, file: &str) -> (usize, f64) {
    let mut classes: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut table = csv::Reader::from_path(env.path(&format!("runs/all/{file}"))).unwrap();
    let mut clips = 0;
    for line in table.records() {
        let line = line.unwrap();
        let (hits, all) = classes.entry(line[2].to_string()).or_default();
        *hits += f64::from(u8::from(line[2] == line[3]));
        *all += 1.0;
        clips += 1;
    }
    let sum: f64 = classes.values().map(|(hits, all)| hits / all).sum();
    (clips, sum / classes.len() as f64)
}

/// The test speaker of a corpus has no clip of sadness, so a random choice has a higher UAR there.
#[test]
fn the_chance_of_a_pair_is_that_of_its_test_clips() {
    let env = env();
    small(&env);
    let train =
        "train --data one --arch mean-lstm --config small.toml --device cpu --epochs 1 --run one";
    env.run(train).success();
    let split = env.table("one/split.csv");
    let test = split.iter().find(|line| line["part"] == "test").unwrap();
    let speaker = &test["speaker"];
    for take in 1..=2 {
        fs::remove_file(env.path(&format!("one/wav/{speaker}a0{take}Ta.wav"))).unwrap();
    }
    let line = format!("cross-corpus {BOTH} --epochs 1 --name all");
    let output = env.run(&line).success().out;
    let report = fs::read_to_string(env.path("runs/all/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let rows = env.table("all/pairs.csv");
    for (pair, row) in report["pairs"].as_array().unwrap().iter().zip(&rows) {
        let is_own = pair["trained_on"] == "emodb" && pair["tested_on"] == "emodb";
        let (chance, missing) = if is_own {
            (1.0 / 2.0, serde_json::json!(["sadness"]))
        } else {
            (1.0 / 3.0, serde_json::json!([]))
        };
        assert_eq!(pair["chance"], chance, "{pair}");
        assert_eq!(pair["missing_labels"], missing);
        assert_eq!(row["chance"].parse::<f64>().unwrap(), chance);
        assert_eq!(row["notes"].contains("no test clip of sadness"), is_own);
    }
    for words in [
        "no test clip of sadness: chance is 50.0",
        "Chance is 33.3 UAR, except as noted.",
    ] {
        assert!(output.contains(words), "{output}");
    }
}

#[test]
fn cross_corpus_scores_each_corpus_with_each_model() {
    let env = env();
    small(&env);
    let line = format!("cross-corpus {BOTH} --epochs 1 --name all");
    let output = env.run(&line).success();
    assert!(
        output
            .out
            .contains("2 corpora, 3 labels (anger, neutral, sadness); 2 trials of mean-lstm")
    );
    let all = |file: &str| env.path(&format!("runs/all/{file}"));
    let report: Value =
        serde_json::from_str(&fs::read_to_string(all("report.json")).unwrap()).unwrap();
    let pairs = report["pairs"].as_array().unwrap();
    let files = [
        ("emodb", "emodb", "emodb-seed-1/predictions.csv"),
        ("emodb", "ravdess", "emodb-to-ravdess-seed-1.csv"),
        ("ravdess", "emodb", "ravdess-to-emodb-seed-1.csv"),
        ("ravdess", "ravdess", "ravdess-seed-1/predictions.csv"),
    ];
    assert_eq!(pairs.len(), 4);
    for (pair, (on, of, file)) in pairs.iter().zip(files) {
        assert_eq!(
            (pair["trained_on"].as_str(), pair["tested_on"].as_str()),
            (Some(on), Some(of))
        );
        let (clips, expected) = uar(&env, file);
        assert_eq!(pair["metrics"]["clips"], clips);
        let uar = pair["uar"]["mean"].as_f64().unwrap();
        assert!(
            (uar - expected).abs() < 1e-12,
            "{on} {of}: {uar} {expected}"
        );
        assert_eq!(pair["speakers_shared"], false);
        assert!(pair["metrics"]["confusion"].is_array());
        // On its own corpus, a model is tested on one of four speakers, which is too few for an interval.
        assert_eq!(pair["intervals"].is_null(), on == of, "{pair}");
        assert!(all(&format!("{on}-to-{of}.png")).is_file());
    }
    assert_eq!((uar(&env, files[1].2).0, uar(&env, files[2].2).0), (32, 32));
    assert!(fs::read(all("matrix.png")).unwrap().starts_with(b"\x89PNG"));
    let table = fs::read_to_string(all("pairs.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 4);

    // Finished trainings are not repeated, a lost file is restored with the same bytes, and a seed can be added.
    let lost = fs::read(all("emodb-to-ravdess-seed-1.csv")).unwrap();
    fs::remove_file(all("emodb-to-ravdess-seed-1.csv")).unwrap();
    let trained = fs::metadata(all("emodb-seed-1/best.ot"))
        .unwrap()
        .modified()
        .unwrap();
    let output = env.run(&format!("{line} --seeds 2")).success();
    assert!(
        output.out.contains("2 of 4 trials are already finished"),
        "{}",
        output.out
    );
    assert_eq!(fs::read(all("emodb-to-ravdess-seed-1.csv")).unwrap(), lost);
    assert_eq!(
        fs::metadata(all("emodb-seed-1/best.ot"))
            .unwrap()
            .modified()
            .unwrap(),
        trained
    );
    let text = fs::read_to_string(all("report.txt")).unwrap();
    assert!(text.contains(" ± "), "{text}");

    // A changed table of a training is not scored.
    let predictions = all("emodb-seed-1/predictions.csv");
    let written = fs::read_to_string(&predictions).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    fs::write(&predictions, lines[..lines.len() - 1].join("\n")).unwrap();
    env.run(&line)
        .fails_with(&["emodb-seed-1/predictions.csv", "of the test subset"]);
    fs::write(&predictions, written).unwrap();

    env.run(&format!("{line} --labels anger,sadness"))
        .fails_with(&[
            "another cross-corpus matrix",
            "the labels are anger, neutral, sadness, not anger, sadness",
            "--name",
        ]);
    env.run(&format!("{line} --learning-rate 0.1"))
        .fails_with(&["training.learning_rate is 0.001, not 0.1"]);
    fs::remove_file(env.path("one/wav/03a01Wa.wav")).unwrap();
    env.run(&line)
        .fails_with(&["not those that", "emodb-seed-1", "1 gone (wav/03a01Wa.wav)"]);
    env.run("cross-corpus --data one")
        .fails_with(&["needs two or more corpora"]);
    fs::create_dir_all(env.path("runs/mine/x")).unwrap();
    env.run(&line.replace("--name all", "--name mine"))
        .fails_with(&["is not a cross-corpus matrix"]);
    env.run(&line.replace("--name all", "--name third --labels anger,surprise"))
        .fails_with(&["emodb has no clip of surprise", "--labels"]);
}

#[test]
fn flags_that_several_corpora_cannot_have_are_rejected() {
    let env = env();
    fs::write(env.path("list.csv"), "file,label\n").unwrap();
    for (flags, words) in [
        (
            "--test-manifest list.csv",
            ["--test-manifest list.csv", "needs a single manifest"],
        ),
        ("--root one", ["--root one", "needs a name"]),
        ("--root b=one", ["--root b", "--manifest b=FILE"]),
    ] {
        env.run(&format!("train --data a=two --manifest c=list.csv {flags}"))
            .fails_with(&words);
    }
    env.run("doctor --manifest c=list.csv --manifest d=list.csv")
        .fails_with(&["other commands read one manifest at a time"]);
    env.run("cross-validate --data one --test-corpora emodb")
        .fails_with(&["--test-corpora needs several corpora"]);
}

#[test]
fn the_labels_of_a_settings_file_are_those_of_any_recordings() {
    let env = env();
    fs::write(
        env.path("two.toml"),
        "[data]\nlabels = [\"anger\", \"neutral\"]\ncounts_as = { calm = \"neutral\" }\n\
         [training]\nepochs = 1\n",
    )
    .unwrap();
    let output = env
        .run("train --data two --arch mean-lstm --config two.toml --device cpu --run mine")
        .success();
    assert!(
        output.out.contains("2 classes (anger, neutral)"),
        "{}",
        output.out
    );
    // The labels of a run are about its own recordings.
    let config = "--config runs/mine/config.toml";
    let output = env
        .run(&format!(
            "train --data one {config} --device cpu --run other"
        ))
        .success();
    assert!(output.out.contains("4 classes"), "{}", output.out);
}

#[test]
fn a_corpus_with_the_speakers_of_another_cannot_be_tested_alone() {
    let env = env();
    for actor in fs::read_dir(env.path("two")).unwrap() {
        let actor = actor.unwrap();
        let songs = env.path("songs").join(actor.file_name());
        fs::create_dir_all(&songs).unwrap();
        for clip in fs::read_dir(actor.path()).unwrap() {
            let clip = clip.unwrap();
            let name = clip.file_name().into_string().unwrap();
            if !name.starts_with("03-01-08") {
                let song = songs.join(name.replace("03-01-", "03-02-"));
                fs::copy(clip.path(), song).unwrap();
            }
        }
    }
    let line = "cross-validate --data speech=two --data song=songs --device cpu --folds 2";
    env.run(&format!("{line} --test-corpora song"))
        .fails_with(&[
            "speakers of song are those of speech",
            "name speech instead",
        ]);
    // Both names are accepted: the next check rejects the number of epochs.
    env.run(&format!("{line} --test-corpora speech,song --epochs 0"))
        .fails_with(&["epochs"]);
}

#[test]
fn recordings_that_cannot_be_read_are_named_and_counted_in_their_pairs() {
    let env = env();
    small(&env);
    fs::write(env.path("one/wav/03a01Wa.wav"), "damaged").unwrap();
    fs::write(env.path("one/wav/misnamed.wav"), "").unwrap();
    let output = env
        .run(&format!("cross-corpus {BOTH} --epochs 1 --name all"))
        .success();
    let error = &output.error;
    assert!(
        error.contains("skipped") && error.contains("03a01Wa.wav"),
        "{error}"
    );
    let out = &output.out;
    assert!(
        out.contains("1 more path is left out") && out.contains("misnamed"),
        "{out}"
    );
    let report = fs::read_to_string(env.path("runs/all/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    for pair in report["pairs"].as_array().unwrap() {
        let of_emodb = [&pair["trained_on"], &pair["tested_on"]].map(|corpus| corpus == "emodb");
        let notes: &[&str] = if of_emodb.contains(&true) {
            &["1 unreadable recording of emodb left out"]
        } else {
            &[]
        };
        assert_eq!(pair["left_out"], serde_json::json!(notes), "{pair}");
    }
}

#[test]
fn a_matrix_names_the_corpus_whose_class_has_one_speaker_before_the_first_training() {
    let env = env();
    small(&env);
    for speaker in ["08", "09", "10"] {
        for take in 1..=2 {
            fs::remove_file(env.path(&format!("one/wav/{speaker}a0{take}Ta.wav"))).unwrap();
        }
    }
    let clip = |take| env.path(&format!("one/wav/03a0{take}Ta.wav"));
    fs::copy(clip(1), clip(4)).unwrap();
    // Plans that are possible end here, without a training.
    fs::create_dir_all(env.path("runs/all/in the way")).unwrap();
    let planned = |seed: u64| {
        env.run(&format!(
            "cross-corpus {BOTH} --name all --split-seed {seed}"
        ))
    };
    let outputs: Vec<_> = (1..=10).map(planned).collect();
    let is_possible = |error: &str| error.contains("is not a cross-corpus matrix");
    assert!(outputs.iter().any(|output| is_possible(&output.error)));
    let impossible = outputs
        .into_iter()
        .find(|output| !is_possible(&output.error));
    impossible.unwrap().fails_with(&[
        "emodb: all clips of the class 'sadness' are of one speaker (03)",
        "--labels 'anger,neutral'",
    ]);
}
