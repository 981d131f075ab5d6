//! The lines of a manifest. Each cell has its position.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::columns::{Role, roles};
use super::error::ManifestError;
use crate::audio;
use crate::bounded;

/// Maximum length of a line in bytes. A file that is not a manifest may have only one long line.
const MAX_LINE_LENGTH: usize = 1 << 20;
/// Maximum number of columns of a table, or of different keys of JSON Lines.
const MAX_COLUMNS: usize = 10_000;

/// A value and its position.
#[derive(Debug)]
pub(super) struct Cell {
    pub text: String,
    place: String,
}

impl Cell {
    /// Position of the value: `list.csv, line 3, column 2 (label)`.
    pub fn place(&self) -> String {
        self.place.clone()
    }

    pub fn wrong(&self, what: impl Into<String>) -> ManifestError {
        ManifestError::Wrong {
            place: self.place(),
            what: what.into(),
        }
    }
}

/// A line: the properties of a clip.
#[derive(Debug)]
pub(super) struct Row {
    pub file: Cell,
    pub label: Cell,
    pub speaker: Option<Cell>,
    pub part: Option<Cell>,
    pub start: Option<Cell>,
    pub end: Option<Cell>,
}

/// The content of a manifest file. It has at least one row.
#[derive(Debug)]
pub(super) struct Table {
    pub path: PathBuf,
    pub rows: Vec<Row>,
    pub is_json: bool,
}

impl Table {
    pub fn read(path: &Path, renamed: &BTreeMap<Role, String>) -> Result<Table, ManifestError> {
        let bytes =
            bounded::read(path, bounded::TABLE).map_err(|source| ManifestError::Unreadable {
                file: path.into(),
                source,
            })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
            let what = "the line is not valid UTF-8; save the manifest as UTF-8";
            at(path, line, what.into())
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        // Lines of files from old Macintosh systems end with a carriage return only.
        let mut lines = text.split(['\n', '\r']);
        if let Some(line) = lines.position(|line| line.len() > MAX_LINE_LENGTH) {
            let what = "the line is longer than 1 MiB; a manifest has one recording on each line";
            return Err(at(path, line + 1, what.into()));
        }
        let is_json = text.trim_start().starts_with(['{', '[']);
        let rows = if is_json {
            json_lines(path, text, renamed)?
        } else {
            separated(path, text, renamed)?
        };
        if rows.is_empty() {
            Err(ManifestError::Empty(path.into()))
        } else {
            Ok(Table {
                path: path.into(),
                rows,
                is_json,
            })
        }
    }
}

fn too_many(things: &str, count: usize) -> String {
    format!("{count} {things}, more than the maximum of {MAX_COLUMNS}")
}

/// An error of a line as a whole.
fn at(path: &Path, line: usize, what: String) -> ManifestError {
    ManifestError::Wrong {
        place: format!("{}, line {line}", path.display()),
        what,
    }
}

