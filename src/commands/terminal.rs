//! The output functions of all commands: the output cannot control a terminal, and a failed write
//! to standard output is an error at the end of the process.
//!
//! A training continues if the program that reads its output has ended, or if the disk is full. So
//! a failed write is only stored, and [`finish`] reports the first one.

#![expect(
    clippy::disallowed_methods,
    reason = "every other module prints through this one"
)]

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::num::{IntErrorKind, ParseFloatError, ParseIntError};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use emovox::escape::{escape_json, escape_line, escape_text};

/// Prints one line on standard output, with line breaks in it escaped.
macro_rules! say {
    ($($line:tt)*) => { $crate::commands::terminal::print_line(format_args!($($line)*)) };
}
pub(crate) use say;

/// Prints one line on standard error, with line breaks in it escaped.
macro_rules! warning {
    ($($line:tt)*) => { $crate::commands::terminal::print_warning(format_args!($($line)*)) };
}
pub(crate) use warning;

/// The first write to standard output that failed.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// True in a process that prints nothing, because another process prints the same.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Suppresses all output except errors from now on.
pub(super) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

pub(super) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

pub(super) fn print_line(line: Arguments) {
    write(format!("{}\n", escape_line(&line.to_string())).as_bytes());
}

pub(super) fn print_warning(line: Arguments) {
    if !is_quiet() {
        write_error(&escape_line(&line.to_string()));
    }
}

/// Prints a text of several lines, whose values are already escaped.
pub(super) fn print_text(text: &str) {
    write(escape_text(text).as_bytes());
}

/// Prints a JSON text.
pub(super) fn print_json(text: &str) {
    write(escape_json(text).as_bytes());
}

/// Prints a text for another program, without changes unless standard output is a terminal.
pub(super) fn print_data(text: &[u8]) {
    if is_terminal() {
        print_text(&String::from_utf8_lossy(text))
    } else {
        write(text)
    }
}

/// Prints the beginning of a line without delay.
pub(super) fn print_unfinished(text: &str) {
    write(escape_line(text).as_bytes());
    flush();
}

/// Erases the line of the cursor.
pub(super) fn erase_line() {
    write(b"\r\x1b[2K");
}

/// True if standard output is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// True if standard error is a terminal.
pub(super) fn error_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints the error of the command, also in a quiet process. Further lines are indented, so that
/// they do not look like separate messages.
pub fn print_error(reason: &str) {
    let lines = format!("error: {reason}").replace('\n', "\n  ");
    write_error(&escape_text(&lines));
}

/// Prints help, the version, or the error in the command line, as formatted by clap.
pub fn print_usage(usage: &clap::Error) -> ExitCode {
    let has_control = |argument: OsString| {
        let argument = argument.to_string_lossy();
        escape_line(&argument) != argument
    };
    let mut text = usage.render().to_string();
    let number = number_problem(usage);
    if let Some((words, reason)) = &number
        && let Some(at) = text.rfind(words)
    {
        text.replace_range(at..at + words.len(), reason);
    }
    if usage.use_stderr() && std::env::args_os().any(has_control) {
        // The message quotes arguments, so it is escaped like other errors, without clap's colours.
        print_error(text.trim_start_matches("error: ").trim_end());
    } else if number.is_some() {
        write_error(text.trim_end());
    } else if let Err(error) = usage.print()
        && !usage.use_stderr()
    {
        let _ = FAILED.set(error);
    }
    ExitCode::from(usage.exit_code() as u8)
}

/// The words of the standard library for an argument that is not a number, and the reason for users.
fn number_problem(usage: &clap::Error) -> Option<(String, &'static str)> {
    let source = usage.source()?;
    let reason = match source
        .downcast_ref::<ParseIntError>()
        .map(ParseIntError::kind)
    {
        Some(IntErrorKind::Empty) => "a number is missing",
        Some(IntErrorKind::PosOverflow) => "the number is too large",
        Some(_) => "not a whole number from 0",
        None if source.is::<ParseFloatError>() => "not a number",
        None => return None,
    };
    Some((source.to_string(), reason))
}

/// A failed write to standard output: a command whose only result is its output stops.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct OutputFailed;

/// Checks for a failed write to standard output.
///
/// # Errors
/// Fails after the first failed write.
pub(super) fn check() -> Result<(), OutputFailed> {
    match FAILED.get() {
        Some(_) => Err(OutputFailed),
        None => Ok(()),
    }
}

/// Ends the output, and returns the exit code of the process. This is `code`, or a failure instead
/// of success if a write to standard output failed, unless the reader has closed it (`emovox … |
/// head`).
pub fn finish(code: ExitCode) -> ExitCode {
    flush();
    match FAILED.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            print_error(&format!("cannot write to standard output: {error}"));
            if code == ExitCode::SUCCESS {
                ExitCode::FAILURE
            } else {
                code
            }
        }
        _ => code,
    }
}

fn write(bytes: &[u8]) {
    if !is_quiet() {
        store_failure(|| io::stdout().write_all(bytes));
    }
}

fn flush() {
    store_failure(|| io::stdout().flush());
}

/// Runs a write and stores its error. After a failure nothing more is written, because the output
/// would have a gap.
fn store_failure(write: impl FnOnce() -> io::Result<()>) {
    if FAILED.get().is_none()
        && let Err(error) = write()
    {
        let _ = FAILED.set(error);
    }
}

/// Writes to standard error. A failed write cannot be reported, and is ignored.
fn write_error(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
