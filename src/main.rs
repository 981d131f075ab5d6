//! Reads the command line, hands over to one command, and turns an error into a message and an
//! exit code: 0 done, 1 failed, 2 not understood, 128 and its number stopped by a signal.

#![forbid(unsafe_code)]

mod commands;

use std::io;
use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;

fn main() -> ExitCode {
    // Before any other thread begins.
    if let Err(error) = emovox::process::take_signals(commands::respond) {
        eprintln!("error: cannot start the thread that waits for signals: {error}");
        return ExitCode::FAILURE;
    }
    let cli = commands::Cli::parse();
    emovox::device::keep_freed_memory();
    // tch panics where libtorch throws. A person gets a line, not a C++ stack.
    static PANIC: Mutex<Option<String>> = Mutex::new(None);
    panic::set_hook(Box::new(|info| {
        if let Ok(mut message) = PANIC.lock() {
            message.get_or_insert(info.to_string());
        }
    }));
    match panic::catch_unwind(|| commands::run(cli)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        Err(_) => {
            let message = PANIC.lock().ok().and_then(|mut message| message.take());
            let message = message.unwrap_or_default();
            if message.contains("failed printing to stdout") {
                return ExitCode::SUCCESS;
            }
            eprintln!("error: {}", explain(&message));
            ExitCode::FAILURE
        }
    }
}

/// Whoever reads our output has seen enough (`emovox predict … | head`): that is no failure. `println!`
/// panics then, which is told apart above.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
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
