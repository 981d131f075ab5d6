//! Signals interrupt no computing thread, and processes that emovox starts neither outlive it nor have
//! signals blocked.

#![cfg(target_os = "linux")]

mod env;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command};

use emovox::process::is_ignored;
use env::process::{
    DEADLINE, epochs, finish, run_command, send, spawn, wait_for_epochs, wait_for_exit, wait_until,
};
use env::server::{Server, archive_at, corpus_table};
use env::{CommandOutput, TRAIN, TestEnv, metrics_without_seconds};

/// A training in oneDNN's generated code, which uses the stack pointer as a general register.
const MEAN_LSTM: &str = "train --data corpus --arch mean-lstm --device cpu --epochs 60 --run";

/// A shell that runs `preparation` and then replaces itself with emovox.
fn after(env: &TestEnv, preparation: &str, line: &str) -> Command {
    let emovox = env.command(line);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")])
        .arg(emovox.get_program())
        .args(emovox.get_args())
        .current_dir(env.path(""));
    for (name, value) in emovox.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell
}

/// A line of /proc/PROCESS/status, or of one of its threads.
fn status(folder: &Path, key: &str) -> Option<String> {
    line_of(&fs::read_to_string(folder.join("status")).ok()?, key)
}

fn line_of(status: &str, key: &str) -> Option<String> {
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim().to_string())
}

/// A set of signals. For a thread that has just ended, the kernel writes empty sets and 0 threads.
fn signals(folder: &Path, key: &str) -> Option<u64> {
    let status = fs::read_to_string(folder.join("status")).ok()?;
    if line_of(&status, "Threads")? == "0" {
        return None;
    }
    u64::from_str_radix(&line_of(&status, key)?, 16).ok()
}

fn proc(process: u32) -> std::path::PathBuf {
    format!("/proc/{process}").into()
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// True if a process has ended, even if its parent has not waited for it.
fn is_gone(process: u32) -> bool {
    status(&proc(process), "State").is_none_or(|state| state.starts_with(['Z', 'X']))
}

/// Running child processes.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&process| status(&proc(process), "PPid") == Some(parent.to_string()))
        .filter(|&process| !is_gone(process))
        .collect()
}

/// Asserts that no signal interrupts a computing thread. To call a handler, the kernel writes to the stack
/// of the thread. So no signal may have a handler, except faults, which the thread itself causes. In case
/// a library installs a handler, all threads block the signals that come from outside. The thread that
/// waits for signals is an exception: /proc shows its signals as not blocked.
#[track_caller]
fn assert_no_computing_thread_takes_signals(process: u32) {
    let faults = [libc::SIGSEGV, libc::SIGBUS].map(bit).iter().sum::<u64>();
    let of_glibc = bit(32) | bit(33);
    let outside = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGCHLD,
        libc::SIGWINCH,
        libc::SIGURG,
        libc::SIGIO,
        libc::SIGPWR,
        libc::SIGXCPU,
        libc::SIGRTMIN(),
        libc::SIGRTMAX(),
    ];
    let outside = outside.map(bit).iter().sum::<u64>();
    let (mut waiting, mut computing) = (0, 0);
    for thread in fs::read_dir(proc(process).join("task")).unwrap().flatten() {
        let thread = thread.path();
        let (Some(name), Some(caught), Some(blocked)) = (
            status(&thread, "Name"),
            signals(&thread, "SigCgt"),
            signals(&thread, "SigBlk"),
        ) else {
            continue; // The thread has just ended.
        };
        assert_eq!(caught & !faults & !of_glibc, 0, "{name} has handlers");
        if name == "signals" {
            waiting += 1;
        } else {
            assert_eq!(outside & !blocked, 0, "{name} takes signals");
            computing += 1;
        }
    }
    assert_eq!(waiting, 1);
    assert!(computing >= 1);
}

