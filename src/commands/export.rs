//! `emovox export`: export of a trained run to one file, for emovox or for other programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::output::{OutputArgs, report_written};
use super::{Runs, models};
use emovox::export::{is_bundle, is_safetensors, is_torchscript, safetensors, torchscript};
use emovox::inference::{Precision, Predictor, Trained};
use emovox::io::write_output;
use tch::Device;

/// Export a trained run as one file, for emovox, for PyTorch or for other programs
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox export ravdess-bilstm                          ravdess-bilstm.emovox, a bundle
  emovox predict ravdess-bilstm.emovox my-voice.wav     a bundle can be used instead of a run
  emovox export ravdess-bilstm --format torchscript     ravdess-bilstm.pt
      in Python: torch.jit.load('ravdess-bilstm.pt')(features, lengths)
  emovox export ravdess-bilstm --format safetensors --out weights.safetensors
      weights with PyTorch's names, and the settings as metadata

A bundle contains weights, settings, labels, temperature, a note on the licence of the corpus, \
and the names and content hashes of the clips and speakers that the model and its initial weights \
were trained on, so that `evaluate` can distinguish them from new ones. It contains no path of \
this machine. docs/export.md describes the other formats and the conversion to ONNX.")]
pub struct ExportArgs {
    /// Run: its name below runs/, its folder, or its bundle
    run: String,
    #[command(flatten)]
    runs: Runs,
    /// Format of the file
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "bundle")]
    format: Format,
    /// Store the weights of a bundle with 16 bits instead of 32: a file of half the size
    #[arg(long)]
    half: bool,
    /// Output file [default: the name of the run, in the current folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One file that emovox accepts instead of a run
    Bundle,
    /// The whole model for torch.jit.load of PyTorch, from features to log-probabilities
    Torchscript,
    /// The weights, for a module of torch.nn layers
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
    ensure!(
        !args.half || matches!(args.format, Format::Bundle),
        "--half is for bundles only"
    );
    let precision = if args.half {
        Precision::Half
    } else {
        Precision::Single
    };
    let trained = models::open(&args.runs.runs_dir, &args.run)?;
    let name = format!("{}.{}", trained.name(), args.format.extension());
    let out = args.out.clone().unwrap_or(PathBuf::from(name));
    let mut outputs = args.output.outputs();
    outputs.protect_run(&args.runs.runs_dir, &args.run);
    outputs.check(&out, |file| args.format.is_own(file))?;
    let licence = trained.licence();
    let notes = trained.caveats()?.notes();
    let bytes = match args.format {
        Format::Bundle => trained.bundle(precision)?,
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
