//! `emovox doctor`: properties of the machine, and the result of a corpus scan.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;
use rayon::prelude::*;

use super::folder::FolderArgs;
use super::list::ListArgs;
use super::{open_data, say};
use emovox::audio::{self, Channel, Excerpt};
use emovox::corpus::{self, Corpus, Skipped};
use emovox::device::{self, DeviceChoice};
use emovox::libtorch::Libtorch;
use emovox::parallel;
use emovox::plural::counted;

/// Show device, libraries and threads, and the recordings in a corpus
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox doctor
  emovox doctor --data data/ravdess    clips, speakers, classes, and files that cannot be read
  emovox doctor --manifest clips.csv   the same for a manifest, before a training on it")]
pub struct DoctorArgs {
    /// Folder of a corpus to check, or `demo`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    list: ListArgs,
}

pub fn run(args: DoctorArgs) -> Result<ExitCode> {
    args.folder.require(args.data.as_deref());
    machine()?;
    args.list
        .check_conflict(args.data.as_ref().map(|_| "--data <DIR>"));
    let manifest = args.list.data()?;
    if let Some(data) = &args.data {
        say!("");
        recordings(&args.folder.open(data, args.list.subset_words())?);
    } else if let Some(manifest) = &manifest {
        say!("");
        recordings(&open_data(manifest)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn machine() -> Result<()> {
    say!("emovox        {}", env!("CARGO_PKG_VERSION"));
    let libtorch = Libtorch::loaded();
    say!(
        "libtorch      {} from {} (built with {})",
        libtorch.version,
        libtorch.folder,
        libtorch.built_with
    );
    gpus();
    say!(
        "device        {} (for --device auto)",
        device::name(DeviceChoice::Auto.resolve()?)
    );
    say!(
        "threads       {} (--threads; default: one per core)",
        parallel::threads()
    );
    Ok(())
}

/// Reports the driver, CUDA and the GPUs, each with the result of a test step.
fn gpus() {
    if let Some(version) = device::driver_cuda_version() {
        let release = driver_release().map_or_else(String::new, |release| format!("{release}, "));
        let supported = dotted(version, 1000, 10);
        say!(
            "driver        {release}supports CUDA {supported} (CUDA 13 needs driver 580 or newer)"
        );
    }
    if let Err(reason) = device::load_cuda() {
        say!("CUDA          none: {reason}");
        // GPUs that the driver has and this libtorch cannot use.
        for (index, gpu) in (0..).map_while(device::gpu).enumerate() {
            say!("GPU {index}         {}", gpu.describe(None));
            say!("              cannot be used, for the reason above");
        }
        return;
    }
    let runtime = dotted(tch::utils::version_cudart(), 1000, 10);
    let cudnn = dotted(tch::utils::version_cudnn(), 10_000, 100);
    say!("CUDA          runtime {runtime}, cuDNN {cudnn}");
    let count = device::cuda_devices();
    if count == 0 {
        say!("GPUs          none that libtorch finds (try nvidia-smi)");
    }
    for index in 0..count {
        let tried = device::try_gpu(index);
        let free = device::memory(index).filter(|_| tried.is_ok());
        let gpu = device::gpu(index).map_or("unknown".into(), |gpu| gpu.describe(free));
        let result = match tried {
            Ok(()) => "works: a training step was computed on it".into(),
            Err(reason) => format!("cannot be used: {reason}"),
        };
        say!("GPU {index}         {gpu}");
        say!("              {result}");
    }
}

/// Release number of the NVIDIA driver, such as `580.95.05`.
fn driver_release() -> Option<String> {
    let query = ["--query-gpu=driver_version", "--format=csv,noheader"];
    let output = Command::new("nvidia-smi").args(query).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let release = text.lines().next()?.trim();
    // A failed nvidia-smi prints a sentence.
    let is_number = release.starts_with(|c: char| c.is_ascii_digit());
    is_number.then(|| release.to_string())
}

/// Formats a version number of NVIDIA's libraries: 13000 is 13.0, 91002 is 9.10.
fn dotted(version: i64, major: i64, minor: i64) -> String {
    format!("{}.{}", version / major, version % major / minor)
}

fn recordings(corpus: &Corpus) {
    say!(
        "corpus        {} in {}",
        corpus.kind,
        corpus.folder.display()
    );
    if corpus.kind.is_synthetic() {
        say!("              synthetic: a score on it does not predict a score on human speech");
    }
    for note in corpus.rules.iter().chain(&corpus.notes) {
        say!("              {note}");
    }
    say!("clips         {}", corpus.clips.len());
    let mut speakers = corpus::speakers(&corpus.clips);
    speakers.retain(|speaker| !speaker.is_empty());
    match speakers.as_slice() {
        [] => say!("speakers      unknown"),
        _ => say!("speakers      {} ({})", speakers.len(), speakers.join(", ")),
    }
    if let Some(counts) = corpus::women_and_men(corpus.kind, &speakers) {
        say!("              {counts}");
    }
    let classes = corpus::classes(&corpus.clips);
    say!("classes       {}", classes.len());
    for class in &classes {
        let clips = corpus
            .clips
            .iter()
            .filter(|clip| clip.label == *class)
            .count();
        say!("              {clips:>6} {class}");
    }

    let mut rates: BTreeMap<(u32, u16), usize> = BTreeMap::new();
    let mut seconds = 0.0;
    let mut unreadable = Vec::new();
    for (file, result) in read_all(corpus) {
        match result {
            Ok((rate, channels, length)) => {
                *rates.entry((rate, channels)).or_default() += 1;
                seconds += length;
            }
            Err(reason) => unreadable.push((file, reason)),
        }
    }
    say!("length        {:.1} minutes", seconds / 60.0);
    say!("sample rates");
    for ((rate, channels), clips) in rates {
        say!(
            "              {clips:>6} at {rate} Hz, {}",
            counted(channels, "channel")
        );
    }
    say!("unreadable    {}", unreadable.len());
    for (file, reason) in unreadable {
        say!("              {}: {reason}", file.display());
    }
    say!("left out      {}", corpus.skipped.len());
    for Skipped { file, reason } in &corpus.skipped {
        say!("              {}: {reason}", file.display());
    }
}

/// Sample rate in hertz, number of channels and length in seconds; or the error message.
type ReadResult = Result<(u32, u16, f64), String>;

/// Reads every recording to its end, because a header can state more samples than there are.
fn read_all(corpus: &Corpus) -> Vec<(&Excerpt, ReadResult)> {
    let read = |recording: &Excerpt| -> Result<(u32, u16, f64), audio::AudioError> {
        let info = audio::probe(&recording.path)?;
        let waveform = audio::read_excerpt(recording, Channel::Mix)?.waveform;
        Ok((info.sample_rate, info.channels, waveform.seconds()))
    };
    corpus
        .clips
        .par_iter()
        .map(|clip| {
            let result = read(&corpus.recording(clip)).map_err(|error| error.to_string());
            (&clip.file, result)
        })
        .collect()
}
