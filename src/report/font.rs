//! The font of all pictures. It is part of the program, so that pictures are the same on every
//! machine, unless they have letters that only the fonts of the machine have ([`text`]).

use std::sync::LazyLock;

use anyhow::{Result, ensure};
use plotters::style::{FontDesc, FontFamily, FontStyle, TextStyle, register_font};

use super::picture::SCALE;
use super::style::Color;
use super::text::{Line, Weight, line, numbered};

const FONT: &str = "emovox";
static FONT_IS_READY: LazyLock<bool> = LazyLock::new(|| {
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok()
        && register_font(FONT, FontStyle::Bold, dejavu::sans::bold()).is_ok()
});

/// Distance of the middle of capitals below the position of a text, relative to the font size.
/// plotters puts the baseline half a font size below the position, and capitals of DejaVu are 0.626
/// of the font size high.
pub const CAPITALS_BELOW_ORIGIN: f64 = 0.5 - CAPITAL_HEIGHT / 2.0;
/// Distance of the baseline below the middle of capitals, relative to the font size.
pub const BASELINE_BELOW_MIDDLE: f64 = CAPITAL_HEIGHT / 2.0;
/// Height of capitals of DejaVu, relative to the font size.
const CAPITAL_HEIGHT: f64 = 0.626;
/// Height of a line of DejaVu in em: (1901 + 483) / 2048.
const LINE_HEIGHT: f64 = 1.164;

/// Size, colour and weight of a text.
#[derive(Debug, Clone, Copy)]
pub struct Font {
    /// Height of a line in pixels, about 1.16 em.
    pub size: f64,
    pub color: Color,
    pub weight: Weight,
}

impl Font {
    /// A font of regular weight.
    pub fn new(size: f64, color: Color) -> Font {
        Font {
            size,
            color,
            weight: Weight::Regular,
        }
    }

    /// The same font in bold.
    pub fn bold(self) -> Font {
        Font {
            weight: Weight::Bold,
            ..self
        }
    }

    /// The style for plotters. Every measured or drawn text uses it, so the font is always
    /// registered before.
    ///
    /// # Errors
    /// If the built-in font cannot be read.
    pub fn style(&self) -> Result<TextStyle<'static>> {
        ensure!(*FONT_IS_READY, "the built-in font cannot be read");
        let weight = match self.weight {
            Weight::Regular => FontStyle::Normal,
            Weight::Bold => FontStyle::Bold,
        };
        let font = FontDesc::new(FontFamily::Name(FONT), self.size * SCALE as f64, weight);
        Ok(font.color(&self.color))
    }

    /// Length of an em in pixels.
    pub fn em(&self) -> f64 {
        self.size / LINE_HEIGHT
    }

    /// `text` as it is drawn: without control characters, and with numbers in place of words that
    /// no font has.
    pub fn drawable(&self, text: &str) -> String {
        numbered(&printable(text), self.weight)
    }

    /// The glyphs of a drawable text, unless plotters draws it.
    pub fn line(&self, drawable: &str) -> Option<Line> {
        line(drawable, self.weight)
    }

    /// Width of `text` in pixels.
    pub fn width(&self, text: &str) -> Result<f64> {
        self.width_of_drawable(&self.drawable(text))
    }

    fn width_of_drawable(&self, text: &str) -> Result<f64> {
        if let Some(line) = self.line(text) {
            return Ok(line.width * self.em());
        }
        let (width, _) = self.style()?.font.box_size(text)?;
        Ok(f64::from(width) / SCALE as f64)
    }

    /// `text` if it fits into `width` pixels; otherwise its beginning and an ellipsis.
    pub fn shortened(&self, text: &str, width: f64) -> Result<String> {
        self.fitted(text, width, |letters, kept| {
            let beginning: String = letters[..kept].iter().collect();
            beginning.trim_end().to_string() + "…"
        })
    }

    /// A name if it fits into `width` pixels; otherwise its beginning, an ellipsis and its end, because
    /// names often have a common beginning.
    pub fn shortened_name(&self, name: &str, width: f64) -> Result<String> {
        self.fitted(name, width, without_middle)
    }

    /// `text` if it fits into `width` pixels; otherwise the longest of its short forms that fits.
    fn fitted(
        &self,
        text: &str,
        width: f64,
        short: impl Fn(&[char], usize) -> String,
    ) -> Result<String> {
        let text = self.drawable(text);
        if self.width_of_drawable(&text)? <= width {
            return Ok(text);
        }
        let letters: Vec<char> = text.chars().collect();
        // No picture has room for more, and each step of the loop measures the complete text.
        for kept in (0..letters.len().min(400)).rev() {
            let short = short(&letters, kept);
            if self.width_of_drawable(&short)? <= width {
                return Ok(short);
            }
        }
        Ok(String::new())
    }
}

/// The first and last letters of a name, `kept` together, with an ellipsis between them.
pub(super) fn without_middle(letters: &[char], kept: usize) -> String {
    let (beginning, end) = (kept.div_ceil(2), letters.len() - kept / 2);
    let beginning: String = letters[..beginning].iter().collect();
    let end: String = letters[end..].iter().collect();
    format!("{}…{}", beginning.trim_end(), end.trim_start())
}

/// The text with spaces for line breaks and other control characters, which have no glyph.
fn printable(text: &str) -> String {
    let has_no_glyph = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars()
        .map(|c| if has_no_glyph(c) { ' ' } else { c })
        .collect()
}
