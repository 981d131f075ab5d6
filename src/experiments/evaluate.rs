//! Notes beside the scores of a trained run on its own clips or on other clips: everything that
//! limits the meaning of the scores.

use std::collections::HashSet;

use anyhow::Result;

use crate::audio::Excerpt;
use crate::config::{CheckpointSelection, DataConfig, RunConfig};
use crate::corpus::split::Subset;
use crate::corpus::{Changes, Clip, Corpus, Source, listed};
use crate::inference::Trained;
use crate::leakage::Comparison;

/// The note on a run without content hashes.
pub const NOT_COMPARED: &str =
    "this run is from a version without content hashes, so its recordings are not compared";

/// Properties of the clips that limit the meaning of their scores.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreNotes {
    /// True if the model was trained on speakers of the clips.
    pub speakers_shared: bool,
    /// One note each, without a full stop.
    pub notes: Vec<String>,
}

/// Notes on the scores of a run's own clips, of one subset or of all. `recorded` are the clips at
/// the time of the training, `loaded` those that were read now: recordings may have been replaced
/// since.
///
/// # Errors
/// If the lineage of the run cannot be read.
pub fn notes_on_own(
    run: &Trained,
    subset: Option<Subset>,
    recorded: &[Clip],
    loaded: &[Clip],
) -> Result<ScoreNotes> {
    let caveats = run.caveats()?;
    let mut notes = caveats.notes();
    match subset {
        Some(Subset::Test) => {}
        Some(Subset::Validation) => notes.push(
            match run.config().training.checkpoint_selection {
                CheckpointSelection::Best => "the best epoch was selected with these clips",
                CheckpointSelection::Last => "the temperature was fitted to these clips",
            }
            .into(),
        ),
        Some(Subset::Train) => notes.push("speakers shared: trained on these clips".into()),
        None => notes.push("speakers shared: trained on some of these clips".into()),
    }
    let changes = Changes::between(recorded, loaded);
    if changes.not_compared > 0 {
        notes.push(NOT_COMPARED.into());
    }
    let mut speakers_shared =
        caveats.speakers_shared() || matches!(subset, None | Some(Subset::Train));
    if !changes.replaced.is_empty() {
        notes.push(format!(
            "{} replaced since the training",
            listed(&changes.replaced)
        ));
        let files: HashSet<&Excerpt> = changes.replaced.iter().collect();
        let replaced = loaded.iter().filter(|clip| files.contains(&clip.file));
        let known = Comparison::of(&run.lineage()?, &run.config().data, replaced);
        speakers_shared |= known.is_leak();
        notes.extend(known.notes("this model"));
    }
    Ok(ScoreNotes {
        speakers_shared,
        notes,
    })
}

/// Notes on the scores of other clips. The model may have been trained on their recordings or
/// speakers.
///
/// # Errors
/// If the lineage of the run cannot be read.
pub fn notes_on_others(run: &Trained, corpus: &Corpus, loaded: &[Clip]) -> Result<ScoreNotes> {
    let config = run.config();
    let data = DataConfig {
        folder: corpus.folder.clone(),
        corpus: Some(corpus.kind),
        sources: corpus.sources.clone(),
        ..DataConfig::default()
    };
    let mut clips = loaded.to_vec();
    if let Some(source) = own_source(corpus, config) {
        for clip in &mut clips {
            clip.corpus.clone_from(&source.name);
        }
    }
    let known = Comparison::of(&run.lineage()?, &data, &clips);
    let mut notes = Vec::new();
    if corpus.kind.is_synthetic() {
        notes.push("synthetic demo corpus".to_string());
    } else if config.data.is_synthetic() {
        notes.push("trained on the synthetic demo corpus".to_string());
    }
    if !known.shares_speakers() {
        notes.push(known.statement());
    }
    notes.extend(known.notes("this model"));
    Ok(ScoreNotes {
        speakers_shared: known.shares_speakers(),
        notes,
    })
}

/// The corpus with this folder, for a run with several corpora.
fn own_source<'a>(corpus: &Corpus, config: &'a RunConfig) -> Option<&'a Source> {
    let place = corpus.folder.canonicalize().ok()?;
    config.data.sources.iter().find(|source| {
        let folder = config.data.folder.join(&source.folder);
        folder.canonicalize().is_ok_and(|folder| folder == place)
    })
}
