//! `emovox evaluate`: scores a trained run again, on its own corpus or on another.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};

use super::progress::bar;
use super::{CorpusName, Runs, open_corpus, tell_skipped};
use emovox::corpus::split::{Part, Split};
use emovox::corpus::{Clip, Corpus};
use emovox::dataset::Loaded;
use emovox::device::DeviceChoice;
use emovox::evaluation::Predictions;
use emovox::features::Features;
use emovox::inference::Predictor;
use emovox::report::Report;
use emovox::run::{RunFolder, read_split};

/// Scores a trained run: accuracy, UAR, F1, confusion
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox evaluate ravdess-bilstm                      the test part, as after the training
  emovox evaluate ravdess-bilstm --part validation    another part
  emovox evaluate ravdess-bilstm --data data/emodb    another corpus, as far as it has the labels
  emovox evaluate ravdess-bilstm --json               for programs")]
pub struct EvaluateArgs {
    /// The run: its name below runs/, or its folder
    run: String,
    #[command(flatten)]
    runs: Runs,
    /// Other recordings, or the run's own if they have moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What corpus --data is, if emovox does not recognise it
    #[arg(long, value_enum, requires = "data")]
    corpus: Option<CorpusName>,
    /// Which clips [default: test; all of another corpus]
    #[arg(long, value_enum)]
    part: Option<PartName>,
    /// Print JSON, fractions of 1
    #[arg(long)]
    json: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum PartName {
    Train,
    Validation,
    Test,
    All,
}

impl PartName {
    fn part(self) -> Option<Part> {
        match self {
            PartName::Train => Some(Part::Train),
            PartName::Validation => Some(Part::Validation),
            PartName::Test => Some(Part::Test),
            PartName::All => None,
        }
    }
}

pub fn run(args: EvaluateArgs) -> Result<ExitCode> {
    let run = RunFolder::open(&args.runs.runs_dir, &args.run)?;
    let predictor = Predictor::open(&run, args.device.resolve()?)?;
    let config = predictor.config();
    let chosen = choose(&args, &run, &config.data.folder)?;

    let progress = bar(chosen.corpus.clips.len(), "features", "clips");
    let loaded = Loaded::read(&chosen.corpus, &config.audio, &config.features, || {
        progress.inc(1)
    })?;
    progress.finish_and_clear();
    tell_skipped(&loaded.skipped);

    let classes = predictor.classes();
    let class = |clip: &Clip| classes.iter().position(|class| *class == clip.label);
    let known: Vec<(usize, &Features)> = loaded
        .clips
        .iter()
        .zip(&loaded.features)
        .filter_map(|(clip, features)| Some((class(clip)?, features)))
        .collect();
    ensure!(
        !known.is_empty(),
        "no clip of {} has a label that the model knows ({})",
        chosen.corpus.folder.display(),
        classes.join(", ")
    );
    let features: Vec<&Features> = known.iter().map(|&(_, features)| features).collect();
    let predictions = Predictions {
        classes: classes.to_vec(),
        truth: known.iter().map(|&(class, _)| class).collect(),
        probabilities: predictor.probabilities(&features)?,
    };
    let report = Report {
        run: run.name(),
        corpus: chosen.corpus.kind.to_string(),
        part: chosen.part,
        speakers_shared: chosen.shared.is_some(),
        shared_parts: chosen.shared.unwrap_or_default(),
        synthetic: chosen.corpus.kind.is_synthetic(),
        epoch: None,
        skipped_recordings: loaded.skipped.len(),
        unknown_label: loaded.clips.len() - known.len(),
        metrics: predictions.metrics(),
    };
    print!(
        "{}",
        if args.json {
            report.json()?
        } else {
            report.text()
        }
    );
    Ok(ExitCode::SUCCESS)
}

/// The clips to score, and what to say about them.
struct Chosen {
    corpus: Corpus,
    part: String,
    shared: Option<String>,
}

/// The run's own clips by their part, wherever they lie now; or all clips of another corpus.
fn choose(args: &EvaluateArgs, run: &RunFolder, trained_on: &Path) -> Result<Chosen> {
    let (clips, parts) = read_split(&run.split_csv())?;
    let folder = match &args.data {
        Some(data) => data.clone(),
        None if trained_on.is_dir() => trained_on.to_path_buf(),
        None => bail!(
            "the recordings of this run were in {}, which is gone; --data tells where they are now",
            trained_on.display()
        ),
    };
    let mut corpus = open_corpus(&folder, args.corpus.map(Into::into))?;
    let found: BTreeSet<&PathBuf> = corpus.clips.iter().map(|clip| &clip.file).collect();
    let own = clips.iter().all(|clip| found.contains(&clip.file));
    if !own {
        if args.data.is_none() {
            bail!(
                "{} has lost recordings that this run was made with; --data tells where they are",
                folder.display()
            );
        }
        if args.part.is_some_and(|part| part != PartName::All) {
            bail!(
                "{} is another corpus than the run was trained on, so it has no such part; leave \
                 --part out to score all of it",
                folder.display()
            );
        }
        return Ok(Chosen {
            corpus,
            part: "all".into(),
            shared: None,
        });
    }

    let part = args.part.unwrap_or(PartName::Test);
    let split = Split::new(&clips, parts);
    let of_part = match part.part() {
        Some(part) => split.indices(part),
        None => (0..clips.len()).collect(),
    };
    corpus.clips = of_part
        .into_iter()
        .map(|index| clips[index].clone())
        .collect();
    let heard = matches!(part, PartName::Train | PartName::All);
    let shared = match split.shared.note() {
        Some(note) => Some(note),
        None if heard => Some("speakers shared: these clips were trained on".into()),
        None => None,
    };
    let name = part
        .part()
        .map_or("all".to_string(), |part| part.to_string());
    Ok(Chosen {
        corpus,
        part: name,
        shared,
    })
}
