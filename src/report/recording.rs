//! One recording as a picture: waveform, mel spectrogram, MFCCs, and what a model hears in it, one
//! above the other over the same seconds.

use anyhow::Result;

use super::axis::Axis;
use super::canvas::{Align, Canvas};
use super::colors;
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::style::{
    BACKGROUND, BLUE, Color, FRAME, GRID, INK, PALETTE, QUIET_INK, TEXT_SIZE, TICK_SIZE, WIDTH,
    mixed,
};
use crate::features::Features;
use crate::features::mel::{hz_to_mel, mel_to_hz};
use crate::inspection::Recording;

/// What a model heard in a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// What the probabilities are of.
    pub classes: Vec<String>,
    /// Of the recording as a whole.
    pub whole: Vec<f32>,
    /// Of pieces of it.
    pub windows: Vec<HeardWindow>,
    /// How long a piece is, in seconds.
    pub window: f64,
}

/// What a model heard in a piece of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardWindow {
    /// The middle of the piece, in seconds of what is heard.
    pub middle: f64,
    /// One for each class.
    pub probabilities: Vec<f32>,
}

const LEFT: f64 = 116.0;
const RIGHT: f64 = 1196.0;
/// The middle of what is right of a panel: its scale or legend.
const BESIDE: f64 = RIGHT + 28.0;
/// Above each panel, for its title.
const TITLE: f64 = 34.0;
const BOTTOM_SPACE: f64 = 66.0;
const WAVEFORM: f64 = 130.0;
const SPECTROGRAM: f64 = 300.0;
const MFCC: f64 = 200.0;
const PROBABILITIES: f64 = 210.0;
/// More columns than this nobody can see.
const MOST_COLUMNS: usize = 1080;
/// The spectrogram shows so many decibels below the loudest band.
const RANGE_DB: f32 = 80.0;
/// MFCCs are shown up to so many standard deviations.
const RANGE_SD: f32 = 3.0;

/// Draws a recording as a PNG, 1400 pixels wide and about 1000 high; about 1250 where a model heard it.
pub fn recording_png(
    recording: &Recording,
    heard: Option<&Heard>,
    title: &str,
    note: Option<&str>,
) -> Result<Vec<u8>> {
    let mut heights = vec![WAVEFORM, SPECTROGRAM];
    heights.extend(heard.map(|_| PROBABILITIES));
    heights.push(MFCC);
    let height = HEADER_HEIGHT + heights.iter().map(|h| h + TITLE).sum::<f64>() + BOTTOM_SPACE;
    png(WIDTH as usize, height as usize, |canvas| {
        draw_header(canvas, title, &recording.story(), note)?;
        let end = recording.recorded.seconds();
        let seconds = Axis::exact(0.0, end, 12.0);
        let mut top = HEADER_HEIGHT;
        let mut panels = heights.iter().map(|&height| {
            let panel = Panel {
                top: top + TITLE,
                height,
                seconds: &seconds,
            };
            top += TITLE + height;
            panel
        });
        let mut next = || {
            panels.next().unwrap_or(Panel {
                top: 0.0,
                height: 0.0,
                seconds: &seconds,
            })
        };
        draw_waveform(canvas, next(), recording)?;
        draw_spectrogram(canvas, next(), recording)?;
        if let Some(heard) = heard {
            draw_probabilities(canvas, next(), recording, heard)?;
        }
        let last = next();
        draw_mfccs(canvas, last, recording)?;
        last.draw_seconds(canvas)
    })
}

/// Where one of the pictures over each other lies.
#[derive(Clone, Copy)]
struct Panel<'a> {
    top: f64,
    height: f64,
    seconds: &'a Axis,
}

