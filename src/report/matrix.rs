//! Picture of a cross-corpus evaluation: a cell for each pair of training and test corpus.

use anyhow::Result;

use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::style::{
    BACKGROUND, BLUE, Color, FRAME, INK, MARGIN, QUIET_INK, TEXT_SIZE, TICK_SIZE, VERMILION, WIDTH,
    mixed,
};
use crate::evaluation::{Interval, MeanStd};

/// Width of the row names.
const NAMES: f64 = 170.0;
/// Width of the upright axis title.
const AXIS_TITLE: f64 = 34.0;
/// Top of the cells, below the column names and their axis title.
const TOP: f64 = HEADER_HEIGHT + 62.0;
/// Space below the cells for the legend.
const BOTTOM_SPACE: f64 = 62.0;
/// Largest height of a cell.
const MAX_HEIGHT: f64 = 150.0;
/// Smallest height of a cell.
const MIN_HEIGHT: f64 = 46.0;
/// Largest font size of a UAR.
const LARGEST_NUMBER: f64 = 30.0;
/// Smallest height of a cell that has room for an interval.
const INTERVAL_HEIGHT: f64 = 76.0;

/// UAR of a model that is trained on one corpus and tested on another.
#[derive(Debug, Clone)]
pub struct MatrixCell {
    /// UAR over the seeds; none before a training is finished.
    pub uar: Option<MeanStd>,
    /// 95 % interval of the UAR over speakers.
    pub interval: Option<Interval>,
    /// Chance of this cell, if it differs from that of the matrix: some classes have no test clips.
    pub chance: Option<f64>,
}

/// Draws UARs as a PNG with a width of 1400 pixels: `cells[row][column]` with a row for each
/// training corpus and a column for each test corpus. The colour goes from white, at `chance` (a
/// fraction) or at the cell's own chance, to blue. Cells on the diagonal are framed: there the test
/// speakers belong to the training corpus, but are not in its training subset.
pub fn matrix_png(
    name: &str,
    corpora: &[String],
    cells: &[Vec<MatrixCell>],
    chance: f64,
    note: Option<&str>,
) -> Result<Vec<u8>> {
    let count = corpora.len().max(1) as f64;
    let left = MARGIN + AXIS_TITLE + NAMES;
    let width = (WIDTH - MARGIN - left) / count;
    let height = (width * 0.5).clamp(MIN_HEIGHT, MAX_HEIGHT);
    let bottom = TOP + count * height;
    png(WIDTH as usize, (bottom + BOTTOM_SPACE) as usize, |canvas| {
        let subtitle = "UAR in percent, mean over the seeds, and its 95 % interval over speakers";
        draw_header(canvas, name, subtitle, note)?;
        let right = left + count * width;
        canvas.rect(left - 1.0, TOP - 1.0, right + 1.0, bottom + 1.0, FRAME)?;
        for (row, cells) in cells.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                let (x, y) = (left + column as f64 * width, TOP + row as f64 * height);
                let field = Field {
                    x,
                    y,
                    width,
                    height,
                    own: row == column,
                };
                field.draw(canvas, cell, chance)?;
            }
        }
        let names = Font::new(TICK_SIZE, INK);
        for (index, corpus) in corpora.iter().enumerate() {
            let beside = names.shortened_name(corpus, NAMES - 16.0)?;
            let y = TOP + (index as f64 + 0.5) * height;
            canvas.text(&beside, left - 10.0, y, Align::Right, names)?;
            let above = names.shortened_name(corpus, width - 8.0)?;
            let x = left + (index as f64 + 0.5) * width;
            canvas.text(&above, x, TOP - 14.0, Align::Center, names)?;
        }
        let quiet = Font::new(TEXT_SIZE, QUIET_INK);
        let middle = ((left + right) / 2.0, (TOP + bottom) / 2.0);
        canvas.text("tested on", middle.0, TOP - 40.0, Align::Center, quiet)?;
        canvas.text_upwards("trained on", MARGIN + 12.0, middle.1, Align::Center, quiet)?;
        let has_own = cells.iter().flatten().any(|cell| cell.chance.is_some());
        let other = if has_own { " or as in the cell" } else { "" };
        let legend = format!(
            "framed: other speakers of the same corpus     \
             white: chance ({:.1}{other}), full blue: 100",
            100.0 * chance
        );
        canvas.text(&legend, left, bottom + 30.0, Align::Left, quiet)
    })
}

