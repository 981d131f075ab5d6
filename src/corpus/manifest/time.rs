//! Times in the formats that tables use.

use std::time::Duration;

use super::error::ManifestError;
use super::table::Cell;
use crate::audio::excerpt::parse_seconds;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Parses a time: seconds (`1.25`), a clock (`01:02.5`, `1:01:02.5`), or a duration in the format of
/// pandas (`0 days 00:00:01.5`). `None` if the time is left open.
pub(super) fn parse(cell: &Cell) -> Result<Option<Duration>, ManifestError> {
    let text = cell.text.trim();
    if text.is_empty() || ["nat", "nan", "none", "null"].contains(&text.to_lowercase().as_str()) {
        return Ok(None);
    }
    match duration(text) {
        Some(time) => Ok(Some(time)),
        None if is_negative(text) => {
            Err(cell.wrong(format!("'{text}' is negative; a recording starts at 0")))
        }
        None => Err(cell.wrong(format!(
            "'{text}' is not a time; write seconds (75.5), 1:15.5, or 0 days 00:01:15.5"
        ))),
    }
}

/// True for a time with a minus sign, also for `-1 days +23:59:59` of pandas.
fn is_negative(text: &str) -> bool {
    let unsigned = text.strip_prefix('-');
    unsigned.is_some_and(|text| duration(text.trim()).is_some())
}

fn duration(text: &str) -> Option<Duration> {
    let Some((days, rest)) = text.split_once(" day") else {
        return clock(text).or_else(|| exponent(text));
    };
    let days = Duration::from_secs(days.parse::<u64>().ok()?.checked_mul(DAY)?);
    // pandas writes `1 days 00:00:00`, Python `1 day, 0:00:00`.
    let rest = rest.trim_start_matches(['s', ',', ' ', '+']);
    match rest {
        "" => Some(days),
        rest => days.checked_add(clock(rest)?),
    }
}

/// A clock of at most three fields. Minutes and seconds behind another field are below 60.
fn clock(text: &str) -> Option<Duration> {
    let fields: Vec<&str> = text.strip_prefix('+').unwrap_or(text).split(':').collect();
    let (seconds, others) = fields.split_last()?;
    if others.len() > 2 {
        return None;
    }
    let mut minutes: u64 = 0;
    for (place, field) in others.iter().enumerate() {
        let value: u64 = field.parse().ok().filter(|_| !field.starts_with('+'))?;
        if place > 0 && value >= 60 {
            return None;
        }
        minutes = minutes.checked_mul(60)?.checked_add(value)?;
    }
    let seconds = parse_seconds(seconds)?;
    if !others.is_empty() && seconds >= Duration::from_secs(60) {
        return None;
    }
    Duration::from_secs(minutes.checked_mul(60)?).checked_add(seconds)
}

/// A number of seconds with an exponent, as some programs write small numbers: `5e-05`.
fn exponent(text: &str) -> Option<Duration> {
    let is_number = text.contains(['e', 'E']) && text.starts_with(|c: char| c.is_ascii_digit());
    let seconds: f64 = text.parse().ok().filter(|_| is_number)?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Result<Option<Duration>, String> {
        let cell = Cell::new(text.into(), "list.csv, line 2, column 2 (start)".into());
        parse(&cell).map_err(|error| error.to_string())
    }

    #[test]
    fn all_usual_formats_are_read() {
        for (text, milliseconds) in [
            ("75.5", 75_500),
            ("75", 75_000),
            (".5", 500),
            ("75.", 75_000),
            ("1:15.5", 75_500),
            ("01:15.500", 75_500),
            ("0:01:15.5", 75_500),
            ("100:00", 6_000_000),
            ("0 days 00:01:15.500000", 75_500),
            ("0 days 00:01:15.500000000", 75_500),
            ("0 days", 0),
            ("2 days 00:00:01", 172_801_000),
            ("0 days +00:00:01", 1000),
            ("1 day, 0:00:01", 86_401_000),
            ("5e-1", 500),
        ] {
            let expected = Duration::from_millis(milliseconds);
            assert_eq!(parsed(text), Ok(Some(expected)), "{text}");
        }
        for text in ["", "NaT", "nan", "None"] {
            assert_eq!(parsed(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn other_text_is_an_error_with_its_place() {
        for text in [
            "soon",
            "1:2:3:4",
            "1:60",
            "1:60:00",
            "1,5",
            "inf",
            "e5",
            "1 days soon",
            ":",
            "1:",
            "0x10",
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains("column 2 (start)"), "{error}");
            assert!(error.contains("is not a time"), "{text}: {error}");
        }
        for text in ["-1", "-0:01", "-1 days +23:59:59"] {
            assert!(parsed(text).unwrap_err().contains("is negative"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_the_same_in_all_formats(milliseconds in 0_u64..1 << 40) {
            let time = Duration::from_millis(milliseconds);
            let (seconds, fraction) = (time.as_secs(), time.subsec_millis());
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            for text in [
                format!("{seconds}.{fraction:03}"),
                format!("{}:{:02}.{fraction:03}", seconds / 60, seconds % 60),
                format!("{hours}:{minutes:02}:{:02}.{fraction:03}", seconds % 60),
                format!(
                    "{} days {:02}:{minutes:02}:{:02}.{fraction:03}000",
                    hours / 24, hours % 24, seconds % 60
                ),
            ] {
                prop_assert_eq!(parsed(&text), Ok(Some(time)), "{}", text);
            }
        }

        #[test]
        fn no_text_makes_the_parser_fail(text in "[-+0-9:. eEdaysNT,]{0,30}") {
            let _ = parsed(&text);
        }
    }
}
