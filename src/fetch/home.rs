//! The table of corpora: where each is at home, under which licence, and what it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
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

/// The most that a corpus may have; a table from elsewhere may hold any number.
const MOST_MEGABYTES: u64 = 1_000_000;
const MOST_CLIPS: usize = 10_000_000;
const MOST_SPEAKERS: u64 = 100_000;

impl Home {
    /// Who speaks, each by the name that the recordings give.
    pub fn speakers(&self) -> Vec<String> {
        let expand = |name: &String| match range(name) {
            Some((numbers, width)) => numbers.map(|n| format!("{n:0width$}")).collect(),
            None => vec![name.clone()],
        };
        self.speakers.iter().flat_map(expand).collect()
    }

    /// Rejects names that lead out of a folder, numbers that no corpus has, and addresses that are not fetched.
    fn check(&self) -> Result<()> {
        ensure!(
            is_plain(&self.name),
            "a corpus' name is that of its folder: letters, digits, '-', '_' and '.', which does not come first"
        );
        ensure!(
            self.archive.is_empty() == self.listed.is_some(),
            "it must have archives or a list of recordings, one of them"
        );
        ensure!(
            self.megabytes.max(self.unpacked_megabytes) <= MOST_MEGABYTES,
            "megabytes and unpacked_megabytes must be at most {MOST_MEGABYTES}"
        );
        ensure!(
            (1..=MOST_CLIPS).contains(&self.clips),
            "clips is {}; it must lie between 1 and {MOST_CLIPS}",
            self.clips
        );
        let parts = self.classes.values().chain(&self.clips_per_speaker);
        ensure!(
            parts.chain([&self.not_wav]).all(|&part| part <= self.clips),
            "classes, clips_per_speaker and not_wav must be at most clips, {}",
            self.clips
        );
        let mut speakers = 0;
        for name in &self.speakers {
            let count = range(name).map_or(1, |(numbers, _)| {
                (u64::from(*numbers.end()) + 1).saturating_sub(u64::from(*numbers.start()))
            });
            ensure!(count > 0, "the speakers {name} end before they begin");
            speakers += count;
        }
        ensure!(
            speakers <= MOST_SPEAKERS,
            "it has {speakers} speakers; at most {MOST_SPEAKERS} are read"
        );
        self.archive.iter().try_for_each(Archive::check)?;
        self.listed.iter().try_for_each(Listed::check)
    }
}

impl Archive {
    fn check(&self) -> Result<()> {
        check_address(&self.url)?;
        let is_md5 = |md5: &String| md5.len() == 32 && md5.chars().all(|c| c.is_ascii_hexdigit());
        ensure!(
            self.md5.iter().all(is_md5),
            "the md5 of {} must be 32 hexadecimal digits",
            self.url
        );
        ensure!(
            self.bytes
                .is_none_or(|bytes| bytes <= 1_000_000 * MOST_MEGABYTES),
            "the bytes of {} must be at most {MOST_MEGABYTES} MB",
            self.url
        );
        Ok(())
    }
}

impl Listed {
    fn check(&self) -> Result<()> {
        for address in [&self.table, &self.files, &self.notes] {
            check_address(address)?;
        }
        ensure!(
            self.ending.strip_prefix('.').is_some_and(is_plain),
            "ending is '{}'; it must be one of a file, such as .wav",
            self.ending
        );
        ensure!(
            self.into.split('/').all(is_plain),
            "into is '{}'; it must be a folder below that of the corpus, each part a plain name",
            self.into
        );
        Ok(())
    }
}

/// True for a name that is a file's or a folder's of its own, wherever it is put.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// Rejects what the client does not fetch, and what would not be one word in a message.
fn check_address(address: &str) -> Result<()> {
    let rest = address
        .strip_prefix("https://")
        .or(address.strip_prefix("http://"));
    let is_host = |c: char| c.is_ascii_alphanumeric() || c == '[';
    ensure!(
        rest.is_some_and(|rest| rest.starts_with(is_host))
            && address.chars().all(|c| c.is_ascii_graphic()),
        "'{address}' is not an address that starts with https:// or http:// and a server's name"
    );
    Ok(())
}

