//! What a training tells while it goes on.

use std::sync::atomic::AtomicBool;

use anyhow::Result;

use super::follow::Follower;
use crate::commands::bars::clock;
use crate::commands::progress::bar;
use crate::commands::say;
use emovox::config::RunConfig;
use emovox::corpus::split::{Part, SplitKind};
use emovox::corpus::{self, Clip, Corpus};
use emovox::dataset::Loaded;
use emovox::experiment::Experiment;
use emovox::model::{EmotionModel, Head};
use emovox::run::RunFolder;
use emovox::training::{Event, Progress};

/// So many recordings that are there twice are listed.
const LISTED: usize = 10;

/// Trains with a bar on a terminal, and a line an epoch everywhere.
pub(super) fn train_with_bar(
    experiment: &Experiment,
    model: &EmotionModel,
    stop: &AtomicBool,
    follower: &mut Follower,
) -> Result<Progress> {
    let config = &experiment.config.training;
    let bar = bar(1, "training", "steps");
    let mut trained = false;
    let progress = experiment.train(model, stop, |event| match event {
        Event::Step { epoch, step, steps } => {
            bar.set_length((config.epochs * steps) as u64);
            if bar.position() == 0 {
                // A resumed training starts in the middle; its rate must not count what was done.
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
            if experiment.ranks.is_first() {
                follower.epoch(record);
            }
            // With its mark a line fits a terminal of 80 columns.
            say!(
                "epoch {:>3}/{:<4}{:>7.3}{:>9.1} %{:>9.3}{:>9.1} %{:>8.1} %{:>8.1} s{}",
                record.epoch,
                config.epochs,
                record.train_loss,
                100.0 * record.train_accuracy,
                record.validation_loss,
                100.0 * record.validation_accuracy,
                100.0 * record.validation_uar,
                record.seconds,
                if best { "  best" } else { "" }
            );
        }),
        Event::StoppedEarly { epoch } => bar.suspend(|| {
            say!(
                "stopped after epoch {epoch}: {} epochs brought no better validation UAR",
                config.early_stopping
            );
        }),
    });
    bar.finish_and_clear();
    if let (Ok(progress), false) = (&progress, trained)
        && progress.epochs.len() >= config.epochs
    {
        say!(
            "nothing left to train: {} epochs are done, and --epochs asks for {}",
            progress.epochs.len(),
            config.epochs
        );
    }
    progress
}

/// Where a training that was asked to stop has got to.
pub(super) fn interrupted(progress: &Progress, go_on: &str) {
    say!("");
    say!("stopped {} and saved; go on: {go_on}", place(progress));
}

/// Where a run goes on.
pub(super) fn describe_place(run: &RunFolder, progress: &Progress) {
    let is_new = *progress == Progress::default();
    match is_new {
        true => say!(
            "{} has saved nothing yet, and starts from the beginning",
            run.name()
        ),
        false => say!("{} goes on {}", run.name(), place(progress)),
    }
}

fn place(progress: &Progress) -> String {
    let epochs = progress.epochs.len();
    match progress.partial.steps {
        0 => format!("after epoch {epochs}"),
        steps => format!("after step {steps} of epoch {}", epochs + 1),
    }
}

/// Names the recordings that are trained on in pieces: some by name, the others by number.
pub(super) fn describe_long(experiment: &Experiment) {
    const SHOWN: usize = 5;
    let long = experiment.long_recordings();
    if long.is_empty() {
        return;
    }
    let most = experiment.config.training.piece_seconds;
    let (number, verb) = match long.len() {
        1 => ("1 recording".to_string(), "is"),
        number => (format!("{number} recordings"), "are"),
    };
    say!(
        "{number} longer than {most} s {verb} trained on and predicted in pieces ([training] piece_seconds):"
    );
    for (clip, seconds) in long.iter().take(SHOWN) {
        say!("  {}: {}", clip.file.display(), clock(*seconds));
    }
    if long.len() > SHOWN {
        say!("  … and {} more", long.len() - SHOWN);
    }
}

