//! Several corpora as one: their speakers are kept apart, their labels brought together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Clip, Corpus, CorpusError, CorpusKind};

/// One of several corpora.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of the corpus.
    pub name: String,
    /// Its folder, relative to the one that all have in common.
    pub folder: PathBuf,
    /// Recognised by the file names where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<CorpusKind>,
}

/// Which of the sources a clip comes from.
pub fn source_of(sources: &[Source], clip: &Clip) -> Option<usize> {
    let holds = |source: &Source| -> bool {
        let inside = clip.file.strip_prefix(&source.folder).ok();
        inside.is_some_and(|file| source.corpus.is_none_or(|kind| kind.parse(file).is_some()))
    };
    // Of a folder in a folder, the inner one.
    (0..sources.len())
        .rev()
        .filter(|&source| holds(&sources[source]))
        .max_by_key(|&source| sources[source].folder.components().count())
}

/// Makes one corpus of several. Clips lie relative to the folder that all have in common, and
/// each knows its corpus. Who speaks in two of them (the actors of RAVDESS sing, too) is
/// the same speaker in both.
pub fn unite(corpora: Vec<(String, Corpus)>) -> Result<Corpus, CorpusError> {
    let folders = corpora.iter().map(|(_, corpus)| {
        let folder = &corpus.folder;
        std::fs::canonicalize(folder).map_err(|_| CorpusError::NoFolder(folder.clone()))
    });
    let folders: Vec<PathBuf> = folders.collect::<Result<_, _>>()?;
    let common = common_folder(&folders);
    let mut union = Corpus::empty(CorpusKind::Union, common.clone());
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    for (place, (name, corpus)) in corpora.iter().enumerate() {
        let folder = folders[place]
            .strip_prefix(&common)
            .unwrap_or(&folders[place]);
        let same_people =
            |(_, other): &&(String, Corpus)| other.kind.has_the_people_of(corpus.kind);
        let people = corpora[..place].iter().find(same_people);
        let people = people.map_or(name, |(earlier, _)| earlier);
        let notes = corpus.notes.iter().map(|note| format!("{name}: {note}"));
        union.notes.extend(notes);
        if people != name {
            union.notes.push(format!(
                "{name} has the speakers of {people}, and they are called so"
            ));
        }
        for clip in &corpus.clips {
            let file = folder.join(&clip.file);
            if !files.insert(file.clone()) {
                return Err(CorpusError::InTwoCorpora {
                    file,
                    name: name.clone(),
                });
            }
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
            skipped.file = folder.join(&skipped.file);
            skipped
        });
        union.skipped.extend(skipped);
        union.sources.push(Source {
            name: name.clone(),
            folder: folder.into(),
            corpus: Some(corpus.kind),
        });
    }
    // What lies in one folder and is no part of the one corpus may be one of the other.
    union
        .skipped
        .retain(|skipped| !files.contains(&skipped.file));
    Ok(union)
}

/// The deepest folder that holds all of these.
pub(super) fn common_folder(folders: &[PathBuf]) -> PathBuf {
    let above_all = |above: &&Path| folders.iter().all(|folder| folder.starts_with(above));
    let first = folders.first().map_or(Path::new("/"), PathBuf::as_path);
    first
        .ancestors()
        .find(above_all)
        .unwrap_or(Path::new("/"))
        .into()
}
