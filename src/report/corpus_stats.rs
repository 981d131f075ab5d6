//! Picture of a corpus: number, duration and loudness of the clips of each class and speaker.

use anyhow::Result;

use super::axis::Axis;
use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::scores::speaker_name;
use super::style::{
    BACKGROUND, BLUE, DEEP_BLUE, FRAME, INK, MARGIN, QUIET_INK, SMALLEST_TEXT, TEXT_SIZE,
    TICK_SIZE, WIDTH, mixed,
};
use crate::inspection::{ClipFacts, CorpusStats};
use crate::plural::counted;

/// Width of the names left of a plot.
const NAMES: f64 = 130.0;
/// Distance between the two columns of plots.
const GUTTER: f64 = 56.0;
/// Height of the title of a plot.
const TITLE: f64 = 34.0;
/// Space below a plot for its ticks and the title of its axis.
const BOTTOM_SPACE: f64 = 66.0;
/// Height of a row, unless the rows exceed [`MAX_ROWS_HEIGHT`].
const ROW: f64 = 30.0;
/// Largest height of all rows of a plot.
const MAX_ROWS_HEIGHT: f64 = 720.0;

/// Draws a corpus as a PNG with a width of 1400 pixels: number of clips by class and speaker, and
/// box plots of duration and loudness by class (box from the 25th to the 75th percentile, whiskers
/// from the 5th to the 95th).
pub fn corpus_stats_png(stats: &CorpusStats) -> Result<Vec<u8>> {
    let rows = stats.classes.len().max(1) as f64;
    let row = ROW.min(MAX_ROWS_HEIGHT / rows);
    let plot = TITLE + rows * row + BOTTOM_SPACE;
    let warnings = stats.warnings();
    let below = warnings.len() as f64 * 24.0 + if warnings.is_empty() { 0.0 } else { 24.0 };
    png(
        WIDTH as usize,
        (HEADER_HEIGHT + 2.0 * plot + below) as usize,
        |canvas| {
            draw_header(canvas, &title(stats), &subtitle(stats), note(stats))?;
            let half = (WIDTH - 2.0 * MARGIN - GUTTER) / 2.0;
            let right = MARGIN + half + GUTTER;
            let second = HEADER_HEIGHT + plot;
            let at = |left: f64, top: f64| PlotArea {
                left: left + NAMES,
                right: left + half,
                top: top + TITLE,
                row,
            };
            draw_counts(canvas, at(MARGIN, HEADER_HEIGHT), stats)?;
            draw_speakers(canvas, at(right, HEADER_HEIGHT), stats)?;
            let seconds = |clip: &ClipFacts| clip.seconds;
            draw_boxes(
                canvas,
                at(MARGIN, second),
                stats,
                "Duration",
                "seconds",
                seconds,
            )?;
            let loudness = |clip: &ClipFacts| clip.rms_db;
            let unit = "decibels of full scale (RMS)";
            draw_boxes(canvas, at(right, second), stats, "Loudness", unit, loudness)?;
            for (index, warning) in warnings.iter().enumerate() {
                let y = second + plot + index as f64 * 24.0;
                let font = Font::new(TEXT_SIZE, INK);
                let text = font.shortened(&format!("! {warning}"), WIDTH - 2.0 * MARGIN)?;
                canvas.text(&text, MARGIN, y, Align::Left, font)?;
            }
            Ok(())
        },
    )
}

fn title(stats: &CorpusStats) -> String {
    let folder = stats.folder.file_name().unwrap_or(stats.folder.as_os_str());
    format!("{}: {}", folder.to_string_lossy(), stats.kind)
}

fn subtitle(stats: &CorpusStats) -> String {
    let minutes = stats.clips.iter().map(|clip| clip.seconds).sum::<f64>() / 60.0;
    format!(
        "{}     {}     {}     {minutes:.1} minutes",
        counted(stats.clips.len(), "clip"),
        speakers_text(stats),
        counted(stats.classes.len(), "class")
    )
}

/// The number of speakers that are known, and of clips whose speaker is not.
pub(super) fn speakers_text(stats: &CorpusStats) -> String {
    let known = stats
        .speakers
        .iter()
        .filter(|name| !name.is_empty())
        .count();
    let unknown = stats
        .clips
        .iter()
        .filter(|clip| clip.speaker.is_empty())
        .count();
    match (known, unknown) {
        (0, _) => "unknown speakers".to_string(),
        (_, 0) => counted(known, "speaker"),
        _ => format!(
            "{}, unknown for {}",
            counted(known, "speaker"),
            counted(unknown, "clip")
        ),
    }
}

