//! Output of a training on standard output.

use std::sync::atomic::AtomicBool;

use anyhow::Result;

use super::monitor::TrainingMonitor;
use crate::commands::bars::clock;
use crate::commands::progress::bar;
use crate::commands::{in_folder, say, tell_corpus, typed};
use emovox::config::RunConfig;
use emovox::corpus::split::{SplitKind, Subset};
use emovox::corpus::{self, Clip, Corpus};
use emovox::dataset::{FeatureDataset, Sounds};
use emovox::escape::shell_word;
use emovox::experiments::Experiment;
use emovox::model::{EmotionModel, Head};
use emovox::plural::{counted, is_or_are};
use emovox::run::RunFolder;
use emovox::training::{Event, Progress};

/// Maximum number of pairs of identical recordings that are listed.
const LISTED: usize = 10;

/// Trains with a progress bar on a terminal, and prints one line per epoch.
pub(super) fn train_with_bar(
    experiment: &Experiment,
    model: &EmotionModel,
    noise: Sounds,
    stop: &AtomicBool,
    monitor: &mut TrainingMonitor,
) -> Result<Progress> {
    let config = &experiment.config.training;
    let copying = bar(experiment.copies(), "disturbed copies", "clips");
    let copies = experiment.disturbed_copies(&noise.waveforms, stop, || copying.inc(1))?;
    drop(noise);
    copying.finish_and_clear();
    let bar = bar(1, "training", "steps");
    let mut trained = false;
    let progress = experiment.train(model, copies, stop, |event| match event {
        Event::Step { epoch, step, steps } => {
            bar.set_length((config.epochs * steps) as u64);
            if bar.position() == 0 {
                // A resumed training starts in the middle; its rate must not include earlier steps.
                bar.set_position(((epoch - 1) * steps) as u64);
                bar.reset_eta();
            }
            bar.set_position(((epoch - 1) * steps + step) as u64);
        }
        Event::Epoch { record, best } => bar.suspend(|| {
            if !trained {
                say!("               training            validation");
                say!("                 loss   accuracy     loss   accuracy       UAR");
            }
            trained = true;
            if experiment.group.is_main() {
                monitor.epoch(record);
            }
            // With `best`, the line fits into 80 columns.
            say!(
                "epoch {:>3}/{:<4}{:>7.3}{:>9.1} %{:>9}{:>9} %{:>8} %{:>8.1} s{}",
                record.epoch,
                config.epochs,
                record.train_loss,
                100.0 * record.train_accuracy,
                shown(record.validation_loss, 3),
                shown(100.0 * record.validation_accuracy, 1),
                shown(100.0 * record.validation_uar, 1),
                record.seconds,
                if best { "  best" } else { "" }
            );
        }),
        Event::StoppedEarly { epoch } => bar.suspend(|| {
            say!(
                "stopped after epoch {epoch}: {} without a better one",
                counted(config.early_stopping, "epoch")
            );
        }),
    });
    bar.finish_and_clear();
    if let (Ok(progress), false) = (&progress, trained)
        && progress.epochs.len() >= config.epochs
    {
        say!(
            "nothing left to train: {} {} finished, and --epochs is {}",
            counted(progress.epochs.len(), "epoch"),
            is_or_are(progress.epochs.len()),
            config.epochs
        );
    }
    progress
}

/// A number with some decimals; a dash without a validation subset.
fn shown(number: f64, decimals: usize) -> String {
    if number.is_nan() {
        return "–".into();
    }
    format!("{number:.decimals$}")
}

/// Reports the state of an interrupted training, and the command that continues it.
pub(super) fn interrupted(progress: &Progress, command: &str) {
    say!("");
    say!(
        "stopped {} and saved; to continue: {command}",
        position(progress)
    );
}

/// Reports the position at which a resumed run continues.
pub(super) fn describe_place(run: &RunFolder, progress: &Progress) {
    let is_new = *progress == Progress::default();
    if is_new {
        say!(
            "{} has no saved state yet, and starts from the beginning",
            run.name()
        )
    } else {
        say!("{} continues {}", run.name(), position(progress))
    }
}

fn position(progress: &Progress) -> String {
    let epochs = progress.epochs.len();
    match progress.partial.steps {
        0 => format!("after epoch {epochs}"),
        steps => format!("after step {steps} of epoch {}", epochs + 1),
    }
}

/// Lists the recordings that are divided into pieces: the first ones by name, the others as a
/// count.
pub(super) fn describe_long(experiment: &Experiment) {
    const SHOWN: usize = 5;
    let long = experiment.long_recordings();
    if long.is_empty() {
        return;
    }
    let limit = experiment.config.training.piece_seconds;
    say!(
        "{} longer than {limit} s {} divided into pieces for training and prediction ([training] \
         piece_seconds):",
        counted(long.len(), "recording"),
        is_or_are(long.len())
    );
    for (clip, seconds) in long.iter().take(SHOWN) {
        say!("  {}: {}", clip.file.display(), clock(*seconds));
    }
    if long.len() > SHOWN {
        say!("  … and {} more", long.len() - SHOWN);
    }
}

