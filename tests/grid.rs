//! Trials of a sweep: run alone and in any order, they give the same tables as in one process.

mod desk;

use std::fs;

use desk::{Desk, Seen};

const GRID: &str = "
folds = 2
seeds = [1, 2]
[config]
data.folder = \"corpus\"
model = { arch = \"seed\", hidden = 4, dense1 = 4, dense2 = 4 }
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

fn desk() -> Desk {
    let desk = Desk::with_corpus();
    fs::write(desk.path("sizes.toml"), GRID).unwrap();
    desk
}

fn tables(desk: &Desk) -> Vec<Vec<u8>> {
    let read = |file: &&str| fs::read(desk.path(&format!("runs/sizes/{file}"))).unwrap();
    TABLES.iter().map(read).collect()
}

#[test]
fn trials_that_run_alone_give_the_same_tables_as_one_process() {
    let desk = desk();
    let seen = desk.types("grid sizes.toml --run --jobs 2").fine();
    assert!(seen.out.contains("8 of 8 trials done"), "{}", seen.out);
    let together = tables(&desk);
    fs::rename(desk.path("runs"), desk.path("together")).unwrap();

    // Starts with the last trials, by number and by name; missing trials are reported.
    desk.types("grid sizes.toml --cell 7").fine();
    desk.types("grid sizes.toml --cell hidden-4/fold-2-seed-1")
        .fine();
    let seen = desk.types("collect sizes.toml").fine();
    assert!(
        seen.out.contains("2 of 8 trials done")
            && seen.out.contains("6 of 8 trials are not finished yet"),
        "{}",
        seen.out
    );
    for cell in [3, 0, 1, 2, 4, 5, 6] {
        desk.types(&format!("grid sizes.toml --cell {cell}")).fine();
    }
    let written = fs::metadata(desk.path("runs/sizes/hidden-4/fold-1-seed-1/best.ot")).unwrap();
    let seen = desk.types("grid sizes.toml --cell 0").fine();
    assert!(seen.out.contains("is already finished"), "{}", seen.out);
    let again = fs::metadata(desk.path("runs/sizes/hidden-4/fold-1-seed-1/best.ot")).unwrap();
    assert_eq!(written.modified().unwrap(), again.modified().unwrap());
    desk.types("collect sizes.toml").fine();
    for (file, (ours, theirs)) in TABLES.iter().zip(tables(&desk).iter().zip(&together)) {
        assert!(ours == theirs, "{file} differs");
    }

    // The difference to the baseline, computed from the scores of the trials.
    let json = desk.types("collect sizes.toml --json").fine().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let uar = |place: usize| json["trainings"][place]["scores"]["uar"].as_f64().unwrap();
    let above = &json["settings"][1]["above_baseline"];
    let mean: f64 = (0..4).map(|pair| uar(4 + pair) - uar(pair)).sum::<f64>() / 4.0;
    assert!((above["uar"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(above["pairs"], 4);
    assert!(json["settings"][0]["above_baseline"].is_null());
    assert_eq!(json["baseline"], "hidden-4");

    // After adding a value and a seed, the finished trials remain.
    let more = GRID
        .replace("to = 8", "to = 12")
        .replace("[1, 2]", "[1, 2, 3]");
    fs::write(desk.path("sizes.toml"), more).unwrap();
    let seen = desk.types("grid sizes.toml").fine();
    assert!(seen.out.contains("8 of 18 done"), "{}", seen.out);
    // A different common setting makes it a different sweep.
    fs::write(
        desk.path("sizes.toml"),
        GRID.replace("epochs = 1", "epochs = 2"),
    )
    .unwrap();
    desk.types("grid sizes.toml")
        .fails_with(&["training.epochs is 1, not 2"]);
}

#[test]
fn a_failed_trial_does_not_affect_the_others_and_can_be_repeated() {
    let desk = desk();
    fs::create_dir_all(desk.path("runs/sizes/hidden-8")).unwrap();
    desk.types("grid sizes.toml --run")
        .fails_with(&["exists and is not a sweep"]);
    fs::write(desk.path("runs/sizes/grid.toml"), GRID).unwrap();
    fs::write(desk.path("runs/sizes/hidden-8/fold-2-seed-1"), "in the way").unwrap();
    let seen = desk.types("grid sizes.toml --run --jobs 2").fails_with(&[
        "hidden-8/fold-2-seed-1 failed: ",
        "1 trials failed",
        "--run --failed",
    ]);
    assert!(seen.out.contains("7 of 8 trials done"), "{}", seen.out);
    assert!(
        seen.out
            .contains("1 trials failed:\nhidden-8/fold-2-seed-1: "),
        "{}",
        seen.out
    );
    let cells = fs::read_to_string(desk.path("runs/sizes/cells.csv")).unwrap();
    assert!(
        cells.contains("hidden-8/fold-2-seed-1,failed,,,,"),
        "{cells}"
    );

    fs::remove_file(desk.path("runs/sizes/hidden-8/fold-2-seed-1")).unwrap();
    let seen = desk.types("grid sizes.toml --run --failed").fine();
    assert!(seen.out.contains("1 to train"), "{}", seen.out);
    assert!(seen.out.contains("8 of 8 trials done"), "{}", seen.out);
}

/// A trial that runs alone gets SIGUSR1 and SIGTERM, as from a scheduler.
#[test]
#[cfg(unix)]
fn a_stopped_trial_saves_and_can_be_resumed() {
    use desk::process::{finish, send, spawn, wait_for_epochs};

    let desk = desk();
    let long = GRID.replace("epochs = 1", "epochs = 100");
    fs::write(desk.path("sizes.toml"), long).unwrap();
    let line = "grid sizes.toml --cell 0";
    let mut child = spawn(desk.command(line));
    let run = desk.path("runs/sizes/hidden-4/fold-1-seed-1");
    wait_for_epochs(&mut child, &run, 3);
    for signal in [libc::SIGUSR1, libc::SIGUSR1, libc::SIGTERM] {
        send(child.id(), signal);
    }
    let Seen { code, out, .. } = finish(line, child);
    assert!(matches!(code, 138 | 143), "{code}: {out}");
    assert!(out.contains("and saved; to continue"), "{out}");
    let seen = desk.types("grid sizes.toml").fine();
    assert!(seen.out.contains("0  begun "), "{}", seen.out);
    let seen = desk.types(line).fine();
    assert!(
        seen.out.contains("fold-1-seed-1 continues after"),
        "{}",
        seen.out
    );
}

#[test]
fn the_job_script_runs_one_trial_of_the_sweep() {
    let desk = desk();
    let one = GRID.replace("folds = 2", "").replace("[1, 2]", "[1]");
    fs::write(desk.path("sizes.toml"), one).unwrap();
    let seen = desk
        .types("grid sizes.toml --slurm --dry-run --partition short --time 1:00:00 --jobs 3 --sbatch=--account=speech")
        .fine();
    assert!(seen.out.contains("would be submitted"), "{}", seen.out);
    let read =
        |file: &str| fs::read_to_string(desk.path(&format!("runs/sizes/slurm/{file}"))).unwrap();
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
    let seen = shell.arg(desk.path("runs/sizes/slurm/0.sh"));
    seen.env("SLURM_ARRAY_TASK_ID", "1")
        .env("EMOVOX_CACHE", desk.path("cache"));
    let output = seen.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seen = desk.types("collect sizes.toml").fine();
    assert!(seen.out.contains("1 of 2 trials done"), "{}", seen.out);
    for (line, message) in [
        ("grid sizes.toml --cell 2", "numbered from 0 to 1"),
        ("grid missing.toml", "missing.toml"),
        ("grid small.toml", "unknown field"),
    ] {
        desk.types(line).fails_with(&[message]);
    }
}
