//! Recognition of the corpus in a folder: by its tables of labels, its file names or its folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Display, Path, PathBuf};

use super::layout::{Inferred, folder_at, infer};
use super::{CorpusError, CorpusKind, Layout, ScanOptions, emotion, listed, ravdess};
use crate::escape::shell_word;

/// The rule by which a folder is read.
#[derive(Debug)]
pub(super) struct Reading {
    pub kind: CorpusKind,
    /// The meaning of the folders, for a corpus without a rule for its names.
    pub layout: Option<Layout>,
    /// The rule, as a sentence for the user.
    pub rule: String,
    /// Notes about recordings that other rules would read in another way.
    pub notes: Vec<String>,
}

impl Reading {
    fn by_names(kind: CorpusKind, files: &[PathBuf]) -> Reading {
        let count = count(kind, files);
        Reading {
            kind,
            layout: None,
            rule: format!(
                "the names of {count} of {} files follow the rule of {kind}",
                files.len()
            ),
            notes: Vec::new(),
        }
    }

    fn by_folders(layout: Layout, files: &[PathBuf]) -> Reading {
        Reading {
            kind: CorpusKind::Folders,
            rule: format!("the folders are read as {}", layout.describe(files)),
            layout: Some(layout),
            notes: Vec::new(),
        }
    }
}

/// The rule for a folder with these recordings.
///
/// # Errors
/// If no rule fits, or if several corpora are in the folder.
pub(super) fn recognise(
    folder: &Path,
    files: &[PathBuf],
    options: &ScanOptions,
) -> Result<Reading, CorpusError> {
    if let Some(layout) = &options.layout
        && options.kind.is_none_or(|kind| kind == CorpusKind::Folders)
    {
        return Ok(Reading::by_folders(layout.clone(), files));
    }
    let inferred = infer(files, &options.subset_words);
    match options.kind {
        // The user insists on the folders: without other evidence, the classes come first.
        Some(CorpusKind::Folders) => {
            let layout = inferred.map_or(Layout::default(), |inferred| inferred.layout);
            return Ok(Reading::by_folders(layout, files));
        }
        Some(kind) => {
            check_ravdess(folder, kind, files)?;
            return Ok(Reading::by_names(kind, files));
        }
        None => {}
    }
    let by_words = inferred.as_ref().ok().filter(|inferred| inferred.by_words);
    let best = CorpusKind::NAMED
        .into_iter()
        .rev()
        .max_by_key(|&kind| count(kind, files))
        .filter(|&kind| count(kind, files) > 0);
    let looks_like_ravdess = ravdess_lookalikes(files).len() * 2 >= files.len();
    let Some(kind) = best.filter(|&kind| 2 * people(kind, files) >= files.len()) else {
        if by_words.is_none() {
            several_corpora(folder, files)?;
            if looks_like_ravdess {
                check_ravdess(folder, CorpusKind::Ravdess, files)?;
            }
        }
        return by_inferred(folder, files, inferred);
    };
    if let Some(Inferred { layout, .. }) = by_words
        && let Some(reason) = contradiction(kind, files, layout)
    {
        let mut reading = Reading::by_folders(layout.clone(), files);
        reading.notes.push(format!(
            "{reason}; --corpus {kind} reads the file names instead"
        ));
        return Ok(reading);
    }
    several_corpora(folder, files)?;
    check_ravdess(folder, kind, files)?;
    let mut reading = Reading::by_names(kind, files);
    let other = by_words.map_or(Vec::new(), |by| disagreeing(kind, files, &by.layout).files);
    if !other.is_empty() {
        reading.notes.push(format!(
            "the folders of {} name another emotion than their file names, which are used; --corpus \
             folders uses the folders",
            listed(&names(&other))
        ));
    }
    Ok(reading)
}

/// Reads the folders, if their levels have a meaning for at least half of the recordings.
fn by_inferred(
    folder: &Path,
    files: &[PathBuf],
    inferred: Result<Inferred, String>,
) -> Result<Reading, CorpusError> {
    let unknown = |seen: String| CorpusError::UnknownNames {
        folder: folder.into(),
        count: files.len(),
        first: files[0].clone(),
        seen,
    };
    let layout = inferred.map_err(unknown)?.layout;
    let read = files.iter().filter(|file| layout.labels(file).is_some());
    if 2 * read.count() < files.len() {
        return Err(unknown("most of them are in no folder of a class".into()));
    }
    Ok(Reading::by_folders(layout, files))
}

fn count(kind: CorpusKind, files: &[PathBuf]) -> usize {
    files
        .iter()
        .filter(|file| kind.parse(file).is_some())
        .count()
}

/// Number of recordings of a corpus, with those of another corpus of the same people.
fn people(kind: CorpusKind, files: &[PathBuf]) -> usize {
    let kinds = CorpusKind::NAMED.into_iter();
    let same = kinds.filter(|other| *other == kind || other.has_speakers_of(kind));
    let sum: usize = same.map(|other| count(other, files)).sum();
    let own = count(kind, files);
    // Speech and songs: the greater part must be half of the folder, as the rest is left out.
    if 2 * own >= files.len() { sum } else { own }
}

/// Recordings whose folders name another emotion than their names.
struct Disagreeing<'a> {
    files: Vec<&'a Path>,
    /// Number of recordings of which both name an emotion.
    compared: usize,
}

fn disagreeing<'a>(kind: CorpusKind, files: &'a [PathBuf], layout: &Layout) -> Disagreeing<'a> {
    let mut found = Disagreeing {
        files: Vec::new(),
        compared: 0,
    };
    for file in files {
        let (Some(named), Some(folders)) = (kind.parse(file), layout.labels(file)) else {
            continue;
        };
        let is_known = emotion::is_common(&folders.label) && emotion::is_common(&named.label);
        if !is_known {
            continue;
        }
        found.compared += 1;
        if !emotion::are_alike(&named.label, &folders.label) {
            found.files.push(file);
        }
    }
    found
}

