//! `emovox cache`: the feature cache; and the cache flags of all commands that use it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use super::{say, warning};
use emovox::dataset::{CacheWait, FeatureCache, FeatureDataset, Unfinished};

/// List or clear the feature cache
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox cache           entries with size, number of clips, age and corpus
  emovox cache clear     remove all entries

The key of an entry is the content of the recordings and the settings, so that the next run on \
the same recordings starts immediately, also if they were moved or renamed. A recording with the \
same length and modification times as when it was last read counts as unchanged; all other \
recordings are read and compared. An entry is checked at every use, and computed again if it is \
damaged. Clearing the cache only costs the time to compute the features again.")]
pub struct CacheCommand {
    #[command(subcommand)]
    action: Option<Action>,
    /// Folder of the feature cache [default: EMOVOX_CACHE, otherwise ~/.cache/emovox]
    #[arg(long, value_name = "DIR", global = true)]
    cache: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Remove all entries
    Clear,
}

/// Flags for the feature cache.
#[derive(Args)]
pub(super) struct CacheArgs {
    /// Folder of the feature cache [default: EMOVOX_CACHE, otherwise ~/.cache/emovox]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Compute all features again, and do not cache them
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
}

impl CacheArgs {
    /// The cache that the flags select; `None` with --no-cache or without a home folder.
    pub(super) fn open(&self) -> Option<FeatureCache> {
        let cache = match &self.cache {
            _ if self.no_cache => None,
            Some(folder) => Some(FeatureCache::new(folder)),
            None => FeatureCache::of_user(),
        };
        cache.map(|cache| cache.when_waiting(report_waiting))
    }

    /// These arguments as command line flags, for child processes.
    pub(super) fn flags(&self) -> Vec<std::ffi::OsString> {
        match &self.cache {
            _ if self.no_cache => vec!["--no-cache".into()],
            Some(folder) => vec!["--cache".into(), folder.into()],
            None => Vec::new(),
        }
    }
}

/// Reports that another process holds the lock of the cache.
fn report_waiting(wait: &CacheWait) {
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

/// Reports that the features could not be cached.
pub(super) fn tell_uncached(loaded: &FeatureDataset) {
    if let Some(reason) = &loaded.uncached {
        warning!("the features are not cached: {reason} (--no-cache disables the cache)");
    }
}

pub fn run(args: &CacheCommand) -> Result<ExitCode> {
    let cache = match &args.cache {
        Some(folder) => FeatureCache::new(folder),
        None => FeatureCache::of_user().context(
            "neither EMOVOX_CACHE nor HOME is set; --cache selects the folder of the cache",
        )?,
    };
    let entries = cache.list();
    let unfinished = cache.unfinished();
    let bytes = entries.iter().map(|entry| entry.bytes).sum::<u64>() + unfinished.bytes;
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
    for entry in &entries {
        say!(
            "{:>9.1} MB  {:>6} clips  {:>8}  settings {}  {}",
            entry.bytes as f64 / 1e6,
            entry.clips,
            age(entry.made),
            entry.settings,
            entry.corpus
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

/// Time since `then`, in minutes, hours or days.
fn age(then: SystemTime) -> String {
    let minutes = then.elapsed().unwrap_or_default().as_secs() / 60;
    match minutes {
        0..60 => format!("{minutes} min"),
        60..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}