fn note(stats: &CorpusStats) -> Option<&'static str> {
    stats.kind.is_synthetic().then_some("synthetic demo corpus")
}

/// The values in increasing order.
pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The quantile of sorted values at a fraction from 0 to 1, rounded to the nearest value; 0 without
/// values.
pub(super) fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let rank = (fraction * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(rank).copied().unwrap_or(0.0)
}

/// Area of a plot with one row for each class.
#[derive(Clone, Copy)]
struct PlotArea {
    left: f64,
    right: f64,
    top: f64,
    /// Height of a row.
    row: f64,
}

impl PlotArea {
    /// Vertical centre of a row.
    fn middle(&self, row: usize) -> f64 {
        self.top + (row as f64 + 0.5) * self.row
    }

    /// Lower end of the last of `rows` rows.
    fn bottom(&self, rows: usize) -> f64 {
        self.top + rows as f64 * self.row
    }

    /// Width of one of `columns` columns.
    fn column_width(&self, columns: usize) -> f64 {
        (self.right - self.left) / columns as f64
    }

    fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.position(value) * (self.right - self.left)
    }

    fn draw_names(&self, canvas: &mut Canvas, title: &str, names: &[String]) -> Result<()> {
        let font = Font::new(TEXT_SIZE, INK).bold();
        canvas.text(title, self.left - NAMES, self.top - 17.0, Align::Left, font)?;
        let font = Font::new(TICK_SIZE.min(0.9 * self.row), INK);
        if font.size < SMALLEST_TEXT {
            return Ok(());
        }
        for (row, name) in names.iter().enumerate() {
            let name = font.shortened_name(name, NAMES - 12.0)?;
            canvas.text(
                &name,
                self.left - 10.0,
                self.middle(row),
                Align::Right,
                font,
            )?;
        }
        Ok(())
    }

    fn draw_axis(&self, canvas: &mut Canvas, axis: &Axis, rows: usize, unit: &str) -> Result<()> {
        let bottom = self.bottom(rows);
        canvas.ticks_below(axis, |value| self.x(axis, value), Some(self.top), bottom)?;
        self.draw_unit(canvas, bottom, unit)
    }

    /// Draws the unit of the horizontal axis, below its ticks.
    fn draw_unit(&self, canvas: &mut Canvas, bottom: f64, unit: &str) -> Result<()> {
        let middle = (self.left + self.right) / 2.0;
        let font = Font::new(TEXT_SIZE, QUIET_INK);
        canvas.text(unit, middle, bottom + 42.0, Align::Center, font)
    }
}

fn draw_counts(canvas: &mut Canvas, area: PlotArea, stats: &CorpusStats) -> Result<()> {
    area.draw_names(canvas, "Clips of each class", &stats.classes)?;
    let counts: Vec<u64> = stats
        .classes
        .iter()
        .map(|class| stats.of_class(class).count() as u64)
        .collect();
    let axis = Axis::counts(counts.iter().copied().max().unwrap_or(0));
    area.draw_axis(canvas, &axis, counts.len(), "clips")?;
    for (row, &count) in counts.iter().enumerate() {
        let (y, half) = (area.middle(row), 0.36 * area.row);
        let x = area.x(&axis, count as f64);
        canvas.rect(
            area.left,
            y - half,
            x,
            y + half,
            mixed(BLUE, BACKGROUND, 0.35),
        )?;
        let font = Font::new(TICK_SIZE.min(0.8 * area.row), INK);
        let text = count.to_string();
        // At the right edge there is no room beside the bar, so the number is inside.
        if x + 12.0 + font.width(&text)? < area.right + GUTTER / 2.0 {
            canvas.text(&text, x + 8.0, y, Align::Left, font)?;
        } else {
            canvas.text(&text, x - 8.0, y, Align::Right, font)?;
        }
    }
    Ok(())
}