impl Panel<'_> {
    fn x(&self, second: f64) -> f64 {
        LEFT + self.seconds.position(second) * (RIGHT - LEFT)
    }

    fn y(&self, share: f64) -> f64 {
        self.bottom() - share * self.height
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }

    fn title(&self, canvas: &mut Canvas, title: &str) -> Result<()> {
        let font = Font::new(TEXT_SIZE, INK).bold();
        canvas.text(title, LEFT, self.top - 15.0, Align::Left, font)
    }

    fn tick(&self, canvas: &mut Canvas, share: f64, label: &str) -> Result<()> {
        let (y, font) = (self.y(share), Font::new(TICK_SIZE, QUIET_INK));
        canvas.line((LEFT - 5.0, y), (LEFT, y), 1.0, FRAME)?;
        canvas.text(label, LEFT - 10.0, y, Align::Right, font)
    }

    fn unit(&self, canvas: &mut Canvas, text: &str) -> Result<()> {
        let font = Font::new(TEXT_SIZE, INK);
        canvas.text_upwards(text, LEFT - 74.0, self.y(0.5), Align::Center, font)
    }

    fn draw_seconds(&self, canvas: &mut Canvas) -> Result<()> {
        let font = Font::new(TICK_SIZE, QUIET_INK);
        for tick in &self.seconds.ticks {
            let x = self.x(tick.value);
            canvas.line((x, self.bottom()), (x, self.bottom() + 5.0), 1.0, FRAME)?;
            canvas.text(&tick.label, x, self.bottom() + 17.0, Align::Center, font)?;
        }
        let middle = (LEFT + RIGHT) / 2.0;
        let font = Font::new(TEXT_SIZE, INK);
        canvas.text("seconds", middle, self.bottom() + 44.0, Align::Center, font)
    }

    /// A scale of colours at the right, with a label at its bottom, middle and top.
    fn scale(&self, canvas: &mut Canvas, labels: [&str; 3], color: fn(f64) -> Color) -> Result<()> {
        let place = (BESIDE, self.top, BESIDE + 16.0, self.bottom());
        canvas.grid(place, (1, 100), |_, row| color(row as f64 / 99.0))?;
        let font = Font::new(TICK_SIZE, QUIET_INK);
        let inside = font.size / 2.0;
        for (label, y) in
            labels
                .into_iter()
                .zip([self.bottom() - inside, self.y(0.5), self.top + inside])
        {
            canvas.text(label, BESIDE + 26.0, y, Align::Left, font)?;
        }
        Ok(())
    }

    /// A matrix of a recording's frames over the seconds that are heard. Of frames that share a column
    /// of the picture, `of` takes one value.
    fn matrix(
        &self,
        canvas: &mut Canvas,
        recording: &Recording,
        (frames, rows): (usize, usize),
        color: impl Fn(std::ops::Range<usize>, usize) -> Color,
    ) -> Result<()> {
        let from = recording.cut_before;
        let (left, right) = (self.x(from), self.x(from + recording.heard.seconds()));
        let columns = frames.clamp(1, MOST_COLUMNS);
        let frames_of = |column: usize| {
            let first = column * frames / columns;
            first..((column + 1) * frames / columns).max(first + 1).min(frames)
        };
        let place = (left, self.top, right.max(left + 1.0), self.bottom());
        canvas.grid(place, (columns, rows), |column, row| {
            color(frames_of(column), row)
        })
    }
}

fn draw_waveform(canvas: &mut Canvas, panel: Panel, recording: &Recording) -> Result<()> {
    panel.title(canvas, "Waveform")?;
    let samples = &recording.recorded.samples;
    let peak = samples.iter().fold(1e-4f32, |peak, x| peak.max(x.abs()));
    let (from, to) = (
        recording.cut_before,
        recording.cut_before + recording.heard.seconds(),
    );
    canvas.rect(
        LEFT,
        panel.top,
        RIGHT,
        panel.bottom(),
        mixed(BACKGROUND, GRID, 0.8),
    )?;
    canvas.rect(
        panel.x(from),
        panel.top,
        panel.x(to),
        panel.bottom(),
        BACKGROUND,
    )?;
    let columns = MOST_COLUMNS.min(samples.len().max(1));
    for column in 0..columns {
        let first = column * samples.len() / columns;
        let last = ((column + 1) * samples.len() / columns).max(first + 1);
        let piece = &samples[first.min(samples.len())..last.min(samples.len())];
        let low = piece.iter().copied().fold(0.0, f32::min);
        let high = piece.iter().copied().fold(0.0, f32::max);
        let second = (column as f64 + 0.5) / columns as f64 * recording.recorded.seconds();
        let color = match (from..=to).contains(&second) {
            true => BLUE,
            false => FRAME,
        };
        let x = LEFT + (column as f64 + 0.5) / columns as f64 * (RIGHT - LEFT);
        let y = |value: f32| panel.y(0.5 + 0.48 * f64::from(value / peak));
        canvas.line((x, y(high)), (x, y(low)), 1.0, color)?;
    }
    for (share, sign) in [(0.02, -1.0), (0.5, 0.0), (0.98, 1.0)] {
        panel.tick(canvas, share, &format!("{:.2}", sign * peak))?;
    }
    panel.unit(canvas, "amplitude")
}

fn draw_spectrogram(canvas: &mut Canvas, panel: Panel, recording: &Recording) -> Result<()> {
    let mel = &recording.mel;
    let bands = mel.coefficients();
    let hop = 1000.0 * recording.config.hop_length as f64 / f64::from(recording.heard.sample_rate);
    let title = format!("Mel spectrogram: {bands} bands, a frame every {hop:.1} ms");
    panel.title(canvas, &title)?;
    let loudest = mel.values().iter().copied().fold(f32::MIN, f32::max);
    panel.matrix(canvas, recording, (mel.frames(), bands), |frames, band| {
        let value = frames
            .map(|frame| mel.row(frame)[band])
            .fold(f32::MIN, f32::max);
        colors::loudness(f64::from(1.0 + (value - loudest) / RANGE_DB))
    })?;
    let (low, high) = (
        hz_to_mel(f64::from(recording.config.fmin)),
        hz_to_mel(recording.fmax()),
    );
    let mut above = -1.0;
    for hz in [
        0.0,
        500.0,
        1000.0,
        2000.0,
        4000.0,
        8000.0,
        16_000.0,
        mel_to_hz(high),
    ] {
        let share = (hz_to_mel(hz) - low) / (high - low);
        let room = 20.0 / panel.height;
        // Rounding may put the highest edge above 1.
        if (0.0..=1.0 + 1e-9).contains(&share) && share > above + room {
            panel.tick(canvas, share, &format!("{hz:.0}"))?;
            above = share;
        }
    }
    panel.unit(canvas, "Hz")?;
    panel.scale(canvas, ["−80 dB", "−40 dB", "loudest"], colors::loudness)
}

