//! Reports of results: pictures (PNG), text, JSON and HTML.
//!
//! The same numbers give the same picture on every machine, because the font is part of the
//! program. The functions return bytes; the caller writes them to a file.
//!
//! The modules, from the bottom:
//!
//! - `style` has the colours and sizes of all pictures, `text` finds the glyphs of a text in any
//!   script, `font` is the font;
//! - `axis` finds round ticks, `canvas` draws shapes, text and ticks, `picture` makes a smooth PNG
//!   of a drawing;
//! - `colors` maps numbers to colours, `header` draws the top of a picture, `plot` draws curves;
//! - `curves`, `confusion`, `recall`, `reliability` and `stress_png` are the pictures of a run,
//!   `matrix` is that of a cross-corpus evaluation, `grid` that of a sweep, `recording` and
//!   `corpus_stats` are those of a recording and a corpus;
//! - `scores` is the text and JSON report, `stress` that of a stress test, `corpus_stats_text` is
//!   the text about a corpus, `results` writes everything into the run folder;
//! - `page` is the HTML page.

mod axis;
mod canvas;
mod colors;
mod confusion;
mod corpus_stats;
mod corpus_stats_text;
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
mod stress;
mod stress_png;
mod style;
mod text;

pub use confusion::confusion_png;
pub use corpus_stats::corpus_stats_png;
pub use corpus_stats_text::corpus_stats_text;
pub use curves::{Curves, curves_png};
pub use grid::{GridRow, grid_png};
pub use matrix::{MatrixCell, matrix_png};
pub use page::{ClipsPage, Sounds, comparison_page, folds_page, is_own_page, run_page};
pub use picture::is_own_picture;
pub use recall::recall_png;
pub use recording::{RecordingPredictions, WindowPrediction, recording_png};
pub use reliability::reliability_png;
pub use results::{write_curves, write_results};
pub use scores::{Report, joined_notes};
pub use stress::{StressReport, StressRow, change, is_own_stress, write_stress};
pub use stress_png::stress_png;
pub use text::{isolated, missing_letters};
