//! Times in the formats that tables use.

use super::error::ManifestError;
use super::table::Cell;

/// Parses a time in seconds: a number, or a duration in the format of pandas (`0 days 00:00:01.5`).
/// `None` if the time is left open.
pub(super) fn seconds(cell: &Cell) -> Result<Option<f64>, ManifestError> {
    let text = cell.text.as_str();
    if text.is_empty() || ["nat", "nan", "none"].contains(&text.to_lowercase().as_str()) {
        return Ok(None);
    }
    let clock = text.split_once(" days").map_or(text, |(_, clock)| clock);
    let days = text
        .split_once(" days")
        .map_or(Some(0.0), |(days, _)| days.parse().ok());
    let clock = clock.trim().trim_start_matches('+');
    let whole = if clock.is_empty() {
        Some(0.0)
    } else {
        clock.split(':').try_fold(0.0, |sum: f64, field| {
            let value: f64 = field.parse().ok()?;
            (value >= 0.0 && value.is_finite()).then_some(sum * 60.0 + value)
        })
    };
    match (days, whole) {
        (Some(days), Some(whole)) if clock.split(':').count() <= 3 => {
            let days: f64 = days;
            Ok(Some(days * 86_400.0 + whole))
        }
        _ => Err(cell.wrong(format!(
            "'{text}' is not a time; write seconds, or 0 days 00:00:01.5"
        ))),
    }
}
