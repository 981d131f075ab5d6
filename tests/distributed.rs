//! Several processes train one model: the learning curve equals that of one process, and a failure of one
//! process stops all. `cargo test --features distributed --test distributed`

#![cfg(feature = "distributed")]

mod env;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command};

use emovox::run::read_metrics;
use env::process::{finish, run_command, send, spawn, wait_for_epochs};
use env::{CommandOutput, TestEnv};

/// Settings without per-process randomness: only the order and the speed of the clips are random, and all
/// processes draw the same. They include an ensemble of two, the contrastive loss, class weights and a
/// changing learning rate.
const EXACT: &str = "
[features]
n_mfcc = 13
n_mels = 32
hop_length = 400
[model]
arch = \"bilstm\"
ensemble_size = 2
input = 16
hidden = 16
heads = 2
input_dropout = 0.0
dropout = 0.0
[training]
epochs = 3
batch_size = 5
class_weights = true
[training.augmentation]
time_masks = 0
frequency_warp = 0.0
frequency_masks = 0
cepstral_offset = 0.0
noise = 0.0
mixup = 0.0
[inference]
vtlp_warps = []
";

fn env() -> TestEnv {
    let env = TestEnv::with_corpus();
    fs::write(env.path("exact.toml"), EXACT).unwrap();
    env
}

/// A free port.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Starts one process for each command line, with the variables of torchrun.
fn start(env: &TestEnv, lines: &[String]) -> Vec<Child> {
    start_with(env, lines, |_, _| {})
}

/// Like [`start`]; `prepare` changes the command of each rank.
fn start_with(
    env: &TestEnv,
    lines: &[String],
    prepare: impl Fn(usize, &mut Command),
) -> Vec<Child> {
    let (size, port) = (lines.len().to_string(), free_port().to_string());
    let started = lines.iter().enumerate().map(|(rank, line)| {
        let mut command: Command = env.command(line);
        prepare(rank, &mut command);
        let rank = rank.to_string();
        command
            .env("WORLD_SIZE", &size)
            .envs([("RANK", &rank), ("LOCAL_RANK", &rank)])
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", &port);
        spawn(command)
    });
    started.collect()
}

fn end(children: Vec<Child>) -> Vec<CommandOutput> {
    let output = children
        .into_iter()
        .enumerate()
        .map(|(rank, child)| finish(&format!("rank {rank}"), child));
    output.collect()
}

fn together(env: &TestEnv, size: usize, line: &str) -> Vec<CommandOutput> {
    end(start(env, &vec![line.to_string(); size]))
}

/// Every number of the learning curve except the seconds.
fn curve(env: &TestEnv, run: &str) -> Vec<[f64; 6]> {
    let epochs = read_metrics(&env.path(&format!("runs/{run}/metrics.csv"))).unwrap();
    let row = |e: &emovox::evaluation::EpochMetrics| {
        [
            e.train_loss,
            e.train_accuracy,
            e.validation_loss,
            e.validation_accuracy,
            e.validation_uar,
            e.learning_rate,
        ]
    };
    epochs.iter().map(row).collect()
}

#[track_caller]
fn same(ours: &[[f64; 6]], theirs: &[[f64; 6]]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().flatten().zip(theirs.iter().flatten()) {
        assert!((ours - theirs).abs() < 1e-4, "{ours} {theirs}");
    }
}

fn train(run: &str) -> String {
    format!("train --data corpus --config exact.toml --device cpu --run {run}")
}

/// The other processes read the initial weights from the run folder that rank 0 created.
#[test]
fn processes_without_a_run_name_share_one_run() {
    let env = env();
    env.run(&train("one")).success();
    let line = train("").replace("--run", "--init-weights runs/one/best.ot");
    env.run(&line).success();
    for output in together(&env, 2, &line) {
        output.success();
    }
    let runs = fs::read_dir(env.path("runs")).unwrap().flatten();
    let mut names: Vec<String> = runs
        .map(|run| run.file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name != "one");
    names.sort();
    assert_eq!(names[1], format!("{}-2", names[0]));
    same(&curve(&env, &names[1]), &curve(&env, &names[0]));
}

