//! Training on several corpora, selecting labels, and cross-corpus evaluation.

mod desk;

use std::collections::BTreeMap;
use std::fs;

use desk::Desk;
use emovox::corpus::demo;
use serde_json::Value;

/// Two corpora, recognised by their file names: EmoDB with boredom, RAVDESS with calm and surprise.
fn desk() -> Desk {
    let desk = Desk::new();
    let write = |file: String, voice: usize, emotion: &str, take: usize| {
        let place = demo::EMOTIONS.iter().position(|known| *known == emotion);
        let samples = demo::synthesise(voice, 1 + take, place.unwrap(), 1);
        desk.wav(&file, 16_000, 1, &samples);
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
    desk
}

const BOTH: &str =
    "--data emodb=one --data ravdess=two --arch seed --config small.toml --device cpu";

fn small(desk: &Desk) {
    let small = "[model]\narch = \"seed\"\nhidden = 16\n[training]\nepochs = 2\nbatch_size = 8\n";
    fs::write(desk.path("small.toml"), small).unwrap();
}

#[test]
fn two_corpora_are_trained_as_one() {
    let desk = desk();
    small(&desk);
    let seen = desk
        .types(&format!("train {BOTH} --balance corpus-class --run both"))
        .fine();
    for words in [
        "corpus emodb+ravdess in ",
        ": 64 clips, 8 speakers, 3 classes (anger, neutral, sadness)",
        "boredom counts as neutral",
        "calm counts as neutral",
        "8 clips are left out (labels: surprise)",
    ] {
        assert!(seen.out.contains(words), "lacks {words}: {}", seen.out);
    }
    let lines = desk.table("both/split.csv");
    for line in &lines {
        let (corpus, speakers) = match line["clip"].starts_with("one/") {
            true => ("emodb", ["03", "08", "09", "10"]),
            false => ("ravdess", ["01", "02", "03", "04"]),
        };
        assert_eq!(line["corpus"], corpus);
        let speakers = speakers.map(|speaker| format!("{corpus}:{speaker}"));
        assert!(speakers.contains(&line["speaker"]), "{line:?}");
    }
    assert_eq!(lines.len(), 64);
    let written = fs::read_to_string(desk.path("runs/both/split.csv")).unwrap();
    for own_word in [",neutral,calm,", ",sadness,T,"] {
        assert!(written.contains(own_word), "lacks {own_word}: {written}");
    }

    // The run finds its corpora without --data.
    let report = fs::read_to_string(desk.path("runs/both/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["corpus"], "emodb+ravdess");
    let scored = desk.types("evaluate both --json").fine();
    let scored: Value = serde_json::from_str(&scored.out).unwrap();
    assert_eq!(scored["confusion"], report["confusion"]);
    // The speakers are also recognised if only one of the corpora is evaluated.
    for corpus in ["one", "two"] {
        let seen = desk.types(&format!("evaluate both --data {corpus}")).fine();
        assert!(seen.out.contains("speakers shared: "), "{}", seen.out);
    }
    desk.types("evaluate both --data x=one")
        .fails_with(&["has no name 'x'", "--data one"]);
    // A manifest may name the speakers without their corpus.
    let list = "file,label,speaker\n03a01Wa.wav,anger,03\n08a01Na.wav,neutral,08\n";
    fs::write(desk.path("list.csv"), list).unwrap();
    let seen = desk
        .types("evaluate both --manifest list.csv --root one/wav")
        .fine();
    assert!(seen.out.contains("speakers shared: "), "{}", seen.out);
    desk.types("export both").fine();
    desk.types("train --data one --init-weights both.emovox")
        .fails_with(&["both.emovox is a bundle", "best.ot"]);
    desk.types("train --data one --balance corpus-class")
        .fails_with(&["several corpora", "--balance class"]);
    let bundle = String::from_utf8_lossy(&fs::read(desk.path("both.emovox")).unwrap()).into_owned();
    for corpus in ["EmoDB", "RAVDESS"] {
        assert!(bundle.contains(corpus), "the licence of {corpus}");
    }
    desk.types("train --config runs/both/config.toml --run again")
        .fine();
    let weights = |run: &str| fs::read(desk.path(&format!("runs/{run}/best.ot"))).unwrap();
    assert_eq!(
        weights("both"),
        weights("again"),
        "config.toml has all settings"
    );
    fs::create_dir(desk.path("moved")).unwrap();
    for corpus in ["one", "two"] {
        fs::rename(desk.path(corpus), desk.path("moved").join(corpus)).unwrap();
    }
    desk.types("train --resume both --epochs 3")
        .fails_with(&["--data gives their new folder"]);
    desk.types("train --resume both --epochs 3 --data x=moved")
        .fails_with(&["the one folder"]);
    desk.types("train --resume both --epochs 3 --data moved --labels anger,sadness")
        .fails_with(&[
            "the settings differ from those of both",
            "data.labels is not set",
        ]);
    desk.types("train --resume both --epochs 3 --data moved")
        .fine();
    desk.types("report both").fine();
}

#[test]
fn speakers_of_the_second_folder_are_recognised() {
    let desk = Desk::with_corpus();
    small(&desk);
    desk.split_corpus();
    desk.types("train --data a=corpus --data b=other --config small.toml --device cpu --run two")
        .fine();
    let seen = desk.types("evaluate two --data other").fine();
    assert!(seen.out.contains("speakers shared: "), "{}", seen.out);
}

#[test]
fn invalid_combinations_of_corpora_are_rejected() {
    let desk = desk();
    small(&desk);
    let train =
        |words: &str| desk.types(&format!("train --config small.toml --device cpu {words}"));
    train("--data one --data two").fails_with(&["several corpora need names", "one has none"]);
    train("--data a=one --data a=two").fails_with(&["two corpora are called a"]);
    train("--data a=one --data b=one").fails_with(&["is in b as well as in an earlier"]);
    train("--data a=one --data b=lost").fails_with(&["there is no folder lost"]);
    train("--data ravdess=one --data b=two").fails_with(&["follows the rule of ravdess"]);
    train("--data a=one --data b=two --corpus tess").fails_with(&["--data ravdess=DIR"]);
    train("--data two --labels anger,joy")
        .fails_with(&["no recording is of joy; there are anger, calm"]);
    train("--data two --map joy=anger").fails_with(&["no recording is of joy"]);
    train("--data two --class-weights --balance class").fails_with(&["use one of them"]);
    let seen = train("--data a=two --data b/c=two");
    assert_eq!(seen.code, 2, "{}", seen.error);
    assert_eq!(desk.runs(), 0);
    let seen = train("--data two --labels anger,neutral --map calm=neutral --run few").fine();
    assert!(
        seen.out.contains("2 classes (anger, neutral)"),
        "{}",
        seen.out
    );
    assert_eq!(desk.table("few/split.csv").len(), 4 * 2 * 3);
    desk.types("evaluate few").fine();
}

/// Number of clips and UAR of a `predictions.csv`, computed independently.
fn uar(desk: &Desk, file: &str) -> (usize, f64) {
    let mut classes: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut table = csv::Reader::from_path(desk.path(&format!("runs/all/{file}"))).unwrap();
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

#[test]
fn cross_corpus_scores_each_corpus_with_each_model() {
    let desk = desk();
    small(&desk);
    let line = format!("cross-corpus {BOTH} --epochs 1 --name all");
    let seen = desk.types(&line).fine();
    assert!(
        seen.out
            .contains("2 corpora, 3 labels (anger, neutral, sadness); 2 trials of mean-lstm")
    );
    let all = |file: &str| desk.path(&format!("runs/all/{file}"));
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
        let (clips, expected) = uar(&desk, file);
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
    assert_eq!(
        (uar(&desk, files[1].2).0, uar(&desk, files[2].2).0),
        (32, 32)
    );
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
    let seen = desk.types(&format!("{line} --seeds 2")).fine();
    assert!(
        seen.out.contains("2 of 4 trials are already finished"),
        "{}",
        seen.out
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

    desk.types(&format!("{line} --labels anger,sadness"))
        .fails_with(&[
            "another cross-corpus matrix",
            "the labels are anger, neutral, sadness, not anger, sadness",
            "--name",
        ]);
    desk.types(&format!("{line} --learning-rate 0.1"))
        .fails_with(&["training.learning_rate is 0.001, not 0.1"]);
    fs::remove_file(desk.path("one/wav/03a01Wa.wav")).unwrap();
    desk.types(&line)
        .fails_with(&["not those that", "emodb-seed-1", "1 gone (wav/03a01Wa.wav)"]);
    desk.types("cross-corpus --data one")
        .fails_with(&["needs two or more corpora"]);
    fs::create_dir_all(desk.path("runs/mine/x")).unwrap();
    desk.types(&line.replace("--name all", "--name mine"))
        .fails_with(&["is not a cross-corpus matrix"]);
    desk.types(&line.replace("--name all", "--name third --labels anger,surprise"))
        .fails_with(&["emodb has no clip of surprise", "--labels"]);
}
