//! Picture of a corpus: number, duration and loudness of the clips of each class and speaker.

use anyhow::Result;

use super::axis::Axis;
use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::style::{
    BACKGROUND, BLUE, DEEP_BLUE, FRAME, GRID, INK, MARGIN, QUIET_INK, TEXT_SIZE, TICK_SIZE, WIDTH,
    mixed,
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
pub fn corpus_stats_png(survey: &CorpusStats) -> Result<Vec<u8>> {
    let rows = survey.classes.len().max(1) as f64;
    let row = ROW.min(MAX_ROWS_HEIGHT / rows);
    let plot = TITLE + rows * row + BOTTOM_SPACE;
    let warnings = survey.warnings();
    let below = warnings.len() as f64 * 24.0 + if warnings.is_empty() { 0.0 } else { 24.0 };
    png(
        WIDTH as usize,
        (HEADER_HEIGHT + 2.0 * plot + below) as usize,
        |canvas| {
            draw_header(canvas, &title(survey), &subtitle(survey), note(survey))?;
            let half = (WIDTH - 2.0 * MARGIN - GUTTER) / 2.0;
            let right = MARGIN + half + GUTTER;
            let second = HEADER_HEIGHT + plot;
            let at = |left: f64, top: f64| PlotArea {
                left: left + NAMES,
                right: left + half,
                top: top + TITLE,
                row,
            };
            draw_counts(canvas, at(MARGIN, HEADER_HEIGHT), survey)?;
            draw_speakers(canvas, at(right, HEADER_HEIGHT), survey)?;
            let seconds = |clip: &ClipFacts| clip.seconds;
            draw_boxes(
                canvas,
                at(MARGIN, second),
                survey,
                "Duration",
                "seconds",
                seconds,
            )?;
            let loudness = |clip: &ClipFacts| clip.rms_db;
            let unit = "decibels of full scale (RMS)";
            draw_boxes(
                canvas,
                at(right, second),
                survey,
                "Loudness",
                unit,
                loudness,
            )?;
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

fn title(survey: &CorpusStats) -> String {
    let folder = survey
        .folder
        .file_name()
        .unwrap_or(survey.folder.as_os_str());
    format!("{}: {}", folder.to_string_lossy(), survey.kind)
}

fn subtitle(survey: &CorpusStats) -> String {
    let minutes = survey.clips.iter().map(|clip| clip.seconds).sum::<f64>() / 60.0;
    format!(
        "{}     {}     {}     {minutes:.1} minutes",
        counted(survey.clips.len(), "clip"),
        counted(survey.speakers.len(), "speaker"),
        counted(survey.classes.len(), "class")
    )
}

fn note(survey: &CorpusStats) -> Option<&'static str> {
    survey
        .kind
        .is_synthetic()
        .then_some("synthetic demo corpus")
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

    fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.position(value) * (self.right - self.left)
    }

    fn draw_names(&self, canvas: &mut Canvas, title: &str, names: &[String]) -> Result<()> {
        let font = Font::new(TEXT_SIZE, INK).bold();
        canvas.text(title, self.left - NAMES, self.top - 17.0, Align::Left, font)?;
        let font = Font::new(TICK_SIZE.min(0.9 * self.row), INK);
        if font.size < 7.0 {
            return Ok(());
        }
        for (row, name) in names.iter().enumerate() {
            let name = font.shortened(name, NAMES - 12.0)?;
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
        let bottom = self.top + rows as f64 * self.row;
        let font = Font::new(TICK_SIZE, QUIET_INK);
        for tick in &axis.ticks {
            let x = self.x(axis, tick.value);
            canvas.line((x, self.top), (x, bottom), 1.0, GRID)?;
            canvas.text(&tick.label, x, bottom + 17.0, Align::Center, font)?;
        }
        let middle = (self.left + self.right) / 2.0;
        let font = Font::new(TEXT_SIZE, QUIET_INK);
        canvas.text(unit, middle, bottom + 42.0, Align::Center, font)
    }
}

fn draw_counts(canvas: &mut Canvas, area: PlotArea, survey: &CorpusStats) -> Result<()> {
    area.draw_names(canvas, "Clips of each class", &survey.classes)?;
    let counts: Vec<u64> = survey
        .classes
        .iter()
        .map(|class| survey.of_class(class).count() as u64)
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
fn draw_speakers(canvas: &mut Canvas, area: PlotArea, survey: &CorpusStats) -> Result<()> {
    let count = |class: &str, speaker: &str| {
        survey
            .of_class(class)
            .filter(|clip| clip.speaker == speaker)
            .count()
    };
    let counts: Vec<Vec<usize>> = survey
        .classes
        .iter()
        .map(|class| {
            survey
                .speakers
                .iter()
                .map(|speaker| count(class, speaker))
                .collect()
        })
        .collect();
    let most = counts.iter().flatten().copied().max().unwrap_or(0).max(1);
    let title = format!("Clips of each class and speaker (darkest: {most})");
    area.draw_names(canvas, &title, &survey.classes)?;
    let (rows, columns) = (counts.len().max(1), survey.speakers.len().max(1));
    let bottom = area.top + rows as f64 * area.row;
    let width = (area.right - area.left) / columns as f64;
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
            let count = counts
                .get(rows - 1 - row)
                .and_then(|row| row.get(column))
                .copied()
                .unwrap_or(0);
            mixed(BACKGROUND, DEEP_BLUE, count as f64 / most as f64)
        },
    )?;
    let digits = Font::new(TICK_SIZE.min(0.7 * area.row).min(width / 2.2), INK);
    if digits.size >= 7.0 {
        for (row, counts) in counts.iter().enumerate() {
            for (column, &count) in counts.iter().enumerate() {
                let dark = count as f64 / most as f64 > 0.5;
                let color = if dark { BACKGROUND } else { INK };
                let x = area.left + (column as f64 + 0.5) * width;
                let font = Font::new(digits.size, color);
                canvas.text(&count.to_string(), x, area.middle(row), Align::Center, font)?;
            }
        }
    }
    let font = Font::new(TICK_SIZE, QUIET_INK);
    let mut last_end = f64::MIN;
    for (column, speaker) in survey.speakers.iter().enumerate() {
        let name = if speaker.is_empty() {
            "unknown"
        } else {
            speaker
        };
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
    let font = Font::new(TEXT_SIZE, QUIET_INK);
    canvas.text(
        "speaker",
        (area.left + area.right) / 2.0,
        bottom + 42.0,
        Align::Center,
        font,
    )
}

fn draw_boxes(
    canvas: &mut Canvas,
    area: PlotArea,
    survey: &CorpusStats,
    title: &str,
    unit: &str,
    value: impl Fn(&ClipFacts) -> f64,
) -> Result<()> {
    area.draw_names(canvas, &format!("{title} of each class"), &survey.classes)?;
    let all: Vec<f64> = survey.clips.iter().map(&value).collect();
    let (low, high) = all
        .iter()
        .fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    let axis = if all.is_empty() {
        Axis::around(0.0, 1.0)
    } else {
        Axis::around(low, high)
    };
    area.draw_axis(canvas, &axis, survey.classes.len(), unit)?;
    for (row, class) in survey.classes.iter().enumerate() {
        let mut values: Vec<f64> = survey.of_class(class).map(&value).collect();
        values.sort_by(f64::total_cmp);
        let Some(last) = values.len().checked_sub(1) else {
            continue;
        };
        let at = |fraction: f64| area.x(&axis, values[(fraction * last as f64).round() as usize]);
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
