//! Ctrl-C, SIGTERM as schedulers send it, SIGHUP as a closed terminal does, SIGUSR1 as a warning from
//! a job script: what trains is asked to stop, and saves.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use emovox::process::Response;
use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// The requests to stop that this process got by signals.
pub struct Stop {
    /// A command saves before it stops. Until one does, a signal ends the process by itself.
    listens: AtomicBool,
    asked: AtomicBool,
    /// The next signal ends the process at once.
    at_once: AtomicBool,
    signal: AtomicI32,
}

static STOP: Stop = Stop {
    listens: AtomicBool::new(false),
    asked: AtomicBool::new(false),
    at_once: AtomicBool::new(false),
    signal: AtomicI32::new(0),
};

/// The response to a signal.
pub fn respond(signal: i32) -> Response {
    STOP.respond(signal)
}

impl Stop {
    /// From now on the first signal asks to stop, and the second stops at once.
    pub(super) fn listen() -> &'static Stop {
        STOP.listens.store(true, Ordering::Relaxed);
        &STOP
    }

    fn respond(&self, signal: i32) -> Response {
        let asks = match signal {
            SIGINT | SIGTERM | SIGUSR1 => true,
            // Whoever ignores it wants the process to live through a closed terminal, as `nohup` does.
            SIGHUP => !emovox::process::is_ignored(SIGHUP),
            _ => false,
        };
        if !asks || !self.listens.load(Ordering::Relaxed) {
            return Response::Default;
        }
        // However often SIGUSR1 comes, it never means "at once": a job script passes on what the scheduler
        // may have sent to all of the job's processes already, and a parent that dies sends several.
        if signal != SIGUSR1 && self.at_once.swap(true, Ordering::Relaxed) {
            return Response::Exit(exit_code(signal));
        }
        self.signal.store(signal, Ordering::Relaxed);
        // Whoever sees that it was asked to stop sees by which signal.
        self.asked.store(true, Ordering::Release);
        Response::Taken
    }

    /// Becomes true once the process was asked to stop.
    pub(super) fn asked(&self) -> &AtomicBool {
        &self.asked
    }

    /// True once the process was asked to stop.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// There is nothing left to save: from now on the first signal stops at once.
    pub(super) fn no_more_to_save(&self) {
        self.at_once.store(true, Ordering::Relaxed);
    }

    /// The exit code of a process that a signal stopped. One that stopped because another process was
    /// asked to ends as after SIGTERM.
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

/// The exit codes of processes that [`Stop`] ends.
pub(super) fn is_stopped(code: i32) -> bool {
    [SIGINT, SIGTERM, SIGHUP, SIGUSR1]
        .map(|signal| i32::from(exit_code(signal)))
        .contains(&code)
}