#[test]
fn no_thread_of_a_training_takes_a_signal() {
    let env = TestEnv::with_corpus();
    for threads in ["1", "2"] {
        let name = format!("with-{threads}");
        let line = MEAN_LSTM.replace("60", "30000") + &format!(" {name} --tensorboard");
        let mut command = env.command(&line);
        command.args(["--threads", threads]);
        let mut child = spawn(command);
        let run = env.path(&format!("runs/{name}"));
        wait_for_epochs(&mut child, &run, 2);
        assert_no_computing_thread_takes_signals(child.id());
        child.kill().unwrap();
        wait_for_exit(&mut child);
    }
}

#[test]
fn a_training_interrupted_many_times_has_the_same_result() {
    // A GPU saves at most once a second, and whether its bytes repeat has not been measured.
    let env = TestEnv::with_corpus().on_cpu();
    env.run(&format!("{MEAN_LSTM} whole")).success();
    let run = env.path("runs/mine");
    let mut line = format!("{MEAN_LSTM} mine");
    for round in 1..=8 {
        let mut child = spawn(env.command(&line));
        wait_for_epochs(&mut child, &run, 4 * round);
        send(child.id(), libc::SIGINT);
        let CommandOutput { code, out, .. } = finish(&line, child);
        assert_eq!(code, 130, "{out}");
        assert!(out.contains("and saved; to continue"), "{out}");
        line = "train --resume mine".into();
    }
    env.run(&line).success();
    let metrics = |run: &str| metrics_without_seconds(&env.path(&format!("runs/{run}")));
    assert_eq!(metrics("mine"), metrics("whole"));
    for file in ["best.ot", "predictions.csv", "confusion.csv"] {
        let read = |run: &str| fs::read(env.path(&format!("runs/{run}/{file}"))).unwrap();
        assert!(read("mine") == read("whole"), "{file} differs");
    }
}

#[test]
fn a_stopped_terminal_job_continues() {
    let env = TestEnv::with_corpus();
    let mut command = env.command(&TRAIN.replace("mine", "mine --epochs 30000"));
    // The kernel does not stop an orphaned process group; in its own group, the process has this parent.
    command.process_group(0);
    let mut child = spawn(command);
    let run = env.path("runs/mine");
    wait_for_epochs(&mut child, &run, 2);
    send(child.id(), libc::SIGTSTP);
    wait_until("it stops", || {
        status(&proc(child.id()), "State").is_some_and(|state| state.starts_with('T'))
    });
    let behind = epochs(&run);
    send(child.id(), libc::SIGCONT);
    wait_for_epochs(&mut child, &run, behind + 2);
    send(child.id(), libc::SIGINT);
    let CommandOutput { code, out, .. } = finish("train", child);
    assert_eq!(code, 130);
    assert!(out.contains("and saved"), "{out}");
}

#[test]
fn an_ignored_sighup_stays_ignored() {
    let env = TestEnv::with_corpus();
    let line = TRAIN.replace("mine", "mine --epochs 30000");
    let mut child = spawn(after(&env, "trap '' HUP", &line));
    let run = env.path("runs/mine");
    wait_for_epochs(&mut child, &run, 2);
    send(child.id(), libc::SIGHUP);
    let behind = epochs(&run);
    wait_for_epochs(&mut child, &run, behind + 3);
    send(child.id(), libc::SIGTERM);
    assert_eq!(wait_for_exit(&mut child).code(), Some(143));
}

/// A command without anything to save: a download from a server that does not reply.
fn fetching(env: &TestEnv, preparation: &str) -> Child {
    let server = Server::new(|_, _, _| std::thread::sleep(DEADLINE));
    let url = format!("{}/corpus.zip", server.address);
    fs::write(env.path("sources.toml"), corpus_table(&archive_at(&url))).unwrap();
    let line = "corpus fetch emodb --yes --source sources.toml";
    let child = spawn(after(env, preparation, line));
    wait_until("a request", || !server.requests().is_empty());
    child
}

