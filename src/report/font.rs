//! The font of all pictures. It is part of the program, so that pictures are the same on every
//! machine.

use std::sync::LazyLock;

use anyhow::{Result, ensure};
use plotters::style::{FontDesc, FontFamily, FontStyle, TextStyle, register_font};

use super::picture::SCALE;
use super::style::Color;

const FONT: &str = "emovox";
static FONT_IS_READY: LazyLock<bool> = LazyLock::new(|| {
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok()
        && register_font(FONT, FontStyle::Bold, dejavu::sans::bold()).is_ok()
});

/// Distance of the middle of capitals below the position of a text, relative to the font size.
/// plotters puts the baseline half a font size below the position, and capitals of DejaVu are 0.626
/// of the font size high.
pub const CAPITALS_BELOW_ORIGIN: f64 = 0.5 - 0.626 / 2.0;

/// Size, colour and weight of a text.
#[derive(Debug, Clone, Copy)]
pub struct Font {
    /// Height of a line in pixels, about 1.16 em.
    pub size: f64,
    pub color: Color,
    pub bold: bool,
}

impl Font {
    /// A font of regular weight.
    pub fn new(size: f64, color: Color) -> Font {
        Font {
            size,
            color,
            bold: false,
        }
    }

    /// The same font in bold.
    pub fn bold(self) -> Font {
        Font { bold: true, ..self }
    }

    /// The style for plotters. Every measured or drawn text uses it, so the font is always
    /// registered before.
    ///
    /// # Errors
    /// If the built-in font cannot be read.
    pub fn style(&self) -> Result<TextStyle<'static>> {
        ensure!(*FONT_IS_READY, "the built-in font cannot be read");
        let weight = if self.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        let font = FontDesc::new(FontFamily::Name(FONT), self.size * SCALE as f64, weight);
        Ok(font.color(&self.color))
    }

    /// Width of `text` in pixels.
    pub fn width(&self, text: &str) -> Result<f64> {
        let (width, _) = self.style()?.font.box_size(&printable(text))?;
        Ok(f64::from(width) / SCALE as f64)
    }

    /// `text` if it fits into `width` pixels; otherwise its beginning and an ellipsis.
    pub fn shortened(&self, text: &str, width: f64) -> Result<String> {
        let text = printable(text);
        if self.width(&text)? <= width {
            return Ok(text);
        }
        let mut kept: Vec<char> = text.chars().collect();
        // No picture has room for more, and each step of the loop measures the complete text.
        kept.truncate(400);
        while kept.pop().is_some() {
            let short = kept.iter().collect::<String>().trim_end().to_string() + "…";
            if self.width(&short)? <= width {
                return Ok(short);
            }
        }
        Ok(String::new())
    }
}

/// The text with spaces for line breaks and other control characters, which have no glyph.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