fn draw_mfccs(canvas: &mut Canvas, panel: Panel, recording: &Recording) -> Result<()> {
    let n_mfcc = recording.config.n_mfcc;
    let title = format!(
        "MFCC 0 to {}, each from its mean in standard deviations",
        n_mfcc - 1
    );
    panel.title(canvas, &title)?;
    let scaled = standardised(&recording.features, n_mfcc);
    let frames = recording.features.frames();
    panel.matrix(canvas, recording, (frames, n_mfcc), |frames, row| {
        let count = frames.len() as f32;
        let mean = frames
            .map(|frame| scaled[frame * n_mfcc + row])
            .sum::<f32>()
            / count;
        colors::deviation(f64::from(0.5 + 0.5 * mean / RANGE_SD))
    })?;
    let step = (n_mfcc / 4).max(1);
    for row in (0..n_mfcc).step_by(step) {
        panel.tick(canvas, (row as f64 + 0.5) / n_mfcc as f64, &row.to_string())?;
    }
    panel.unit(canvas, "coefficient")?;
    panel.scale(canvas, ["−3", "mean", "+3"], colors::deviation)
}

/// The first `columns` of each frame, less the column's mean, over its standard deviation.
fn standardised(features: &Features, columns: usize) -> Vec<f32> {
    let frames = features.frames();
    let mut values: Vec<f32> = (0..frames)
        .flat_map(|frame| features.row(frame)[..columns].iter().copied())
        .collect();
    for column in 0..columns {
        let each = || (0..frames).map(|frame| frame * columns + column);
        let mean = each().map(|i| values[i]).sum::<f32>() / frames as f32;
        let variance = each().map(|i| (values[i] - mean).powi(2)).sum::<f32>() / frames as f32;
        let deviation = variance.sqrt().max(1e-6);
        for i in each() {
            values[i] = (values[i] - mean) / deviation;
        }
    }
    values
}

fn draw_probabilities(
    canvas: &mut Canvas,
    panel: Panel,
    recording: &Recording,
    heard: &Heard,
) -> Result<()> {
    let title = format!(
        "What the model hears in windows of {:.1} s; at the right, in the whole recording",
        heard.window
    );
    panel.title(canvas, &title)?;
    for share in [0.0, 0.5, 1.0] {
        let y = panel.y(share);
        canvas.line((LEFT, y), (RIGHT, y), 1.0, GRID)?;
        panel.tick(canvas, share, &format!("{:.0} %", 100.0 * share))?;
    }
    // The most probable last, so that its line lies above the others and its name first.
    let mut order: Vec<usize> = (0..heard.classes.len()).collect();
    order.sort_by(|&a, &b| heard.whole[a].total_cmp(&heard.whole[b]));
    for &class in &order {
        let point = |window: &HeardWindow| {
            let x = panel.x(recording.cut_before + window.middle);
            (x, panel.y(f64::from(window.probabilities[class])))
        };
        let points: Vec<(f64, f64)> = heard.windows.iter().map(point).collect();
        let color = PALETTE[class % PALETTE.len()];
        match class < PALETTE.len() {
            true => canvas.polyline(&points, 2.4, color)?,
            false => canvas.dashed(&points, 5.0, 2.0, color)?,
        }
    }
    let rows = order.len().clamp(1, 12);
    let row_height = (panel.height / rows as f64).min(24.0);
    for (row, &class) in order.iter().rev().take(rows).enumerate() {
        let y = panel.top + (row as f64 + 0.5) * row_height;
        let color = PALETTE[class % PALETTE.len()];
        canvas.line((RIGHT + 8.0, y), (RIGHT + 26.0, y), 3.0, color)?;
        let font = Font::new(TICK_SIZE, INK);
        let font = if row == 0 { font.bold() } else { font };
        let percent = format!("{:.0} %", 100.0 * heard.whole[class]);
        canvas.text(&percent, RIGHT + 84.0, y, Align::Right, font)?;
        let name = font.shortened(&heard.classes[class], WIDTH - RIGHT - 100.0)?;
        canvas.text(&name, RIGHT + 94.0, y, Align::Left, font)?;
    }
    panel.unit(canvas, "probability")
}
