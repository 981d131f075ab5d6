//! Workbooks of Excel (XLSX): their first sheet is a table.

use std::io::{Cursor, Read};

use calamine::{Data, DataRef, Reader, Xlsx};

use super::error::ManifestError;
use super::grid::Grid;
use super::table::{MAX_COLUMNS, too_many};
use crate::bounded;

/// True for the bytes of a ZIP archive, which a workbook is.
pub(super) fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Reads the first sheet with content into `grid`. Returns a note about other sheets with content.
pub(super) fn read(bytes: Vec<u8>, grid: &mut Grid) -> Result<Option<String>, ManifestError> {
    let not_a_workbook = |grid: &Grid, reason: String| {
        let what = format!(
            "this is not a workbook that can be read ({reason}); save the table as XLSX or as CSV"
        );
        grid.wrong(1, what)
    };
    if let Err(reason) = check_size(&bytes) {
        return Err(not_a_workbook(grid, reason));
    }
    let opened = Xlsx::new(Cursor::new(bytes));
    let mut book = opened.map_err(|error| not_a_workbook(grid, error.to_string()))?;
    // Empty cells at the end of a row are not stored.
    grid.is_sparse = true;
    let mut used: Vec<String> = Vec::new();
    for name in book.sheet_names() {
        let rows = match rows(&mut book, &name) {
            Ok(rows) => rows,
            Err(reason) => return Err(not_a_workbook(grid, reason)),
        };
        if rows.is_empty() {
            continue;
        }
        if used.is_empty() {
            for (line, values) in rows {
                grid.push(line, values)?;
            }
        }
        used.push(name);
    }
    Ok((used.len() > 1).then(|| {
        format!(
            "the sheet '{}' of the workbook is read; the other sheets are not used ({})",
            used[0],
            used[1..].join(", ")
        )
    }))
}

/// Decompresses the archive once, because a small archive can have endless content.
fn check_size(bytes: &[u8]) -> Result<(), String> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut left = bounded::TABLE;
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|error| error.to_string())?;
        let read = std::io::copy(&mut file.take(left + 1), &mut std::io::sink());
        let read = read.map_err(|error| error.to_string())?;
        left = left.checked_sub(read).ok_or_else(|| {
            format!(
                "it has more than {} of content",
                bounded::size(bounded::TABLE)
            )
        })?;
    }
    Ok(())
}

/// The rows of a sheet with their line numbers; empty rows are left out.
fn rows(
    book: &mut Xlsx<Cursor<Vec<u8>>>,
    sheet: &str,
) -> Result<Vec<(usize, Vec<String>)>, String> {
    let mut cells = book
        .worksheet_cells_reader(sheet)
        .map_err(|error| error.to_string())?;
    let mut rows: Vec<(usize, Vec<String>)> = Vec::new();
    while let Some(cell) = cells.next_cell().map_err(|error| error.to_string())? {
        let text = text(cell.get_value()).trim().to_string();
        if text.is_empty() {
            continue;
        }
        let (row, column) = cell.get_position();
        let (line, column) = (row as usize + 1, column as usize);
        if column >= MAX_COLUMNS {
            return Err(too_many("columns", column + 1));
        }
        if rows.last().is_none_or(|(last, _)| *last != line) {
            rows.push((line, Vec::new()));
        }
        if let Some((_, values)) = rows.last_mut() {
            values.resize(values.len().max(column + 1), String::new());
            values[column] = text;
        }
    }
    Ok(rows)
}

/// The text of a cell. Whole numbers have no fraction.
fn text(value: &DataRef) -> String {
    match value {
        DataRef::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            (*number as i64).to_string()
        }
        DataRef::DateTime(time) if time.is_duration() || (0.0..1.0).contains(&time.as_f64()) => {
            clock(time.as_f64())
        }
        value => Data::from(value.clone()).to_string(),
    }
}

/// A duration as text. Workbooks store it in days, and display it as a clock.
fn clock(days: f64) -> String {
    let milliseconds = (days * 86_400_000.0).round();
    let sign = if milliseconds < 0.0 { "-" } else { "" };
    let milliseconds = milliseconds.abs() as u64;
    let (minutes, milliseconds) = (milliseconds / 60_000, milliseconds % 60_000);
    let (seconds, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
    format!(
        "{sign}{}:{:02}:{seconds:02}.{milliseconds:03}",
        minutes / 60,
        minutes % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{ExcelDateTime, ExcelDateTimeType};

    #[test]
    fn times_of_a_workbook_are_clocks_and_not_days() {
        let cell =
            |days: f64, kind| text(&DataRef::DateTime(ExcelDateTime::new(days, kind, false)));
        let seconds = |seconds: f64| seconds / 86_400.0;
        let clock = ExcelDateTimeType::DateTime;
        assert_eq!(cell(seconds(75.5), clock), "0:01:15.500");
        assert_eq!(cell(seconds(0.0), clock), "0:00:00.000");
        // A duration can be longer than a day; a date is not a time.
        let duration = ExcelDateTimeType::TimeDelta;
        assert_eq!(cell(seconds(100_000.25), duration), "27:46:40.250");
        assert!(!cell(45_000.0, clock).contains(':'));
    }
}
