//! The HTML page: one self-contained file, which loads nothing from the network.
//!
//! Names of files, speakers, classes and runs are untrusted. They are escaped by askama, or are
//! JSON that cannot end its script element; the page's script inserts them as text. The content
//! security policy in the page allows only this script.

mod clips;
mod confusion;
mod of_folds;
mod of_run;
mod of_runs;
mod sounds;
mod stress;

use std::path::Path;

use anyhow::{Context, Result};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

pub use of_folds::folds_page;
pub use of_run::run_page;
pub use of_runs::comparison_page;
pub use sounds::Sounds;

use clips::{ClipRow, Clips};
use confusion::Confusion;
use sounds::{ClipSound, read_sounds};

use crate::run::beginning;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Contents of a page, from top to bottom.
#[derive(Debug, Default)]
pub(super) struct Page {
    title: String,
    subtitle: String,
    /// Statements that limit the meaning of the numbers.
    notes: Vec<String>,
    /// Statements in favour of the numbers.
    facts: Vec<String>,
    /// Names and values of the most important numbers.
    figures: Vec<(String, String)>,
    tables: Vec<Table>,
    confusion: Option<Confusion>,
    pictures: Vec<Picture>,
    clips: Option<Clips>,
    /// Titles and texts of the collapsed settings.
    settings: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct Table {
    title: String,
    explained: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// True for a column of words, which is aligned at the left. In a column of numbers, every cell
    /// is empty, a dash, or starts with a digit or a sign. (The template passes references.)
    fn is_text(&self, column: &usize) -> bool {
        let is_number = |cell: &String| {
            let cell = cell.trim_start_matches(['+', '-', '−', '±']);
            let first = cell.chars().next();
            first.is_none_or(|first| first.is_ascii_digit() || first == '–')
        };
        let mut cells = self.rows.iter().filter_map(|row| row.get(*column));
        cells.any(|cell| !is_number(cell))
    }

    /// True for a cell that names its row: in the first column, and in columns of words directly
    /// after it.
    fn names_row(&self, column: &usize, cell: &str) -> bool {
        !cell.is_empty() && (1..=*column).all(|column| self.is_text(&column))
    }
}

#[derive(Debug)]
struct Picture {
    title: String,
    /// The PNG as a data URL.
    source: String,
}

impl Picture {
    fn new(title: &str, png: &[u8]) -> Picture {
        Picture {
            title: title.into(),
            source: format!("data:image/png;base64,{}", BASE64.encode(png)),
        }
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Html<'a> {
    policy: String,
    style: &'a str,
    script: &'a str,
    title: &'a str,
    subtitle: &'a str,
    notes: &'a [String],
    facts: &'a [String],
    figures: &'a [(String, String)],
    tables: &'a [Table],
    confusion: Option<&'a Confusion>,
    pictures: &'a [Picture],
    clips: bool,
    settings: &'a [(String, String)],
    data: String,
}

/// A page with clips.
#[derive(Debug)]
pub struct ClipsPage {
    /// The page.
    pub html: String,
    /// Number of recordings that the page cannot play, because they could not be read.
    pub unreadable: usize,
}

impl Page {
    fn with_clips(&self) -> Result<ClipsPage> {
        let sounds = self.clips.iter().flat_map(|clips| &clips.sounds);
        Ok(ClipsPage {
            html: self.html()?,
            unreadable: sounds.filter(|sound| sound.source.is_none()).count(),
        })
    }

