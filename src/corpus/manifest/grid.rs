//! Rows of a table, from lines of values.

use std::collections::BTreeMap;
use std::path::Path;

use super::columns::{self, Role, roles};
use super::error::ManifestError;
use super::table::{Cell, MAX_COLUMNS, Row, at, row, too_many};
use crate::audio::is_recording_name;

/// The rows of a table so far. The first line names the columns, unless it is a recording.
pub(super) struct Grid<'a> {
    path: &'a Path,
    renamed: &'a BTreeMap<Role, String>,
    head: Option<Head>,
    pub rows: Vec<Row>,
    /// True if a line that is shorter than the first line ends with empty values.
    pub is_sparse: bool,
}

/// The names of the columns, and the column of each role.
struct Head {
    names: Vec<String>,
    places: BTreeMap<Role, usize>,
    is_header: bool,
}

impl<'a> Grid<'a> {
    pub fn new(path: &'a Path, renamed: &'a BTreeMap<Role, String>) -> Grid<'a> {
        Grid {
            path,
            renamed,
            head: None,
            rows: Vec::new(),
            is_sparse: false,
        }
    }

    /// An error of a line as a whole.
    pub fn wrong(&self, line: usize, what: String) -> ManifestError {
        at(self.path, line, what)
    }

    /// Adds a line. Empty lines are left out.
    pub fn push(&mut self, line: usize, mut values: Vec<String>) -> Result<(), ManifestError> {
        if values.iter().all(String::is_empty) {
            return Ok(());
        }
        if values.len() > MAX_COLUMNS {
            return Err(self.wrong(line, too_many("columns", values.len())));
        }
        let head = match &self.head {
            Some(head) => head,
            None => {
                let head = Head::of(&values, self.renamed);
                let head = head.map_err(|what| self.wrong(line, what))?;
                let head = self.head.insert(head);
                if head.is_header {
                    return Ok(());
                }
                head
            }
        };
        if self.is_sparse {
            values.resize(head.names.len().max(values.len()), String::new());
        }
        if values.len() != head.names.len() {
            let what = format!(
                "{} values, but the first line has {}; put a value that contains a comma in quotes",
                values.len(),
                head.names.len()
            );
            return Err(at(self.path, line, what));
        }
        let cell = |role: Role| {
            head.places.get(&role).map(|&place| {
                let column = format!("column {} ({})", place + 1, head.names[place]);
                let position = format!("{}, line {line}, {column}", self.path.display());
                Cell::new(values[place].clone(), position)
            })
        };
        let is_multiline = |place: &(&Role, &usize)| values[*place.1].contains(['\n', '\r']);
        let multiline = head.places.iter().find(is_multiline);
        if let Some(cell) = multiline.and_then(|(&role, _)| cell(role)) {
            return Err(cell.wrong(
                "this value extends over several lines; check for a missing or an extra quote",
            ));
        }
        self.rows.push(row(self.path, line, cell)?);
        Ok(())
    }

    /// Notes about columns that are not used.
    pub fn notes(&self) -> Vec<String> {
        match &self.head {
            Some(head) if head.is_header => columns::unused(&head.names, &head.places),
            _ => Vec::new(),
        }
    }

    /// True if the table has all of these columns.
    pub fn has_columns(&self, names: &[&str]) -> bool {
        let head = self.head.as_ref();
        head.is_some_and(|head| {
            names
                .iter()
                .all(|name| head.names.iter().any(|n| n == name))
        })
    }
}

impl Head {
    /// The columns of a table by its first line. Without a header, the columns are file, label, speaker
    /// and split; the last two can be missing.
    fn of(first: &[String], renamed: &BTreeMap<Role, String>) -> Result<Head, String> {
        let is_recording = |value: &String| is_recording_name(Path::new(value));
        if !first.iter().any(is_recording) {
            return Ok(Head {
                names: first.to_vec(),
                places: roles(first, renamed)?,
                is_header: true,
            });
        }
        if !(2..=4).contains(&first.len()) || !is_recording(&first[0]) {
            return Err(
                "a manifest without a header has the columns file, label, speaker and split, in this \
                 order (the last two may be missing); add a header"
                    .into(),
            );
        }
        let known = &Role::ALL[..first.len()];
        let places = known.iter().enumerate().map(|(place, &role)| (role, place));
        Ok(Head {
            names: known.iter().map(Role::to_string).collect(),
            places: places.collect(),
            is_header: false,
        })
    }
}
