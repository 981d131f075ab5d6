//! `emovox stress`: scores of a trained run on disturbed clips.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::adapt::AdaptationGroups;
use super::output::OutputArgs;
use super::progress::bar;
use super::scored::{Chosen, ScoredArgs};
use super::terminal::{print_json, print_text};
use super::{resolve, say, tell_skipped_sounds};
use emovox::audio::AudioConfig;
use emovox::bounded;
use emovox::corpus::{Clip, Corpus, left_out};
use emovox::dataset::{Sounds, read_sounds};
use emovox::device::DeviceChoice;
use emovox::disturbance::Disturbance;
use emovox::evaluation::Robustness;
use emovox::experiments::{DecodedClips, StressClips, StressTest, group_scores};
use emovox::inference::{Predictor, Trained};
use emovox::io::check_writable;
use emovox::plural::counted;
use emovox::report::{StressReport, is_own_picture, is_own_stress, write_stress};
use emovox::run::{RunFolder, RunLock, StressFiles};

/// Test a trained run with noise, rooms, a telephone line and other disturbances
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox stress ravdess-bilstm                        the test subset with 20 disturbances
  emovox stress ravdess-bilstm --subset validation    another subset
  emovox stress ravdess-bilstm --all                  more noise, rooms, sample rates and lengths
  emovox stress ravdess-bilstm --noise data/musan     also with recordings of noise
  emovox stress model.emovox --data data/emodb --out results
      a bundle, another corpus, and a folder for the files

Every clip is disturbed before its features are computed, and predicted again. A disturbance \
passes two checks if the UAR falls by at most 5 points, and if at least 90 % of the predictions \
are unchanged. Without --out, stress.csv, stress-groups.csv, stress.json and stress.png are written \
into the folder of the run, for its own recordings and once its training is finished; `emovox \
report` then shows those of the test subset. Files of another subset have its name, such as \
stress-validation.csv. The same seed gives the same disturbances.")]
pub struct StressArgs {
    #[command(flatten)]
    scored: ScoredArgs,
    /// Measure all disturbances, not only the 20 whose checks are counted
    #[arg(long)]
    all: bool,
    /// Folder with recordings of noise, which are mixed with the clips at 20, 10 and 5 dB
    #[arg(long, value_name = "DIR")]
    noise: Option<PathBuf>,
    /// Folder with impulse responses of rooms
    #[arg(long, value_name = "DIR")]
    impulse_responses: Option<PathBuf>,
    /// Seed of the disturbances
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Folder for stress.csv, stress-groups.csv, stress.json and stress.png [default: folder of the run]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// Print JSON, with fractions of 1
    #[arg(long)]
    json: bool,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
}

