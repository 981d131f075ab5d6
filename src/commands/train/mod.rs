//! `emovox train`: recordings in; a trained model, its curves and an honest score out.

mod args;
mod follow;
mod say;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow, bail, ensure};

use super::cache::tell_uncached;
use super::progress::bar;
use super::stop::Stop;
use super::terminal::{be_quiet, print_error, print_text};
use super::{find_own, open_data, say, tell_changes, tell_skipped, typed};
use emovox::config::RunConfig;
use emovox::corpus::Corpus;
use emovox::corpus::split::SplitKind;
use emovox::dataset::Loaded;
use emovox::device;
use emovox::distributed::Ranks;
use emovox::experiment::{Experiment, saved_progress};
use emovox::process;
use emovox::run::RunFolder;
use emovox::training::{Balance, Explosion};

pub use args::TrainArgs;
use args::{configure, configure_resumed, keeps_parts};
use follow::Follower;
use say::{
    describe, describe_head, describe_long, describe_place, describe_split, interrupted,
    train_with_bar,
};

pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    let ranks = Ranks::join(
        |who| say!("{who}"),
        |reason| {
            // The training itself may wait for the one that is gone.
            print_error(reason);
            // At once: what usually runs at an end could wait for it too.
            process::exit_at_once(1);
        },
    )?;
    if !ranks.are_several() {
        return train(args, &ranks);
    }
    if !ranks.is_first() {
        be_quiet();
    }
    // As torchrun has it: several processes of as many threads as there are cores would wait for each
    // other by spinning.
    if std::env::var_os("OMP_NUM_THREADS").is_none() {
        tch::set_num_threads(1);
    }
    say!("{} processes train together", ranks.size());
    match panic::catch_unwind(AssertUnwindSafe(|| train(args, &ranks))) {
        Ok(trained) => trained.map_err(|error| ranks.fail(error)),
        Err(fault) => {
            let words = fault.downcast_ref::<String>().map(String::as_str);
            let first = words.and_then(|words| words.lines().next());
            ranks.fail(anyhow!("{}", first.unwrap_or("a fault")));
            panic::resume_unwind(fault)
        }
    }
}

