//! `emovox cross-validate`: a training for each fold, so that every speaker is a test speaker once.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;

use super::settings::Settings;
use super::stop::Stop;
use super::trials::{TrialArgs, describe_scores, finish};
use super::{in_folder, open_data, say, tell_corpus};
use emovox::corpus::folds::Folds;
use emovox::corpus::{self, Corpus};
use emovox::experiments::{CrossValidation, FoldPlan};
use emovox::plural::counted;

/// Train over folds by speaker: every speaker is tested once, by a model not trained on that speaker
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox cross-validate --data data/ravdess --folds 5
      five groups of speakers; each group is tested once, a tenth of the other speakers is for
      validation, the rest for training
  emovox cross-validate --data data/emodb --folds loso --seeds 1,2,3
      leave one speaker out, each fold with three seeds: mean and standard deviation
  emovox cross-validate --data data/ravdess --folds ravdess-emobox6
      the folds of a benchmark, for a comparison with its scores
  emovox cross-validate --data data/ravdess --arch mean-lstm --jobs 4
      four trainings in parallel

Each fold and seed is a trial: a run in runs/NAME/. Finished trials are not trained again, so the \
same command continues after a stop (Ctrl-C saves, as in train). On a CPU the trainings that run at \
the same time share the threads, and each has its own features in memory; the first training computes them and saves them in the \
cache for the others. The results of all trials are in runs/NAME/: report.txt, report.json, \
folds.csv, speakers.csv, predictions.csv, confusion.csv, confusion.png, recall.png (of the first \
seed) and reliability.png.")]
#[command(mut_arg("test_manifest", |manifest| manifest.hide(true)))]
pub struct CrossValidateArgs {
    #[command(flatten)]
    settings: Settings,
    /// Number of groups, loso (leave one speaker out), corpora (leave one corpus out),
    /// ravdess-emobox6, ravdess-luna5, iemocap-sessions or crema-d-emosuperb5
    #[arg(long, value_name = "FOLDS", default_value = "5")]
    folds: Folds,
    /// Corpora whose speakers are tested; those of the other corpora train in every fold
    #[arg(long, value_name = "NAME,NAME…", value_delimiter = ',')]
    test_corpora: Vec<String>,
    #[command(flatten)]
    trials: TrialArgs,
    /// Name of the cross-validation [default: CORPUS-ARCH-cv-FOLDS]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub fn run(args: &CrossValidateArgs) -> Result<ExitCode> {
    let config = args.trials.configure(&args.settings)?;
    ensure!(
        !args.settings.data.has_test_list(),
        "cross-validate tests every speaker once and has no --test-manifest; put all recordings into \
         --manifest"
    );
    let corpus = open_data(&config.data)?;
    let plan = FoldPlan::new(
        config,
        &corpus,
        args.folds,
        args.test_corpora.clone(),
        args.trials.seeds(),
    )?;
    let name = args.name.clone().unwrap_or_else(|| {
        let arch = plan.config.model.arch();
        format!("{}-{arch}-cv-{}", corpus.name(), args.folds)
    });
    train(plan, &name, &corpus, &args.trials)
}

/// Trains all folds of a plan, and prints the summary.
pub(super) fn train(
    plan: FoldPlan,
    name: &str,
    corpus: &Corpus,
    trials: &TrialArgs,
) -> Result<ExitCode> {
    let study = trials.open(plan, name)?;
    describe(&study, corpus);

    let stop = Stop::listen();
    let failed = trials.train(&study, stop, describe_scores)?;
    let summary = study.summary()?;
    study.write_summary(&summary)?;
    let retry = "run the same command again to train them";
    finish(&summary.text(), &study.folder, stop, failed, retry)
}

/// Prints the plan.
fn describe(study: &CrossValidation, corpus: &Corpus) {
    let speakers = corpus::speakers(&corpus.clips);
    let FoldPlan { fold, config, .. } = &study.plan;
    say!(
        "{}: {}, {}; folds {}, {} of {}",
        in_folder(&config.data.name(), &config.data.folder),
        counted(corpus.clips.len(), "clip"),
        counted(speakers.len(), "speaker"),
        study.plan.folds,
        counted(study.trials().len(), "trial"),
        config.model.arch(),
    );
    for fold in fold {
        say!(
            "fold {:>3}: test {}   validation {}",
            fold.name,
            corpus::first_names(&fold.test),
            corpus::first_names(&fold.validation)
        );
    }
    let missing = study.plan.missing_speakers(&speakers);
    if !missing.is_empty() {
        say!(
            "these folds were published with {} ({}), so the scores are not those of the \
             whole corpus",
            counted(missing.len(), "more speaker"),
            corpus::first_names(&missing)
        );
    }
    tell_corpus(corpus);
    if !corpus.given.is_empty() {
        say!("the test speakers of the manifest are ignored: every speaker is a test speaker once");
    }
}
