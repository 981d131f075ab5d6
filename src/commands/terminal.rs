//! The one way in which commands print: nothing that is printed steers a terminal, and a standard output that
//! cannot be written to is an error at the end of the process.
//!
//! A training continues when the program that reads its output is gone or the disk is full. So a failed write
//! is only remembered, and [`finish`] reports the first one.

#![expect(
    clippy::disallowed_methods,
    reason = "every other module prints through this one"
)]

use std::ffi::OsString;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use emovox::escape::{escape_json, escape_line, escape_text};

/// Prints one line; a line break in a value of it is escaped.
macro_rules! say {
    ($($line:tt)*) => { $crate::commands::terminal::print_line(format_args!($($line)*)) };
}
pub(crate) use say;

/// The same for warnings, on standard error.
macro_rules! warning {
    ($($line:tt)*) => { $crate::commands::terminal::print_warning(format_args!($($line)*)) };
}
pub(crate) use warning;

/// The first write to standard output that failed.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// True in a process that prints nothing, since another one prints the same.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Prints nothing but errors from now on.
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

/// Prints a text of several lines. The values in it are escaped where the text is made.
pub(super) fn print_text(text: &str) {
    write(escape_text(text).as_bytes());
}

/// Prints a JSON text.
pub(super) fn print_json(text: &str) {
    write(escape_json(text).as_bytes());
}

/// Prints a text for another program. It keeps its bytes, unless it goes to a terminal.
pub(super) fn print_data(text: &[u8]) {
    match is_terminal() {
        true => print_text(&String::from_utf8_lossy(text)),
        false => write(text),
    }
}

/// Prints the beginning of a line, at once.
pub(super) fn print_unfinished(text: &str) {
    write(escape_line(text).as_bytes());
    flush();
}

/// Empties the line that the cursor is in.
pub(super) fn erase_line() {
    write(b"\r\x1b[2K");
}

/// True where standard output goes to a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// True where standard error goes to a terminal.
pub(super) fn error_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints why the command failed, in a quiet process too. Further lines are indented: none of them looks like
/// a message of its own.
pub fn print_error(reason: &str) {
    let lines = format!("error: {reason}").replace('\n', "\n  ");
    write_error(&escape_text(&lines));
}

/// Prints help, the version, or why the command line is not understood, as clap formats it.
pub fn print_usage(usage: &clap::Error) -> ExitCode {
    let steers = |argument: OsString| {
        let argument = argument.to_string_lossy();
        escape_line(&argument) != argument
    };
    if usage.use_stderr() && std::env::args_os().any(steers) {
        // The message quotes arguments. Without clap's colours it is escaped as other errors are.
        let text = usage.render().to_string();
        print_error(text.trim_start_matches("error: ").trim_end());
    } else if let Err(error) = usage.print()
        && !usage.use_stderr()
    {
        let _ = FAILED.set(error);
    }
    ExitCode::from(usage.exit_code() as u8)
}

/// Standard output cannot be written to: a command whose only result is its output need not continue.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct OutputFailed;

/// Fails once a write to standard output failed.
pub(super) fn check() -> Result<(), OutputFailed> {
    match FAILED.get() {
        Some(_) => Err(OutputFailed),
        None => Ok(()),
    }
}

/// Ends the output of a process that would end with `code`. If standard output could not be written to, the
/// code is that of a failure, except where its reader has read enough (`emovox … | head`).
pub fn finish(code: ExitCode) -> ExitCode {
    flush();
    match FAILED.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            print_error(&format!("cannot write to standard output: {error}"));
            match code == ExitCode::SUCCESS {
                true => ExitCode::FAILURE,
                false => code,
            }
        }
        _ => code,
    }
}

fn write(bytes: &[u8]) {
    if !is_quiet() {
        remember(|| io::stdout().write_all(bytes));
    }
}

fn flush() {
    remember(|| io::stdout().flush());
}

/// After a failure nothing more is written: the output would have a gap.
fn remember(write: impl FnOnce() -> io::Result<()>) {
    if FAILED.get().is_none()
        && let Err(error) = write()
    {
        let _ = FAILED.set(error);
    }
}

/// A standard error that cannot be written to has nowhere to report that, and is no failure.
fn write_error(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