/// With 18 training clips in batches of 5, the last batch has 3 clips, fewer than four processes.
#[test]
fn two_and_four_processes_have_the_learning_curve_of_one() {
    let env = env();
    env.run(&train("one")).success();
    let one = curve(&env, "one");
    for (size, run) in [(2, "two"), (4, "four")] {
        let result = together(&env, size, &train(run));
        for (rank, result) in result.into_iter().enumerate() {
            let result = result.success();
            assert_eq!(
                result.out.contains("all results are in"),
                rank == 0,
                "{}",
                result.out
            );
            assert_eq!(result.out.is_empty(), rank > 0, "{}", result.out);
        }
        same(&curve(&env, run), &one);
    }
    assert_eq!(env.runs(), 3, "one writer");
    let files = |run: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(env.path(&format!("runs/{run}"))).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(files("one"), files("four"));
    // A single process with WORLD_SIZE but without RANK is rejected.
    let mut command = env.command(&train("none"));
    run_command(command.env("WORLD_SIZE", "2")).fails_with(&["RANK is not set"]);
}

#[test]
fn a_signal_to_one_process_stops_all_and_the_run_can_be_resumed() {
    let env = env();
    let long = EXACT.replace("epochs = 3", "epochs = 60");
    fs::write(env.path("exact.toml"), long).unwrap();
    let mut children = start(&env, &vec![train("mine"); 3]);
    wait_for_epochs(&mut children[0], &env.path("runs/mine"), 3);
    send(children[1].id(), libc::SIGTERM);
    for output in end(children) {
        assert_eq!(output.code, 143, "{}\n{}", output.out, output.error);
    }
    // The run continues with two processes; the comparison runs in one.
    for output in together(&env, 2, "train --resume mine") {
        output.success();
    }
    env.run(&train("alone")).success();
    same(&curve(&env, "mine"), &curve(&env, "alone"));
}

#[test]
fn a_failed_or_killed_process_stops_all_and_is_named() {
    let env = env();
    let mut lines = vec![train("mine"); 3];
    lines[2] = lines[2].replace("corpus", "nowhere");
    // If a process fails, the others stop within seconds; `end` fails after its deadline, long before the
    // time limit of a collective.
    for output in end(start(&env, &lines)) {
        let output = output.fails_with(&["rank 2", "nowhere"]);
        assert!(!output.error.contains("panicked"), "{}", output.error);
    }
    assert_eq!(env.runs(), 0);

    // A process with other settings.
    let mut lines = vec![train("mine"); 2];
    lines[1] += " --learning-rate 0.5";
    for output in end(start(&env, &lines)) {
        output.fails_with(&["rank 1", "other settings than the first"]);
    }
    assert_eq!(env.runs(), 0);

    // A process that reaches the store, but cannot connect to the others.
    let without_interface = |rank, command: &mut Command| {
        if rank == 1 {
            command.env("GLOO_SOCKET_IFNAME", "nowhere0");
        }
    };
    for output in end(start_with(&env, &vec![train("mine"); 2], without_interface)) {
        output.fails_with(&["rank 1", "cannot connect to the other processes"]);
    }
    assert_eq!(env.runs(), 0);

    let long = EXACT.replace("epochs = 3", "epochs = 3000");
    fs::write(env.path("exact.toml"), long).unwrap();
    for killed in [0, 2] {
        let run = format!("killed-{killed}");
        let mut children = start(&env, &vec![train(&run); 3]);
        wait_for_epochs(&mut children[0], &env.path(&format!("runs/{run}")), 1);
        children[killed].kill().unwrap();
        for (rank, output) in end(children).into_iter().enumerate() {
            if rank != killed {
                output.fails_with(&[&format!("rank {killed} is gone")]);
            }
        }
    }
}
