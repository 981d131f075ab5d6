//! Text in pictures, in any script. The built-in font (DejaVu Sans) has Latin, Greek, Cyrillic,
//! Arabic and Hebrew letters. Other letters are drawn with the fonts of the machine; words that no
//! font can draw become numbers with a legend.

mod face;
mod line;
mod missing;

pub use face::Weight;
pub use line::{Line, isolated, line};
pub use missing::{Legend, missing_letters, numbered};
