//! Output files at paths of the user: a command never overwrites an input, a recording, a file of a run, or
//! a file that emovox did not write.

mod desk;

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use desk::process::DEADLINE;
use desk::tiny::{tiny_bilstm, tiny_config, tiny_run};
use desk::{Desk, files};
use emovox::audio::AudioConfig;
use emovox::export::{self, FeatureFormat};
use emovox::features::FeatureConfig;
use emovox::inference::{Predictor, Trained};
use emovox::model::ModelConfig;
use emovox::run::Outputs;
use tch::Device;

/// Two runs and two recordings.
fn desk() -> Desk {
    let desk = Desk::new();
    for (number, name) in ["sounds/1.wav", "sounds/2.wav"].into_iter().enumerate() {
        let samples: Vec<f32> = (0..8000)
            .map(|n| 0.3 * (n as f32 * 0.05 * (number + 1) as f32).sin())
            .collect();
        desk.wav(name, 16_000, 1, &samples);
    }
    let mut config = tiny_config(ModelConfig::Bilstm(tiny_bilstm()), &["anger", "joy"]);
    config.data.folder = desk.path("sounds");
    tiny_run(&desk, "mine", &config);
    tiny_run(&desk, "other", &config);
    desk
}

/// Asserts that the command fails with these words and changes no file.
#[track_caller]
fn assert_rejected(desk: &Desk, line: &str, words: &[&str]) {
    let before = files(&desk.path(""));
    desk.types(line).fails_with(words);
    assert!(files(&desk.path("")) == before, "{line} changed a file");
}

#[test]
fn a_recording_is_never_replaced_under_any_name() {
    let desk = desk();
    fs::hard_link(desk.path("sounds/1.wav"), desk.path("hard.csv")).unwrap();
    symlink("sounds/1.wav", desk.path("soft.csv")).unwrap();
    symlink("sounds", desk.path("folder")).unwrap();
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
        assert_rejected(&desk, &format!("{line} --force"), &read);
    }
    // A recording that is not an input of the command.
    for line in ["report mine other", "plot mine other", "export mine"] {
        let line = format!("{line} --force --out hard.csv");
        assert_rejected(&desk, &line, &["hard.csv is a recording"]);
    }
}

#[test]
fn a_file_of_a_run_is_never_replaced() {
    let desk = desk();
    fs::hard_link(desk.path("runs/mine/best.ot"), desk.path("weights")).unwrap();
    symlink("runs/mine/config.toml", desk.path("config")).unwrap();
    desk.types("export mine").fine();
    for line in [
        "report mine --out runs/mine/best.ot",
        "report mine other --out runs/mine/last.ot",
        "predict mine sounds --csv --out config",
        "features sounds --format csv --out runs/other/metrics.csv",
        "export mine --out runs/other/best.ot",
        "plot mine other --out runs/mine/curves.png",
    ] {
        assert_rejected(&desk, &format!("{line} --force"), &["a file of a run"]);
    }
    let read = ["which this command reads"];
    assert_rejected(&desk, "export mine --force --out weights", &read);
    assert_rejected(&desk, "report mine --force --out weights", &read);
    assert_rejected(
        &desk,
        "features sounds --format csv --run mine --force --out weights",
        &read,
    );
    assert_rejected(
        &desk,
        "predict mine.emovox sounds --csv --force --out mine.emovox",
        &read,
    );
    assert_rejected(
        &desk,
        "export mine.emovox --format safetensors --force --out mine.emovox",
        &read,
    );
}

#[test]
fn only_files_of_emovox_are_replaced_without_force() {
    let desk = desk();
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
        assert_needs_force(&desk, line, file);
    }
}

#[test]
fn a_page_of_emovox_can_be_written_again() {
    let desk = Desk::with_corpus();
    desk.types(&format!("{} --epochs 1", desk::TRAIN)).fine();
    assert_needs_force(&desk, "report mine --out page.html", "page.html");
    assert_needs_force(&desk, "report mine mine", "report.html");
    // The page in the run folder belongs to the run.
    for line in [
        "report mine",
        "report mine --out runs/mine/report.html",
        "plot mine",
        "plot mine --out runs/mine/curves.png",
    ] {
        desk.types(line).fine();
    }
}

/// Asserts that a file of the user is replaced only with --force, and a file of emovox also without it.
#[track_caller]
fn assert_needs_force(desk: &Desk, line: &str, file: &str) {
    let path = desk.path(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "file,label\nmine,mine\n").unwrap();
    assert_rejected(desk, line, &["exists, and nothing shows", "--force", file]);
    desk.types(&format!("{line} --force")).fine();
    let made = fs::read(&path).unwrap();
    desk.types(line).fine();
    assert!(fs::read(&path).unwrap() == made, "{line}");
}

#[test]
fn a_file_of_emovox_of_another_kind_needs_force() {
    let desk = desk();
    desk.types("export mine").fine();
    desk.types("features sounds --out f.csv").fine();
    let ours = ["nothing shows that emovox wrote it as this kind"];
    assert_rejected(
        &desk,
        "export mine --format safetensors --out mine.emovox",
        &ours,
    );
    assert_rejected(&desk, "predict mine sounds --csv --out f.csv", &ours);
    assert_rejected(
        &desk,
        "features sounds --format safetensors --out mine.emovox",
        &ours,
    );
}

