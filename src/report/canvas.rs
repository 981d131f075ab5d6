//! Drawing of shapes and text. Coordinates are pixels of the finished picture from its top left
//! corner; fractions are allowed.

use ab_glyph::{Font as _, point};
use anyhow::Result;
use plotters::backend::{BitMapBackend, DrawingBackend};
pub use plotters::style::text_anchor::HPos as Align;
use plotters::style::text_anchor::{Pos, VPos};
use plotters::style::{Color as _, FontTransform, ShapeStyle};

use super::axis::Axis;
use super::font::{BASELINE_BELOW_MIDDLE, CAPITALS_BELOW_ORIGIN, Font};
use super::picture::SCALE;
use super::style::{Color, FRAME, GRID, QUIET_INK, TICK_SIZE, VERMILION};
use super::text::{Legend, Line};

/// The drawing area of a picture; see [`png`](super::picture::png).
pub struct Canvas<'a> {
    backend: BitMapBackend<'a>,
    /// Numbers that were drawn in place of words.
    pub legend: Legend,
}

impl<'a> Canvas<'a> {
    /// A canvas that draws into `buffer`, which has three bytes for each of `width` × `height` ×
    /// SCALE² pixels.
    pub fn new(buffer: &'a mut [u8], width: usize, height: usize) -> Canvas<'a> {
        let size = ((width * SCALE) as u32, (height * SCALE) as u32);
        Canvas {
            backend: BitMapBackend::with_buffer(buffer, size),
            legend: Legend::default(),
        }
    }

    /// Fills the rectangle from (left, top) to (right, bottom).
    pub fn rect(
        &mut self,
        left: f64,
        top: f64,
        right: f64,
        bottom: f64,
        color: Color,
    ) -> Result<()> {
        let (from, to) = ((scaled(left), scaled(top)), (scaled(right), scaled(bottom)));
        self.backend.draw_rect(from, to, &color, true)?;
        Ok(())
    }

    /// Fills the rectangle with `columns` × `rows` cells. `color` gets column and row; row 0 is at
    /// the bottom.
    pub fn grid(
        &mut self,
        (left, top, right, bottom): (f64, f64, f64, f64),
        (columns, rows): (usize, usize),
        color: impl Fn(usize, usize) -> Color,
    ) -> Result<()> {
        let x = |column: usize| left + (right - left) * column as f64 / columns as f64;
        let y = |row: usize| bottom - (bottom - top) * row as f64 / rows as f64;
        for column in 0..columns {
            for row in 0..rows {
                self.rect(
                    x(column),
                    y(row + 1),
                    x(column + 1),
                    y(row),
                    color(column, row),
                )?;
            }
        }
        Ok(())
    }

    /// Fills the circle with the centre (x, y).
    pub fn disc(&mut self, x: f64, y: f64, radius: f64, color: Color) -> Result<()> {
        let radius = scaled(radius).max(1) as u32;
        self.backend
            .draw_circle((scaled(x), scaled(y)), radius, &color, true)?;
        Ok(())
    }

    /// Draws a straight line with round ends.
    pub fn line(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        thickness: f64,
        color: Color,
    ) -> Result<()> {
        let width = scaled(thickness).max(1) as u32;
        let (start, end) = (
            (scaled(from.0), scaled(from.1)),
            (scaled(to.0), scaled(to.1)),
        );
        let stroke = ShapeStyle::from(color).stroke_width(width);
        self.backend.draw_line(start, end, &stroke)?;
        for point in [start, end] {
            self.backend.draw_circle(point, width / 2, &color, true)?;
        }
        Ok(())
    }

    /// Draws a line through all points, with round bends. A single point becomes a dot.
    pub fn polyline(&mut self, points: &[(f64, f64)], thickness: f64, color: Color) -> Result<()> {
        if let [(x, y)] = *points {
            return self.disc(x, y, thickness * 1.5, color);
        }
        for pair in points.windows(2) {
            self.line(pair[0], pair[1], thickness, color)?;
        }
        Ok(())
    }

    /// Like [`polyline`](Self::polyline), in dashes of `dash` pixels with gaps of the same length.
    pub fn dashed(
        &mut self,
        points: &[(f64, f64)],
        dash: f64,
        thickness: f64,
        color: Color,
    ) -> Result<()> {
        if points.len() == 1 {
            return self.polyline(points, thickness, color);
        }
        // Distance along the line, so that a dash continues around a bend.
        let mut travelled = 0.0;
        for pair in points.windows(2) {
            let (dx, dy) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            let length = dx.hypot(dy);
            let end = travelled + length;
            let mut start = travelled;
            while start < end {
                let piece = (start / dash).floor();
                let stop = ((piece + 1.0) * dash).min(end).max(start + 0.01);
                if piece % 2.0 == 0.0 {
                    let at = |distance: f64| {
                        let share = (distance - travelled) / length;
                        (pair[0].0 + share * dx, pair[0].1 + share * dy)
                    };
                    self.line(at(start), at(stop.min(end)), thickness, color)?;
                }
                start = stop;
            }
            travelled = end;
        }
        Ok(())
    }

    /// Draws an interval: a horizontal line with ends that reach `half` pixels up and down.
    pub fn whisker(&mut self, (left, right): (f64, f64), y: f64, half: f64) -> Result<()> {
        self.line((left, y), (right, y), 2.0, VERMILION)?;
        for x in [left, right] {
            self.line((x, y - half), (x, y + half), 2.0, VERMILION)?;
        }
        Ok(())
    }

    /// Draws the ticks of a horizontal axis, with their labels below `bottom`. `x` gives the
    /// position of a value. The ticks are lines across the chart, from `top` to `bottom`; without
    /// `top` they are short marks below the chart.
    pub fn ticks_below(
        &mut self,
        axis: &Axis,
        x: impl Fn(f64) -> f64,
        top: Option<f64>,
        bottom: f64,
    ) -> Result<()> {
        let font = Font::new(TICK_SIZE, QUIET_INK);
        let (from, to, color) = match top {
            Some(top) => (top, bottom, GRID),
            None => (bottom, bottom + 5.0, FRAME),
        };
        for tick in &axis.ticks {
            let x = x(tick.value);
            self.line((x, from), (x, to), 1.0, color)?;
            self.text(&tick.label, x, bottom + 17.0, Align::Center, font)?;
        }
        Ok(())
    }

    /// Draws a text whose left end, right end or middle is at `x`. Its capitals are centred on `y`.
    pub fn text(&mut self, text: &str, x: f64, y: f64, align: Align, font: Font) -> Result<()> {
        let text = font.drawable(text);
        self.legend.add(&text);
        if let Some(line) = font.line(&text) {
            let baseline = y + font.size * BASELINE_BELOW_MIDDLE;
            let start = x - line.width * font.em() * fraction_before(align);
            let (left, top) = (scaled(start), scaled(baseline));
            return self.glyphs(&line, font, |right, down| (left + right, top + down));
        }
        let top = y - font.size * CAPITALS_BELOW_ORIGIN;
        let style = font.style()?.pos(Pos::new(align, VPos::Top));
        self.backend
            .draw_text(&text, &style, (scaled(x), scaled(top)))?;
        Ok(())
    }

    /// Like [`text`](Self::text), but reads from bottom to top: its start, end or middle is at `y`,
    /// and its capitals are centred on `x`.
    pub fn text_upwards(
        &mut self,
        text: &str,
        x: f64,
        y: f64,
        align: Align,
        font: Font,
    ) -> Result<()> {
        let text = font.drawable(text);
        self.legend.add(&text);
        if let Some(line) = font.line(&text) {
            let baseline = x + font.size * BASELINE_BELOW_MIDDLE;
            let start = y + line.width * font.em() * fraction_before(align);
            let (left, bottom) = (scaled(baseline), scaled(start));
            return self.glyphs(&line, font, |right, down| (left + down, bottom - right));
        }
        let left = x - font.size * CAPITALS_BELOW_ORIGIN;
        let style = font
            .style()?
            .transform(FontTransform::Rotate270)
            .pos(Pos::new(align, VPos::Top));
        self.backend
            .draw_text(&text, &style, (scaled(left), scaled(y)))?;
        Ok(())
    }

    /// Draws the glyphs of a line. `place` gives the pixel for a distance to the right of the start
    /// of the baseline and below it.
    fn glyphs(
        &mut self,
        line: &Line,
        font: Font,
        place: impl Fn(i32, i32) -> (i32, i32),
    ) -> Result<()> {
        let em = font.em() * SCALE as f64;
        for placed in &line.glyphs {
            let outlines = &placed.face.outlines;
            let height = f64::from(outlines.height_unscaled()) / placed.face.units_per_em;
            let glyph = placed.glyph.with_scale_and_position(
                (em * height) as f32,
                point((em * placed.x) as f32, (em * placed.y) as f32),
            );
            let Some(outline) = outlines.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            let (left, top) = (corner.x as i32, corner.y as i32);
            let mut pixels = Vec::new();
            outline.draw(|x, y, coverage| pixels.push((x as i32, y as i32, coverage)));
            for (x, y, coverage) in pixels {
                let color = font.color.mix(f64::from(coverage)).to_backend_color();
                self.backend.draw_pixel(place(left + x, top + y), color)?;
            }
        }
        Ok(())
    }
}

/// The fraction of a text that is before its anchor.
fn fraction_before(align: Align) -> f64 {
    match align {
        Align::Left => 0.0,
        Align::Center => 0.5,
        Align::Right => 1.0,
    }
}

fn scaled(length: f64) -> i32 {
    (length * SCALE as f64).round() as i32
}
