//! Trainings as processes: libtorch has one random generator a process, and a cell that fails or is
//! killed costs no other.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use tch::Device;

use super::Runs;
use super::cache::CacheArgs;
use super::settings::{Settings, set};
use super::stop::{Stop, is_stopped};
use emovox::config::RunConfig;
use emovox::cross_validation::{Cell, CrossValidation};
use emovox::io::no_follow;
use emovox::process;

/// What became of a cell.
pub(super) enum Outcome {
    Done,
    /// The reason, as it printed it.
    Failed(String),
    /// It was asked to stop; how far it was.
    Stopped(&'static str),
}

/// A process that trains a cell: what emovox is told, and where it prints.
pub(super) struct Job {
    pub(super) arguments: Vec<OsString>,
    pub(super) log: PathBuf,
}

/// Trains cells `jobs` at a time. `tell` hears of each when it ends, with the seconds it took.
pub(super) fn train_all<T: Copy + Send + Sync>(
    cells: &[T],
    jobs: usize,
    stop: &Stop,
    job: impl Fn(T) -> Result<Job> + Sync,
    tell: impl Fn(T, &Outcome, f64) + Sync,
) -> Result<Vec<Outcome>> {
    let queue: Mutex<VecDeque<T>> = Mutex::new(cells.iter().copied().collect());
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    let work = || {
        let mut outcomes = Vec::new();
        while !stop.is_asked()
            && let Some(cell) = next()
        {
            let started = Instant::now();
            // What fails here must cost no other cell either.
            let outcome = job(cell)
                .and_then(|job| train(&job, stop))
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
            outcomes.extend(done.map_err(|_| anyhow!("what starts the trainings has a fault"))?);
        }
        Ok(outcomes)
    })
}

/// What `emovox` is told to train a cell, from where it stopped if it was begun. A new one finds its
/// settings in `folder`.
pub(super) fn train_arguments(
    all: &CrossValidation,
    cell: Cell,
    flags: &[OsString],
    folder: &Path,
) -> Result<Vec<OsString>> {
    let mut arguments: Vec<OsString> = vec!["train".into()];
    arguments.extend_from_slice(flags);
    if all.run_of(cell).exists() {
        let device = all.plan.config.training.device.to_string();
        arguments.extend(["--resume".into(), all.run_of(cell).into()]);
        arguments.extend(["--device".into(), device.into()]);
    } else {
        let config = folder.join(format!("{}.toml", cell.name()));
        all.plan.config_of(cell).write(&config)?;
        arguments.extend(["--config".into(), config.into()]);
        arguments.extend(["--runs-dir".into(), all.folder.clone().into()]);
        arguments.extend(["--run".into(), cell.name().into()]);
    }
    Ok(arguments)
}

/// What commands have in common that make many trainings.
#[derive(Args)]
pub(super) struct ManyArgs {
    /// Train with each of these
    #[arg(long, value_name = "N,N…", value_delimiter = ',', default_value = "1")]
    seeds: Vec<u64>,
    /// Draws who tests and validates [default: 1]
    #[arg(long, value_name = "N")]
    split_seed: Option<u64>,
    /// Trainings side by side [default: one a core; on a GPU 1]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    pub(super) runs: Runs,
    #[command(flatten)]
    pub(super) cache: CacheArgs,
}

impl ManyArgs {
    /// The settings of all trainings, and whether they are made on a CPU.
    pub(super) fn configure(&self, settings: &Settings) -> Result<(RunConfig, bool)> {
        ensure!(self.jobs != Some(0), "--jobs must be at least 1");
        let mut config = settings.configure()?;
        set(&mut config.split.seed, self.split_seed);
        config.validate()?;
        let on_cpu = config.training.device.resolve()? == Device::Cpu;
        Ok((config, on_cpu))
    }

    /// Each once.
    pub(super) fn seeds(&self) -> Vec<u64> {
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        seeds.dedup();
        seeds
    }

    pub(super) fn jobs(&self, on_cpu: bool) -> usize {
        self.jobs.unwrap_or(usual_jobs(on_cpu))
    }
}

/// How many trainings side by side, where nobody says: one a core, on a GPU one.
pub(super) fn usual_jobs(on_cpu: bool) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if on_cpu { cores } else { 1 }
}

fn train(job: &Job, stop: &Stop) -> Result<Outcome> {
    let log = &job.log;
    // A cell that goes on adds to what it printed before.
    let file = no_follow(OpenOptions::new().create(true).append(true)).open(log);
    let file = file.with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = process::command(std::env::current_exe()?);
    process::stop_with_parent(&mut command);
    command.args(&job.arguments);
    // Two trainings of one thread each take less time than one after the other of two threads each.
    // And as the number of threads may change the last bit, it must not depend on what runs beside.
    for threads in ["OMP_NUM_THREADS", "RAYON_NUM_THREADS"] {
        if std::env::var_os(threads).is_none() {
            command.env(threads, "1");
        }
    }
    // A cell is a training of its own, whoever else started several processes.
    for name in ["WORLD_SIZE", "RANK", "MASTER_ADDR"] {
        command.env_remove(name);
    }
    // Ctrl-C reaches this process alone, which passes it on once: twice would mean "at once".
    command.process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let mut child = command.spawn().context("emovox cannot start itself")?;
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(outcome(status, log, stop.is_asked()));
        }
        if stop.is_asked() && !told {
            process::ask_to_stop(&child).context("a training cannot be stopped")?;
            told = true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The end of a training, which may have been asked to stop.
fn outcome(status: ExitStatus, log: &Path, asked: bool) -> Outcome {
    if status.success() {
        return Outcome::Done;
    }
    match (status.code(), status.signal()) {
        (Some(code), _) if asked && is_stopped(code) => Outcome::Stopped("stopped and saved"),
        (Some(_), _) => Outcome::Failed(last_line(log).unwrap_or_else(|| status.to_string())),
        (None, Some(libc::SIGTERM | libc::SIGUSR1)) if asked => {
            Outcome::Stopped("stopped before it trained")
        }
        (None, signal) => {
            // Such as "signal: 6 (SIGABRT) (core dumped)".
            let killed = status.to_string().replace("signal:", "killed by signal");
            Outcome::Failed(match signal {
                Some(libc::SIGKILL) => format!("{killed}, perhaps because memory ran out"),
                _ => killed,
            })
        }
    }
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
