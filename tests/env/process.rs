//! Processes in tests: start, wait with a deadline, send signals.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::CommandOutput;

/// Longest wait for a condition or a process. It is generous, because the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Starts a process whose output can be read.
pub fn spawn(mut command: Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a condition is true, and fails after [`DEADLINE`].
#[track_caller]
pub fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_true() {
        assert!(Instant::now() < deadline, "timeout: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Number of epochs in a run's `metrics.csv`.
pub fn epochs(run: &Path) -> usize {
    let metrics = fs::read_to_string(run.join("metrics.csv")).unwrap_or_default();
    metrics.lines().count().saturating_sub(1)
}

/// Waits until a run has `count` epochs. Fails if its process ends before.
#[track_caller]
pub fn wait_for_epochs(child: &mut Child, run: &Path, count: usize) {
    wait_until(&format!("epoch {count} of {}", run.display()), || {
        if epochs(run) >= count {
            return true;
        }
        let status = child.try_wait().unwrap();
        assert!(status.is_none(), "the process ended early: {status:?}");
        false
    });
}

/// Waits for the end of a process. After [`DEADLINE`] it kills the process and fails.
#[track_caller]
pub fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("timeout: process {} does not end", child.id());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the end of a process, like [`wait_for_exit`], and returns its output.
#[track_caller]
pub fn finish(line: &str, mut child: Child) -> CommandOutput {
    let stdout = child.stdout.take().map(read_to_end);
    let stderr = child.stderr.take().map(read_to_end);
    let status = wait_for_exit(&mut child);
    let bytes = |pipe: Option<mpsc::Receiver<Vec<u8>>>| {
        pipe.map_or_else(Vec::new, |pipe| {
            pipe.recv_timeout(DEADLINE).expect("the end of the output")
        })
    };
    let output = Output {
        status,
        stdout: bytes(stdout),
        stderr: bytes(stderr),
    };
    CommandOutput::of(line, output)
}

/// Reads a pipe in another thread, so that the process does not wait for a reader.
fn read_to_end(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pseudo-terminal ends with an error.
        let _ = pipe.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

/// Sends a signal to a process.
#[cfg(unix)]
#[track_caller]
pub fn send(process: u32, signal: i32) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &process.to_string()])
        .status();
    assert!(sent.unwrap().success());
}