/// `08-16`: the numbers, and the digits that each is written with.
fn range(name: &str) -> Option<(RangeInclusive<u32>, usize)> {
    let (first, last) = name.split_once('-')?;
    let number = |digits: &str| match digits.len() {
        1..=10 => digits.parse::<u32>().ok(),
        _ => None,
    };
    Some((number(first)?..=number(last)?, first.len()))
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
    let mut names = BTreeSet::new();
    for home in &table.corpus {
        home.check()
            .with_context(|| format!("in '{}'", home.name))?;
        ensure!(
            names.insert(home.name.to_lowercase()),
            "two corpora are called '{}'",
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

    const ARCHIVED: &str = "
[[corpus]]
name = 'emodb'
title = 'A small EmoDB'
home = 'http://home.example'
licence = 'CC0'
cite = 'nobody'
megabytes = 1
unpacked_megabytes = 1
clips = 4
speakers = ['03', '08-09']
classes = { anger = 4 }
clips_per_speaker = 1
not_wav = 1
[[corpus.archive]]
url = 'https://home.example/corpus.zip'
bytes = 5
md5 = 'bc696df654c87fed845eb13823edef8a'
compared = ''
";

    fn listed() -> String {
        let (corpus, _) = ARCHIVED.split_once("[[corpus.archive]]").unwrap();
        format!(
            "{corpus}[corpus.listed]
table = 'http://[::1]:80/table.csv'
column = 'name'
ending = '.wav'
files = 'http://home.example/files/'
notes = 'http://home.example/notes/'
into = 'wav/all'
compared = ''
"
        )
    }

    #[track_caller]
    fn refused(table: &str, from: &str, to: &str) {
        assert!(table.contains(from), "{from}");
        let error = format!("{:#}", parse(&table.replace(from, to)).unwrap_err());
        assert!(
            error.contains("emodb") || to.starts_with("name"),
            "{to}: {error}"
        );
    }

    #[test]
    fn a_table_of_ones_own_is_read() {
        assert_eq!(parse(ARCHIVED).unwrap()[0].speakers(), ["03", "08", "09"]);
        parse(&listed()).unwrap();
    }

    #[test]
    fn no_name_in_a_table_leads_out_of_its_folder() {
        for name in [
            "..",
            "../x",
            "/abs",
            "a/b",
            "a\\\\b",
            ".hidden",
            "",
            "a b",
            "\\u001b[31m",
            "ü",
        ] {
            refused(ARCHIVED, "name = 'emodb'", &format!("name = \"{name}\""));
        }
        for into in ["..", "wav/../..", "/etc", "", "wav//x", ".ssh", "wav/."] {
            refused(&listed(), "into = 'wav/all'", &format!("into = '{into}'"));
        }
        for ending in ["", "wav", "./../../x", "/../x.wav", ".wav/x"] {
            refused(
                &listed(),
                "ending = '.wav'",
                &format!("ending = '{ending}'"),
            );
        }
    }

    #[test]
    fn no_number_in_a_table_is_out_of_proportion() {
        let with = |speakers: &str| {
            let to = format!("speakers = ['{speakers}']");
            parse(&ARCHIVED.replace("speakers = ['03', '08-09']", &to))
        };
        for speakers in ["0-4000000000", "0-100000", "9-3"] {
            let error = format!("{:#}", with(speakers).unwrap_err());
            assert!(error.contains("speakers"), "{speakers}: {error}");
        }
        // Not numbers that a program counts with: a speaker of this name.
        let long = "0-99999999999999999999";
        assert_eq!(with(long).unwrap()[0].speakers(), [long]);
        refused(
            ARCHIVED,
            "speakers = ['03', '08-09']",
            "speakers = ['0-99999999', '0-99999999']",
        );
        let largest = i64::MAX;
        for (from, to) in [
            ("megabytes = 1\nunp", format!("megabytes = {largest}\nunp")),
            (
                "unpacked_megabytes = 1",
                format!("unpacked_megabytes = {largest}"),
            ),
            ("clips = 4", format!("clips = {largest}")),
            ("clips = 4", "clips = 0".into()),
            ("anger = 4", format!("anger = {largest}, fear = {largest}")),
            ("clips_per_speaker = 1", "clips_per_speaker = 5".into()),
            ("not_wav = 1", format!("not_wav = {largest}")),
            ("bytes = 5", format!("bytes = {largest}")),
        ] {
            refused(ARCHIVED, from, &to);
        }
    }

    #[test]
    fn only_web_addresses_and_whole_hashes_are_taken() {
        for url in [
            "file:///etc/passwd",
            "ftp://home.example/x",
            "//home.example/x",
            "https://",
            "https:///x",
            "https://home.example/a b",
            "javascript:alert(1)",
            "",
        ] {
            refused(
                ARCHIVED,
                "url = 'https://home.example/corpus.zip'",
                &format!("url = '{url}'"),
            );
            refused(
                &listed(),
                "files = 'http://home.example/files/'",
                &format!("files = '{url}'"),
            );
        }
        for md5 in [
            "",
            "bc696df654c87fed845eb13823edef8",
            "zc696df654c87fed845eb13823edef8a",
        ] {
            refused(
                ARCHIVED,
                "md5 = 'bc696df654c87fed845eb13823edef8a'",
                &format!("md5 = '{md5}'"),
            );
        }
    }

    #[test]
    fn a_name_stands_for_one_corpus() {
        let twice = format!("{ARCHIVED}{}", ARCHIVED.replace("'emodb'", "'EmoDB'"));
        let error = parse(&twice).unwrap_err().to_string();
        assert!(error.contains("two corpora are called"), "{error}");
    }
}
