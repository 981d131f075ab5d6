//! One line of text as glyphs with positions: letters that join or change their order, marks above
//! letters, and text from right to left.

use std::ops::Range;

use ab_glyph::GlyphId;
use harfrust::{Buffer, Direction, ShapeOptions, ShaperFont};
use unicode_bidi::{BidiClass, ParagraphBidiInfo, bidi_class};

use super::face::{Face, Weight, built_in, face_for};

/// A line of text. All lengths are fractions of an em.
#[derive(Default)]
pub struct Line {
    /// The glyphs from left to right.
    pub glyphs: Vec<PlacedGlyph>,
    /// Width of the line.
    pub width: f64,
}

/// A glyph with its position, from the left end of the baseline; `y` points down.
pub struct PlacedGlyph {
    pub face: &'static Face,
    pub glyph: GlyphId,
    pub x: f64,
    pub y: f64,
}

/// A label inside other text. Without the marks, numbers behind an Arabic label would be drawn to
/// the left of it.
pub fn isolated(label: &str) -> String {
    let is_reversed = |letter| matches!(bidi_class(letter), BidiClass::R | BidiClass::AL);
    if label.chars().any(is_reversed) {
        format!("\u{2068}{label}\u{2069}")
    } else {
        label.to_string()
    }
}

/// The glyphs of a text. `None` if each letter is one glyph of the built-in font, from left to
/// right: then plotters draws the text.
pub fn line(text: &str, weight: Weight) -> Option<Line> {
    let built_in = built_in(weight)?;
    if text.is_ascii() || !text.chars().any(|letter| needs_layout(letter, built_in)) {
        return None;
    }
    let mut line = Line::default();
    let directions = ParagraphBidiInfo::new(text, None);
    let (levels, runs) = directions.visual_runs(0..text.len());
    for run in runs {
        let is_reversed = levels[run.start].is_rtl();
        let mut pieces = pieces(text, run, weight, built_in);
        if is_reversed {
            pieces.reverse();
        }
        for (face, range) in pieces {
            line.append(face, &text[range], is_reversed);
        }
    }
    Some(line)
}

/// True for a letter that the built-in font lacks, that joins other letters, or that is read from
/// right to left.
fn needs_layout(letter: char, built_in: &Face) -> bool {
    use BidiClass::*;
    match bidi_class(letter) {
        R | AL | AN | NSM | LRE | LRO | RLE | RLO | PDF | LRI | RLI | FSI | PDI => true,
        // Invisible.
        BN => false,
        _ => !built_in.has(letter),
    }
}

/// Divides a part of a text, all in one direction, by the fonts of its letters.
fn pieces(
    text: &str,
    part: Range<usize>,
    weight: Weight,
    built_in: &'static Face,
) -> Vec<(&'static Face, Range<usize>)> {
    let mut pieces: Vec<(&Face, Range<usize>)> = Vec::new();
    for (offset, letter) in text[part.clone()].char_indices() {
        let start = part.start + offset;
        let end = start + letter.len_utf8();
        let face = match pieces.last() {
            Some((face, _)) if continues(letter, face) => face,
            _ => face_for(letter, weight).unwrap_or(built_in),
        };
        match pieces.last_mut() {
            Some((last, range)) if std::ptr::eq(*last, face) => range.end = end,
            _ => pieces.push((face, start..end)),
        }
    }
    pieces
}

/// True for a mark, a digit or a sign that is drawn with the font of the letter before it. An
/// ellipsis is not: Chinese fonts draw it in the middle of the line.
fn continues(letter: char, face: &Face) -> bool {
    if letter == '…' {
        return false;
    }
    let is_letter = matches!(
        bidi_class(letter),
        BidiClass::L | BidiClass::R | BidiClass::AL
    );
    let is_invisible = bidi_class(letter) == BidiClass::BN;
    is_invisible || (!is_letter && face.has(letter))
}

