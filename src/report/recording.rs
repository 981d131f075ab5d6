//! Picture of a recording: waveform, mel spectrogram, predictions of a model and MFCCs, one below
//! the other on the same time axis.

use anyhow::Result;

use super::axis::{Axis, label};
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

/// Predictions of a model for a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingPredictions {
    /// Class names, in the order of all probabilities.
    pub classes: Vec<String>,
    /// Probabilities for the recording as a whole.
    pub whole: Vec<f32>,
    /// Predictions for windows of the recording, in the order of time.
    pub windows: Vec<WindowPrediction>,
    /// Length of a window in seconds.
    pub window: f64,
}

/// Prediction of a model for a window of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowPrediction {
    /// Centre of the window, in seconds of the preprocessed recording.
    pub middle: f64,
    /// Probability of each class.
    pub probabilities: Vec<f32>,
}

/// Left edge of the panels.
const LEFT: f64 = 116.0;
/// Right edge of the panels.
const RIGHT: f64 = 1196.0;
/// Left edge of a colour scale beside a panel.
const BESIDE: f64 = RIGHT + 28.0;
/// Space above each panel for its title.
const TITLE: f64 = 34.0;
/// Space below the last panel for the time axis.
const BOTTOM_SPACE: f64 = 66.0;
/// Height of the waveform panel.
const WAVEFORM: f64 = 130.0;
/// Height of the spectrogram panel.
const SPECTROGRAM: f64 = 300.0;
/// Height of the MFCC panel.
const MFCC: f64 = 200.0;
/// Height of the panel with predictions.
const PROBABILITIES: f64 = 210.0;
/// Largest number of columns: the width of a panel in pixels.
const MAX_COLUMNS: usize = 1080;
/// Range of the spectrogram below the loudest value, in decibels.
const RANGE_DB: f32 = 80.0;
/// Range of the MFCCs on both sides of their mean, in standard deviations.
const RANGE_STD: f32 = 3.0;

/// Draws a recording as a PNG with a width of 1400 pixels and a height of about 1000, or about 1250
/// with `predictions` of a model.
pub fn recording_png(
    recording: &Recording,
    predictions: Option<&RecordingPredictions>,
    title: &str,
    note: Option<&str>,
) -> Result<Vec<u8>> {
    let mut heights = vec![WAVEFORM, SPECTROGRAM];
    heights.extend(predictions.map(|_| PROBABILITIES));
    heights.push(MFCC);
    let height = HEADER_HEIGHT + heights.iter().map(|h| h + TITLE).sum::<f64>() + BOTTOM_SPACE;
    png(WIDTH as usize, height as usize, |canvas| {
        draw_header(canvas, title, &recording.facts().join("     "), note)?;
        let end = recording.recorded.seconds();
        let seconds = Axis::exact(0.0, end, 12.0);
        let mut top = HEADER_HEIGHT;
        let mut next_panel = |height: f64| {
            let panel = Panel {
                top: top + TITLE,
                height,
                seconds: &seconds,
            };
            top += TITLE + height;
            panel
        };
        draw_waveform(canvas, next_panel(WAVEFORM), recording)?;
        draw_spectrogram(canvas, next_panel(SPECTROGRAM), recording)?;
        if let Some(predictions) = predictions {
            draw_probabilities(canvas, next_panel(PROBABILITIES), recording, predictions)?;
        }
        let last = next_panel(MFCC);
        draw_mfccs(canvas, last, recording)?;
        last.draw_seconds(canvas)
    })
}

