//! The table of corpora: where each is at home, under which licence, and what it holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;

use crate::bounded;

/// A corpus, as its publisher describes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Home {
    /// Its short name, that of its folder.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The page that describes it.
    pub home: String,
    /// Its licence.
    pub licence: String,
    /// What to cite.
    pub cite: String,
    /// How much is fetched, about.
    pub megabytes: u64,
    /// How much that is on the disk, about. No archive is unpacked to more than twice of it.
    pub unpacked_megabytes: u64,
    /// How many recordings it has.
    pub clips: usize,
    /// Who speaks; `01-24` stands for all numbers between the two.
    speakers: Vec<String>,
    /// How many recordings each label has.
    pub classes: BTreeMap<String, usize>,
    /// Recordings of each speaker, where all have as many.
    pub clips_per_speaker: Option<usize>,
    /// How many of them are no WAV files, whatever their names say, so that they are not read.
    #[serde(default)]
    pub not_wav: usize,
    /// What it is fetched as.
    #[serde(default)]
    pub archive: Vec<Archive>,
    /// What it is fetched as where each recording is a file of its own.
    pub listed: Option<Listed>,
}

/// A zip archive.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Where it is.
    pub url: String,
    /// Its size, where the publisher states it.
    pub bytes: Option<u64>,
    /// Its MD5, where the publisher states it: proof against accidents, not against malice.
    pub md5: Option<String>,
    /// With what a download is compared; empty where there is nothing.
    pub compared: String,
}

/// Recordings that a table names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// A CSV file.
    pub table: String,
    /// The column with their names.
    pub column: String,
    /// What a name lacks to be a file's.
    pub ending: String,
    /// Where the files are; their names come behind it.
    pub files: String,
    /// Where Git LFS' notes of size and SHA-256 are.
    pub notes: String,
    /// The folder that they go to, below that of the corpus.
    pub into: String,
    /// With what a download is compared; empty where there is nothing.
    pub compared: String,
}

impl Home {
    /// Who speaks, each by the name that the recordings give.
    pub fn speakers(&self) -> Vec<String> {
        self.speakers.iter().flat_map(|name| expand(name)).collect()
    }
}

/// `08-16` → `08`, `09` … `16`.
fn expand(name: &str) -> Vec<String> {
    let numbers = name.split_once('-').and_then(|(first, last)| {
        let range = first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?;
        Some((range, first.len()))
    });
    match numbers {
        Some((range, width)) => range.map(|n| format!("{n:0width$}")).collect(),
        None => vec![name.to_string()],
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    corpus: Vec<Home>,
}

/// The corpora that emovox can fetch.
pub fn homes() -> &'static [Home] {
    static HOMES: LazyLock<Vec<Home>> =
        // The table is part of the program; a test reads it.
        LazyLock::new(|| parse(include_str!("homes.toml")).unwrap_or_default());
    &HOMES
}

/// The one of this name.
pub fn home(name: &str) -> Option<&'static Home> {
    homes().iter().find(|home| home.name == name)
}

/// Reads another table.
pub fn read_homes(path: &Path) -> Result<Vec<Home>> {
    let text = bounded::read_text(path, bounded::SETTINGS)
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no table of corpora", path.display()))
}

fn parse(text: &str) -> Result<Vec<Home>> {
    let table: Table = toml::from_str(text).map_err(|error| anyhow!("{error}"))?;
    for home in &table.corpus {
        ensure!(
            home.archive.is_empty() == home.listed.is_some(),
            "{} must have archives or a list of recordings, one of them",
            home.name
        );
    }
    Ok(table.corpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read() {
        let homes = parse(include_str!("homes.toml")).unwrap();
        let names: Vec<&str> = homes.iter().map(|home| home.name.as_str()).collect();
        assert_eq!(names, ["ravdess", "tess", "emodb", "crema-d"]);
        for home in &homes {
            assert_eq!(
                home.classes.values().sum::<usize>(),
                home.clips,
                "{}",
                home.name
            );
            if let Some(clips) = home.clips_per_speaker {
                assert_eq!(clips * home.speakers().len(), home.clips, "{}", home.name);
            }
        }
        let speakers: Vec<usize> = homes.iter().map(|home| home.speakers().len()).collect();
        assert_eq!(speakers, [24, 2, 10, 91]);
    }
}
