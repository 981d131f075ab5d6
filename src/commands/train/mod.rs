//! `emovox train`: recordings in; a trained model, its curves and an honest score out.

mod args;
mod say;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::progress::bar;
use super::{open_corpus, tell_skipped};
use emovox::config::RunConfig;
use emovox::corpus::split::{Part, Split, split};
use emovox::corpus::{self, Clip, Corpus};
use emovox::dataset::Loaded;
use emovox::device;
use emovox::report::{self, Report, write_curves, write_results};
use emovox::run::{RunFolder, read_split, write_split};
use emovox::training::{self, Data, Spectrum};

pub use args::TrainArgs;
use args::{apply_what_may_change, configure};
use say::{describe, describe_split, train_with_bar};

pub fn run(args: TrainArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let prepared = match &args.resume {
        Some(name) => resume(&args, name)?,
        None => begin(&args)?,
    };
    let Prepared {
        run,
        config,
        corpus,
        loaded,
        split,
        device,
    } = prepared;
    config.write(&run.config_toml())?;

    let classes = &config.data.classes;
    let indices = Part::ALL.map(|part| split.indices(part));
    let [train, validation, test] = &indices;
    let model = training::fresh_model(
        &config.model,
        config.training.seed,
        config.features.coefficients(),
        classes.len(),
        device,
    );
    if config.model.normalise() {
        loaded.fit(train, classes, model.normalisation())?;
    }
    let tensors = |part: &[usize]| loaded.tensors(part, classes, model.normalisation(), device);
    let data = Data {
        train: tensors(train)?,
        validation: tensors(validation)?,
        spectrum: Spectrum::new(
            &config.training.augmentation,
            &config.features,
            config.audio.sample_rate,
            model.normalisation(),
            device,
        )?,
        classes: classes.clone(),
    };

    println!(
        "model {}: {} parameters, on {}\n",
        config.model.arch(),
        model.parameter_count(),
        device::name(device)
    );
    let progress = train_with_bar(&model, &data, &config.training, &run)?;
    let note = report::note(corpus.kind.is_synthetic(), split.shared.note());
    write_curves(&run, progress.best_epoch, note)?;

    // The test part, for the first and only time, by the weights that validation chose.
    training::load_best(&model, &run)?;
    let (predictions, _) =
        training::score(&model, &tensors(test)?, classes, config.training.batch_size)?;
    let report = Report {
        run: run.name(),
        corpus: corpus.kind.to_string(),
        part: Part::Test.to_string(),
        speakers_shared: split.shared.any(),
        shared_parts: split.shared.note().unwrap_or_default(),
        synthetic: corpus.kind.is_synthetic(),
        epoch: Some(progress.best_epoch),
        skipped_recordings: config.data.skipped,
        unknown_label: 0,
        metrics: predictions.metrics(),
    };
    let clips: Vec<&Clip> = test.iter().map(|&index| &loaded.clips[index]).collect();
    write_results(&run, &report, &clips, &predictions)?;

    println!("\n{}", report.text());
    let folder = run.path().display();
    println!("{folder} holds everything; look at {folder}/curves.png and {folder}/confusion.png");
    println!("hear more: emovox predict {} FILE.wav", run.name());
    println!("took {:.0} s", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// All that a training needs, checked.
struct Prepared {
    run: RunFolder,
    config: RunConfig,
    corpus: Corpus,
    loaded: Loaded,
    split: Split,
    device: tch::Device,
}

/// A new run: nothing is written before everything that can be checked is.
fn begin(args: &TrainArgs) -> Result<Prepared> {
    let mut config = configure(args)?;
    config.validate()?;
    let device = config.training.device.resolve()?;
    if let Some(name) = &args.run {
        RunFolder::check_free(&args.runs.runs_dir, name)?;
    }

    let corpus = open_corpus(&config.data.folder, config.data.corpus)?;
    describe(&corpus);
    let loaded = load(&corpus, &config)?;
    tell_skipped(&loaded.skipped);
    let split = split(&loaded.clips, &config.split)?;

    config.data.folder = std::fs::canonicalize(&corpus.folder)
        .with_context(|| format!("cannot find {} again", corpus.folder.display()))?;
    config.data.corpus = Some(corpus.kind);
    config.data.classes = corpus::classes(&loaded.clips);
    config.data.skipped = loaded.skipped.len();

    let base = format!("{}-{}", corpus.kind, config.model.arch());
    let name = match &args.run {
        Some(name) => name.clone(),
        None => RunFolder::free_name(&args.runs.runs_dir, &base),
    };
    let run = RunFolder::create(&args.runs.runs_dir, &name)?;
    write_split(&run.split_csv(), &loaded.clips, &split.parts)?;
    describe_split(&loaded.clips, &split);
    Ok(Prepared {
        run,
        config,
        corpus,
        loaded,
        split,
        device,
    })
}

/// A run that goes on: the clips and parts are those that it began with.
fn resume(args: &TrainArgs, name: &str) -> Result<Prepared> {
    let run = RunFolder::open(&args.runs.runs_dir, name)?;
    let mut config = RunConfig::read(&run.config_toml())?;
    if let Some(data) = &args.data {
        config.data.folder = data.clone();
    }
    apply_what_may_change(args, &mut config.training);
    config.validate()?;
    let device = config.training.device.resolve()?;

    let (clips, parts) = read_split(&run.split_csv())?;
    let kind = config
        .data
        .corpus
        .context("config.toml does not say which corpus it is")?;
    let folder = config.data.folder.clone();
    ensure!(
        folder.is_dir(),
        "the recordings of this run were in {}, which is gone; --data tells where they are now",
        folder.display()
    );
    let corpus = Corpus {
        kind,
        folder,
        clips,
        unrecognised: Vec::new(),
    };
    let loaded = load(&corpus, &config)?;
    if let Some(lost) = loaded.skipped.first() {
        bail!(
            "{} of the run's recordings cannot be read any more, so it would become another run; \
             the first is {}: {}",
            loaded.skipped.len(),
            lost.file.display(),
            lost.reason
        );
    }
    let split = Split::new(&loaded.clips, parts);
    describe_split(&loaded.clips, &split);
    Ok(Prepared {
        run,
        config,
        corpus,
        loaded,
        split,
        device,
    })
}

fn load(corpus: &Corpus, config: &RunConfig) -> Result<Loaded> {
    let bar = bar(corpus.clips.len(), "features", "clips");
    let loaded = Loaded::read(corpus, &config.audio, &config.features, || bar.inc(1));
    bar.finish_and_clear();
    loaded
}
