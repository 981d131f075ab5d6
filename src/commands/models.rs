//! `emovox models`: the models that are part of the program.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use super::terminal::print_text;
use super::{resolve, say, typed, warning};
use emovox::device::DeviceChoice;
use emovox::inference::{BUILTIN, BuiltinModel, BuiltinScores, Predictor, Trained, Unfinished};
use emovox::run::RunFolder;

/// List the built-in models, or print the model card of one
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox models             all built-in models
  emovox models acted-6     training data, licences, scores and limits of one

A built-in model is used like a run: emovox predict acted-6 my-voice.wav. Without the name of a \
run, predict, listen, serve and inspect use the first one.")]
pub struct ModelsArgs {
    /// Model whose card is printed: data, licences, scores, limits
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn run(args: &ModelsArgs) -> Result<ExitCode> {
    let Some(name) = &args.name else {
        for model in &BUILTIN {
            let trained = Trained::of_builtin(model)?;
            let classes = trained.config().data.classes.join(", ");
            say!("{}: {}", model.name, model.summary);
            say!("    classes: {classes}");
            let BuiltinScores {
                uar,
                speakers,
                checks_passed,
                ..
            } = model.scores;
            say!(
                "    UAR {:.1} % on {speakers} speakers that are not in its training; stress test: \
                 {checks_passed} of 40 checks",
                100.0 * uar
            );
            say!("    {}", trained.licence());
            say!("    model card: emovox models {}", model.name);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(model) = BuiltinModel::named(name) else {
        let names: Vec<&str> = BUILTIN.iter().map(|model| model.name).collect();
        bail!(
            "there is no built-in model '{name}'; there is {}",
            names.join(", ")
        );
    };
    print_text(model.card);
    Ok(ExitCode::SUCCESS)
}

/// Opens a run, a bundle or a built-in model, with a note if its training is not finished.
///
/// # Errors
/// If there is no such run or bundle, or if its settings cannot be read.
pub(super) fn open(runs: &Path, run: &str) -> Result<Trained> {
    let trained = Trained::open(runs, run)?;
    if let Some(Unfinished { epochs, planned }) = trained.unfinished() {
        let next = match trained.folder() {
            Some(folder) => format!("to finish it: emovox train --resume {}", typed(folder)),
            None => "finish the run, then export it again".into(),
        };
        warning!(
            "note: the training of {} is not finished: {epochs} of {planned} epochs; {next}",
            trained.name()
        );
    }
    Ok(trained)
}

/// Opens the folder of a run, for commands that need more than its model.
///
/// # Errors
/// If there is no such run.
pub(super) fn open_folder(runs: &Path, run: &str) -> Result<RunFolder> {
    match RunFolder::open(runs, run) {
        Err(_) if BuiltinModel::named(run).is_some() && !runs.join(run).exists() => bail!(
            "{run} is a built-in model, which has no run folder; `emovox models {run}` prints its scores"
        ),
        opened => opened,
    }
}

/// Opens a run or bundle, or the first built-in model.
///
/// # Errors
/// If there is no such run or bundle, or if it cannot be read.
pub(super) fn open_or_builtin(runs: &Path, run: Option<&str>) -> Result<Trained> {
    if let Some(run) = run {
        return open(runs, run);
    }
    let model = &BUILTIN[0];
    let name = model.name;
    let other = match RunFolder::at(&runs.join(name)) {
        Some(run) => format!(" (not your run {})", run.path().display()),
        None => String::new(),
    };
    warning!(
        "note: the built-in model {name}{other} predicts; it was trained on acted studio speech, and \
         `emovox models {name}` prints its scores and limits"
    );
    Trained::of_builtin(model)
}

/// Loads a model, with a note if it was trained on synthetic speech only.
///
/// # Errors
/// If its weights cannot be read, or if there is no such device.
pub(super) fn load(trained: Trained, device: DeviceChoice) -> Result<Predictor> {
    let predictor = Predictor::of(trained, resolve(device)?)?;
    if predictor.config().data.is_synthetic() {
        warning!(
            "note: this model was trained on synthetic speech only; its predictions for human speech mean \
             little"
        );
    }
    Ok(predictor)
}