pub fn run(args: &StressArgs) -> Result<ExitCode> {
    let trained = args.scored.open()?;
    let weights = trained.folder().map(weights_of).transpose()?;
    let predictor = Predictor::of(trained, resolve(args.device)?)?;
    let run = predictor.trained();
    let chosen = args.scored.choose(run)?;
    let files = out_files(args, run, &chosen)?;
    let audio = &predictor.config().audio;
    let noises = read_folder(args.noise.as_deref(), "--noise", audio)?;
    let responses = read_folder(
        args.impulse_responses.as_deref(),
        "--impulse-responses",
        audio,
    )?;
    tell_skipped_sounds(&noises, "recordings of noise");
    tell_skipped_sounds(&responses, "impulse responses");

    let progress = bar(chosen.corpus.clips.len(), "recordings", "clips");
    let mut decoded = DecodedClips::read(&chosen.corpus, audio, || progress.inc(1))?;
    progress.finish_and_clear();
    chosen.warn(&decoded.skipped);
    let notes = chosen.notes(run, &decoded.clips)?;
    let labels = args
        .scored
        .map_labels(&chosen, predictor.classes(), &decoded.clips)?;
    let unknown = decoded.relabel(&labels);
    let groups = args.scored.adapt.map(|groups| {
        let clips: Vec<&Clip> = decoded.clips.iter().collect();
        groups.of(&clips)
    });
    let groups = groups.transpose()?;
    let test = StressTest {
        predictor: &predictor,
        labels: &labels,
        clips: StressClips {
            clips: &decoded.clips,
            waveforms: &decoded.waveforms,
            noises: &noises.waveforms,
            responses: &responses.waveforms,
            seed: args.seed,
        },
        groups,
    };
    if let Some(folder) = files.as_ref().and_then(|files| files.csv.parent()) {
        check_writable(folder)?;
    }
    let mut report = measure(&test, &chosen.corpus, &disturbances(args))?;
    report.run = run.name().into();
    report.corpus = chosen.corpus.name();
    report.subset.clone_from(&chosen.subset);
    // The picture shows the first notes only.
    report.notes = notes.notes;
    report.notes.extend(report.clip_notes());
    report
        .notes
        .extend(args.scored.adapt.map(AdaptationGroups::note));
    report.notes.extend(labels.note());
    let unreadable = chosen.skipped_before + decoded.skipped.len();
    report.notes.extend(left_out(unreadable));
    if unknown > 0 {
        let note = format!("{unknown} clips left out, whose label is not a class of the model");
        report.notes.push(note);
    }
    report
        .notes
        .extend(notes_of_sounds(args, run, &noises, &responses));
    // A failed write must not lose the results.
    if args.json {
        print_json(&report.json()?);
    } else {
        print_text(&report.text());
    }
    let Some(files) = files else {
        say_unwritten(args, run, &chosen);
        return Ok(ExitCode::SUCCESS);
    };
    let _lock = match (args.out.is_none(), run.folder(), weights) {
        (true, Some(folder), Some(weights)) => Some(lock_tested(folder, weights)?),
        _ => None,
    };
    write_stress(&files, &report)?;
    if !args.json {
        let [csv, groups, json, png] = files.all().map(|file| file.display());
        say!("wrote {csv}, {groups}, {json} and {png}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Notes about the user's recordings of noise and impulse responses.
fn notes_of_sounds(
    args: &StressArgs,
    run: &Trained,
    noises: &Sounds,
    responses: &Sounds,
) -> Vec<String> {
    let skipped = noises.note("recordings of noise");
    let mut notes: Vec<String> = skipped.into_iter().collect();
    notes.extend(responses.note("impulse responses"));
    if noises.content.is_some() && noises.content == run.config().data.noise_content {
        notes.push("own noise: the model was trained with these recordings of noise".into());
    }
    for (folder, sounds, what) in [
        (&args.noise, noises, "own noise"),
        (&args.impulse_responses, responses, "own rooms"),
    ] {
        notes.extend(folder.as_ref().map(|folder| {
            let used = counted(sounds.waveforms.len(), "recording");
            format!("{what}: {used} of {}", folder.display())
        }));
    }
    notes
}

/// Says that the results are in no file, and why.
fn say_unwritten(args: &StressArgs, run: &Trained, chosen: &Chosen) {
    if args.json {
        return;
    }
    let is_unfinished = run.folder().is_some() && run.unfinished().is_some();
    let why = if is_unfinished && chosen.is_own() {
        ", because the training is not finished"
    } else {
        ""
    };
    say!("no file is written{why}; --out DIR writes the results into a folder");
}

/// The content of the weights of a run.
fn weights_of(run: &RunFolder) -> Result<blake3::Hash> {
    let weights = run.best_ot();
    let bytes = bounded::read(&weights, bounded::WEIGHTS);
    let bytes = bytes.with_context(|| format!("cannot read {}", weights.display()))?;
    Ok(blake3::hash(&bytes))
}

/// Locks the folder of a run, so that no training continues while results are written, and checks that
/// it still has the weights that were tested.
fn lock_tested(run: &RunFolder, tested: blake3::Hash) -> Result<RunLock> {
    let lock = run.lock().context("the results are not written")?;
    ensure!(
        weights_of(run)? == tested && Trained::of_folder(run)?.unfinished().is_none(),
        "the results are not written, because {} was trained further during the test; run the same \
         command again",
        run.name()
    );
    Ok(lock)
}

/// The disturbances that the flags select.
fn disturbances(args: &StressArgs) -> Vec<Disturbance> {
    let mut disturbances = if args.all {
        Disturbance::all()
    } else {
        Disturbance::core()
    };
    if args.noise.is_some() {
        disturbances.extend(Disturbance::with_recorded_noise());
    }
    if args.impulse_responses.is_some() {
        disturbances.push(Disturbance::with_impulse_responses());
    }
    disturbances
}

/// Predicts the clips as they are and with each disturbance.
fn measure(
    test: &StressTest,
    corpus: &Corpus,
    disturbances: &[Disturbance],
) -> Result<StressReport> {
    let clips = test.clips.clips;
    let speakers: Vec<String> = clips
        .iter()
        .map(|clip| clip.speaker_id().to_string())
        .collect();
    let speakers: Vec<&str> = speakers.iter().map(String::as_str).collect();
    let clean = test.clean()?;
    let mut report = StressReport::new(&clean, &speakers, test.clips.seed);
    report.groups = group_scores(corpus, clips, &clean);
    let progress = bar(disturbances.len() * clips.len(), "disturbed", "clips");
    for disturbance in disturbances {
        let disturbed = test.disturbed(disturbance, || progress.inc(1))?;
        report.add(
            disturbance,
            Robustness::between(&clean, &disturbed, &speakers),
        );
    }
    progress.finish_and_clear();
    Ok(report)
}

/// The files of the results; without --out, none for a bundle, for other recordings, for an adapted
/// model, and for weights that the training still changes.
fn out_files(args: &StressArgs, trained: &Trained, chosen: &Chosen) -> Result<Option<StressFiles>> {
    let ScoredArgs { run, runs, .. } = &args.scored;
    let folder = match &args.out {
        Some(out) => RunFolder::in_folder(out),
        None => {
            let own = chosen.is_own() && args.scored.adapt.is_none();
            let own = own && trained.unfinished().is_none();
            match trained.folder().filter(|_| own) {
                Some(folder) => folder.clone(),
                None => return Ok(None),
            }
        }
    };
    let subset = if chosen.is_own() {
        &chosen.subset
    } else {
        "test"
    };
    let files = folder.stress_files(subset);
    if let Some(out) = &args.out {
        ensure!(
            out.is_dir() || !out.exists(),
            "{} is a file; --out must be a folder",
            out.display()
        );
        let mut outputs = args.output.outputs();
        outputs.protect_run(&runs.runs_dir, run);
        args.scored.protect(&mut outputs);
        for file in [&files.csv, &files.groups_csv, &files.json] {
            outputs.check(file, is_own_stress)?;
        }
        outputs.check(&files.png, is_own_picture)?;
    }
    Ok(Some(files))
}

/// The recordings in a folder that a flag gives; none without the flag.
fn read_folder(folder: Option<&Path>, flag: &str, audio: &AudioConfig) -> Result<Sounds> {
    let Some(folder) = folder else {
        return Ok(Sounds::default());
    };
    read_sounds(folder, audio).with_context(|| format!("{flag} must be a folder with recordings"))
}
