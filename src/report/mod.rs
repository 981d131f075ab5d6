//! What a run came to: learning curves, the confusion matrix and the reliability diagram as
//! pictures, the scores as text.
//!
//! The same numbers give the same picture on every machine: the font is part of the program. The
//! caller decides where the bytes go.
//!
//! From the bottom: `style` holds the colours and sizes that all pictures share, `font` the font;
//! `canvas` draws shapes and text, `picture` makes smooth pixels and PNG of them; `axis` finds round
//! ticks, `header` writes the top of a picture, `plot` one plot of curves. `curves`, `confusion` and
//! `reliability` are the pictures. `scores` puts the numbers into words, and `results` leaves all of it in the run
//! folder.

mod axis;
mod canvas;
mod confusion;
mod curves;
mod font;
mod header;
mod picture;
mod plot;
mod reliability;
mod results;
mod scores;
mod style;

pub use confusion::confusion_png;
pub use curves::{Curves, curves_png};
pub use reliability::reliability_png;
pub use results::{write_curves, write_results};
pub use scores::Report;