/// What a run that was given weights starts from.
pub(super) fn describe_head(experiment: &Experiment) {
    let weights = &experiment.config.training.init_weights;
    if let (Some(weights), Some(head)) = (weights, experiment.head) {
        let head = match head {
            Head::Kept => "all layers",
            Head::New => "the last layer is new, for these classes",
        };
        say!(
            "starts from the weights in {} ({head}); the optimizer starts fresh",
            weights.display()
        );
        for note in experiment.caveats.notes_on_weights() {
            say!("{note}");
        }
    }
}

/// What was found.
pub(super) fn describe(corpus: &Corpus, config: &RunConfig) {
    let classes = corpus::classes(&corpus.clips);
    say!(
        "corpus {} in {}: {} clips, {} speakers, {} classes ({}){}",
        corpus.name(),
        corpus.folder.display(),
        corpus.clips.len(),
        corpus::speakers(&corpus.clips).len(),
        classes.len(),
        classes.join(", "),
        if corpus.is_synthetic() {
            "; synthetic, not people"
        } else {
            ""
        }
    );
    for note in &corpus.notes {
        say!("{note}");
    }
    if !corpus.given.is_empty() && config.split.kind != SplitKind::Given {
        say!(
            "the manifest says who tests, which is not looked at: the split is {}",
            config.split.kind
        );
    }
    if let Some(first) = corpus.skipped.first() {
        say!(
            "{} more WAV files or places are left out, such as {}: {}",
            corpus.skipped.len(),
            first.file.display(),
            first.reason
        );
    }
}

/// Who is in which part.
pub(super) fn describe_split(experiment: &Experiment) {
    let (clips, split) = (&experiment.loaded.clips, &experiment.split);
    for part in Part::ALL {
        let indices = split.indices(part);
        let of_part: Vec<Clip> = indices.iter().map(|&index| clips[index].clone()).collect();
        let speakers = corpus::speakers(&of_part);
        let who = match speakers.as_slice() {
            [unknown] if unknown.is_empty() => "unknown speakers".to_string(),
            _ => format!("{} speakers ({})", speakers.len(), speakers.join(", ")),
        };
        say!("{part:>10}: {:>5} clips, {who}", indices.len());
    }
    let leaked = experiment.leaked().len();
    let weights = experiment.caveats.test.notes("the initial weights");
    let unheard = split.shared.test_is_unheard() && leaked == 0 && weights.is_empty();
    match split.shared.note() {
        Some(note) if unheard => {
            say!("{note}; the test part is still of voices never heard");
        }
        Some(note) => say!("{note}; the scores say nothing about voices never heard"),
        None => {}
    }
    describe_repeated(&experiment.loaded);
    if leaked > 0 {
        say!(
            "{leaked} of these pairs are in different parts, so the scores are too high: remove one of \
             each"
        );
    }
}

/// Prints the recordings that are there twice, first those of two speakers.
fn describe_repeated(loaded: &Loaded) {
    let of_two = loaded.same_of_two_speakers();
    let of_one = loaded.same.iter().filter(|pair| !of_two.contains(pair));
    let pairs = of_two.iter().chain(of_one);
    for &(first, second) in pairs.take(LISTED) {
        let (one, other) = (&loaded.clips[first], &loaded.clips[second]);
        let (file, same) = (one.file.display(), other.file.display());
        if of_two.contains(&(first, second)) {
            say!(
                "the same recording is of speaker {} and of speaker {}: {file} and {same}",
                one.speaker_id(),
                other.speaker_id()
            );
        } else {
            say!("{file} and {same} are the same recording");
        }
    }
    if loaded.same.len() > LISTED {
        say!(
            "{} more recordings are there twice",
            loaded.same.len() - LISTED
        );
    }
    if !of_two.is_empty() {
        say!(
            "{} recording(s) are of two speakers, who may be one person: remove the wrong one of each pair",
            of_two.len()
        );
    }
}