#[test]
fn every_export_is_recognised_as_its_own_kind_only() {
    let desk = desk();
    let predictor = || {
        let run = Trained::open(&desk.path("runs"), "mine").unwrap();
        Predictor::of(run, Device::Cpu).unwrap()
    };
    type Kind = (Vec<u8>, fn(&Path) -> bool);
    let kinds: [Kind; 3] = [
        (predictor().trained().bundle().unwrap(), export::is_bundle),
        (
            export::safetensors(&predictor()).unwrap(),
            export::is_safetensors,
        ),
        (
            export::torchscript(&predictor()).unwrap(),
            export::is_torchscript,
        ),
    ];
    let file = desk.path("x");
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
    let desk = desk();
    let sounds = desk.path("sounds");
    let recordings = export::describe(&sounds, &["1.wav".into(), "2.wav".into()]);
    let (audio, features) = (AudioConfig::default(), FeatureConfig::default());
    for ending in ["npz", "safetensors", "csv"] {
        let out = desk.path(&format!("f.{ending}"));
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
    let desk = Desk::with_corpus();
    fs::rename(desk.path("corpus"), desk.path("mine")).unwrap();
    fs::write(desk.path("mine.csv"), "file,label,speaker\n").unwrap();
    assert_rejected(&desk, "inspect mine", &["mine.csv exists", "--force"]);
    desk.types("inspect mine --out seen").fine();
    desk.types("inspect mine --out seen").fine();
    fs::write(desk.path("seen/mine.png"), "a photo").unwrap();
    assert_rejected(&desk, "inspect mine --out seen", &["mine.png exists"]);
}

#[test]
fn output_through_a_link_writes_its_target() {
    let desk = desk();
    fs::create_dir(desk.path("elsewhere")).unwrap();
    symlink("elsewhere/x.csv", desk.path("x.csv")).unwrap();
    let line = "predict mine sounds --csv --out x.csv";
    // At first, the target does not exist.
    for _ in 0..2 {
        desk.types(line).fine();
        assert!(desk.path("x.csv").is_symlink());
        let text = fs::read_to_string(desk.path("elsewhere/x.csv")).unwrap();
        assert!(text.starts_with("file,label,anger,joy\n"), "{text}");
        assert!(!desk.path("elsewhere/x.csv").is_symlink());
    }
    symlink("round", desk.path("redirects")).unwrap();
    symlink("redirects", desk.path("round")).unwrap();
    assert_rejected(
        &desk,
        "predict mine sounds --csv --out round",
        &["form a cycle"],
    );
    symlink("nowhere/x.csv", desk.path("gone.csv")).unwrap();
    assert_rejected(
        &desk,
        "predict mine sounds --csv --out gone.csv",
        &["nowhere/x.csv"],
    );
}

#[test]
fn output_goes_into_a_pipe() {
    let desk = desk();
    let pipe = desk.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    symlink("pipe", desk.path("link")).unwrap();
    for (line, beginning) in [
        ("predict mine sounds --csv --out pipe", &b"file,label,"[..]),
        ("features sounds/1.wav --out pipe", b"\x93NUMPY"),
        ("features sounds/1.wav --format npz --out link", b"PK"),
    ] {
        let (send, receive) = mpsc::channel();
        let reader = pipe.clone();
        thread::spawn(move || send.send(fs::read(reader).unwrap()));
        desk.types(line).fine();
        let bytes = receive.recv_timeout(DEADLINE).expect("bytes from the pipe");
        assert!(bytes.starts_with(beginning), "{line}");
        let metadata = fs::symlink_metadata(&pipe).unwrap();
        assert!(!metadata.is_file(), "{line} replaced the pipe");
    }
}

#[test]
fn output_goes_to_standard_output() {
    let desk = desk();
    let line = "predict mine sounds --csv --out /dev/stdout";
    let expected = desk.types("predict mine sounds --csv").fine().out;
    assert_eq!(desk.types(line).fine().out, expected);
    // Like `> x.csv` and `>> x.csv` in a shell.
    for (kept, append) in [("", false), ("before\n", true)] {
        fs::write(desk.path("x.csv"), "before\n").unwrap();
        let mut file = fs::OpenOptions::new();
        let file = file.write(true).append(append).truncate(!append);
        let file = file.open(desk.path("x.csv")).unwrap();
        let mut child = desk.command(line);
        let mut child = child.stdout(file).stderr(Stdio::piped()).spawn().unwrap();
        let mut error = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut error).unwrap();
        assert!(child.wait().unwrap().success(), "{error}");
        let text = fs::read_to_string(desk.path("x.csv")).unwrap();
        assert_eq!(text, format!("{kept}{expected}"));
    }
    assert!(Path::new("/dev/stdout").is_symlink());
    // Standard output contains only the exported bytes.
    desk.types("export mine --format safetensors --out x.safetensors")
        .fine();
    let export = desk
        .command("export mine --format safetensors --out /dev/stdout")
        .output()
        .unwrap();
    assert_eq!(export.stdout, fs::read(desk.path("x.safetensors")).unwrap());
    assert!(String::from_utf8_lossy(&export.stderr).contains("/dev/stdout: "));
}

#[test]
fn temporary_files_of_killed_processes_are_removed() {
    let desk = desk();
    let left = desk.path(".writing-dead01.tmp");
    fs::write(&left, "half").unwrap();
    let live = desk.path(".writing-live01.tmp");
    let writer = fs::File::create(&live).unwrap();
    writer.lock().unwrap();
    fs::write(desk.path(".writing-thesis"), "mine").unwrap();
    desk.types("features sounds/1.wav --out x.npy").fine();
    assert!(!left.exists() && live.exists() && desk.path(".writing-thesis").exists());
}
