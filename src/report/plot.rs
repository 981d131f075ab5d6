//! One plot over the epochs: axes, lines, and the mark of the epoch that counts.

use anyhow::Result;

use super::axis::{Axis, can_show};
use super::canvas::{Align, Canvas};
use super::curves::Curves;
use super::font::Font;
use super::style::{
    BACKGROUND, BLUE, Color, FRAME, GRID, INK, PALETTE, QUIET_INK, TEXT_SIZE, TICK_SIZE,
    VERMILLION, mixed,
};
use crate::run::EpochRecord;

pub const PLOT_HEIGHT: f64 = 350.0;

/// The half of a record that a line shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    Training,
    Validation,
}

/// What a plot shows over the epochs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    Accuracy,
    Loss,
    /// The same for both parts.
    LearningRate,
}

impl Quantity {
    /// The value that a record holds for `part`.
    pub fn of(self, record: &EpochRecord, part: Part) -> f64 {
        match (self, part) {
            (Quantity::LearningRate, _) => record.learning_rate,
            (Quantity::Accuracy, Part::Training) => record.train_accuracy,
            (Quantity::Accuracy, Part::Validation) => record.validation_accuracy,
            (Quantity::Loss, Part::Training) => record.train_loss,
            (Quantity::Loss, Part::Validation) => record.validation_loss,
        }
    }

    /// The value as a label writes it.
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

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Stroke {
    color: Color,
    thickness: f64,
    dashed: bool,
}

impl Stroke {
    /// The stroke of one part of run number `index`.
    pub fn new(runs: &[Curves], index: usize, part: Part) -> Stroke {
        // Thinner where neighbouring epochs share a pixel, or noise becomes a solid band.
        let thickness = if runs[index].epochs.len() > 500 {
            1.2
        } else {
            2.4
        };
        let of_run = PALETTE[index % PALETTE.len()];
        match (runs.len(), part) {
            (1, Part::Training) => Stroke {
                color: BLUE,
                thickness,
                dashed: false,
            },
            (1, Part::Validation) => Stroke {
                color: VERMILLION,
                thickness,
                dashed: false,
            },
            (_, Part::Training) => {
                let color = mixed(of_run, BACKGROUND, 0.4);
                Stroke {
                    color,
                    thickness: 0.6 * thickness,
                    dashed: true,
                }
            }
            (_, Part::Validation) => Stroke {
                color: of_run,
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

/// The plot of one quantity.
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
    /// The plot of `runs` from `left` to `right`, of so much `height` below `top`, with axes that hold
    /// all their values.
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
                Axis::around(
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

    /// Axes, lines and marks.
    pub fn draw(&self, canvas: &mut Canvas, runs: &[Curves]) -> Result<()> {
        self.draw_axes(canvas)?;
        self.draw_lines(canvas, runs)?;
        self.draw_kept_epochs(canvas, runs)
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
        for tick in &self.epochs.ticks {
            let x = self.x(tick.value);
            canvas.line((x, self.bottom), (x, self.bottom + 5.0), 1.0, FRAME)?;
            canvas.text(&tick.label, x, self.bottom + 17.0, Align::Center, tick_font)?;
        }
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

    /// All lines, those of the validation above those of the training.
    fn draw_lines(&self, canvas: &mut Canvas, runs: &[Curves]) -> Result<()> {
        let mut empty = true;
        let parts = match self.quantity {
            Quantity::LearningRate => &[Part::Validation][..],
            _ => &[Part::Training, Part::Validation],
        };
        for &part in parts {
            for (index, run) in runs.iter().enumerate() {
                for piece in self.pieces(&run.epochs, part) {
                    empty = false;
                    self.stroke(runs, index, part).draw(canvas, &piece)?;
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

    /// A single run's learning rate is of neither part.
    fn stroke(&self, runs: &[Curves], index: usize, part: Part) -> Stroke {
        let stroke = Stroke::new(runs, index, part);
        match (self.quantity, runs.len()) {
            (Quantity::LearningRate, 1) => Stroke {
                color: INK,
                ..stroke
            },
            _ => stroke,
        }
    }

    /// The points of a line, broken where a value is not finite.
    fn pieces(&self, records: &[EpochRecord], part: Part) -> Vec<Vec<(f64, f64)>> {
        records
            .split(|record| !can_show(self.quantity.of(record, part)))
            .filter(|piece| !piece.is_empty())
            .map(|piece| {
                let point = |record: &EpochRecord| {
                    (
                        self.x(record.epoch as f64),
                        self.y(self.quantity.of(record, part)),
                    )
                };
                piece.iter().map(point).collect()
            })
            .collect()
    }

    /// A dot on the validation line; of a single run also a line across the plot and a label.
    fn draw_kept_epochs(&self, canvas: &mut Canvas, runs: &[Curves]) -> Result<()> {
        for (index, run) in runs.iter().enumerate() {
            let Some(kept) = run.kept() else { continue };
            let x = self.x(kept.epoch as f64);
            let value = self.quantity.of(kept, Part::Validation);
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
                    run.kept_name(),
                    kept.epoch,
                    self.quantity.text(value)
                );
                self.draw_kept_line(canvas, x, &label)?;
            }
            if can_show(value) {
                let color = Stroke::new(runs, index, Part::Validation).color;
                canvas.disc(x, self.y(value), 6.5, BACKGROUND)?;
                canvas.disc(x, self.y(value), 5.0, color)?;
            }
        }
        Ok(())
    }

    fn draw_kept_line(&self, canvas: &mut Canvas, x: f64, label: &str) -> Result<()> {
        canvas.dashed(&[(x, self.top), (x, self.bottom)], 4.0, 1.2, QUIET_INK)?;
        let font = Font::new(TEXT_SIZE, INK);
        // The label stays above the plot, where no curve can run through it.
        let half = font.width(label)? / 2.0;
        let x = x.clamp(self.left + half, self.right - half);
        canvas.text(label, x, self.top - 13.0, Align::Center, font)
    }
}
