//! Segments in a manifest: lines with a start or an end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ManifestError;
use super::table::{Cell, Row};
use super::time;
use crate::audio::excerpt::seconds_text;
use crate::audio::{Excerpt, Segment};
use crate::corpus::Clip;
use crate::plural::counted;

/// Tolerance of an end time: a clip that ends up to this much before or behind the end of its
/// recording ends with it.
const TOLERANCE: Duration = Duration::from_millis(50);
/// Shortest segment: one frame.
const SHORTEST: Duration = Duration::from_millis(25);

/// The start and the end in a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    start: Duration,
    end: Option<Duration>,
}

impl Times {
    /// Reads the times of a line. `None` if the clip is the whole recording, whatever its length.
    pub(super) fn of(row: &Row) -> Result<Option<Times>, ManifestError> {
        let time = |cell: &Option<Cell>| cell.as_ref().map_or(Ok(None), time::parse);
        let start = time(&row.start)?;
        let mut end = time(&row.end)?;
        let mut end_cell = &row.end;
        if end.is_none()
            && let Some(duration) = time(&row.duration)?
        {
            end = start.unwrap_or_default().checked_add(duration);
            end_cell = &row.duration;
        }
        let start = start.unwrap_or_default();
        if start.is_zero() && end.is_none() {
            return Ok(None);
        }
        if let (Some(end), Some(cell)) = (end, end_cell) {
            check_length(start, end, cell)?;
        }
        Ok(Some(Times { start, end }))
    }

    /// The segment in a recording of this length. `None` for the whole recording. If the length is
    /// not known, the times are not checked.
    ///
    /// # Errors
    /// The reason that the segment is not in the recording.
    fn within(&self, length: Option<Duration>) -> Result<Option<Segment>, String> {
        let Some(length) = length else {
            return Ok(Segment::new(self.start, self.end));
        };
        let fits = |times: &Times| {
            let has_a_frame = times.start.saturating_add(SHORTEST) <= length;
            let ends_inside = times.end.is_none_or(|end| end <= length + TOLERANCE);
            (has_a_frame || times.start.is_zero()) && ends_inside
        };
        if !fits(self) {
            let thousandth = Times {
                start: self.start / 1000,
                end: self.end.map(|end| end / 1000),
            };
            let is_a_frame = thousandth
                .end
                .is_none_or(|end| end >= thousandth.start + SHORTEST);
            let hint = if is_a_frame && fits(&thousandth) {
                "; times are in seconds, so divide them by 1000 if they are milliseconds"
            } else {
                ""
            };
            return Err(format!(
                "the segment {} is not in the recording, which has {:.3} s{hint}",
                Segment {
                    start: self.start,
                    end: self.end
                },
                length.as_secs_f64()
            ));
        }
        let is_near_end = |end: Duration| end + TOLERANCE >= length;
        let end = match self.end {
            Some(end) if self.start.is_zero() && is_near_end(end) => None,
            Some(end) if end > length => None,
            end => end,
        };
        Ok(Segment::new(self.start, end))
    }
}

fn check_length(start: Duration, end: Duration, cell: &Cell) -> Result<(), ManifestError> {
    if end <= start {
        return Err(cell.wrong(format!(
            "the segment ends at {} s, but starts at {} s",
            seconds_text(end),
            seconds_text(start)
        )));
    }
    if end - start < SHORTEST {
        return Err(cell.wrong(format!(
            "the segment has only {} s, less than one frame ({} s); times are in seconds",
            seconds_text(end - start),
            seconds_text(SHORTEST)
        )));
    }
    Ok(())
}

/// The lengths of recordings. Each file is measured once.
pub(super) struct Lengths<F> {
    /// Returns the duration of a recording in seconds.
    seconds: F,
    known: HashMap<PathBuf, Option<Duration>>,
}

impl<F: Fn(&Path) -> Option<f64>> Lengths<F> {
    pub(super) fn new(seconds: F) -> Lengths<F> {
        Lengths {
            seconds,
            known: HashMap::new(),
        }
    }

    /// The segment of a line in the recording at `path`. `None` for the whole recording.
    ///
    /// # Errors
    /// The reason that the segment is not in the recording.
    pub(super) fn place(
        &mut self,
        times: Option<Times>,
        path: &Path,
    ) -> Result<Option<Segment>, String> {
        let Some(times) = times else {
            return Ok(None);
        };
        let length = match self.known.get(path) {
            Some(length) => *length,
            None => {
                let seconds =
                    (self.seconds)(path).and_then(|s| Duration::try_from_secs_f64(s).ok());
                *self.known.entry(path.into()).or_insert(seconds)
            }
        };
        times.within(length)
    }
}

/// The times as they are in the line, for a message about a recording that is left out.
pub(super) fn as_listed(times: Option<Times>) -> Option<Segment> {
    times.and_then(|times| Segment::new(times.start, times.end))
}

/// A note about segments of a file that have a common part. A model that is trained on one of them
/// knows a part of the other.
pub(super) fn overlaps(clips: &[Clip]) -> Option<String> {
    if clips.iter().all(|clip| clip.file.segment.is_none()) {
        return None;
    }
    let mut files: Vec<&Excerpt> = clips.iter().map(|clip| &clip.file).collect();
    files.sort();
    let mut count = 0;
    let mut example = None;
    // The recording that ends last of those in the present file.
    let mut last: Option<&Excerpt> = None;
    for file in files {
        if let Some(before) = last.filter(|before| before.overlaps(file)) {
            count += 1;
            example.get_or_insert((before, file));
        }
        if last.is_none_or(|before| before.path != file.path || ends_later(file, before)) {
            last = Some(file);
        }
    }
    let (one, other) = example?;
    let verb = if count == 1 { "overlaps" } else { "overlap" };
    Some(format!(
        "{} {verb} another clip of the same file, such as {one} and {other}; clips with a common part \
         should be in one subset",
        counted(count, "segment")
    ))
}

/// True if one recording ends later than another one in the same file.
fn ends_later(one: &Excerpt, other: &Excerpt) -> bool {
    let end = |file: &Excerpt| file.segment.and_then(|segment| segment.end);
    end(other).is_some_and(|other| end(one).is_none_or(|end| end > other))
}
