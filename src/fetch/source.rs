//! The table of corpora: sources, licences and contents.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;

use crate::bounded;

/// A corpus with the information of its publisher.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusSource {
    /// Short name, which is also the name of the folder.
    pub name: String,
    /// Full name.
    pub title: String,
    /// Address of the page that describes the corpus.
    pub home: String,
    /// Licence of the recordings.
    pub licence: String,
    /// Publication to cite.
    pub cite: String,
    /// Approximate size of the download, in megabytes.
    pub megabytes: u64,
    /// Approximate size on the disk, in megabytes. Unpacking more than twice this size is an error.
    pub unpacked_megabytes: u64,
    /// Number of recordings.
    pub clips: usize,
    /// Names of the speakers; `01-24` stands for all numbers of this range.
    speakers: Vec<String>,
    /// Number of recordings with each label.
    pub classes: BTreeMap<String, usize>,
    /// Number of recordings of each speaker, if it is the same for all speakers.
    pub clips_per_speaker: Option<usize>,
    /// Number of recordings that are not audio in spite of their names, and cannot be read.
    #[serde(default)]
    pub not_wav: usize,
    /// Archives of the corpus.
    #[serde(default)]
    pub archive: Vec<Archive>,
    /// List of the recordings, if each recording is a separate file.
    pub listed: Option<RemoteList>,
}

/// A zip archive.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Address of the archive.
    pub url: String,
    /// Size in bytes, if the publisher states it.
    pub bytes: Option<u64>,
    /// MD5, if the publisher states it. It detects accidental changes, but not malicious ones.
    pub md5: Option<String>,
    /// Published values with which a download is compared; empty if there are none.
    pub compared: String,
}

/// Recordings that are listed in a table, each a separate file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteList {
    /// Address of the table, a CSV file.
    pub table: String,
    /// Name of the column with the names of the recordings.
    pub column: String,
    /// Suffix that makes a file name from the name of a recording.
    pub ending: String,
    /// Address of the files; the file name is appended.
    pub files: String,
    /// Address of the Git LFS pointers with size and SHA-256; the file name is appended.
    pub notes: String,
    /// Folder for the recordings, relative to the corpus folder.
    pub into: String,
    /// Published values with which a download is compared; empty if there are none.
    pub compared: String,
}

// Limits of a corpus; a table from another source can contain any number.
const MAX_MEGABYTES: u64 = 1_000_000;
const MAX_CLIPS: usize = 10_000_000;
const MAX_SPEAKERS: u64 = 100_000;

impl CorpusSource {
    /// Names of the speakers, as in the recordings.
    pub fn speakers(&self) -> Vec<String> {
        let expand = |name: &String| match range(name) {
            Some((numbers, width)) => numbers.map(|n| format!("{n:0width$}")).collect(),
            None => vec![name.clone()],
        };
        self.speakers.iter().flat_map(expand).collect()
    }

    /// Checks the entry. Names that lead out of a folder, implausible numbers and unsupported
    /// addresses are errors.
    fn check(&self) -> Result<()> {
        ensure!(
            is_plain(&self.name),
            "the name of a corpus is the name of its folder: it must consist of letters, digits, '-', '_' \
             and '.', and must not start with '.'"
        );
        ensure!(
            self.archive.is_empty() == self.listed.is_some(),
            "it must have either archives or a list of recordings"
        );
        ensure!(
            self.megabytes.max(self.unpacked_megabytes) <= MAX_MEGABYTES,
            "megabytes and unpacked_megabytes must be at most {MAX_MEGABYTES}"
        );
        ensure!(
            (1..=MAX_CLIPS).contains(&self.clips),
            "clips is {}; it must be between 1 and {MAX_CLIPS}",
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
            ensure!(count > 0, "the range of speakers {name} is empty");
            speakers += count;
        }
        ensure!(
            speakers <= MAX_SPEAKERS,
            "it has {speakers} speakers, more than the maximum of {MAX_SPEAKERS}"
        );
        self.archive.iter().try_for_each(Archive::check)?;
        self.listed.iter().try_for_each(RemoteList::check)
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
                .is_none_or(|bytes| bytes <= 1_000_000 * MAX_MEGABYTES),
            "the bytes of {} must be at most {MAX_MEGABYTES} MB",
            self.url
        );
        Ok(())
    }
}

impl RemoteList {
    fn check(&self) -> Result<()> {
        for address in [&self.table, &self.files, &self.notes] {
            check_address(address)?;
        }
        ensure!(
            self.ending.strip_prefix('.').is_some_and(is_plain),
            "ending is '{}'; it must be the extension of a file, such as .wav",
            self.ending
        );
        ensure!(
            self.into.split('/').all(is_plain),
            "into is '{}'; it must be a folder below the corpus folder, with plain names only",
            self.into
        );
        Ok(())
    }
}

