//! `emovox grid`: a sweep that a file describes, on this machine, trial by trial, or through Slurm.

mod slurm;

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser};

use super::cache::CacheArgs;
use super::stop::Stop;
use super::trials::{Batch, Workers, describe_scores, finish, print_outcome};
use super::{Cli, Runs, open_data, say, warning};
use emovox::escape::shell_word;
use emovox::experiments::{Job, Outcome, Plan, Sweep, SweepTrial, TrialState};
use emovox::plural::counted;
use emovox::reason::{panic_message, reason};
use emovox::run::RunLock;

/// Train a sweep: all combinations of values of some settings, over folds and seeds
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox grid sizes.toml                    list the trials and the state of each
  emovox grid sizes.toml --run --jobs 4     train them on this machine, four in parallel
  emovox grid sizes.toml --cell 7           train one trial, by number or name (for any scheduler)
  emovox grid sizes.toml --run --failed     train the failed trials again
  emovox grid sizes.toml --slurm --partition gpu --gres gpu:1 --time 2:00:00
                                            submit the unfinished trials as a job array
  emovox grid sizes.toml --status           state of each trial, from its files and from Slurm
  emovox collect sizes.toml                 results of the finished trials, at any time

sizes.toml:
  folds = 5                       # or \"loso\" …; without folds, each setting has one split
  seeds = [1, 2, 3]
  [config]                        # common to all settings, in the format of --config
  data.folder = \"data/ravdess\"
  training.epochs = 60
  [sweep]                         # any key of the configuration: a list, or a range
  model.hidden = [32, 64, 128]
  training.learning_rate = { from = 1e-3, to = 9e-3, count = 3, log = true }
  [baseline]                      # the setting that all others are compared with
  model.hidden = 64
  training.learning_rate = 0.003

A trial is one training: a setting, a fold and a seed. Trials have nothing in common except the \
feature cache. The name of a trial does not change when values are added. A stopped trial \
continues, and a finished trial is not trained again. So any scheduler that can count can run a \
sweep:
  seq 0 134 | parallel emovox grid sizes.toml --cell {}
  Kubernetes, with completionMode: Indexed:
      emovox grid sizes.toml --cell $(JOB_COMPLETION_INDEX)")]
pub struct GridArgs {
    /// Sweep file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Train the unfinished trials on this machine
    #[arg(long, group = "what")]
    run: bool,
    /// With --run or --slurm: only the failed trials
    #[arg(long)]
    failed: bool,
    /// Train one trial: its number, from 0, or its name
    #[arg(long, value_name = "K", group = "what")]
    cell: Option<String>,
    /// Submit the unfinished trials as a job array
    #[arg(long, group = "what")]
    slurm: bool,
    /// Print the state of each trial
    #[arg(long, group = "what")]
    status: bool,
    /// Number of trainings in parallel [default: one per thread; up to four per GPU; with --slurm no limit]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// With --slurm: write the job script without submitting it
    #[arg(long, requires = "slurm")]
    dry_run: bool,
    #[command(flatten)]
    runs: Runs,
    #[command(flatten)]
    cache: CacheArgs,
    // Last, because its heading is that of all flags after it.
    #[command(flatten)]
    sbatch: slurm::SbatchArgs,
}

pub fn run(args: &GridArgs) -> Result<ExitCode> {
    ensure!(args.jobs != Some(0), "--jobs must be at least 1");
    let trains = args.run || args.slurm;
    ensure!(trains || !args.failed, "--failed needs --run or --slurm");
    ensure!(
        trains || args.jobs.is_none(),
        "--jobs needs --run or --slurm"
    );
    let sweep = open(&args.file, &args.runs.runs_dir)?;
    if let Some(named) = &args.cell {
        return train_one(sweep.trial(named)?, &sweep, args);
    }
    if args.status {
        return slurm::status(&sweep);
    }
    let mut left = sweep.trials();
    left.retain(|trial| match trial.trial.state() {
        TrialState::Done => false,
        TrialState::Failed(_) => true,
        TrialState::Started | TrialState::Waiting => !args.failed,
    });
    if !args.run && !args.slurm {
        list(&sweep);
        return Ok(ExitCode::SUCCESS);
    }
    let cache = args.cache.open();
    let mut all = sweep.hyper_params.iter();
    all.try_for_each(|hyper_params| hyper_params.check(cache.as_ref()))?;
    if args.slurm {
        return slurm::submit(&sweep, &left, args);
    }
    train_here(&sweep, &left, args)
}

