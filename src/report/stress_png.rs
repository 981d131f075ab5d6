//! Picture of a stress test: a row for each disturbance with the change of the UAR and its
//! interval, and the share of unchanged predictions.

use anyhow::Result;

use super::axis::Axis;
use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::scores::joined_notes;
use super::stress::{StressReport, StressRow, change};
use super::style::{
    BLUE, Color, FRAME, INK, MARGIN, QUIET_INK, TEXT_SIZE, TICK_SIZE, VERMILION, WIDTH,
};
use crate::evaluation::{Interval, LEAST_UAR_CHANGE, LEAST_UNCHANGED};

/// Width of the categories and the names at the left.
const NAMES: f64 = 310.0;
/// Width of the categories alone.
const CATEGORIES: f64 = 120.0;
/// Width of the chart of unchanged predictions at the right.
const UNCHANGED: f64 = 300.0;
/// Width of the numbers behind each chart.
const NUMBERS: f64 = 70.0;
/// Distance between the two charts.
const GUTTER: f64 = 24.0;
/// Height of the column titles.
const TITLE: f64 = 34.0;
/// Space below the rows for the ticks.
const BOTTOM_SPACE: f64 = 48.0;
/// Height of a row.
const ROW: f64 = 26.0;
/// Space between two categories.
const GAP: f64 = 10.0;

const TOP: f64 = HEADER_HEIGHT + TITLE;

/// Draws a stress test as a PNG with a width of 1400 pixels. Dots are changes of the UAR, whiskers
/// are 95 % intervals over speakers. What fails a threshold is vermilion.
///
/// # Errors
/// If the picture cannot be drawn.
pub fn stress_png(report: &StressReport) -> Result<Vec<u8>> {
    let rows = &report.disturbances;
    let categories = rows.chunk_by(|a, b| a.category == b.category).count();
    let gaps = categories.saturating_sub(1) as f64 * GAP;
    let bottom = TOP + rows.len() as f64 * ROW + gaps;
    let title = format!("{}: stress test, {}", report.run, report.passed_checks());
    let mut subtitle = format!(
        "{}     undisturbed UAR {:.1} %     lines: thresholds, whiskers: 95 % over speakers",
        report.subject(),
        100.0 * report.clean.uar
    );
    if rows.iter().any(|row| !row.counted) {
        subtitle += ", grey names: not counted";
    }
    let note = joined_notes(&report.notes);
    png(WIDTH as usize, (bottom + BOTTOM_SPACE) as usize, |canvas| {
        draw_header(canvas, &title, &subtitle, note.as_deref())?;
        let (changes, shares) = (changes(rows), shares());
        changes.draw_frame(canvas, bottom, "Change of the UAR, points")?;
        shares.draw_frame(canvas, bottom, "Unchanged predictions, %")?;
        let mut y = TOP + 0.5 * ROW;
        for category in rows.chunk_by(|a, b| a.category == b.category) {
            let name = category[0].category.to_string();
            canvas.text(
                &name,
                MARGIN,
                y,
                Align::Left,
                Font::new(TICK_SIZE, QUIET_INK),
            )?;
            for row in category {
                draw_row(canvas, &changes, &shares, y, row)?;
                y += ROW;
            }
            y += GAP;
        }
        Ok(())
    })
}

/// One of the two charts: an axis between two edges, and its threshold.
struct Chart {
    axis: Axis,
    left: f64,
    right: f64,
    /// Threshold in percent or points.
    threshold: f64,
}

/// The chart of changes, from the lowest whisker to the highest.
fn changes(rows: &[StressRow]) -> Chart {
    let ends = rows.iter().flat_map(|row| {
        let Interval { low, high } = interval(row);
        [100.0 * low, 100.0 * high]
    });
    let threshold = 100.0 * LEAST_UAR_CHANGE;
    Chart {
        axis: Axis::including(ends.chain([2.0 * threshold, 5.0]), 5.0),
        left: MARGIN + NAMES,
        right: WIDTH - MARGIN - UNCHANGED - GUTTER - NUMBERS,
        threshold,
    }
}

/// The chart of unchanged predictions, from 0 to 100 %.
fn shares() -> Chart {
    Chart {
        axis: Axis::exact(0.0, 100.0, 5.0),
        left: WIDTH - MARGIN - UNCHANGED,
        right: WIDTH - MARGIN - NUMBERS,
        threshold: 100.0 * LEAST_UNCHANGED,
    }
}

impl Chart {
    /// Position of a fraction of 1.
    fn x(&self, fraction: f64) -> f64 {
        self.left + self.axis.position(100.0 * fraction) * (self.right - self.left)
    }

    fn draw_frame(&self, canvas: &mut Canvas, bottom: f64, title: &str) -> Result<()> {
        let head = Font::new(TEXT_SIZE, INK).bold();
        canvas.text(title, self.left, TOP - 17.0, Align::Left, head)?;
        canvas.ticks_below(&self.axis, |tick| self.x(tick / 100.0), Some(TOP), bottom)?;
        let (zero, threshold) = (self.x(0.0), self.x(self.threshold / 100.0));
        canvas.line((zero, TOP), (zero, bottom), 1.0, FRAME)?;
        canvas.line((threshold, TOP), (threshold, bottom), 2.0, INK)
    }
}

/// The interval of the change; the change itself if there is none.
fn interval(row: &StressRow) -> Interval {
    let change = row.scores.uar_change;
    let point = Interval {
        low: change,
        high: change,
    };
    let interval = row.scores.uar_change_interval.unwrap_or(point);
    Interval {
        low: interval.low.min(change),
        high: interval.high.max(change),
    }
}

fn draw_row(
    canvas: &mut Canvas,
    changes: &Chart,
    shares: &Chart,
    y: f64,
    row: &StressRow,
) -> Result<()> {
    let ink = if row.counted { INK } else { QUIET_INK };
    let font = Font::new(TICK_SIZE, ink);
    canvas.text(&row.name, MARGIN + CATEGORIES, y, Align::Left, font)?;

    let scores = &row.scores;
    let color = color_of(scores.keeps_uar());
    let Interval { low, high } = interval(row);
    canvas.line((changes.x(low), y), (changes.x(high), y), 2.0, color)?;
    canvas.disc(changes.x(scores.uar_change), y, 5.0, color)?;
    let number = change(scores.uar_change);
    canvas.text(
        &number,
        changes.right + NUMBERS - 12.0,
        y,
        Align::Right,
        font,
    )?;

    let color = color_of(scores.keeps_predictions());
    let (from, to) = (shares.x(0.0), shares.x(scores.unchanged));
    canvas.rect(from, y - 0.28 * ROW, to, y + 0.28 * ROW, color)?;
    let number = format!("{:.1}", 100.0 * scores.unchanged);
    canvas.text(&number, shares.right + NUMBERS, y, Align::Right, font)
}

fn color_of(passes: bool) -> Color {
    if passes { BLUE } else { VERMILION }
}
