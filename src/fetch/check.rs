//! Comparison of a folder with the published contents of its corpus.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use rayon::prelude::*;
use serde::Deserialize;
use serde::de::value::StrDeserializer;

use super::CorpusSource;
use crate::audio::stream::SoundStream;
use crate::audio::{AudioError, AudioFile, Channel};
use crate::corpus::{self, Clip, Corpus, CorpusKind, Skipped};

/// Number of recordings of a corpus, a speaker or a class, and the expected number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Name of the corpus, the speaker or the class.
    pub name: String,
    /// Number of recordings that were found.
    pub found: usize,
    /// Expected number; `None` if it is not published, or if the corpus has no such speaker or
    /// class.
    pub expected: Option<usize>,
}

impl Count {
    fn is_whole(&self, not_wav: usize) -> bool {
        self.found + not_wav >= self.expected.unwrap_or(1)
    }
}

/// Contents of a folder, compared with its corpus.
#[derive(Debug)]
pub struct Holds {
    /// Recordings whose names follow the rule of the corpus, and that can be read.
    pub clips: Count,
    /// Each speaker of the corpus, and each other speaker that was found.
    pub speakers: Vec<Count>,
    /// Each class of the corpus, and each other class that was found.
    pub classes: Vec<Count>,
    /// Recordings that are not counted.
    pub skipped: Vec<Skipped>,
    not_wav: usize,
}

impl Holds {
    /// True if no recording is missing.
    pub fn is_whole(&self) -> bool {
        self.clips.is_whole(self.not_wav) && self.lacking().next().is_none()
    }

    /// Speakers and classes with missing recordings.
    pub fn lacking(&self) -> impl Iterator<Item = (&'static str, &Count)> {
        let speakers = self.speakers.iter().map(|count| ("speaker", count));
        let classes = self.classes.iter().map(|count| ("class", count));
        let is_incomplete = |(_, count): &(_, &Count)| !count.is_whole(self.not_wav);
        speakers.chain(classes).filter(is_incomplete)
    }
}

/// Counts the recordings of a folder. Every recording is read; `advance` is called for each, from
/// any thread.
pub fn holds(source: &CorpusSource, corpus: &Corpus, advance: impl Fn() + Sync) -> Holds {
    let one = |clip: &Clip| {
        let read = read(&corpus.recording(clip).path);
        advance();
        read.err().map(|reason| Skipped {
            file: clip.file.clone(),
            reason,
        })
    };
    let unreadable: Vec<Option<Skipped>> = corpus.clips.par_iter().map(one).collect();
    let clips = corpus.clips.iter().zip(&unreadable);
    let clips: Vec<Clip> = clips
        .filter(|(_, unreadable)| unreadable.is_none())
        .map(|(clip, _)| clip.clone())
        .collect();
    let mut skipped = corpus.skipped.clone();
    skipped.extend(unreadable.into_iter().flatten());
    let speakers = source.speakers().into_iter();
    let speakers = speakers.map(|name| (name, source.clips_per_speaker));
    let classes = source.classes.iter();
    let classes = classes.map(|(name, &clips)| (name.clone(), Some(clips)));
    Holds {
        clips: Count {
            name: source.name.clone(),
            found: clips.len(),
            expected: Some(source.clips),
        },
        speakers: counts(&clips, speakers.collect(), |clip| &clip.speaker),
        classes: counts(&clips, classes.collect(), |clip| &clip.label),
        skipped,
        not_wav: source.not_wav,
    }
}

/// Reads a recording to its end, to detect a truncated copy.
fn read(file: &Path) -> Result<(), String> {
    let whole = || -> Result<u64, AudioError> {
        // As from a pipe, because a reader of files accepts a file that is shorter than its header
        // says.
        let mut samples = Vec::new();
        let mut sound = match SoundStream::wav(BufReader::new(File::open(file)?), Channel::Mix) {
            Ok(sound) => sound,
            Err(AudioError::NotWav(_)) => {
                let mut sound = AudioFile::open(file, Channel::Mix)?;
                while sound.read(&mut samples)? > 0 {
                    samples.clear();
                }
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        while sound.read(&mut samples)? > 0 {
            samples.clear();
        }
        Ok(sound.missing())
    };
    match whole() {
        Ok(0) => Ok(()),
        Ok(missing) => Err(format!("its last {missing} bytes are missing")),
        Err(error) => Err(error.to_string()),
    }
}

fn counts(
    clips: &[Clip],
    expected: BTreeMap<String, Option<usize>>,
    group: impl Fn(&Clip) -> &String,
) -> Vec<Count> {
    let mut found: BTreeMap<&String, usize> = expected.keys().map(|name| (name, 0)).collect();
    for clip in clips {
        *found.entry(group(clip)).or_default() += 1;
    }
    let count = |(name, found): (&String, usize)| Count {
        name: name.clone(),
        found,
        expected: expected.get(name).copied().flatten(),
    };
    found.into_iter().map(count).collect()
}

/// Finds the corpus in a folder, and its entry in the table of corpora. `named` is the name of the
/// corpus; without it, the corpus is recognised by the file names.
///
/// # Errors
/// If the folder is not a corpus, or if the table does not have this corpus.
pub fn recognise<'a>(
    folder: &Path,
    sources: &'a [CorpusSource],
    named: Option<&str>,
) -> Result<(&'a CorpusSource, Corpus)> {
    let kind = named.map(kind).transpose()?;
    let corpus = corpus::scan(folder, kind)?;
    let name = corpus.kind.to_string();
    let source = sources.iter().find(|source| source.name == name);
    let source = source.with_context(|| {
        let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        format!(
            "{} is of the kind {name}, of which no list of recordings is known; the corpora that can be \
             checked are {}",
            folder.display(),
            known.join(", ")
        )
    })?;
    Ok((source, corpus))
}

fn kind(name: &str) -> Result<CorpusKind> {
    let name_only = StrDeserializer::<serde::de::value::Error>::new(name);
    CorpusKind::deserialize(name_only)
        .map_err(|_| anyhow!("'{name}' is not a corpus that emovox supports"))
}