/// The sweep that a file describes, with a folder below `runs`.
pub(super) fn open(file: &Path, runs: &Path) -> Result<Sweep> {
    Sweep::open(file, runs, open_data)
}

fn list(sweep: &Sweep) {
    let trials = sweep.trials();
    say!(
        "{}: {}, {}, in {}",
        sweep.name,
        counted(sweep.hyper_params.len(), "setting"),
        counted(trials.len(), "trial"),
        sweep.folder.display()
    );
    let mut done = 0;
    for (number, trial) in trials.iter().enumerate() {
        let state = trial.trial.state();
        done += usize::from(state == TrialState::Done);
        say!("{number:>5}  {:<8}  {}", state.as_str(), trial.name());
    }
    say!("{done} of {} done", trials.len());
}

/// Trains one trial in this process, so that it receives the signals of the scheduler itself.
fn train_one(of_sweep: SweepTrial, sweep: &Sweep, args: &GridArgs) -> Result<ExitCode> {
    let name = of_sweep.name();
    let trial = &of_sweep.trial;
    if trial.is_done() {
        trial.clear_failure()?;
        say!("{name} is already finished");
        return Ok(ExitCode::SUCCESS);
    }
    of_sweep.hyper_params.check(args.cache.open().as_ref())?;
    sweep.create()?;
    of_sweep.hyper_params.study.create()?;
    // If another process trains it, this is an error, and the saved failure stays.
    if trial.run_path().exists() {
        drop(RunLock::take(&trial.run_path())?);
    }
    trial.clear_failure()?;
    say!("trial {name}");
    let settings = tempfile::tempdir().context("cannot create a temporary folder")?;
    let job = trial.job(&args.cache.flags(), settings.path())?;
    let command = std::iter::once("emovox".into()).chain(job.arguments);
    let command = Cli::try_parse_from(command)?;
    match panic::catch_unwind(AssertUnwindSafe(|| super::run(command))) {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(error)) => {
            // Another process may have started it meanwhile.
            if !trial.is_in_training() {
                trial.save_failure(&reason(&error))?;
            }
            Err(error.context(format!("trial {name}")))
        }
        Err(panic) => {
            let first = panic_message(&*panic).lines().next();
            trial.save_failure(first.unwrap_or("internal error of emovox or libtorch"))?;
            panic::resume_unwind(panic)
        }
    }
}

/// Trains trials in processes on this machine, and summarises the sweep.
fn train_here(sweep: &Sweep, left: &[SweepTrial], args: &GridArgs) -> Result<ExitCode> {
    let all = sweep.trials().len();
    say!(
        "{}: {}, {}, {} to train",
        sweep.name,
        counted(sweep.hyper_params.len(), "setting"),
        counted(all, "trial"),
        left.len()
    );
    sweep.create()?;
    let stop = Stop::listen();
    let configs = sweep.hyper_params.iter();
    let batch = Batch {
        all,
        workers: Workers::new(
            args.jobs,
            configs.map(|hyper_params| hyper_params.study.plan.config()),
        )?,
        stop,
    };
    let failed = batch.train(
        left,
        |trial| {
            trial.hyper_params.study.create()?;
            let mut arguments = vec!["grid".into(), args.file.clone().into()];
            arguments.extend(["--cell".into(), trial.name().into()]);
            arguments.extend(["--runs-dir".into(), args.runs.runs_dir.clone().into()]);
            arguments.extend(args.cache.flags());
            Ok(Job {
                arguments,
                log: trial.trial.log_path(),
            })
        },
        |of_sweep, outcome, seconds| {
            let trial = &of_sweep.trial;
            // A killed process cannot save the reason. If another command trains the trial, it has not
            // failed.
            if let Outcome::Failed(failure) = outcome
                && !trial.is_in_training()
                && !matches!(trial.state(), TrialState::Failed(_))
                && let Err(error) = trial.save_failure(failure)
            {
                warning!("{}", reason(&error));
            }
            let result = || describe_scores(trial, seconds);
            print_outcome(&of_sweep.name(), trial, outcome, result);
        },
    )?;
    let summary = sweep.summary()?;
    sweep.write_summary(&summary)?;
    let retry = format!(
        "train them again with `emovox grid {} --run --failed`",
        shell_word(&args.file.display().to_string())
    );
    finish(&summary.text(), &sweep.folder, stop, failed, &retry)
}
