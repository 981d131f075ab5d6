//! `emovox collect`: summary of the finished trials of a sweep.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::terminal::{print_json, print_text};
use super::{Runs, grid, say};

/// Summarise the finished trials of a sweep in tables and a picture
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox collect sizes.toml           print the table, and write files to runs/sizes/
  emovox collect sizes.toml --json    the same as JSON

The command works at any time, also during the training: it uses the finished trials, and lists \
the missing ones. For each setting it prints mean and standard deviation over the seeds, a 95 % \
interval by bootstrap over speakers, and the difference from the baseline over the folds and \
seeds that both have finished. The interval of the difference is paired: each resample of \
speakers is used for both settings. The files in runs/NAME/ are grid.txt, grid.json, \
settings.csv, cells.csv, grid.png, and the report of each setting in its own folder. The best of \
many settings has a score that is too high by chance: test it with other seeds or speakers.")]
pub struct CollectArgs {
    /// Sweep file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runs: Runs,
}

pub fn run(args: &CollectArgs) -> Result<ExitCode> {
    let sweep = grid::open(&args.file, &args.runs.runs_dir)?;
    let summary = sweep.summary()?;
    sweep.write_summary(&summary)?;
    if args.json {
        print_json(&(serde_json::to_string_pretty(&summary)? + "\n"));
    } else {
        print_text(&(summary.text() + "\n"));
        say!("all results are in {}", sweep.folder.display());
    }
    Ok(ExitCode::SUCCESS)
}
