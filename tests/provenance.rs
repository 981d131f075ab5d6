//! Weights carry the list of the recordings of their training, and scores are pooled only over the same
//! recordings.

mod env;

use std::fs;
use std::path::Path;

use env::TestEnv;
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
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Copies some voices of the corpus under other folder and file names.
fn renamed_copies(env: &TestEnv, to: &str, voices: &[&str]) {
    for emotion in ["anger", "neutral", "sadness"] {
        for voice in voices {
            for sentence in [1, 2] {
                let copy = env.path(&format!("{to}/{emotion}/w{voice}/take-{sentence}.wav"));
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
                let original = format!("corpus/{emotion}/{voice}/{sentence}.wav");
                fs::copy(env.path(&original), copy).unwrap();
            }
        }
    }
}

/// Replaces the sound of a recording.
fn replace(env: &TestEnv, file: &str) {
    env.wav(file, 16_000, 1, &env::noise(0.8, -30.0));
}

fn read(env: &TestEnv, file: &str) -> String {
    String::from_utf8_lossy(&fs::read(env.path(file)).unwrap()).into_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn weights_trained_on_test_speakers_are_rejected_or_noted_in_every_output() {
    let env = TestEnv::with_corpus();
    env.run(&train("corpus", "first", "v05", "v04")).success();
    let leak = format!(
        "{} {}",
        train("corpus", "second", "v01", "v02"),
        from("runs/first/best.ot")
    );
    env.run(&leak).fails_with(&[
        "first/best.ot were trained or validated on the test subset",
        "6 recordings (anger/v01/1.wav",
        "speakers v01",
        "--allow-leak",
    ]);
    assert_eq!(env.runs(), 1, "rejected before files are written");

    let result = env
        .run(&format!("{leak} --allow-leak --tensorboard"))
        .success();
    let notes = [
        "speakers shared: v01 trained or validated the initial weights",
        "recordings shared: 6 trained or validated the initial weights",
    ];
    env.run("report second").success();
    env.run("export second").success();
    env.run("export second --format torchscript").success();
    env.run("export second --format safetensors").success();
    let outputs = [
        ("train", result.out),
        ("report.txt", read(&env, "runs/second/report.txt")),
        ("report.json", read(&env, "runs/second/report.json")),
        ("report.html", read(&env, "runs/second/report.html")),
        ("bundle", read(&env, "second.emovox")),
        ("torchscript", read(&env, "second.pt")),
        ("safetensors", read(&env, "second.safetensors")),
        (
            "TensorBoard",
            read(&env, "runs/second/events.out.tfevents.emovox"),
        ),
        ("evaluate", env.run("evaluate second").success().out),
        (
            "evaluate of the bundle",
            env.run("evaluate second.emovox --data corpus")
                .success()
                .out,
        ),
    ];
    for (output, text) in outputs {
        for note in notes {
            assert!(text.contains(note), "{output} lacks '{note}': {text}");
        }
        assert!(!text.contains("No speaker is in two subsets"), "{output}");
    }
    let report = json(&read(&env, "runs/second/report.json"));
    assert_eq!(report["speakers_shared"], true);

    // `plot` draws the same picture, which contains the note.
    env.run("plot second --out again.png").success();
    assert_eq!(
        fs::read(env.path("again.png")).unwrap(),
        fs::read(env.path("runs/second/curves.png")).unwrap()
    );
}

#[test]
fn weights_list_the_recordings_of_all_earlier_trainings() {
    let env = TestEnv::with_corpus();
    // The first run trains on v01; the second, on a corpus without v01, only on v02 and v03.
    env.run(&train("corpus", "first", "v05", "v04")).success();
    copy_folder(&env.path("corpus"), &env.path("later"));
    for emotion in ["anger", "neutral", "sadness"] {
        fs::remove_dir_all(env.path(&format!("later/{emotion}/v01"))).unwrap();
    }
    let second = train("later", "second", "v05", "v04");
    let output = env
        .run(&format!("{second} {}", from("runs/first/best.ot")))
        .success();
    assert!(
        output.out.contains("No speaker is in two subsets"),
        "{}",
        output.out
    );
    let third = format!("{} {}", train("corpus", "third", "v01", "v05"), from("w"));
    let from_second = third.replace("weights w", "weights runs/second/best.ot");
    env.run(&from_second)
        .fails_with(&["second/best.ot", "speakers v01", "6 recordings"]);
    // The list is complete without the first run, and all weights in the folder have it.
    fs::remove_dir_all(env.path("runs/first")).unwrap();
    for weights in ["best.ot", "last.ot", "init.ot"] {
        let line = from_second.replace("best.ot", weights);
        env.run(&line).fails_with(&[weights, "speakers v01"]);
    }
    // A bundle has the list too: a score on recordings of the first training is marked.
    env.run("export second").success();
    renamed_copies(&env, "elsewhere", &["v01"]);
    fs::remove_dir_all(env.path("runs")).unwrap();
    let output = env
        .run("evaluate second.emovox --data elsewhere --json")
        .success();
    assert_eq!(json(&output.out)["speakers_shared"], true, "{}", output.out);
    assert!(
        output.out.contains("recordings shared: 6"),
        "{}",
        output.out
    );
}

#[test]
fn recordings_are_recognised_by_content_under_other_speaker_names() {
    let env = TestEnv::with_corpus();
    env.run(&train("corpus", "first", "v05", "v04")).success();
    renamed_copies(&env, "copies", &["v01", "v02", "v05"]);
    let line = train("copies", "second", "wv01", "wv05");
    env.run(&format!("{line} {}", from("runs/first/best.ot")))
        .fails_with(&["6 recordings (anger/wv01/take-1.wav"]);
    // The first run was not trained on its test subset.
    let line = train("copies", "third", "wv05", "wv01");
    let output = env
        .run(&format!("{line} {}", from("runs/first/best.ot")))
        .success();
    let note = "the initial weights were trained on the validation subset: 6 recordings";
    assert!(output.out.contains(note), "{}", output.out);
    let report = json(&read(&env, "runs/third/report.json"));
    assert_eq!(report["speakers_shared"], false);
}

#[test]
fn weights_without_a_run_are_noted_as_unknown() {
    let env = TestEnv::with_corpus();
    env.run(&train("corpus", "first", "v05", "v04")).success();
    fs::copy(env.path("runs/first/best.ot"), env.path("found.ot")).unwrap();
    let unknown = "the training recordings of the initial weights are not known";
    let line = train("corpus", "second", "v01", "v02");
    env.run(&format!("{line} {}", from("found.ot"))).success();
    let line = train("corpus", "third", "v01", "v02");
    env.run(&format!("{line} {}", from("runs/second/best.ot")))
        .success();
    for run in ["second", "third"] {
        let text = read(&env, &format!("runs/{run}/report.txt"));
        assert!(text.contains(unknown), "{text}");
        assert!(!text.contains("No speaker is in two subsets"), "{text}");
    }
    renamed_copies(&env, "unseen", &["v01"]);
    env.run("export third").success();
    for run in ["third", "third.emovox"] {
        let output = env.run(&format!("evaluate {run} --data unseen"));
        let text = output.success().out;
        assert!(text.contains(unknown), "{text}");
        assert!(
            !text.contains("speakers and recordings other than"),
            "{text}"
        );
    }
    // A link leads to the run, so its recordings are known.
    #[cfg(unix)]
    {
        let target = env.path("runs/first/best.ot");
        std::os::unix::fs::symlink(target, env.path("link.ot")).unwrap();
        let line = train("corpus", "fourth", "v01", "v02");
        env.run(&format!("{line} {}", from("link.ot")))
            .fails_with(&["first/best.ot", "speakers v01"]);
    }
}

#[test]
fn evaluate_recognises_training_recordings_under_other_names() {
    let env = TestEnv::with_corpus();
    env.run(&train("corpus", "mine", "v05", "v04")).success();
    renamed_copies(&env, "known", &["v01", "v04"]);
    renamed_copies(&env, "new", &["v05"]);
    env.run("export mine").success();
    for run in ["mine", "mine.emovox"] {
        let output = env
            .run(&format!("evaluate {run} --data known --json"))
            .success();
        let report = json(&output.out);
        assert_eq!(report["speakers_shared"], true);
        let note = "recordings shared: 12 trained or validated this model";
        assert!(output.out.contains(note), "{}", output.out);

        let text = env.run(&format!("evaluate {run} --data new")).success().out;
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
    fs::write(env.path("list.csv"), list).unwrap();
    let line = "evaluate mine --manifest list.csv --root corpus";
    let text = env.run(line).success().out;
    assert!(text.contains("recordings shared: 2 trained"), "{text}");
}

#[test]
fn an_old_run_without_content_hashes_can_be_used() {
    let env = TestEnv::with_corpus();
    env.run(&train("corpus", "old", "v05", "v04")).success();
    let split = read(&env, "runs/old/split.csv");
    let cut = split.lines().map(|line| line.rsplit_once(',').unwrap().0);
    let cut: Vec<&str> = cut.collect();
    fs::write(env.path("runs/old/split.csv"), cut.join("\n") + "\n").unwrap();
    let note = "from a version without content hashes";
    let output = env.run("train --resume old --epochs 2").success();
    assert!(output.out.contains(note), "{}", output.out);
    let text = env.run("evaluate old").success().out;
    assert!(text.contains(note), "{text}");
    renamed_copies(&env, "known", &["v01"]);
    let text = env.run("evaluate old --data known").success().out;
    assert!(text.contains("recordings are not compared"), "{text}");
    assert!(!text.contains("byte for byte"), "{text}");
}

/// The bytes of the files of a run that must not change.
fn state(env: &TestEnv, run: &str) -> Vec<Vec<u8>> {
    let files = [
        "config.toml",
        "report.txt",
        "report.json",
        "last.ot",
        "split.csv",
    ];
    let read = |file: &str| fs::read(env.path(&format!("runs/{run}/{file}"))).unwrap();
    files.map(read).to_vec()
}

#[test]
fn a_run_can_only_be_resumed_with_its_own_recordings() {
    let env = TestEnv::with_corpus();
    env.run(&train("corpus", "mine", "v05", "v04")).success();
    let before = state(&env, "mine");
    copy_folder(&env.path("corpus"), &env.path("kept"));

    replace(&env, "corpus/anger/v01/1.wav");
    replace(&env, "corpus/anger/v05/2.wav");
    let resume = "train --resume mine --epochs 2";
    env.run(resume).fails_with(&[
        "the recordings of mine are not those that it was trained on",
        "2 replaced (anger/v01/1.wav, anger/v05/2.wav)",
        "start a new run",
    ]);
    // Two swapped recordings have the same names, speakers and lengths as before.
    fs::remove_dir_all(env.path("corpus")).unwrap();
    copy_folder(&env.path("kept"), &env.path("corpus"));
    let [one, two] = [1, 2].map(|n| env.path(&format!("corpus/sadness/v02/{n}.wav")));
    fs::rename(&one, env.path("aside.wav")).unwrap();
    fs::rename(&two, &one).unwrap();
    fs::rename(env.path("aside.wav"), &two).unwrap();
    env.run(&format!("{resume} --no-cache"))
        .fails_with(&["2 replaced (sadness/v02/1.wav, sadness/v02/2.wav)"]);
    fs::remove_file(&one).unwrap();
    env.run(resume).fails_with(&[
        "are missing in",
        "1 recording (sadness/v02/1.wav)",
        "--data",
    ]);
    assert_eq!(state(&env, "mine"), before, "no file is changed");

    // A new date and another folder do not change a recording; a new recording is reported.
    let touched = fs::File::options()
        .append(true)
        .open(env.path("kept/anger/v01/1.wav"))
        .unwrap();
    touched.set_modified(std::time::SystemTime::now()).unwrap();
    fs::copy(
        env.path("kept/anger/v01/1.wav"),
        env.path("kept/anger/v01/3.wav"),
    )
    .unwrap();
    let output = env.run(&format!("{resume} --data kept")).success();
    assert!(
        output
            .out
            .contains("new in kept, but not used by this run: 1 recording (anger/v01/3.wav)"),
        "{}",
        output.out
    );
}

/// Replaces text in a file of the run `mine`, runs a command, and restores the file.
fn with_change(env: &TestEnv, file: &str, change: impl Fn(&str) -> String, line: &str) -> String {
    let path = env.path(file);
    let original = fs::read_to_string(&path).unwrap();
    let changed = change(&original);
    assert_ne!(changed, original, "{file} is changed");
    fs::write(&path, changed).unwrap();
    let error = env.run(line).fails_with(&[]).error;
    fs::write(path, original).unwrap();
    error
}

/// The files of a run are not mixed with the state of another training, also if both would fit.
#[test]
fn a_run_is_only_resumed_with_the_settings_and_the_split_of_its_state() {
    let env = TestEnv::with_corpus();
    env.run(&train("corpus", "mine", "v05", "v04")).success();
    let before = state(&env, "mine");
    let resume = "train --resume mine --epochs 2";
    let settings = |from: &'static str, to: &'static str| {
        let change = move |text: &str| text.replacen(from, to, 1);
        with_change(&env, "runs/mine/config.toml", change, resume)
    };
    for (from, to, difference) in [
        (
            "learning_rate = 0.003",
            "learning_rate = 0.5",
            "training.learning_rate was 0.003 and is now 0.5",
        ),
        (
            "dropout = 0.3",
            "dropout = 0.9",
            "model.dropout was 0.3 and is now 0.9",
        ),
        ("\nseed = 1", "\nseed = 2", "seed was 1 and is now 2"),
    ] {
        let error = settings(from, to);
        let expected =
            "does not have the settings that the saved state of the run was trained with";
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(difference), "{error}");
    }
    let split =
        |change: &dyn Fn(&str) -> String| with_change(&env, "runs/mine/split.csv", change, resume);
    let other_split = "does not have the clips, labels and subsets that the saved state of the run was \
                       trained with";
    let as_test = |text: &str| text.replacen(",train,", ",test,", 1);
    let cut = |text: &str| text.lines().take(20).collect::<Vec<_>>().join("\n");
    for change in [&as_test as &dyn Fn(&str) -> String, &cut] {
        let error = split(change);
        assert!(error.contains(other_split), "{error}");
    }
    let header = |text: &str| text.lines().next().unwrap().to_string() + "\n";
    for change in [
        &(|_: &str| String::new()) as &dyn Fn(&str) -> String,
        &header,
    ] {
        let error = split(change);
        assert!(error.contains("split.csv has no clips"), "{error}");
    }
    // The state of a run with another seed has the same shapes.
    let other = train("corpus", "other", "v05", "v04") + " --seed 2";
    env.run(&other).success();
    fs::rename(env.path("runs/mine/last.ot"), env.path("kept.ot")).unwrap();
    fs::copy(
        env.path("runs/other/last.ot"),
        env.path("runs/mine/last.ot"),
    )
    .unwrap();
    env.run(resume)
        .fails_with(&["training.seed was 2 and is now 1"]);
    fs::rename(env.path("kept.ot"), env.path("runs/mine/last.ot")).unwrap();
    assert_eq!(state(&env, "mine"), before, "no file is changed");
    // Settings that do not change the training may be edited.
    let config = read(&env, "runs/mine/config.toml");
    let edited = config
        .replacen("device = \"cpu\"", "device = \"auto\"", 1)
        .replacen("\n[training]\n", "\n[training]\nallow_leak = true\n", 1);
    assert_eq!(edited.len(), config.len() + "allow_leak = true\n".len() + 1);
    fs::write(env.path("runs/mine/config.toml"), edited).unwrap();
    env.run(&format!("{resume} --device cpu")).success();
}

#[test]
fn evaluate_names_replaced_recordings() {
    let env = TestEnv::with_corpus();
    env.run(&train("corpus", "mine", "v05", "v04")).success();
    fs::copy(
        env.path("corpus/anger/v01/1.wav"),
        env.path("corpus/anger/v05/1.wav"),
    )
    .unwrap();
    let text = env.run("evaluate mine").success().out;
    let note = "1 recording (anger/v05/1.wav) replaced since the training";
    assert!(text.contains(note), "{text}");
    assert!(text.contains("recordings shared: 1 trained"), "{text}");
}

const CROSS_VALIDATE: &str = "cross-validate --data corpus --config small.toml --device cpu \
                              --epochs 1 --folds 2 --name all";

#[test]
fn trials_of_other_recordings_are_not_pooled() {
    let env = TestEnv::with_corpus();
    env.run(CROSS_VALIDATE).success();
    let report = fs::read(env.path("runs/all/report.json")).unwrap();
    copy_folder(&env.path("corpus"), &env.path("kept"));

    // Simulates a stop between two trials, followed by a change of the recordings.
    fs::rename(env.path("runs/all/fold-2-seed-1"), env.path("aside")).unwrap();
    replace(&env, "corpus/anger/v01/1.wav");
    fs::remove_file(env.path("corpus/neutral/v03/2.wav")).unwrap();
    for line in [
        CROSS_VALIDATE.to_string(),
        format!("{CROSS_VALIDATE} --seeds 2"),
    ] {
        env.run(&line).fails_with(&[
            "not those that runs/all/fold-1-seed-1 was trained on",
            "1 replaced (anger/v01/1.wav)",
            "1 gone (neutral/v03/2.wav)",
        ]);
    }
    assert!(!env.path("runs/all/fold-2-seed-1").exists());
    assert_eq!(fs::read(env.path("runs/all/report.json")).unwrap(), report);

    // An existing trial on other recordings is named, and nothing is pooled.
    fs::copy(
        env.path("kept/neutral/v03/2.wav"),
        env.path("corpus/neutral/v03/2.wav"),
    )
    .unwrap();
    let other = CROSS_VALIDATE.replace("--name all", "--name other");
    env.run(&other).success();
    copy_folder(
        &env.path("runs/other/fold-2-seed-1"),
        &env.path("runs/all/fold-2-seed-1"),
    );
    fs::remove_dir_all(env.path("corpus")).unwrap();
    copy_folder(&env.path("kept"), &env.path("corpus"));
    env.run(CROSS_VALIDATE).fails_with(&[
        "runs/all/fold-2-seed-1 was trained on other recordings",
        "1 replaced (anger/v01/1.wav)",
        "not pooled",
    ]);
    assert_eq!(fs::read(env.path("runs/all/report.json")).unwrap(), report);
}

/// The predictions of a trial are scored only if they are those of its test subset.
#[test]
fn changed_results_of_a_trial_are_not_pooled() {
    let env = TestEnv::with_corpus();
    env.run(CROSS_VALIDATE).success();
    let report = fs::read(env.path("runs/all/report.json")).unwrap();
    let predictions = "runs/all/fold-1-seed-1/predictions.csv";
    let cut = |text: &str| text.lines().take(5).collect::<Vec<_>>().join("\n");
    let twice = |text: &str| format!("{text}{}\n", text.lines().last().unwrap());
    let relabelled = |text: &str| {
        let (header, lines) = text.split_once('\n').unwrap();
        format!("{header}\n{}", lines.replacen(",anger,", ",sadness,", 1))
    };
    let header = |text: &str| text.lines().next().unwrap().to_string() + "\n";
    let changes: [&dyn Fn(&str) -> String; 5] =
        [&cut, &twice, &relabelled, &header, &|_| String::new()];
    for change in changes {
        for line in [
            CROSS_VALIDATE,
            "report runs/all/fold-1-seed-1 --data corpus",
        ] {
            let error = with_change(&env, predictions, change, line);
            assert!(error.contains(predictions), "{error}");
            assert!(error.contains("of the test subset in split.csv"), "{error}");
            assert!(
                error.contains("emovox train --resume runs/all/fold-1-seed-1"),
                "{error}"
            );
        }
    }
    // The command in the message writes them again.
    let written = read(&env, predictions);
    fs::write(env.path(predictions), cut(&written)).unwrap();
    env.run("train --resume runs/all/fold-1-seed-1").success();
    assert_eq!(read(&env, predictions), written);

    // A copy of another fold is not this fold.
    fs::rename(env.path("runs/all/fold-1-seed-1"), env.path("aside")).unwrap();
    copy_folder(
        &env.path("runs/all/fold-2-seed-1"),
        &env.path("runs/all/fold-1-seed-1"),
    );
    env.run(CROSS_VALIDATE).fails_with(&[
        "runs/all/fold-1-seed-1 is another training than the one that its study planned",
        "split.test_speakers is",
    ]);
    assert_eq!(fs::read(env.path("runs/all/report.json")).unwrap(), report);

    // Neither is a run of more epochs than planned.
    fs::remove_dir_all(env.path("runs/all/fold-1-seed-1")).unwrap();
    fs::rename(env.path("aside"), env.path("runs/all/fold-1-seed-1")).unwrap();
    copy_folder(&env.path("runs/all/fold-2-seed-1"), &env.path("longer"));
    env.run("train --resume longer --epochs 2").success();
    fs::rename(env.path("runs/all/fold-2-seed-1"), env.path("aside")).unwrap();
    fs::rename(env.path("longer"), env.path("runs/all/fold-2-seed-1")).unwrap();
    env.run(CROSS_VALIDATE)
        .fails_with(&["training.epochs is 2, not 1"]);
    fs::remove_dir_all(env.path("runs/all/fold-2-seed-1")).unwrap();
    fs::rename(env.path("aside"), env.path("runs/all/fold-2-seed-1")).unwrap();

    // The page of all folds needs predictions that belong to its scores.
    let error = with_change(
        &env,
        "runs/all/predictions.csv",
        cut,
        "report runs/all --data corpus",
    );
    assert!(error.contains("but report.json has 30"), "{error}");
}

const GRID: &str = "
seeds = [1, 2]
[config]
data.folder = \"corpus\"
split.kind = \"random\"
model = { arch = \"mean-lstm\", hidden = 4, dense1 = 4, dense2 = 4 }
training = { epochs = 1, batch_size = 8, device = \"cpu\" }
[sweep]
model.hidden = [4, 8]
[baseline]
model.hidden = 4
";

#[test]
fn a_random_split_is_noted_in_exports_and_a_sweep_pools_one_corpus_only() {
    let env = TestEnv::with_corpus();
    fs::write(env.path("sizes.toml"), GRID).unwrap();
    env.run("grid sizes.toml --run --jobs 2").success();
    let stamp = "speakers shared: train/validation, train/test";
    for file in ["settings.csv", "cells.csv"] {
        let mut table = csv::Reader::from_path(env.path(&format!("runs/sizes/{file}"))).unwrap();
        let last = table.headers().unwrap().len() - 1;
        assert_eq!(&table.headers().unwrap()[last], "notes", "{file}");
        for line in table.records() {
            let line = line.unwrap();
            assert!(line[last].contains(stamp), "{file}: {line:?}");
        }
    }
    let run = "runs/sizes/hidden-4/seed-1";
    env.run(&format!("export {run} --out it.emovox")).success();
    env.run(&format!("export {run} --format torchscript --out it.pt"))
        .success();
    for file in ["it.emovox", "it.pt"] {
        assert!(read(&env, file).contains(stamp), "{file}");
    }

    // A trial on other recordings is neither collected nor compared with the baseline.
    fs::rename(env.path("runs/sizes/hidden-8"), env.path("aside")).unwrap();
    replace(&env, "corpus/anger/v01/1.wav");
    env.run("grid sizes.toml --cell 2").success();
    env.run("collect sizes.toml").fails_with(&[
        "hidden-8/seed-1 was trained on other recordings than",
        "hidden-4/seed-1",
        "1 replaced (anger/v01/1.wav)",
    ]);
    env.run("grid sizes.toml --cell 0").success();
    fs::remove_dir_all(env.path("runs/sizes/hidden-4/seed-1")).unwrap();
    env.run("grid sizes.toml --run")
        .fails_with(&["setting hidden-4", "1 replaced (anger/v01/1.wav)"]);
    assert!(!env.path("runs/sizes/hidden-4/seed-1").exists());
}

#[test]
fn a_cross_validation_from_weights_trained_on_its_folds_is_rejected() {
    let env = TestEnv::with_corpus();
    env.run(&train("corpus", "first", "v05", "v04")).success();
    let small = read(&env, "small.toml");
    let config = small + "learning_rate = 1e-6\ninit_weights = \"runs/first/best.ot\"\n";
    fs::write(env.path("from.toml"), config).unwrap();
    let line = CROSS_VALIDATE.replace("small.toml", "from.toml");
    env.run(&line).fails_with_one_line(&[
        "2 of 2 folds",
        "24 recordings",
        "speakers v01, v02, v03, v04",
        "--allow-leak",
    ]);
    assert_eq!(env.runs(), 1);
    let output = env.run(&format!("{line} --allow-leak")).success();
    let stamp = "speakers shared: v01, v02, v03, v04 trained or validated the initial weights";
    assert!(output.out.contains(stamp), "{}", output.out);
    let report = json(&read(&env, "runs/all/report.json"));
    assert_eq!(report["speakers_shared"], true);

    // In a cross-corpus evaluation, every corpus is tested.
    copy_folder(&env.path("corpus"), &env.path("two"));
    let line = "cross-corpus --data a=corpus --data b=two --config from.toml --device cpu --name x";
    env.run(line).fails_with(&["first/best.ot", "--allow-leak"]);
    assert!(!env.path("runs/x").exists());
}

#[test]
fn one_corpus_under_two_names_is_recognised() {
    let env = TestEnv::with_corpus();
    renamed_copies(&env, "two", &["v01", "v02", "v03", "v04", "v05"]);
    let line = "cross-corpus --data a=corpus --data b=two --config small.toml --device cpu --epochs 1 \
                --name x";
    let output = env.run(line).success();
    let report = json(&read(&env, "runs/x/report.json"));
    for pair in report["pairs"].as_array().unwrap() {
        let across = pair["trained_on"] != pair["tested_on"];
        assert_eq!(pair["speakers_shared"], across, "{pair}");
        let notes = pair["notes"].to_string();
        assert_eq!(notes.contains("recordings shared: 24"), across, "{notes}");
    }
    assert!(
        output.out.contains("recordings shared: 24"),
        "{}",
        output.out
    );
    let table = read(&env, "runs/x/pairs.csv");
    assert_eq!(table.matches("recordings shared: 24").count(), 2, "{table}");

    // The recordings of a finished training may not be replaced either.
    replace(&env, "two/anger/wv01/take-1.wav");
    env.run(&format!("{line} --seeds 2"))
        .fails_with(&["runs/x/b-seed-1", "1 replaced (anger/wv01/take-1.wav)"]);
}
