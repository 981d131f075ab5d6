//! `emovox plot`: the curves of one run, or of several over each other.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::Runs;
use emovox::config::RunConfig;
use emovox::leakage::Caveats;
use emovox::report::{Curves, curves_png};
use emovox::run::{RunFolder, read_metrics, write_bytes};

/// Redraws the curves of runs from their metrics.csv
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox plot ravdess-bilstm                          redraws runs/ravdess-bilstm/curves.png
  emovox plot ravdess-bilstm ravdess-seed             both in one picture, curves.png here
  emovox plot first second third --out compare.png    the same under another name")]
pub struct PlotArgs {
    /// The runs: names below runs/, or folders
    #[arg(required = true, value_name = "RUN")]
    names: Vec<String>,
    #[command(flatten)]
    runs: Runs,
    /// The picture [default: curves.png in the run's folder; of several runs, here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: PlotArgs) -> Result<ExitCode> {
    let runs: Vec<RunFolder> = args
        .names
        .iter()
        .map(|name| RunFolder::open(&args.runs.runs_dir, name))
        .collect::<Result<_>>()?;
    let curves: Vec<Curves> = runs.iter().map(curves_of).collect::<Result<_>>()?;
    let out = args.out.unwrap_or_else(|| match runs.as_slice() {
        [run] => run.curves_png(),
        _ => "curves.png".into(),
    });
    write_bytes(&out, &curves_png(&curves)?)?;
    println!("drew {}", out.display());
    Ok(ExitCode::SUCCESS)
}

fn curves_of(run: &RunFolder) -> Result<Curves> {
    let config = RunConfig::read(&run.config_toml())?;
    let notes = Caveats::of_run(run)?.notes();
    let epochs = read_metrics(&run.metrics_csv())
        .with_context(|| format!("{} has no curves yet", run.name()))?;
    Ok(Curves {
        name: run.name(),
        kept_epoch: config.training.keep.of(&epochs).map(|kept| kept.epoch),
        epochs,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    })
}
