//! Merges several corpora: their speakers stay separate, and their labels are aligned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Clip, Corpus, CorpusError, CorpusKind};
use crate::audio::Excerpt;

/// One of several corpora.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of the corpus.
    pub name: String,
    /// Folder of the corpus, relative to the common folder of all corpora.
    pub folder: PathBuf,
    /// Kind of the corpus; if it is not given, it is recognised by the file names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<CorpusKind>,
    /// A manifest, from which the labels of this corpus are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
}

/// Index of the source that a clip belongs to.
pub fn source_of(sources: &[Source], clip: &Clip) -> Option<usize> {
    let contains = |source: &Source| -> bool {
        let inside = clip.file.path.strip_prefix(&source.folder).ok();
        inside.is_some_and(|file| source.corpus.is_none_or(|kind| kind.may_have(file)))
    };
    // The clips of a manifest may be anywhere; no other corpus has its speakers.
    let is_manifest = |source: &Source| source.corpus == Some(CorpusKind::Manifest);
    let named = |source: &&Source| is_manifest(source) && source.name == clip.corpus;
    if let Some(source) = sources.iter().position(|source| named(&source)) {
        return Some(source);
    }
    // If one folder contains another, the inner folder takes precedence.
    (0..sources.len())
        .rev()
        .filter(|&source| !is_manifest(&sources[source]) && contains(&sources[source]))
        .max_by_key(|&source| sources[source].folder.components().count())
}

/// Merges several corpora, given with their names. The paths of the clips are relative to the
/// common folder of all corpora, and each clip has the name of its corpus. A person in two corpora
/// (the actors of RAVDESS also sing) is the same speaker in both.
///
/// # Errors
/// If a folder does not exist, or if a recording is in two corpora.
pub fn merge(corpora: Vec<(String, Corpus)>) -> Result<Corpus, CorpusError> {
    let folders = corpora.iter().map(|(_, corpus)| {
        let folder = &corpus.folder;
        std::fs::canonicalize(folder).map_err(|_| CorpusError::NoFolder(folder.clone()))
    });
    let folders: Vec<PathBuf> = folders.collect::<Result<_, _>>()?;
    let common = common_folder(&folders);
    let mut union = Corpus::empty(CorpusKind::Union, common.clone());
    let mut files: BTreeMap<PathBuf, Vec<Excerpt>> = BTreeMap::new();
    for (place, (name, corpus)) in corpora.iter().enumerate() {
        let folder = folders[place]
            .strip_prefix(&common)
            .unwrap_or(&folders[place]);
        let same_people = |(_, other): &&(String, Corpus)| other.kind.has_speakers_of(corpus.kind);
        let people = corpora[..place].iter().find(same_people);
        let people = people.map_or(name, |(earlier, _)| earlier);
        let notes = corpus.notes.iter().map(|note| format!("{name}: {note}"));
        union.notes.extend(notes);
        let rules = corpus.rules.iter().map(|rule| format!("{name}: {rule}"));
        union.rules.extend(rules);
        if !corpus.given.is_empty() && !corpus.given_on_request {
            union.notes.push(format!(
                "{name}: its subsets are not used, because there are several corpora"
            ));
        }
        if people != name {
            union.notes.push(format!(
                "{name} has the same speakers as {people}; they have the same names"
            ));
        }
        let recordings = corpus.clips.iter().map(|clip| clip.file.below(folder));
        let recordings: Vec<Excerpt> = recordings.collect();
        let of_earlier = |file: &&Excerpt| {
            let mut earlier = files.get(&file.path).into_iter().flatten();
            earlier.any(|earlier| earlier.overlaps(file))
        };
        if let Some(file) = recordings.iter().find(of_earlier) {
            return Err(CorpusError::InTwoCorpora {
                file: file.clone(),
                name: name.clone(),
            });
        }
        for (clip, file) in corpus.clips.iter().zip(recordings) {
            files
                .entry(file.path.clone())
                .or_default()
                .push(file.clone());
            union.clips.push(Clip {
                file,
                label: clip.label.clone(),
                corpus_label: clip.corpus_label.clone(),
                corpus: people.clone(),
                speaker: clip.speaker.clone(),
                sentence: clip.sentence.clone(),
                content: clip.content,
            });
        }
        let skipped = corpus.skipped.iter().cloned().map(|mut skipped| {
            skipped.file = skipped.file.below(folder);
            skipped
        });
        union.skipped.extend(skipped);
        union.sources.push(Source {
            name: name.clone(),
            folder: folder.into(),
            corpus: Some(corpus.kind),
            manifest: None,
        });
    }
    // If two corpora are in one folder, a file that one of them skips may belong to the other.
    union
        .skipped
        .retain(|skipped| !files.contains_key(&skipped.file.path));
    Ok(union)
}

/// The deepest folder that contains all these folders.
pub(super) fn common_folder(folders: &[PathBuf]) -> PathBuf {
    let above_all = |above: &&Path| folders.iter().all(|folder| folder.starts_with(above));
    let first = folders.first().map_or(Path::new("/"), PathBuf::as_path);
    first
        .ancestors()
        .find(above_all)
        .unwrap_or(Path::new("/"))
        .into()
}
