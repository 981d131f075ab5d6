//! Picture of the confusion matrix: numbers of clips on the left, percent of each true class on the
//! right.

use anyhow::Result;

use super::canvas::{Align, Canvas};
use super::font::Font;
use super::header::{HEADER_HEIGHT, draw_header};
use super::picture::png;
use super::style::{
    BACKGROUND, BLUE, Color, DEEP_BLUE, FRAME, INK, MARGIN, QUIET_INK, SMALLEST_TEXT, TEXT_SIZE,
    TICK_SIZE, WIDTH, mixed,
};
use crate::evaluation::Metrics;
use crate::plural::counted;

/// Distance between the two halves of the picture.
const GUTTER: f64 = 48.0;
/// Distance between a matrix and its labels.
const GAP: f64 = 9.0;
/// Space left of the row labels for the upright axis title.
const AXIS_TITLE_WIDTH: f64 = 32.0;
/// Space above a matrix for its title.
const TITLE_HEIGHT: f64 = 34.0;
/// Space below the column labels for the axis title.
const BOTTOM_SPACE: f64 = 56.0;
/// Largest width of a class name; longer names are shortened.
const LABEL_WIDTH: f64 = 118.0;
/// Largest side of a matrix.
const LARGEST_SIDE: f64 = 540.0;
/// Largest font size of a number.
const LARGEST_NUMBER: f64 = 18.0;

/// Draws the confusion matrix as a PNG of 1400 × about 700 pixels. The height depends on the length
/// of the class names.
///
/// Rows are true classes, columns are predicted classes. `note` is a warning about the numbers,
/// such as "speakers shared: train/test". Long class names are shortened. With too many classes,
/// the numbers are left out and only the colours remain.
pub fn confusion_png(metrics: &Metrics, title: &str, note: Option<&str>) -> Result<Vec<u8>> {
    let layout = Layout::new(&metrics.classes)?;
    png(WIDTH as usize, layout.height() as usize, |canvas| {
        draw_header(canvas, title, &summary(metrics), note)?;

        let first = MARGIN + AXIS_TITLE_WIDTH + layout.row_label_width + GAP;
        draw_matrix(canvas, first, "Predictions", &layout, &counts(metrics))?;
        let second = first + (WIDTH - 2.0 * MARGIN + GUTTER) / 2.0;
        draw_matrix(
            canvas,
            second,
            "Percent of each true class",
            &layout,
            &shares(metrics),
        )
    })
}

fn summary(metrics: &Metrics) -> String {
    format!(
        "{}     accuracy {:.1} %     UAR {:.1} %     macro-F1 {:.1} %",
        counted(metrics.clips, "prediction"),
        metrics.accuracy * 100.0,
        metrics.uar * 100.0,
        metrics.macro_f1 * 100.0
    )
}

struct Cell {
    text: String,
    /// Colour from white (0) to the darkest blue (1).
    shade: f64,
}

/// Cells with counts; the largest count is darkest.
fn counts(metrics: &Metrics) -> Vec<Vec<Cell>> {
    let largest = metrics
        .confusion
        .iter()
        .flatten()
        .copied()
        .max()
        .unwrap_or(0)
        .max(1);
    let cell = |&count: &u64| Cell {
        text: count.to_string(),
        shade: count as f64 / largest as f64,
    };
    metrics
        .confusion
        .iter()
        .map(|row| row.iter().map(cell).collect())
        .collect()
}

/// Cells with percent of the clips of each true class; "–" for a class without clips.
fn shares(metrics: &Metrics) -> Vec<Vec<Cell>> {
    let row = |(row, support): (&Vec<u64>, u64)| {
        let cell = |&count: &u64| {
            if support == 0 {
                return Cell {
                    text: "–".to_string(),
                    shade: 0.0,
                };
            }
            let share = count as f64 / support as f64;
            Cell {
                text: format!("{:.0}", share * 100.0),
                shade: share,
            }
        };
        row.iter().map(cell).collect()
    };
    let supports = metrics.per_class.iter().map(|class| class.support);
    metrics.confusion.iter().zip(supports).map(row).collect()
}

/// Class names that fit beside the rows and below the columns, and the remaining size of the
/// matrix.
struct Layout {
    labels: Vec<String>,
    font: Font,
    row_label_width: f64,
    column_label_height: f64,
    /// True if the column labels are upright, because one is wider than its column.
    upright: bool,
    /// Side length of a matrix.
    side: f64,
    /// Side length of a cell.
    cell: f64,
}

impl Layout {
    fn new(classes: &[String]) -> Result<Layout> {
        let count = classes.len().max(1) as f64;
        let font = Font::new(TICK_SIZE.min(LARGEST_SIDE / count), INK);
        let mut labels = Vec::new();
        let mut widest: f64 = 0.0;
        for class in classes {
            let label = font.shortened_name(class, LABEL_WIDTH)?;
            widest = widest.max(font.width(&label)?);
            labels.push(label);
        }
        let half = (WIDTH - 2.0 * MARGIN - GUTTER) / 2.0;
        let widest = widest.ceil();
        let mut cell = (half - AXIS_TITLE_WIDTH - widest - GAP).min(LARGEST_SIDE) / count;
        // Whole pixels look sharper. Small cells keep the fraction, which is a large part of their
        // size.
        if cell > 8.0 {
            cell = cell.floor();
        }
        let side = cell * count;
        let upright = widest > cell - 5.0;
        let column_label_height = if upright { widest } else { font.size };
        Ok(Layout {
            labels,
            font,
            row_label_width: widest,
            column_label_height,
            upright,
            side,
            cell,
        })
    }

