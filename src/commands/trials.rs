//! Common code of the commands that train several trials: flags, progress, and the end of a
//! command.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::cache::CacheArgs;
use super::progress::bar;
use super::settings::{Settings, set};
use super::stop::Stop;
use super::terminal::print_text;
use super::{Runs, say, warn_of_cpu, warning};
use emovox::config::RunConfig;
use emovox::device::DeviceChoice;
use emovox::experiments::{Job, Outcome, Plan, Runner, Study, Trial, check, default_jobs};
use emovox::plural::{counted, is_or_are};
use emovox::reason::reason;
use emovox::run::RunFolder;

/// Flags of the commands that train several trials with one configuration.
#[derive(Args)]
pub(super) struct TrialArgs {
    /// Seeds: train with each of them
    #[arg(long, value_name = "N,N…", value_delimiter = ',', default_value = "1")]
    seeds: Vec<u64>,
    /// Random seed of the split into test, validation and training speakers [default: 1]
    #[arg(long, value_name = "N")]
    split_seed: Option<u64>,
    /// Number of trainings in parallel [default: one per thread; up to four per GPU]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    pub(super) runs: Runs,
    #[command(flatten)]
    pub(super) cache: CacheArgs,
}

impl TrialArgs {
    /// Settings that all trials have in common.
    pub(super) fn configure(&self, settings: &Settings) -> Result<RunConfig> {
        ensure!(self.jobs != Some(0), "--jobs must be at least 1");
        let mut config = settings.configure()?;
        set(&mut config.split.seed, self.split_seed);
        config.validate()?;
        warn_of_cpu(config.training.device.gpus()?.why_cpu);
        Ok(config)
    }

    /// Seeds in ascending order, each once.
    pub(super) fn seeds(&self) -> Vec<u64> {
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        seeds.dedup();
        seeds
    }

    /// Starts or continues the study with a plan, after the checks of its recordings.
    pub(super) fn open<P: Plan>(&self, plan: P, name: &str) -> Result<Study<P>> {
        RunFolder::check_name(name)?;
        let folder = self.runs.runs_dir.join(name);
        check(&plan, &folder, self.cache.open().as_ref())?;
        Study::open(&folder, plan)
    }

    /// Trains the trials of a study that are not finished. Returns the number of failures.
    /// `result` describes a finished trial, given its duration in seconds.
    pub(super) fn train<P: Plan>(
        &self,
        study: &Study<P>,
        stop: &Stop,
        result: impl Fn(&Trial, f64) -> Result<String> + Sync,
    ) -> Result<usize> {
        let mut trials = study.trials();
        let all = trials.len();
        trials.retain(|trial| !trial.is_done());
        let finished = all - trials.len();
        if finished > 0 {
            say!(
                "{} of {all} trials {} already finished",
                finished,
                is_or_are(finished)
            );
        }
        let settings = tempfile::tempdir().context("cannot create a temporary folder")?;
        let flags = self.cache.flags();
        let batch = Batch {
            all,
            workers: Workers::new(self.jobs, [study.plan.config()])?,
            stop,
        };
        batch.train(
            &trials,
            |trial| trial.job(&flags, settings.path()),
            |trial, outcome, seconds| {
                let result = || result(trial, seconds);
                print_outcome(&trial.name(), trial, outcome, result);
            },
        )
    }
}

/// The trainings that run in parallel.
pub(super) struct Workers {
    /// Number of trainings.
    jobs: usize,
    /// GPUs over which they are distributed; empty if the settings name the device.
    gpus: Vec<usize>,
}

impl Workers {
    /// Trainings with these settings on the devices that the settings choose. `jobs` is the number
    /// that the user requests.
    pub(super) fn new<'a>(
        jobs: Option<usize>,
        configs: impl IntoIterator<Item = &'a RunConfig>,
    ) -> Result<Workers> {
        let (mut gpus, mut is_free) = (BTreeSet::new(), true);
        for config in configs {
            let device = config.training.device;
            gpus.extend(device.gpus()?.indices);
            is_free &= !matches!(device, DeviceChoice::Cuda(Some(_)));
        }
        Ok(Workers {
            jobs: jobs.unwrap_or_else(|| default_jobs(gpus.len())),
            gpus: gpus.into_iter().filter(|_| is_free).collect(),
        })
    }
}

/// Trials that are trained together.
pub(super) struct Batch<'a> {
    /// Number of all trials, of which some may be finished.
    pub(super) all: usize,
    pub(super) workers: Workers,
    pub(super) stop: &'a Stop,
}

impl Batch<'_> {
    /// Trains the trials that are left, with a progress bar. Returns the number of failures.
    pub(super) fn train<T: Sync>(
        &self,
        left: &[T],
        job: impl Fn(&T) -> Result<Job> + Sync,
        report: impl Fn(&T, &Outcome, f64) + Sync,
    ) -> Result<usize> {
        let bar = bar(self.all, "trainings", "trials");
        bar.set_position((self.all - left.len()) as u64);
        bar.reset_eta();
        let runner = Runner {
            program: std::env::current_exe()?,
            jobs: self.workers.jobs,
            gpus: self.workers.gpus.clone(),
            stop: self.stop.asked(),
        };
        let outcomes = runner.run(left, job, |trial, outcome, seconds| {
            bar.inc(1);
            bar.suspend(|| report(trial, outcome, seconds));
        })?;
        bar.finish_and_clear();
        let failed = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Failed(_)));
        Ok(failed.count())
    }
}

/// Prints the outcome of a trial. `result` is called for a finished trial.
pub(super) fn print_outcome(
    name: &str,
    trial: &Trial,
    outcome: &Outcome,
    result: impl Fn() -> Result<String>,
) {
    match outcome {
        Outcome::Done => match result() {
            Ok(result) => say!("{name}: {result}"),
            Err(error) => say!("{name}: {}", reason(&error)),
        },
        Outcome::Failed(reason) => {
            let log = trial.log_path();
            warning!("{name} failed: {reason} (see {})", log.display());
        }
        Outcome::Stopped(state) => say!("{name}: {state}"),
    }
}

/// The scores of a finished trial and the duration of its training.
pub(super) fn describe_scores(trial: &Trial, seconds: f64) -> Result<String> {
    let result = trial.scores()?;
    Ok(format!(
        "UAR {:.1} %, accuracy {:.1} %   {seconds:.0} s{}",
        100.0 * result.scores.uar,
        100.0 * result.scores.accuracy,
        result.note()
    ))
}

/// Prints the results of a study, and returns the exit code of the command. `retry` says how failed
/// trials are trained again.
pub(super) fn finish(
    text: &str,
    folder: &Path,
    stop: &Stop,
    failed: usize,
    retry: &str,
) -> Result<ExitCode> {
    print_text(&format!("\n{text}\n"));
    say!("all results are in {}", folder.display());
    if stop.is_asked() {
        say!("stopped; run the same command again to continue");
        return Ok(stop.exit_code());
    }
    ensure!(
        failed == 0,
        "{} failed; fix the cause, then {retry}",
        counted(failed, "trial")
    );
    Ok(ExitCode::SUCCESS)
}