/// Area of one of the panels, which are one below the other.
#[derive(Clone, Copy)]
struct Panel<'a> {
    top: f64,
    height: f64,
    /// Time axis of all panels.
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
        canvas.ticks_below(self.seconds, |second| self.x(second), None, self.bottom())?;
        let middle = (LEFT + RIGHT) / 2.0;
        let font = Font::new(TEXT_SIZE, INK);
        canvas.text("seconds", middle, self.bottom() + 44.0, Align::Center, font)
    }

    /// Draws a colour scale at the right, with labels at its bottom, middle and top.
    fn scale(&self, canvas: &mut Canvas, labels: [&str; 3], color: fn(f64) -> Color) -> Result<()> {
        let area = (BESIDE, self.top, BESIDE + 16.0, self.bottom());
        canvas.grid(area, (1, 100), |_, row| color(row as f64 / 99.0))?;
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

    /// Draws a matrix of `frames` × `rows` values over the preprocessed part of the recording.
    /// `color` gets the range of frames that share a column of the picture, and the row.
    fn matrix(
        &self,
        canvas: &mut Canvas,
        recording: &Recording,
        (frames, rows): (usize, usize),
        color: impl Fn(std::ops::Range<usize>, usize) -> Color,
    ) -> Result<()> {
        let from = recording.cut_before;
        let (left, right) = (self.x(from), self.x(from + recording.trimmed.seconds()));
        let columns = frames.clamp(1, MAX_COLUMNS);
        let frames_of = |column: usize| {
            let first = column * frames / columns;
            first..((column + 1) * frames / columns).max(first + 1).min(frames)
        };
        let area = (left, self.top, right.max(left + 1.0), self.bottom());
        canvas.grid(area, (columns, rows), |column, row| {
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
        recording.cut_before + recording.trimmed.seconds(),
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
    let columns = MAX_COLUMNS.min(samples.len().max(1));
    for column in 0..columns {
        let first = column * samples.len() / columns;
        let last = ((column + 1) * samples.len() / columns).max(first + 1);
        let piece = &samples[first.min(samples.len())..last.min(samples.len())];
        let low = piece.iter().copied().fold(0.0, f32::min);
        let high = piece.iter().copied().fold(0.0, f32::max);
        let second = (column as f64 + 0.5) / columns as f64 * recording.recorded.seconds();
        let color = if (from..=to).contains(&second) {
            BLUE
        } else {
            FRAME
        };
        let x = LEFT + (column as f64 + 0.5) / columns as f64 * (RIGHT - LEFT);
        let y = |value: f32| panel.y(0.5 + 0.48 * f64::from(value / peak));
        canvas.line((x, y(high)), (x, y(low)), 1.0, color)?;
    }
    for (share, sign) in [(0.02, -1.0), (0.5, 0.0), (0.98, 1.0)] {
        panel.tick(canvas, share, &label(f64::from(sign * peak), 2))?;
    }
    panel.unit(canvas, "amplitude")
}

fn draw_spectrogram(canvas: &mut Canvas, panel: Panel, recording: &Recording) -> Result<()> {
    let mel = &recording.mel;
    let bands = mel.coefficients();
    let hop =
        1000.0 * recording.config.hop_length as f64 / f64::from(recording.trimmed.sample_rate);
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
        colors::deviation(f64::from(0.5 + 0.5 * mean / RANGE_STD))
    })?;
    let step = (n_mfcc / 4).max(1);
    for row in (0..n_mfcc).step_by(step) {
        panel.tick(canvas, (row as f64 + 0.5) / n_mfcc as f64, &row.to_string())?;
    }
    panel.unit(canvas, "coefficient")?;
    panel.scale(canvas, ["−3", "mean", "+3"], colors::deviation)
}

/// The first `columns` coefficients of each frame, standardised to mean 0 and standard deviation 1
/// over the frames.
fn standardised(features: &Features, columns: usize) -> Vec<f32> {
    let frames = features.frames();
    let mut values: Vec<f32> = (0..frames)
        .flat_map(|frame| features.row(frame)[..columns].iter().copied())
        .collect();
    for column in 0..columns {
        let each = || (0..frames).map(|frame| frame * columns + column);
        let mean = each().map(|i| values[i]).sum::<f32>() / frames as f32;
        let variance = each().map(|i| (values[i] - mean).powi(2)).sum::<f32>() / frames as f32;
        let std = variance.sqrt().max(1e-6);
        for i in each() {
            values[i] = (values[i] - mean) / std;
        }
    }
    values
}

fn draw_probabilities(
    canvas: &mut Canvas,
    panel: Panel,
    recording: &Recording,
    predictions: &RecordingPredictions,
) -> Result<()> {
    let title = format!(
        "Predictions for windows of {:.1} s; at the right, for the whole recording",
        predictions.window
    );
    panel.title(canvas, &title)?;
    for share in [0.0, 0.5, 1.0] {
        let y = panel.y(share);
        canvas.line((LEFT, y), (RIGHT, y), 1.0, GRID)?;
        panel.tick(canvas, share, &format!("{:.0} %", 100.0 * share))?;
    }
    // The most probable class is last, so that its line is in front of the others. The legend has
    // the reverse order.
    let mut order: Vec<usize> = (0..predictions.classes.len()).collect();
    order.sort_by(|&a, &b| predictions.whole[a].total_cmp(&predictions.whole[b]));
    for &class in &order {
        let point = |window: &WindowPrediction| {
            let x = panel.x(recording.cut_before + window.middle);
            (x, panel.y(f64::from(window.probabilities[class])))
        };
        let points: Vec<(f64, f64)> = predictions.windows.iter().map(point).collect();
        let color = PALETTE[class % PALETTE.len()];
        if class < PALETTE.len() {
            canvas.polyline(&points, 2.4, color)?;
        } else {
            canvas.dashed(&points, 5.0, 2.0, color)?;
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
        let percent = format!("{:.0} %", 100.0 * predictions.whole[class]);
        canvas.text(&percent, RIGHT + 84.0, y, Align::Right, font)?;
        let name = font.shortened_name(&predictions.classes[class], WIDTH - RIGHT - 100.0)?;
        canvas.text(&name, RIGHT + 94.0, y, Align::Left, font)?;
    }
    panel.unit(canvas, "probability")
}
