//! `emovox collect`: what a grid has come to so far.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::terminal::{print_json, print_text};
use super::{Runs, grid, say};
use emovox::grid::{collect, write_collected};

/// Merges what is finished of a grid into tables and a picture
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox collect sizes.toml           the table, and its files in runs/sizes/
  emovox collect sizes.toml --json    the same for a program

It may be asked at any time, also while cells still train: what is finished counts, and what is missing
is said. For each setting: mean and standard deviation over the seeds, a 95 % interval by bootstrap over
speakers, and how far it lies above the baseline, by the folds and seeds that both have finished; that
interval is paired: each resample of speakers is heard by both. In runs/NAME/: grid.txt, grid.json,
settings.csv, cells.csv, grid.png, and the report of each setting in its own folder. Where a grid has
many settings, the best of them is too good by luck: test it on other seeds or speakers.")]
pub struct CollectArgs {
    /// The file that describes the sweep
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runs: Runs,
}

pub fn run(args: &CollectArgs) -> Result<ExitCode> {
    let grid = grid::open(&args.file, &args.runs.runs_dir)?;
    let collected = collect(&grid)?;
    write_collected(&grid, &collected)?;
    match args.json {
        true => print_json(&(serde_json::to_string_pretty(&collected)? + "\n")),
        false => {
            print_text(&(collected.text() + "\n"));
            say!("{} holds everything", grid.folder.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
