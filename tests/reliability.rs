//! Trainings under adverse conditions: killed and stopped processes, two processes on one run, full disks,
//! damaged files.

#![cfg(unix)]

mod env;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use emovox::model::{encode, read_tensors};
use env::process::{finish, run_command, send, spawn, wait_for_epochs, wait_for_exit, wait_until};
use env::{CommandOutput, TRAIN, TestEnv, metrics_without_seconds};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

/// The results that an interruption must not change: `metrics.csv` without the seconds, the weights, the
/// predictions, and the report without the run's name.
fn outcome(env: &TestEnv, run: &str) -> BTreeMap<&'static str, Vec<u8>> {
    let read = |file: &str| fs::read(env.path(&format!("runs/{run}/{file}"))).unwrap();
    let metrics = metrics_without_seconds(&env.path(&format!("runs/{run}")));
    let report = String::from_utf8(read("report.txt")).unwrap();
    BTreeMap::from([
        ("metrics.csv", format!("{metrics:?}").into_bytes()),
        ("best.ot", read("best.ot")),
        ("predictions.csv", read("predictions.csv")),
        ("confusion.csv", read("confusion.csv")),
        ("report.txt", report.replace(run, "RUN").into_bytes()),
        ("split.csv", read("split.csv")),
    ])
}

#[track_caller]
fn assert_same_outcome(env: &TestEnv, run: &str, other: &str) {
    let (run, other) = (outcome(env, run), outcome(env, other));
    for (file, bytes) in run {
        assert!(bytes == other[file], "{file} differs");
    }
}

/// Number of unfinished files in a run folder.
fn unfinished_files(folder: &Path) -> usize {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    names
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".writing-"))
        .count()
}

fn spawn_quietly(mut command: Command) -> Child {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_run_killed_twenty_times_has_the_same_result() {
    // A GPU saves at most once a second, and whether its bytes repeat has not been measured.
    let env = TestEnv::with_corpus().on_cpu();
    let train = TRAIN.replace("--run mine", "--epochs 40 --run");
    let started = Instant::now();
    env.run(&format!("{train} whole")).success();
    let whole = started.elapsed();

    let folder = env.path("runs/killed");
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut killed_while_writing = 0;
    for kill in 0..20 {
        let line = if folder.join("config.toml").exists() {
            "train --resume killed".to_string()
        } else {
            format!("{train} killed")
        };
        let mut child = spawn_quietly(env.command(&line));
        // At a random time, also while recordings are read or clips are scored. Every second kill waits
        // until a file is incomplete.
        std::thread::sleep(whole.mul_f64(random.random_range(0.0..0.4)));
        if kill % 2 == 1 {
            stop_while_writing(&mut child, &folder);
        }
        // SIGKILL leaves no time to clean up.
        child.kill().unwrap();
        wait_for_exit(&mut child);
        killed_while_writing += usize::from(unfinished_files(&folder) > 0);
    }
    assert!(killed_while_writing > 0, "no file was incomplete");
    env.run("train --resume killed").success();
    assert_same_outcome(&env, "killed", "whole");
    assert_eq!(unfinished_files(&folder), 0, "unfinished files are removed");
}

/// Stops a process with SIGSTOP while a file in its run folder is incomplete, or returns when it has ended.
///
/// The file may be complete before the signal arrives. Then the process continues, up to the next file.
/// Without /proc it stops at an arbitrary time.
fn stop_while_writing(child: &mut Child, folder: &Path) {
    wait_until("an incomplete file", || {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        if unfinished_files(folder) == 0 {
            return false;
        }
        send(child.id(), libc::SIGSTOP);
        wait_until("the stop", || is_stopped(child));
        if unfinished_files(folder) > 0 {
            return true;
        }
        send(child.id(), libc::SIGCONT);
        false
    });
}

/// True if a process is stopped or has ended.
fn is_stopped(child: &Child) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    // The state follows the name of the program, which is in parentheses.
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    state.is_empty() || state.starts_with(['T', 'Z', 'X'])
}

