//! The settings of a grid over each other: mean, interval, and how far above the baseline.

use anyhow::Result;

use super::axis::Axis;
use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::style::{
    BLUE, FRAME, GRID, INK, MARGIN, QUIET_INK, TEXT_SIZE, TICK_SIZE, VERMILLION, WIDTH,
};
use crate::evaluation::{Interval, Spread};

const NAMES: f64 = 420.0;
const NUMBERS: f64 = 360.0;
const TITLE: f64 = 34.0;
const BOTTOM_SPACE: f64 = 52.0;
const ROW: f64 = 30.0;
/// A picture of more is for nobody; the tables have all of them.
const MOST: usize = 60;

/// What a setting has come to, as it is drawn.
#[derive(Debug, Clone)]
pub struct GridRow {
    /// The setting's name.
    pub name: String,
    /// What the others are compared with.
    pub is_baseline: bool,
    /// Over the seeds, once a cell is done.
    pub uar: Option<Spread>,
    /// 95 % over speakers.
    pub interval: Option<Interval>,
    /// Above the baseline, and the 95 % interval of that.
    pub above: Option<(f64, Option<Interval>)>,
    /// Cells that are done, and all.
    pub done: (usize, usize),
}

/// Draws the settings of a grid as a PNG of 1400 pixels' width: those with the highest UAR where there are
/// more than sixty. Discs are means over the seeds, whiskers 95 % intervals over speakers.
pub fn grid_png(name: &str, rows: &[GridRow], note: Option<&str>) -> Result<Vec<u8>> {
    let mut shown: Vec<&GridRow> = rows.iter().collect();
    if shown.len() > MOST {
        let uar = |row: &GridRow| row.uar.map_or(-1.0, |uar| uar.mean);
        shown.sort_by(|a, b| uar(b).total_cmp(&uar(a)));
        shown.truncate(MOST);
    }
    let left_out = rows.len() - shown.len();
    let subtitle = match left_out {
        0 => "UAR: mean over the seeds, 95 % interval over speakers".to_string(),
        _ => format!(
            "UAR: mean over the seeds, 95 % interval over speakers     the best {MOST} of {}",
            rows.len()
        ),
    };
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

/// From the lowest whisker to the highest: settings of a grid are close to each other.
fn axis(rows: &[&GridRow]) -> Axis {
    let ends = rows.iter().flat_map(|row| {
        let means = row.uar.map(|uar| [uar.mean, uar.mean]);
        let interval = row.interval.map(|interval| [interval.low, interval.high]);
        means.into_iter().chain(interval).flatten()
    });
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), end| {
        (low.min(end), high.max(end))
    });
    match low <= high {
        true => Axis::around(100.0 * low, 100.0 * high),
        false => Axis::around(0.0, 100.0),
    }
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
        "UAR     above the baseline",
        numbers,
        TOP - 17.0,
        Align::Left,
        head,
    )?;
    let bottom = TOP + rows.len() as f64 * ROW;
    let ticks = Font::new(TICK_SIZE, QUIET_INK);
    for tick in &axis.ticks {
        let x = x(axis, tick.value / 100.0);
        canvas.line((x, TOP), (x, bottom), 1.0, GRID)?;
        canvas.text(&tick.label, x, bottom + 17.0, Align::Center, ticks)?;
    }
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
    let name = font.shortened(&row.name, NAMES - 20.0)?;
    canvas.text(&name, MARGIN, y, Align::Left, font)?;
    let numbers = WIDTH - MARGIN - NUMBERS + 20.0;
    let quiet = Font::new(TICK_SIZE, QUIET_INK);
    let Some(uar) = row.uar else {
        return canvas.text("no cell is done", numbers, y, Align::Left, quiet);
    };
    if let Some(Interval { low, high }) = row.interval {
        canvas.line((x(axis, low), y), (x(axis, high), y), 2.0, VERMILLION)?;
        for end in [low, high] {
            let x = x(axis, end);
            canvas.line((x, y - 5.0), (x, y + 5.0), 2.0, VERMILLION)?;
        }
    }
    canvas.disc(x(axis, uar.mean), y, 5.0, BLUE)?;
    let mut text = format!("{:.1}", 100.0 * uar.mean);
    if let Some(deviation) = uar.deviation {
        text += &format!(" ± {:.1}", 100.0 * deviation);
    }
    if row.done.0 < row.done.1 {
        text += &format!("   ({} of {})", row.done.0, row.done.1);
    }
    match row.above {
        _ if row.is_baseline => text += "     baseline",
        Some((mean, interval)) => {
            text += &format!("     {:+.1}", 100.0 * mean);
            if let Some(Interval { low, high }) = interval {
                text += &format!(" ({:+.1} to {:+.1})", 100.0 * low, 100.0 * high);
            }
        }
        None => {}
    }
    canvas.text(&text, numbers, y, Align::Left, quiet)
}
