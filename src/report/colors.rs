//! Colour maps: from a share of the way to a colour. Both are told apart with every kind of colour
//! vision, and in grey.

use super::style::Color;

/// Quiet to loud: black over purple and orange to a pale yellow. Equal steps look equal ("magma" by
/// van der Walt and Smith, 2015).
pub fn loudness(share: f64) -> Color {
    color(colorous::MAGMA.eval_continuous(share.clamp(0.0, 1.0)))
}

/// Below to above the middle, which is white: purple to orange ("PuOr" of ColorBrewer).
pub fn deviation(share: f64) -> Color {
    color(colorous::PURPLE_ORANGE.eval_continuous(1.0 - share.clamp(0.0, 1.0)))
}

fn color(color: colorous::Color) -> Color {
    Color(color.r, color.g, color.b)
}
