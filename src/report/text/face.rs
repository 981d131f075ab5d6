//! Fonts: the built-in one, and those of the machine.

use std::collections::{HashMap, HashSet};
use std::env;
use std::sync::{LazyLock, Mutex, PoisonError};

use ab_glyph::{Font as _, FontRef};
use fontdb::{Database, FaceInfo, ID, Stretch, Style};

/// Folder with fonts that are used instead of those of the machine.
pub const FONTS: &str = "EMOVOX_FONTS";

/// Beginnings of the names of font families, the best first. Noto has all scripts in one style.
const PREFERRED: [&str; 3] = ["Noto Sans CJK SC", "Noto Sans", "Noto"];

/// Weight of the letters of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weight {
    Regular,
    Bold,
}

/// One font.
pub struct Face {
    /// Outlines of the glyphs.
    pub outlines: FontRef<'static>,
    /// Tables for the choice and the positions of the glyphs.
    pub layout: harfrust::Font,
    /// Length of an em in the units of the font.
    pub units_per_em: f64,
}

impl Face {
    fn new(data: &'static [u8], index: u32) -> Option<Face> {
        let outlines = FontRef::try_from_slice_and_index(data, index).ok()?;
        Some(Face {
            units_per_em: f64::from(outlines.units_per_em()?),
            layout: harfrust::Font::new(data, index)?,
            outlines,
        })
    }

    /// A font that stays in memory until the end of the process, because any picture may use it.
    pub fn leaked(data: Vec<u8>, index: u32) -> Option<&'static Face> {
        Face::new(data.leak(), index).map(|face| &*Box::leak(Box::new(face)))
    }

    /// True if the font has a glyph for a letter.
    pub fn has(&self, letter: char) -> bool {
        self.outlines.glyph_id(letter).0 != 0
    }
}

/// True if a font has an outline for a letter. Fonts with coloured pictures have none.
fn can_draw(font: &FontRef, letter: char) -> bool {
    let glyph = font.glyph_id(letter);
    glyph.0 != 0 && (letter.is_whitespace() || font.outline(glyph).is_some())
}

/// The built-in font.
pub fn built_in(weight: Weight) -> Option<&'static Face> {
    static REGULAR: LazyLock<Option<Face>> =
        LazyLock::new(|| Face::new(dejavu::sans::regular(), 0));
    static BOLD: LazyLock<Option<Face>> = LazyLock::new(|| Face::new(dejavu::sans::bold(), 0));
    match weight {
        Weight::Regular => REGULAR.as_ref(),
        Weight::Bold => BOLD.as_ref(),
    }
}

/// The font that draws a letter: the built-in font, or the best font of the machine. `None` if no
/// font has the letter.
pub fn face_for(letter: char, weight: Weight) -> Option<&'static Face> {
    let built_in = [built_in(weight), built_in(Weight::Regular)].into_iter();
    let mut built_in = built_in.flatten().filter(|face| face.has(letter));
    built_in.next().or_else(|| {
        static MACHINE: LazyLock<Mutex<Machine>> = LazyLock::new(|| Mutex::new(Machine::new()));
        let mut machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
        machine.face_for(letter, weight)
    })
}

/// The fonts of the machine, or of the folder in `EMOVOX_FONTS`. Only the fonts that are used are
/// opened.
struct Machine {
    fonts: Database,
    /// Opened fonts, with the weight that they were opened for.
    opened: Vec<(Weight, &'static Face)>,
    /// Fonts that cannot be opened.
    damaged: HashSet<ID>,
    /// Results of earlier searches.
    found: HashMap<(char, Weight), Option<&'static Face>>,
}

impl Machine {
    fn new() -> Machine {
        let mut fonts = Database::new();
        match env::var_os(FONTS) {
            Some(folder) => fonts.load_fonts_dir(folder),
            None => fonts.load_system_fonts(),
        }
        Machine {
            fonts,
            opened: Vec::new(),
            damaged: HashSet::new(),
            found: HashMap::new(),
        }
    }

    fn face_for(&mut self, letter: char, weight: Weight) -> Option<&'static Face> {
        if let Some(&known) = self.found.get(&(letter, weight)) {
            return known;
        }
        // A word looks better in one font, so fonts that are already in use come first.
        let opened = self.opened.iter();
        let mut opened =
            opened.filter(|(other, face)| *other == weight && can_draw(&face.outlines, letter));
        let face = match opened.next() {
            Some(&(_, face)) => Some(face),
            None => self.open_for(letter, weight),
        };
        self.found.insert((letter, weight), face);
        face
    }

    /// Opens the best font that has a letter.
    fn open_for(&mut self, letter: char, weight: Weight) -> Option<&'static Face> {
        let mut candidates: Vec<&FaceInfo> = self.fonts.faces().collect();
        candidates.retain(|font| !self.damaged.contains(&font.id));
        candidates.sort_by_cached_key(|font| Rank::new(font, weight));
        let candidates: Vec<ID> = candidates.into_iter().map(|font| font.id).collect();
        for font in candidates {
            if self.has(font, letter) {
                match self.open(font) {
                    Some(face) => {
                        self.opened.push((weight, face));
                        return Some(face);
                    }
                    None => self.damaged.insert(font),
                };
            }
        }
        None
    }

    fn has(&self, font: ID, letter: char) -> bool {
        let has = |data: &[u8], index| {
            FontRef::try_from_slice_and_index(data, index).is_ok_and(|font| can_draw(&font, letter))
        };
        self.fonts.with_face_data(font, has).unwrap_or(false)
    }

    fn open(&self, font: ID) -> Option<&'static Face> {
        let (data, index) = self
            .fonts
            .with_face_data(font, |data, index| (data.to_vec(), index))?;
        Face::leaked(data, index)
    }
}

/// Sort key of a font: upright, of normal width and of the right weight; then by its name.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_slanted: bool,
    has_other_width: bool,
    weight_difference: u16,
    /// Index in [`PREFERRED`].
    preference: usize,
    is_monospaced: bool,
    family: String,
}

impl Rank {
    fn new(font: &FaceInfo, weight: Weight) -> Rank {
        let weight = match weight {
            Weight::Regular => fontdb::Weight::NORMAL,
            Weight::Bold => fontdb::Weight::BOLD,
        };
        let family = font.families.first();
        let family = family.map_or(String::new(), |(name, _)| name.clone());
        let preferred = PREFERRED.iter().position(|start| family.starts_with(start));
        Rank {
            is_slanted: font.style != Style::Normal,
            has_other_width: font.stretch != Stretch::Normal,
            weight_difference: font.weight.0.abs_diff(weight.0),
            preference: preferred.unwrap_or(PREFERRED.len()),
            is_monospaced: font.monospaced,
            family,
        }
    }
}
