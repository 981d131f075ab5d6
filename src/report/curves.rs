//! Learning curves: accuracy, loss and learning rate over the epochs, of one run or of several.

use anyhow::Result;

use super::axis::can_show;
use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::plot::{PLOT_HEIGHT, Part, Plot, Quantity, Stroke};
use super::style::{INK, TEXT_SIZE, WIDTH};
use crate::run::EpochRecord;

/// The history of one run.
#[derive(Debug, Clone)]
pub struct Curves {
    /// The run's name.
    pub name: String,
    /// One record an epoch, in order. Values that are not finite leave a gap.
    pub epochs: Vec<EpochRecord>,
    /// The epoch whose weights were kept.
    pub kept_epoch: Option<usize>,
    /// A warning that belongs to the numbers, such as "speakers shared: train/test".
    pub note: Option<String>,
}

/// Left and right edge of the two plots.
const PLOTS: [(f64, f64); 2] = [(116.0, 680.0), (800.0, 1364.0)];
/// Above a plot: the label of the epoch that counts.
const MARK_SPACE: f64 = 26.0;
/// Below a plot: ticks and axis title.
const BOTTOM_SPACE: f64 = 64.0;
/// The plot of the learning rate is a strip below the others.
const STRIP_HEIGHT: f64 = 96.0;
const LEGEND_ROW: f64 = 26.0;
const LEGEND_COLUMNS: usize = 3;

/// Draws the curves as a PNG of 1400 × 724 pixels, and 26 more for each three further runs.
///
/// One run: training and validation lines, the epoch that counts marked. Several: one colour a run (the
/// ninth begins again), validation solid, training thin and dashed, the epoch of each that counts a dot.
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
            let count = run.epochs.len();
            let mut text = format!("{count} {}", if count == 1 { "epoch" } else { "epochs" });
            if let Some(kept) = run.kept() {
                text += &format!("     validation at epoch {}:", kept.epoch);
                for (name, value) in [
                    ("accuracy", kept.validation_accuracy),
                    ("UAR", kept.validation_uar),
                ] {
                    text += &format!(" {name} {}  ", Quantity::Accuracy.text(value));
                }
            }
            text
        }
        _ => "solid: validation     dashed: training     dot: kept epoch".to_string(),
    }
}

/// The notes of all runs: once if they say the same, else each with the name of its run.
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
    /// The record of the epoch that counts.
    pub(super) fn kept(&self) -> Option<&EpochRecord> {
        let kept = self.kept_epoch?;
        self.epochs.iter().find(|record| record.epoch == kept)
    }

    /// How the kept epoch is called: validation may have liked another one better.
    pub(super) fn kept_name(&self) -> &'static str {
        let best = EpochRecord::best(&self.epochs).map(|best| best.epoch);
        match best == self.kept_epoch {
            true => "best epoch",
            false => "kept epoch",
        }
    }

    /// Whether anything of `part` can be drawn.
    fn shows(&self, part: Part) -> bool {
        self.epochs.iter().any(|record| {
            can_show(Quantity::Accuracy.of(record, part))
                || can_show(Quantity::Loss.of(record, part))
        })
    }
}

/// One run: its parts. Several: their names.
fn legend(runs: &[Curves]) -> Vec<(Stroke, String)> {
    if let [run] = runs {
        return [
            (Part::Training, "training"),
            (Part::Validation, "validation"),
        ]
        .into_iter()
        .filter(|(part, _)| run.shows(*part))
        .map(|(part, name)| (Stroke::new(runs, 0, part), name.to_string()))
        .collect();
    }
    let entry = |(index, run): (usize, &Curves)| {
        (Stroke::new(runs, index, Part::Validation), run.name.clone())
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
        let name = font.shortened(name, column_width - SAMPLE - 4.0 * GAP)?;
        canvas.text(&name, x + SAMPLE + GAP, y, Align::Left, font)?;
        // A few names stand close together, many in columns.
        x += if legend.len() <= LEGEND_COLUMNS {
            SAMPLE + 4.0 * GAP + font.width(&name)?
        } else {
            column_width
        };
    }
    Ok(())
}