#[test]
fn a_signal_saves_and_prints_the_command_that_resumes() {
    // A GPU saves at most once a second, and whether its bytes repeat has not been measured.
    let env = TestEnv::with_corpus().on_cpu();
    let train = TRAIN.replace("--run mine", "--epochs 30 --run");
    env.run(&format!("{train} whole")).success();
    let run = env.path("runs/mine");
    let mut line = format!("{train} mine");
    // If the tests run under nohup, emovox inherits the ignored SIGHUP.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let mut signals = vec![(libc::SIGINT, 130, 3), (libc::SIGTERM, 143, 9)];
    if ignored.is_some_and(|mask| mask & 1 == 0) {
        signals.push((libc::SIGHUP, 129, 15));
    }
    for (signal, expected, epochs) in signals {
        let mut child = spawn(env.command(&line));
        wait_for_epochs(&mut child, &run, epochs);
        send(child.id(), signal);
        let CommandOutput {
            code, out, error, ..
        } = finish(&line, child);
        assert_eq!(code, expected, "{out}\n{error}");
        let last = out.lines().last().unwrap();
        assert!(
            last.contains("and saved; to continue: emovox train --resume mine"),
            "{out}"
        );
        line = last.split_once("emovox ").unwrap().1.to_string();
    }
    env.run(&line).success();
    assert_same_outcome(&env, "mine", "whole");
}

#[test]
fn the_command_that_resumes_is_quoted_for_a_shell() {
    let env = TestEnv::with_corpus();
    let mut command = env.command(&TRAIN.replace("--run mine", "--epochs 3000"));
    command.args(["--runs-dir", "my runs", "--run", "it's mine"]);
    let mut child = spawn(command);
    wait_for_epochs(&mut child, &env.path("my runs/it's mine"), 2);
    send(child.id(), libc::SIGINT);
    let out = finish("train", child).out;
    let line = out
        .lines()
        .last()
        .unwrap()
        .split_once("emovox train ")
        .unwrap()
        .1;
    assert_eq!(line, r"--resume 'my runs/it'\''s mine'");
    let shell_line = format!("exec \"$0\" train {line} --epochs 1");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &shell_line, env!("CARGO_BIN_EXE_emovox")])
        .current_dir(env.path(""));
    run_command(&mut shell).fails_with(&["is already trained for"]);
}

#[test]
fn a_training_under_nohup_ignores_sighup() {
    let env = TestEnv::with_corpus();
    let emovox = env.command(&TRAIN.replace("mine", "mine --epochs 200"));
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(emovox.get_program())
        .args(emovox.get_args())
        .current_dir(env.path(""));
    let mut child = spawn(command);
    wait_for_epochs(&mut child, &env.path("runs/mine"), 2);
    send(child.id(), libc::SIGHUP);
    finish("train", child).success();
}

#[test]
fn a_second_signal_stops_at_once() {
    let env = TestEnv::with_corpus();
    let train = TRAIN.replace("mine", "mine --epochs 3000");
    let mut child = spawn(env.command(&train));
    wait_for_epochs(&mut child, &env.path("runs/mine"), 2);
    // The process is stopped first, so that it receives both signals at once.
    for signal in [libc::SIGSTOP, libc::SIGINT, libc::SIGTERM, libc::SIGCONT] {
        send(child.id(), signal);
    }
    let CommandOutput { code, out, .. } = finish("train", child);
    assert!(matches!(code, 130 | 143), "{code}");
    assert!(!out.contains("and saved"), "{out}");
    env.run("train --resume mine --epochs 1")
        .fails_with(&["is already trained for"]);
}

#[test]
fn a_training_continues_after_its_output_is_closed() {
    let env = TestEnv::with_corpus();
    let mut child = spawn(env.command(TRAIN));
    drop((child.stdout.take(), child.stderr.take()));
    assert!(wait_for_exit(&mut child).success());
    assert!(env.path("runs/mine/report.txt").exists());
}

