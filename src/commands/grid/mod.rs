//! `emovox grid`: a sweep described by a file, cell by cell, on this machine or through a scheduler.

mod slurm;

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser};
use tch::Device;

use super::cache::CacheArgs;
use super::cells::{Job, Outcome, train_all, train_arguments, usual_jobs};
use super::progress::bar;
use super::stop::Stop;
use super::terminal::print_text;
use super::{Cli, Runs, open_data, say, warning};
use emovox::grid::{Grid, GridCell, State, collect, write_collected};
use emovox::run::RunLock;

/// Trains a sweep: every combination of some values, over folds and seeds
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox grid sizes.toml                    lists its cells, and how far each has come
  emovox grid sizes.toml --run --jobs 4     trains them here, four side by side
  emovox grid sizes.toml --cell 7           trains one (by number or by name), as any scheduler may
  emovox grid sizes.toml --run --failed     trains again what failed
  emovox grid sizes.toml --slurm --partition gpu --gres gpu:1 --time 2:00:00
                                            a job array of what is not done
  emovox grid sizes.toml --status           where each cell is, by files and by Slurm
  emovox collect sizes.toml                 merges what is finished, also while others still train

sizes.toml:
  folds = 5                       # or \"loso\" …; without, each setting has one split
  seeds = [1, 2, 3]
  [config]                        # what all have in common, as --config takes it
  data.folder = \"data/ravdess\"
  training.epochs = 60
  [sweep]                         # any key of the configuration: a list, or a range
  model.hidden = [32, 64, 128]
  training.learning_rate = { from = 1e-3, to = 1e-2, count = 3, log = true }
  [baseline]                      # what all others are compared with
  model.hidden = 64
  training.learning_rate = 0.003

A cell shares nothing with others but the cache of features. It has a name that stays when values are
added, goes on where it was stopped, and is not trained again once it is done. So every scheduler can
run a grid that can count:
  seq 0 35 | parallel emovox grid sizes.toml --cell {}
  Kubernetes: completionMode: Indexed, command: emovox grid sizes.toml --cell $(JOB_COMPLETION_INDEX)")]
pub struct GridArgs {
    /// The file that describes the sweep
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Train the cells that are not done, on this machine
    #[arg(long, group = "what")]
    run: bool,
    /// With --run or --slurm: only the cells that failed
    #[arg(long)]
    failed: bool,
    /// Train this cell: its number from 0, or its name
    #[arg(long, value_name = "K", group = "what")]
    cell: Option<String>,
    /// Submit the cells that are not done as a job array
    #[arg(long, group = "what")]
    slurm: bool,
    /// Tell where each cell is
    #[arg(long, group = "what")]
    status: bool,
    /// With --run: trainings side by side [default: one a core; on a GPU 1]. With --slurm: at most
    /// so many at a time
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    sbatch: slurm::SbatchArgs,
    #[command(flatten)]
    runs: Runs,
    #[command(flatten)]
    cache: CacheArgs,
}

pub fn run(args: &GridArgs) -> Result<ExitCode> {
    ensure!(args.jobs != Some(0), "--jobs must be at least 1");
    let grid = open(&args.file, &args.runs.runs_dir)?;
    if let Some(named) = &args.cell {
        return train_cell(grid.cell(named)?, &grid, args);
    }
    let cells = grid.cells();
    let left: Vec<GridCell> = cells
        .iter()
        .copied()
        .filter(|cell| match cell.state() {
            State::Done => false,
            State::Failed(_) => true,
            State::Begun | State::Waiting => !args.failed,
        })
        .collect();
    if args.run || args.slurm {
        let cache = args.cache.open();
        let mut settings = grid.settings.iter();
        settings.try_for_each(|setting| setting.check(cache.as_ref()))?;
    }
    if args.run {
        return train_here(&grid, &left, args);
    }
    if args.slurm {
        return slurm::submit(&grid, &left, args);
    }
    if args.status {
        return slurm::status(&grid);
    }
    list(&grid, &cells);
    Ok(ExitCode::SUCCESS)
}

/// The grid that a file describes, with its cells below `runs`.
pub(super) fn open(file: &Path, runs: &Path) -> Result<Grid> {
    Grid::open(file, runs, open_data)
}

fn list(grid: &Grid, cells: &[GridCell]) {
    say!(
        "{}: {} settings, {} cells, in {}",
        grid.name,
        grid.settings.len(),
        cells.len(),
        grid.folder.display()
    );
    for (number, cell) in cells.iter().enumerate() {
        say!("{number:>5}  {:<8}  {}", word(&cell.state()), cell.name());
    }
    let done = cells.iter().filter(|cell| cell.state() == State::Done);
    say!("{} of {} done", done.count(), cells.len());
}