    fn top(&self) -> f64 {
        HEADER_HEIGHT + TITLE_HEIGHT
    }

    fn height(&self) -> f64 {
        (self.top() + self.side + GAP + self.column_label_height + BOTTOM_SPACE).ceil()
    }
}

fn draw_matrix(
    canvas: &mut Canvas,
    left: f64,
    title: &str,
    layout: &Layout,
    cells: &[Vec<Cell>],
) -> Result<()> {
    let top = layout.top();
    let (right, bottom) = (left + layout.side, top + layout.side);
    let title_font = Font::new(TEXT_SIZE, INK).bold();
    canvas.text(title, left, top - 18.0, Align::Left, title_font)?;

    canvas.rect(left - 1.0, top - 1.0, right + 1.0, bottom + 1.0, FRAME)?;
    canvas.rect(left, top, right, bottom, BACKGROUND)?;
    let size = number_size(cells, layout.cell)?;
    for (row, cells) in cells.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let (x, y) = (
                left + column as f64 * layout.cell,
                top + row as f64 * layout.cell,
            );
            draw_cell(canvas, cell, x, y, layout.cell, size)?;
        }
    }

    draw_labels(canvas, left, layout)?;
    let axis_font = Font::new(TEXT_SIZE, QUIET_INK);
    let (middle_x, middle_y) = ((left + right) / 2.0, (top + bottom) / 2.0);
    let below = bottom + GAP + layout.column_label_height + 26.0;
    let beside = left - GAP - layout.row_label_width - AXIS_TITLE_WIDTH + 8.0;
    canvas.text("predicted", middle_x, below, Align::Center, axis_font)?;
    canvas.text_upwards("truth", beside, middle_y, Align::Center, axis_font)
}

/// Draws row labels at the left and column labels below.
fn draw_labels(canvas: &mut Canvas, left: f64, layout: &Layout) -> Result<()> {
    let font = layout.font;
    if font.size < SMALLEST_TEXT {
        return Ok(());
    }
    let below = layout.top() + layout.side + GAP;
    for (index, label) in layout.labels.iter().enumerate() {
        let middle = (index as f64 + 0.5) * layout.cell;
        canvas.text(label, left - GAP, layout.top() + middle, Align::Right, font)?;
        if layout.upright {
            canvas.text_upwards(label, left + middle, below, Align::Right, font)?;
        } else {
            let y = below + font.size / 2.0;
            canvas.text(label, left + middle, y, Align::Center, font)?;
        }
    }
    Ok(())
}

/// Font size at which every number fits into its cell, or 0 if no number would be readable. Numbers
/// of four or more digits do not reduce the common size below that of three digits; they are drawn
/// smaller.
fn number_size(cells: &[Vec<Cell>], side: f64) -> Result<f64> {
    if side < SMALLEST_TEXT {
        return Ok(0.0);
    }
    let mut size = LARGEST_NUMBER;
    let three_digits = fitting_size("000", side)?;
    for cell in cells.iter().flatten() {
        size = size.min(fitting_size(&cell.text, side)?.max(three_digits));
    }
    Ok(size)
}

fn fitting_size(text: &str, side: f64) -> Result<f64> {
    let width = Font::new(LARGEST_NUMBER, INK).width(text)?;
    Ok((LARGEST_NUMBER * (side - 4.0) / width)
        .min(0.7 * side)
        .min(LARGEST_NUMBER))
}

fn draw_cell(canvas: &mut Canvas, cell: &Cell, x: f64, y: f64, side: f64, size: f64) -> Result<()> {
    // A thin white line separates the cells, unless the cells are very small.
    let inset = if side > 12.0 { 0.5 } else { 0.0 };
    let (right, bottom) = (x + side - inset, y + side - inset);
    canvas.rect(x + inset, y + inset, right, bottom, fill(cell.shade))?;

    if size < SMALLEST_TEXT {
        return Ok(());
    }
    let size = size.min(fitting_size(&cell.text, side)?);
    let font = Font::new(size, number_color(cell));
    canvas.text(
        &cell.text,
        x + side / 2.0,
        y + side / 2.0,
        Align::Center,
        font,
    )
}

/// Colour of a cell from white over blue to deep blue. Blue alone would be too light behind white
/// numbers.
fn fill(shade: f64) -> Color {
    const BLUE_AT: f64 = 0.75;
    if shade < BLUE_AT {
        mixed(BACKGROUND, BLUE, shade / BLUE_AT)
    } else {
        mixed(BLUE, DEEP_BLUE, (shade - BLUE_AT) / (1.0 - BLUE_AT))
    }
}

/// Colour of a number: white on dark cells, black on light cells, grey for zero.
fn number_color(cell: &Cell) -> Color {
    const ZERO: Color = Color(165, 165, 165);
    match cell.text.as_str() {
        "0" | "–" => ZERO,
        _ if cell.shade > 0.62 => BACKGROUND,
        _ => INK,
    }
}
