//! The commands: each reads its arguments, calls the rooms of the library in order, and prints.

mod bars;
mod cache;
mod cells;
mod collect;
mod completions;
mod cross_corpus;
mod cross_validate;
mod data;
mod doctor;
mod evaluate;
mod export;
mod features;
mod grid;
mod homes;
mod inspect;
mod list;
mod listen;
mod output;
mod plot;
mod predict;
mod progress;
mod report;
mod settings;
mod stop;
pub mod terminal;
mod train;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use emovox::config::{DataConfig, RunConfig};
use emovox::corpus::split::Part;
use emovox::corpus::{self, Changes, Clip, Corpus, CorpusKind, Skipped, listed};
use emovox::experiment::{self, Own, own_recordings};
use emovox::run::{RunFolder, read_skipped, read_split};
use terminal::{say, warning};

pub use stop::respond;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Hears emotion in speech: trains an LSTM on the MFCCs of WAV recordings.
#[derive(Parser)]
#[command(name = "emovox", version, styles = STYLES, after_help = "\
Examples:
  emovox train                                train on the built-in synthetic demo corpus
  emovox train --data data/ravdess            train on RAVDESS, tested on speakers never heard
  emovox cross-validate --data data/ravdess   every speaker tests once: the number to report
  emovox grid sizes.toml --run                a sweep over settings, folds and seeds
  emovox train --manifest clips.csv           train on a list of recordings of your own
  emovox evaluate ravdess-bilstm              score that run again
  emovox predict ravdess-bilstm my-voice.wav  what does it hear in a recording?
  emovox listen ravdess-bilstm < talk.wav     and in a stream, second by second?
  emovox report ravdess-bilstm                a page that plays its test clips, mistakes first
  emovox inspect data/ravdess                 what a corpus holds, and what gives its labels away
  emovox export ravdess-bilstm                that run as one file, to give away
  emovox doctor                               is there a GPU, and does libtorch see it?

Each command explains itself: emovox train --help")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(Box<train::TrainArgs>),
    CrossValidate(cross_validate::CrossValidateArgs),
    Grid(Box<grid::GridArgs>),
    Collect(collect::CollectArgs),
    CrossCorpus(cross_corpus::CrossCorpusArgs),
    Evaluate(evaluate::EvaluateArgs),
    Predict(predict::PredictArgs),
    Listen(listen::ListenArgs),
    Plot(plot::PlotArgs),
    Inspect(inspect::InspectArgs),
    Report(report::ReportArgs),
    Features(features::FeaturesArgs),
    Export(export::ExportArgs),
    Cache(cache::CacheCommand),
    Corpus(homes::CorpusCommand),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Train(args) => train::run(&args),
        Command::CrossValidate(args) => cross_validate::run(&args),
        Command::Grid(args) => grid::run(&args),
        Command::Collect(args) => collect::run(&args),
        Command::CrossCorpus(args) => cross_corpus::run(&args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Listen(args) => listen::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Features(args) => features::run(args),
        Command::Export(args) => export::run(&args),
        Command::Cache(args) => cache::run(&args),
        Command::Corpus(args) => homes::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
    }
}

/// Where runs are, for every command that names one.
#[derive(Args)]
struct Runs {
    /// The folder that holds the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
}

/// How a run is named on a command line that can be typed as it is.
fn typed(run: &RunFolder) -> String {
    let path = run.path().display().to_string();
    let name = match path.strip_prefix("runs/") {
        Some(name) if !name.contains('/') => name.to_string(),
        _ => path,
    };
    let plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    match name.chars().all(plain) {
        true => name,
        false => format!("'{}'", name.replace('\'', "'\\''")),
    }
}

/// Where the demo corpus is made.
const DEMO_FOLDER: &str = "data/demo";

/// The corpora that --corpus names.
#[derive(Clone, Copy, ValueEnum)]
enum CorpusName {
    Demo,
    Ravdess,
    /// The songs of RAVDESS, apart from its speech
    RavdessSong,
    Tess,
    Emodb,
    CremaD,
    Savee,
    Emovo,
    JlCorpus,
    Nemo,
    Subesco,
    Shemo,
    Urdu,
    /// A plain folder per class
    Folders,
}

impl From<CorpusName> for CorpusKind {
    fn from(name: CorpusName) -> CorpusKind {
        match name {
            CorpusName::Demo => CorpusKind::Demo,
            CorpusName::Ravdess => CorpusKind::Ravdess,
            CorpusName::Tess => CorpusKind::Tess,
            CorpusName::Emodb => CorpusKind::Emodb,
            CorpusName::RavdessSong => CorpusKind::RavdessSong,
            CorpusName::CremaD => CorpusKind::CremaD,
            CorpusName::Savee => CorpusKind::Savee,
            CorpusName::Emovo => CorpusKind::Emovo,
            CorpusName::JlCorpus => CorpusKind::JlCorpus,
            CorpusName::Nemo => CorpusKind::Nemo,
            CorpusName::Subesco => CorpusKind::Subesco,
            CorpusName::Shemo => CorpusKind::Shemo,
            CorpusName::Urdu => CorpusKind::Urdu,
            CorpusName::Folders => CorpusKind::Folders,
        }
    }
}

