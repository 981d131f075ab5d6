//! `emovox cross-validate`: every speaker tests once; the number to report.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::cells::{Job, ManyArgs, Outcome, train_all, train_arguments};
use super::progress::bar;
use super::settings::Settings;
use super::stop::Stop;
use super::terminal::print_text;
use super::{open_data, say, warning};
use emovox::corpus;
use emovox::corpus::folds::Folds;
use emovox::cross_validation::{Cell, CrossValidation, Plan, read_results, write_results};
use emovox::dataset::read_contents;
use emovox::run::RunFolder;

/// Trains over folds by speaker, so that every speaker is tested once by a model that never heard it
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox cross-validate --data data/ravdess --folds 5
      five groups of speakers; each tests once, a tenth of the others validates, the rest trains
  emovox cross-validate --data data/emodb --folds loso --seeds 1,2,3
      leave one speaker out, each with three seeds: mean and standard deviation
  emovox cross-validate --data data/ravdess --folds ravdess-emobox6
      the folds of a benchmark, to compare with its numbers
  emovox cross-validate --data data/ravdess --arch mean-lstm --jobs 4
      four trainings side by side

Each fold and seed is a run of its own in runs/NAME/; a finished one is not trained again, so the
same command goes on where it was stopped (Ctrl-C saves, as it does with train). On a CPU each training
has one thread, and a set of features in memory, of its own; the first one computes them and keeps
them for the others. What they come to together stands in runs/NAME/report.txt and report.json, folds.csv, speakers.csv, predictions.csv,
confusion.csv, confusion.png, recall.png (of the first seed) and reliability.png.")]
pub struct CrossValidateArgs {
    #[command(flatten)]
    settings: Settings,
    /// ravdess-emobox6, ravdess-luna5, loso (leave one speaker out), or a number of groups
    #[arg(long, value_name = "FOLDS", default_value = "5")]
    folds: Folds,
    #[command(flatten)]
    many: ManyArgs,
    /// What it is called [default: CORPUS-ARCH-cv-FOLDS]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub fn run(args: &CrossValidateArgs) -> Result<ExitCode> {
    let (config, on_cpu) = args.many.configure(&args.settings)?;
    ensure!(
        !args.settings.data.has_test_list(),
        "every speaker tests once here, so there is no --test-manifest; one list may hold all"
    );
    let mut corpus = open_data(&config.data)?;
    let plan = Plan::new(config, &corpus, args.folds, args.many.seeds())?;
    let default = format!(
        "{}-{}-cv-{}",
        corpus.name(),
        plan.config.model.arch(),
        args.folds
    );
    let name = args.name.as_deref().unwrap_or(&default);
    RunFolder::check_name(name)?;
    let folder = args.many.runs.runs_dir.join(name);
    if plan.compares_contents(&folder) {
        read_contents(&mut corpus, args.many.cache.open().as_ref());
        plan.check(&folder, &corpus)?;
    }
    let all = CrossValidation::open(&folder, plan)?;
    describe(&all, &corpus::speakers(&corpus.clips), corpus.clips.len());
    for note in &corpus.notes {
        say!("{note}");
    }
    if !corpus.given.is_empty() {
        say!("the manifest says who tests, which is not looked at: each speaker does");
    }

    let cells = all.plan.cells();
    let left: Vec<Cell> = cells
        .iter()
        .copied()
        .filter(|&cell| !all.is_done(cell))
        .collect();
    if left.len() < cells.len() {
        say!(
            "{} of {} trainings are done already",
            cells.len() - left.len(),
            cells.len()
        );
    }
    let stop = Stop::listen();
    let bar = bar(cells.len(), "trainings", "cells");
    bar.set_position((cells.len() - left.len()) as u64);
    bar.reset_eta();
    let jobs = args.many.jobs(on_cpu);
    let settings = tempfile::tempdir().context("cannot write a temporary file")?;
    let flags = args.many.cache.flags();
    let outcomes = train_all(
        &left,
        jobs.min(left.len()),
        stop,
        |cell| {
            Ok(Job {
                arguments: train_arguments(&all, cell, &flags, settings.path())?,
                log: all.folder.join(format!("{}.log", cell.name())),
            })
        },
        |cell, outcome, seconds| {
            bar.inc(1);
            bar.suspend(|| tell(&all, cell, outcome, seconds));
        },
    )?;
    bar.finish_and_clear();

    let results = read_results(&all)?;
    write_results(&all, &results)?;
    print_text(&format!("\n{}\n", results.text()));
    say!("{} holds everything", all.folder.display());
    if stop.is_asked() {
        say!("stopped; the same command goes on where it was");
        return Ok(stop.exit_code());
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Failed(_)))
        .count();
    if failed > 0 {
        bail!("{failed} trainings failed; mend the reason, and the same command does them again");
    }
    Ok(ExitCode::SUCCESS)
}

/// What will be done.
fn describe(all: &CrossValidation, speakers: &[String], clips: usize) {
    let Plan {
        folds,
        seeds,
        fold,
        config,
        ..
    } = &all.plan;
    say!(
        "{} in {}: {clips} clips, {} speakers; folds {folds}, {} trainings of {}",
        config.data.name(),
        config.data.folder.display(),
        speakers.len(),
        fold.len() * seeds.len(),
        config.model.arch(),
    );
    for fold in fold {
        say!(
            "fold {:>3}: test {}   validation {}",
            fold.name,
            fold.test.join(", "),
            fold.validation.join(", ")
        );
    }
    let absent = all.plan.absent(speakers);
    if !absent.is_empty() {
        say!(
            "these folds were published with {} more speakers ({}): the numbers are not those of the \
             whole corpus",
            absent.len(),
            absent.join(", ")
        );
    }
}

/// What became of a training.
fn tell(all: &CrossValidation, cell: Cell, outcome: &Outcome, seconds: f64) {
    let name = cell.name();
    match outcome {
        Outcome::Done => match all.score_of(cell) {
            Ok(score) => say!(
                "{name}: UAR {:.1} %, accuracy {:.1} %   {seconds:.0} s{}",
                100.0 * score.uar,
                100.0 * score.accuracy,
                score.note()
            ),
            Err(error) => say!("{name}: {error:#}"),
        },
        Outcome::Failed(reason) => {
            let log = all.folder.join(format!("{name}.log"));
            warning!("{name} failed: {reason} (see {})", log.display());
        }
        Outcome::Stopped(how) => say!("{name}: {how}"),
    }
}
