//! The trainings of a cross-validation, as processes: libtorch has one random generator a process,
//! and a cell that fails or is killed costs no other.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::commands::stop::Stop;
use emovox::cross_validation::{Cell, CrossValidation};

/// What became of a cell.
pub(super) enum Outcome {
    Done,
    /// The reason, as it printed it.
    Failed(String),
    Stopped,
}

/// Trains cells with these flags, `jobs` at a time. `tell` hears of each when it ends, with the seconds
/// it took.
pub(super) fn train_all(
    all: &CrossValidation,
    cells: &[Cell],
    jobs: usize,
    flags: &[OsString],
    stop: &Stop,
    tell: impl Fn(Cell, &Outcome, f64) + Sync,
) -> Result<Vec<Outcome>> {
    let queue: Mutex<VecDeque<Cell>> = Mutex::new(cells.iter().copied().collect());
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    let work = || {
        let mut outcomes = Vec::new();
        while !stop.is_asked()
            && let Some(cell) = next()
        {
            let started = Instant::now();
            // What fails here must cost no other cell either.
            let outcome = train(all, cell, flags, stop)
                .unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
            tell(cell, &outcome, started.elapsed().as_secs_f64());
            outcomes.push(outcome);
        }
        outcomes
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let mut outcomes = Vec::new();
        for worker in workers {
            let done = worker.join();
            outcomes.extend(done.map_err(|_| anyhow!("the cross-validation has a fault"))?);
        }
        Ok(outcomes)
    })
}

/// Trains one cell, from where it stopped if it was begun.
fn train(all: &CrossValidation, cell: Cell, flags: &[OsString], stop: &Stop) -> Result<Outcome> {
    let log = all.folder.join(format!("{}.log", cell.name()));
    // A cell that goes on adds to what it printed before.
    let file = OpenOptions::new().create(true).append(true).open(&log);
    let file = file.with_context(|| format!("cannot write {}", log.display()))?;
    let settings = tempfile::tempdir().context("cannot write a temporary file")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("train").args(flags);
    let device = all.plan.config.training.device.to_string();
    if all.run_of(cell).exists() {
        let run = all.run_of(cell);
        command.arg("--resume").arg(run).args(["--device", &device]);
    } else {
        let config = settings.path().join("config.toml");
        all.plan.config_of(cell).write(&config)?;
        command.arg("--config").arg(config);
        command.arg("--runs-dir").arg(&all.folder);
        command.args(["--run", &cell.name()]);
    }
    // Two trainings of one thread each take less time than one after the other of two threads each.
    // And as the number of threads may change the last bit, it must not depend on what runs beside.
    for threads in ["OMP_NUM_THREADS", "RAYON_NUM_THREADS"] {
        if std::env::var_os(threads).is_none() {
            command.env(threads, "1");
        }
    }
    #[cfg(unix)]
    {
        // Ctrl-C reaches this process alone, which passes it on once: twice would mean "at once".
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let mut child = command.spawn().context("emovox cannot start itself")?;
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match status.success() {
                true => Outcome::Done,
                false if stop.is_asked() => Outcome::Stopped,
                false => Outcome::Failed(match status.code() {
                    Some(_) => last_line(&log).unwrap_or_else(|| status.to_string()),
                    // Killed, for want of memory perhaps.
                    None => status.to_string(),
                }),
            });
        }
        if stop.is_asked() && !told {
            ask_to_stop(&child);
            told = true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Sends SIGTERM: the training finishes its step and saves.
fn ask_to_stop(child: &Child) {
    // The shell's own kill: not every machine has the program. A child that has just ended is not
    // there any more, which is as good.
    let _ = Command::new("sh")
        .args(["-c", "kill \"$0\"", &child.id().to_string()])
        .stderr(Stdio::null())
        .status();
}

/// The last line of a log, which is the error of what failed.
fn last_line(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4096)))
        .ok()?;
    let mut end = Vec::new();
    file.read_to_end(&mut end).ok()?;
    let end = String::from_utf8_lossy(&end);
    end.lines()
        .rfind(|line| !line.is_empty())
        .map(str::to_string)
}