#[test]
fn one_run_is_trained_by_one_process() {
    let env = TestEnv::with_corpus();
    let train = TRAIN.replace("mine", "mine --epochs 3000");
    let mut child = spawn(env.command(&train));
    wait_for_epochs(&mut child, &env.path("runs/mine"), 2);
    let holder = format!("process {}", child.id());
    env.run("train --resume mine")
        .fails_with(&["runs/mine is being trained by another process", &holder]);
    // Other commands can read the run.
    env.run("evaluate mine").success();
    env.run("plot mine").success();
    // A killed process leaves no lock.
    child.kill().unwrap();
    wait_for_exit(&mut child);
    let output = env.run("train --resume mine --epochs 1");
    output.fails_with(&["is already trained for"]);
}

/// A tmpfs of limited size, which only root can mount.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(folder: PathBuf, options: &str) -> SmallDisk {
        fs::create_dir_all(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]);
        run_command(mount.arg(&folder)).success();
        SmallDisk(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // This needs no deadline, which could panic a second time: a lazy unmount does not wait.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs root, to mount a tmpfs"]
fn a_full_disk_keeps_the_saved_state() {
    let env = TestEnv::with_corpus();
    let disk = SmallDisk::new(env.path("runs"), "size=3m");
    let train = TRAIN.replace("--run mine", "--epochs 30 --run");
    env.run(&format!("{train} whole")).success();
    let mut child = spawn(env.command(&format!("{train} mine")));
    wait_for_epochs(&mut child, &env.path("runs/mine"), 4);
    let ballast = disk.0.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    let CommandOutput { code, error, .. } = finish("train", child);
    assert_eq!(code, 1, "{error}");
    for words in [
        "the training stopped; its saved state remains",
        "`emovox train --resume mine` continues",
        "cannot write runs/mine/",
        "the disk is full",
    ] {
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(unfinished_files(&env.path("runs/mine")), 0);
    env.run("evaluate mine").success();

    // A new run fails too and leaves no files.
    let full = env.run(&format!("{train} other"));
    full.fails_with(&["the disk is full"]);
    assert_eq!(env.runs(), 3, "two runs and the ballast");

    drop(file);
    fs::remove_file(ballast).unwrap();
    env.run("train --resume mine").success();
    assert_same_outcome(&env, "mine", "whole");
}

#[test]
fn a_run_folder_that_disappears_is_an_error() {
    let env = TestEnv::with_corpus();
    let train = TRAIN.replace("mine", "mine --epochs 3000");
    let mut child = spawn(env.command(&train));
    wait_for_epochs(&mut child, &env.path("runs/mine"), 2);
    // Renamed, because the training could write into the folder during its removal.
    fs::rename(env.path("runs/mine"), env.path("elsewhere")).unwrap();
    let CommandOutput { code, error, .. } = finish("train", child);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("cannot write runs/mine/"), "{error}");
}

#[test]
#[ignore = "needs root, to mount a tmpfs"]
fn a_read_only_folder_of_runs_is_an_error() {
    let env = TestEnv::with_corpus();
    let _disk = SmallDisk::new(env.path("kept"), "size=1m,ro");
    env.run(&format!("{TRAIN} --runs-dir kept")).fails_with(&[
        "cannot make kept/mine",
        "the file system is read-only",
        "--runs-dir",
    ]);
}

/// Damaged files of weights, each with words of its error.
fn damages(whole: &[u8]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ot");
    fs::write(&path, whole).unwrap();
    let tensors = || read_tensors(&path, Device::Cpu).unwrap();
    let with = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut tensors = tensors();
        change(&mut tensors);
        encode(&tensors.into_iter().collect::<Vec<_>>()).unwrap()
    };
    let about = |from: &'static str, to: &'static str| {
        with(&|tensors| {
            let about = Vec::<u8>::try_from(&tensors["emovox"]).unwrap();
            let about = String::from_utf8(about).unwrap().replace(from, to);
            tensors.insert("emovox".into(), Tensor::from_slice(about.as_bytes()));
        })
    };
    let zeros = |size: &[i64], kind| Tensor::zeros(size, (kind, Device::Cpu));
    vec![
        ("empty", Vec::new(), "it is empty"),
        ("zeros", vec![0; 50_000], "it contains only zeros"),
        (
            "cut off",
            whole[..whole.len() / 2].to_vec(),
            "it was cut off, or its end is damaged",
        ),
        ("text", b"weights".repeat(100), "it is not an .ot file"),
        (
            "another zip",
            [b"PK\x05\x06".as_slice(), &[0; 18]].concat(),
            "cannot read the weights in",
        ),
        (
            "one tensor more",
            with(&|t| drop(t.insert("lstm7.bias".into(), zeros(&[3], Kind::Float)))),
            "it has a tensor 'lstm7.bias' that this model lacks",
        ),
        (
            "one tensor less",
            with(&|t| drop(t.remove("member0.output.weight"))),
            "the tensor 'member0.output.weight' is missing",
        ),
        (
            "another shape",
            with(&|t| drop(t.insert("member0.output.bias".into(), zeros(&[4], Kind::Float)))),
            "the tensor 'member0.output.bias' is Float [4], but the model needs Float [3]",
        ),
        (
            "another kind",
            with(&|t| drop(t.insert("member0.output.bias".into(), zeros(&[3], Kind::Double)))),
            "the tensor 'member0.output.bias' is Double [3]",
        ),
        (
            "no origin",
            with(&|t| drop(t.remove("emovox"))),
            "it does not name the model that it belongs to",
        ),
        (
            "later format",
            about("\"format\":2", "\"format\":9"),
            "its format is 9",
        ),
        (
            "other classes",
            about("anger", "rage"),
            "its classes are rage, neutral, sadness",
        ),
        (
            "other architecture",
            about("bilstm", "mean-lstm"),
            "it contains a mean-lstm model",
        ),
        (
            "damaged description",
            about("{", "["),
            "its description of the model is damaged",
        ),
    ]
}

