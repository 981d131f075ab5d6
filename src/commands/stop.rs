//! Stop requests by signals: Ctrl-C (SIGINT), SIGTERM from a scheduler, SIGHUP from a closed
//! terminal, SIGUSR1 as a warning from a job script. A training saves its state and stops.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use emovox::process::Response;
use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// The stop requests that this process has received.
pub struct Stop {
    /// True if the command saves before it stops. Otherwise a signal has its default action.
    saves: AtomicBool,
    asked: AtomicBool,
    /// True if the next signal ends the process immediately.
    at_once: AtomicBool,
    signal: AtomicI32,
}

static STOP: Stop = Stop {
    saves: AtomicBool::new(false),
    asked: AtomicBool::new(false),
    at_once: AtomicBool::new(false),
    signal: AtomicI32::new(0),
};

/// The response to a signal.
pub fn respond(signal: i32) -> Response {
    STOP.respond(signal)
}

impl Stop {
    /// From now on, the first signal is a stop request, and the second one ends the process
    /// immediately.
    pub(super) fn listen() -> &'static Stop {
        STOP.saves.store(true, Ordering::Relaxed);
        &STOP
    }

    fn respond(&self, signal: i32) -> Response {
        let is_request = match signal {
            SIGINT | SIGTERM | SIGUSR1 => true,
            // If SIGHUP is ignored, as with `nohup`, the process continues after the terminal is
            // closed.
            SIGHUP => !emovox::process::is_ignored(SIGHUP),
            _ => false,
        };
        if !is_request || !self.saves.load(Ordering::Relaxed) {
            return Response::Default;
        }
        // A repeated SIGUSR1 never means "immediately": a job script forwards a signal that the
        // scheduler may already have sent to all processes of the job, and the end of a parent
        // sends several.
        if signal != SIGUSR1 && self.at_once.swap(true, Ordering::Relaxed) {
            return Response::Exit(exit_code(signal));
        }
        self.signal.store(signal, Ordering::Relaxed);
        // The order makes the signal visible to each thread that sees the request.
        self.asked.store(true, Ordering::Release);
        Response::Taken
    }

    /// The flag that becomes true with the first stop request.
    pub(super) fn asked(&self) -> &AtomicBool {
        &self.asked
    }

    /// True after a stop request.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Declares that nothing is left to save: from now on, the first signal ends the process
    /// immediately.
    pub(super) fn no_more_to_save(&self) {
        self.at_once.store(true, Ordering::Relaxed);
    }

    /// The exit code after a stop request. A process that stopped because of a request to another
    /// process has the exit code for SIGTERM.
    pub(super) fn exit_code(&self) -> ExitCode {
        let signal = match self.signal.load(Ordering::Relaxed) {
            0 => SIGTERM,
            signal => signal,
        };
        ExitCode::from(exit_code(signal))
    }
}

/// 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 138 after SIGUSR1.
fn exit_code(signal: i32) -> u8 {
    128 + signal as u8
}
