//! `emovox train`: trains a model on recordings, draws its curves and scores it on the test subset.

mod args;
mod messages;
mod monitor;

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use super::cache::tell_uncached;
use super::progress::bar;
use super::stop::Stop;
use super::terminal::{be_quiet, print_error, print_text};
use super::{
    failure, find_own, open_data, say, tell_changes, tell_first_skipped, tell_skipped,
    tell_skipped_sounds, typed, warn_of_cpu,
};
use emovox::config::RunConfig;
use emovox::corpus::Corpus;
use emovox::corpus::split::SplitKind;
use emovox::dataset::FeatureDataset;
use emovox::device::{self, DeviceChoice};
use emovox::distributed::ProcessGroup;
use emovox::experiments::{Experiment, SavedRun, saved_progress};
use emovox::process;
use emovox::reason::panic_message;
use emovox::run::RunFolder;
use emovox::training::{Balance, NonFiniteLoss};

pub use args::TrainArgs;
use args::{configure, configure_resumed, keeps_subsets};
use messages::{
    describe, describe_final, describe_head, describe_long, describe_place, describe_split,
    interrupted, train_with_bar,
};
use monitor::TrainingMonitor;

pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    let group = ProcessGroup::join(
        |message| say!("{message}"),
        |reason| {
            // The training may wait for the process that has ended.
            print_error(reason);
            // Exit handlers could wait for that process too.
            process::exit_at_once(1);
        },
    )?;
    if !group.is_distributed() {
        return train(args, &group);
    }
    if !group.is_main() {
        be_quiet();
    }
    say!("{} processes train one model", group.world_size());
    match panic::catch_unwind(AssertUnwindSafe(|| train(args, &group))) {
        Ok(trained) => trained.map_err(|error| group.fail(error)),
        Err(panicked) => {
            let first = panic_message(&*panicked).lines().next();
            group.fail(anyhow!("{}", first.unwrap_or("internal error")));
            panic::resume_unwind(panicked)
        }
    }
}

