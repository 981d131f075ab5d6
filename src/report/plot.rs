//! One plot of curves over the epochs: axes, lines, and a mark at the selected epoch.

use anyhow::Result;

use super::axis::{Axis, can_show};
use super::canvas::{Align, Canvas};
use super::curves::Curves;
use super::font::Font;
use super::style::{
    BACKGROUND, BLUE, Color, FRAME, GRID, INK, PALETTE, QUIET_INK, TEXT_SIZE, TICK_SIZE, VERMILION,
    mixed,
};
use crate::evaluation::EpochMetrics;

/// Height of the plots of accuracy and loss.
pub const PLOT_HEIGHT: f64 = 350.0;

/// Series whose metric a line shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Series {
    Training,
    Validation,
}

/// Metric of a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    Accuracy,
    Loss,
    /// The learning rate, which is the same for both subsets.
    LearningRate,
}

impl Quantity {
    /// Value of the metric on `subset` in a record.
    pub fn of(self, record: &EpochMetrics, subset: Series) -> f64 {
        match (self, subset) {
            (Quantity::LearningRate, _) => record.learning_rate,
            (Quantity::Accuracy, Series::Training) => record.train_accuracy,
            (Quantity::Accuracy, Series::Validation) => record.validation_accuracy,
            (Quantity::Loss, Series::Training) => record.train_loss,
            (Quantity::Loss, Series::Validation) => record.validation_loss,
        }
    }

    /// The value as the text of a label.
    pub fn text(self, value: f64) -> String {
        match self {
            _ if !can_show(value) => "–".to_string(),
            Quantity::Accuracy => format!("{:.1} %", value * 100.0),
            Quantity::Loss if value.abs() < 1e4 => format!("{value:.3}"),
            Quantity::Loss => format!("{value:.1e}"),
            Quantity::LearningRate => value.to_string(),
        }
    }
}

/// Style of a line.
#[derive(Debug, Clone, Copy)]
pub struct Stroke {
    color: Color,
    thickness: f64,
    dashed: bool,
}

impl Stroke {
    /// The stroke of one subset of run number `index`.
    pub fn new(runs: &[Curves], index: usize, subset: Series) -> Stroke {
        // Long runs have several epochs in a pixel; a thick line would become a solid band.
        let thickness = if runs[index].epochs.len() > 500 {
            1.2
        } else {
            2.4
        };
        let run_color = PALETTE[index % PALETTE.len()];
        match (runs.len(), subset) {
            (1, Series::Training) => Stroke {
                color: BLUE,
                thickness,
                dashed: false,
            },
            (1, Series::Validation) => Stroke {
                color: VERMILION,
                thickness,
                dashed: false,
            },
            (_, Series::Training) => {
                let color = mixed(run_color, BACKGROUND, 0.4);
                Stroke {
                    color,
                    thickness: 0.6 * thickness,
                    dashed: true,
                }
            }
            (_, Series::Validation) => Stroke {
                color: run_color,
                thickness,
                dashed: false,
            },
        }
    }

    pub fn draw(self, canvas: &mut Canvas, points: &[(f64, f64)]) -> Result<()> {
        if self.dashed {
            canvas.dashed(points, 5.0, self.thickness, self.color)
        } else {
            canvas.polyline(points, self.thickness, self.color)
        }
    }
}

/// The plot of one metric.
pub struct Plot {
    quantity: Quantity,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    epochs: Axis,
    values: Axis,
}

impl Plot {
    /// A plot of `runs` from `left` to `right` and from `top` down to `top` + `height`, with axes
    /// that include all values.
    pub fn new(
        runs: &[Curves],
        quantity: Quantity,
        (left, right): (f64, f64),
        (top, height): (f64, f64),
    ) -> Plot {
        let records = || runs.iter().flat_map(|run| &run.epochs);
        let last = records().map(|record| record.epoch).max().unwrap_or(1);
        let values = match quantity {
            Quantity::Accuracy => Axis::percent(),
            Quantity::Loss => Axis::losses(
                records().flat_map(|record| [record.train_loss, record.validation_loss]),
            ),
            Quantity::LearningRate => {
                let rates = records().map(|record| record.learning_rate);
                Axis::linear(
                    0.0,
                    rates.filter(|&rate| can_show(rate)).fold(0.0, f64::max),
                )
            }
        };
        let bottom = top + height;
        Plot {
            quantity,
            height,
            left,
            right,
            top,
            bottom,
            epochs: Axis::epochs(last),
            values,
        }
    }

    /// Draws axes, lines and marks.
    pub fn draw(&self, canvas: &mut Canvas, runs: &[Curves]) -> Result<()> {
        self.draw_axes(canvas)?;
        self.draw_lines(canvas, runs)?;
        self.draw_selected_epochs(canvas, runs)
    }

