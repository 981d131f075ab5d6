//! Trials of a sweep: run alone and in any order, they give the same tables as in one process.

mod env;

use std::fs;

use emovox::run::RunLock;
use env::process::run_command;
use env::{CommandOutput, TestEnv};

const GRID: &str = "
folds = 2
seeds = [1, 2]
[config]
data.folder = \"corpus\"
model = { arch = \"mean-lstm\", hidden = 4, dense1 = 4, dense2 = 4 }
training = { epochs = 1, batch_size = 8, device = \"cpu\" }
[sweep]
model.hidden = { from = 4, to = 8, step = 4 }
[baseline]
model.hidden = 4
";

/// Files with the results of a sweep.
const TABLES: [&str; 5] = [
    "grid.txt",
    "grid.json",
    "settings.csv",
    "cells.csv",
    "grid.png",
];

fn env() -> TestEnv {
    let env = TestEnv::with_corpus();
    fs::write(env.path("sizes.toml"), GRID).unwrap();
    env
}

fn tables(env: &TestEnv) -> Vec<Vec<u8>> {
    let read = |file: &&str| fs::read(env.path(&format!("runs/sizes/{file}"))).unwrap();
    TABLES.iter().map(read).collect()
}

#[test]
fn trials_that_run_alone_give_the_same_tables_as_one_process() {
    let env = env();
    let output = env.run("grid sizes.toml --run --jobs 2").success();
    assert!(output.out.contains("8 of 8 trials done"), "{}", output.out);
    let together = tables(&env);
    fs::rename(env.path("runs"), env.path("together")).unwrap();

    // Starts with the last trials, by number and by name; missing trials are reported.
    env.run("grid sizes.toml --cell 7").success();
    env.run("grid sizes.toml --cell hidden-4/fold-2-seed-1")
        .success();
    let output = env.run("collect sizes.toml").success();
    assert!(
        output.out.contains("2 of 8 trials done")
            && output.out.contains("6 of 8 trials are not finished yet"),
        "{}",
        output.out
    );
    for trial in [3, 0, 1, 2, 4, 5, 6] {
        env.run(&format!("grid sizes.toml --cell {trial}"))
            .success();
    }
    let written = fs::metadata(env.path("runs/sizes/hidden-4/fold-1-seed-1/best.ot")).unwrap();
    let output = env.run("grid sizes.toml --cell 0").success();
    assert!(output.out.contains("is already finished"), "{}", output.out);
    let again = fs::metadata(env.path("runs/sizes/hidden-4/fold-1-seed-1/best.ot")).unwrap();
    assert_eq!(written.modified().unwrap(), again.modified().unwrap());
    env.run("collect sizes.toml").success();
    for (file, (ours, theirs)) in TABLES.iter().zip(tables(&env).iter().zip(&together)) {
        assert!(ours == theirs, "{file} differs");
    }

    // The difference to the baseline is that of the scores beside it.
    let json = env.run("collect sizes.toml --json").success().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let uar = |place: usize| json["trainings"][place]["scores"]["uar"].as_f64().unwrap();
    let pooled = |setting: usize| {
        let scores = &json["settings"][setting]["scores"];
        scores["uar"]["mean"].as_f64().unwrap()
    };
    let above = &json["settings"][1]["above_baseline"];
    let mean = above["uar"]["mean"].as_f64().unwrap();
    assert!((mean - (pooled(1) - pooled(0))).abs() < 1e-12);
    let higher = (0..4)
        .filter(|pair| uar(4 + pair) > uar(*pair) + 1e-9)
        .count();
    assert_eq!(above["higher"], higher);
    assert_eq!(above["pairs"], 4);
    assert!(json["settings"][0]["above_baseline"].is_null());
    assert_eq!(json["baseline"], "hidden-4");

    // After adding a value and a seed, the finished trials remain.
    let more = GRID
        .replace("to = 8", "to = 12")
        .replace("[1, 2]", "[1, 2, 3]");
    fs::write(env.path("sizes.toml"), more).unwrap();
    let output = env.run("grid sizes.toml").success();
    assert!(output.out.contains("8 of 18 done"), "{}", output.out);
    // A different common setting makes it a different sweep.
    fs::write(
        env.path("sizes.toml"),
        GRID.replace("epochs = 1", "epochs = 2"),
    )
    .unwrap();
    env.run("grid sizes.toml")
        .fails_with(&["training.epochs is 1, not 2"]);
}

#[test]
fn a_failed_trial_does_not_affect_the_others_and_can_be_repeated() {
    let env = env();
    fs::create_dir_all(env.path("runs/sizes/hidden-8")).unwrap();
    env.run("grid sizes.toml --run")
        .fails_with(&["exists and is not a sweep"]);
    fs::write(env.path("runs/sizes/grid.toml"), GRID).unwrap();
    fs::write(env.path("runs/sizes/hidden-8/fold-2-seed-1"), "in the way").unwrap();
    let output = env.run("grid sizes.toml --run --jobs 2").fails_with(&[
        "hidden-8/fold-2-seed-1 failed: ",
        "1 trial failed",
        "--run --failed",
    ]);
    assert!(output.out.contains("7 of 8 trials done"), "{}", output.out);
    assert!(
        output
            .out
            .contains("1 trial failed:\nhidden-8/fold-2-seed-1: "),
        "{}",
        output.out
    );
    let trials = fs::read_to_string(env.path("runs/sizes/cells.csv")).unwrap();
    assert!(
        trials.contains("hidden-8/fold-2-seed-1,failed,,,,"),
        "{trials}"
    );

    fs::remove_file(env.path("runs/sizes/hidden-8/fold-2-seed-1")).unwrap();
    let output = env.run("grid sizes.toml --run --failed").success();
    assert!(output.out.contains("1 to train"), "{}", output.out);
    assert!(output.out.contains("8 of 8 trials done"), "{}", output.out);
}

/// sbatch ends a word at a space, and a line at `#`.
#[test]
fn options_of_a_job_script_are_quoted() {
    let env = env();
    fs::rename(env.path("sizes.toml"), env.path("two sizes.toml")).unwrap();
    let mut command = env.command("grid --slurm --dry-run --runs-dir");
    run_command(command.args(["my runs #1", "two sizes.toml"])).success();
    let script = env.path("my runs #1/two sizes/slurm/0.sh");
    let script = fs::read_to_string(script).unwrap();
    let options: Vec<&str> = script
        .lines()
        .filter_map(|line| line.strip_prefix("#SBATCH "))
        .collect();
    assert!(
        options.contains(&"\"--job-name=emovox-two sizes\""),
        "{script}"
    );
    let output = options.iter().find(|line| line.contains("--output="));
    let output = output.unwrap();
    assert!(output.starts_with("\"--output=/"), "{output}");
    assert!(
        output.ends_with("/my runs #1/two sizes/slurm/%A_%a.log\""),
        "{output}"
    );
}

#[test]
fn flags_that_need_a_training_are_rejected_without_one() {
    let env = env();
    for flags in [
        "--failed",
        "--status --failed",
        "--jobs 2",
        "--cell 0 --jobs 2",
    ] {
        let words = [
            flags.split("--").last().unwrap().split(' ').next().unwrap(),
            "--run",
        ];
        env.run(&format!("grid sizes.toml {flags}"))
            .fails_with(&words);
    }
}

#[test]
fn a_trial_that_another_command_trains_has_not_failed() {
    let env = env();
    env.run("grid sizes.toml --run --jobs 2").success();
    // Without its picture a trial is not done.
    let trial = env.path("runs/sizes/hidden-8/fold-1-seed-1");
    fs::remove_file(trial.join("confusion.png")).unwrap();
    let lock = RunLock::take(&trial).unwrap();
    env.run("grid sizes.toml --run").fails_with(&[
        "hidden-8/fold-1-seed-1 failed: ",
        "is being trained by another process",
    ]);
    let status = env.run("grid sizes.toml").success().out;
    assert!(!status.contains("failed"), "{status}");
    drop(lock);
    let output = env.run("grid sizes.toml --run").success();
    assert!(output.out.contains("8 of 8 trials done"), "{}", output.out);
}

/// A trial that runs alone gets SIGUSR1 and SIGTERM, as from a scheduler.
#[test]
#[cfg(unix)]
fn a_stopped_trial_saves_and_can_be_resumed() {
    use env::process::{finish, send, spawn, wait_for_epochs};

    let env = env();
    let long = GRID.replace("epochs = 1", "epochs = 100");
    fs::write(env.path("sizes.toml"), long).unwrap();
    let line = "grid sizes.toml --cell 0";
    let mut child = spawn(env.command(line));
    let run = env.path("runs/sizes/hidden-4/fold-1-seed-1");
    wait_for_epochs(&mut child, &run, 3);
    for signal in [libc::SIGUSR1, libc::SIGUSR1, libc::SIGTERM] {
        send(child.id(), signal);
    }
    let CommandOutput { code, out, .. } = finish(line, child);
    assert!(matches!(code, 138 | 143), "{code}: {out}");
    assert!(out.contains("and saved; to continue"), "{out}");
    let output = env.run("grid sizes.toml").success();
    assert!(output.out.contains("0  begun "), "{}", output.out);
    let output = env.run(line).success();
    assert!(
        output.out.contains("fold-1-seed-1 continues after"),
        "{}",
        output.out
    );
}

#[test]
fn the_job_script_runs_one_trial_of_the_sweep() {
    let env = env();
    let one = GRID.replace("folds = 2", "").replace("[1, 2]", "[1]");
    fs::write(env.path("sizes.toml"), one).unwrap();
    let result = env
        .run("grid sizes.toml --slurm --dry-run --partition short --time 1:00:00 --jobs 3 --sbatch=--account=speech")
        .success();
    assert!(result.out.contains("would be submitted"), "{}", result.out);
    let read =
        |file: &str| fs::read_to_string(env.path(&format!("runs/sizes/slurm/{file}"))).unwrap();
    assert_eq!(read("0.cells"), "hidden-4/seed-1\nhidden-8/seed-1\n");
    let script = read("0.sh");
    for option in [
        "--array=0-1%3",
        "--partition=short",
        "--time=1:00:00",
        "--account=speech",
        "--requeue",
    ] {
        assert!(
            script.contains(&format!("#SBATCH {option}\n")),
            "{option}: {script}"
        );
    }
    // Runs the script like Slurm.
    let mut shell = std::process::Command::new("bash");
    shell
        .arg(env.path("runs/sizes/slurm/0.sh"))
        .env("SLURM_ARRAY_TASK_ID", "1")
        .env("EMOVOX_CACHE", env.path("cache"));
    run_command(&mut shell).success();
    let result = env.run("collect sizes.toml").success();
    assert!(result.out.contains("1 of 2 trials done"), "{}", result.out);
    for (line, message) in [
        ("grid sizes.toml --cell 2", "numbered from 0 to 1"),
        ("grid missing.toml", "missing.toml"),
        ("grid small.toml", "unknown field"),
    ] {
        env.run(line).fails_with(&[message]);
    }
}
