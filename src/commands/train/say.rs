//! What a training tells while it goes on.

use anyhow::Result;

use crate::commands::progress::bar;
use emovox::corpus::split::{Part, Split};
use emovox::corpus::{self, Clip, Corpus};
use emovox::experiment::Experiment;
use emovox::model::EmotionModel;
use emovox::training::{Event, Progress};

/// Trains with a bar on a terminal, and a line an epoch everywhere.
pub(super) fn train_with_bar(experiment: &Experiment, model: &EmotionModel) -> Result<Progress> {
    let config = &experiment.config.training;
    let bar = bar(1, "training", "steps");
    let mut trained = false;
    let progress = experiment.train(model, |event| match event {
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
            trained = true;
            println!(
                "epoch {:>3}/{}  train loss {:.3}, accuracy {:>5.1} %   validation loss {:.3}, \
                 accuracy {:>5.1} %, UAR {:>5.1} %   {:.1} s{}",
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
            println!(
                "stopped after epoch {epoch}: {} epochs brought no better validation UAR",
                config.early_stopping
            );
        }),
    });
    bar.finish_and_clear();
    if let (Ok(progress), false) = (&progress, trained) {
        println!(
            "nothing left to train: {} epochs are done, and --epochs asks for {}",
            progress.epoch, config.epochs
        );
    }
    progress
}

/// What was found.
pub(super) fn describe(corpus: &Corpus) {
    let classes = corpus::classes(&corpus.clips);
    println!(
        "corpus {} in {}: {} clips, {} speakers, {} classes ({}){}",
        corpus.kind,
        corpus.folder.display(),
        corpus.clips.len(),
        corpus::speakers(&corpus.clips).len(),
        classes.len(),
        classes.join(", "),
        if corpus.kind.is_synthetic() {
            "; synthetic, not people"
        } else {
            ""
        }
    );
    if let Some(first) = corpus.repeated.first() {
        println!(
            "{} WAV files are second copies of a name and are left out, such as {}",
            corpus.repeated.len(),
            first.display()
        );
    }
    if let Some(first) = corpus.unrecognised.first() {
        println!(
            "{} WAV files do not follow its naming rule and are left out, such as {}",
            corpus.unrecognised.len(),
            first.display()
        );
    }
}

/// Who is in which part.
pub(super) fn describe_split(clips: &[Clip], split: &Split) {
    for part in Part::ALL {
        let indices = split.indices(part);
        let of_part: Vec<Clip> = indices.iter().map(|&index| clips[index].clone()).collect();
        let speakers = corpus::speakers(&of_part);
        let who = match speakers.as_slice() {
            [unknown] if unknown.is_empty() => "unknown speakers".to_string(),
            _ => format!("{} speakers ({})", speakers.len(), speakers.join(", ")),
        };
        println!("{part:>10}: {:>5} clips, {who}", indices.len());
    }
    match split.shared.note() {
        Some(note) if split.shared.test_is_unheard() => {
            println!("{note}; the test part is still of voices never heard");
        }
        Some(note) => println!("{note}; the scores say nothing about voices never heard"),
        None => {}
    }
}
