//! The commands: each parses its arguments, calls the modules of the library, and prints results.

mod adapt;
mod bars;
mod cache;
mod collect;
mod completions;
mod cross_corpus;
mod cross_validate;
mod data;
mod doctor;
mod evaluate;
mod export;
mod failure;
mod features;
mod folder;
mod grid;
mod inspect;
mod list;
mod listen;
mod models;
mod output;
mod plot;
mod predict;
mod progress;
mod report;
mod scored;
mod serve;
mod settings;
mod sources;
mod stop;
mod stress;
pub mod terminal;
mod train;
mod trials;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use tch::Device;

use emovox::config::{DataConfig, RunConfig};
use emovox::corpus::split::Subset;
use emovox::corpus::{self, Changes, Clip, Corpus, Skipped, listed};
use emovox::dataset::Sounds;
use emovox::device::DeviceChoice;
use emovox::distributed::is_one_of_several_processes;
use emovox::escape::shell_word;
use emovox::experiments::{self, Own, own_recordings};
use emovox::libtorch::Libtorch;
use emovox::plural::{counted, is_or_are};
use emovox::report::missing_letters;
use emovox::run::{RunFolder, read_skipped, read_split};
use terminal::{say, warning};

pub use failure::explain;
pub use stop::respond;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Speech emotion recognition: trains an LSTM on the MFCCs of recordings.
#[derive(Parser)]
#[command(name = "emovox", version, styles = STYLES, max_term_width = 100, after_help = "\
Examples:
  emovox train                                train on the built-in synthetic demo corpus
  emovox train --data data/ravdess            train on RAVDESS, test on unseen speakers
  emovox cross-validate --data data/ravdess   test every speaker once: the score to report
  emovox grid sizes.toml --run                sweep over settings, folds and seeds
  emovox train --manifest clips.csv           train on your own list of recordings
  emovox evaluate ravdess-bilstm              score a run again
  emovox stress ravdess-bilstm                test a run with noise, rooms and a telephone
  emovox predict my-voice.m4a                 predict the emotion in a recording, without a training
  emovox predict ravdess-bilstm my-voice.wav  the same with a run of your own
  emovox listen ravdess-bilstm < talk.wav     predict the emotions in a stream, second by second
  emovox serve                                predict in a browser, and for other programs over HTTP
  emovox report ravdess-bilstm                write a page that plays the test clips, errors first
  emovox inspect data/ravdess                 describe a corpus, and check it for label leakage
  emovox export ravdess-bilstm                write a run as one file
  emovox doctor                               show device and libraries

Help for a command: emovox train --help")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Threads of this process [default: one per core that it may use]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl Cli {
    /// Number of threads, or 0 for one per core. Several processes of one training would slow each
    /// other down with one thread per core.
    pub fn threads(&self) -> usize {
        let default = usize::from(is_one_of_several_processes());
        self.threads.map_or(default, usize::from)
    }

    /// True if the command only prints a text that is in the program.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    pub fn only_prints(&self) -> bool {
        match &self.command {
            Command::Completions(_) => true,
            Command::Man(args) => args.out.is_none(),
            Command::Corpus(command) => command.is_list(),
            _ => false,
        }
    }

    /// The way in which the command needs less memory of a GPU.
    pub fn memory_advice(&self) -> &'static str {
        match self.command {
            Command::Train(_) => failure::TRAINING_ADVICE,
            _ => "use --device cpu",
        }
    }
}

