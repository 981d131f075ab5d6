//! `emovox evaluate`: scores of a trained run on its own corpus or on another corpus.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use super::cache::{CacheArgs, tell_uncached};
use super::folder::FolderArgs;
use super::list::ListArgs;
use super::progress::bar;
use super::terminal::{print_json, print_text};
use super::{Runs, data_folder, find_own_of, open_data, tell_skipped, warning};
use emovox::config::RunConfig;
use emovox::corpus::split::Subset;
use emovox::corpus::{self, Clip, Corpus};
use emovox::dataset::FeatureDataset;
use emovox::device::DeviceChoice;
use emovox::evaluation::{AlignedLabels, Calibration, LabelMap};
use emovox::experiments::{Own, ScoreNotes, notes_on_others, notes_on_own, own_recordings};
use emovox::inference::{Predictor, Trained, naming_clip};
use emovox::report::Report;

/// Score a trained run: accuracy, UAR, F1, confusion matrix
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox evaluate ravdess-bilstm                      the test subset, as after the training
  emovox evaluate ravdess-bilstm --subset validation    another subset
  emovox evaluate ravdess-bilstm --data data/emodb    another corpus, its clips with known labels
  emovox evaluate ravdess-bilstm --data data/emodb --map boredom=sadness --map calm=calm
      count boredom as sadness, and calm as calm
  emovox evaluate ravdess-bilstm --manifest mine.csv --root data/mine
      the recordings in a manifest; --subset test selects its test subset
  emovox evaluate ravdess-bilstm --json               JSON for programs

On another corpus, calm and boredom count as neutral, and pleasant surprise as surprise, if the model has
only one of the two labels and the corpus only the other; the mapped labels are printed. A --map pair
applies to the model and to the recordings. Clips with another label that the model does not have are
left out and counted.")]
pub struct EvaluateArgs {
    /// Run: its name below runs/, its folder, or its bundle
    run: String,
    #[command(flatten)]
    runs: Runs,
    /// Folder of other recordings, or the new folder of the run's recordings
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    list: ListArgs,
    /// Subset to score [default: test; with another corpus: all]
    #[arg(long, value_enum, alias = "part")]
    subset: Option<SubsetName>,
    /// Replace a label of the model and of the recordings; can be repeated
    #[arg(long, value_name = "LABEL=LABEL", value_parser = pair)]
    map: Vec<(String, String)>,
    /// Print JSON, with fractions of 1
    #[arg(long)]
    json: bool,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    #[command(flatten)]
    cache: CacheArgs,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum SubsetName {
    Train,
    Validation,
    Test,
    All,
}

impl SubsetName {
    fn subset(self) -> Option<Subset> {
        match self {
            SubsetName::Train => Some(Subset::Train),
            SubsetName::Validation => Some(Subset::Validation),
            SubsetName::Test => Some(Subset::Test),
            SubsetName::All => None,
        }
    }
}

pub fn run(args: EvaluateArgs) -> Result<ExitCode> {
    args.folder.require(args.data.as_deref());
    let trained = Trained::open(&args.runs.runs_dir, &args.run)?;
    let predictor = Predictor::of(trained, args.device.resolve()?)?;
    let config = predictor.config();
    let chosen = choose(&args, predictor.trained())?;

    let progress = bar(chosen.corpus.clips.len(), "features", "clips");
    let cache = args.cache.open();
    let (audio, features) = (&config.audio, &config.features);
    let mut loaded = FeatureDataset::read(&chosen.corpus, audio, features, cache.as_ref(), || {
        progress.inc(1)
    })?;
    progress.finish_and_clear();
    tell_uncached(&loaded);
    tell_skipped(&chosen.corpus.skipped);
    tell_skipped(&loaded.skipped);
    for note in &chosen.corpus.notes {
        warning!("{note}");
    }

    let ScoreNotes {
        speakers_shared,
        mut notes,
    } = match chosen.own {
        Some(part) => {
            let recorded = &chosen.corpus.clips;
            notes_on_own(predictor.trained(), part.subset(), recorded, &loaded.clips)?
        }
        None => notes_on_others(predictor.trained(), &chosen.corpus, &loaded.clips)?,
    };
    let is_own = chosen.own.is_some();
    let labels = map_labels(&args.map, is_own, predictor.classes(), &loaded.clips)?;
    for clip in &mut loaded.clips {
        clip.label = labels.of(&clip.label);
    }
    notes.extend(labels.note());

    let classes = labels.classes();
    let all: Vec<usize> = (0..loaded.clips.len()).collect();
    let known = loaded.subset(&all, classes);
    ensure!(
        !known.clips.is_empty(),
        "no clip in {} has a label of the model ({}); --map LABEL=LABEL maps other labels to these",
        chosen.corpus.folder.display(),
        classes.join(", ")
    );
    let probabilities = predictor
        .probabilities(&known.features)
        .map_err(|error| naming_clip(error, &known.clips))?;
    let predictions = labels.predictions(probabilities, known.labels);
    let report = Report {
        run: predictor.trained().name().to_string(),
        corpus: chosen.corpus.name(),
        part: chosen.part,
        speakers_shared,
        notes,
        synthetic: chosen.corpus.kind.is_synthetic() || config.data.is_synthetic(),
        epoch: None,
        skipped_recordings: chosen.skipped_before + loaded.skipped.len(),
        unknown_label: loaded.clips.len() - known.clips.len(),
        temperature: config.calibration.temperature,
        ece_before: None,
        calibration: Calibration::of(&predictions),
        metrics: predictions.metrics(),
    };
    if args.json {
        print_json(&report.json()?)
    } else {
        print_text(&report.text())
    }
    Ok(ExitCode::SUCCESS)
}

/// Maps the classes of the model and the labels of the recordings to common labels.
fn map_labels(
    given: &[(String, String)],
    is_own: bool,
    classes: &[String],
    clips: &[Clip],
) -> Result<AlignedLabels> {
    let mut labels: Vec<String> = corpus::classes(clips);
    labels.extend_from_slice(classes);
    labels.sort();
    labels.dedup();
    // A word on the command line means what a folder with this name means.
    let label_of = |word: &str| corpus::find_label(word, &labels);
    let mut map = BTreeMap::new();
    for (word, to) in given {
        let from = label_of(word).with_context(|| {
            format!("--map {word}={to}: neither the model nor the recordings have the label {word}")
        })?;
        let to = label_of(to).unwrap_or_else(|| to.clone());
        let before = map.insert(from.clone(), to.clone());
        ensure!(
            before.is_none(),
            "--map {from}=… is given twice; a label can be mapped to only one other label"
        );
    }
    let map = if is_own {
        LabelMap::within(map)
    } else {
        LabelMap::across(map)
    };
    let labels = map.align(classes, clips.iter().map(|clip| clip.label.as_str()));
    for (from, to) in given.iter().filter(|(from, to)| from != to) {
        ensure!(
            corpus::find_label(to, labels.classes()).is_some(),
            "--map {from}={to}: the model has no label {to}; its labels are {}",
            labels.classes().join(", ")
        );
    }
    Ok(labels)
}

/// Parses LABEL=LABEL.
pub(super) fn pair(word: &str) -> Result<(String, String), String> {
    match word.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.into(), to.into())),
        _ => Err("must be two labels, as in boredom=neutral".into()),
    }
}

