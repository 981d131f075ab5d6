//! Weights carry the list of the recordings of their training, and scores are pooled only over the same
//! recordings.

mod desk;

use std::fs;
use std::path::Path;

use desk::Desk;
use serde_json::Value;

/// A `train` command with the given test and validation speakers.
fn train(data: &str, run: &str, test: &str, validation: &str) -> String {
    format!(
        "train --data {data} --config small.toml --device cpu --epochs 1 --run {run} \
         --test-speakers {test} --validation-speakers {validation}"
    )
}

/// Flags for a training that starts from other weights and hardly changes them.
fn from(weights: &str) -> String {
    format!("--learning-rate 1e-6 --init-weights {weights}")
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => _ = fs::copy(entry.path(), target).unwrap(),
        }
    }
}

/// Copies some voices of the corpus under other folder and file names.
fn renamed_copies(desk: &Desk, to: &str, voices: &[&str]) {
    for emotion in ["anger", "neutral", "sadness"] {
        for voice in voices {
            for sentence in [1, 2] {
                let copy = desk.path(&format!("{to}/{emotion}/w{voice}/take-{sentence}.wav"));
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
                let original = format!("corpus/{emotion}/{voice}/{sentence}.wav");
                fs::copy(desk.path(&original), copy).unwrap();
            }
        }
    }
}

/// Replaces the sound of a recording.
fn replace(desk: &Desk, file: &str) {
    desk.wav(file, 16_000, 1, &desk::noise(0.8, -30.0));
}

