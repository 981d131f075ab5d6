//! `emovox train`: recordings in; a trained model, its curves and an honest score out.

mod args;
mod say;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use super::progress::bar;
use super::{find_own, open_corpus, tell_skipped};
use emovox::config::RunConfig;
use emovox::corpus::Corpus;
use emovox::dataset::Loaded;
use emovox::device;
use emovox::experiment::Experiment;
use emovox::run::RunFolder;

pub use args::TrainArgs;
use args::{apply_what_may_change, configure};
use say::{describe, describe_split, train_with_bar};

pub fn run(args: TrainArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let experiment = match &args.resume {
        Some(name) => resume(&args, name)?,
        None => begin(&args)?,
    };
    let run = &experiment.run;
    describe_split(&experiment.loaded.clips, &experiment.split);
    let model = experiment.model()?;
    println!(
        "model {}: {} parameters, on {}\n",
        experiment.config.model.arch(),
        model.parameter_count(),
        device::name(model.device())
    );
    if run.report_json().exists() {
        println!(
            "the test part of this run was scored before, and will be again at the end: to choose \
             between trainings by it would be to train on it\n"
        );
    }
    let progress = train_with_bar(&experiment, &model)?;
    let report = experiment.score(&model, &progress)?;

    println!("\n{}", report.text());
    let folder = run.path().display();
    println!("{folder} holds everything; look at {folder}/curves.png and {folder}/confusion.png");
    println!("hear more: emovox predict {} FILE.wav", run.name());
    println!("took {:.0} s", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// What can be checked is checked before the first recording is read.
fn begin(args: &TrainArgs) -> Result<Experiment> {
    let config = configure(args)?;
    config.validate()?;
    config.training.device.resolve()?;
    let (runs, name) = (&args.runs.runs_dir, args.run.as_deref());
    if let Some(name) = name {
        RunFolder::check_free(runs, name)?;
    }
    let corpus = open_corpus(&config.data.folder, config.data.corpus)?;
    describe(&corpus);
    let loaded = load(&corpus, &config)?;
    Experiment::begin(config, &corpus, loaded, runs, name)
}

fn resume(args: &TrainArgs, name: &str) -> Result<Experiment> {
    let run = RunFolder::open(&args.runs.runs_dir, name)?;
    let mut config = RunConfig::read(&run.config_toml())?;
    apply_what_may_change(args, &mut config.training);
    config.validate()?;
    config.training.device.resolve()?;
    let own = find_own(&run, &config, args.data.as_deref())?;
    let loaded = load(&own.corpus, &config)?;
    Experiment::resume(run, config, own, loaded)
}

fn load(corpus: &Corpus, config: &RunConfig) -> Result<Loaded> {
    let bar = bar(corpus.clips.len(), "features", "clips");
    let loaded = Loaded::read(corpus, &config.audio, &config.features, || bar.inc(1))?;
    bar.finish_and_clear();
    tell_skipped(&loaded.skipped);
    Ok(loaded)
}
