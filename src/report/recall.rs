//! Picture of the recall of each class and the accuracy on each speaker, with intervals.

use anyhow::Result;

use super::axis::Axis;
use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::scores::speaker_name;
use super::style::{
    BACKGROUND, BLUE, INK, MARGIN, QUIET_INK, SMALLEST_TEXT, TEXT_SIZE, TICK_SIZE, WIDTH, mixed,
};
use crate::evaluation::{Interval, Predictions, wilson};
use crate::plural::counted;

/// Distance between the two halves.
const GUTTER: f64 = 60.0;
/// Width of the names left of the bars.
const NAMES: f64 = 150.0;
/// Width of the numbers right of the bars.
const NUMBERS: f64 = 150.0;
/// Height of the title of a half.
const TITLE: f64 = 34.0;
/// Space below the rows for the ticks.
const BOTTOM_SPACE: f64 = 64.0;
/// Height of a row, unless the rows exceed [`MAX_ROWS_HEIGHT`].
const ROW: f64 = 30.0;
/// Largest height of all rows.
const MAX_ROWS_HEIGHT: f64 = 900.0;

/// A bar: the share of right predictions among the clips of a class or speaker.
struct Row {
    name: String,
    hits: u64,
    clips: u64,
}

/// Draws the recall of each class at the left and the accuracy on each speaker at the right, as a
/// PNG with a width of 1400 pixels. `speakers` has a name for each clip.
///
/// The whiskers are Wilson's 95 % intervals (1927), which assume independent clips. The clips of
/// one speaker are not independent, so the true intervals are wider.
pub fn recall_png(
    predictions: &Predictions,
    speakers: &[&str],
    title: &str,
    note: Option<&str>,
) -> Result<Vec<u8>> {
    let (class_rows, speaker_rows) = (by_class(predictions), by_speaker(predictions, speakers));
    let rows = class_rows.len().max(speaker_rows.len()).max(1) as f64;
    let row = ROW.min(MAX_ROWS_HEIGHT / rows);
    let height = HEADER_HEIGHT + TITLE + rows * row + BOTTOM_SPACE;
    let metrics = predictions.metrics();
    png(WIDTH as usize, height as usize, |canvas| {
        let subtitle = format!(
            "{}     UAR {:.1} %     whiskers: 95 % Wilson intervals, as if clips were independent",
            counted(metrics.clips, "clip"),
            100.0 * metrics.uar
        );
        draw_header(canvas, title, &subtitle, note)?;
        let half = (WIDTH - 2.0 * MARGIN - GUTTER) / 2.0;
        Side {
            left: MARGIN,
            row,
            half,
        }
        .draw(canvas, "Recall of each class", &class_rows)?;
        let left = MARGIN + half + GUTTER;
        Side { left, row, half }.draw(canvas, "Accuracy on each speaker", &speaker_rows)
    })
}

fn by_class(predictions: &Predictions) -> Vec<Row> {
    let metrics = predictions.metrics();
    let row = |(class, name): (usize, &String)| Row {
        name: name.clone(),
        hits: metrics.confusion[class][class],
        clips: metrics.per_class[class].support,
    };
    predictions.classes.iter().enumerate().map(row).collect()
}

fn by_speaker(predictions: &Predictions, speakers: &[&str]) -> Vec<Row> {
    let mut rows = std::collections::BTreeMap::<&str, (u64, u64)>::new();
    let clips = predictions.truth.iter().zip(predictions.predicted());
    for (speaker, (truth, predicted)) in speakers.iter().zip(clips) {
        let (hits, clips) = rows.entry(speaker).or_default();
        *clips += 1;
        *hits += u64::from(*truth == predicted);
    }
    rows.into_iter()
        .map(|(speaker, (hits, clips))| Row {
            name: speaker_name(speaker).to_string(),
            hits,
            clips,
        })
        .collect()
}

/// One half of the picture.
struct Side {
    left: f64,
    /// Height of a row.
    row: f64,
    /// Width of the half.
    half: f64,
}

impl Side {
    const TOP: f64 = HEADER_HEIGHT + TITLE;

    fn x(&self, share: f64) -> f64 {
        let (left, right) = (self.left + NAMES, self.left + self.half - NUMBERS);
        left + share * (right - left)
    }

    fn draw(&self, canvas: &mut Canvas, title: &str, rows: &[Row]) -> Result<()> {
        let text = Font::new(TEXT_SIZE, INK);
        canvas.text(title, self.left, Self::TOP - 17.0, Align::Left, text.bold())?;
        let bottom = Self::TOP + rows.len() as f64 * self.row;
        let percent = Axis::percent();
        canvas.ticks_below(&percent, |share| self.x(share), Some(Self::TOP), bottom)?;
        for (index, row) in rows.iter().enumerate() {
            self.draw_row(canvas, Self::TOP + (index as f64 + 0.5) * self.row, row)?;
        }
        Ok(())
    }

    fn draw_row(&self, canvas: &mut Canvas, y: f64, row: &Row) -> Result<()> {
        let font = Font::new(TICK_SIZE.min(0.9 * self.row), INK);
        let name = font.shortened_name(&row.name, NAMES - 14.0)?;
        if font.size >= SMALLEST_TEXT {
            canvas.text(&name, self.x(0.0) - 10.0, y, Align::Right, font)?;
        }
        if row.clips == 0 {
            return canvas.text("no clips", self.x(1.0) + 12.0, y, Align::Left, font);
        }
        let share = row.hits as f64 / row.clips as f64;
        let Interval { low, high } = wilson(row.hits, row.clips);
        let half = 0.32 * self.row;
        let fill = mixed(BLUE, BACKGROUND, 0.35);
        canvas.rect(self.x(0.0), y - half, self.x(share), y + half, fill)?;
        canvas.whisker((self.x(low), self.x(high)), y, half / 2.0)?;
        if font.size >= SMALLEST_TEXT {
            let text = format!("{:.0} %   {} of {}", 100.0 * share, row.hits, row.clips);
            let font = Font::new(font.size, QUIET_INK);
            canvas.text(&text, self.x(1.0) + 12.0, y, Align::Left, font)?;
        }
        Ok(())
    }
}
