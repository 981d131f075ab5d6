//! Parts of recordings: a segment is the part between two times.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Number of decimals of a time: a nanosecond.
const DECIMALS: usize = 9;

/// The part of a recording between two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// Time of the first sample, from the start of the recording.
    pub start: Duration,
    /// Time behind the last sample. `None` is the end of the recording.
    pub end: Option<Duration>,
}

impl Segment {
    /// A segment that starts and ends at these times. `None` for the whole recording, from 0 to its
    /// end.
    pub fn new(start: Duration, end: Option<Duration>) -> Option<Segment> {
        let is_whole = start.is_zero() && end.is_none();
        (!is_whole).then_some(Segment { start, end })
    }

    /// The samples of the segment at a sample rate in hertz: from `round(start · rate)` up to
    /// `round(end · rate)`. Without an end, the range ends at `u64::MAX`.
    pub fn samples(&self, rate: u32) -> Range<u64> {
        let end = self.end.map_or(u64::MAX, |end| sample_at(end, rate));
        sample_at(self.start, rate)..end
    }

    /// True if the two segments of one recording have a common part.
    pub fn overlaps(&self, other: &Segment) -> bool {
        let ends_behind = |end: Option<Duration>, start| end.is_none_or(|end| end > start);
        ends_behind(self.end, other.start) && ends_behind(other.end, self.start)
    }

    /// The times as the end of a file name: `1.250-3.750`, or `1.250-end`.
    pub fn file_name(&self) -> String {
        let end = self.end.map_or("end".into(), |end| decimal(end, 3));
        format!("{}-{end}", decimal(self.start, 3))
    }

    /// The times as the fragment of a URL (W3C, Media Fragments URI 1.0): `t=1.25,3.75`.
    pub fn url_fragment(&self) -> String {
        let start = format!("t={}", seconds_text(self.start));
        match self.end {
            Some(end) => format!("{start},{}", seconds_text(end)),
            None => start,
        }
    }
}

/// Index of the sample at a time: `round(time · rate)`, exact for every time and rate.
fn sample_at(time: Duration, rate: u32) -> u64 {
    const SECOND: u128 = 1_000_000_000;
    let product = time.as_nanos() * u128::from(rate);
    u64::try_from((product + SECOND / 2) / SECOND).unwrap_or(u64::MAX)
}

/// A time in seconds with as many decimals as it needs: `1.25`. [`parse_seconds`] reads it back.
pub fn seconds_text(time: Duration) -> String {
    decimal(time, 0)
}

/// A time in seconds with at least `decimals` decimals.
fn decimal(time: Duration, decimals: usize) -> String {
    let fraction = format!("{:0DECIMALS$}", time.subsec_nanos());
    let needed = fraction.trim_end_matches('0').len().max(decimals);
    match &fraction[..needed] {
        "" => time.as_secs().to_string(),
        fraction => format!("{}.{fraction}", time.as_secs()),
    }
}

/// Parses a time in seconds: digits, and a fraction that is rounded to nanoseconds. `None` for any
/// other text, among them negative numbers.
pub fn parse_seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let seconds = match whole {
        "" => 0,
        whole => whole.parse().ok()?,
    };
    let kept = &fraction[..fraction.len().min(DECIMALS)];
    let nanoseconds: u32 = format!("{kept:0<DECIMALS$}").parse().ok()?;
    let rounds_up = fraction
        .as_bytes()
        .get(DECIMALS)
        .is_some_and(|&d| d >= b'5');
    Duration::from_secs(seconds).checked_add(Duration::from_nanos(
        u64::from(nanoseconds) + u64::from(rounds_up),
    ))
}

impl fmt::Display for Segment {
    /// `1.25–3.75 s`
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let end = self.end.map_or("end".into(), seconds_text);
        write!(f, "{}–{end} s", seconds_text(self.start))
    }
}

/// A recording: a file, or a segment of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Excerpt {
    /// Path of the file.
    pub path: PathBuf,
    /// The segment; `None` for the whole file.
    pub segment: Option<Segment>,
}

impl Excerpt {
    /// The same part of the file in a folder.
    pub fn below(&self, folder: &Path) -> Excerpt {
        self.at(folder.join(&self.path))
    }

    /// The same part of the file at another path.
    pub fn at(&self, path: impl Into<PathBuf>) -> Excerpt {
        Excerpt {
            path: path.into(),
            segment: self.segment,
        }
    }

    /// True if the two recordings have a common part of one file.
    pub fn overlaps(&self, other: &Excerpt) -> bool {
        let overlap = match (self.segment, other.segment) {
            (Some(one), Some(other)) => one.overlaps(&other),
            _ => true,
        };
        overlap && self.path == other.path
    }

    /// The recording for a message: the path, and the times of a segment.
    pub fn display(&self) -> impl fmt::Display + '_ {
        self
    }
}

