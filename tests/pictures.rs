//! Labels in scripts that the built-in font lacks, in pictures: with fonts for them, and without.
//!
//! The fonts are those in tests/data/fonts, not those of the machine. After an intended change, update
//! the golden pictures and look at each of them:
//!
//! ```text
//! EMOVOX_BLESS=1 cargo test --test pictures
//! ```

mod env;

use std::fs;
use std::path::{Path, PathBuf};

use env::process::run_command;
use env::{CommandOutput, TestEnv};
use image::RgbImage;

const CHINESE: &str = "生气";
const HINDI: &str = "क्रोध";
const ARABIC: &str = "غضب";

/// A corpus with Chinese, Hindi and Arabic labels.
fn env() -> TestEnv {
    let env = TestEnv::with_corpus();
    for (english, label) in [("anger", CHINESE), ("neutral", HINDI), ("sadness", ARABIC)] {
        let folder = |name: &str| env.path(&format!("corpus/{name}"));
        fs::rename(folder(english), folder(label)).unwrap();
    }
    env
}

/// Describes the corpus with the fonts of a folder.
fn inspect(env: &TestEnv, fonts: &Path) -> (CommandOutput, RgbImage) {
    let mut command = env.command("inspect corpus --out pictures --force");
    let output = run_command(command.env("EMOVOX_FONTS", fonts)).success();
    let picture = fs::read(env.path("pictures/corpus.png")).unwrap();
    let picture = image::load_from_memory(&picture).unwrap().to_rgb8();
    (output, picture)
}

fn test_data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn assert_golden(name: &str, picture: &RgbImage) {
    let golden = test_data(&format!("golden/{name}.png"));
    if std::env::var_os("EMOVOX_BLESS").is_some() {
        picture.save(&golden).unwrap();
    }
    let expected = image::open(&golden).unwrap().to_rgb8();
    assert!(*picture == expected, "differs from {}", golden.display());
}

#[test]
fn labels_in_other_scripts_are_drawn_with_fonts_for_them() {
    let (output, picture) = inspect(&env(), &test_data("fonts"));
    assert!(!output.error.contains("pictures:"), "{}", output.error);
    assert_golden("labels-with-fonts", &picture);
}

#[test]
fn labels_without_a_font_become_numbers_with_a_legend_and_a_message() {
    let env = env();
    fs::create_dir(env.path("no fonts")).unwrap();
    let (output, picture) = inspect(&env, &env.path("no fonts"));
    let lines = output.error.lines();
    let messages: Vec<&str> = lines.filter(|line| line.starts_with("pictures:")).collect();
    let [message] = messages.as_slice() else {
        panic!("{}", output.error);
    };
    for words in [
        CHINESE,
        HINDI,
        "shown as [1]",
        "shown as [2]",
        "Noto Sans CJK",
    ] {
        assert!(message.contains(words), "{message}");
    }
    // The built-in font has Arabic letters.
    assert!(!message.contains(ARABIC), "{message}");
    assert_golden("labels-without-fonts", &picture);

    // The legend is below the picture.
    let (_, drawn) = inspect(&env, &test_data("fonts"));
    assert_eq!(picture.width(), drawn.width());
    assert!(picture.height() > drawn.height());
}

#[test]
fn a_damaged_font_is_ignored() {
    let env = env();
    fs::create_dir(env.path("damaged")).unwrap();
    for font in ["NotoSansCJKsc-subset.otf", "NotoSansDevanagari-subset.ttf"] {
        let bytes = fs::read(test_data("fonts").join(font)).unwrap();
        for kept in [100, 1000, bytes.len() / 2, bytes.len() - 100] {
            let file = env.path(&format!("damaged/{kept}-{font}"));
            fs::write(file, &bytes[..kept]).unwrap();
        }
    }
    inspect(&env, &env.path("damaged"));
}