#[test]
fn a_command_that_saves_nothing_ends_by_the_signal_itself() {
    let env = TestEnv::new();
    let signals = [
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGPROF,
    ];
    // Signals that the parent of the tests ignores, for example `nohup`, are left out.
    for signal in signals.into_iter().filter(|&signal| !is_ignored(signal)) {
        let mut child = fetching(&env, ":");
        send(child.id(), signal);
        assert_eq!(wait_for_exit(&mut child).signal(), Some(signal));
    }
}

#[test]
fn an_ignored_signal_ends_no_process() {
    let env = TestEnv::new();
    let mut child = fetching(&env, "trap '' HUP INT USR1");
    for signal in [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGUSR1,
        libc::SIGCHLD,
        libc::SIGWINCH,
        libc::SIGURG,
        libc::SIGTERM,
    ] {
        send(child.id(), signal);
        // Waits for each signal before the next.
        wait_until("the signal is delivered", || {
            signals(&proc(child.id()), "ShdPnd").is_none_or(|pending| pending & bit(signal) == 0)
        });
    }
    assert_eq!(wait_for_exit(&mut child).signal(), Some(libc::SIGTERM));
}

const CROSS_VALIDATE: &str = "cross-validate --data corpus --config small.toml --device cpu \
                              --name all --folds 2 --jobs 2";

/// A cross-validation whose two trainings have completed two epochs.
fn cross_validating(env: &TestEnv, epochs: usize) -> (Child, Vec<u32>) {
    let line = format!("{CROSS_VALIDATE} --epochs {epochs}");
    let mut child = spawn(after(env, "ulimit -c 0", &line));
    for fold in 1..=2 {
        let run = env.path(&format!("runs/all/fold-{fold}-seed-1"));
        wait_for_epochs(&mut child, &run, 2);
    }
    let trainings = children(child.id());
    assert_eq!(trainings.len(), 2);
    (child, trainings)
}

#[test]
fn no_thread_of_a_cross_validation_takes_a_signal() {
    let env = TestEnv::with_corpus();
    let (mut child, trainings) = cross_validating(&env, 30_000);
    for &process in trainings.iter().chain([&child.id()]) {
        assert_no_computing_thread_takes_signals(process);
    }
    send(child.id(), libc::SIGTERM);
    assert_eq!(wait_for_exit(&mut child).code(), Some(143));
}

#[test]
fn trainings_end_with_their_parent_and_can_be_resumed() {
    let env = TestEnv::with_corpus();
    let (mut child, trainings) = cross_validating(&env, 300);
    child.kill().unwrap();
    wait_for_exit(&mut child);
    wait_until("the trainings end", || {
        trainings.iter().all(|&training| is_gone(training))
    });
    for fold in 1..=2 {
        let log = env.path(&format!("runs/all/fold-{fold}-seed-1.log"));
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains("and saved; to continue"), "{log}");
    }
    let output = env.run(&format!("{CROSS_VALIDATE} --epochs 300")).success();
    assert!(!output.out.contains("not finished yet"), "{}", output.out);
}