fn train(args: &TrainArgs, ranks: &Ranks) -> Result<ExitCode> {
    let started = Instant::now();
    let mut experiment = match &args.resume {
        Some(name) => resume(args, name, ranks)?,
        None => begin(args, ranks)?,
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
    if ranks.are_several() {
        let collectives = ranks.collectives(model.device());
        say!("gradients are added up by {collectives}");
    }
    describe_head(&experiment);
    describe_long(&experiment);
    if experiment.scored_before {
        say!(
            "the test part of this run was scored before, and will be again at the end: to choose \
             between trainings by it would be to train on it"
        );
    }
    say!("");
    let stop = Stop::listen();
    let mut follower = Follower::new(&experiment, args.tensorboard);
    let progress = train_with_bar(&experiment, &model, stop.asked(), &mut follower)
        .map_err(|error| kept(error, run))?;
    if !progress.is_over(&experiment.config.training) {
        interrupted(&progress, &how_to_go_on(run));
        return Ok(stop.exit_code());
    }
    stop.no_more_to_save();
    if !ranks.is_first() {
        return Ok(ExitCode::SUCCESS);
    }
    let report = experiment.score(&model, &progress)?;

    print_text(&format!("\n{}\n", report.text()));
    let folder = run.path().display();
    say!("{folder} holds everything; look at {folder}/curves.png and {folder}/confusion.png");
    say!("hear its test clips: emovox report {}", typed(run));
    say!("hear more: emovox predict {} FILE.wav", typed(run));
    say!("took {:.0} s", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// What can be checked is checked before the first recording is read.
fn begin(args: &TrainArgs, ranks: &Ranks) -> Result<Experiment> {
    let mut config = configure(args)?;
    config.validate()?;
    config.training.device.resolve()?;
    let (runs, name) = (&args.runs.runs_dir, args.run.as_deref());
    if let Some(name) = name
        && ranks.is_first()
    {
        RunFolder::check_free(runs, name)?;
    }
    if let Some(weights) = &config.training.init_weights {
        let place = weights.display();
        ensure!(
            weights.is_file(),
            "there is no file {place}; --init-weights takes an .ot file"
        );
        ensure!(
            weights.extension().is_none_or(|ending| ending != "emovox"),
            "{place} is a bundle; --init-weights takes the weights of a run folder, runs/NAME/best.ot"
        );
    }
    if config.data.sources.len() < 2
        && let balance @ (Balance::Corpus | Balance::CorpusClass) = config.training.balance
    {
        bail!(
            "--balance {balance} needs several corpora (--data NAME=DIR, given for each); of one, \
             --balance class balances the classes"
        );
    }
    // The demo corpus may have to be made, and features be computed.
    let open = || {
        let corpus = open_data(&config.data)?;
        if keeps_parts(args, &config, &corpus) {
            config.split.kind = SplitKind::Given;
        }
        describe(&corpus, &config);
        refuse_skipped(&corpus, args)?;
        let loaded = load(&corpus, &config, args)?;
        Ok((corpus, loaded))
    };
    let (corpus, loaded) = ranks.first_of_machine_first(open)?;
    // No folder is made before all can train.
    ranks.wait_for_all()?;
    Experiment::begin(config, &corpus, loaded, runs, name, ranks.clone())
}

fn refuse_skipped(corpus: &Corpus, args: &TrainArgs) -> Result<()> {
    if let (true, Some(first)) = (args.strict, corpus.skipped.first()) {
        bail!(
            "{}: {} (--strict)",
            corpus.folder.join(&first.file).display(),
            first.reason
        );
    }
    Ok(())
}

fn resume(args: &TrainArgs, name: &str, ranks: &Ranks) -> Result<Experiment> {
    let run = RunFolder::open(&args.runs.runs_dir, name)?;
    let lock = ranks.is_first().then(|| run.lock()).transpose()?;
    let config = configure_resumed(args, &run)?;
    config.validate()?;
    config.training.device.resolve()?;
    // What it finds is needed by all.
    let progress =
        ranks.first_of_all_first(|| saved_progress(&run, &config, args.from_previous))?;
    describe_place(&run, &progress);
    let own = find_own(&run, &config, args.settings.data.moved()?)?;
    if ranks.is_first() {
        tell_changes(&run, &own, &config)?;
    }
    let loaded = ranks.first_of_machine_first(|| load(&own.corpus, &config, args))?;
    let experiment = Experiment::resume(
        run.clone(),
        lock,
        config,
        &progress,
        own,
        loaded,
        ranks.clone(),
    )?;
    // Nothing was written before the recordings were known to be those of the run.
    if args.from_previous && ranks.is_first() {
        run.set_aside_last()?;
    }
    Ok(experiment)
}

fn load(corpus: &Corpus, config: &RunConfig, args: &TrainArgs) -> Result<Loaded> {
    let bar = bar(corpus.clips.len(), "features", "clips");
    let cache = args.cache.open();
    let (audio, features) = (&config.audio, &config.features);
    let loaded = Loaded::read(corpus, audio, features, cache.as_ref(), || bar.inc(1))?;
    bar.finish_and_clear();
    tell_uncached(&loaded);
    if let (true, Some(first)) = (args.strict, loaded.skipped.first()) {
        bail!(
            "{}: {} (--strict)",
            corpus.folder.join(&first.file).display(),
            first.reason
        );
    }
    tell_skipped(&loaded.skipped);
    Ok(loaded)
}

/// An error of the training, and how to go on once its cause is mended.
fn kept(error: anyhow::Error, run: &RunFolder) -> anyhow::Error {
    if error.is::<Explosion>() {
        return error;
    }
    let go_on = how_to_go_on(run);
    error.context(format!(
        "the training stopped; what it had saved is kept, and `{go_on}` goes on from there once this \
         is mended"
    ))
}

fn how_to_go_on(run: &RunFolder) -> String {
    format!("emovox train --resume {}", typed(run))
}