#[test]
fn a_damaged_checkpoint_is_an_error_that_names_the_previous_one() {
    let env = TestEnv::with_corpus();
    env.run(TRAIN).success();
    let last = env.path("runs/mine/last.ot");
    let whole = fs::read(&last).unwrap();
    let mut damages = damages(&whole);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    damages.push((
        "one bit flipped",
        flipped,
        "its checksum is wrong; copy it again",
    ));
    for (damage, bytes, words) in damages {
        fs::write(&last, bytes).unwrap();
        let output = env.run("train --resume mine");
        let output = output.fails_with_one_line(&["runs/mine/last.ot", words]);
        assert!(
            output.error.contains(
                "previous.ot is not damaged and has 2 completed epochs: add --from-previous"
            ),
            "{damage}: {}",
            output.error
        );
    }
    let before = outcome(&env, "mine");
    env.run("train --resume mine --from-previous --epochs 1")
        .fails_with(&["already trained for 2 epochs"]);
    assert!(
        last.exists(),
        "no file is moved unless the training can continue"
    );
    env.run("train --resume mine --from-previous").success();
    assert!(outcome(&env, "mine") == before, "the result is the same");
    env.run("train --resume mine --from-previous")
        .fails_with(&["last.ot is not damaged; omit --from-previous"]);
    assert!(env.path("runs/mine/broken.ot").exists());

    let previous = env.path("runs/mine/previous.ot");
    fs::write(&last, b"").unwrap();
    fs::write(&previous, b"").unwrap();
    env.run("train --resume mine")
        .fails_with(&["last.ot", "cannot be resumed", "was not changed"]);
}

#[test]
fn damaged_weights_are_a_one_line_error() {
    let env = TestEnv::with_corpus();
    env.run(TRAIN).success();
    let best = env.path("runs/mine/best.ot");
    let whole = fs::read(&best).unwrap();
    for (_, bytes, words) in damages(&whole) {
        fs::write(&best, bytes).unwrap();
        env.run("predict mine corpus")
            .fails_with_one_line(&["runs/mine/best.ot", words]);
    }
}
