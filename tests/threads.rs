//! The same seed gives the same bytes with any number of threads.

mod env;

use std::fs;

use env::TestEnv;

/// The bytes of a run's weights, predictions and metrics; the last column of the metrics is a time.
fn results(env: &TestEnv, run: &str) -> Vec<Vec<u8>> {
    let read = |file: &str| fs::read(env.path(&format!("runs/{run}/{file}"))).unwrap();
    let metrics = String::from_utf8(read("metrics.csv")).unwrap();
    let without_seconds: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.rsplit_once(','))
        .map(|(metrics, _)| metrics)
        .collect();
    vec![
        read("best.ot"),
        read("predictions.csv"),
        without_seconds.join("\n").into_bytes(),
    ]
}

/// Batches of 20 clips are one piece of 16 and one of four.
#[test]
fn a_training_gives_the_same_bytes_with_any_number_of_threads() {
    let env = TestEnv::with_corpus().on_cpu();
    for arch in ["bilstm", "mean-lstm"] {
        let line = format!(
            "train --data corpus --device cpu --arch {arch} --batch-size 20 --epochs 3 --run {arch}"
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
fn predictions_do_not_depend_on_the_number_of_threads() {
    let env = TestEnv::with_corpus().on_cpu();
    env.run("train --data corpus --device cpu --config small.toml --run mine")
        .success();
    let predict = |threads: u32| {
        let line = format!("predict mine corpus --json --threads {threads}");
        env.run(&line).success().out
    };
    let expected = predict(1);
    assert!(predict(2) == expected && predict(8) == expected);
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
    let doctor = std::process::Command::new("taskset")
        .args(["-c", core, env!("CARGO_BIN_EXE_emovox"), "doctor"])
        // Only --threads sets another number.
        .env("RAYON_NUM_THREADS", "7")
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .expect("taskset of util-linux starts");
    assert!(doctor.status.success());
    let report = String::from_utf8(doctor.stdout).unwrap();
    assert!(report.contains("threads       1 ("), "{report}");
}
