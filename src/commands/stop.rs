//! Ctrl-C, SIGTERM as schedulers send it, SIGHUP as a closed terminal does, SIGUSR1 as a warning from
//! a job script: what trains is asked to stop, and saves.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// Whether the process was asked to stop, and by which signal.
pub(super) struct Stop {
    asked: Arc<AtomicBool>,
    /// The next signal ends the process at once.
    at_once: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// From now on the first signal asks to stop, and the second stops at once.
    pub(super) fn listen() -> Result<Stop> {
        let stop = Stop {
            asked: Arc::default(),
            at_once: Arc::default(),
            signal: Arc::default(),
        };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if signal == SIGHUP && hangup_is_ignored() {
                continue;
            }
            // In this order: the first signal must not find what it is about to set.
            flag::register_conditional_shutdown(signal, 128 + signal, stop.at_once.clone())
                .and_then(|_| flag::register(signal, stop.at_once.clone()))
                .and_then(|_| flag::register(signal, stop.asked.clone()))
                .and_then(|_| flag::register_usize(signal, stop.signal.clone(), signal as usize))
                .context("cannot listen to Ctrl-C")?;
        }
        // However often it comes, it never means "at once": a job script passes on what the scheduler
        // may have sent to all of the job's processes already.
        flag::register(SIGUSR1, stop.asked.clone())
            .and_then(|_| flag::register_usize(SIGUSR1, stop.signal.clone(), SIGUSR1 as usize))
            .context("cannot listen to SIGUSR1")?;
        Ok(stop)
    }

    /// What becomes true once it was asked to.
    pub(super) fn asked(&self) -> &AtomicBool {
        &self.asked
    }

    /// True once it was asked to.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// There is nothing left to save: from now on the first signal stops at once.
    pub(super) fn no_more_to_save(&self) {
        self.at_once.store(true, Ordering::Relaxed);
    }

    /// What a process ends with that a signal stopped: 130 after Ctrl-C, 143 after SIGTERM, 129 after
    /// SIGHUP, 138 after SIGUSR1. One that stopped because another process was told to ends as after SIGTERM.
    pub(super) fn exit_code(&self) -> ExitCode {
        let signal = match self.signal.load(Ordering::Relaxed) {
            0 => SIGTERM as usize,
            signal => signal,
        };
        ExitCode::from((128 + signal) as u8)
    }
}

/// Whether whoever started the process wants it to live through a closed terminal, as `nohup` does.
/// Where the system does not tell, SIGHUP is left alone.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}
