//! Output files at paths of the user: a command never overwrites an input, a recording, a file of a run, or
//! a file that emovox did not write.

mod env;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use emovox::audio::AudioConfig;
use emovox::export::{self, FeatureFormat};
use emovox::features::FeatureConfig;
use emovox::inference::{Precision, Predictor, Trained};
use emovox::model::ModelConfig;
use emovox::run::Outputs;
use env::process::{DEADLINE, run_command, run_redirected};
use env::tiny::{tiny_bilstm, tiny_config, tiny_run};
use env::{TestEnv, files};
use tch::Device;

/// Two runs and two recordings.
fn env() -> TestEnv {
    let env = TestEnv::new();
    for (number, name) in ["sounds/1.wav", "sounds/2.wav"].into_iter().enumerate() {
        let samples: Vec<f32> = (0..8000)
            .map(|n| 0.3 * (n as f32 * 0.05 * (number + 1) as f32).sin())
            .collect();
        env.wav(name, 16_000, 1, &samples);
    }
    let mut config = tiny_config(ModelConfig::Bilstm(tiny_bilstm()), &["anger", "joy"]);
    config.data.folder = env.path("sounds");
    tiny_run(&env, "mine", &config);
    tiny_run(&env, "other", &config);
    env
}

/// Asserts that the command fails with these words and changes no file.
#[track_caller]
fn assert_rejected(env: &TestEnv, line: &str, words: &[&str]) {
    let before = files(&env.path(""));
    env.run(line).fails_with(words);
    assert!(files(&env.path("")) == before, "{line} changed a file");
}

#[test]
fn a_recording_is_never_replaced_under_any_name() {
    let env = env();
    fs::hard_link(env.path("sounds/1.wav"), env.path("hard.csv")).unwrap();
    symlink("sounds/1.wav", env.path("soft.csv")).unwrap();
    symlink("sounds", env.path("folder")).unwrap();
    let read = ["which this command reads"];
    for line in [
        "predict mine sounds/1.wav --csv --out sounds/1.wav",
        "predict mine sounds/1.wav --csv --out soft.csv",
        "predict mine sounds --csv --out ./sounds/../sounds/2.wav",
        "predict mine sounds --csv --out hard.csv",
        "features sounds/1.wav --out folder/1.wav",
        "features sounds --format csv --out soft.csv",
        "features sounds --format safetensors --out folder/2.wav",
    ] {
        assert_rejected(&env, &format!("{line} --force"), &read);
    }
    // A recording that is not an input of the command.
    for line in ["report mine other", "plot mine other", "export mine"] {
        let line = format!("{line} --force --out hard.csv");
        assert_rejected(&env, &line, &["hard.csv is a recording"]);
    }
}

#[test]
fn a_file_of_a_run_is_never_replaced() {
    let env = env();
    fs::hard_link(env.path("runs/mine/best.ot"), env.path("weights")).unwrap();
    symlink("runs/mine/config.toml", env.path("config")).unwrap();
    env.run("export mine").success();
    for line in [
        "report mine --out runs/mine/best.ot",
        "report mine other --out runs/mine/last.ot",
        "predict mine sounds --csv --out config",
        "features sounds --format csv --out runs/other/metrics.csv",
        "export mine --out runs/other/best.ot",
        "plot mine other --out runs/mine/curves.png",
    ] {
        assert_rejected(&env, &format!("{line} --force"), &["a file of a run"]);
    }
    let read = ["which this command reads"];
    assert_rejected(&env, "export mine --force --out weights", &read);
    assert_rejected(&env, "report mine --force --out weights", &read);
    assert_rejected(
        &env,
        "features sounds --format csv --run mine --force --out weights",
        &read,
    );
    assert_rejected(
        &env,
        "predict mine.emovox sounds --csv --force --out mine.emovox",
        &read,
    );
    assert_rejected(
        &env,
        "export mine.emovox --format safetensors --force --out mine.emovox",
        &read,
    );
}

#[test]
fn only_files_of_emovox_are_replaced_without_force() {
    let env = env();
    let outputs = [
        ("export mine", "mine.emovox"),
        ("predict mine sounds --csv --out x.csv", "x.csv"),
        ("features sounds --out npy", "npy/2.npy"),
        ("features sounds --out f.csv", "f.metadata.csv"),
        ("features sounds/1.wav --out one.npy", "one.npy"),
        ("plot mine other", "curves.png"),
        ("inspect sounds/1.wav", "1.png"),
        ("man --out man", "man/emovox.1"),
    ];
    for (line, file) in outputs {
        assert_needs_force(&env, line, file);
    }
}

