//! Trains trials in processes. Each process has its own random generator (libtorch has one per
//! process), and a process that fails or is killed does not stop the others.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::trial::Trial;
use crate::device;
use crate::io::no_follow;
use crate::parallel;
use crate::process;
use crate::reason::reason;

/// The variable that selects the GPUs of a process.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// Time between two looks at a process.
const POLL: Duration = Duration::from_millis(50);

/// One process of `emovox`.
#[derive(Debug)]
pub struct Job {
    /// Command line without the name of the program.
    pub arguments: Vec<OsString>,
    /// File that the output of the process is appended to.
    pub log: PathBuf,
}

/// Result of a [`Job`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Finished.
    Done,
    /// Failed, with the error message of the process.
    Failed(String),
    /// Stopped on request, with a description of the state.
    Stopped(&'static str),
}

/// Runs jobs in parallel.
#[derive(Debug)]
pub struct Runner<'a> {
    /// The program `emovox`.
    pub program: PathBuf,
    /// Number of processes at the same time.
    pub jobs: usize,
    /// GPUs over which the processes are distributed; if it is empty, each chooses its own device.
    pub gpus: Vec<usize>,
    /// Once this is true, running processes are asked to stop, and no further process is started.
    pub stop: &'a AtomicBool,
}

/// Number of trainings at the same time that is used by default: one for each thread of this process.
/// A training leaves most of a GPU idle, but needs a core that submits work to it, so each of `gpus`
/// GPUs gets up to four, as long as each training has two threads.
pub fn default_jobs(gpus: usize) -> usize {
    jobs_for(parallel::threads(), gpus)
}

fn jobs_for(threads: usize, gpus: usize) -> usize {
    match gpus {
        0 => threads,
        gpus => gpus * (threads / 2 / gpus).clamp(1, 4),
    }
}

impl Trial<'_> {
    /// The process that trains this trial, or resumes its training. `flags` are further flags of
    /// `emovox train`. For a new training, the settings are written into the folder `settings`,
    /// which must exist until the process ends.
    ///
    /// # Errors
    /// If the settings cannot be written, or if the run folder has lost a file without which the
    /// training cannot be resumed.
    pub fn job(&self, flags: &[OsString], settings: &Path) -> Result<Job> {
        if let Some(lost) = self.lost_file() {
            bail!(
                "{} is missing; restore it, or delete the folder {}, so that the trial is trained again",
                lost.display(),
                self.run_path().display()
            );
        }
        let mut arguments: Vec<OsString> = vec!["train".into()];
        arguments.extend_from_slice(flags);
        if self.run_path().exists() {
            let device = self.shared.training.device.to_string();
            arguments.extend(["--resume".into(), self.run_path().into()]);
            arguments.extend(["--device".into(), device.into()]);
        } else {
            let config = settings.join(format!("{}.toml", self.name()));
            self.config().write(&config)?;
            arguments.extend(["--config".into(), config.into()]);
            arguments.extend(["--runs-dir".into(), self.folder.into()]);
            arguments.extend(["--run".into(), self.name().into()]);
        }
        Ok(Job {
            arguments,
            log: self.log_path(),
        })
    }
}

impl Runner<'_> {
    /// Runs a job for each item, in order. `job` is called when the process can start, `report`
    /// when it has ended, with its duration in seconds; both are called from several threads.
    ///
    /// # Errors
    /// If a thread panics. A job that cannot be made or started has the outcome
    /// [`Outcome::Failed`].
    pub fn run<T: Sync>(
        &self,
        items: &[T],
        job: impl Fn(&T) -> Result<Job> + Sync,
        report: impl Fn(&T, &Outcome, f64) + Sync,
    ) -> Result<Vec<Outcome>> {
        let workers = self.jobs.min(items.len());
        // The processes that run at the same time share the threads of this process.
        let threads = (parallel::threads() / workers.max(1)).max(1);
        let queue: Mutex<VecDeque<&T>> = Mutex::new(items.iter().collect());
        let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
        let work = &|worker: usize| {
            let gpu = self.gpus.get(worker % self.gpus.len().max(1)).copied();
            let mut outcomes = Vec::new();
            while !self.is_stopping()
                && let Some(item) = next()
            {
                let started = Instant::now();
                let outcome = job(item)
                    .and_then(|job| self.run_job(&job, threads, gpu))
                    .unwrap_or_else(|error| Outcome::Failed(reason(&error)));
                report(item, &outcome, started.elapsed().as_secs_f64());
                outcomes.push(outcome);
            }
            outcomes
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers)
                .map(|worker| scope.spawn(move || work(worker)))
                .collect();
            let mut outcomes = Vec::new();
            for worker in workers {
                let of_worker = worker.join();
                outcomes
                    .extend(of_worker.map_err(|_| anyhow!("internal error: a thread panicked"))?);
            }
            Ok(outcomes)
        })
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn run_job(&self, job: &Job, threads: usize, gpu: Option<usize>) -> Result<Outcome> {
        let log = &job.log;
        let file = no_follow(OpenOptions::new().create(true).append(true)).open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = process::command(&self.program);
        process::stop_with_parent(&mut command);
        command.args(&job.arguments);
        command.args(["--threads", &threads.to_string()]);
        if let Some(gpu) = gpu {
            let visible = std::env::var(VISIBLE).ok();
            command.env(VISIBLE, device::visible_name(gpu, visible.as_deref()));
        }
        // A trial is trained by one process, even if this process is one of several.
        for name in ["WORLD_SIZE", "RANK", "MASTER_ADDR"] {
            command.env_remove(name);
        }
        // Ctrl-C reaches only this process, which forwards it once: a second signal would stop the
        // training without saving.
        command.process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let mut child = command.spawn().context("emovox cannot start itself")?;
        let mut asked = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(outcome(status, log, self.is_stopping()));
            }
            if self.is_stopping() && !asked {
                process::ask_to_stop(&child).context("a training cannot be stopped")?;
                asked = true;
            }
            thread::sleep(POLL);
        }
    }
}

