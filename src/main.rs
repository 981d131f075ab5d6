//! Parses the command line, runs one command, and reports an error as a message and an exit code:
//! 0 success, 1 failure, 2 invalid command line, 128 + N stopped by signal N.

// Foreign text may contain escape sequences; only commands/terminal.rs prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod commands;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)] // reads the arguments of the process before Rust's runtime is set up
mod early;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[allow(unsafe_code)] // replaces a function of MKL
mod mkl;

use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Result;
use clap::Parser;

use commands::terminal::{self, OutputFailed};
use emovox::reason::reason;

fn main() -> ExitCode {
    emovox::device::set_cuda_environment();
    // This must come before any other thread starts.
    if let Err(error) = emovox::process::take_signals(commands::respond) {
        terminal::print_error(&format!(
            "cannot start the thread that waits for signals: {error}"
        ));
        return ExitCode::FAILURE;
    }
    let code = match commands::Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(usage) => terminal::print_usage(&usage),
    };
    terminal::finish(code)
}

fn run(cli: commands::Cli) -> ExitCode {
    let advice = cli.memory_advice();
    emovox::device::keep_freed_memory();
    if let Err(error) = emovox::parallel::start(cli.threads()) {
        terminal::print_error(&format!("cannot start the threads: {error}"));
        return ExitCode::FAILURE;
    }
    // tch panics when libtorch throws. The user gets one line, not a C++ stack.
    static PANIC: Mutex<Option<String>> = Mutex::new(None);
    panic::set_hook(Box::new(|info| {
        if let Ok(mut message) = PANIC.lock() {
            // An earlier panic may have been caught: the last one ends the command.
            *message = Some(info.to_string());
        }
    }));
    match panic::catch_unwind(|| emovox::parallel::on_a_thread(|| commands::run(cli))) {
        Ok(result) => exit_code(result),
        Err(_) => {
            let message = PANIC.lock().ok().and_then(|mut message| message.take());
            terminal::print_error(&commands::explain(&message.unwrap_or_default(), advice));
            ExitCode::FAILURE
        }
    }
}

fn exit_code(result: Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        // `terminal::finish` reports the reason at the end of the process.
        Err(error) if error.is::<OutputFailed>() => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(&reason(&error));
            ExitCode::FAILURE
        }
    }
}
