//! The header of every picture: a title, a subtitle in grey, and a highlighted note.

use anyhow::Result;

use super::canvas::{Align, Canvas};
use super::font::Font;
use super::style::{
    INK, MARGIN, NOTE_BACKGROUND, NOTE_INK, QUIET_INK, TEXT_SIZE, TITLE_SIZE, WIDTH,
};

/// Height of the header; the content of a picture starts below it.
pub const HEADER_HEIGHT: f64 = 78.0;

const TITLE_Y: f64 = 32.0;
const SUBTITLE_Y: f64 = 60.0;
/// Distance between the title and the note.
const GUTTER: f64 = 24.0;

/// Draws `title` and `subtitle` at the left and `note` in a box at the right.
pub fn draw_header(
    canvas: &mut Canvas,
    title: &str,
    subtitle: &str,
    note: Option<&str>,
) -> Result<()> {
    let mut free = WIDTH - 2.0 * MARGIN;
    let title_font = Font::new(TITLE_SIZE, INK).bold();
    if let Some(note) = note.filter(|note| !note.trim().is_empty()) {
        // A note is shortened before the title, which usually has the result.
        let beside_title = free - title_font.width(title)? - GUTTER;
        free -= draw_note(canvas, note, beside_title)? + GUTTER;
    }
    let title = title_font.shortened(title, free)?;
    canvas.text(&title, MARGIN, TITLE_Y, Align::Left, title_font)?;

    let subtitle_font = Font::new(TEXT_SIZE, QUIET_INK);
    let subtitle = subtitle_font.shortened(subtitle, WIDTH - 2.0 * MARGIN)?;
    canvas.text(&subtitle, MARGIN, SUBTITLE_Y, Align::Left, subtitle_font)
}

/// Draws the box of the note, and returns its width: if possible at most `free`, and between a quarter
/// and half of the picture.
fn draw_note(canvas: &mut Canvas, note: &str, free: f64) -> Result<f64> {
    const PADDING: f64 = 14.0;
    const HALF_HEIGHT: f64 = 15.0;
    let font = Font::new(TEXT_SIZE, NOTE_INK);
    let most = (free - 2.0 * PADDING).clamp(WIDTH / 4.0, WIDTH / 2.0);
    let note = font.shortened(note, most)?;
    let width = font.width(&note)? + 2.0 * PADDING;

    let (left, right) = (WIDTH - MARGIN - width, WIDTH - MARGIN);
    // A thick line with round ends is a box with round sides.
    canvas.line(
        (left + HALF_HEIGHT, TITLE_Y),
        (right - HALF_HEIGHT, TITLE_Y),
        2.0 * HALF_HEIGHT,
        NOTE_BACKGROUND,
    )?;
    canvas.text(&note, left + PADDING, TITLE_Y, Align::Left, font)?;
    Ok(width)
}