#[test]
fn a_page_of_emovox_can_be_written_again() {
    let env = TestEnv::with_corpus();
    env.run(&format!("{} --epochs 1", env::TRAIN)).success();
    assert_needs_force(&env, "report mine --out page.html", "page.html");
    assert_needs_force(&env, "report mine mine", "report.html");
    // The page in the run folder belongs to the run.
    for line in [
        "report mine",
        "report mine --out runs/mine/report.html",
        "plot mine",
        "plot mine --out runs/mine/curves.png",
    ] {
        env.run(line).success();
    }
}

/// Asserts that a file of the user is replaced only with --force, and a file of emovox also without it.
#[track_caller]
fn assert_needs_force(env: &TestEnv, line: &str, file: &str) {
    let path = env.path(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "file,label\nmine,mine\n").unwrap();
    assert_rejected(env, line, &["exists, and nothing shows", "--force", file]);
    env.run(&format!("{line} --force")).success();
    let made = fs::read(&path).unwrap();
    env.run(line).success();
    assert!(fs::read(&path).unwrap() == made, "{line}");
}

#[test]
fn a_file_of_emovox_of_another_kind_needs_force() {
    let env = env();
    env.run("export mine").success();
    env.run("features sounds --out f.csv").success();
    let ours = ["nothing shows that emovox wrote it as this kind"];
    assert_rejected(
        &env,
        "export mine --format safetensors --out mine.emovox",
        &ours,
    );
    assert_rejected(&env, "predict mine sounds --csv --out f.csv", &ours);
    assert_rejected(
        &env,
        "features sounds --format safetensors --out mine.emovox",
        &ours,
    );
}

#[test]
fn every_export_is_recognised_as_its_own_kind_only() {
    let env = env();
    let predictor = || {
        let run = Trained::open(&env.path("runs"), "mine").unwrap();
        Predictor::of(run, Device::Cpu).unwrap()
    };
    type Kind = (Vec<u8>, fn(&Path) -> bool);
    let kinds: [Kind; 3] = [
        (
            predictor().trained().bundle(Precision::Single).unwrap(),
            export::is_bundle,
        ),
        (
            export::safetensors(&predictor()).unwrap(),
            export::is_safetensors,
        ),
        (
            export::torchscript(&predictor()).unwrap(),
            export::is_torchscript,
        ),
    ];
    let file = env.path("x");
    for (one, (bytes, _)) in kinds.iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        for (other, (_, is_own)) in kinds.iter().enumerate() {
            assert_eq!(is_own(&file), one == other, "{one} {other}");
        }
    }
    for bytes in [&b""[..], b"mine", b"PK\x05\x06", &[0xff; 100]] {
        fs::write(&file, bytes).unwrap();
        assert!(!kinds.iter().any(|(_, is_own)| is_own(&file)));
    }
}

#[test]
fn feature_files_are_recognised_in_every_format() {
    let env = env();
    let sounds = env.path("sounds");
    let recordings = export::describe(&sounds, &["1.wav".into(), "2.wav".into()]).recordings;
    let (audio, features) = (AudioConfig::default(), FeatureConfig::default());
    for ending in ["npz", "safetensors", "csv"] {
        let out = env.path(&format!("f.{ending}"));
        let format = FeatureFormat::of(&out).unwrap();
        let check = || {
            let mut outputs = Outputs::new(false);
            export::check_features(&mut outputs, &recordings, (&out, format))
        };
        fs::write(&out, "mine").unwrap();
        assert!(check().is_err(), "{ending}");
        fs::remove_file(&out).unwrap();
        for _ in 0..2 {
            check().unwrap();
            let out = (out.as_path(), format);
            export::write_features(&sounds, &recordings, &audio, &features, out, || {}).unwrap();
        }
    }
}

