//! `emovox inspect`: recordings and corpora as pictures.

mod heard;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::output::OutputArgs;
use super::progress::bar;
use super::terminal::{print_error, print_text};
use super::{CorpusName, Runs, open_corpus, say};
use emovox::audio::{self, AudioConfig, SampleRate};
use emovox::corpus::CorpusKind;
use emovox::device::DeviceChoice;
use emovox::features::FeatureConfig;
use emovox::inference::{Predictor, Trained};
use emovox::inspection::{Recording, Survey};
use emovox::report::{is_own_picture, recording_png, survey_png, survey_text};
use emovox::run::{Outputs, write_output};

/// Draws recordings (waveform, mel spectrogram, MFCCs), or describes a corpus
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox inspect clip.wav                          draws clip.png
  emovox inspect clip.wav --run ravdess-bilstm     as that run hears it, and what it hears when
  emovox inspect *.wav --out pictures              one picture each
  emovox inspect data/tess                         describes a corpus: prints tables, writes tess.csv
                                                   (a line a clip) and tess.png

Of a corpus it warns where something other than the voice gives the label away, as the duration does in
TESS: a rule that guesses the class from that alone is measured by its balanced accuracy, in five folds,
against chance and against shuffled labels.")]
pub struct InspectArgs {
    /// WAV files, or one folder with a corpus (or `demo`)
    #[arg(required = true, value_name = "FILE|DIR")]
    what: Vec<PathBuf>,
    /// Show it as this run (or bundle) hears it, with what it hears
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    runs: Runs,
    /// The picture; of several recordings or a corpus, the folder to write to [default: here]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// Hertz to resample to, or `native`
    #[arg(
        long,
        value_name = "HZ",
        default_value = "native",
        conflicts_with = "run"
    )]
    sample_rate: SampleRate,
    /// Cut silence off both ends: what is so many decibels below the loudest frame
    #[arg(long, value_name = "DB", conflicts_with = "run")]
    trim_db: Option<f32>,
    /// Seconds that the model hears at once, for its probabilities over time
    #[arg(long, value_name = "S", default_value = "1.0", requires = "run")]
    window: f64,
    /// Seconds from one such window to the next
    #[arg(long, value_name = "S", default_value = "0.1", requires = "run")]
    hop: f64,
    /// What corpus the folder is, if emovox does not recognise it
    #[arg(long, value_enum)]
    corpus: Option<CorpusName>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
}

pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    let is_corpus = |path: &PathBuf| path.is_dir() || path.as_os_str() == "demo";
    match args.what.as_slice() {
        [folder] if is_corpus(folder) => {
            ensure!(
                args.run.is_none(),
                "--run shows recordings; name some instead of a folder"
            );
            inspect_corpus(args, folder)
        }
        files => {
            if let Some(folder) = files.iter().find(|file| is_corpus(file)) {
                anyhow::bail!("{} is a folder; inspect it alone", folder.display());
            }
            inspect_files(args, files)
        }
    }
}

