//! The lines of a manifest. Each cell has its position.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::columns::Role;
use super::error::ManifestError;
use super::grid::Grid;
use super::{json, separated, xlsx};
use crate::bounded;

/// Maximum length of a line in bytes. A file that is not a manifest may have only one long line.
const MAX_LINE_LENGTH: usize = 1 << 20;
/// Maximum number of columns of a table, or of different keys of JSON Lines.
pub(super) const MAX_COLUMNS: usize = 10_000;
/// Columns by which the table of labels of MSP-Podcast is recognised.
const MSP_PODCAST: [&str; 4] = ["FileName", "EmoClass", "SpkrID", "Split_Set"];

/// A value and its position.
#[derive(Debug)]
pub(super) struct Cell {
    pub text: String,
    place: String,
}

impl Cell {
    pub fn new(text: String, place: String) -> Cell {
        Cell { text, place }
    }

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
    pub subset: Option<Cell>,
    pub start: Option<Cell>,
    pub end: Option<Cell>,
    pub duration: Option<Cell>,
}

/// The content of a manifest file. It has at least one row.
#[derive(Debug)]
pub(super) struct Table {
    pub path: PathBuf,
    pub rows: Vec<Row>,
    pub is_json: bool,
    /// True for the table of labels of MSP-Podcast, whose labels are letters.
    pub is_msp_podcast: bool,
    /// Notes about the columns, for the user.
    pub notes: Vec<String>,
}

impl Table {
    pub fn read(path: &Path, renamed: &BTreeMap<Role, String>) -> Result<Table, ManifestError> {
        let unreadable = |source| ManifestError::Unreadable {
            file: path.into(),
            source,
        };
        let bytes = bounded::read(path, bounded::TABLE).map_err(unreadable)?;
        let mut grid = Grid::new(path, renamed);
        if xlsx::is_workbook(&bytes) {
            let sheets = xlsx::read(bytes, &mut grid)?;
            return Table::of_grid(path, grid, sheets);
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
            let what = "the line is not valid UTF-8; save the manifest as UTF-8";
            at(path, line, what.into())
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if let Some(records) = json::document(path, text)? {
            return Table::of_json(path, &records, renamed);
        }
        // Lines of files from old Macintosh systems end with a carriage return only.
        let mut lines = text.split(['\n', '\r']);
        if let Some(line) = lines.position(|line| line.len() > MAX_LINE_LENGTH) {
            let what = "the line is longer than 1 MiB; a manifest has one recording on each line";
            return Err(at(path, line + 1, what.into()));
        }
        if text.trim_start().starts_with('{') {
            return Table::of_json(path, &json::lines(text), renamed);
        }
        separated::read(text, &mut grid)?;
        Table::of_grid(path, grid, None)
    }

    fn of_grid(path: &Path, grid: Grid, note: Option<String>) -> Result<Table, ManifestError> {
        let mut notes = grid.notes();
        notes.extend(note);
        Table {
            path: path.into(),
            is_msp_podcast: grid.has_columns(&MSP_PODCAST),
            notes,
            rows: grid.rows,
            is_json: false,
        }
        .with_rows()
    }

    fn of_json(
        path: &Path,
        records: &[json::Record],
        renamed: &BTreeMap<Role, String>,
    ) -> Result<Table, ManifestError> {
        let (rows, notes) = json::rows(path, records, renamed)?;
        Table {
            path: path.into(),
            rows,
            notes,
            is_json: true,
            is_msp_podcast: false,
        }
        .with_rows()
    }

    fn with_rows(self) -> Result<Table, ManifestError> {
        if self.rows.is_empty() {
            return Err(ManifestError::Empty(self.path));
        }
        Ok(self)
    }
}

pub(super) fn too_many(things: &str, count: usize) -> String {
    format!("{count} {things}, more than the maximum of {MAX_COLUMNS}")
}

/// An error of a line as a whole.
pub(super) fn at(path: &Path, line: usize, what: String) -> ManifestError {
    ManifestError::Wrong {
        place: format!("{}, line {line}", path.display()),
        what,
    }
}

/// Makes a row from the cells of a line. Only times can be empty.
pub(super) fn row(
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
        subset: filled(Role::Split)?,
        start: cell(Role::Start),
        end: cell(Role::End),
        duration: cell(Role::Duration),
    })
}
