//! `emovox corpus`: lists and downloads corpora, and checks that a folder has a complete corpus.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;

use super::progress::{bar, bytes_bar};
use super::terminal::{check as check_output, error_is_terminal, print_unfinished};
use super::{say, tell_skipped, warning};
use emovox::fetch::{self, CorpusSource, Count, RetryPolicy, Step};
use emovox::plural::counted;

/// List the corpora that can be downloaded, download one, or check a folder
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox corpus list
  emovox corpus fetch emodb            into data/emodb, after you accept the licence
  emovox corpus fetch ravdess --yes    accept the licence without a question
  emovox corpus check data/ravdess     count recordings, speakers and classes

To continue an interrupted download, repeat the command. A corpus gets its folder only when it is \
complete; until then it is in data/.fetching-NAME.")]
pub struct CorpusCommand {
    #[command(subcommand)]
    action: Action,
}

impl CorpusCommand {
    /// True if the command only prints the table of corpora.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    pub(super) fn is_list(&self) -> bool {
        matches!(self.action, Action::List(_))
    }
}

#[derive(Subcommand)]
enum Action {
    List(ListArgs),
    Fetch(FetchArgs),
    Check(CheckArgs),
}

/// List names, sizes, licences and sources
#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    registry: Registry,
}

/// Download a corpus from its source
#[derive(Args)]
struct FetchArgs {
    /// Name of the corpus in `emovox corpus list`
    name: String,
    /// Folder for the corpus [default: data/NAME]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Accept the licence without a question
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    registry: Registry,
}

/// Compare a folder with the expected content of its corpus
#[derive(Args)]
struct CheckArgs {
    /// Folder with the recordings
    folder: PathBuf,
    /// Name of the corpus, if the file names do not show it
    #[arg(long, value_name = "NAME")]
    corpus: Option<String>,
    #[command(flatten)]
    registry: Registry,
}

#[derive(Args)]
struct Registry {
    /// Another table of corpora, in the format of src/fetch/sources.toml, for example for a mirror
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
}

impl Registry {
    fn sources(&self) -> Result<Vec<CorpusSource>> {
        match &self.source {
            Some(file) => fetch::read_sources(file),
            None => Ok(fetch::registry().to_vec()),
        }
    }
}

pub fn run(args: &CorpusCommand) -> Result<ExitCode> {
    match &args.action {
        Action::List(args) => list(&args.registry.sources()?),
        Action::Fetch(args) => fetch(args),
        Action::Check(args) => check(args),
    }
}

fn list(sources: &[CorpusSource]) -> Result<ExitCode> {
    say!("name      clips  speakers      MB  licence          source");
    for source in sources {
        say!(
            "{:<8} {:>6}  {:>8}  {:>6}  {:<15}  {}",
            source.name,
            source.clips,
            source.speakers().len(),
            source.megabytes,
            source.licence,
            source.home
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn fetch(args: &FetchArgs) -> Result<ExitCode> {
    let sources = args.registry.sources()?;
    let source = sources.iter().find(|source| source.name == args.name);
    let source = source.with_context(|| {
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        format!(
            "there is no corpus '{}'; the corpora are {}",
            args.name,
            names.join(", ")
        )
    })?;
    let into = args.into.clone();
    let into = into.unwrap_or_else(|| Path::new("data").join(&source.name));
    say!(
        "{}: {} by {}",
        source.title,
        counted(source.clips, "recording"),
        counted(source.speakers().len(), "speaker")
    );
    say!("licence  {}", source.licence);
    say!("source   {}", source.home);
    say!("cite     {}", source.cite);
    say!(
        "size     about {} MB to download, {} MB in {}",
        source.megabytes,
        source.unpacked_megabytes,
        into.display()
    );
    for archive in source
        .archive
        .iter()
        .filter(|archive| archive.compared.is_empty())
    {
        say!(
            "note     {} provides no checksum; the recordings are counted instead",
            archive.url
        );
    }
    if !args.yes && !accepts_licence()? {
        bail!("nothing was downloaded, because the licence was not accepted");
    }
    let progress = FetchProgress::default();
    let clips = fetch::fetch(source, &into, &RetryPolicy::default(), &|step| {
        progress.step(step)
    });
    progress.finish();
    say!("{}: {}", into.display(), counted(clips?, "recording"));
    Ok(ExitCode::SUCCESS)
}

/// Asks the user to accept the licence, and returns true if the answer is yes.
fn accepts_licence() -> Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        bail!("standard input is not a terminal; --yes accepts the licence");
    }
    print_unfinished("Download it under this licence? [y/N] ");
    check_output()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Progress of a download: one bar per step.
#[derive(Default)]
struct FetchProgress {
    /// The name of the present step, and its bar.
    current: Mutex<Option<(&'static str, ProgressBar)>>,
}

impl FetchProgress {
    fn step(&self, step: Step) {
        let (name, done, total) = match step {
            Step::Bytes { have, of } => ("downloading", have, of),
            Step::Recordings { done, of } => {
                ("downloading recordings", done as u64, Some(of as u64))
            }
            Step::Checking => ("checking", 0, None),
            Step::Unpacking { done, of } => ("unpacking", done as u64, Some(of as u64)),
        };
        let Ok(mut current) = self.current.lock() else {
            return;
        };
        if current.as_ref().is_none_or(|(step, _)| *step != name) {
            if let Some((_, bar)) = current.take() {
                bar.finish_and_clear();
            }
            if !error_is_terminal() {
                warning!("{name}");
            }
            let bar = match step {
                Step::Bytes { .. } | Step::Checking => bytes_bar(name),
                _ => bar(0, name, "recordings"),
            };
            *current = Some((name, bar));
        }
        if let Some((_, bar)) = current.as_ref() {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
        }
    }

    fn finish(&self) {
        if let Ok(mut current) = self.current.lock()
            && let Some((_, bar)) = current.take()
        {
            bar.finish_and_clear();
        }
    }
}

fn check(args: &CheckArgs) -> Result<ExitCode> {
    let sources = args.registry.sources()?;
    let (source, corpus) = fetch::recognise(&args.folder, &sources, args.corpus.as_deref())?;
    let progress = bar(corpus.clips.len(), "reading", "recordings");
    let holds = fetch::holds(source, &corpus, || progress.inc(1));
    progress.finish_and_clear();
    tell_skipped(&holds.skipped);

    let found = |counts: &[Count]| counts.iter().filter(|count| count.found > 0).count();
    say!("{}: {}", args.folder.display(), source.title);
    say!("recordings  {} of {}", holds.clips.found, source.clips);
    say!(
        "speakers    {} of {}",
        found(&holds.speakers),
        source.speakers().len()
    );
    say!(
        "classes     {} of {}",
        found(&holds.classes),
        source.classes.len()
    );
    for (kind, count) in holds.lacking() {
        match count.expected {
            Some(expected) => say!(
                "missing     {kind} {}: {} of {expected} recordings",
                count.name,
                expected - count.found
            ),
            None => say!("missing     {kind} {}", count.name),
        }
    }
    if !holds.is_whole() {
        say!(
            "`emovox corpus fetch {}` downloads the complete corpus from {}",
            source.name,
            source.home
        );
        return Ok(ExitCode::FAILURE);
    }
    say!("the corpus is complete");
    Ok(ExitCode::SUCCESS)
}