/// Files as a message lists them.
fn names<'a>(files: &[&'a Path]) -> Vec<Display<'a>> {
    files.iter().map(|file| file.display()).collect()
}

/// The reason to believe the folders and not the names, if most names contradict them, or if the names
/// of many recordings do not follow the rule and all folders have a meaning.
fn contradiction(kind: CorpusKind, files: &[PathBuf], layout: &Layout) -> Option<String> {
    let named = people(kind, files);
    let other = disagreeing(kind, files, layout);
    if other.compared > 0 && 2 * other.files.len() > other.compared {
        return Some(format!(
            "{named} file names look like {kind}, but the folders of {} name another emotion",
            listed(&names(&other.files))
        ));
    }
    let read = files
        .iter()
        .filter(|file| layout.labels(file).is_some())
        .count();
    (read == files.len() && 5 * named < 4 * files.len()).then(|| {
        format!(
            "only {named} of {} file names look like {kind}, and all folders have a meaning",
            files.len()
        )
    })
}

/// Rejects a folder with several known corpora: in folders side by side, or mixed.
fn several_corpora(folder: &Path, files: &[PathBuf]) -> Result<(), CorpusError> {
    const FEWEST: usize = 2;
    let best = |files: &[&PathBuf]| {
        let count = |kind: CorpusKind| files.iter().filter(|f| kind.parse(f).is_some()).count();
        let kinds = CorpusKind::NAMED.into_iter().rev();
        let best = kinds.max_by_key(|&kind| count(kind))?;
        let is_corpus = count(best) >= FEWEST && 2 * count(best) >= files.len();
        is_corpus.then_some((best, count(best)))
    };
    // The folders below those that all recordings have in common.
    let common = (0..).find(|&level| {
        let names: BTreeSet<Option<&str>> = files.iter().map(|f| folder_at(f, level)).collect();
        names.len() > 1 || names.contains(&None)
    });
    let common = common.unwrap_or_default();
    let mut groups: BTreeMap<Option<&str>, Vec<&PathBuf>> = BTreeMap::new();
    for file in files {
        groups
            .entry(folder_at(file, common))
            .or_default()
            .push(file);
    }
    let mut found: BTreeMap<String, (PathBuf, usize)> = BTreeMap::new();
    let mut kinds: Vec<CorpusKind> = Vec::new();
    for (name, group) in &groups {
        let Some((kind, count)) = best(group) else {
            continue;
        };
        let parents = group[0]
            .components()
            .take(common + usize::from(name.is_some()));
        let place = folder.join(parents.collect::<PathBuf>());
        if !kinds
            .iter()
            .any(|&known| known == kind || known.has_speakers_of(kind))
        {
            kinds.push(kind);
            found.insert(kind.to_string(), (place, count));
        } else if let Some((known, sum)) = found.get_mut(&kind.to_string()) {
            // In several folders: the folder around them.
            let around = place.ancestors().find(|around| known.starts_with(around));
            *known = around.unwrap_or(folder).into();
            *sum += count;
        }
    }
    if kinds.len() < 2 {
        // All in one folder: corpora of which each has at least a fifth of the recordings.
        kinds.clear();
        found.clear();
        for kind in CorpusKind::NAMED {
            let count = count(kind, files);
            let is_other = !kinds.iter().any(|&known| known.has_speakers_of(kind));
            if count >= FEWEST && 5 * count >= files.len() && is_other {
                kinds.push(kind);
                found.insert(kind.to_string(), (folder.into(), count));
            }
        }
    }
    if kinds.len() < 2 {
        return Ok(());
    }
    let counts: Vec<String> = found
        .iter()
        .map(|(kind, (place, count))| format!("{kind} with {count} in {}", place.display()))
        .collect();
    let flags: Vec<String> = found
        .iter()
        .map(|(kind, (place, _))| {
            let source = format!("{kind}={}", place.display());
            format!("--data {}", shell_word(&source))
        })
        .collect();
    Err(CorpusError::SeveralCorpora {
        folder: folder.into(),
        corpora: counts.join(", "),
        flags: flags.join(" "),
    })
}

/// Names with the form of RAVDESS and values that it does not have.
fn ravdess_lookalikes(files: &[PathBuf]) -> Vec<(&PathBuf, String)> {
    let each = files.iter().filter_map(|file| {
        let stem = file.file_stem()?.to_str()?;
        Some((file, ravdess::foreign_value(stem)?))
    });
    each.collect()
}

/// Rejects a corpus that only looks like RAVDESS: more than one of twenty names with its form have
/// values that it does not have.
fn check_ravdess(folder: &Path, kind: CorpusKind, files: &[PathBuf]) -> Result<(), CorpusError> {
    if ![CorpusKind::Ravdess, CorpusKind::RavdessSong].contains(&kind) {
        return Ok(());
    }
    let foreign = ravdess_lookalikes(files);
    let strange: BTreeSet<&PathBuf> = foreign.iter().map(|(file, _)| *file).collect();
    let looks_alike = |file: &&PathBuf| {
        let is = |kind: CorpusKind| kind.parse(file).is_some();
        is(CorpusKind::Ravdess) || is(CorpusKind::RavdessSong) || strange.contains(file)
    };
    let all = files.iter().filter(looks_alike).count();
    match foreign.first() {
        Some((first, value)) if 20 * foreign.len() > all => Err(CorpusError::LooksLikeRavdess {
            folder: folder.into(),
            foreign: foreign.len(),
            all,
            first: first.to_path_buf(),
            value: value.clone(),
        }),
        _ => Ok(()),
    }
}
