//! Tables of text, with commas, semicolons or tabs, and quotes where necessary.

use std::borrow::Cow;

use super::error::ManifestError;
use super::grid::Grid;

/// Reads the lines of a table into `grid`.
pub(super) fn read(text: &str, grid: &mut Grid) -> Result<(), ManifestError> {
    let (delimiter, text) = declared_delimiter(text);
    let delimiter = delimiter.unwrap_or_else(|| most_frequent_delimiter(&text));
    if let Some((line, what)) = loose_quote(&text, delimiter) {
        return Err(grid.wrong(line, what.into()));
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut lines = Lines::new(&text);
    for record in reader.records() {
        let record = record.map_err(|error| {
            let what = format!("this is not a table: {error}");
            grid.wrong(lines.at(error.position()), what)
        })?;
        let line = lines.at(record.position());
        grid.push(line, record.iter().map(str::to_string).collect())?;
    }
    Ok(())
}

/// The delimiter in a first line `sep=;`, as Excel writes it, and the text without the content of this
/// line, so that all other lines keep their numbers.
fn declared_delimiter(text: &str) -> (Option<u8>, Cow<'_, str>) {
    let first = text.lines().next().unwrap_or_default();
    let declared = first.trim_matches(['"', ' ', '\r']);
    let delimiter = match declared.get(..4).map(str::to_lowercase).as_deref() {
        Some("sep=") => match &declared.as_bytes()[4..] {
            [byte @ (b',' | b';' | b'\t' | b'|')] => *byte,
            b"\\t" => b'\t',
            _ => return (None, text.into()),
        },
        _ => return (None, text.into()),
    };
    (Some(delimiter), text[first.len()..].into())
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

/// The most frequent delimiter of the first line, outside of quotes.
fn most_frequent_delimiter(text: &str) -> u8 {
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