/// A state in a word.
fn word(state: &State) -> &'static str {
    match state {
        State::Done => "done",
        State::Failed(_) => "failed",
        State::Begun => "begun",
        State::Waiting => "waiting",
    }
}

/// Trains one cell in this process, so that whoever sends it a signal reaches the training.
fn train_cell(cell: GridCell, grid: &Grid, args: &GridArgs) -> Result<ExitCode> {
    let name = cell.name();
    let all = &cell.setting.all;
    if cell.state() == State::Done {
        cell.forget_failure()?;
        say!("{name} is done already");
        return Ok(ExitCode::SUCCESS);
    }
    cell.setting.check(args.cache.open().as_ref())?;
    grid.make_folder()?;
    all.make_folder()?;
    // Whoever finds it taken has nothing to add.
    let run = all.run_of(cell.cell);
    if run.exists() {
        drop(RunLock::take(&run)?);
    }
    cell.forget_failure()?;
    // As with --run: the number of threads may change the last bit.
    if std::env::var_os("OMP_NUM_THREADS").is_none() {
        tch::set_num_threads(1);
    }
    say!("cell {name}");
    let settings = tempfile::tempdir().context("cannot write a temporary file")?;
    let told = train_arguments(all, cell.cell, &args.cache.flags(), settings.path())?;
    let told = Cli::try_parse_from(std::iter::once("emovox".into()).chain(told))?;
    match panic::catch_unwind(AssertUnwindSafe(|| super::run(told))) {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(error)) => {
            cell.fail(&format!("{error:#}"))?;
            Err(error.context(format!("cell {name}")))
        }
        Err(fault) => {
            let words = fault.downcast_ref::<String>().map(String::as_str);
            let first = words.and_then(|words| words.lines().next());
            cell.fail(first.unwrap_or("emovox has a fault, or libtorch has"))?;
            panic::resume_unwind(fault)
        }
    }
}

/// Trains cells as processes of this machine, and collects.
fn train_here(grid: &Grid, left: &[GridCell], args: &GridArgs) -> Result<ExitCode> {
    let all = grid.cells().len();
    say!(
        "{}: {} settings, {all} cells, {} to train",
        grid.name,
        grid.settings.len(),
        left.len()
    );
    grid.make_folder()?;
    let stop = Stop::listen();
    let bar = bar(all, "trainings", "cells");
    bar.set_position((all - left.len()) as u64);
    bar.reset_eta();
    let devices = grid
        .settings
        .iter()
        .map(|setting| setting.all.plan.config.training.device);
    let mut on_cpu = true;
    for device in devices {
        on_cpu &= device.resolve()? == Device::Cpu;
    }
    let jobs = args.jobs.unwrap_or(usual_jobs(on_cpu));
    let outcomes = train_all(
        left,
        jobs.min(left.len()),
        stop,
        |cell| {
            cell.setting.all.make_folder()?;
            let mut arguments = vec!["grid".into(), args.file.clone().into()];
            arguments.extend(["--cell".into(), cell.name().into()]);
            arguments.extend(["--runs-dir".into(), args.runs.runs_dir.clone().into()]);
            arguments.extend(args.cache.flags());
            Ok(Job {
                arguments,
                log: cell.log(),
            })
        },
        |cell, outcome, seconds| {
            bar.inc(1);
            bar.suspend(|| tell(cell, outcome, seconds));
        },
    )?;
    bar.finish_and_clear();
    let collected = collect(grid)?;
    write_collected(grid, &collected)?;
    print_text(&format!("\n{}\n", collected.text()));
    say!("{} holds everything", grid.folder.display());
    if stop.is_asked() {
        say!("stopped; the same command goes on where it was");
        return Ok(stop.exit_code());
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Failed(_)));
    match failed.count() {
        0 => Ok(ExitCode::SUCCESS),
        failed => bail!(
            "{failed} cells failed; mend the reason, and `emovox grid {} --run --failed` does them \
             again",
            args.file.display()
        ),
    }
}

/// What became of a training.
fn tell(cell: GridCell, outcome: &Outcome, seconds: f64) {
    let name = cell.name();
    match outcome {
        Outcome::Done => match cell.setting.all.score_of(cell.cell) {
            Ok(score) => say!(
                "{name}: UAR {:.1} %   {seconds:.0} s{}",
                100.0 * score.uar,
                score.note()
            ),
            Err(error) => say!("{name}: {error:#}"),
        },
        Outcome::Failed(reason) => {
            // One that was killed could not leave a word.
            if !matches!(cell.state(), State::Failed(_))
                && let Err(error) = cell.fail(reason)
            {
                warning!("{error:#}");
            }
            warning!("{name} failed: {reason} (see {})", cell.log().display());
        }
        Outcome::Stopped(how) => say!("{name}: {how}"),
    }
}