impl Line {
    /// Adds text of one font and one direction at the right end.
    fn append(&mut self, face: &'static Face, text: &str, is_reversed: bool) {
        let mut buffer = Buffer::new();
        buffer.push_str(text);
        buffer.set_direction(if is_reversed {
            Direction::RightToLeft
        } else {
            Direction::LeftToRight
        });
        buffer.guess_segment_properties();
        let font = ShaperFont::new(&face.layout);
        // It fails only without a direction.
        if harfrust::shape(&font, &mut buffer, ShapeOptions::new()).is_err() {
            return;
        }
        let em = |units: i32| f64::from(units) / face.units_per_em;
        for (info, position) in buffer.glyph_infos().iter().zip(buffer.glyph_positions()) {
            self.glyphs.push(PlacedGlyph {
                face,
                // ab_glyph reads fonts with 16-bit glyph numbers, as all OpenType fonts have.
                glyph: GlyphId(u16::try_from(info.glyph_id).unwrap_or(0)),
                x: self.width + em(position.x_offset),
                y: -em(position.y_offset),
            });
            self.width += em(position.x_advance);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    /// Number, advance, and offsets of each glyph of a word.
    type Glyphs = Vec<(u16, i32, i32, i32)>;

    /// Each word of the reference, in its font, as HarfBuzz shapes it
    /// (scripts/reference/make_shaping.py).
    #[test]
    fn glyphs_and_positions_are_those_of_harfbuzz() {
        let text = fs::read_to_string("tests/data/fonts/shaping.json").unwrap();
        let fonts: BTreeMap<String, BTreeMap<String, Glyphs>> =
            serde_json::from_str(&text).unwrap();
        assert_eq!(fonts.len(), 3);
        for (font, words) in fonts {
            let face = match font.as_str() {
                "DejaVuSans.ttf" => built_in(Weight::Regular).unwrap(),
                file => {
                    Face::leaked(fs::read(format!("tests/data/fonts/{file}")).unwrap(), 0).unwrap()
                }
            };
            for (word, expected) in words {
                check(face, &word, &expected);
            }
        }
    }

    fn check(face: &'static Face, word: &str, expected: &Glyphs) {
        let is_reversed = unicode_bidi::get_base_direction(word) == unicode_bidi::Direction::Rtl;
        let mut line = Line::default();
        line.append(face, word, is_reversed);
        let mut pen = 0;
        assert_eq!(line.glyphs.len(), expected.len(), "{word}");
        for (placed, &(glyph, advance, right, up)) in line.glyphs.iter().zip(expected) {
            let units = |em: f64| (em * face.units_per_em).round() as i32;
            let found = (placed.glyph.0, units(placed.x), units(placed.y));
            assert_eq!(found, (glyph, pen + right, -up), "{word}");
            pen += advance;
        }
        assert_eq!(
            (line.width * face.units_per_em).round() as i32,
            pen,
            "{word}"
        );
    }

    #[test]
    fn text_that_plotters_draws_has_no_layout() {
        for text in [
            "",
            "anger",
            "Überraschung 42.0 %",
            "печаль",
            "χαρά",
            "…",
            "a\u{200b}b",
        ] {
            assert!(line(text, Weight::Regular).is_none(), "{text}");
            assert!(line(text, Weight::Bold).is_none(), "{text}");
        }
    }

    #[test]
    fn words_of_both_directions_are_in_the_order_of_reading() {
        let glyphs = |text: &str| -> Vec<u16> {
            let line = line(text, Weight::Regular).unwrap();
            line.glyphs.iter().map(|placed| placed.glyph.0).collect()
        };
        let arabic = glyphs("غضب");
        assert_eq!(arabic.len(), 3);
        // In an Arabic text the number is to the left of the word, and its digits are not reversed.
        let built_in = built_in(Weight::Regular).unwrap();
        let digits = ['1', '2'].map(|digit| ab_glyph::Font::glyph_id(&built_in.outlines, digit).0);
        let mixed = glyphs("غضب 12");
        assert_eq!(mixed[..2], digits);
        assert_eq!(mixed[3..], arabic);
        // In a label inside other text it is to the right.
        let mixed = glyphs(&format!("a {} 12", isolated("غضب")));
        assert_eq!(mixed[mixed.len() - 2..], digits);
        assert_eq!(isolated("anger"), "anger");
        // Without marks, the algorithm of Unicode puts it to the left.
        let mixed = glyphs("a غضب 12");
        assert_eq!(mixed.len(), 1 + 1 + 3 + 1 + 2);
        assert_eq!(mixed[mixed.len() - 3..], arabic);
    }
}