#[test]
fn trials_of_a_sweep_end_with_their_parent() {
    let env = TestEnv::with_corpus();
    let grid = "
[config]
data.folder = \"corpus\"
model = { arch = \"mean-lstm\", hidden = 4, dense1 = 4, dense2 = 4 }
training = { epochs = 30000, batch_size = 8, device = \"cpu\" }
[sweep]
model.hidden = [4]
";
    fs::write(env.path("sizes.toml"), grid).unwrap();
    let mut child = spawn(env.command("grid sizes.toml --run --jobs 1"));
    wait_for_epochs(&mut child, &env.path("runs/sizes/hidden-4/seed-1"), 2);
    let trials = children(child.id());
    assert_eq!(trials.len(), 1);
    child.kill().unwrap();
    wait_for_exit(&mut child);
    wait_until("the trial ends", || is_gone(trials[0]));
}

#[test]
fn a_killed_training_is_not_reported_as_saved() {
    let env = TestEnv::with_corpus();
    let (child, trainings) = cross_validating(&env, 30_000);
    send(trainings[0], libc::SIGABRT);
    wait_until("the training ends", || is_gone(trainings[0]));
    // The other training is killed after the request to stop, before it can react.
    send(trainings[1], libc::SIGSTOP);
    send(child.id(), libc::SIGTERM);
    wait_until("the training gets SIGUSR1", || {
        let pending = signals(&proc(trainings[1]), "ShdPnd").unwrap();
        pending & bit(libc::SIGUSR1) != 0
    });
    send(trainings[1], libc::SIGKILL);
    let CommandOutput {
        code, out, error, ..
    } = finish("cross-validate", child);
    assert_eq!(code, 143, "{error}");
    for words in [
        "killed by signal 6 (SIGABRT)",
        "killed by signal 9 (SIGKILL)",
    ] {
        assert!(error.contains(words), "{error}");
    }
    assert!(error.contains("(see runs/all/fold-"), "{error}");
    assert!(!out.contains("and saved"), "{out}");
}

#[test]
fn programs_that_emovox_starts_have_no_signal_blocked() {
    let env = TestEnv::with_corpus();
    let grid = "seeds = [1]\n[config]\ndata.folder = \"corpus\"\n[sweep]\nmodel.hidden = [4]\n";
    fs::write(env.path("sizes.toml"), grid).unwrap();
    fs::create_dir(env.path("bin")).unwrap();
    for program in ["sbatch", "squeue", "scontrol"] {
        let script = format!(
            "#!/bin/sh\ncat /proc/self/status > '{}'\n[ {program} = squeue ] || echo 7\n",
            env.path(program).display()
        );
        let path = env.path(&format!("bin/{program}"));
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = env.command("grid sizes.toml --slurm");
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", env.path("bin").display()));
    run_command(&mut command).success();
    for program in ["sbatch", "squeue", "scontrol"] {
        let status = fs::read_to_string(env.path(program)).unwrap();
        assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
        let ignored = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:\t"));
        let ignored = u64::from_str_radix(ignored.unwrap(), 16).unwrap();
        assert_eq!(ignored & bit(libc::SIGXFSZ), 0, "{status}");
    }
}

#[test]
fn trainings_that_start_together_take_different_names() {
    let env = TestEnv::with_corpus();
    let line = "train --data corpus --config small.toml --device cpu --epochs 1";
    let children: Vec<Child> = (0..4).map(|_| spawn(env.command(line))).collect();
    for child in children {
        finish(line, child).success();
    }
    let runs = fs::read_dir(env.path("runs")).unwrap().flatten();
    let mut names: Vec<String> = runs
        .map(|run| run.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let base = names[0].clone();
    let expected = ["", "-2", "-3", "-4"].map(|number| format!("{base}{number}"));
    assert_eq!(names, expected);
    for name in names {
        assert!(env.path(&format!("runs/{name}/report.txt")).exists());
    }
}

#[test]
fn only_one_of_several_trainings_with_one_name_starts() {
    let env = TestEnv::with_corpus();
    let children: Vec<Child> = (0..3).map(|_| spawn(env.command(TRAIN))).collect();
    let mut trained = 0;
    for child in children {
        let output = finish(TRAIN, child);
        if output.code == 0 {
            trained += 1;
        } else {
            output.fails_with_one_line(&["runs/mine exists"]);
        }
    }
    assert_eq!(trained, 1);
    assert_eq!(env.runs(), 1);
}

#[test]
fn a_file_size_limit_is_an_ordinary_error() {
    let env = TestEnv::with_corpus();
    env.run("train --data corpus --config small.toml --device cpu --epochs 1 --run other")
        .success();
    // In blocks of 512 bytes (1024 in some shells): less than the weights need.
    let child = spawn(after(&env, "ulimit -f 60", TRAIN));
    finish(TRAIN, child).fails_with_one_line(&["cannot write runs/mine/", "File too large"]);
    for entry in fs::read_dir(env.path("runs/mine")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().starts_with(".writing-"));
    }
    // No checkpoint was saved, so the run is trained from its beginning.
    env.run("train --resume mine").success();
}
