//! `emovox cache`: what features are kept from earlier runs; and the flags of all who take some from there.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use super::{say, warning};
use emovox::dataset::{CacheWait, FeatureCache, Loaded, Unfinished};

/// Lists the features that are kept from earlier runs, or clears them
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox cache           what is kept, of which recordings, how large, how old
  emovox cache clear     removes all of it

Features are kept by what the recordings contain and by the settings, so that the next run on the same
ones starts at once, also where they were moved or renamed. A recording whose length and times of change
are those it had when it was last read is taken as unchanged; all others are read and compared. What is
kept is checked whenever it is used, and made again where it is damaged. Nothing is lost by clearing it
but the time to compute it again.")]
pub struct CacheCommand {
    #[command(subcommand)]
    action: Option<Action>,
    /// Where features are kept [default: EMOVOX_CACHE, else ~/.cache/emovox]
    #[arg(long, value_name = "DIR", global = true)]
    cache: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Removes what is kept
    Clear,
}

/// Where features are taken from and kept.
#[derive(Args)]
pub(super) struct CacheArgs {
    /// Where features are kept for the next run [default: EMOVOX_CACHE, else ~/.cache/emovox]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Compute all features anew, and keep none
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
}

impl CacheArgs {
    /// The cache that was asked for.
    pub(super) fn open(&self) -> Option<FeatureCache> {
        let cache = match &self.cache {
            _ if self.no_cache => None,
            Some(folder) => Some(FeatureCache::new(folder)),
            None => FeatureCache::of_user(),
        };
        cache.map(|cache| cache.when_waiting(tell_waiting))
    }

    /// The same as flags.
    pub(super) fn flags(&self) -> Vec<std::ffi::OsString> {
        match &self.cache {
            _ if self.no_cache => vec!["--no-cache".into()],
            Some(folder) => vec!["--cache".into(), folder.into()],
            None => Vec::new(),
        }
    }
}

/// Reports that another process keeps this one from the cache.
fn tell_waiting(wait: &CacheWait) {
    let holder = wait.holder.map_or("another process".into(), |number| {
        format!("process {number}")
    });
    warning!(
        "waiting for {holder}, which holds {} (if it writes nothing for {:.0} s, this run computes its \
         features without the cache)",
        wait.lock.display(),
        wait.at_most.as_secs_f64()
    );
}

/// Says where a cache could not be used.
pub(super) fn tell_uncached(loaded: &Loaded) {
    if let Some(reason) = &loaded.uncached {
        warning!("features are not kept for the next run: {reason} (--no-cache does not try)");
    }
}

pub fn run(args: &CacheCommand) -> Result<ExitCode> {
    let cache = match &args.cache {
        Some(folder) => FeatureCache::new(folder),
        None => FeatureCache::of_user()
            .context("neither EMOVOX_CACHE nor HOME says where features are kept; --cache does")?,
    };
    let held = cache.list();
    let unfinished = cache.unfinished();
    let bytes = held.iter().map(|held| held.bytes).sum::<u64>() + unfinished.bytes;
    let all = format!(
        "{:.1} MB in {}",
        bytes as f64 / 1e6,
        cache.folder().display()
    );
    if args.action.is_some() {
        cache.clear()?;
        say!("cleared {all}");
        return Ok(ExitCode::SUCCESS);
    }
    for held in &held {
        say!(
            "{:>9.1} MB  {:>6} clips  {:>8}  settings {}  {}",
            held.bytes as f64 / 1e6,
            held.clips,
            age(held.made),
            held.settings,
            held.corpus
        );
    }
    let Unfinished { files, bytes } = unfinished;
    if files > 0 {
        say!(
            "{:>9.1} MB  {files:>6} unfinished files of killed runs, which the next run removes",
            bytes as f64 / 1e6
        );
    }
    say!("{all}");
    Ok(ExitCode::SUCCESS)
}

/// How long ago something was, in words.
fn age(then: SystemTime) -> String {
    let minutes = then.elapsed().unwrap_or_default().as_secs() / 60;
    match minutes {
        0..60 => format!("{minutes} min"),
        60..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}
