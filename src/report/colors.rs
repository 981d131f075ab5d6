//! Colour maps: a number from 0 to 1 → a colour. Both maps are readable with every kind of colour
//! vision and in grey.

use super::style::Color;

/// Colour of a level from quiet (0) to loud (1): black, purple, orange, pale yellow. Equal steps
/// look equal ("magma" by van der Walt and Smith, 2015).
pub fn loudness(share: f64) -> Color {
    color(colorous::MAGMA.eval_continuous(share.clamp(0.0, 1.0)))
}

/// Colour of a deviation from far below (0) to far above the mean (1): purple, white at 0.5, orange
/// ("PuOr" of ColorBrewer).
pub fn deviation(share: f64) -> Color {
    color(colorous::PURPLE_ORANGE.eval_continuous(1.0 - share.clamp(0.0, 1.0)))
}

fn color(color: colorous::Color) -> Color {
    Color(color.r, color.g, color.b)
}
