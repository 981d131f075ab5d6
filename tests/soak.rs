//! `emovox listen` for hours: constant memory, and the delay of its predictions. `scripts/soak.sh` runs
//! these tests, which are too long for every day.

mod env;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use env::process::wait_for_exit;
use env::{TestEnv, talk};

const RATE: usize = 16_000;
/// Samples in a block from a microphone: 20 ms.
const PIECE: usize = RATE / 50;

/// Seconds of sound, from the environment.
fn seconds(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// `emovox listen` with the default model, trained for one epoch; its speed does not depend on the training.
fn listener(env: &TestEnv) -> Child {
    env.run("train --data corpus --device cpu --epochs 1 --run mine")
        .success();
    let mut command = env.command("listen mine --json --device cpu --raw s16le --rate 16000");
    if let Ok(program) = std::env::var("EMOVOX") {
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut other = std::process::Command::new(program);
        other.args(arguments).current_dir(env.path("."));
        command = other;
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Two minutes of speech, repeated, in blocks.
fn sound() -> impl Iterator<Item = Vec<u8>> {
    let talk = talk(120.0);
    let bytes: Vec<u8> = talk
        .iter()
        .flat_map(|x| ((x * 32_767.0) as i16).to_le_bytes())
        .collect();
    let mut at = 0;
    std::iter::from_fn(move || {
        let end = (at + 2 * PIECE).min(bytes.len());
        let piece = bytes[at..end].to_vec();
        at = if end == bytes.len() { 0 } else { end };
        Some(piece)
    })
}

/// Resident memory in megabytes.
fn memory(child: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes: f64 = line
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap();
    kilobytes / 1024.0
}

/// The output lines as they arrive: time of arrival, time in the stream, and true for speech.
fn predictions(child: &mut Child) -> mpsc::Receiver<(Instant, f64, bool)> {
    let (sender, receiver) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        for line in out.lines() {
            let now = Instant::now();
            let object: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let prediction = (
                now,
                object["time"].as_f64().unwrap(),
                object["speech"] == true,
            );
            if sender.send(prediction).is_err() {
                return;
            }
        }
    });
    receiver
}

#[track_caller]
fn assert_flat(memories: &[f64]) {
    let early = memories[memories.len() / 10];
    let late = memories[memories.len() - 1];
    println!("memory: {memories:.0?} MB");
    assert!(late < early + 10.0, "from {early} MB to {late} MB");
}

#[test]
#[ignore = "ten minutes; scripts/soak.sh"]
fn listen_in_real_time() {
    let env = TestEnv::with_corpus();
    let mut child = listener(&env);
    let receiver = predictions(&mut child);
    let mut stdin = child.stdin.take().unwrap();
    let seconds = seconds("EMOVOX_SOAK_SECONDS", 600);

    // The model is loaded while the first sound waits in the pipe, as with a microphone.
    let start = Instant::now();
    let mut written: Vec<Instant> = Vec::new();
    let mut memories = Vec::new();
    let mut bytes = 0;
    for piece in sound() {
        if bytes / (2 * RATE) >= seconds {
            break;
        }
        bytes += piece.len();
        let due = Duration::from_secs_f64(bytes as f64 / (2 * RATE) as f64);
        thread::sleep(due.saturating_sub(start.elapsed()));
        stdin.write_all(&piece).unwrap();
        // The time at which each whole second of the stream was written.
        while written.len() < bytes / (2 * RATE) {
            written.push(Instant::now());
            if written.len().is_multiple_of((seconds / 20).max(1)) {
                memories.push(memory(&child));
            }
        }
    }
    drop(stdin);
    assert!(wait_for_exit(&mut child).success());

    let mut delays: Vec<f64> = receiver
        .iter()
        .filter(|(_, time, speech)| *speech && *time > 5.0)
        .filter_map(|(at, time, _)| {
            let there = written.get((time as usize).checked_sub(1)?)?;
            Some(1000.0 * at.saturating_duration_since(*there).as_secs_f64())
        })
        .collect();
    delays.sort_by(f64::total_cmp);
    let share = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    println!(
        "{seconds} s in real time: {} predictions; delay after their last sample: p50 {:.1} ms, \
         p90 {:.1} ms, p99 {:.1} ms, at most {:.1} ms",
        delays.len(),
        share(0.5),
        share(0.9),
        share(0.99),
        share(1.0)
    );
    assert!(delays.len() > seconds / 4);
    assert_flat(&memories);
}

#[test]
#[ignore = "minutes; scripts/soak.sh"]
fn listen_at_full_speed() {
    let env = TestEnv::with_corpus();
    let mut child = listener(&env);
    let receiver = predictions(&mut child);
    let mut stdin = child.stdin.take().unwrap();
    let seconds = seconds("EMOVOX_SOAK_FAST_SECONDS", 3600);

    let mut sound = sound();
    let mut memories = Vec::new();
    let start = Instant::now();
    let mut bytes = 0;
    while bytes < 2 * RATE * seconds {
        let piece = sound.next().unwrap();
        stdin.write_all(&piece).unwrap();
        let part = 2 * RATE * seconds / 20;
        if bytes / part != (bytes + piece.len()) / part {
            memories.push(memory(&child));
        }
        bytes += piece.len();
    }
    drop(stdin);
    assert!(wait_for_exit(&mut child).success());
    let took = start.elapsed().as_secs_f64();
    let lines: Vec<_> = receiver.iter().collect();
    let spoken = lines.iter().filter(|(_, _, speech)| *speech).count();
    println!(
        "{seconds} s at full speed: {took:.1} s, {:.0} times real time; {spoken} predictions",
        seconds as f64 / took
    );
    assert!(lines.len() >= seconds && spoken > seconds / 4);
    assert_flat(&memories);
}
