//! Text report of a corpus, for a terminal with 80 columns.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::corpus::women_and_men;
use crate::escape::escape_line;
use crate::inspection::{ClipFacts, CorpusStats};
use crate::plural::{counted, is_or_are};

/// Text of a survey: tables by class, speaker and file format, the shortcut probes, and warnings.
pub fn corpus_stats_text(survey: &CorpusStats) -> String {
    let mut text = format!(
        "{} in {}\n{}, {}, {}, {:.1} minutes{}\n\n",
        survey.kind,
        escape_line(&survey.folder.display().to_string()),
        counted(survey.clips.len(), "clip"),
        counted(survey.classes.len(), "class"),
        match survey.speakers.as_slice() {
            [unknown] if unknown.is_empty() => "unknown speakers".to_string(),
            speakers => match women_and_men(survey.kind, speakers) {
                Some(who) => format!("{} ({who})", counted(speakers.len(), "speaker")),
                None => counted(speakers.len(), "speaker"),
            },
        },
        survey.clips.iter().map(|clip| clip.seconds).sum::<f64>() / 60.0,
        if survey.kind.is_synthetic() {
            "; synthetic, not people"
        } else {
            ""
        }
    );
    text += &by_class(survey);
    text += &by_speaker(survey);
    text += &formats(survey);
    text += &probes(survey);
    if !survey.left_out.is_empty() {
        const SHOWN: usize = 10;
        let count = survey.left_out.len();
        let _ = writeln!(
            text,
            "\n{} {} left out",
            counted(count, "file"),
            is_or_are(count)
        );
        for skipped in survey.left_out.iter().take(SHOWN) {
            let line = format!("{}: {}", skipped.file.display(), skipped.reason);
            let _ = writeln!(text, "  {}", escape_line(&line));
        }
        if survey.left_out.len() > SHOWN {
            text += "  …\n";
        }
    }
    for warning in survey.warnings() {
        let _ = writeln!(text, "\nwarning: {}", escape_line(&warning));
    }
    text
}

fn by_class(survey: &CorpusStats) -> String {
    let width = widest(&survey.classes, "class");
    let mut text = format!(
        "{:width$}  clips  speakers   seconds: 5 %  median    95 %   loudness, dB\n",
        "class"
    );
    for class in &survey.classes {
        let clips: Vec<&ClipFacts> = survey.of_class(class).collect();
        let seconds = sorted(clips.iter().map(|clip| clip.seconds));
        let loudness = sorted(clips.iter().map(|clip| clip.rms_db));
        let mut speakers: Vec<&str> = clips.iter().map(|clip| clip.speaker.as_str()).collect();
        speakers.sort_unstable();
        speakers.dedup();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:width$}  {:>5}  {:>8}  {:>13.2}  {:>6.2}  {:>6.2}  {:>13.1}",
            shortened(class),
            clips.len(),
            speakers.len(),
            at(&seconds, 0.05),
            at(&seconds, 0.5),
            at(&seconds, 0.95),
            at(&loudness, 0.5)
        );
    }
    text
}

fn by_speaker(survey: &CorpusStats) -> String {
    let width = widest(&survey.speakers, "speaker");
    let mut text = format!(
        "\n{:width$}  clips  classes  minutes   loudness, dB\n",
        "speaker"
    );
    for speaker in &survey.speakers {
        let of = || survey.clips.iter().filter(|clip| clip.speaker == *speaker);
        let mut classes: Vec<&str> = of().map(|clip| clip.label.as_str()).collect();
        classes.sort_unstable();
        classes.dedup();
        let name = if speaker.is_empty() {
            "unknown"
        } else {
            speaker
        };
        let _ = writeln!(
            text,
            "{:width$}  {:>5}  {:>7}  {:>7.1}  {:>13.1}",
            shortened(name),
            of().count(),
            classes.len(),
            of().map(|clip| clip.seconds).sum::<f64>() / 60.0,
            at(&sorted(of().map(|clip| clip.rms_db)), 0.5)
        );
    }
    text
}

fn formats(survey: &CorpusStats) -> String {
    let mut formats = BTreeMap::<(u32, u16, Option<u16>), usize>::new();
    for clip in &survey.clips {
        *formats
            .entry((clip.sample_rate, clip.channels, clip.bits))
            .or_default() += 1;
    }
    let mut text = "\nclips  format\n".to_string();
    for ((rate, channels, bits), clips) in formats {
        let channels = match channels {
            1 => "mono".to_string(),
            2 => "stereo".to_string(),
            more => format!("{more} channels"),
        };
        let bits = match bits {
            Some(bits) => format!("{bits} bits"),
            None => "compressed".to_string(),
        };
        let _ = writeln!(text, "{clips:>5}  {rate} Hz, {bits}, {channels}");
    }
    text
}

fn probes(survey: &CorpusStats) -> String {
    if survey.probes.is_empty() {
        return String::new();
    }
    let mut text = "\nprediction of the class by properties other than the voice\n\
                    property     balanced accuracy  chance  luck reaches\n"
        .to_string();
    for probe in &survey.probes {
        let _ = writeln!(
            text,
            "{:11}  {:>15.1} %  {:>4.1} %  {:>10.1} %",
            probe.property,
            100.0 * probe.balanced_accuracy,
            100.0 * probe.chance,
            100.0 * probe.by_luck
        );
    }
    text
}

/// Names longer than this are shortened.
const LONGEST: usize = 20;

fn shortened(name: &str) -> String {
    let name = escape_line(name);
    if name.chars().count() > LONGEST {
        name.chars().take(LONGEST - 1).chain(['…']).collect()
    } else {
        name.into()
    }
}

fn widest(names: &[String], title: &str) -> usize {
    let widths = names.iter().map(|name| shortened(name).chars().count());
    // A speaker without a name is shown as "unknown".
    widths.chain([title.len(), 7]).max().unwrap_or(0)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The quantile of sorted values at a fraction from 0 to 1, rounded to the nearest value; 0 without
/// values.
fn at(sorted: &[f64], fraction: f64) -> f64 {
    let rank = (fraction * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(rank).copied().unwrap_or(0.0)
}
