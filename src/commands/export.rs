//! `emovox export`: a trained run for other programs, or as one file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::Runs;
use super::output::{OutputArgs, report_written};
use emovox::export::{is_bundle, is_safetensors, is_torchscript, safetensors, torchscript};
use emovox::inference::{Predictor, Trained};
use emovox::run::write_output;
use tch::Device;

/// Writes a trained run as one file: for emovox elsewhere, for PyTorch, for other programs
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox export ravdess-bilstm                          ravdess-bilstm.emovox, a bundle
  emovox predict ravdess-bilstm.emovox my-voice.wav     which is taken wherever a run is
  emovox export ravdess-bilstm --format torchscript     ravdess-bilstm.pt
      in Python: torch.jit.load('ravdess-bilstm.pt')(features, lengths)
  emovox export ravdess-bilstm --format safetensors --out weights.safetensors
      weights by PyTorch's names, the settings in the metadata

A bundle holds weights, settings, labels, temperature, a note of the corpus' licence, and the names
and content hashes of the clips and speakers that the model, and the weights it started from, learned
from, so that `evaluate` can tell them from new ones. It holds no place on this machine. docs/export.md shows how the others are used, and the way
to ONNX.")]
pub struct ExportArgs {
    /// The run: its name below runs/, its folder, or its bundle
    run: String,
    #[command(flatten)]
    runs: Runs,
    /// What for
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "bundle")]
    format: Format,
    /// The file to write [default: the run's name, in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One file that emovox takes in place of a run
    Bundle,
    /// The whole model for PyTorch's torch.jit.load, from features to log-probabilities
    Torchscript,
    /// Weights for a module of torch.nn layers
    Safetensors,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Bundle => "emovox",
            Format::Torchscript => "pt",
            Format::Safetensors => "safetensors",
        }
    }

    /// True for a file that emovox exported in this format.
    fn is_own(self, file: &Path) -> bool {
        match self {
            Format::Bundle => is_bundle(file),
            Format::Torchscript => is_torchscript(file),
            Format::Safetensors => is_safetensors(file),
        }
    }
}

pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    let trained = Trained::open(&args.runs.runs_dir, &args.run)?;
    let name = format!("{}.{}", trained.name(), args.format.extension());
    let out = args.out.clone().unwrap_or(PathBuf::from(name));
    let mut outputs = args.output.outputs();
    outputs.protect_run(&args.runs.runs_dir, &args.run);
    outputs.check(&out, |file| args.format.is_own(file))?;
    let licence = trained.licence();
    let notes = trained.caveats()?.notes();
    let bytes = match args.format {
        Format::Bundle => trained.bundle()?,
        Format::Torchscript => torchscript(&on_cpu(trained)?)?,
        Format::Safetensors => safetensors(&on_cpu(trained)?)?,
    };
    write_output(&out, |file| Ok(file.write_all(&bytes)?))?;
    let kilobytes = bytes.len().div_ceil(1000);
    report_written(
        &out,
        &format!("{}: {kilobytes} kB, {licence}", out.display()),
    );
    if !notes.is_empty() {
        report_written(&out, &format!("Note: {}.", notes.join("; ")));
    }
    Ok(ExitCode::SUCCESS)
}

fn on_cpu(trained: Trained) -> Result<Predictor> {
    Predictor::of(trained, Device::Cpu)
}