/// True for a name that is safe as the name of a file or folder.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// Rejects addresses that the client does not support, and characters that a message must not
/// contain.
fn check_address(address: &str) -> Result<()> {
    let rest = address
        .strip_prefix("https://")
        .or(address.strip_prefix("http://"));
    let is_host = |c: char| c.is_ascii_alphanumeric() || c == '[';
    ensure!(
        rest.is_some_and(|rest| rest.starts_with(is_host))
            && address.chars().all(|c| c.is_ascii_graphic()),
        "'{address}' is not an address that starts with https:// or http:// and the name of a server"
    );
    Ok(())
}

/// Parses a range such as `08-16`: the numbers, and the number of digits of each.
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
    corpus: Vec<CorpusSource>,
}

/// The corpora that emovox can fetch.
pub fn registry() -> &'static [CorpusSource] {
    static HOMES: LazyLock<Vec<CorpusSource>> =
        // The table is part of the program, and a test checks it.
        LazyLock::new(|| parse(include_str!("sources.toml")).unwrap_or_default());
    &HOMES
}

/// The corpus with this name.
pub fn source_of(name: &str) -> Option<&'static CorpusSource> {
    registry().iter().find(|source| source.name == name)
}

/// Reads another table of corpora from a file.
///
/// # Errors
/// If the file cannot be read, or if an entry is invalid.
pub fn read_sources(path: &Path) -> Result<Vec<CorpusSource>> {
    let text = bounded::read_text(path, bounded::SETTINGS)
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is not a table of corpora", path.display()))
}

fn parse(text: &str) -> Result<Vec<CorpusSource>> {
    let table: Table = toml::from_str(text).map_err(|error| anyhow!("{error}"))?;
    let mut names = BTreeSet::new();
    for source in &table.corpus {
        source
            .check()
            .with_context(|| format!("in '{}'", source.name))?;
        ensure!(
            names.insert(source.name.to_lowercase()),
            "two corpora have the name '{}'",
            source.name
        );
    }
    Ok(table.corpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read() {
        let sources = parse(include_str!("sources.toml")).unwrap();
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(names, ["ravdess", "tess", "emodb", "crema-d"]);
        for source in &sources {
            assert_eq!(
                source.classes.values().sum::<usize>(),
                source.clips,
                "{}",
                source.name
            );
            if let Some(clips) = source.clips_per_speaker {
                assert_eq!(
                    clips * source.speakers().len(),
                    source.clips,
                    "{}",
                    source.name
                );
            }
        }
        let speakers: Vec<usize> = sources
            .iter()
            .map(|source| source.speakers().len())
            .collect();
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
    fn assert_rejected(table: &str, from: &str, to: &str) {
        assert!(table.contains(from), "{from}");
        let error = format!("{:#}", parse(&table.replace(from, to)).unwrap_err());
        assert!(
            error.contains("emodb") || to.starts_with("name"),
            "{to}: {error}"
        );
    }

    #[test]
    fn another_table_is_read() {
        assert_eq!(parse(ARCHIVED).unwrap()[0].speakers(), ["03", "08", "09"]);
        parse(&listed()).unwrap();
    }

    #[test]
    fn names_that_lead_out_of_a_folder_are_rejected() {
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
            assert_rejected(ARCHIVED, "name = 'emodb'", &format!("name = \"{name}\""));
        }
        for into in ["..", "wav/../..", "/etc", "", "wav//x", ".ssh", "wav/."] {
            assert_rejected(&listed(), "into = 'wav/all'", &format!("into = '{into}'"));
        }
        for ending in ["", "wav", "./../../x", "/../x.wav", ".wav/x"] {
            assert_rejected(
                &listed(),
                "ending = '.wav'",
                &format!("ending = '{ending}'"),
            );
        }
    }

    #[test]
    fn implausible_numbers_are_rejected() {
        let with = |speakers: &str| {
            let to = format!("speakers = ['{speakers}']");
            parse(&ARCHIVED.replace("speakers = ['03', '08-09']", &to))
        };
        for speakers in ["0-4000000000", "0-100000", "9-3"] {
            let error = format!("{:#}", with(speakers).unwrap_err());
            assert!(error.contains("speakers"), "{speakers}: {error}");
        }
        // These numbers are too long for a range: this is the name of one speaker.
        let long = "0-99999999999999999999";
        assert_eq!(with(long).unwrap()[0].speakers(), [long]);
        assert_rejected(
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
            assert_rejected(ARCHIVED, from, &to);
        }
    }

    #[test]
    fn only_web_addresses_and_complete_hashes_are_accepted() {
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
            assert_rejected(
                ARCHIVED,
                "url = 'https://home.example/corpus.zip'",
                &format!("url = '{url}'"),
            );
            assert_rejected(
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
            assert_rejected(
                ARCHIVED,
                "md5 = 'bc696df654c87fed845eb13823edef8a'",
                &format!("md5 = '{md5}'"),
            );
        }
    }

    #[test]
    fn two_corpora_with_one_name_are_rejected() {
        let twice = format!("{ARCHIVED}{}", ARCHIVED.replace("'emodb'", "'EmoDB'"));
        let error = parse(&twice).unwrap_err().to_string();
        assert!(error.contains("two corpora have the name"), "{error}");
    }
}
