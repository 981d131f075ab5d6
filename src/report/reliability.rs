//! Picture of the reliability diagram: accuracy as a function of the predicted probability.

use anyhow::Result;

use super::axis::Axis;
use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::style::{
    BLUE, FRAME, GRID, INK, MARGIN, QUIET_INK, TEXT_SIZE, TICK_SIZE, VERMILION, WIDTH, mixed,
};
use crate::evaluation::{Bin, Calibration};
use crate::plural::counted;

/// Side length of a plot.
const SIDE: f64 = 500.0;
/// Space between the two plots for the ticks and the axis title of the right one.
const GUTTER: f64 = 120.0;
/// Space left of the first plot for its ticks and axis title.
const AXIS_WIDTH: f64 = 84.0;
/// Space above a plot for its title.
const TITLE_HEIGHT: f64 = 34.0;
/// Space below a plot for its ticks and axis title.
const BOTTOM_SPACE: f64 = 68.0;
/// Distance between two bars.
const GAP: f64 = 2.0;

/// Draws the bins of a calibration as a PNG of 1400 × 680 pixels.
///
/// The left plot has a bar for the accuracy of each bin, and a dot at the mean predicted
/// probability. In a calibrated model, bars and dots meet on the diagonal: of the clips predicted
/// with 80 %, four in five are right (Guo et al. 2017, figure 1). The right plot has the number of
/// clips in each bin, which shows how reliable a bar is. `note` is a warning about the numbers.
pub fn reliability_png(
    calibration: &Calibration,
    title: &str,
    note: Option<&str>,
) -> Result<Vec<u8>> {
    let height = HEADER_HEIGHT + TITLE_HEIGHT + SIDE + BOTTOM_SPACE;
    png(WIDTH as usize, height as usize, |canvas| {
        draw_header(canvas, title, &summary(calibration), note)?;
        let first = MARGIN + AXIS_WIDTH;
        draw_accuracies(canvas, Frame { left: first }, &calibration.bins)?;
        let second = first + SIDE + GUTTER;
        draw_counts(canvas, Frame { left: second }, &calibration.bins)
    })
}

fn summary(calibration: &Calibration) -> String {
    let clips: u64 = calibration.bins.iter().map(|bin| bin.clips).sum();
    format!(
        "{}     expected calibration error {:.1} %     negative log-likelihood {:.3}",
        counted(clips, "prediction"),
        calibration.ece * 100.0,
        calibration.nll
    )
}

/// Area of a plot. Confidence goes from 0 at its left edge to 1 at its right edge.
#[derive(Clone, Copy)]
struct Frame {
    left: f64,
}

impl Frame {
    const TOP: f64 = HEADER_HEIGHT + TITLE_HEIGHT;
    const BOTTOM: f64 = Self::TOP + SIDE;

    fn x(self, confidence: f64) -> f64 {
        self.left + confidence * SIDE
    }

    /// Vertical position of a share of the plot's height above its bottom.
    fn y(share: f64) -> f64 {
        Self::BOTTOM - share * SIDE
    }

    /// Draws title, grid and ticks; `y_title` and `values` belong to the vertical axis.
    fn draw(self, canvas: &mut Canvas, title: &str, y_title: &str, values: &Axis) -> Result<()> {
        let ticks = Font::new(TICK_SIZE, QUIET_INK);
        let text = Font::new(TEXT_SIZE, INK);
        let right = self.x(1.0);
        let title_y = Self::TOP - TITLE_HEIGHT / 2.0;
        canvas.text(title, self.left, title_y, Align::Left, text.bold())?;
        for tick in &values.ticks {
            let y = Self::y(values.position(tick.value));
            canvas.line((self.left, y), (right, y), 1.0, GRID)?;
            canvas.text(&tick.label, self.left - 10.0, y, Align::Right, ticks)?;
        }
        canvas.ticks_below(&Axis::percent(), |share| self.x(share), None, Self::BOTTOM)?;
        let middle = (self.x(0.5), Self::y(0.5));
        let below = Self::BOTTOM + 44.0;
        canvas.text(
            "probability of the predicted class",
            middle.0,
            below,
            Align::Center,
            text,
        )?;
        canvas.text_upwards(y_title, self.left - 70.0, middle.1, Align::Center, text)
    }

    /// Draws the bar of bin number `index` of `bins`.
    fn bar(self, canvas: &mut Canvas, index: usize, bins: usize, share: f64) -> Result<()> {
        let edge = |index: usize| self.x(index as f64 / bins as f64);
        let (left, right) = (edge(index) + GAP / 2.0, edge(index + 1) - GAP / 2.0);
        let color = mixed(BLUE, super::style::BACKGROUND, 0.35);
        canvas.rect(left, Self::y(share), right, Self::BOTTOM, color)
    }

    fn draw_baseline(self, canvas: &mut Canvas) -> Result<()> {
        let (from, to) = ((self.left, Self::BOTTOM), (self.x(1.0), Self::BOTTOM));
        canvas.line(from, to, 1.0, FRAME)
    }
}

fn draw_accuracies(canvas: &mut Canvas, frame: Frame, bins: &[Bin]) -> Result<()> {
    let title = "Bars: fraction correct.  Dots: mean probability";
    frame.draw(canvas, title, "accuracy", &Axis::percent())?;
    for (index, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.clips > 0) {
        frame.bar(canvas, index, bins.len(), bin.accuracy)?;
    }
    let diagonal = [(frame.x(0.0), Frame::y(0.0)), (frame.x(1.0), Frame::y(1.0))];
    canvas.dashed(&diagonal, 5.0, 1.2, QUIET_INK)?;
    for bin in bins.iter().filter(|bin| bin.clips > 0) {
        let (x, from, to) = (
            frame.x(bin.confidence),
            Frame::y(bin.accuracy),
            Frame::y(bin.confidence),
        );
        canvas.line((x, from), (x, to), 2.0, VERMILION)?;
        canvas.disc(x, to, 4.5, VERMILION)?;
    }
    frame.draw_baseline(canvas)
}

fn draw_counts(canvas: &mut Canvas, frame: Frame, bins: &[Bin]) -> Result<()> {
    let most = bins.iter().map(|bin| bin.clips).max().unwrap_or(0);
    let counts = Axis::counts(most);
    frame.draw(canvas, "Number of predictions", "predictions", &counts)?;
    for (index, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.clips > 0) {
        let share = counts.position(bin.clips as f64);
        frame.bar(canvas, index, bins.len(), share)?;
    }
    frame.draw_baseline(canvas)
}
