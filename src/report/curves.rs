//! Picture of the learning curves of one or several runs: accuracy, loss and learning rate over the
//! epochs.

use anyhow::Result;

use super::axis::can_show;
use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::plot::{PLOT_HEIGHT, Plot, Quantity, Series, Stroke};
use super::style::{INK, TEXT_SIZE, WIDTH};
use crate::evaluation::EpochMetrics;
use crate::plural::counted;

/// Learning curves of one run.
#[derive(Debug, Clone)]
pub struct Curves {
    /// Name of the run, as shown in the legend.
    pub name: String,
    /// One record for each epoch, in order. Values that are not finite leave a gap.
    pub epochs: Vec<EpochMetrics>,
    /// Number of the selected epoch, whose weights are in `best.ot`.
    pub kept_epoch: Option<usize>,
    /// A warning about the numbers, such as "speakers shared: train/test".
    pub note: Option<String>,
}

/// Left and right edge of the two plots.
const PLOTS: [(f64, f64); 2] = [(116.0, 680.0), (800.0, 1364.0)];
/// Space above a plot for the label of the selected epoch.
const MARK_SPACE: f64 = 26.0;
/// Space below a plot for its ticks and axis title.
const BOTTOM_SPACE: f64 = 64.0;
/// Height of the learning rate plot, which is below the others.
const STRIP_HEIGHT: f64 = 96.0;
/// Height of a row of the legend.
const LEGEND_ROW: f64 = 26.0;
const LEGEND_COLUMNS: usize = 3;

/// Draws the curves as a PNG of 1400 × 724 pixels; every three further runs add 26 pixels to the
/// height.
///
/// With one run, there are training and validation lines and a mark at the selected epoch. With
/// several, each run has a colour (the ninth run has that of the first); validation lines are
/// solid, training lines are thin and dashed, and a dot marks the selected epoch.
pub fn curves_png(runs: &[Curves]) -> Result<Vec<u8>> {
    let legend = legend(runs);
    let legend_rows = legend.len().div_ceil(LEGEND_COLUMNS).max(1);
    let top = HEADER_HEIGHT + legend_rows as f64 * LEGEND_ROW + MARK_SPACE;
    let strip = top + PLOT_HEIGHT + BOTTOM_SPACE + 20.0;
    let height = strip + STRIP_HEIGHT + BOTTOM_SPACE;

    png(WIDTH as usize, height as usize, |canvas| {
        draw_header(canvas, &title(runs), &subtitle(runs), note(runs).as_deref())?;
        draw_legend(canvas, &legend)?;
        for (quantity, sides) in [Quantity::Accuracy, Quantity::Loss].into_iter().zip(PLOTS) {
            Plot::new(runs, quantity, sides, (top, PLOT_HEIGHT)).draw(canvas, runs)?;
        }
        let sides = (PLOTS[0].0, PLOTS[1].1);
        Plot::new(runs, Quantity::LearningRate, sides, (strip, STRIP_HEIGHT)).draw(canvas, runs)
    })
}

fn title(runs: &[Curves]) -> String {
    match runs {
        [] => "No runs".to_string(),
        [run] => run.name.clone(),
        _ => format!("{} runs", runs.len()),
    }
}

fn subtitle(runs: &[Curves]) -> String {
    match runs {
        [] => String::new(),
        [run] => {
            let mut text = counted(run.epochs.len(), "epoch");
            if let Some(selected) = run.selected() {
                text += &format!("     validation at epoch {}:", selected.epoch);
                for (name, value) in [
                    ("accuracy", selected.validation_accuracy),
                    ("UAR", selected.validation_uar),
                ] {
                    text += &format!(" {name} {}  ", Quantity::Accuracy.text(value));
                }
            }
            text
        }
        _ => "solid: validation     dashed: training     dot: selected epoch".to_string(),
    }
}

/// The notes of all runs: one note if all are equal, otherwise each with the name of its run.
fn note(runs: &[Curves]) -> Option<String> {
    let first = runs.first()?;
    if runs.iter().all(|run| run.note == first.note) {
        return first.note.clone();
    }
    let notes: Vec<String> = runs
        .iter()
        .filter_map(|run| Some(format!("{}: {}", run.name, run.note.as_ref()?)))
        .collect();
    Some(notes.join(" · "))
}

impl Curves {
    /// The record of the selected epoch. It is `None` without a validation subset, because then the
    /// last epoch is not a choice.
    pub(super) fn selected(&self) -> Option<&EpochMetrics> {
        let selected = self.kept_epoch?;
        let mut epochs = self.epochs.iter();
        epochs.find(|record| record.epoch == selected && !record.validation_uar.is_nan())
    }

    /// Label of the selected epoch, which is not always the one with the best validation UAR.
    pub(super) fn selected_name(&self) -> &'static str {
        let best = EpochMetrics::best(&self.epochs).map(|best| best.epoch);
        if best == self.kept_epoch {
            "best epoch"
        } else {
            "selected epoch"
        }
    }

    /// True if any value of `subset` can be drawn.
    fn shows(&self, subset: Series) -> bool {
        self.epochs.iter().any(|record| {
            can_show(Quantity::Accuracy.of(record, subset))
                || can_show(Quantity::Loss.of(record, subset))
        })
    }
}

/// Entries of the legend: the subsets of a single run, or the names of several runs.
fn legend(runs: &[Curves]) -> Vec<(Stroke, String)> {
    if let [run] = runs {
        return [
            (Series::Training, "training"),
            (Series::Validation, "validation"),
        ]
        .into_iter()
        .filter(|(subset, _)| run.shows(*subset))
        .map(|(subset, name)| (Stroke::new(runs, 0, subset), name.to_string()))
        .collect();
    }
    let entry = |(index, run): (usize, &Curves)| {
        let stroke = Stroke::new(runs, index, Series::Validation);
        (stroke, run.name.clone())
    };
    runs.iter().enumerate().map(entry).collect()
}

fn draw_legend(canvas: &mut Canvas, legend: &[(Stroke, String)]) -> Result<()> {
    const SAMPLE: f64 = 30.0;
    const GAP: f64 = 10.0;
    let font = Font::new(TEXT_SIZE, INK);
    let column_width = (PLOTS[1].1 - PLOTS[0].0) / LEGEND_COLUMNS as f64;
    let mut x = PLOTS[0].0;
    for (index, (stroke, name)) in legend.iter().enumerate() {
        let (row, column) = (index / LEGEND_COLUMNS, index % LEGEND_COLUMNS);
        if column == 0 {
            x = PLOTS[0].0;
        }
        let y = HEADER_HEIGHT + (row as f64 + 0.5) * LEGEND_ROW;
        stroke.draw(canvas, &[(x, y), (x + SAMPLE, y)])?;
        let name = font.shortened_name(name, column_width - SAMPLE - 4.0 * GAP)?;
        canvas.text(&name, x + SAMPLE + GAP, y, Align::Left, font)?;
        // A few names follow each other, many names form columns.
        x += if legend.len() <= LEGEND_COLUMNS {
            SAMPLE + 4.0 * GAP + font.width(&name)?
        } else {
            column_width
        };
    }
    Ok(())
}
