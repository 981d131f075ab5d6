//! Answers a request that needs no computation, such as `--help`, before libtorch is initialised.
//! Reports a current folder that was deleted, because libtorch cannot start in one.
//!
//! libtorch's initialisers take a quarter of a second. The dynamic linker calls the functions in the
//! section `.preinit_array` of a program before the initialisers of its libraries (System V gABI,
//! chapter 5), so the program can end there. C's and Rust's runtime are not set up at that time: the
//! arguments and the environment come from the linker.

use std::env;
use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::Parser;

use crate::commands::{self, Cli, terminal};
use crate::exit_code;

#[used]
#[unsafe(link_section = ".preinit_array")]
static ANSWER: extern "C" fn(c_int, *const *const c_char, *mut *mut c_char) = answer;

extern "C" fn answer(_: c_int, arguments: *const *const c_char, environment: *mut *mut c_char) {
    // SAFETY: no other thread exists yet. C's runtime will set the same environment again, and
    // Rust's runtime the same disposition of the signal.
    unsafe {
        libc::environ = environment;
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
    // SAFETY: the linker passes the arguments of the process, which end with a null pointer.
    let arguments = unsafe { arguments_at(arguments) };
    if let Some(code) = answer_to(&arguments) {
        let code = if code == ExitCode::SUCCESS { 0 } else { 1 };
        // SAFETY: the output is flushed. Destructors of libraries that are not initialised must not
        // run.
        unsafe { libc::_exit(code) }
    }
}

/// Answers a request that needs no computation: help, the version, a list. `None` for all others.
fn answer_to(arguments: &[OsString]) -> Option<ExitCode> {
    let code = match Cli::try_parse_from(arguments) {
        Ok(cli) if cli.only_prints() => exit_code(commands::dispatch(cli)),
        Err(usage) if !usage.use_stderr() => terminal::print_usage(&usage),
        // MKL's initialiser would end the process with a message about libtorch. Usage errors are
        // printed after it.
        _ if env::current_dir().is_err() => {
            terminal::print_error(
                "the current folder does not exist any more, or cannot be read; change to another one \
                 (cd)",
            );
            ExitCode::FAILURE
        }
        _ => return None,
    };
    Some(terminal::finish(code))
}

/// Copies an array of C strings that ends with a null pointer.
///
/// # Safety
/// The pointer must be valid, and must point to such an array.
unsafe fn arguments_at(mut place: *const *const c_char) -> Vec<OsString> {
    let mut arguments = Vec::new();
    // SAFETY: the caller ensures that the array is valid up to its null pointer.
    unsafe {
        while !(*place).is_null() {
            let argument = CStr::from_ptr(*place).to_bytes();
            arguments.push(OsStr::from_bytes(argument).to_os_string());
            place = place.add(1);
        }
    }
    arguments
}
