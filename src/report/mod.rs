//! What a run came to: learning curves, the confusion matrix and the reliability diagram as
//! pictures, the scores as text.
//!
//! The same numbers give the same picture on every machine: the font is part of the program. The
//! caller decides where the bytes go.
//!
//! From the bottom: `style` holds the colours and sizes that all pictures share, `font` the font;
//! `canvas` draws shapes and text, `picture` makes smooth pixels and PNG of them; `axis` finds round
//! ticks, `colors` maps numbers to colours, `header` writes the top of a picture, `plot` one plot of
//! curves. `curves`, `confusion`, `recall` and `reliability` are the pictures of a run, `matrix` that of corpora crossed, `grid` that of a sweep, `recording` and
//! `survey` those of what it hears. `scores` puts the numbers into words, and `results` leaves all of it
//! in the run folder. `page` is all of it in one file for a browser.

mod axis;
mod canvas;
mod colors;
mod confusion;
mod curves;
mod font;
mod grid;
mod header;
mod matrix;
mod page;
mod picture;
mod plot;
mod recall;
mod recording;
mod reliability;
mod results;
mod scores;
mod style;
mod survey;
mod survey_text;

pub use confusion::confusion_png;
pub use curves::{Curves, curves_png};
pub use grid::{GridRow, grid_png};
pub use matrix::{MatrixCell, matrix_png};
pub use page::{Sounds, comparison_page, folds_page, is_own_page, run_page};
pub use picture::is_own_picture;
pub use recall::recall_png;
pub use recording::{Heard, HeardWindow, recording_png};
pub use reliability::reliability_png;
pub use results::{write_curves, write_results};
pub use scores::Report;
pub use survey::survey_png;
pub use survey_text::survey_text;
