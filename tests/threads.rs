//! The same seed gives the same bytes with any number of threads.

mod env;

use std::fs;

use emovox::model::read_tensors;
use env::{TestEnv, files, metrics_without_seconds};
use tch::Device;

/// A run's weights, state, predictions, and metrics without the seconds.
fn results(env: &TestEnv, run: &str) -> Vec<Vec<u8>> {
    let read = |file: &str| fs::read(env.path(&format!("runs/{run}/{file}"))).unwrap();
    let metrics = metrics_without_seconds(&env.path(&format!("runs/{run}")));
    let mut last = read_tensors(&env.path(&format!("runs/{run}/last.ot")), Device::Cpu).unwrap();
    // It contains the times.
    assert!(last.remove("training.epochs").is_some());
    let last = last.iter().map(|(name, x)| (name, x.flatten(0, -1)));
    let last: Vec<_> = last
        .map(|(name, x)| (name, Vec::<f64>::try_from(x).unwrap()))
        .collect();
    vec![
        read("best.ot"),
        format!("{last:?}").into_bytes(),
        read("predictions.csv"),
        format!("{metrics:?}").into_bytes(),
    ]
}

/// The 18 clips are two steps: 17 clips, in pieces of 16 and of one, and one clip.
#[test]
fn a_training_gives_the_same_bytes_with_any_number_of_threads() {
    let env = TestEnv::with_corpus().on_cpu();
    for arch in ["bilstm", "mean-lstm"] {
        let line = format!(
            "train --data corpus --device cpu --arch {arch} --batch-size 17 --epochs 3 --run {arch}"
        );
        for threads in [1, 2, 3, 8] {
            env.run(&format!("{line}-{threads} --threads {threads}"))
                .success();
        }
        let expected = results(&env, &format!("{arch}-1"));
        for threads in [2, 3, 8] {
            assert!(
                results(&env, &format!("{arch}-{threads}")) == expected,
                "{arch}, {threads} threads"
            );
        }
    }
}

#[test]
fn a_run_is_resumed_with_another_number_of_threads() {
    let env = TestEnv::with_corpus().on_cpu();
    // The learning rate of this recipe does not depend on the number of epochs.
    let line = "train --data corpus --device cpu --arch mean-lstm";
    env.run(&format!("{line} --epochs 4 --run whole --threads 1"))
        .success();
    env.run(&format!("{line} --epochs 2 --run halves --threads 3"))
        .success();
    env.run("train --resume halves --epochs 4 --threads 2")
        .success();
    assert!(results(&env, "halves") == results(&env, "whole"));
}

#[test]
fn fine_tuning_gives_the_same_bytes_with_any_number_of_threads() {
    let env = TestEnv::with_corpus().on_cpu();
    let line = "train --data corpus --device cpu --config small.toml";
    env.run(&format!("{line} --run mine")).success();
    let tuned = |threads: u32| {
        let flags = format!("--init-weights runs/mine/best.ot --run {threads} --threads {threads}");
        env.run(&format!("{line} {flags}")).success();
        results(&env, &threads.to_string())
    };
    let expected = tuned(1);
    assert!(tuned(2) == expected && tuned(8) == expected);
}

#[test]
fn predictions_and_features_do_not_depend_on_the_number_of_threads() {
    let env = TestEnv::with_corpus().on_cpu();
    env.run("train --data corpus --device cpu --config small.toml --run mine")
        .success();
    for line in [
        "predict mine corpus --json",
        "predict mine corpus --json --adapt-to corpus/anger",
        "evaluate mine --data corpus --adapt speaker",
        "features corpus --out features",
    ] {
        let output = |threads: u32| {
            let output = env.run(&format!("{line} --threads {threads}")).success();
            let written = env.path("features");
            let features = written.exists().then(|| files(&written));
            if features.is_some() {
                fs::remove_dir_all(written).unwrap();
            }
            (output.out, features)
        };
        let expected = output(1);
        assert!(output(2) == expected && output(8) == expected, "{line}");
    }
}

#[test]
fn the_number_of_threads_is_checked_and_reported() {
    let env = TestEnv::new().on_cpu();
    let output = env.run("doctor --threads 3").success();
    assert!(output.out.contains("threads       3"), "{}", output.out);
    let output = env.run("doctor --threads 0");
    assert_eq!(output.code, 2);
    assert!(output.error.contains("--threads"), "{}", output.error);
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_with_one_core_has_one_thread() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list:"));
    let numbers = allowed.unwrap().rsplit('\t').next().unwrap();
    let core = numbers.split([',', '-']).next().unwrap();
    let mut doctor = std::process::Command::new("taskset");
    doctor
        .args(["-c", core, env!("CARGO_BIN_EXE_emovox"), "doctor"])
        // Only --threads sets another number.
        .env("RAYON_NUM_THREADS", "7")
        .env("CUDA_VISIBLE_DEVICES", "");
    let report = env::process::run_command(&mut doctor).success().out;
    assert!(report.contains("threads       1 ("), "{report}");
}