/// The outcome of a process, which may have been asked to stop.
fn outcome(status: ExitStatus, log: &Path, asked: bool) -> Outcome {
    if status.success() {
        return Outcome::Done;
    }
    match (status.code(), status.signal()) {
        (Some(code), _) if asked && is_stopped(code) => Outcome::Stopped("stopped and saved"),
        (Some(_), _) => Outcome::Failed(last_line(log).unwrap_or_else(|| status.to_string())),
        (None, Some(libc::SIGTERM | libc::SIGUSR1)) if asked => {
            Outcome::Stopped("stopped before the training started")
        }
        (None, signal) => {
            // The status is, for example, "signal: 6 (SIGABRT) (core dumped)".
            let killed = status.to_string().replace("signal:", "killed by signal");
            Outcome::Failed(match signal {
                Some(libc::SIGKILL) => format!("{killed}, perhaps because memory ran out"),
                _ => killed,
            })
        }
    }
}

/// True for the exit codes of `emovox` after a signal that it has saved for.
fn is_stopped(code: i32) -> bool {
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1].contains(&(code - 128))
}

/// The last line of a log that is not empty: the error message of a process that failed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_gets_several_trainings_if_there_are_cores_for_them() {
        for (threads, gpus, jobs) in [
            (2, 0, 2),
            (1, 1, 1),
            (4, 1, 2),
            (16, 1, 4),
            (64, 8, 32),
            (16, 8, 8),
        ] {
            assert_eq!(
                jobs_for(threads, gpus),
                jobs,
                "{threads} threads, {gpus} GPUs"
            );
        }
    }

    #[test]
    fn the_processes_that_run_at_the_same_time_share_all_threads() {
        let folder = tempfile::tempdir().unwrap();
        let log = |item: &usize| folder.path().join(format!("{item}.log"));
        let runner = Runner {
            program: "/bin/sh".into(),
            jobs: 64,
            gpus: Vec::new(),
            stop: &AtomicBool::new(false),
        };
        let job = |item: &usize| {
            Ok(Job {
                arguments: vec!["-c".into(), "echo $0 $1".into()],
                log: log(item),
            })
        };
        for items in 1..4 {
            let items: Vec<usize> = (0..items).map(|item| 10 * items + item).collect();
            runner.run(&items, job, |_, _, _| ()).unwrap();
            let threads = (parallel::threads() / items.len()).max(1);
            for item in &items {
                let arguments = std::fs::read_to_string(log(item)).unwrap();
                assert_eq!(arguments, format!("--threads {threads}\n"));
            }
        }
    }

    #[test]
    fn processes_are_distributed_over_the_gpus() {
        let folder = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let runner = |gpus: Vec<usize>| Runner {
            program: "/bin/sh".into(),
            jobs: 2,
            gpus,
            stop: &stop,
        };
        // Each process waits for the other one, so each worker starts one.
        let script = "touch $0; i=0; until [ -e a ] && [ -e b ]; do i=$((i + 1)); \
                      [ $i -lt 6000 ] || exit 1; sleep 0.01; done; echo ${CUDA_VISIBLE_DEVICES-all}";
        let devices = |gpus| {
            for name in ["a", "b"] {
                let _ = std::fs::remove_file(folder.path().join(name));
                let _ = std::fs::remove_file(folder.path().join(format!("{name}.log")));
            }
            let job = |name: &&str| {
                let script = format!("cd {} && {script}", folder.path().display());
                Ok(Job {
                    arguments: vec!["-c".into(), script.into(), (*name).into()],
                    log: folder.path().join(format!("{name}.log")),
                })
            };
            let outcomes = runner(gpus).run(&["a", "b"], job, |_, _, _| ()).unwrap();
            assert_eq!(outcomes, [Outcome::Done, Outcome::Done]);
            let log = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
            let mut devices = [log("a.log"), log("b.log")].map(|log| log.trim().to_string());
            devices.sort();
            devices
        };
        assert_eq!(devices(vec![3, 5]), ["3", "5"]);
        assert_eq!(devices(vec![3]), ["3", "3"]);
        let own = std::env::var(VISIBLE).unwrap_or("all".into());
        assert_eq!(devices(vec![]), [own.clone(), own]);
    }
}
