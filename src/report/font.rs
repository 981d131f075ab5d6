//! The one font of all pictures. It is part of the program, so that every machine draws the same.

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

/// plotters puts the base line half a font size below the position of a text. Capitals of DejaVu
/// rise 0.626 of the font size above it, so their middle lies here.
pub const CAPITALS_BELOW_ORIGIN: f64 = 0.5 - 0.626 / 2.0;

/// How a text looks. `size` is the height of a line, about 1.16 em.
#[derive(Debug, Clone, Copy)]
pub struct Font {
    pub size: f64,
    pub color: Color,
    pub bold: bool,
}

impl Font {
    /// A regular font.
    pub fn new(size: f64, color: Color) -> Font {
        Font {
            size,
            color,
            bold: false,
        }
    }

    pub fn bold(self) -> Font {
        Font { bold: true, ..self }
    }

    /// Every text is measured or drawn through here, so that none comes before the font.
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

    /// `text`, or as much of its beginning as fits `width` together with an ellipsis.
    pub fn shortened(&self, text: &str, width: f64) -> Result<String> {
        let text = printable(text);
        if self.width(&text)? <= width {
            return Ok(text);
        }
        let mut kept: Vec<char> = text.chars().collect();
        // Nobody reads more, and each try below measures the whole text.
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

/// Line breaks and other control characters have no glyph.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
