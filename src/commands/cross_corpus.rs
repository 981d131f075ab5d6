//! `emovox cross-corpus`: trained on one corpus, tested on another.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::cells::{Job, ManyArgs, Outcome, train_all};
use super::progress::bar;
use super::settings::Settings;
use super::stop::Stop;
use super::terminal::print_text;
use super::{open_data, say, warning};
use emovox::cross_corpus::{CrossCorpus, Plan, Training, hear_others, read_results, write_results};
use emovox::run::RunFolder;

/// Trains on each of several corpora and tests on all of them: a matrix
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox cross-corpus --data ravdess=data/ravdess --data emodb=data/emodb
      four scores: each corpus heard by the model of each
  emovox cross-corpus --data ravdess=data/ravdess --data emodb=data/emodb --seeds 1,2,3 \\
      --labels anger,happiness,neutral,sadness
      of these labels only, with three trainings each

All corpora are brought to the labels that they have in common: calm and boredom count as neutral, and
pleasant surprise as surprise, where one of them lacks the former; --map decides otherwise, and what
was done is printed. On its own corpus a training is tested on speakers that it has not heard (a fifth of
them, drawn by --split-seed), on another on all of it.

Each training is a run of its own in runs/NAME/; a finished one is not trained again, and what has been
heard is not heard again, so the same command goes on where it was stopped. What it comes to stands in
runs/NAME/report.txt and report.json, pairs.csv, matrix.png and a confusion matrix for each pair.")]
pub struct CrossCorpusArgs {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    many: ManyArgs,
    /// What it is called [default: CORPUS+CORPUS-ARCH-cross]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub fn run(args: &CrossCorpusArgs) -> Result<ExitCode> {
    let (config, on_cpu) = args.many.configure(&args.settings)?;
    let union = open_data(&config.data)?;
    let plan = Plan::new(config, &union, args.many.seeds())?;
    let default = format!("{}-{}-cross", union.name(), plan.config.model.arch());
    let name = args.name.as_deref().unwrap_or(&default);
    RunFolder::check_name(name)?;
    let folder = args.many.runs.runs_dir.join(name);
    plan.check(&folder, args.many.cache.open().as_ref())?;
    let all = CrossCorpus::open(&folder, plan)?;
    describe(&all);
    for note in &union.notes {
        say!("{note}");
    }

    let stop = Stop::listen();
    let failed = train(&all, args, stop, on_cpu)?;
    hear(&all, args, stop)?;
    let results = read_results(&all)?;
    write_results(&all, &results)?;
    print_text(&format!("\n{}\n", results.text()));
    let folder = all.folder.display();
    say!("{folder} holds everything; look at {folder}/matrix.png");
    if stop.is_asked() {
        say!("stopped; the same command goes on where it was");
        return Ok(stop.exit_code());
    }
    if failed > 0 {
        bail!("{failed} trainings failed; mend the reason, and the same command does them again");
    }
    Ok(ExitCode::SUCCESS)
}

/// What will be done.
fn describe(all: &CrossCorpus) {
    let plan = &all.plan;
    say!(
        "{} corpora, {} labels ({}); {} trainings of {}",
        plan.corpus.len(),
        plan.labels.len(),
        plan.labels.join(", "),
        plan.trainings().len(),
        plan.config.model.arch()
    );
    for member in &plan.corpus {
        let kind = member.data.name();
        say!(
            "{}: {kind} in {}, {} clips",
            member.name,
            member.data.folder.display(),
            member.clips
        );
    }
}

/// Trains what is not done; gives how many failed.
fn train(all: &CrossCorpus, args: &CrossCorpusArgs, stop: &Stop, on_cpu: bool) -> Result<usize> {
    let trainings = all.plan.trainings();
    let mut left = trainings.clone();
    left.retain(|&training| !all.is_trained(training));
    let done = trainings.len() - left.len();
    if done > 0 {
        say!("{done} of {} trainings are done already", trainings.len());
    }
    let bar = bar(trainings.len(), "trainings", "runs");
    bar.set_position(done as u64);
    bar.reset_eta();
    let jobs = args.many.jobs(on_cpu);
    let settings = tempfile::tempdir().context("cannot write a temporary file")?;
    let flags = args.many.cache.flags();
    let outcomes = train_all(
        &left,
        jobs.min(left.len()),
        stop,
        |training| {
            Ok(Job {
                arguments: arguments(all, training, &flags, settings.path())?,
                log: all.folder.join(format!("{}.log", training.name())),
            })
        },
        |training, outcome, seconds| {
            bar.inc(1);
            bar.suspend(|| tell(all, training, outcome, seconds));
        },
    )?;
    bar.finish_and_clear();
    let failed = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Failed(_)));
    Ok(failed.count())
}

/// What `emovox` is told, to begin a training or to go on with it.
fn arguments(
    all: &CrossCorpus,
    training: Training,
    flags: &[OsString],
    folder: &Path,
) -> Result<Vec<OsString>> {
    let mut arguments: Vec<OsString> = vec!["train".into()];
    arguments.extend_from_slice(flags);
    if all.run_of(training).exists() {
        let device = all.plan.config.training.device.to_string();
        arguments.extend(["--resume".into(), all.run_of(training).into()]);
        arguments.extend(["--device".into(), device.into()]);
    } else {
        let config = folder.join(format!("{}.toml", training.name()));
        all.plan.config_of(training).write(&config)?;
        arguments.extend(["--config".into(), config.into()]);
        arguments.extend(["--runs-dir".into(), all.folder.clone().into()]);
        arguments.extend(["--run".into(), training.name().into()]);
    }
    Ok(arguments)
}

/// What became of a training.
fn tell(all: &CrossCorpus, training: Training, outcome: &Outcome, seconds: f64) {
    let name = training.name();
    match outcome {
        Outcome::Done => say!("{name}: trained   {seconds:.0} s"),
        Outcome::Failed(reason) => {
            let log = all.folder.join(format!("{name}.log"));
            warning!("{name} failed: {reason} (see {})", log.display());
        }
        Outcome::Stopped(how) => say!("{name}: {how}"),
    }
}

/// Lets each training hear the other corpora.
fn hear(all: &CrossCorpus, args: &CrossCorpusArgs, stop: &Stop) -> Result<()> {
    let cache = args.many.cache.open();
    for member in &all.plan.corpus {
        if stop.is_asked() {
            break;
        }
        let bar = bar(member.clips, &format!("hearing {}", member.name), "clips");
        hear_others(
            all,
            member,
            cache.as_ref(),
            || bar.inc(1),
            || stop.is_asked(),
        )?;
        bar.finish_and_clear();
    }
    Ok(())
}