#[derive(Subcommand)]
enum Command {
    Train(Box<train::TrainArgs>),
    CrossValidate(cross_validate::CrossValidateArgs),
    Grid(Box<grid::GridArgs>),
    Collect(collect::CollectArgs),
    CrossCorpus(cross_corpus::CrossCorpusArgs),
    Evaluate(evaluate::EvaluateArgs),
    Stress(Box<stress::StressArgs>),
    Predict(predict::PredictArgs),
    Listen(listen::ListenArgs),
    Serve(serve::ServeArgs),
    Models(models::ModelsArgs),
    Plot(plot::PlotArgs),
    Inspect(inspect::InspectArgs),
    Report(report::ReportArgs),
    Features(features::FeaturesArgs),
    Export(export::ExportArgs),
    Cache(cache::CacheCommand),
    Corpus(sources::CorpusCommand),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

pub fn run(cli: Cli) -> Result<ExitCode> {
    if let Some(other) = Libtorch::loaded().warning() {
        warning!("{other}");
    }
    let result = dispatch(cli);
    if let Some(message) = missing_letters() {
        warning!("{message}");
    }
    result
}

/// Runs a command.
pub fn dispatch(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Train(args) => train::run(&args),
        Command::CrossValidate(args) => cross_validate::run(&args),
        Command::Grid(args) => grid::run(&args),
        Command::Collect(args) => collect::run(&args),
        Command::CrossCorpus(args) => cross_corpus::run(&args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Stress(args) => stress::run(&args),
        Command::Predict(args) => predict::run(args),
        Command::Listen(args) => listen::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Models(args) => models::run(&args),
        Command::Plot(args) => plot::run(args),
        Command::Features(args) => features::run(args),
        Command::Export(args) => export::run(&args),
        Command::Cache(args) => cache::run(&args),
        Command::Corpus(args) => sources::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
    }
}

/// The device of a command that computes on one.
fn resolve(choice: DeviceChoice) -> Result<Device> {
    let device = choice.resolve()?;
    warn_of_cpu(choice.why_cpu(0));
    Ok(device)
}

/// Says why `--device auto` does not use the GPU of this machine.
fn warn_of_cpu(why: Option<String>) {
    if let Some(reason) = why {
        warning!("warning: --device auto uses the CPU: {reason}");
    }
}

/// The folder of runs, for every command with a run argument.
#[derive(Args)]
struct Runs {
    /// Folder that contains the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
}

/// The argument for a run on a command line, quoted for a shell if necessary.
fn typed(run: &RunFolder) -> String {
    let path = run.path().display().to_string();
    let name = match path.strip_prefix("runs/") {
        Some(name) if !name.contains('/') => name.to_string(),
        _ => path,
    };
    shell_word(&name).into_owned()
}

/// Folder of the demo corpus.
const DEMO_FOLDER: &str = "data/demo";

/// The folder for the value of --data. The demo corpus is made first if it is missing.
fn data_folder(data: &Path) -> Result<&Path> {
    // Commands for several corpora have removed the names before.
    if let Some((name, folder)) = data.to_string_lossy().split_once('=')
        && !data.exists()
    {
        bail!("a single corpus has no name '{name}' here; use --data {folder}");
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

/// Finds the recordings of the data settings.
fn open_data(data: &DataConfig) -> Result<Corpus> {
    let mut data = data.clone();
    // A settings file with a manifest or several corpora, but without a folder, works like the
    // flags.
    let has_no_folder = data.folder == DataConfig::default().folder;
    match &data.manifest {
        Some(manifest) if has_no_folder => data.folder = list::own_folder(manifest).into(),
        _ => {}
    }
    if data.sources.is_empty() {
        data.folder = data_folder(&data.folder)?.into();
    } else if data.folder.as_os_str().is_empty() {
        // Folders from the command line. Those of a run are relative to their common folder.
        for source in &mut data.sources {
            source.folder = data_folder(&source.folder)?.into();
        }
    }
    experiments::open_corpus(&data)
}

/// Finds the recordings of a run.
///
/// # Errors
/// Fails if recordings are missing; the message names them and their folder.
fn find_own(run: &RunFolder, config: &RunConfig, moved: Option<&Path>) -> Result<Own> {
    let split = read_split(&run.split_csv(), &config.data.sources)?;
    find_own_of(split, config, moved)
}

/// Like [`find_own`], with clips and subsets that were already read.
fn find_own_of(
    split: (Vec<Clip>, Vec<Subset>),
    config: &RunConfig,
    moved: Option<&Path>,
) -> Result<Own> {
    let moved = moved.map(data_folder).transpose()?;
    let folder = moved.unwrap_or(&config.data.folder);
    let files = split.0.iter().map(|clip| clip.file.clone());
    let missing = files.filter(|file| !file.below(folder).path.is_file());
    // Several segments may be in one file.
    let missing: BTreeSet<String> = missing
        .map(|file| file.path.display().to_string())
        .collect();
    let missing: Vec<String> = missing.into_iter().collect();
    let own = own_recordings(split, config, moved)?;
    own.with_context(|| {
        let files = listed(&missing);
        match moved {
            Some(folder) => format!(
                "recordings of this run are missing in {}: {files}",
                folder.display()
            ),
            None => format!(
                "recordings of this run are missing in {}; if they have moved, --data gives their new \
                 folder: {files}",
                folder.display()
            ),
        }
    })
}

/// Compares the recordings of a resumed run with the present ones, and prints the new ones.
/// Replaced recordings are an error later.
fn tell_changes(run: &RunFolder, own: &Own, config: &RunConfig) -> Result<()> {
    if own.corpus.clips.iter().any(|clip| clip.content.is_none()) {
        say!("{}", experiments::NOT_COMPARED);
    }
    let mut data = config.data.clone();
    data.folder.clone_from(&own.corpus.folder);
    // The run only needs its own recordings, so a folder that cannot be searched is not an error.
    let Ok(now) = open_data(&data) else {
        return Ok(());
    };
    let left_out = read_skipped(&run.skipped_csv())?;
    let mut new = Changes::between(&own.corpus.clips, &now.clips).new;
    new.retain(|file| !left_out.iter().any(|skipped| skipped.file == *file));
    if !new.is_empty() {
        say!(
            "new in {}, but not used by this run: {}",
            own.corpus.folder.display(),
            listed(&new)
        );
    }
    Ok(())
}

/// The name of a corpus with its folder, unless several corpora have only the root of the file system in
/// common.
fn in_folder(name: &str, folder: &Path) -> String {
    match folder.parent() {
        None if folder.has_root() => name.to_string(),
        _ => format!("{name} in {}", folder.display()),
    }
}

/// Prints how the recordings were understood, and the paths that were left out.
fn tell_corpus(corpus: &Corpus) {
    for line in corpus.rules.iter().chain(&corpus.notes) {
        say!("{line}");
    }
    if let Some(first) = corpus.skipped.first() {
        say!(
            "{} {} left out, such as {}: {}",
            counted(corpus.skipped.len(), "more path"),
            is_or_are(corpus.skipped.len()),
            first.file.display(),
            first.reason
        );
    }
}

/// Prints the recordings that disturb speech and could not be read, and their number. `what` they
/// are is, for example, `recordings of noise`.
fn tell_skipped_sounds(sounds: &Sounds, what: &str) {
    tell_skipped(&sounds.skipped);
    if let Some(note) = sounds.note(what) {
        warning!("{note}");
    }
}

/// Prints the recordings that were left out.
fn tell_skipped(skipped: &[Skipped]) {
    for Skipped { file, reason } in skipped {
        warning!("skipped {}: {reason}", file.display());
    }
}

/// Prints the first recordings that are left out of a new training, and the number of the others:
/// `skipped.csv` of the run will have them all.
fn tell_first_skipped(skipped: &[Skipped]) {
    const SHOWN: usize = 10;
    let (first, others) = skipped.split_at(skipped.len().min(SHOWN));
    tell_skipped(first);
    if !others.is_empty() {
        warning!(
            "… and {} more; skipped.csv of the run has them all",
            others.len()
        );
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// clap wraps a line that is wider than the help, and the rest of an example would then look like
    /// another one. A paragraph is one line, which clap wraps at any width.
    #[test]
    fn examples_fit_into_the_help_and_paragraphs_are_not_broken() {
        const WIDTH: usize = 100;
        let command = Cli::command();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            let name = command.get_name();
            let text = command.get_after_help().unwrap().to_string();
            let lines: Vec<&str> = text.lines().collect();
            for line in &lines {
                let is_example = line.starts_with(' ');
                assert!(
                    !is_example || line.chars().count() <= WIDTH,
                    "{name}: {line}"
                );
            }
            for pair in lines.windows(2) {
                let is_paragraph = |line: &str| !line.is_empty() && !line.starts_with(' ');
                let is_broken = pair.iter().all(|line| is_paragraph(line));
                assert!(!is_broken, "{name}: {} | {}", pair[0], pair[1]);
            }
        }
    }
}
