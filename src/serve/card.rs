//! Facts about the model, for the page and for other programs.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Value, json};

use super::limits::{FILES, Limits};
use crate::bounded;
use crate::corpus::split::Subset;
use crate::corpus::{Clip, CorpusKind};
use crate::evaluation::SpeakerBootstrap;
use crate::fetch;
use crate::inference::{Predictor, Trained};
use crate::run::{RunFolder, read_test_predictions};

/// Uses that no model of emovox is for, unless its card has a list of its own.
const NOT_FOR: [&str; 3] = [
    "**Decisions about people**: hiring, insurance, credit, school, policing, border control, medical or \
     psychological diagnosis, and work-place monitoring. In the European Union, recognising emotions at \
     work and in education is prohibited (Regulation (EU) 2024/1689, article 5).",
    "Languages, ages, voices and microphones that are not in the training data, without a measurement on \
     them.",
    "Speech with music, or several people at once.",
];

/// The JSON value of `GET /v1/model`.
///
/// # Errors
/// If the files of the run cannot be read.
pub(super) fn card(predictor: &Predictor, limits: &Limits) -> Result<Value> {
    let trained = predictor.trained();
    let data = &trained.config().data;
    let (clips, subsets) = trained.split()?;
    let clips = clips.into_iter().zip(subsets);
    let clips = clips.filter(|(_, subset)| *subset == Subset::Train);
    let trained_on: Vec<Clip> = clips.map(|(clip, _)| clip).collect();
    let caveats = trained.caveats()?;
    let text = trained.builtin().map(|model| model.card);
    Ok(json!({
        "name": trained.name(),
        "emovox": env!("CARGO_PKG_VERSION"),
        "classes": data.classes,
        "synthetic": data.is_synthetic(),
        "licence": trained.licence(),
        "corpora": corpora(trained, &trained_on),
        "speakers_shared": caveats.speakers_shared(),
        "notes": caveats.notes(),
        "adapted": predictor.is_adapted(),
        "calibrated": trained.config().calibration.temperature != 1.0,
        "scores": scores(trained)?,
        "robustness": trained.folder().map(robustness).transpose()?,
        "card": text,
        "not_for": text.and_then(not_for).unwrap_or_else(|| NOT_FOR.map(String::from).to_vec()),
        "limits": {
            "body_bytes": limits.body,
            "seconds": limits.seconds,
            "streams": limits.streams,
            "files": FILES,
        },
    }))
}

/// The scores on the test subset; null if they are not known.
fn scores(trained: &Trained) -> Result<Value> {
    if let Some(model) = trained.builtin() {
        let scores = model.scores;
        return Ok(json!({
            "accuracy": scores.accuracy,
            "uar": scores.uar,
            "interval": scores.interval,
            "clips": scores.clips,
            "speakers": scores.speakers,
        }));
    }
    let scored = |run: &&RunFolder| run.predictions_csv().exists();
    let Some(run) = trained.folder().filter(scored) else {
        return Ok(Value::Null);
    };
    let saved = read_test_predictions(run)?;
    let speakers: Vec<&str> = saved
        .clips
        .iter()
        .map(|clip| clip.speaker.as_str())
        .collect();
    let by_speaker = SpeakerBootstrap::new(&saved.predictions, &speakers);
    let speakers = by_speaker.each().len();
    let all = by_speaker.scores(&vec![1; speakers]);
    let interval = by_speaker.intervals(1).map(|intervals| intervals.uar);
    Ok(json!({
        "accuracy": all.accuracy,
        "uar": all.uar,
        "interval": interval.map(|interval| (interval.low, interval.high)),
        "clips": saved.clips.len(),
        "speakers": speakers,
    }))
}

/// The scores of disturbed clips of the test subset; null without `emovox stress`. Earlier versions
/// wrote those of other subsets into the same file.
fn robustness(run: &RunFolder) -> Result<Value> {
    let file = run.stress_json();
    if !file.exists() {
        return Ok(Value::Null);
    }
    let scores: Value = serde_json::from_str(&bounded::read_text(&file, bounded::RESULTS)?)?;
    Ok(if scores["part"] == "test" {
        scores
    } else {
        Value::Null
    })
}

/// Each corpus of the run with its number of recordings and speakers in the training subset.
fn corpora(trained: &Trained, clips: &[Clip]) -> Vec<Value> {
    let data = &trained.config().data;
    let sources: Vec<_> = match data.sources.as_slice() {
        [] => vec![(String::new(), data.corpus)],
        sources => sources
            .iter()
            .map(|one| (one.name.clone(), one.corpus))
            .collect(),
    };
    let entry = |(name, kind): (String, Option<CorpusKind>)| {
        let of_corpus = clips.iter().filter(|clip| clip.corpus == name);
        let speakers: BTreeSet<&str> = of_corpus
            .clone()
            .map(|clip| clip.speaker.as_str())
            .collect();
        let kind = kind.map(|kind| kind.to_string());
        let source = kind.as_deref().and_then(fetch::source_of);
        json!({
            "name": if name.is_empty() { kind.clone().unwrap_or_default() } else { name.clone() },
            "title": source.map(|source| &source.title),
            "licence": source.map(|source| &source.licence),
            "recordings": of_corpus.count(),
            "speakers": speakers.len(),
        })
    };
    sources.into_iter().map(entry).collect()
}

/// The list below the heading `## Not for` of a model card.
fn not_for(card: &str) -> Option<Vec<String>> {
    let (_, section) = card.split_once("\n## Not for\n")?;
    let mut items = Vec::<String>::new();
    for line in section.lines() {
        if let Some(item) = line.strip_prefix("- ") {
            items.push(item.to_string());
        } else if let (Some(last), Some(more)) = (items.last_mut(), line.strip_prefix("  ")) {
            *last += &format!(" {}", more.trim());
        } else if !items.is_empty() {
            break;
        }
    }
    (!items.is_empty()).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_card_ends_with_its_last_item() {
        let card = "# M\n\n## Not for\n\n- **One**: a\n  b c.\n- Two.\n\nThe end.\n";
        assert_eq!(not_for(card).unwrap(), ["**One**: a b c.", "Two."]);
        assert_eq!(not_for("# M\n\n## Not for\n\nnothing\n"), None);
        assert_eq!(not_for("# M\n"), None);
    }
}