#[test]
fn inspect_does_not_replace_a_manifest_beside_the_corpus() {
    let env = TestEnv::with_corpus();
    fs::rename(env.path("corpus"), env.path("mine")).unwrap();
    fs::write(env.path("mine.csv"), "file,label,speaker\n").unwrap();
    assert_rejected(&env, "inspect mine", &["mine.csv exists", "--force"]);
    env.run("inspect mine --out output").success();
    env.run("inspect mine --out output").success();
    fs::write(env.path("output/mine.png"), "a photo").unwrap();
    assert_rejected(&env, "inspect mine --out output", &["mine.png exists"]);
}

#[test]
fn output_through_a_link_writes_its_target() {
    let env = env();
    fs::create_dir(env.path("elsewhere")).unwrap();
    symlink("elsewhere/x.csv", env.path("x.csv")).unwrap();
    let line = "predict mine sounds --csv --out x.csv";
    // At first, the target does not exist.
    for _ in 0..2 {
        env.run(line).success();
        assert!(env.path("x.csv").is_symlink());
        let text = fs::read_to_string(env.path("elsewhere/x.csv")).unwrap();
        assert!(text.starts_with("file,label,anger,joy\n"), "{text}");
        assert!(!env.path("elsewhere/x.csv").is_symlink());
    }
    symlink("round", env.path("redirects")).unwrap();
    symlink("redirects", env.path("round")).unwrap();
    assert_rejected(
        &env,
        "predict mine sounds --csv --out round",
        &["form a cycle"],
    );
    symlink("nowhere/x.csv", env.path("gone.csv")).unwrap();
    assert_rejected(
        &env,
        "predict mine sounds --csv --out gone.csv",
        &["nowhere/x.csv"],
    );
}

#[test]
fn output_goes_into_a_pipe() {
    let env = env();
    let pipe = env.path("pipe");
    run_command(Command::new("mkfifo").arg(&pipe)).success();
    symlink("pipe", env.path("link")).unwrap();
    for (line, beginning) in [
        ("predict mine sounds --csv --out pipe", &b"file,label,"[..]),
        ("features sounds/1.wav --out pipe", b"\x93NUMPY"),
        ("features sounds/1.wav --format npz --out link", b"PK"),
    ] {
        let (send, receive) = mpsc::channel();
        let reader = pipe.clone();
        thread::spawn(move || send.send(fs::read(reader).unwrap()));
        env.run(line).success();
        let bytes = receive.recv_timeout(DEADLINE).expect("bytes from the pipe");
        assert!(bytes.starts_with(beginning), "{line}");
        let metadata = fs::symlink_metadata(&pipe).unwrap();
        assert!(!metadata.is_file(), "{line} replaced the pipe");
    }
}

#[test]
fn output_goes_to_standard_output() {
    let env = env();
    let line = "predict mine sounds --csv --out /dev/stdout";
    let expected = env.run("predict mine sounds --csv").success().out;
    assert_eq!(env.run(line).success().out, expected);
    // Like `> x.csv` and `>> x.csv` in a shell.
    for (kept, append) in [("", false), ("before\n", true)] {
        fs::write(env.path("x.csv"), "before\n").unwrap();
        let mut file = fs::OpenOptions::new();
        let file = file.write(true).append(append).truncate(!append);
        let file = file.open(env.path("x.csv")).unwrap();
        let mut command = env.command(line);
        run_redirected(command.stdout(file).stderr(Stdio::piped())).success();
        let text = fs::read_to_string(env.path("x.csv")).unwrap();
        assert_eq!(text, format!("{kept}{expected}"));
    }
    assert!(Path::new("/dev/stdout").is_symlink());
    // Standard output contains only the exported bytes.
    env.run("export mine --format safetensors --out x.safetensors")
        .success();
    let export = env.run("export mine --format safetensors --out /dev/stdout");
    assert_eq!(export.bytes, fs::read(env.path("x.safetensors")).unwrap());
    assert!(export.error.contains("/dev/stdout: "));
}

#[test]
fn temporary_files_of_killed_processes_are_removed() {
    let env = env();
    let left = env.path(".writing-dead01.tmp");
    fs::write(&left, "half").unwrap();
    let live = env.path(".writing-live01.tmp");
    let writer = fs::File::create(&live).unwrap();
    writer.lock().unwrap();
    fs::write(env.path(".writing-thesis"), "mine").unwrap();
    env.run("features sounds/1.wav --out x.npy").success();
    assert!(!left.exists() && live.exists() && env.path(".writing-thesis").exists());
}
