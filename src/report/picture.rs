//! A drawing as PNG with smooth edges. A picture is drawn SCALE times as large and averaged down,
//! because the bitmap backend of plotters sets only whole pixels: lines would be jagged and the
//! letters of a word would not be on one line.

use std::path::Path;

use anyhow::Result;

use super::canvas::{Align, Canvas};
use super::font::Font;
use super::style::{BACKGROUND, INK, MARGIN, TICK_SIZE};
use super::text::Legend;
use crate::run::beginning;

/// Each pixel of a picture is the mean of SCALE × SCALE drawn pixels.
pub const SCALE: usize = 3;
const BYTES_PER_PIXEL: usize = 3;

/// Draws a picture of `width` × `height` pixels with `paint` and returns it as PNG.
pub fn png(
    width: usize,
    height: usize,
    paint: impl FnOnce(&mut Canvas) -> Result<()>,
) -> Result<Vec<u8>> {
    let (mut pixels, legend) = painted(width, height, paint)?;
    let lines = legend_lines(&legend, width as f64)?;
    if lines.is_empty() {
        return encode(&pixels, width, height);
    }
    let (line, margin) = (1.5 * TICK_SIZE, TICK_SIZE);
    let strip = (line * lines.len() as f64 + margin) as usize;
    let (strip_pixels, _) = painted(width, strip, |canvas| {
        for (row, text) in lines.iter().enumerate() {
            let y = line * (row as f64 + 0.5);
            canvas.text(text, MARGIN, y, Align::Left, Font::new(TICK_SIZE, INK))?;
        }
        Ok(())
    })?;
    pixels.extend(strip_pixels);
    encode(&pixels, width, height + strip)
}

/// The pixels of a drawing, and the words that are numbers in it.
fn painted(
    width: usize,
    height: usize,
    paint: impl FnOnce(&mut Canvas) -> Result<()>,
) -> Result<(Vec<u8>, Legend)> {
    let mut large = vec![255; width * height * SCALE * SCALE * BYTES_PER_PIXEL];
    let mut canvas = Canvas::new(&mut large, width, height);
    canvas.rect(0.0, 0.0, width as f64, height as f64, BACKGROUND)?;
    paint(&mut canvas)?;
    let legend = std::mem::take(&mut canvas.legend);
    drop(canvas);
    Ok((averaged_down(&large, width, height), legend))
}

/// The entries of a legend, as many beside each other as fit.
fn legend_lines(legend: &Legend, width: f64) -> Result<Vec<String>> {
    let font = Font::new(TICK_SIZE, INK);
    let free = width - 2.0 * MARGIN;
    let mut lines: Vec<String> = Vec::new();
    for entry in legend.entries() {
        let longer = lines.last().map(|line| format!("{line}    {entry}"));
        match (lines.last_mut(), longer) {
            (Some(line), Some(longer)) if font.width(&longer)? <= free => *line = longer,
            _ => lines.push(font.shortened(&entry, free)?),
        }
    }
    Ok(lines)
}

/// The mean of each SCALE × SCALE square of pixels.
fn averaged_down(large: &[u8], width: usize, height: usize) -> Vec<u8> {
    let large_row = width * SCALE * BYTES_PER_PIXEL;
    let mut pixels = Vec::with_capacity(width * height * BYTES_PER_PIXEL);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..BYTES_PER_PIXEL {
                let mut sum = 0;
                for dy in 0..SCALE {
                    for dx in 0..SCALE {
                        let column = (x * SCALE + dx) * BYTES_PER_PIXEL + channel;
                        sum += usize::from(large[(y * SCALE + dy) * large_row + column]);
                    }
                }
                pixels.push(((sum + SCALE * SCALE / 2) / (SCALE * SCALE)) as u8);
            }
        }
    }
    pixels
}

/// The pixels as PNG, with the strongest compression and the [`MARK`].
fn encode(pixels: &[u8], width: usize, height: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Best);
    encoder.set_filter(png::FilterType::NoFilter);
    let (keyword, text) = MARK;
    encoder.add_text_chunk(keyword.into(), text.into())?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Text in a picture that emovox drew. Its chunk is the second one, behind the header.
const MARK: (&str, &str) = ("Software", "emovox");
/// The beginning of that chunk: its length and name, and keyword, zero, text (PNG 1.2, section
/// 4.2.3).
const MARK_CHUNK: &[u8] = b"\0\0\0\x0ftEXtSoftware\0emovox";
/// Length in bytes of the PNG signature and the header (IHDR), which is always the first chunk.
const HEADER: usize = 8 + 25;

/// True for a picture that emovox drew.
pub fn is_own_picture(path: &Path) -> bool {
    let beginning = beginning(path, (HEADER + MARK_CHUNK.len()) as u64);
    beginning.starts_with(b"\x89PNG") && beginning.ends_with(MARK_CHUNK)
}