fn read(desk: &Desk, file: &str) -> String {
    String::from_utf8_lossy(&fs::read(desk.path(file)).unwrap()).into_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn weights_trained_on_test_speakers_are_rejected_or_noted_in_every_output() {
    let desk = Desk::with_corpus();
    desk.types(&train("corpus", "first", "v05", "v04")).fine();
    let leak = format!(
        "{} {}",
        train("corpus", "second", "v01", "v02"),
        from("runs/first/best.ot")
    );
    desk.types(&leak).fails_with(&[
        "first/best.ot were trained or validated on the test subset",
        "6 recordings (anger/v01/1.wav",
        "speakers v01",
        "--allow-leak",
    ]);
    assert_eq!(desk.runs(), 1, "rejected before files are written");

    let seen = desk
        .types(&format!("{leak} --allow-leak --tensorboard"))
        .fine();
    let notes = [
        "speakers shared: v01 trained or validated the initial weights",
        "recordings shared: 6 trained or validated the initial weights",
    ];
    desk.types("report second").fine();
    desk.types("export second").fine();
    desk.types("export second --format torchscript").fine();
    desk.types("export second --format safetensors").fine();
    let outputs = [
        ("train", seen.out),
        ("report.txt", read(&desk, "runs/second/report.txt")),
        ("report.json", read(&desk, "runs/second/report.json")),
        ("report.html", read(&desk, "runs/second/report.html")),
        ("bundle", read(&desk, "second.emovox")),
        ("torchscript", read(&desk, "second.pt")),
        ("safetensors", read(&desk, "second.safetensors")),
        (
            "TensorBoard",
            read(&desk, "runs/second/events.out.tfevents.emovox"),
        ),
        ("evaluate", desk.types("evaluate second").fine().out),
        (
            "evaluate of the bundle",
            desk.types("evaluate second.emovox --data corpus")
                .fine()
                .out,
        ),
    ];
    for (output, text) in outputs {
        for note in notes {
            assert!(text.contains(note), "{output} lacks '{note}': {text}");
        }
        assert!(!text.contains("No speaker is in two subsets"), "{output}");
    }
    let report = json(&read(&desk, "runs/second/report.json"));
    assert_eq!(report["speakers_shared"], true);

    // `plot` draws the same picture, which contains the note.
    desk.types("plot second --out again.png").fine();
    assert_eq!(
        fs::read(desk.path("again.png")).unwrap(),
        fs::read(desk.path("runs/second/curves.png")).unwrap()
    );
}

#[test]
fn weights_list_the_recordings_of_all_earlier_trainings() {
    let desk = Desk::with_corpus();
    // The first run trains on v01; the second, on a corpus without v01, only on v02 and v03.
    desk.types(&train("corpus", "first", "v05", "v04")).fine();
    copy_folder(&desk.path("corpus"), &desk.path("later"));
    for emotion in ["anger", "neutral", "sadness"] {
        fs::remove_dir_all(desk.path(&format!("later/{emotion}/v01"))).unwrap();
    }
    let second = train("later", "second", "v05", "v04");
    let seen = desk
        .types(&format!("{second} {}", from("runs/first/best.ot")))
        .fine();
    assert!(
        seen.out.contains("No speaker is in two subsets"),
        "{}",
        seen.out
    );
    let third = format!("{} {}", train("corpus", "third", "v01", "v05"), from("w"));
    let from_second = third.replace("weights w", "weights runs/second/best.ot");
    desk.types(&from_second)
        .fails_with(&["second/best.ot", "speakers v01", "6 recordings"]);
    // The list is complete without the first run, and all weights in the folder have it.
    fs::remove_dir_all(desk.path("runs/first")).unwrap();
    for weights in ["best.ot", "last.ot", "init.ot"] {
        let line = from_second.replace("best.ot", weights);
        desk.types(&line).fails_with(&[weights, "speakers v01"]);
    }
    // A bundle has the list too: a score on recordings of the first training is marked.
    desk.types("export second").fine();
    renamed_copies(&desk, "elsewhere", &["v01"]);
    fs::remove_dir_all(desk.path("runs")).unwrap();
    let seen = desk
        .types("evaluate second.emovox --data elsewhere --json")
        .fine();
    assert_eq!(json(&seen.out)["speakers_shared"], true, "{}", seen.out);
    assert!(seen.out.contains("recordings shared: 6"), "{}", seen.out);
}

#[test]
fn recordings_are_recognised_by_content_under_other_speaker_names() {
    let desk = Desk::with_corpus();
    desk.types(&train("corpus", "first", "v05", "v04")).fine();
    renamed_copies(&desk, "copies", &["v01", "v02", "v05"]);
    let line = train("copies", "second", "wv01", "wv05");
    desk.types(&format!("{line} {}", from("runs/first/best.ot")))
        .fails_with(&["6 recordings (anger/wv01/take-1.wav"]);
    // The first run was not trained on its test subset.
    let line = train("copies", "third", "wv05", "wv01");
    let seen = desk
        .types(&format!("{line} {}", from("runs/first/best.ot")))
        .fine();
    let note = "the initial weights were trained on the validation subset: 6 recordings";
    assert!(seen.out.contains(note), "{}", seen.out);
    let report = json(&read(&desk, "runs/third/report.json"));
    assert_eq!(report["speakers_shared"], false);
}

#[test]
fn weights_without_a_run_are_noted_as_unknown() {
    let desk = Desk::with_corpus();
    desk.types(&train("corpus", "first", "v05", "v04")).fine();
    fs::copy(desk.path("runs/first/best.ot"), desk.path("found.ot")).unwrap();
    let unknown = "the training recordings of the initial weights are not known";
    let line = train("corpus", "second", "v01", "v02");
    desk.types(&format!("{line} {}", from("found.ot"))).fine();
    let line = train("corpus", "third", "v01", "v02");
    desk.types(&format!("{line} {}", from("runs/second/best.ot")))
        .fine();
    for run in ["second", "third"] {
        let text = read(&desk, &format!("runs/{run}/report.txt"));
        assert!(text.contains(unknown), "{text}");
        assert!(!text.contains("No speaker is in two subsets"), "{text}");
    }
    renamed_copies(&desk, "unseen", &["v01"]);
    desk.types("export third").fine();
    for run in ["third", "third.emovox"] {
        let seen = desk.types(&format!("evaluate {run} --data unseen"));
        let text = seen.fine().out;
        assert!(text.contains(unknown), "{text}");
        assert!(
            !text.contains("speakers and recordings other than"),
            "{text}"
        );
    }
    // A link leads to the run, so its recordings are known.
    #[cfg(unix)]
    {
        let target = desk.path("runs/first/best.ot");
        std::os::unix::fs::symlink(target, desk.path("link.ot")).unwrap();
        let line = train("corpus", "fourth", "v01", "v02");
        desk.types(&format!("{line} {}", from("link.ot")))
            .fails_with(&["first/best.ot", "speakers v01"]);
    }
}

#[test]
fn evaluate_recognises_training_recordings_under_other_names() {
    let desk = Desk::with_corpus();
    desk.types(&train("corpus", "mine", "v05", "v04")).fine();
    renamed_copies(&desk, "known", &["v01", "v04"]);
    renamed_copies(&desk, "new", &["v05"]);
    desk.types("export mine").fine();
    for run in ["mine", "mine.emovox"] {
        let seen = desk
            .types(&format!("evaluate {run} --data known --json"))
            .fine();
        let report = json(&seen.out);
        assert_eq!(report["speakers_shared"], true);
        let note = "recordings shared: 12 trained or validated this model";
        assert!(seen.out.contains(note), "{}", seen.out);

        let text = desk.types(&format!("evaluate {run} --data new")).fine().out;
        let note = "no speaker is known to be one that the model was trained on; no recording is \
                    byte for byte one that the model was trained on";
        assert!(text.contains(note), "{text}");
        // Folder names do not prove that the speakers differ.
        assert!(
            !text.contains("speakers and recordings other than"),
            "{text}"
        );
    }
    // A manifest can give the recordings any speaker.
    let list =
        "file,label,speaker\nanger/v01/1.wav,anger,nobody\nsadness/v01/1.wav,sadness,nobody\n";
    fs::write(desk.path("list.csv"), list).unwrap();
    let line = "evaluate mine --manifest list.csv --root corpus";
    let text = desk.types(line).fine().out;
    assert!(text.contains("recordings shared: 2 trained"), "{text}");
}

#[test]
fn an_old_run_without_content_hashes_can_be_used() {
    let desk = Desk::with_corpus();
    desk.types(&train("corpus", "old", "v05", "v04")).fine();
    let split = read(&desk, "runs/old/split.csv");
    let cut = split.lines().map(|line| line.rsplit_once(',').unwrap().0);
    let cut: Vec<&str> = cut.collect();
    fs::write(desk.path("runs/old/split.csv"), cut.join("\n") + "\n").unwrap();
    let note = "from a version without content hashes";
    let seen = desk.types("train --resume old --epochs 2").fine();
    assert!(seen.out.contains(note), "{}", seen.out);
    let text = desk.types("evaluate old").fine().out;
    assert!(text.contains(note), "{text}");
    renamed_copies(&desk, "known", &["v01"]);
    let text = desk.types("evaluate old --data known").fine().out;
    assert!(text.contains("recordings are not compared"), "{text}");
    assert!(!text.contains("byte for byte"), "{text}");
}

/// The bytes of the files of a run that must not change.
fn state(desk: &Desk, run: &str) -> Vec<Vec<u8>> {
    let files = [
        "config.toml",
        "report.txt",
        "report.json",
        "last.ot",
        "split.csv",
    ];
    let read = |file: &str| fs::read(desk.path(&format!("runs/{run}/{file}"))).unwrap();
    files.map(read).to_vec()
}

#[test]
fn a_run_can_only_be_resumed_with_its_own_recordings() {
    let desk = Desk::with_corpus();
    desk.types(&train("corpus", "mine", "v05", "v04")).fine();
    let before = state(&desk, "mine");
    copy_folder(&desk.path("corpus"), &desk.path("kept"));

    replace(&desk, "corpus/anger/v01/1.wav");
    replace(&desk, "corpus/anger/v05/2.wav");
    let resume = "train --resume mine --epochs 2";
    desk.types(resume).fails_with(&[
        "the recordings of mine are not those that it was trained on",
        "2 replaced (anger/v01/1.wav, anger/v05/2.wav)",
        "start a new run",
    ]);
    // Two swapped recordings have the same names, speakers and lengths as before.
    fs::remove_dir_all(desk.path("corpus")).unwrap();
    copy_folder(&desk.path("kept"), &desk.path("corpus"));
    let [one, two] = [1, 2].map(|n| desk.path(&format!("corpus/sadness/v02/{n}.wav")));
    fs::rename(&one, desk.path("aside.wav")).unwrap();
    fs::rename(&two, &one).unwrap();
    fs::rename(desk.path("aside.wav"), &two).unwrap();
    desk.types(&format!("{resume} --no-cache"))
        .fails_with(&["2 replaced (sadness/v02/1.wav, sadness/v02/2.wav)"]);
    fs::remove_file(&one).unwrap();
    desk.types(resume).fails_with(&[
        "are missing in",
        "1 recording (sadness/v02/1.wav)",
        "--data",
    ]);
    assert_eq!(state(&desk, "mine"), before, "no file is changed");

    // A new date and another folder do not change a recording; a new recording is reported.
    let touched = fs::File::options()
        .append(true)
        .open(desk.path("kept/anger/v01/1.wav"))
        .unwrap();
    touched.set_modified(std::time::SystemTime::now()).unwrap();
    fs::copy(
        desk.path("kept/anger/v01/1.wav"),
        desk.path("kept/anger/v01/3.wav"),
    )
    .unwrap();
    let seen = desk.types(&format!("{resume} --data kept")).fine();
    assert!(
        seen.out
            .contains("new in kept, but not used by this run: 1 recording (anger/v01/3.wav)"),
        "{}",
        seen.out
    );
}

#[test]
fn evaluate_names_replaced_recordings() {
    let desk = Desk::with_corpus();
    desk.types(&train("corpus", "mine", "v05", "v04")).fine();
    fs::copy(
        desk.path("corpus/anger/v01/1.wav"),
        desk.path("corpus/anger/v05/1.wav"),
    )
    .unwrap();
    let text = desk.types("evaluate mine").fine().out;
    let note = "1 recording (anger/v05/1.wav) replaced since the training";
    assert!(text.contains(note), "{text}");
    assert!(text.contains("recordings shared: 1 trained"), "{text}");
}

const CROSS_VALIDATE: &str = "cross-validate --data corpus --config small.toml --device cpu \
                              --epochs 1 --folds 2 --name all";

#[test]
fn trials_of_other_recordings_are_not_pooled() {
    let desk = Desk::with_corpus();
    desk.types(CROSS_VALIDATE).fine();
    let report = fs::read(desk.path("runs/all/report.json")).unwrap();
    copy_folder(&desk.path("corpus"), &desk.path("kept"));

    // Simulates a stop between two trials, followed by a change of the recordings.
    fs::rename(desk.path("runs/all/fold-2-seed-1"), desk.path("aside")).unwrap();
    replace(&desk, "corpus/anger/v01/1.wav");
    fs::remove_file(desk.path("corpus/neutral/v03/2.wav")).unwrap();
    for line in [
        CROSS_VALIDATE.to_string(),
        format!("{CROSS_VALIDATE} --seeds 2"),
    ] {
        desk.types(&line).fails_with(&[
            "not those that runs/all/fold-1-seed-1 was trained on",
            "1 replaced (anger/v01/1.wav)",
            "1 gone (neutral/v03/2.wav)",
        ]);
    }
    assert!(!desk.path("runs/all/fold-2-seed-1").exists());
    assert_eq!(fs::read(desk.path("runs/all/report.json")).unwrap(), report);

    // An existing trial on other recordings is named, and nothing is pooled.
    fs::copy(
        desk.path("kept/neutral/v03/2.wav"),
        desk.path("corpus/neutral/v03/2.wav"),
    )
    .unwrap();
    let other = CROSS_VALIDATE.replace("--name all", "--name other");
    desk.types(&other).fine();
    copy_folder(
        &desk.path("runs/other/fold-2-seed-1"),
        &desk.path("runs/all/fold-2-seed-1"),
    );
    fs::remove_dir_all(desk.path("corpus")).unwrap();
    copy_folder(&desk.path("kept"), &desk.path("corpus"));
    desk.types(CROSS_VALIDATE).fails_with(&[
        "runs/all/fold-2-seed-1 was trained on other recordings",
        "1 replaced (anger/v01/1.wav)",
        "not pooled",
    ]);
    assert_eq!(fs::read(desk.path("runs/all/report.json")).unwrap(), report);
}

const GRID: &str = "
seeds = [1, 2]
[config]
data.folder = \"corpus\"
split.kind = \"random\"
model = { arch = \"seed\", hidden = 4, dense1 = 4, dense2 = 4 }
training = { epochs = 1, batch_size = 8, device = \"cpu\" }
[sweep]
model.hidden = [4, 8]
[baseline]
model.hidden = 4
";

#[test]
fn a_random_split_is_noted_in_exports_and_a_sweep_pools_one_corpus_only() {
    let desk = Desk::with_corpus();
    fs::write(desk.path("sizes.toml"), GRID).unwrap();
    desk.types("grid sizes.toml --run --jobs 2").fine();
    let stamp = "speakers shared: train/validation, train/test";
    for file in ["settings.csv", "cells.csv"] {
        let mut table = csv::Reader::from_path(desk.path(&format!("runs/sizes/{file}"))).unwrap();
        let last = table.headers().unwrap().len() - 1;
        assert_eq!(&table.headers().unwrap()[last], "notes", "{file}");
        for line in table.records() {
            let line = line.unwrap();
            assert!(line[last].contains(stamp), "{file}: {line:?}");
        }
    }
    let run = "runs/sizes/hidden-4/seed-1";
    desk.types(&format!("export {run} --out it.emovox")).fine();
    desk.types(&format!("export {run} --format torchscript --out it.pt"))
        .fine();
    for file in ["it.emovox", "it.pt"] {
        assert!(read(&desk, file).contains(stamp), "{file}");
    }

    // A trial on other recordings is neither collected nor compared with the baseline.
    fs::rename(desk.path("runs/sizes/hidden-8"), desk.path("aside")).unwrap();
    replace(&desk, "corpus/anger/v01/1.wav");
    desk.types("grid sizes.toml --cell 2").fine();
    desk.types("collect sizes.toml").fails_with(&[
        "hidden-8/seed-1 was trained on other recordings than",
        "hidden-4/seed-1",
        "1 replaced (anger/v01/1.wav)",
    ]);
    desk.types("grid sizes.toml --cell 0").fine();
    fs::remove_dir_all(desk.path("runs/sizes/hidden-4/seed-1")).unwrap();
    desk.types("grid sizes.toml --run")
        .fails_with(&["setting hidden-4", "1 replaced (anger/v01/1.wav)"]);
    assert!(!desk.path("runs/sizes/hidden-4/seed-1").exists());
}

#[test]
fn a_cross_validation_from_weights_trained_on_its_folds_is_rejected() {
    let desk = Desk::with_corpus();
    desk.types(&train("corpus", "first", "v05", "v04")).fine();
    let small = read(&desk, "small.toml");
    let config = small + "learning_rate = 1e-6\ninit_weights = \"runs/first/best.ot\"\n";
    fs::write(desk.path("from.toml"), config).unwrap();
    let line = CROSS_VALIDATE.replace("small.toml", "from.toml");
    let seen = desk.types(&line).fails_with(&[
        "2 of 2 folds",
        "24 recordings",
        "speakers v01, v02, v03, v04",
        "--allow-leak",
    ]);
    assert_eq!(seen.error.trim().lines().count(), 1, "{}", seen.error);
    assert_eq!(desk.runs(), 1);
    let seen = desk.types(&format!("{line} --allow-leak")).fine();
    let stamp = "speakers shared: v01, v02, v03, v04 trained or validated the initial weights";
    assert!(seen.out.contains(stamp), "{}", seen.out);
    let report = json(&read(&desk, "runs/all/report.json"));
    assert_eq!(report["speakers_shared"], true);

    // In a cross-corpus evaluation, every corpus is tested.
    copy_folder(&desk.path("corpus"), &desk.path("two"));
    let line = "cross-corpus --data a=corpus --data b=two --config from.toml --device cpu --name x";
    desk.types(line)
        .fails_with(&["first/best.ot", "--allow-leak"]);
    assert!(!desk.path("runs/x").exists());
}

#[test]
fn one_corpus_under_two_names_is_recognised() {
    let desk = Desk::with_corpus();
    renamed_copies(&desk, "two", &["v01", "v02", "v03", "v04", "v05"]);
    let line = "cross-corpus --data a=corpus --data b=two --config small.toml --device cpu --epochs 1 \
                --name x";
    let seen = desk.types(line).fine();
    let report = json(&read(&desk, "runs/x/report.json"));
    for pair in report["pairs"].as_array().unwrap() {
        let across = pair["trained_on"] != pair["tested_on"];
        assert_eq!(pair["speakers_shared"], across, "{pair}");
        let notes = pair["notes"].to_string();
        assert_eq!(notes.contains("recordings shared: 24"), across, "{notes}");
    }
    assert!(seen.out.contains("recordings shared: 24"), "{}", seen.out);
    let table = read(&desk, "runs/x/pairs.csv");
    assert_eq!(table.matches("recordings shared: 24").count(), 2, "{table}");

    // The recordings of a finished training may not be replaced either.
    replace(&desk, "two/anger/wv01/take-1.wav");
    desk.types(&format!("{line} --seeds 2"))
        .fails_with(&["runs/x/b-seed-1", "1 replaced (anger/wv01/take-1.wav)"]);
}
