//! `emovox plot`: curves of one run, or of several runs in one picture.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::output::{OutputArgs, check_picture_name, report_written};
use super::{Runs, models};
use emovox::config::RunConfig;
use emovox::io::{write_bytes, write_output};
use emovox::leakage::Caveats;
use emovox::report::{Curves, curves_png, is_own_picture, joined_notes};
use emovox::run::{RunFolder, distinct_names, read_metrics};

/// Draw the curves of runs from their metrics.csv
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox plot ravdess-bilstm                          draw runs/ravdess-bilstm/curves.png again
  emovox plot ravdess-bilstm ravdess-mean-lstm        both in one picture, ./curves.png
  emovox plot first second third --out compare.png    another name for the picture")]
pub struct PlotArgs {
    /// Runs: names below runs/, or folders
    #[arg(required = true, value_name = "RUN")]
    names: Vec<String>,
    #[command(flatten)]
    runs: Runs,
    /// Output picture [default: curves.png in the folder of the run; for several runs, in this
    /// folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn run(args: PlotArgs) -> Result<ExitCode> {
    let runs: Vec<RunFolder> = args
        .names
        .iter()
        .map(|name| models::open_folder(&args.runs.runs_dir, name))
        .collect::<Result<_>>()?;
    let mut curves: Vec<Curves> = runs.iter().map(curves_of).collect::<Result<_>>()?;
    let names: Vec<String> = runs.iter().map(RunFolder::name).collect();
    let named: Vec<(&str, &Path)> = names
        .iter()
        .zip(&runs)
        .map(|(name, run)| (name.as_str(), run.path()))
        .collect();
    for (curves, name) in curves.iter_mut().zip(distinct_names(&named)) {
        curves.name = name;
    }
    let run_picture = match runs.as_slice() {
        [run] => Some(run.curves_png()),
        _ => None,
    };
    let given = args.out.or(run_picture.clone());
    let out = given.unwrap_or_else(|| "curves.png".into());
    let picture = curves_png(&curves)?;
    if run_picture.as_ref() == Some(&out) {
        // The picture in the folder of the run is replaced without a check.
        write_bytes(&out, &picture)?;
    } else {
        let mut outputs = args.output.outputs();
        runs.iter().for_each(|run| outputs.protect_own(run.path()));
        outputs.check(&out, is_own_picture)?;
        check_picture_name(&out)?;
        write_output(&out, |file| Ok(file.write_all(&picture)?))?;
    }
    report_written(&out, &format!("drew {}", out.display()));
    Ok(ExitCode::SUCCESS)
}

fn curves_of(run: &RunFolder) -> Result<Curves> {
    let config = RunConfig::read(&run.config_toml())?;
    let notes = Caveats::of_run(run)?.notes();
    let epochs = read_metrics(&run.metrics_csv())
        .with_context(|| format!("{} has no curves yet", run.name()))?;
    Ok(Curves {
        name: run.name(),
        kept_epoch: config
            .training
            .checkpoint_selection
            .of(&epochs)
            .map(|kept| kept.epoch),
        epochs,
        note: joined_notes(&notes),
    })
}
