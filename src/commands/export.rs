//! `emovox export`: a trained run for other programs, or as one file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::{Runs, say};
use emovox::export::{safetensors, torchscript};
use emovox::inference::{Predictor, Trained};
use emovox::run::write_bytes;
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
}

pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    let trained = Trained::open(&args.runs.runs_dir, &args.run)?;
    let name = format!("{}.{}", trained.name(), args.format.extension());
    let licence = trained.licence();
    let notes = trained.caveats()?.notes();
    let bytes = match args.format {
        Format::Bundle => trained.bundle()?,
        Format::Torchscript => torchscript(&on_cpu(trained)?)?,
        Format::Safetensors => safetensors(&on_cpu(trained)?)?,
    };
    let out = args.out.clone().unwrap_or(PathBuf::from(name));
    ensure!(
        !out.is_dir(),
        "{} is a folder; --out names the file",
        out.display()
    );
    write_bytes(&out, &bytes)?;
    let kilobytes = bytes.len().div_ceil(1000);
    say!("{}: {kilobytes} kB, {licence}", out.display());
    if !notes.is_empty() {
        say!("Note: {}.", notes.join("; "));
    }
    Ok(ExitCode::SUCCESS)
}

fn on_cpu(trained: Trained) -> Result<Predictor> {
    Predictor::of(trained, Device::Cpu)
}
