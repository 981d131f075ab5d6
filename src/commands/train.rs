//! `emovox train`: recordings in; a trained model, its curves and an honest score out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use super::progress::bar;
use super::{CorpusName, Runs, open_corpus, tell_skipped};
use emovox::config::RunConfig;
use emovox::corpus::split::{Part, Split, SplitKind, split};
use emovox::corpus::{self, Clip, Corpus};
use emovox::dataset::Loaded;
use emovox::device::{self, DeviceChoice};
use emovox::model::{Arch, EmotionModel};
use emovox::report::{self, Report, write_curves, write_results};
use emovox::run::{RunFolder, read_split, write_split};
use emovox::training::{self, Data, Event, Progress, Spectrum, TrainingConfig};

/// Trains a model on a folder of recordings and scores it on speakers it has never heard
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox train
      the built-in synthetic demo corpus, to see that everything works
  emovox train --data data/ravdess
      speakers kept apart: the score holds for a new voice
  emovox train --data data/emodb --test-speakers 03,08 --validation-speakers 16
      these speakers test and validate, the others train
  emovox train --data data/ravdess --arch seed --split random
      the classic notebook recipe; its score says nothing about new voices
  emovox train --resume ravdess-bilstm --epochs 120
      goes on with a run, here for more epochs than were planned
  emovox train --config runs/ravdess-bilstm/config.toml --seed 2 --run second
      the same settings with another seed

The run folder runs/NAME/ holds config.toml, split.csv, metrics.csv (a line an epoch), curves.png,
confusion.png, report.txt, predictions.csv, best.ot and last.ot.")]
pub struct TrainArgs {
    /// The folder with the recordings, or `demo`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What corpus it is, if emovox does not recognise it by the file names
    #[arg(long, value_enum, conflicts_with = "resume")]
    corpus: Option<CorpusName>,
    /// The run's name [default: CORPUS-ARCH, with a number if that is taken]
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    run: Option<String>,
    #[command(flatten)]
    runs: Runs,
    /// Times that every clip is trained on [default: 60, seed: 100]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// The architecture [default: bilstm]
    #[arg(long, value_enum, conflicts_with = "resume")]
    arch: Option<ArchName>,
    /// What the parts keep apart [default: speaker]
    #[arg(long, value_enum, conflicts_with = "resume")]
    split: Option<SplitName>,
    /// Speakers that validate, separated by commas
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "resume"
    )]
    validation_speakers: Vec<String>,
    /// Speakers that test, separated by commas
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "resume"
    )]
    test_speakers: Vec<String>,
    /// Share of the speakers (or clips) that validate [default: 0.15]
    #[arg(long, value_name = "X", conflicts_with = "resume")]
    validation_fraction: Option<f64>,
    /// Share of the speakers (or clips) that test [default: 0.2]
    #[arg(long, value_name = "X", conflicts_with = "resume")]
    test_fraction: Option<f64>,
    /// Draws the split [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    split_seed: Option<u64>,
    /// Clips per step [default: 32, seed: 64]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    batch_size: Option<usize>,
    /// The highest learning rate [default: 0.003, seed: 0.001]
    #[arg(long, value_name = "X", conflicts_with = "resume")]
    learning_rate: Option<f64>,
    /// Weigh each class by how rare it is
    #[arg(long, conflicts_with = "resume")]
    class_weights: bool,
    /// Stop when N epochs brought no better validation UAR (0: never) [default: 0]
    #[arg(long, value_name = "N")]
    early_stopping: Option<usize>,
    /// Draws weights, order, dropout and augmentation [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    seed: Option<u64>,
    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Settings in TOML, as a run writes them; flags win over it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Go on with this run from its last.ot
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ArchName {
    /// Bidirectional LSTM over the MFCC frames, pooled by attention
    Bilstm,
    /// LSTM over 40 time-averaged MFCCs, the recipe emovox comes from
    Seed,
}

#[derive(Clone, Copy, ValueEnum)]
enum SplitName {
    /// No voice is in two parts
    Speaker,
    /// Clips at random; voices are shared
    Random,
}

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

