//! Trained on one corpus, tested on another: a field for each pair.

use anyhow::Result;

use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::style::{
    BACKGROUND, BLUE, Color, FRAME, INK, MARGIN, QUIET_INK, TEXT_SIZE, TICK_SIZE, VERMILLION,
    WIDTH, mixed,
};
use crate::evaluation::{Interval, Spread};

const NAMES: f64 = 170.0;
const AXIS_TITLE: f64 = 34.0;
/// Above the fields, for the names of the columns and what they are.
const TOP: f64 = HEADER_HEIGHT + 62.0;
const BOTTOM_SPACE: f64 = 62.0;
const TALLEST: f64 = 150.0;
const LOWEST: f64 = 46.0;
const LARGEST_NUMBER: f64 = 30.0;
/// Fields of fewer pixels have no room for an interval.
const ROOM: f64 = 76.0;

/// What a training on one corpus comes to on another.
#[derive(Debug, Clone)]
pub struct MatrixCell {
    /// UAR over the seeds; none before a training is done.
    pub uar: Option<Spread>,
    /// Its 95 % interval over speakers.
    pub interval: Option<Interval>,
}

/// Draws UARs as a PNG of 1400 pixels' width: a row for what was trained on, a column for what was tested
/// on. The colour goes from white, at `chance`, to blue. A field on the diagonal is framed: there the
/// speakers that test are a corpus' own.
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
    let height = (width * 0.5).clamp(LOWEST, TALLEST);
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
            let beside = names.shortened(corpus, NAMES - 16.0)?;
            let y = TOP + (index as f64 + 0.5) * height;
            canvas.text(&beside, left - 10.0, y, Align::Right, names)?;
            let above = names.shortened(corpus, width - 8.0)?;
            let x = left + (index as f64 + 0.5) * width;
            canvas.text(&above, x, TOP - 14.0, Align::Center, names)?;
        }
        let quiet = Font::new(TEXT_SIZE, QUIET_INK);
        let middle = ((left + right) / 2.0, (TOP + bottom) / 2.0);
        canvas.text("tested on", middle.0, TOP - 40.0, Align::Center, quiet)?;
        canvas.text_upwards("trained on", MARGIN + 12.0, middle.1, Align::Center, quiet)?;
        let legend = format!(
            "framed: speakers of the same corpus, never heard     white: chance ({:.1}), full blue: 100",
            100.0 * chance
        );
        canvas.text(&legend, left, bottom + 30.0, Align::Left, quiet)
    })
}

struct Field {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
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
                canvas.line(ends[0], ends[1], 2.0, VERMILLION)?;
            }
        }
        let ink = match shade > 0.62 {
            true => BACKGROUND,
            false => INK,
        };
        let (middle, centre) = (x + width / 2.0, y + height / 2.0);
        let Some(uar) = cell.uar else {
            let font = Font::new(TICK_SIZE, QUIET_INK);
            return canvas.text("not yet", middle, centre, Align::Center, font);
        };
        let size = LARGEST_NUMBER.min(0.3 * width).min(0.4 * height);
        let number = format!("{:.1}", 100.0 * uar.mean);
        let lines = self.lines(&uar, cell.interval);
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

    /// What there is room for below the number.
    fn lines(&self, uar: &Spread, interval: Option<Interval>) -> Vec<String> {
        if self.width < 110.0 || self.height < ROOM {
            return Vec::new();
        }
        let deviation = uar.deviation.map(|d| format!("± {:.1}", 100.0 * d));
        let interval = interval
            .map(|Interval { low, high }| format!("{:.1} – {:.1}", 100.0 * low, 100.0 * high));
        deviation.into_iter().chain(interval).collect()
    }
}

/// A little less than the number above it.
fn soft(ink: Color) -> Color {
    match ink == INK {
        true => QUIET_INK,
        false => ink,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(mean: f64) -> MatrixCell {
        MatrixCell {
            uar: Some(Spread {
                mean,
                deviation: Some(0.01),
            }),
            interval: Some(Interval {
                low: mean - 0.05,
                high: mean + 0.05,
            }),
        }
    }

    #[test]
    fn is_drawn_of_any_size_and_before_it_is_done() {
        for count in [1, 2, 3, 12, 40] {
            let corpora: Vec<String> = (0..count).map(|n| format!("corpus-{n}")).collect();
            let mut cells = vec![vec![cell(0.5); count]; count];
            cells[0][count - 1] = MatrixCell {
                uar: None,
                interval: None,
            };
            let png = matrix_png("all", &corpora, &cells, 0.25, Some("a note")).unwrap();
            assert!(png.starts_with(b"\x89PNG"), "{count}");
        }
    }
}
