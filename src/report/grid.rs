//! Picture of a sweep: a row for each setting with its mean UAR, interval and difference to the
//! baseline.

use anyhow::Result;

use super::axis::Axis;
use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::stress::change;
use super::style::{BLUE, FRAME, INK, MARGIN, QUIET_INK, TEXT_SIZE, TICK_SIZE, WIDTH};
use crate::evaluation::{Interval, MeanStd};

/// Width of the names at the left.
const NAMES: f64 = 420.0;
/// Width of the numbers at the right.
const NUMBERS: f64 = 360.0;
/// Height of the column titles.
const TITLE: f64 = 34.0;
/// Space below the rows for the ticks.
const BOTTOM_SPACE: f64 = 52.0;
/// Height of a row.
const ROW: f64 = 30.0;
/// Largest number of settings in a picture; the tables have all settings.
const MAX_ROWS: usize = 60;

/// Results of one setting.
#[derive(Debug, Clone)]
pub struct GridRow {
    /// Name of the setting.
    pub name: String,
    /// True for the setting that the others are compared with.
    pub is_baseline: bool,
    /// UAR over the seeds; none before the first trial is finished.
    pub uar: Option<MeanStd>,
    /// 95 % interval of the UAR over speakers.
    pub interval: Option<Interval>,
    /// Difference of the UAR to the baseline, and its 95 % interval.
    pub above: Option<(f64, Option<Interval>)>,
    /// Number of finished trials, and of all trials.
    pub done: (usize, usize),
}

/// Draws the settings of a sweep as a PNG with a width of 1400 pixels. Of more than sixty settings,
/// only those with the highest UAR are drawn. Dots are means over the seeds, whiskers are 95 %
/// intervals over speakers.
pub fn grid_png(name: &str, rows: &[GridRow], note: Option<&str>) -> Result<Vec<u8>> {
    let mut shown: Vec<&GridRow> = rows.iter().collect();
    if shown.len() > MAX_ROWS {
        let uar = |row: &GridRow| row.uar.map_or(-1.0, |uar| uar.mean);
        shown.sort_by(|a, b| uar(b).total_cmp(&uar(a)));
        shown.truncate(MAX_ROWS);
    }
    let left_out = rows.len() - shown.len();
    let mut subtitle = "UAR: mean over the seeds, 95 % interval over speakers".to_string();
    if left_out > 0 {
        subtitle += &format!("     the best {MAX_ROWS} of {}", rows.len());
    }
    if shown.iter().any(|row| row.is_baseline) {
        subtitle += "     bold, dashed line: baseline";
    }
    let height = HEADER_HEIGHT + TITLE + shown.len() as f64 * ROW + BOTTOM_SPACE;
    let axis = axis(&shown);
    png(WIDTH as usize, height as usize, |canvas| {
        draw_header(canvas, name, &subtitle, note)?;
        draw_frame(canvas, &axis, &shown)?;
        for (index, row) in shown.iter().enumerate() {
            let y = TOP + (index as f64 + 0.5) * ROW;
            draw_row(canvas, &axis, y, row)?;
        }
        Ok(())
    })
}

const TOP: f64 = HEADER_HEIGHT + TITLE;

/// An axis from the lowest whisker to the highest, because the settings of a sweep are close to
/// each other.
fn axis(rows: &[&GridRow]) -> Axis {
    let ends = rows.iter().flat_map(|row| {
        let means = row.uar.map(|uar| [uar.mean, uar.mean]);
        let interval = row.interval.map(|interval| [interval.low, interval.high]);
        means.into_iter().chain(interval).flatten()
    });
    Axis::including(ends.map(|end| 100.0 * end), 100.0)
}

fn x(axis: &Axis, fraction: f64) -> f64 {
    let (left, right) = (MARGIN + NAMES, WIDTH - MARGIN - NUMBERS);
    left + axis.position(100.0 * fraction) * (right - left)
}

fn draw_frame(canvas: &mut Canvas, axis: &Axis, rows: &[&GridRow]) -> Result<()> {
    let head = Font::new(TEXT_SIZE, INK).bold();
    canvas.text("Setting", MARGIN, TOP - 17.0, Align::Left, head)?;
    canvas.text("UAR, %", MARGIN + NAMES, TOP - 17.0, Align::Left, head)?;
    let numbers = WIDTH - MARGIN - NUMBERS + 20.0;
    canvas.text(
        "UAR     difference to the baseline",
        numbers,
        TOP - 17.0,
        Align::Left,
        head,
    )?;
    let bottom = TOP + rows.len() as f64 * ROW;
    canvas.ticks_below(axis, |value| x(axis, value / 100.0), Some(TOP), bottom)?;
    let baseline = rows.iter().find(|row| row.is_baseline);
    if let Some(uar) = baseline.and_then(|row| row.uar) {
        let x = x(axis, uar.mean);
        canvas.dashed(&[(x, TOP), (x, bottom)], 5.0, 1.5, FRAME)?;
    }
    Ok(())
}

fn draw_row(canvas: &mut Canvas, axis: &Axis, y: f64, row: &GridRow) -> Result<()> {
    let font = Font::new(TICK_SIZE, INK);
    let font = if row.is_baseline { font.bold() } else { font };
    let name = font.shortened_name(&row.name, NAMES - 20.0)?;
    canvas.text(&name, MARGIN, y, Align::Left, font)?;
    let numbers = WIDTH - MARGIN - NUMBERS + 20.0;
    let quiet = Font::new(TICK_SIZE, QUIET_INK);
    let Some(uar) = row.uar else {
        return canvas.text("no trial is finished", numbers, y, Align::Left, quiet);
    };
    if let Some(Interval { low, high }) = row.interval {
        canvas.whisker((x(axis, low), x(axis, high)), y, 5.0)?;
    }
    canvas.disc(x(axis, uar.mean), y, 5.0, BLUE)?;
    let mut text = format!("{:.1}", 100.0 * uar.mean);
    if let Some(std) = uar.std {
        text += &format!(" ± {:.1}", 100.0 * std);
    }
    if row.done.0 < row.done.1 {
        text += &format!("   ({} of {})", row.done.0, row.done.1);
    }
    match row.above {
        _ if row.is_baseline => text += "     baseline",
        Some((mean, interval)) => {
            text += &format!("     {}", change(mean));
            if let Some(Interval { low, high }) = interval {
                text += &format!(" ({} to {})", change(low), change(high));
            }
        }
        None => {}
    }
    canvas.text(&text, numbers, y, Align::Left, quiet)
}