/// Reports the initial weights of a run with --init-weights.
pub(super) fn describe_head(experiment: &Experiment) {
    let weights = &experiment.config.training.init_weights;
    if let (Some(weights), Some(head)) = (weights, experiment.head) {
        let head = match head {
            Head::Kept => "all layers",
            Head::New => "with a new last layer for these classes",
        };
        say!(
            "initial weights: {} ({head}); the state of the optimizer is new",
            weights.display()
        );
        for note in experiment.caveats.notes_on_weights() {
            say!("{note}");
        }
    }
}

/// Reports the corpus.
pub(super) fn describe(corpus: &Corpus, config: &RunConfig) {
    let classes = corpus::classes(&corpus.clips);
    say!(
        "corpus {}: {}, {}, {} ({}){}",
        in_folder(&corpus.name(), &corpus.folder),
        counted(corpus.clips.len(), "clip"),
        corpus::describe_speakers(&corpus.clips, false),
        counted(classes.len(), "class"),
        classes.join(", "),
        if corpus.is_synthetic() {
            "; synthetic, not human speech"
        } else {
            ""
        }
    );
    tell_corpus(corpus);
    if !corpus.given.is_empty() && !corpus.given_on_request && config.split.kind != SplitKind::Given
    {
        say!(
            "the subsets that the recordings come with are not used: the split is {}",
            config.split.kind
        );
    }
}

/// Reports that a final model has no score of its own, and the command that estimates it.
pub(super) fn describe_final(experiment: &Experiment) {
    let run = typed(&experiment.run);
    let settings = experiment.run.config_toml().display().to_string();
    say!("");
    say!(
        "{run} is a final model: it is trained without a test subset, so it has no score of its own. A \
         cross-validation with the same settings estimates its score on new speakers:"
    );
    say!(
        "  emovox cross-validate --config {} --folds 5",
        shell_word(&settings)
    );
    say!("predict other recordings: emovox predict {run} FILE.wav");
}

/// Reports clips and speakers of each subset, and everything that limits the meaning of the scores.
pub(super) fn describe_split(experiment: &Experiment) {
    let (clips, split) = (&experiment.loaded.clips, &experiment.split);
    for subset in Subset::ALL {
        let indices = split.indices(subset);
        if indices.is_empty() {
            say!("{subset:>10}:     no clips");
            continue;
        }
        let in_subset: Vec<Clip> = indices.iter().map(|&index| clips[index].clone()).collect();
        let speakers = corpus::describe_speakers(&in_subset, true);
        say!("{subset:>10}: {:>5} clips, {speakers}", indices.len());
    }
    let leaked = experiment.leaked().len();
    let weights = experiment.caveats.test.notes("the initial weights");
    let is_test_new = split.shared.test_is_unseen() && leaked == 0 && weights.is_empty();
    match split.shared.note() {
        Some(note) if is_test_new => {
            say!("{note}; the test speakers are not in the training or validation subset");
        }
        Some(note) => say!("{note}; the scores do not predict the scores on new speakers"),
        None => {}
    }
    describe_repeated(&experiment.loaded);
    if leaked > 0 {
        say!(
            "{leaked} of these pairs are in different subsets, so the scores are too high: remove one \
             recording of each pair"
        );
    }
}

/// Lists pairs of identical recordings, starting with those of two labels, then of two speakers.
fn describe_repeated(loaded: &FeatureDataset) {
    let contradictory = loaded.same_of_two_labels();
    let of_two = loaded.same_of_two_speakers();
    let mut pairs = loaded.same.clone();
    pairs.sort_by_key(|pair| (!contradictory.contains(pair), !of_two.contains(pair)));
    for &(first, second) in pairs.iter().take(LISTED) {
        let (one, other) = (&loaded.clips[first], &loaded.clips[second]);
        let (file, same) = (one.file.display(), other.file.display());
        if one.label != other.label {
            say!(
                "contradictory labels: {file} ({}) and {same} ({}) are the same recording",
                one.label,
                other.label
            );
        } else if of_two.contains(&(first, second)) {
            say!(
                "the same recording belongs to speaker {} and to speaker {}: {file} and {same}",
                one.speaker_id(),
                other.speaker_id()
            );
        } else {
            say!("{file} and {same} are the same recording");
        }
    }
    if loaded.same.len() > LISTED {
        say!(
            "{} of identical recordings",
            counted(loaded.same.len() - LISTED, "more pair")
        );
    }
    if !contradictory.is_empty() {
        say!(
            "{} with two labels that contradict each other: remove the wrong one of each pair",
            counted(contradictory.len(), "recording")
        );
    }
    if !of_two.is_empty() {
        say!(
            "{} of two speakers, who may be one person: remove the wrong one of each pair",
            counted(of_two.len(), "recording")
        );
    }
}