/// The clips to score.
struct Chosen {
    corpus: Corpus,
    part: String,
    /// The subset of the run's own recordings. `None` for other recordings.
    own: Option<SubsetName>,
    /// Recordings of the run that its training could not read.
    skipped_before: usize,
}

/// Selects the run's own clips by subset, also if they have moved; or the clips of another corpus.
fn choose(args: &EvaluateArgs, run: &Trained) -> Result<Chosen> {
    args.list
        .check_conflict(args.data.as_ref().map(|_| "--data <DIR>"));
    if let Some(manifest) = args.list.data()? {
        return other(args, open_data(&manifest)?);
    }
    let (split, config) = (run.split()?, run.config());
    let Some(data) = &args.data else {
        return own_part(args, find_own_of(split, config, None)?, config);
    };
    match own_recordings(split, config, Some(data_folder(data)?))? {
        Some(own) => own_part(args, own, config),
        None => {
            let corpus = args.folder.open(data, args.list.subset_words())?;
            other(args, corpus)
        }
    }
}

fn own_part(args: &EvaluateArgs, own: Own, config: &RunConfig) -> Result<Chosen> {
    let Own { mut corpus, parts } = own;
    let name = args.subset.unwrap_or(SubsetName::Test);
    if let Some(part) = name.subset() {
        let in_part = corpus.clips.into_iter().zip(parts);
        let in_part = in_part.filter(|&(_, clip_part)| clip_part == part);
        corpus.clips = in_part.map(|(clip, _)| clip).collect();
        ensure!(
            !corpus.clips.is_empty(),
            "this run has no clip in the {part} subset, because it is trained without one; score other \
             recordings with --data, or estimate its score with emovox cross-validate"
        );
    }
    Ok(Chosen {
        corpus,
        part: name.subset().map_or("all".into(), |part| part.to_string()),
        own: Some(name),
        skipped_before: config.data.skipped,
    })
}

/// Selects the clips of another corpus, or those of one subset if the corpus defines subsets.
fn other(args: &EvaluateArgs, mut corpus: Corpus) -> Result<Chosen> {
    let part = args.subset.and_then(SubsetName::subset);
    match part {
        Some(part) if !corpus.given.is_empty() => {
            let given = &corpus.given;
            corpus
                .clips
                .retain(|clip| given.get(&clip.file) == Some(&part));
        }
        Some(_) if args.list.data()?.is_some() => bail!(
            "the manifest defines no subsets; leave out --subset to score all of its recordings"
        ),
        Some(_) => bail!(
            "{} does not have all recordings of the run, so it has no such subset; leave out --subset \
             to score all of its recordings",
            corpus.folder.display()
        ),
        None => {}
    }
    Ok(Chosen {
        corpus,
        part: part.map_or("all".into(), |part| part.to_string()),
        own: None,
        skipped_before: 0,
    })
}
