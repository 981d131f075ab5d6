//! Reads the command line, hands over to one command, and turns an error into a message and an
//! exit code: 0 done, 1 failed, 2 not understood, 128 and its number stopped by a signal.

#![forbid(unsafe_code)]
// A text from elsewhere could steer the terminal; commands/terminal.rs prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod commands;

use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;

use commands::terminal::{self, OutputFailed};

fn main() -> ExitCode {
    // Before any other thread begins.
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
    emovox::device::keep_freed_memory();
    // tch panics where libtorch throws. A person gets a line, not a C++ stack.
    static PANIC: Mutex<Option<String>> = Mutex::new(None);
    panic::set_hook(Box::new(|info| {
        if let Ok(mut message) = PANIC.lock() {
            // An earlier one may have been caught: the last one ends the command.
            *message = Some(info.to_string());
        }
    }));
    match panic::catch_unwind(|| commands::run(cli)) {
        Ok(Ok(code)) => code,
        // Why it failed is reported at the end of the process.
        Ok(Err(error)) if error.is::<OutputFailed>() => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            terminal::print_error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
        Err(_) => {
            let message = PANIC.lock().ok().and_then(|mut message| message.take());
            terminal::print_error(&explain(&message.unwrap_or_default()));
            ExitCode::FAILURE
        }
    }
}

fn explain(panic: &str) -> String {
    if panic.contains("CUDA out of memory") {
        return "the GPU has too little memory for this; train with a smaller --batch-size, or take \
                --device cpu"
            .into();
    }
    if panic.contains("can't allocate memory") {
        return "there is too little memory for this; train with a smaller --batch-size, or cut long \
                recordings into pieces"
            .into();
    }
    format!("emovox has a fault, or libtorch has; please report this:\n{panic}")
}
