//! `emovox cross-corpus`: trains on each of several corpora and tests on all of them.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::cross_validate;
use super::progress::bar;
use super::settings::Settings;
use super::stop::Stop;
use super::trials::{TrialArgs, finish};
use super::{open_data, say, tell_corpus, tell_skipped};
use emovox::corpus::folds::Folds;
use emovox::experiments::{CorpusPlan, CrossCorpus, FoldPlan, predict_corpus};
use emovox::plural::counted;

/// Train on each of several corpora and test on all of them: a matrix
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox cross-corpus --data ravdess=data/ravdess --data emodb=data/emodb
      four scores: the model of each corpus is tested on each corpus
  emovox cross-corpus --data ravdess=data/ravdess --data emodb=data/emodb --seeds 1,2,3 \\
      --labels anger,happiness,neutral,sadness
      only these labels, with three trainings per corpus
  emovox cross-corpus --leave-one-out --data a=DIR --data b=DIR --data c=DIR --balance corpus-class
      three trainings: each is tested on the corpus that it was not trained on

Only the labels that all corpora have are used: calm and boredom count as neutral, and pleasant \
surprise as surprise, if one of the corpora lacks them; --map changes that, and the command \
prints what it does. On its own corpus a model is tested on speakers that it was not trained on \
(a fifth of the speakers, drawn by --split-seed), on another corpus on all clips.

Each training is a run in runs/NAME/. Finished trainings and predictions are not repeated, so the \
same command continues after a stop. Results are in runs/NAME/: report.txt, report.json, \
pairs.csv, matrix.png and a confusion matrix for each pair.")]
#[command(mut_arg("test_manifest", |manifest| manifest.hide(true)))]
pub struct CrossCorpusArgs {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    trials: TrialArgs,
    /// Train on all corpora but one and test on that one, for each: no matrix, but the results of a
    /// cross-validation
    #[arg(long)]
    leave_one_out: bool,
    /// Name of the matrix [default: CORPUS+CORPUS-ARCH-cross, or …-cv-corpora with --leave-one-out]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub fn run(args: &CrossCorpusArgs) -> Result<ExitCode> {
    let config = args.trials.configure(&args.settings)?;
    let merged = open_data(&config.data)?;
    if args.leave_one_out {
        let (folds, seeds) = (Folds::Corpora, args.trials.seeds());
        let plan = FoldPlan::new(config, &merged, folds, Vec::new(), seeds)?;
        let arch = plan.config.model.arch();
        let name = args.name.clone();
        let name = name.unwrap_or_else(|| format!("{}-{arch}-cv-{folds}", merged.name()));
        return cross_validate::train(plan, &name, &merged, &args.trials);
    }
    let plan = CorpusPlan::new(config, &merged, args.trials.seeds())?;
    let name = args.name.clone().unwrap_or_else(|| {
        let arch = plan.config.model.arch();
        format!("{}-{arch}-cross", merged.name())
    });
    let study = args.trials.open(plan, &name)?;
    describe(&study);
    tell_corpus(&merged);

    let stop = Stop::listen();
    let failed = args.trials.train(&study, stop, |_, seconds| {
        Ok(format!("trained   {seconds:.0} s"))
    })?;
    predict(&study, args, stop)?;
    let summary = study.summary()?;
    study.write_summary(&summary)?;
    let retry = "run the same command again to train them";
    finish(&summary.text(), &study.folder, stop, failed, retry)
}

/// Prints the plan.
fn describe(study: &CrossCorpus) {
    let plan = &study.plan;
    say!(
        "{} corpora, {} labels ({}); {} of {}",
        plan.corpus.len(),
        plan.labels.len(),
        plan.labels.join(", "),
        counted(study.trials().len(), "trial"),
        plan.config.model.arch()
    );
    for corpus in &plan.corpus {
        say!(
            "{}: {} in {}, {}",
            corpus.name,
            corpus.data.name(),
            corpus.data.folder.display(),
            counted(corpus.clips, "clip")
        );
    }
}

/// Predicts each corpus with the models of the other corpora.
fn predict(study: &CrossCorpus, args: &CrossCorpusArgs, stop: &Stop) -> Result<()> {
    let cache = args.trials.cache.open();
    for corpus in &study.plan.corpus {
        if stop.is_asked() {
            break;
        }
        let bar = bar(corpus.clips, &format!("reading {}", corpus.name), "clips");
        let skipped = predict_corpus(
            study,
            corpus,
            cache.as_ref(),
            || bar.inc(1),
            || stop.is_asked(),
        )?;
        bar.finish_and_clear();
        tell_skipped(&skipped);
    }
    Ok(())
}