/// Parses a table with commas, semicolons or tabs, and quotes where necessary.
fn separated(
    path: &Path,
    text: &str,
    renamed: &BTreeMap<Role, String>,
) -> Result<Vec<Row>, ManifestError> {
    let delimiter = delimiter(text);
    if let Some((line, what)) = loose_quote(text, delimiter) {
        return Err(at(path, line, what.into()));
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut header: Option<(Vec<String>, BTreeMap<Role, usize>)> = None;
    let mut rows = Vec::new();
    let mut lines = Lines::new(text);
    for record in reader.records() {
        let record = record.map_err(|error| {
            let what = format!("this is not a table: {error}");
            at(path, lines.at(error.position()), what)
        })?;
        let line = lines.at(record.position());
        let values: Vec<String> = record.iter().map(str::to_string).collect();
        if values.iter().all(String::is_empty) {
            continue;
        }
        if values.len() > MAX_COLUMNS {
            let what = too_many("columns", values.len());
            return Err(at(path, line, what));
        }
        let (names, places) = match &header {
            Some(header) => header,
            None => {
                let (made, is_header) =
                    head(&values, renamed).map_err(|what| at(path, line, what))?;
                let made = header.insert(made);
                if is_header {
                    continue;
                }
                made
            }
        };
        if values.len() != names.len() {
            let what = format!(
                "{} values, but the first line has {}; put a value that contains a comma in quotes",
                values.len(),
                names.len()
            );
            return Err(at(path, line, what));
        }
        let cell = |role: Role| {
            places.get(&role).map(|&place| Cell {
                text: values[place].clone(),
                place: format!(
                    "{}, line {line}, column {} ({})",
                    path.display(),
                    place + 1,
                    names[place]
                ),
            })
        };
        let is_multiline = |place: &(&Role, &usize)| values[*place.1].contains(['\n', '\r']);
        if let Some(cell) = places
            .iter()
            .find(is_multiline)
            .and_then(|(&role, _)| cell(role))
        {
            return Err(cell.wrong(
                "this value extends over several lines; check for a missing or an extra quote",
            ));
        }
        rows.push(row(path, line, cell)?);
    }
    Ok(rows)
}

/// Finds an unbalanced quote: its line and a message. The quote is never closed, or is closed in
/// the middle of a value. The csv reader accepts both, and lines of the manifest would be lost
/// without an error.
fn loose_quote(text: &str, delimiter: u8) -> Option<(usize, &'static str)> {
    let mut line = 1;
    let mut bytes = text.bytes().peekable();
    let mut begins = true;
    while let Some(byte) = bytes.next() {
        if byte == b'"' && begins {
            let opened = line;
            loop {
                match bytes.next() {
                    None => return Some((opened, "a quote is opened here and never closed")),
                    Some(b'\n') => line += 1,
                    // Two quotes are one quote of the value.
                    Some(b'"') => match bytes.next_if_eq(&b'"') {
                        Some(_) => {}
                        None => break,
                    },
                    Some(_) => {}
                }
            }
            while bytes.next_if_eq(&b' ').is_some() {}
            let ends = [delimiter, b'\n', b'\r'];
            if bytes.peek().is_some_and(|next| !ends.contains(next)) {
                let what = "there is text behind a closing quote; put a value that contains quotes in \
                            quotes, and double the quotes inside";
                return Some((line, what));
            }
        }
        line += usize::from(byte == b'\n');
        begins = [delimiter, b'\n', b'\r'].contains(&byte);
    }
    None
}

/// Counter of lines as in an editor. The line numbers of the csv reader are too low by one after a
/// carriage return and before an empty line.
struct Lines<'a> {
    text: &'a str,
    /// Number of bytes whose line ends are counted.
    counted: usize,
    /// Number of line ends so far.
    ends: usize,
}

impl Lines<'_> {
    fn new(text: &str) -> Lines<'_> {
        Lines {
            text,
            counted: 0,
            ends: 0,
        }
    }

    /// The line of a record; `position` is the position at which the reader began to read it. The
    /// records must be passed in their order.
    fn at(&mut self, position: Option<&csv::Position>) -> usize {
        let start = position.map_or(0, csv::Position::byte) as usize;
        let bytes = self.text.as_bytes();
        let blank = bytes[start..]
            .iter()
            .take_while(|byte| b"\r\n".contains(byte));
        let here = start + blank.count();
        let new = bytes[self.counted..here].iter();
        self.ends += new.filter(|&&byte| byte == b'\n').count();
        self.counted = here;
        self.ends + 1
    }
}

/// The names of the columns, the column of each role, and true if the first line is a header.
/// Without a header, the columns are file, label, speaker and split; the last two can be missing.
#[allow(clippy::type_complexity, reason = "the caller destructures it at once")]
fn head(
    first: &[String],
    renamed: &BTreeMap<Role, String>,
) -> Result<((Vec<String>, BTreeMap<Role, usize>), bool), String> {
    let is_recording = |value: &String| audio::is_recording_name(Path::new(value));
    if !first.iter().any(is_recording) {
        return Ok(((first.to_vec(), roles(first, renamed)?), true));
    }
    if !(2..=4).contains(&first.len()) || !is_recording(&first[0]) {
        return Err(
            "a manifest without a header has the columns file, label, speaker and split, in this order \
             (the last two may be missing); add a header"
                .into(),
        );
    }
    let known = &Role::ALL[..first.len()];
    let names = known.iter().map(Role::to_string).collect();
    let places = known.iter().enumerate().map(|(place, &role)| (role, place));
    Ok(((names, places.collect()), false))
}