fn inspect_corpus(args: &InspectArgs, folder: &Path) -> Result<ExitCode> {
    let corpus = open_corpus(folder, args.corpus.map(CorpusKind::from))?;
    let out = args.out.clone().unwrap_or_else(|| ".".into());
    make_folder(&out)?;
    let whole = std::fs::canonicalize(&corpus.folder).unwrap_or_else(|_| corpus.folder.clone());
    // The root of the file system has no name.
    let name = whole.file_name().unwrap_or("corpus".as_ref());
    let name = name.to_string_lossy();
    let (csv, picture) = (
        out.join(format!("{name}.csv")),
        out.join(format!("{name}.png")),
    );
    let mut outputs = args.output.outputs();
    for clip in &corpus.clips {
        outputs.protect(&corpus.path(clip));
    }
    outputs.check(&csv, Survey::is_own_csv)?;
    outputs.check(&picture, is_own_picture)?;
    let bar = bar(corpus.clips.len(), "recordings", "clips");
    let survey = Survey::read(&corpus, || bar.inc(1));
    bar.finish_and_clear();
    survey.write_csv(&csv)?;
    write(&picture, &survey_png(&survey)?)?;
    print_text(&(survey_text(&survey) + "
"));
    say!("wrote {} and {}", csv.display(), picture.display());
    Ok(ExitCode::SUCCESS)
}

fn inspect_files(args: &InspectArgs, files: &[PathBuf]) -> Result<ExitCode> {
    let predictor = match &args.run {
        Some(name) => {
            let trained = Trained::open(&args.runs.runs_dir, name)?;
            Some(Predictor::of(trained, args.device.resolve()?)?)
        }
        None => None,
    };
    let mut names = Names::new(args, files.len())?;
    let mut outputs = args.output.outputs();
    files.iter().for_each(|file| outputs.protect(file));
    if let Some(name) = &args.run {
        outputs.protect_run(&args.runs.runs_dir, name);
    }
    let mut failed = false;
    for file in files {
        let picture = names.of(file);
        // The others are drawn all the same.
        match draw(args, predictor.as_ref(), &mut outputs, file, &picture) {
            Ok(seen) => say!("{}: {seen}; drew {}", file.display(), picture.display()),
            Err(error) => {
                failed = true;
                print_error(&format!("{error:#}"));
            }
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Draws a recording; gives what there is to say of it.
fn draw(
    args: &InspectArgs,
    predictor: Option<&Predictor>,
    outputs: &mut Outputs,
    file: &Path,
    picture: &Path,
) -> Result<String> {
    outputs.check(picture, is_own_picture)?;
    let title = file
        .file_name()
        .unwrap_or(file.as_os_str())
        .to_string_lossy();
    let Some(predictor) = predictor else {
        let audio = AudioConfig {
            sample_rate: args.sample_rate,
            trim_db: args.trim_db,
        };
        let recording = Recording::read(file, &audio, &for_the_eye(file, args.sample_rate)?)?;
        write(picture, &recording_png(&recording, None, &title, None)?)?;
        return Ok(recording.story());
    };
    let config = predictor.config();
    let recording = Recording::read(file, &config.audio, &config.features)?;
    let heard = heard::heard(predictor, &recording, args.window, args.hop)
        .with_context(|| file.display().to_string())?;
    let best = heard::most_probable(&heard.whole);
    let answer = format!("{} {:.0} %", heard.classes[best], 100.0 * heard.whole[best]);
    let note = config
        .data
        .is_synthetic()
        .then_some("this model has heard synthetic speech only");
    let png = recording_png(
        &recording,
        Some(&heard),
        &format!("{title}: {answer}"),
        note,
    )?;
    write(picture, &png)?;
    Ok(format!("{answer}; {}", recording.story()))
}

fn write(picture: &Path, png: &[u8]) -> Result<()> {
    write_output(picture, |file| Ok(file.write_all(png)?))
}

/// Frames of about 60 ms, every 8: fine enough in time, and in frequency for the harmonics of a voice.
fn for_the_eye(file: &Path, rate: SampleRate) -> Result<FeatureConfig> {
    let rate = match rate {
        SampleRate::Hz(rate) => rate,
        SampleRate::Native => {
            audio::probe(file)
                .with_context(|| file.display().to_string())?
                .sample_rate
        }
    };
    let n_fft = (rate as usize / 25).next_power_of_two();
    let n_mels = 128.min(n_fft / 4);
    Ok(FeatureConfig {
        n_fft,
        hop_length: n_fft / 8,
        n_mels,
        n_mfcc: 40.min(n_mels),
        ..FeatureConfig::default()
    })
}

/// What the pictures are called.
struct Names {
    /// The one picture of the one recording, where it has a name of its own.
    given: Option<PathBuf>,
    folder: PathBuf,
    taken: BTreeSet<String>,
}

impl Names {
    fn new(args: &InspectArgs, files: usize) -> Result<Names> {
        let out = args.out.clone().unwrap_or_else(|| ".".into());
        let is_picture = out
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("png"));
        let given = (files == 1 && is_picture && !out.is_dir()).then(|| out.clone());
        if given.is_none() {
            make_folder(&out)?;
        }
        Ok(Names {
            given,
            folder: out,
            taken: BTreeSet::new(),
        })
    }

    /// The recording's own name; with a number where another one is called so.
    fn of(&mut self, file: &Path) -> PathBuf {
        if let Some(given) = &self.given {
            return given.clone();
        }
        let stem = file
            .file_stem()
            .unwrap_or(file.as_os_str())
            .to_string_lossy();
        let numbered = (2..).map(|number| format!("{stem}-{number}.png"));
        let mut names = std::iter::once(format!("{stem}.png")).chain(numbered);
        let name = names
            .find(|name| self.taken.insert(name.clone()))
            .unwrap_or_default();
        self.folder.join(name)
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}