/// Draws a matrix of classes by speakers; darker cells have more clips.
fn draw_speakers(canvas: &mut Canvas, area: PlotArea, stats: &CorpusStats) -> Result<()> {
    let of_class = |class: &String| -> Vec<usize> {
        let count = |speaker: &String| {
            let clips = stats.of_class(class);
            clips.filter(|clip| clip.speaker == *speaker).count()
        };
        stats.speakers.iter().map(count).collect()
    };
    let counts: Vec<Vec<usize>> = stats.classes.iter().map(of_class).collect();
    let most = counts.iter().flatten().copied().max().unwrap_or(0).max(1);
    let title = format!("Clips of each class and speaker (darkest: {most})");
    area.draw_names(canvas, &title, &stats.classes)?;
    draw_cells(canvas, area, &counts, stats.speakers.len().max(1), most)?;
    let bottom = area.bottom(counts.len().max(1));
    draw_speaker_names(canvas, area, bottom, &stats.speakers)
}

/// Draws the cells of the matrix: `counts` has a row for each class, with the clips of each of
/// `columns` speakers. `most` is the largest count.
fn draw_cells(
    canvas: &mut Canvas,
    area: PlotArea,
    counts: &[Vec<usize>],
    columns: usize,
    most: usize,
) -> Result<()> {
    let rows = counts.len().max(1);
    let (bottom, width) = (area.bottom(rows), area.column_width(columns));
    let shade = |count: usize| count as f64 / most as f64;
    canvas.rect(
        area.left - 1.0,
        area.top - 1.0,
        area.right + 1.0,
        bottom + 1.0,
        FRAME,
    )?;
    canvas.grid(
        (area.left, area.top, area.right, bottom),
        (columns, rows),
        |column, row| {
            let count = counts.get(rows - 1 - row).and_then(|row| row.get(column));
            mixed(BACKGROUND, DEEP_BLUE, shade(count.copied().unwrap_or(0)))
        },
    )?;
    let digits = Font::new(TICK_SIZE.min(0.7 * area.row).min(width / 2.2), INK);
    if digits.size < SMALLEST_TEXT {
        return Ok(());
    }
    for (row, counts) in counts.iter().enumerate() {
        for (column, &count) in counts.iter().enumerate() {
            let color = if shade(count) > 0.5 { BACKGROUND } else { INK };
            let x = area.left + (column as f64 + 0.5) * width;
            let font = Font { color, ..digits };
            canvas.text(&count.to_string(), x, area.middle(row), Align::Center, font)?;
        }
    }
    Ok(())
}

/// Draws the name of each speaker below its column, and the axis title below the names.
fn draw_speaker_names(
    canvas: &mut Canvas,
    area: PlotArea,
    bottom: f64,
    speakers: &[String],
) -> Result<()> {
    let width = area.column_width(speakers.len().max(1));
    let font = Font::new(TICK_SIZE, QUIET_INK);
    let mut last_end = f64::MIN;
    for (column, speaker) in speakers.iter().enumerate() {
        let name = speaker_name(speaker);
        let (x, half) = (
            area.left + (column as f64 + 0.5) * width,
            font.width(name)? / 2.0,
        );
        // Names without room are left out.
        if x - half > last_end {
            canvas.text(name, x, bottom + 17.0, Align::Center, font)?;
            last_end = x + half + 6.0;
        }
    }
    area.draw_unit(canvas, bottom, "speaker")
}

fn draw_boxes(
    canvas: &mut Canvas,
    area: PlotArea,
    stats: &CorpusStats,
    title: &str,
    unit: &str,
    value: impl Fn(&ClipFacts) -> f64,
) -> Result<()> {
    area.draw_names(canvas, &format!("{title} of each class"), &stats.classes)?;
    let axis = Axis::including(stats.clips.iter().map(&value), 1.0);
    area.draw_axis(canvas, &axis, stats.classes.len(), unit)?;
    for (row, class) in stats.classes.iter().enumerate() {
        let values = sorted(stats.of_class(class).map(&value));
        if values.is_empty() {
            continue;
        }
        let at = |fraction: f64| area.x(&axis, quantile(&values, fraction));
        let (y, half) = (area.middle(row), 0.3 * area.row);
        canvas.line((at(0.05), y), (at(0.95), y), 1.4, QUIET_INK)?;
        canvas.rect(
            at(0.25),
            y - half,
            at(0.75).max(at(0.25) + 1.0),
            y + half,
            mixed(BLUE, BACKGROUND, 0.35),
        )?;
        canvas.line((at(0.5), y - half), (at(0.5), y + half), 2.4, INK)?;
    }
    Ok(())
}
