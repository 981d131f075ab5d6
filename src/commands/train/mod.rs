//! `emovox train`: recordings in; a trained model, its curves and an honest score out.

mod args;
mod follow;
mod say;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use super::cache::tell_uncached;
use super::progress::bar;
use super::stop::Stop;
use super::{find_own, open_data, say, tell_skipped, typed};
use emovox::config::RunConfig;
use emovox::corpus::Corpus;
use emovox::corpus::split::SplitKind;
use emovox::dataset::Loaded;
use emovox::device;
use emovox::experiment::{Experiment, saved_progress};
use emovox::run::RunFolder;
use emovox::training::Explosion;

pub use args::TrainArgs;
use args::{configure, configure_resumed, keeps_parts};
use follow::Follower;
use say::{describe, describe_head, describe_place, describe_split, interrupted, train_with_bar};

pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let mut experiment = match &args.resume {
        Some(name) => resume(args, name)?,
        None => begin(args)?,
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
    describe_head(&experiment);
    if experiment.scored_before {
        say!(
            "the test part of this run was scored before, and will be again at the end: to choose \
             between trainings by it would be to train on it"
        );
    }
    say!("");
    let stop = Stop::listen()?;
    let mut follower = Follower::new(&experiment, args.tensorboard);
    let progress = train_with_bar(&experiment, &model, stop.asked(), &mut follower)
        .map_err(|error| kept(error, run))?;
    if !progress.is_over(&experiment.config.training) {
        interrupted(&progress, &how_to_go_on(run));
        return Ok(stop.exit_code());
    }
    stop.no_more_to_save();
    let report = experiment.score(&model, &progress)?;

    say!("\n{}", report.text());
    let folder = run.path().display();
    say!("{folder} holds everything; look at {folder}/curves.png and {folder}/confusion.png");
    say!("hear its test clips: emovox report {}", typed(run));
    say!("hear more: emovox predict {} FILE.wav", typed(run));
    say!("took {:.0} s", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// What can be checked is checked before the first recording is read.
fn begin(args: &TrainArgs) -> Result<Experiment> {
    let mut config = configure(args)?;
    config.validate()?;
    config.training.device.resolve()?;
    let (runs, name) = (&args.runs.runs_dir, args.run.as_deref());
    if let Some(name) = name {
        RunFolder::check_free(runs, name)?;
    }
    if let Some(weights) = &config.training.init_weights
        && !weights.is_file()
    {
        bail!(
            "there is no file {}; --init-weights takes an .ot file",
            weights.display()
        );
    }
    let corpus = open_data(&config.data)?;
    if keeps_parts(args, &corpus) {
        config.split.kind = SplitKind::Given;
    }
    describe(&corpus, &config);
    if let (true, Some(first)) = (args.strict, corpus.skipped.first()) {
        bail!(
            "{}: {} (--strict)",
            corpus.folder.join(&first.file).display(),
            first.reason
        );
    }
    let loaded = load(&corpus, &config, args)?;
    Experiment::begin(config, &corpus, loaded, runs, name)
}

fn resume(args: &TrainArgs, name: &str) -> Result<Experiment> {
    let run = RunFolder::open(&args.runs.runs_dir, name)?;
    let lock = run.lock()?;
    let config = configure_resumed(args, &run)?;
    config.validate()?;
    config.training.device.resolve()?;
    let progress = saved_progress(&run, &config, args.from_previous)?;
    describe_place(&run, &progress);
    let own = find_own(&run, &config, args.settings.data.moved()?)?;
    let loaded = load(&own.corpus, &config, args)?;
    Experiment::resume(run, lock, config, &progress, own, loaded)
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
