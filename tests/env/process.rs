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

/// Longest time of a whole command. It may train several models on a busy machine.
const COMMAND_DEADLINE: Duration = Duration::from_secs(20 * 60);

/// Runs a command to its end and returns its output. After [`COMMAND_DEADLINE`] it kills the
/// command and fails with the output so far.
#[track_caller]
pub fn run_command(command: &mut Command) -> CommandOutput {
    run_redirected(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

/// Like [`run_command`], for a command whose outputs are set: returns only those that are pipes.
#[track_caller]
pub fn run_redirected(command: &mut Command) -> CommandOutput {
    let line = format!("{command:?}");
    match command.spawn() {
        Ok(child) => finish_within(COMMAND_DEADLINE, &line, child),
        Err(error) => panic!("{line}: {error}"),
    }
}

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
    let Some(status) = exit_within(DEADLINE, child) else {
        child.kill().unwrap();
        panic!("timeout: process {} does not end", child.id());
    };
    status
}

/// Waits for the end of a process, for `limit` at most.
fn exit_within(limit: Duration, child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        let status = child.try_wait().unwrap();
        if status.is_some() || Instant::now() > deadline {
            return status;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the end of a process, like [`wait_for_exit`], and returns its output.
#[track_caller]
pub fn finish(line: &str, child: Child) -> CommandOutput {
    finish_within(DEADLINE, line, child)
}

#[track_caller]
fn finish_within(limit: Duration, line: &str, mut child: Child) -> CommandOutput {
    let stdout = child.stdout.take().map(read_to_end);
    let stderr = child.stderr.take().map(read_to_end);
    let is_over = exit_within(limit, &mut child).is_some();
    if !is_over {
        child.kill().unwrap();
    }
    let bytes = |pipe: Option<mpsc::Receiver<Vec<u8>>>| {
        // A process that the command started may still have the pipe.
        pipe.map_or_else(Vec::new, |pipe| match pipe.recv_timeout(DEADLINE) {
            Ok(bytes) => bytes,
            Err(_) => panic!("timeout: the output of {line} does not end"),
        })
    };
    let output = Output {
        status: wait_for_exit(&mut child),
        stdout: bytes(stdout),
        stderr: bytes(stderr),
    };
    let output = CommandOutput::of(line, output);
    assert!(is_over, "timeout: {line}\n{}\n{}", output.out, output.error);
    output
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
    let mut kill = Command::new("kill");
    run_command(kill.args([format!("-{signal}"), process.to_string()])).success();
}
