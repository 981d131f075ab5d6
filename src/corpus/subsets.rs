//! The subsets that a corpus folder defines: by folders such as `train` and `test`, or as published.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::label_tables::LabelTable;
use super::layout::{Level, folder_at, split_only, subset_use};
use super::recognise::Reading;
use super::subset_words::{SubsetUse, SubsetWords};
use super::{Corpus, CorpusKind, Skipped, esd};

/// Assigns the clips to subsets, if the folder defines them. Clips of a subset that the user does not
/// want are left out.
pub(super) fn assign(
    corpus: &mut Corpus,
    reading: &Reading,
    table: &LabelTable,
    words: &SubsetWords,
) {
    let files = corpus.clips.iter().map(|clip| clip.file.path.clone());
    let files: Vec<PathBuf> = files.collect();
    let level = match &reading.layout {
        Some(layout) => layout.level(Level::Split),
        None => split_only(&files, words),
    };
    if let Some(level) = level {
        by_folder(corpus, level, words);
        corpus.given_on_request = false;
        return;
    }
    for file in files {
        let published = match corpus.kind {
            CorpusKind::Esd => file
                .file_stem()
                .and_then(|s| s.to_str())
                .and_then(esd::published_subset),
            kind => table.get(kind, &file).and_then(|entry| entry.subset),
        };
        if let Some(subset) = published {
            corpus.given.insert(file.into(), subset);
        }
    }
    if corpus.given_on_request && !corpus.given.is_empty() {
        corpus.notes.push(format!(
            "{} has a published split, which shares its speakers between the subsets; --split given uses it",
            corpus.kind
        ));
    }
}

/// Assigns the clips by their folders at a level.
fn by_folder(corpus: &mut Corpus, level: usize, words: &SubsetWords) {
    let names: Vec<Option<String>> = corpus
        .clips
        .iter()
        .map(|clip| folder_at(&clip.file.path, level).map(String::from))
        .collect();
    let all: BTreeSet<&str> = names.iter().flatten().map(String::as_str).collect();
    let mut kept = Vec::new();
    for (clip, name) in std::mem::take(&mut corpus.clips).into_iter().zip(&names) {
        let word = name.as_deref().unwrap_or_default();
        match subset_use(word, &all, words).ok().flatten().and_then(SubsetUse::subset) {
            Some(subset) => {
                corpus.given.insert(clip.file.clone(), subset);
                kept.push(clip);
            }
            None => corpus.skipped.push(Skipped {
                file: clip.file,
                reason: format!(
                    "its folder '{word}' is not one of the used subsets; --map-split '{word}=test' (or \
                     =train, =validation) uses it"
                ),
            }),
        }
    }
    corpus.clips = kept;
}