/// The recipe, what the file says over it, what the flags say over both.
fn configure(args: &TrainArgs) -> Result<RunConfig> {
    let arch = args.arch.map(|arch| match arch {
        ArchName::Bilstm => Arch::Bilstm,
        ArchName::Seed => Arch::Seed,
    });
    let mut config = match &args.config {
        Some(file) => RunConfig::over_recipe(file, arch)?,
        None => RunConfig::recipe(arch.unwrap_or_default()),
    };
    if let Some(data) = &args.data {
        config.data.folder = data.clone();
        config.data.corpus = None;
    }
    if let Some(corpus) = args.corpus {
        config.data.corpus = Some(corpus.into());
    }

    let split = &mut config.split;
    if let Some(kind) = args.split {
        split.kind = match kind {
            SplitName::Speaker => SplitKind::Speaker,
            SplitName::Random => SplitKind::Random,
        };
    }
    if !args.validation_speakers.is_empty() {
        split.validation_speakers = args.validation_speakers.clone();
    }
    if !args.test_speakers.is_empty() {
        split.test_speakers = args.test_speakers.clone();
    }
    set(&mut split.validation_fraction, args.validation_fraction);
    set(&mut split.test_fraction, args.test_fraction);
    set(&mut split.seed, args.split_seed);

    let training = &mut config.training;
    set(&mut training.batch_size, args.batch_size);
    set(&mut training.learning_rate, args.learning_rate);
    set(&mut training.seed, args.seed);
    training.class_weights |= args.class_weights;
    apply_what_may_change(args, training);
    Ok(config)
}

/// The settings that a resumed run may change and still be the same run.
fn apply_what_may_change(args: &TrainArgs, training: &mut TrainingConfig) {
    set(&mut training.epochs, args.epochs);
    set(&mut training.early_stopping, args.early_stopping);
    set(&mut training.device, args.device);
}

fn set<T: Copy>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}

fn load(corpus: &Corpus, config: &RunConfig) -> Result<Loaded> {
    let bar = bar(corpus.clips.len(), "features", "clips");
    let loaded = Loaded::read(corpus, &config.audio, &config.features, || bar.inc(1));
    bar.finish_and_clear();
    loaded
}

fn train_with_bar(
    model: &EmotionModel,
    data: &Data,
    config: &TrainingConfig,
    run: &RunFolder,
) -> Result<Progress> {
    let bar = bar(1, "training", "steps");
    let progress = training::train(model, data, config, run, |event| match event {
        Event::Step { epoch, step, steps } => {
            bar.set_length((config.epochs * steps) as u64);
            if bar.position() == 0 {
                // A resumed training starts in the middle; its rate must not count what was done.
                bar.set_position(((epoch - 1) * steps) as u64);
                bar.reset_eta();
            }
            bar.set_position(((epoch - 1) * steps + step) as u64);
        }
        Event::Epoch { record, best } => bar.suspend(|| {
            println!(
                "epoch {:>3}/{}  train loss {:.3}, accuracy {:>5.1} %   validation loss {:.3}, \
                 accuracy {:>5.1} %, UAR {:>5.1} %   {:.1} s{}",
                record.epoch,
                config.epochs,
                record.train_loss,
                100.0 * record.train_accuracy,
                record.validation_loss,
                100.0 * record.validation_accuracy,
                100.0 * record.validation_uar,
                record.seconds,
                if best { "  best" } else { "" }
            );
        }),
        Event::StoppedEarly { epoch } => bar.suspend(|| {
            println!(
                "stopped after epoch {epoch}: {} epochs without a better validation UAR",
                config.early_stopping
            );
        }),
    });
    bar.finish_and_clear();
    progress
}

fn describe(corpus: &Corpus) {
    let classes = corpus::classes(&corpus.clips);
    println!(
        "corpus {} in {}: {} clips, {} speakers, {} classes ({}){}",
        corpus.kind,
        corpus.folder.display(),
        corpus.clips.len(),
        corpus::speakers(&corpus.clips).len(),
        classes.len(),
        classes.join(", "),
        if corpus.kind.is_synthetic() {
            "; synthetic, not people"
        } else {
            ""
        }
    );
    if let Some(first) = corpus.unrecognised.first() {
        println!(
            "{} WAV files do not follow its naming rule and are left out, such as {}",
            corpus.unrecognised.len(),
            first.display()
        );
    }
}

fn describe_split(clips: &[Clip], split: &Split) {
    for part in Part::ALL {
        let indices = split.indices(part);
        let of_part: Vec<Clip> = indices.iter().map(|&index| clips[index].clone()).collect();
        let speakers = corpus::speakers(&of_part);
        let who = match speakers.as_slice() {
            [unknown] if unknown.is_empty() => "unknown speakers".to_string(),
            _ => format!("{} speakers ({})", speakers.len(), speakers.join(", ")),
        };
        println!("{part:>10}: {:>5} clips, {who}", indices.len());
    }
    match split.shared.note() {
        Some(note) if split.shared.test_is_unheard() => {
            println!("{note}; the test part is still of voices never heard");
        }
        Some(note) => println!("{note}; the scores say nothing about voices never heard"),
        None => {}
    }
}
