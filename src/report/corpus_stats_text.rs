//! Text report of a corpus, for a terminal with 80 columns.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::corpus_stats::{quantile, sorted, speakers_text};
use super::font::without_middle;
use super::scores::speaker_name;
use crate::corpus::women_and_men;
use crate::escape::escape_line;
use crate::inspection::{ClipFacts, CorpusStats};
use crate::plural::{counted, is_or_are};

/// Text about a corpus: tables by class, speaker and file format, shortcut probes, and warnings.
pub fn corpus_stats_text(stats: &CorpusStats) -> String {
    let mut text = format!(
        "{} in {}\n{}, {}, {}, {:.1} minutes{}\n\n",
        stats.kind,
        escape_line(&stats.folder.display().to_string()),
        counted(stats.clips.len(), "clip"),
        counted(stats.classes.len(), "class"),
        match women_and_men(stats.kind, &stats.speakers) {
            Some(who) => format!("{} ({who})", speakers_text(stats)),
            None => speakers_text(stats),
        },
        stats.clips.iter().map(|clip| clip.seconds).sum::<f64>() / 60.0,
        if stats.kind.is_synthetic() {
            "; synthetic, not people"
        } else {
            ""
        }
    );
    text += &by_class(stats);
    text += &by_speaker(stats);
    text += &formats(stats);
    text += &probes(stats);
    if !stats.left_out.is_empty() {
        const SHOWN: usize = 10;
        let count = stats.left_out.len();
        let _ = writeln!(
            text,
            "\n{} {} left out",
            counted(count, "file"),
            is_or_are(count)
        );
        for skipped in stats.left_out.iter().take(SHOWN) {
            let line = format!("{}: {}", skipped.file.display(), skipped.reason);
            let _ = writeln!(text, "  {}", escape_line(&line));
        }
        if stats.left_out.len() > SHOWN {
            text += "  …\n";
        }
    }
    for warning in stats.warnings() {
        let _ = writeln!(text, "\nwarning: {}", escape_line(&warning));
    }
    text
}

fn by_class(stats: &CorpusStats) -> String {
    let width = widest(&stats.classes, "class");
    let mut text = format!(
        "{:width$}  clips  speakers   seconds: 5 %  median    95 %   loudness, dB\n",
        "class"
    );
    for class in &stats.classes {
        let clips: Vec<&ClipFacts> = stats.of_class(class).collect();
        let seconds = sorted(clips.iter().map(|clip| clip.seconds));
        let loudness = sorted(clips.iter().map(|clip| clip.rms_db));
        let speakers = clips.iter().map(|clip| clip.speaker.as_str());
        let known: BTreeSet<&str> = speakers.filter(|name| !name.is_empty()).collect();
        let speakers = match known.len() {
            0 => "unknown".to_string(),
            known => known.to_string(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:width$}  {:>5}  {:>8}  {:>13.2}  {:>6.2}  {:>6.2}  {:>13.1}",
            shortened(class),
            clips.len(),
            speakers,
            quantile(&seconds, 0.05),
            quantile(&seconds, 0.5),
            quantile(&seconds, 0.95),
            quantile(&loudness, 0.5)
        );
    }
    text
}

fn by_speaker(stats: &CorpusStats) -> String {
    let width = widest(&stats.speakers, "speaker");
    let mut text = format!(
        "\n{:width$}  clips  classes  minutes   loudness, dB\n",
        "speaker"
    );
    for speaker in &stats.speakers {
        let of = || stats.clips.iter().filter(|clip| clip.speaker == *speaker);
        let mut classes: Vec<&str> = of().map(|clip| clip.label.as_str()).collect();
        classes.sort_unstable();
        classes.dedup();
        let _ = writeln!(
            text,
            "{:width$}  {:>5}  {:>7}  {:>7.1}  {:>13.1}",
            shortened(speaker_name(speaker)),
            of().count(),
            classes.len(),
            of().map(|clip| clip.seconds).sum::<f64>() / 60.0,
            quantile(&sorted(of().map(|clip| clip.rms_db)), 0.5)
        );
    }
    text
}

fn formats(stats: &CorpusStats) -> String {
    let mut formats = BTreeMap::<(u32, u16, Option<u16>), usize>::new();
    for clip in &stats.clips {
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

fn probes(stats: &CorpusStats) -> String {
    if stats.probes.is_empty() {
        return String::new();
    }
    let mut text = "\nprediction of the class by properties other than the voice\n\
                    property     balanced accuracy  chance  luck reaches\n"
        .to_string();
    for probe in &stats.probes {
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
    let letters: Vec<char> = escape_line(name).chars().collect();
    if letters.len() > LONGEST {
        without_middle(&letters, LONGEST - 1)
    } else {
        letters.into_iter().collect()
    }
}

fn widest(names: &[String], title: &str) -> usize {
    let widths = names.iter().map(|name| shortened(name).chars().count());
    // A speaker without a name is shown as "unknown".
    widths.chain([title.len(), 7]).max().unwrap_or(0)
}