impl fmt::Display for Excerpt {
    /// `call.wav`, or `call.wav (1.25–3.75 s)`
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.segment {
            Some(segment) => write!(f, "{} ({segment})", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

impl From<PathBuf> for Excerpt {
    fn from(path: PathBuf) -> Excerpt {
        Excerpt {
            path,
            segment: None,
        }
    }
}

impl From<&Path> for Excerpt {
    fn from(path: &Path) -> Excerpt {
        path.to_path_buf().into()
    }
}

impl From<&PathBuf> for Excerpt {
    fn from(path: &PathBuf) -> Excerpt {
        path.clone().into()
    }
}

impl From<String> for Excerpt {
    fn from(path: String) -> Excerpt {
        PathBuf::from(path).into()
    }
}

impl From<&str> for Excerpt {
    fn from(path: &str) -> Excerpt {
        PathBuf::from(path).into()
    }
}

/// The start and the end of a segment as two columns of a table, in seconds. Both are empty for a
/// whole recording; an empty end is the end of the recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentColumns {
    /// Start in seconds.
    #[serde(default)]
    pub start: String,
    /// End in seconds.
    #[serde(default)]
    pub end: String,
}

impl SegmentColumns {
    /// Names of the columns.
    pub const NAMES: [&str; 2] = ["start", "end"];

    /// The columns of a recording.
    pub fn of(segment: Option<Segment>) -> SegmentColumns {
        let start = segment.map(|segment| seconds_text(segment.start));
        let end = segment.and_then(|segment| segment.end).map(seconds_text);
        SegmentColumns {
            start: start.unwrap_or_default(),
            end: end.unwrap_or_default(),
        }
    }
}

/// Reads the two columns of [`SegmentColumns`].
///
/// # Errors
/// If a column is neither empty nor a time in seconds, or if the end is not behind the start.
pub fn segment_of(start: &str, end: &str) -> Result<Option<Segment>, String> {
    let time = |text: &str| match text {
        "" => Ok(None),
        text => parse_seconds(text)
            .map(Some)
            .ok_or_else(|| format!("'{text}' is not a time in seconds")),
    };
    let (start, end) = (time(start)?.unwrap_or_default(), time(end)?);
    if end.is_some_and(|end| end <= start) {
        return Err(format!(
            "a segment ends before it starts ({} s)",
            seconds_text(start)
        ));
    }
    Ok(Segment::new(start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(start: &str, end: &str) -> Segment {
        segment_of(start, end).unwrap().unwrap()
    }

    #[test]
    fn times_become_the_nearest_samples() {
        assert_eq!(segment("1.25", "3.75").samples(16_000), 20_000..60_000);
        // 0.00003125 s is half a sample at 16 kHz.
        assert_eq!(segment("0.00003125", "1").samples(16_000), 1..16_000);
        assert_eq!(segment("0.00003124", "1").samples(16_000), 0..16_000);
        assert_eq!(segment("2", "").samples(8000), 16_000..u64::MAX);
    }

    #[test]
    fn names_of_segments_have_at_least_milliseconds() {
        assert_eq!(segment("1.25", "3.75").file_name(), "1.250-3.750");
        assert_eq!(segment("1.2505", "").file_name(), "1.2505-end");
        assert_eq!(segment("1.25", "3.75").url_fragment(), "t=1.25,3.75");
        assert_eq!(segment("60", "").url_fragment(), "t=60");
        let excerpt = Excerpt {
            path: "call.wav".into(),
            segment: Some(segment("1.25", "60")),
        };
        assert_eq!(excerpt.to_string(), "call.wav (1.25–60 s)");
    }

    #[test]
    fn a_whole_recording_has_no_segment() {
        assert_eq!(segment_of("", ""), Ok(None));
        assert_eq!(segment_of("0", ""), Ok(None));
        assert_eq!(SegmentColumns::of(None), SegmentColumns::default());
        for (start, end) in [
            ("2", "1"),
            ("1", "1"),
            ("-1", "2"),
            ("a", ""),
            ("1e3", ""),
            (".", ""),
        ] {
            assert!(segment_of(start, end).is_err(), "{start}, {end}");
        }
    }

    #[test]
    fn segments_that_touch_do_not_overlap() {
        assert!(!segment("1", "2").overlaps(&segment("2", "3")));
        assert!(segment("1", "2").overlaps(&segment("1.9", "")));
        assert!(!segment("0", "1").overlaps(&segment("1", "")));
        assert!(segment("0", "10").overlaps(&segment("3", "4")));
    }

    proptest! {
        #[test]
        fn a_written_segment_is_read_back(start in 0_u64..1 << 50, length in 1_u64..1 << 50, open: bool) {
            let start = Duration::from_nanos(start);
            let end = (!open).then(|| start + Duration::from_nanos(length));
            let segment = Segment::new(start, end);
            let columns = SegmentColumns::of(segment);
            prop_assert_eq!(segment_of(&columns.start, &columns.end), Ok(segment));
        }

        #[test]
        fn the_sample_is_that_of_exact_arithmetic(nanoseconds in 0_u64..1 << 53, rate in 1_u32..1 << 20) {
            let exact = nanoseconds as f64 / 1e9 * f64::from(rate);
            let sample = sample_at(Duration::from_nanos(nanoseconds), rate) as f64;
            prop_assert!((sample - exact).abs() <= 0.5 + exact * 1e-15);
        }

        #[test]
        fn no_text_makes_the_parser_fail(text in ".{0,30}") {
            let _ = parse_seconds(&text);
        }
    }
}