/// Area of a cell.
struct Field {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    /// True if training and test corpus are the same.
    own: bool,
}

impl Field {
    fn draw(&self, canvas: &mut Canvas, cell: &MatrixCell, chance: f64) -> Result<()> {
        let Field {
            x,
            y,
            width,
            height,
            ..
        } = *self;
        let chance = cell.chance.unwrap_or(chance);
        let shade = cell.uar.map_or(0.0, |uar| {
            ((uar.mean - chance) / (1.0 - chance)).clamp(0.0, 1.0)
        });
        let fill = mixed(BACKGROUND, BLUE, shade);
        canvas.rect(x + 0.5, y + 0.5, x + width - 0.5, y + height - 0.5, fill)?;
        if self.own {
            let (right, bottom) = (x + width - 3.0, y + height - 3.0);
            let corners = [
                (x + 3.0, y + 3.0),
                (right, y + 3.0),
                (right, bottom),
                (x + 3.0, bottom),
                (x + 3.0, y + 3.0),
            ];
            for ends in corners.windows(2) {
                canvas.line(ends[0], ends[1], 2.0, VERMILION)?;
            }
        }
        let ink = if shade > 0.62 { BACKGROUND } else { INK };
        let (middle, centre) = (x + width / 2.0, y + height / 2.0);
        let Some(uar) = cell.uar else {
            let font = Font::new(TICK_SIZE, QUIET_INK);
            return canvas.text("missing", middle, centre, Align::Center, font);
        };
        let size = LARGEST_NUMBER.min(0.3 * width).min(0.4 * height);
        let number = format!("{:.1}", 100.0 * uar.mean);
        let lines = self.lines(&uar, cell);
        let up = 0.55 * size * lines.len() as f64 / 2.0;
        let font = Font::new(size, ink).bold();
        canvas.text(&number, middle, centre - up, Align::Center, font)?;
        let mut y = centre - up + 0.5 * size + 14.0;
        for line in lines {
            let font = Font::new(TICK_SIZE, soft(ink));
            canvas.text(&line, middle, y, Align::Center, font)?;
            y += 18.0;
        }
        Ok(())
    }

    /// Text lines below the number, as far as there is room for them.
    fn lines(&self, uar: &MeanStd, cell: &MatrixCell) -> Vec<String> {
        let chance = cell.chance;
        let chance = chance.map(|chance| format!("chance {:.1}", 100.0 * chance));
        if self.width < 110.0 || self.height < INTERVAL_HEIGHT {
            return Vec::new();
        }
        let std = uar.std.map(|std| format!("± {:.1}", 100.0 * std));
        let interval = cell
            .interval
            .map(|Interval { low, high }| format!("{:.1} – {:.1}", 100.0 * low, 100.0 * high));
        let lines = [std, interval, chance];
        lines.into_iter().flatten().collect()
    }
}

/// Colour of the lines below a number of the colour `ink`.
fn soft(ink: Color) -> Color {
    if ink == INK { QUIET_INK } else { ink }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(mean: f64) -> MatrixCell {
        MatrixCell {
            uar: Some(MeanStd {
                mean,
                std: Some(0.01),
            }),
            interval: Some(Interval {
                low: mean - 0.05,
                high: mean + 0.05,
            }),
            chance: (mean > 0.4).then_some(0.33),
        }
    }

    #[test]
    fn any_size_and_missing_scores_do_not_panic() {
        for count in [1, 2, 3, 12, 40] {
            let corpora: Vec<String> = (0..count).map(|n| format!("corpus-{n}")).collect();
            let mut cells = vec![vec![cell(0.5); count]; count];
            cells[0][count - 1] = MatrixCell {
                uar: None,
                interval: None,
                chance: None,
            };
            let png = matrix_png("all", &corpora, &cells, 0.25, Some("a note")).unwrap();
            image::load_from_memory(&png).unwrap();
        }
    }
}