/// The most frequent delimiter of the first line, outside of quotes.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty());
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in first.unwrap_or_default().bytes() {
        quoted ^= byte == b'"';
        for (delimiter, count) in &mut counts {
            *count += usize::from(!quoted && byte == *delimiter);
        }
    }
    let most = counts.into_iter().rev().max_by_key(|&(_, count)| count);
    most.map_or(b',', |(delimiter, _)| delimiter)
}

/// Parses JSON Lines: one object on each line.
fn json_lines(
    path: &Path,
    text: &str,
    renamed: &BTreeMap<Role, String>,
) -> Result<Vec<Row>, ManifestError> {
    let lines = text.lines().zip(1..);
    let lines: Vec<(&str, usize)> = lines.filter(|(line, _)| !line.trim().is_empty()).collect();
    let mut names: Vec<String> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    for &(line, number) in &lines {
        for (key, _) in object(path, line, number)? {
            if known.insert(key.clone()) {
                names.push(key);
            }
        }
        if names.len() > MAX_COLUMNS {
            return Err(at(path, number, too_many("keys", names.len())));
        }
    }
    let first = lines.first().map_or(1, |(_, number)| *number);
    let found = roles(&names, renamed).map_err(|what| at(path, first, what))?;
    let mut rows = Vec::new();
    // The lines are parsed again, because all objects together need many times the memory of the
    // text.
    for &(line, number) in &lines {
        let object = object(path, line, number)?;
        let mut cells = BTreeMap::new();
        for (&role, &place) in &found {
            let key = &names[place];
            let place = format!("{}, line {number}, \"{key}\"", path.display());
            let text = match object.get(key) {
                Some(Value::String(text)) => text.trim().to_string(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Null) => String::new(),
                None if [Role::Start, Role::End].contains(&role) => String::new(),
                None => {
                    let what = "is missing here, but other lines have it".into();
                    return Err(ManifestError::Wrong { place, what });
                }
                Some(other) => {
                    let what = format!("{other} is not text");
                    return Err(ManifestError::Wrong { place, what });
                }
            };
            cells.insert(role, Cell { text, place });
        }
        rows.push(row(path, number, |role| cells.remove(&role))?);
    }
    Ok(rows)
}

/// Parses the object of a line.
fn object(path: &Path, line: &str, number: usize) -> Result<Map<String, Value>, ManifestError> {
    serde_json::from_str(line).map_err(|error| {
        let what = format!(
            "column {}: this is not a JSON object ({}); JSON Lines have one object on each line",
            error.column(),
            reason(&error)
        );
        at(path, number, what)
    })
}

/// The message of serde without its position, which counts from the start of the line.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.replace(&place, "")
}

/// Makes a row from the cells of a line. Only times can be empty.
fn row(
    path: &Path,
    line: usize,
    mut cell: impl FnMut(Role) -> Option<Cell>,
) -> Result<Row, ManifestError> {
    let mut filled = |role: Role| match cell(role) {
        Some(cell) if cell.text.is_empty() => Err(cell.wrong(match role {
            Role::Speaker => "the speaker is empty; name every speaker, or leave the column out",
            _ => "the value is empty",
        })),
        cell => Ok(cell),
    };
    let needed = |cell: Option<Cell>| {
        cell.ok_or_else(|| at(path, line, "the file or the label is missing".into()))
    };
    Ok(Row {
        file: needed(filled(Role::File)?)?,
        label: needed(filled(Role::Label)?)?,
        speaker: filled(Role::Speaker)?,
        part: filled(Role::Split)?,
        start: cell(Role::Start),
        end: cell(Role::End),
    })
}