    fn x(&self, epoch: f64) -> f64 {
        self.left + self.epochs.position(epoch) * (self.right - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - self.values.position(value) * self.height
    }

    fn draw_axes(&self, canvas: &mut Canvas) -> Result<()> {
        let tick_font = Font::new(TICK_SIZE, QUIET_INK);
        for tick in &self.values.ticks {
            let y = self.y(tick.value);
            canvas.line((self.left, y), (self.right, y), 1.0, GRID)?;
            canvas.text(&tick.label, self.left - 10.0, y, Align::Right, tick_font)?;
        }
        canvas.ticks_below(&self.epochs, |epoch| self.x(epoch), None, self.bottom)?;
        canvas.line(
            (self.left, self.bottom),
            (self.right, self.bottom),
            1.0,
            FRAME,
        )?;

        let title_font = Font::new(TEXT_SIZE, INK);
        let (middle_x, middle_y) = (
            (self.left + self.right) / 2.0,
            (self.top + self.bottom) / 2.0,
        );
        let title = match self.quantity {
            Quantity::Accuracy => "accuracy",
            Quantity::Loss if self.values.is_logarithmic() => "loss (logarithmic scale)",
            Quantity::Loss => "loss",
            Quantity::LearningRate => "learning rate",
        };
        canvas.text(
            "epoch",
            middle_x,
            self.bottom + 44.0,
            Align::Center,
            title_font,
        )?;
        canvas.text_upwards(title, self.left - 70.0, middle_y, Align::Center, title_font)
    }

    /// Draws all lines; validation lines are in front of training lines.
    fn draw_lines(&self, canvas: &mut Canvas, runs: &[Curves]) -> Result<()> {
        let mut empty = true;
        let subsets = match self.quantity {
            Quantity::LearningRate => &[Series::Validation][..],
            _ => &[Series::Training, Series::Validation],
        };
        for &subset in subsets {
            for (index, run) in runs.iter().enumerate() {
                for piece in self.pieces(&run.epochs, subset) {
                    empty = false;
                    self.stroke(runs, index, subset).draw(canvas, &piece)?;
                }
            }
        }
        if empty {
            let font = Font::new(TEXT_SIZE, QUIET_INK);
            let (x, y) = (
                (self.left + self.right) / 2.0,
                (self.top + self.bottom) / 2.0,
            );
            canvas.text("no finite values", x, y, Align::Center, font)?;
        }
        Ok(())
    }

    /// The stroke of a line. The learning rate of a single run has its own colour, because it
    /// belongs to no subset.
    fn stroke(&self, runs: &[Curves], index: usize, subset: Series) -> Stroke {
        let stroke = Stroke::new(runs, index, subset);
        match (self.quantity, runs.len()) {
            (Quantity::LearningRate, 1) => Stroke {
                color: INK,
                ..stroke
            },
            _ => stroke,
        }
    }

    /// The points of a line, divided into pieces at values that are not finite.
    fn pieces(&self, records: &[EpochMetrics], subset: Series) -> Vec<Vec<(f64, f64)>> {
        records
            .split(|record| !can_show(self.quantity.of(record, subset)))
            .filter(|piece| !piece.is_empty())
            .map(|piece| {
                let point = |record: &EpochMetrics| {
                    (
                        self.x(record.epoch as f64),
                        self.y(self.quantity.of(record, subset)),
                    )
                };
                piece.iter().map(point).collect()
            })
            .collect()
    }

    /// Marks the selected epoch of each run with a dot on the validation line. For a single run it
    /// also draws a line across the plot and a label.
    fn draw_selected_epochs(&self, canvas: &mut Canvas, runs: &[Curves]) -> Result<()> {
        for (index, run) in runs.iter().enumerate() {
            let Some(selected) = run.selected() else {
                continue;
            };
            let x = self.x(selected.epoch as f64);
            let value = self.quantity.of(selected, Series::Validation);
            if self.quantity == Quantity::LearningRate {
                if runs.len() == 1 {
                    let line = [(x, self.top), (x, self.bottom)];
                    canvas.dashed(&line, 4.0, 1.2, QUIET_INK)?;
                }
                continue;
            }
            if runs.len() == 1 {
                let label = format!(
                    "{} {}: {}",
                    run.selected_name(),
                    selected.epoch,
                    self.quantity.text(value)
                );
                self.draw_selected_line(canvas, x, &label)?;
            }
            if can_show(value) {
                let color = Stroke::new(runs, index, Series::Validation).color;
                canvas.disc(x, self.y(value), 6.5, BACKGROUND)?;
                canvas.disc(x, self.y(value), 5.0, color)?;
            }
        }
        Ok(())
    }

    fn draw_selected_line(&self, canvas: &mut Canvas, x: f64, label: &str) -> Result<()> {
        canvas.dashed(&[(x, self.top), (x, self.bottom)], 4.0, 1.2, QUIET_INK)?;
        let font = Font::new(TEXT_SIZE, INK);
        // The label is above the plot, where no curve crosses it.
        let half = font.width(label)? / 2.0;
        let x = x.clamp(self.left + half, self.right - half);
        canvas.text(label, x, self.top - 13.0, Align::Center, font)
    }
}