/// The folder that --data names; the demo corpus is made first where it is missing.
fn data_folder(data: &Path) -> Result<&Path> {
    // Where several corpora are taken, their names are cut off before.
    if let Some((name, folder)) = data.to_string_lossy().split_once('=')
        && !data.exists()
    {
        bail!("one corpus needs no name '{name}' here: --data {folder}");
    }
    if data != Path::new("demo") {
        return Ok(data);
    }
    let folder = Path::new(DEMO_FOLDER);
    let made = corpus::demo::ensure(folder)?;
    if made.written {
        let megabytes = made.bytes as f64 / 1e6;
        warning!(
            "made the demo corpus in {DEMO_FOLDER}: {} clips, {megabytes:.0} MB of synthetic speech",
            made.clips
        );
    }
    Ok(folder)
}

/// Finds the recordings of a corpus.
fn open_corpus(data: &Path, kind: Option<CorpusKind>) -> Result<Corpus> {
    Ok(corpus::scan(data_folder(data)?, kind)?)
}

/// Finds the recordings that settings name.
fn open_data(data: &DataConfig) -> Result<Corpus> {
    let mut data = data.clone();
    // A file of settings that names a list or several corpora, and no folder, means what the flags mean.
    let unsaid = data.folder == DataConfig::default().folder;
    match &data.manifest {
        Some(list) if unsaid => data.folder = list::own_folder(list).into(),
        _ if unsaid && !data.sources.is_empty() => data.folder = PathBuf::new(),
        _ => {}
    }
    if data.sources.is_empty() {
        data.folder = data_folder(&data.folder)?.into();
    } else if data.folder.as_os_str().is_empty() {
        // As they were typed; those of a run are relative to what they have in common.
        for source in &mut data.sources {
            source.folder = data_folder(&source.folder)?.into();
        }
    }
    experiment::open_corpus(&data)
}

/// Finds the recordings that a run was made with, or tells where they were.
fn find_own(run: &RunFolder, config: &RunConfig, moved: Option<&Path>) -> Result<Own> {
    let split = read_split(&run.split_csv(), &config.data.sources)?;
    find_own_of(split, config, moved)
}

/// The same where the clips and their parts are known.
fn find_own_of(
    split: (Vec<Clip>, Vec<Part>),
    config: &RunConfig,
    moved: Option<&Path>,
) -> Result<Own> {
    let moved = moved.map(data_folder).transpose()?;
    let folder = moved.unwrap_or(&config.data.folder);
    let files = split.0.iter().map(|clip| clip.file.clone());
    let gone: Vec<PathBuf> = files.filter(|file| !folder.join(file).is_file()).collect();
    let own = own_recordings(split, config, moved)?;
    own.with_context(|| {
        let what = listed(&gone);
        match moved {
            Some(folder) => format!("{} lacks recordings of this run: {what}", folder.display()),
            None => format!(
                "recordings of this run are gone from {}; --data tells where they are now: {what}",
                folder.display()
            ),
        }
    })
}

/// Tells how the recordings of a run that is resumed compare with those that are there now. Those that
/// were replaced are an error later.
fn tell_changes(run: &RunFolder, own: &Own, config: &RunConfig) -> Result<()> {
    if own.corpus.clips.iter().any(|clip| clip.content.is_none()) {
        say!("{NOT_RECORDED}");
    }
    let mut data = config.data.clone();
    data.folder.clone_from(&own.corpus.folder);
    // The run needs no more than its own recordings: a folder that cannot be searched is no error.
    let Ok(now) = open_data(&data) else {
        return Ok(());
    };
    let left_out = read_skipped(&run.skipped_csv())?;
    let mut new = Changes::between(&own.corpus.clips, &now.clips).new;
    new.retain(|file| !left_out.iter().any(|skipped| skipped.file == *file));
    if !new.is_empty() {
        say!(
            "new in {}, and no part of this run: {}",
            own.corpus.folder.display(),
            listed(&new)
        );
    }
    Ok(())
}

/// The note on a run whose recordings cannot be compared with those that are there now.
const NOT_RECORDED: &str =
    "this run was made before contents were recorded, so its recordings are not compared";

/// Lists recordings that were left out: some by name, the rest by number.
fn tell_skipped(skipped: &[Skipped]) {
    const SHOWN: usize = 10;
    for Skipped { file, reason } in skipped.iter().take(SHOWN) {
        warning!("skipped {}: {reason}", file.display());
    }
    if skipped.len() > SHOWN {
        warning!("… and {} more", skipped.len() - SHOWN);
    }
}