    fn html(&self) -> Result<String> {
        let html = Html {
            policy: policy(),
            style: STYLE,
            script: SCRIPT,
            title: &self.title,
            subtitle: &self.subtitle,
            notes: &self.notes,
            facts: &self.facts,
            figures: &self.figures,
            tables: &self.tables,
            confusion: self.confusion.as_ref(),
            pictures: &self.pictures,
            clips: self.clips.is_some(),
            settings: &self.settings,
            data: inside_script(&serde_json::to_string(&self.clips)?),
        };
        html.render().context("the page cannot be written")
    }
}

/// True for a page that emovox wrote.
pub fn is_own_page(file: &Path) -> bool {
    let beginning = beginning(file, 2048);
    let beginning = String::from_utf8_lossy(&beginning);
    beginning.contains("<meta name=\"generator\" content=\"emovox\">")
}

/// Content security policy: allows the page's own script and style, embedded pictures, and
/// recordings that are embedded or files.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; img-src data:; media-src 'self' file: data:; style-src {}; \
         script-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// Equivalent JSON that cannot end a script element or start a comment in it.
fn inside_script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// The text with no-break spaces between numbers and their units.
fn unbroken(text: &str) -> String {
    const UNITS: [&str; 4] = ["%", "dB", "s", "kbit/s"];
    let mut unbroken = String::new();
    for word in text.split(' ') {
        if !unbroken.is_empty() {
            let unit = word.trim_end_matches(['.', ',', ';', ':', ')']);
            let is_value =
                unbroken.ends_with(|c: char| c.is_ascii_digit()) && UNITS.contains(&unit);
            unbroken.push(if is_value { '\u{a0}' } else { ' ' });
        }
        unbroken += word;
    }
    unbroken
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        const HOSTILE: &str = r#""></script><script>alert(1)</script><img src=x onerror='a'>&amp;"#;
        let clip = ClipRow {
            file: HOSTILE.into(),
            speaker: HOSTILE.into(),
            truth: 0,
            predicted: 0,
            probabilities: vec![10_000, 0],
            training: HOSTILE.into(),
            sound: 0,
        };
        let sound = ClipSound {
            source: Some(HOSTILE.into()),
            ..ClipSound::default()
        };
        let classes = vec![HOSTILE.to_string(), "b".to_string()];
        let metrics = crate::evaluation::from_labels(&classes, &[0, 1], &[1, 1]);
        let page = Page {
            title: HOSTILE.into(),
            subtitle: HOSTILE.into(),
            notes: vec![HOSTILE.into()],
            facts: vec![HOSTILE.into()],
            figures: vec![(HOSTILE.into(), HOSTILE.into())],
            tables: vec![Table {
                title: HOSTILE.into(),
                explained: HOSTILE.into(),
                head: vec![HOSTILE.into()],
                rows: vec![vec![HOSTILE.into()]],
            }],
            confusion: Some(Confusion::new(&metrics)),
            pictures: vec![Picture::new(HOSTILE, b"")],
            clips: Some(Clips {
                classes,
                clips: vec![clip],
                sounds: vec![sound],
            }),
            settings: vec![(HOSTILE.into(), HOSTILE.into())],
        };
        let html = page.html().unwrap();
        let without_ours = html.replace(SCRIPT, "").replace(STYLE, "");
        assert_eq!(
            without_ours.matches("<script").count(),
            2,
            "only the data and the page's script"
        );
        assert_eq!(without_ours.matches("</script").count(), 2);
        assert!(!without_ours.contains("<img src=x") && !without_ours.contains("onerror='a'>"));
        // The data are unchanged after parsing.
        let start = html.find(r#"id="data">"#).unwrap() + 10;
        let json = &html[start..start + html[start..].find("</script>").unwrap()];
        let data: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(data["clips"][0]["file"], HOSTILE);
    }

    #[test]
    fn columns_of_words_are_aligned_at_the_left() {
        let table = Table {
            head: ["name", "UAR", "change", "passed", "range"]
                .map(String::from)
                .into(),
            rows: vec![
                ["telephone", "46.4 %", "−7.3", "yes", "–"]
                    .map(String::from)
                    .into(),
                ["none", "53.7 %", "", "", "-1.0 to +2.0"]
                    .map(String::from)
                    .into(),
            ],
            ..Table::default()
        };
        let page = Page {
            tables: vec![table],
            ..Page::default()
        };
        let html = page.html().unwrap();
        for cell in [
            "<th scope=\"col\" class=\"text\">name</th>",
            "<th scope=\"col\">UAR</th>",
            "<th scope=\"col\">change</th>",
            "<th scope=\"row\" class=\"text\">telephone</th>",
            "<td>−7.3</td>",
            "<td class=\"text\">yes</td>",
            "<td>46.4\u{a0}%</td>",
            "<td>–</td>",
            "<td>-1.0 to +2.0</td>",
        ] {
            assert!(html.contains(cell), "{cell} is not in {html}");
        }
    }

    #[test]
    fn a_number_stays_in_the_line_of_its_unit() {
        for (text, expected) in [
            ("46.4 %", "46.4\u{a0}%"),
            ("change, 95 %", "change, 95\u{a0}%"),
            ("white noise 20 dB", "white noise 20\u{a0}dB"),
            ("(at most 3 %), 5 s.", "(at most 3\u{a0}%), 5\u{a0}s."),
            ("Opus 16 kbit/s", "Opus 16\u{a0}kbit/s"),
            ("5 speakers", "5 speakers"),
            ("in % and dB", "in % and dB"),
            ("", ""),
        ] {
            assert_eq!(unbroken(text), expected);
        }
    }

    #[test]
    fn the_policy_allows_our_script_alone() {
        // printf '' | openssl dgst -sha256 -binary | base64
        assert_eq!(
            BASE64.encode(Sha256::digest("")),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert!(policy().starts_with("default-src 'none'; "));
        assert!(!policy().contains("unsafe") && !policy().contains("http"));
        assert!(!SCRIPT.contains("innerHTML") && !SCRIPT.contains("eval("));
    }
}
