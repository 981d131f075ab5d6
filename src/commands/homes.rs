//! `emovox corpus`: where corpora are at home; fetches them, and tells whether a folder holds all of one.

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
use emovox::fetch::{self, Count, Home, Patience, Step};

/// Lists the corpora that can be fetched, fetches one, or checks a folder
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox corpus list
  emovox corpus fetch emodb            into data/emodb, after its licence was shown
  emovox corpus fetch ravdess --yes    without asking
  emovox corpus check data/ravdess     how many of its recordings, speakers, classes are there

A fetch that was stopped or cut off goes on where it was when the same command is given again. A
corpus is in its folder once it is whole; until then it lies beside, in data/.fetching-NAME.")]
pub struct CorpusCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List(ListArgs),
    Fetch(FetchArgs),
    Check(CheckArgs),
}

/// Names, sizes, licences and homes
#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    source: Source,
}

/// Fetches a corpus from its home
#[derive(Args)]
struct FetchArgs {
    /// Which one: a name of `emovox corpus list`
    name: String,
    /// The folder to put it in [default: data/NAME]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Take the licence without being asked
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    source: Source,
}

/// Compares a folder with what its corpus should hold
#[derive(Args)]
struct CheckArgs {
    /// The folder with the recordings
    folder: PathBuf,
    /// Which corpus it is, if its names do not tell
    #[arg(long, value_name = "NAME")]
    corpus: Option<String>,
    #[command(flatten)]
    source: Source,
}

#[derive(Args)]
struct Source {
    /// Another table of corpora, in the form of src/fetch/homes.toml: a mirror's, or your own
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
}

impl Source {
    fn homes(&self) -> Result<Vec<Home>> {
        match &self.source {
            Some(file) => fetch::read_homes(file),
            None => Ok(fetch::homes().to_vec()),
        }
    }
}

pub fn run(args: &CorpusCommand) -> Result<ExitCode> {
    match &args.action {
        Action::List(args) => list(&args.source.homes()?),
        Action::Fetch(args) => fetch(args),
        Action::Check(args) => check(args),
    }
}

fn list(homes: &[Home]) -> Result<ExitCode> {
    say!("name      clips  speakers      MB  licence          home");
    for home in homes {
        say!(
            "{:<8} {:>6}  {:>8}  {:>6}  {:<15}  {}",
            home.name,
            home.clips,
            home.speakers().len(),
            home.megabytes,
            home.licence,
            home.home
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn fetch(args: &FetchArgs) -> Result<ExitCode> {
    let homes = args.source.homes()?;
    let home = homes.iter().find(|home| home.name == args.name);
    let home = home.with_context(|| {
        let names: Vec<&str> = homes.iter().map(|home| home.name.as_str()).collect();
        format!(
            "no corpus is called '{}'; there are {}",
            args.name,
            names.join(", ")
        )
    })?;
    let into = args.into.clone();
    let into = into.unwrap_or_else(|| Path::new("data").join(&home.name));
    say!(
        "{}: {} recordings of {} people",
        home.title,
        home.clips,
        home.speakers().len()
    );
    say!("licence  {}", home.licence);
    say!("home     {}", home.home);
    say!("cite     {}", home.cite);
    say!(
        "size     about {} MB to fetch, {} MB in {}",
        home.megabytes,
        home.unpacked_megabytes,
        into.display()
    );
    for archive in home
        .archive
        .iter()
        .filter(|archive| archive.compared.is_empty())
    {
        say!(
            "note     {} states no checksum; its recordings are counted",
            archive.url
        );
    }
    if !args.yes && !asked()? {
        bail!("nothing was fetched");
    }
    let show = Show::default();
    let clips = fetch::fetch(home, &into, &Patience::default(), &|step| show.step(step));
    show.finish();
    say!("{}: {} recordings", into.display(), clips?);
    Ok(ExitCode::SUCCESS)
}

/// Whether the person at the terminal takes the licence.
fn asked() -> Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        bail!("nobody is here to take the licence; --yes takes it");
    }
    print_unfinished("Fetch it under this licence? [y/N] ");
    check_output()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A bar for each thing that is done after the other.
#[derive(Default)]
struct Show {
    at: Mutex<Option<(&'static str, ProgressBar)>>,
}

impl Show {
    fn step(&self, step: Step) {
        let (what, done, of) = match step {
            Step::Bytes { have, of } => ("fetching", have, of),
            Step::Recordings { done, of } => ("fetching recordings", done as u64, Some(of as u64)),
            Step::Checking => ("checking", 0, None),
            Step::Unpacking { done, of } => ("unpacking", done as u64, Some(of as u64)),
        };
        let Ok(mut at) = self.at.lock() else {
            return;
        };
        if at.as_ref().is_none_or(|(before, _)| *before != what) {
            if let Some((_, before)) = at.take() {
                before.finish_and_clear();
            }
            if !error_is_terminal() {
                warning!("{what}");
            }
            let bar = match step {
                Step::Bytes { .. } | Step::Checking => bytes_bar(what),
                _ => bar(0, what, "recordings"),
            };
            *at = Some((what, bar));
        }
        if let Some((_, bar)) = at.as_ref() {
            if let Some(of) = of {
                bar.set_length(of);
            }
            bar.set_position(done);
        }
    }

    fn finish(&self) {
        if let Ok(mut at) = self.at.lock()
            && let Some((_, bar)) = at.take()
        {
            bar.finish_and_clear();
        }
    }
}

fn check(args: &CheckArgs) -> Result<ExitCode> {
    let homes = args.source.homes()?;
    let (home, corpus) = fetch::recognise(&args.folder, &homes, args.corpus.as_deref())?;
    let progress = bar(corpus.clips.len(), "reading", "recordings");
    let holds = fetch::holds(home, &corpus, || progress.inc(1));
    progress.finish_and_clear();
    tell_skipped(&holds.skipped);

    let whole = |counts: &[Count]| counts.iter().filter(|count| count.found > 0).count();
    say!("{}: {}", args.folder.display(), home.title);
    say!("recordings  {} of {}", holds.clips.found, home.clips);
    say!(
        "speakers    {} of {}",
        whole(&holds.speakers),
        home.speakers().len()
    );
    say!(
        "classes     {} of {}",
        whole(&holds.classes),
        home.classes.len()
    );
    for (what, count) in holds.lacking() {
        match count.expected {
            Some(expected) => say!(
                "missing     {what} {}: {} of {expected}",
                count.name,
                count.found
            ),
            None => say!("missing     {what} {}", count.name),
        }
    }
    if !holds.is_whole() {
        say!(
            "`emovox corpus fetch {}` fetches the whole of it, from {}",
            home.name,
            home.home
        );
        return Ok(ExitCode::FAILURE);
    }
    say!("it is whole");
    Ok(ExitCode::SUCCESS)
}
