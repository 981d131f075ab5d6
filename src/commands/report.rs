//! `emovox report`: an HTML page that shows a run and plays its clips.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::output::{OutputArgs, report_written};
use super::progress::bar;
use super::{Runs, data_folder, models, warning};
use emovox::bounded;
use emovox::config::RunConfig;
use emovox::io::{write_bytes, write_output};
use emovox::plural::counted;
use emovox::report::{ClipsPage, Sounds, comparison_page, folds_page, is_own_page, run_page};
use emovox::run::{RunFolder, read_predictions};

/// Write an HTML page of a run: scores, curves, confusion matrix, and playable test clips
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox report ravdess-bilstm                 runs/ravdess-bilstm/report.html; open it in a browser
  emovox report ravdess-bilstm --embed         with the recordings in the page
  emovox report ravdess-bilstm-cv-5            a cross-validation, fold by fold
  emovox report first second --out both.html   compare several runs

The page needs no network. A click on a cell of the confusion matrix lists its clips; the key n \
plays the next one. Without --embed, the page links to the recordings, which must not move. With \
--embed, the page contains the recordings with 16 bits at 16 kHz, about 45 kB per second; check \
the licence of the corpus before you pass on such a page.")]
pub struct ReportArgs {
    /// Run or cross-validation: its name below runs/, or its folder; several are compared
    #[arg(required = true, value_name = "RUN")]
    names: Vec<String>,
    #[command(flatten)]
    runs: Runs,
    /// New folder of the recordings, if they have moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Embed the recordings in the page
    #[arg(long)]
    embed: bool,
    /// Output page [default: report.html in the folder of the run; for several runs, in this
    /// folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let (mut runs, mut cross_validations) = (Vec::new(), Vec::new());
    for name in &args.names {
        match cross_validation(&args.runs.runs_dir, name) {
            Some(folder) => cross_validations.push(folder),
            None => runs.push(models::open_folder(&args.runs.runs_dir, name)?),
        }
    }
    let folders = runs.iter().map(RunFolder::path);
    let folders: Vec<&Path> = folders
        .chain(cross_validations.iter().map(PathBuf::as_path))
        .collect();
    let default = match folders.as_slice() {
        [folder] => Some(RunFolder::in_folder(folder).report_html()),
        _ => None,
    };
    let given = args.out.clone().or(default.clone());
    let out = given.unwrap_or_else(|| "report.html".into());
    // The page in the folder of the run is replaced without a check.
    let is_default = default.as_ref() == Some(&out);
    if !is_default {
        let mut outputs = args.output.outputs();
        folders
            .iter()
            .for_each(|folder| outputs.protect_own(folder));
        outputs.check(&out, is_own_page)?;
    }
    let html = match (runs.as_slice(), cross_validations.as_slice()) {
        ([run], []) => {
            let folder = RunConfig::read(&run.config_toml())?.data.folder;
            let predictions = run.predictions_csv();
            let clips = if predictions.exists() {
                read_predictions(&predictions)?.clips.len()
            } else {
                0
            };
            let data = recordings(args, folder)?;
            let bar = bar(clips, "recordings", "clips");
            let page = run_page(run, &data, &sounds(args, &out), || bar.inc(1))?;
            bar.finish_and_clear();
            with_warning(page, &data)
        }
        ([], [folder]) => {
            let plan = Plan::read(folder)?;
            let data = recordings(args, plan.config.data.folder)?;
            let bar = bar(plan.clips, "recordings", "clips");
            let page = folds_page(folder, &data, &sounds(args, &out), || bar.inc(1))?;
            bar.finish_and_clear();
            with_warning(page, &data)
        }
        _ => {
            if args.embed || args.data.is_some() {
                bail!("a comparison has no recordings; leave out --embed and --data");
            }
            comparison_page(&runs, &cross_validations)?
        }
    };
    if is_default {
        write_bytes(&out, html.as_bytes())?
    } else {
        write_output(&out, |file| Ok(file.write_all(html.as_bytes())?))?
    }
    let megabytes = html.len() as f64 / 1e6;
    let line = format!(
        "wrote {} ({megabytes:.1} MB); open it in a browser",
        out.display()
    );
    report_written(&out, &line);
    Ok(ExitCode::SUCCESS)
}

/// The text of a page, after a warning if recordings of an existing folder cannot be read.
fn with_warning(page: ClipsPage, data: &Path) -> String {
    if page.unreadable > 0 && data.is_dir() {
        warning!(
            "{} in {} cannot be read, and the page plays only the others; if the recordings have moved, \
             --data gives their new folder",
            counted(page.unreadable, "recording"),
            data.display()
        );
    }
    page.html
}

/// The fields of a cross-validation's plan that the page needs.
#[derive(serde::Deserialize)]
struct Plan {
    clips: usize,
    config: PlanConfig,
}

/// The other settings are those of any version.
#[derive(serde::Deserialize)]
struct PlanConfig {
    data: PlanData,
}

#[derive(serde::Deserialize)]
struct PlanData {
    folder: PathBuf,
}

impl Plan {
    fn read(folder: &Path) -> Result<Plan> {
        let file = folder.join("cross-validation.toml");
        let place = || format!("cannot read {}", file.display());
        let text = bounded::read_text(&file, bounded::RESULTS).with_context(place)?;
        toml::from_str(&text).with_context(place)
    }
}

/// The folder of the cross-validation with this name or path, if there is one.
fn cross_validation(runs: &Path, name: &str) -> Option<PathBuf> {
    let candidates = [PathBuf::from(name), runs.join(name)];
    candidates
        .into_iter()
        .find(|folder| folder.join("cross-validation.toml").is_file())
}

/// The folder of the recordings. If it does not exist, only a warning is printed, because the page
/// is useful without recordings.
fn recordings(args: &ReportArgs, recorded: PathBuf) -> Result<PathBuf> {
    match &args.data {
        Some(moved) if moved.as_os_str() != "demo" && !moved.is_dir() => {
            bail!("there is no folder {}", moved.display())
        }
        Some(moved) => Ok(data_folder(moved)?.to_path_buf()),
        None => {
            if !recorded.is_dir() {
                warning!(
                    "there is no folder {}, so the page cannot play the recordings; if they have \
                     moved, --data gives their new folder",
                    recorded.display()
                );
            }
            Ok(recorded)
        }
    }
}

fn sounds(args: &ReportArgs, out: &Path) -> Sounds {
    if args.embed {
        return Sounds::Embedded;
    }
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Sounds::Linked(folder.into())
}