fn train(args: &TrainArgs, group: &ProcessGroup) -> Result<ExitCode> {
    let started = Instant::now();
    let mut experiment = match &args.resume {
        Some(name) => resume(args, name, group)?,
        None => begin(args, group)?,
    };
    let run = &experiment.run.clone();
    describe_split(&experiment);
    let model = experiment.model()?;
    say!(
        "model {}: {} parameters, on {}",
        experiment.config.model.arch(),
        model.parameter_count(),
        device::name(model.device())
    );
    if group.is_distributed() {
        let collectives = group.collectives(model.device());
        say!("gradients are summed by {collectives}");
    }
    describe_head(&experiment);
    describe_long(&experiment);
    tell_skipped_sounds(&experiment.noise, "recordings of noise");
    if experiment.scored_before {
        say!(
            "the test subset of this run was scored before, and will be scored again at the end; do \
             not select a training by this score, because that would be training on the test subset"
        );
    }
    say!("");
    let stop = Stop::listen();
    let mut monitor = TrainingMonitor::new(&experiment, args.tensorboard);
    // The training itself does not need the noise, which can be 200 MB.
    let noise = mem::take(&mut experiment.noise);
    let progress = failure::training(|| {
        train_with_bar(&experiment, &model, noise, stop.asked(), &mut monitor)
    })
    .map_err(|error| with_resume_command(error, run))?;
    if !progress.is_over(&experiment.config.training) {
        interrupted(&progress, &resume_command(run));
        return Ok(stop.exit_code());
    }
    stop.no_more_to_save();
    if !group.is_main() {
        return Ok(ExitCode::SUCCESS);
    }
    if experiment.is_final() {
        scoring(run, || experiment.finish(&model))?;
        describe_final(&experiment);
        say!("duration {:.0} s", started.elapsed().as_secs_f64());
        return Ok(ExitCode::SUCCESS);
    }
    let report = scoring(run, || experiment.score(&model, &progress))?;

    print_text(&format!("\n{}\n", report.text()));
    let folder = run.path().display();
    say!("all results are in {folder}; see {folder}/curves.png and {folder}/confusion.png");
    say!("play the test clips: emovox report {}", typed(run));
    say!(
        "predict other recordings: emovox predict {} FILE.wav",
        typed(run)
    );
    say!("duration {:.0} s", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// Starts a new run. Everything that needs no recording is checked before the first one is read.
fn begin(args: &TrainArgs, group: &ProcessGroup) -> Result<Experiment> {
    let mut config = configure(args)?;
    config.validate()?;
    check_device(config.training.device, group)?;
    let (runs, name) = (&args.runs.runs_dir, args.run.as_deref());
    if let Some(name) = name
        && group.is_main()
    {
        RunFolder::check_free(runs, name)?;
    }
    if config.data.sources.len() < 2
        && let balance @ (Balance::Corpus | Balance::CorpusClass) = config.training.balance
    {
        bail!(
            "--balance {balance} needs several corpora (--data NAME=DIR for each); for one corpus, \
             --balance class balances the classes"
        );
    }
    // This may make the demo corpus and compute features.
    let open = || {
        let corpus = open_data(&config.data)?;
        if keeps_subsets(args, &config, &corpus) {
            config.split.kind = SplitKind::Given;
        }
        describe(&corpus, &config);
        refuse_skipped(&corpus, args)?;
        let loaded = load(&corpus, &config, args)?;
        Ok((corpus, loaded))
    };
    let (corpus, loaded) = group.main_of_machine_first(open)?;
    // The run folder is made only when all processes can train.
    group.wait_for_all()?;
    Experiment::begin(config, &corpus, loaded, runs, name, group.clone())
}

/// Checks the device before anything else takes time.
fn check_device(choice: DeviceChoice, group: &ProcessGroup) -> Result<()> {
    choice.resolve_for(group.local_rank())?;
    warn_of_cpu(choice.why_cpu(group.local_rank()));
    Ok(())
}

fn refuse_skipped(corpus: &Corpus, args: &TrainArgs) -> Result<()> {
    if let (true, Some(first)) = (args.strict, corpus.skipped.first()) {
        bail!(
            "{}: {} (--strict)",
            first.file.below(&corpus.folder),
            first.reason
        );
    }
    Ok(())
}

fn resume(args: &TrainArgs, name: &str, group: &ProcessGroup) -> Result<Experiment> {
    let run = RunFolder::open(&args.runs.runs_dir, name)?;
    let lock = group.is_main().then(|| run.lock()).transpose()?;
    let config = configure_resumed(args, &run)?;
    config.validate()?;
    check_device(config.training.device, group)?;
    let own = find_own(&run, &config, args.settings.data.moved()?)?;
    // All processes need the result.
    let progress = group.main_first(|| saved_progress(&run, &config, &own, args.from_previous))?;
    describe_place(&run, &progress);
    if group.is_main() {
        tell_changes(&run, &own, &config)?;
    }
    let loaded = group.main_of_machine_first(|| load(&own.corpus, &config, args))?;
    let saved = SavedRun {
        run: run.clone(),
        lock,
        is_trained: progress.is_over(&config.training),
        config,
        own,
    };
    let experiment = Experiment::resume(saved, loaded, group.clone())?;
    // Files are changed only after the check that the recordings are those of the run.
    if args.from_previous && group.is_main() {
        run.set_aside_last()?;
    }
    Ok(experiment)
}

fn load(corpus: &Corpus, config: &RunConfig, args: &TrainArgs) -> Result<FeatureDataset> {
    let bar = bar(corpus.clips.len(), "features", "clips");
    let cache = args.cache.open();
    let (audio, features) = (&config.audio, &config.features);
    let loaded = FeatureDataset::read(corpus, audio, features, cache.as_ref(), || bar.inc(1))?;
    bar.finish_and_clear();
    tell_uncached(&loaded);
    if let (true, Some(first)) = (args.strict, loaded.skipped.first()) {
        bail!(
            "{}: {} (--strict)",
            first.file.below(&corpus.folder),
            first.reason
        );
    }
    match args.resume {
        Some(_) => tell_skipped(&loaded.skipped),
        None => tell_first_skipped(&loaded.skipped),
    }
    Ok(loaded)
}

/// Adds the command that continues the run to an error of the training.
fn with_resume_command(error: anyhow::Error, run: &RunFolder) -> anyhow::Error {
    if error.is::<NonFiniteLoss>() {
        return error;
    }
    let command = resume_command(run);
    let has_state = run.last_ot().exists() || run.previous_ot().exists();
    error.context(if has_state {
        format!(
            "the training stopped; its saved state remains, and `{command}` continues from it after \
             the problem is fixed"
        )
    } else {
        format!(
            "the training stopped before its first saved state; `{command}` starts it again after the \
             problem is fixed"
        )
    })
}

/// Runs the work after a training, and adds the command that repeats it to an error.
fn scoring<T>(run: &RunFolder, score: impl FnOnce() -> Result<T>) -> Result<T> {
    failure::training(score).with_context(|| {
        let command = resume_command(run);
        format!(
            "the training is complete, but not its results; `{command}` makes them after the problem is \
             fixed"
        )
    })
}

/// The command that continues a run.
fn resume_command(run: &RunFolder) -> String {
    format!("emovox train --resume {}", typed(run))
}
