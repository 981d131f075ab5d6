//! Style of all pictures: colours, and sizes in pixels.

pub use plotters::style::RGBColor as Color;

/// Width of a picture.
pub const WIDTH: f64 = 1400.0;
/// Free space at the left and right edge of a picture.
pub const MARGIN: f64 = 36.0;

pub const TITLE_SIZE: f64 = 24.0;
pub const TEXT_SIZE: f64 = 16.0;
pub const TICK_SIZE: f64 = 14.5;
/// Smallest font size; text that has no room for it is left out.
pub const SMALLEST_TEXT: f64 = 7.0;

pub const BACKGROUND: Color = Color(255, 255, 255);
pub const INK: Color = Color(34, 34, 34);
/// Colour of secondary text: axis titles, ticks, the subtitle of a header.
pub const QUIET_INK: Color = Color(92, 92, 92);
pub const FRAME: Color = Color(150, 150, 150);
pub const GRID: Color = Color(230, 230, 230);
/// Background of the note in a header.
pub const NOTE_BACKGROUND: Color = Color(255, 240, 208);
pub const NOTE_INK: Color = Color(92, 62, 0);

pub const BLUE: Color = Color(0, 114, 178);
pub const VERMILION: Color = Color(213, 94, 0);

/// Darkest colour of a matrix cell.
pub const DEEP_BLUE: Color = Color(0, 72, 124);

/// Colours of curves: those of Okabe and Ito ("Color Universal Design", 2008), which are
/// distinguishable with every kind of colour vision. A grey replaces their yellow, which is not
/// visible on white.
pub const PALETTE: [Color; 8] = [
    BLUE,
    VERMILION,
    Color(0, 158, 115),
    Color(204, 121, 167),
    Color(230, 159, 0),
    Color(86, 180, 233),
    Color(0, 0, 0),
    Color(153, 153, 153),
];

/// Mixture of two colours: `from` at a share of 0, `to` at a share of 1.
pub fn mixed(from: Color, to: Color, share: f64) -> Color {
    let mix = |from: u8, to: u8| {
        (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8
    };
    Color(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}
