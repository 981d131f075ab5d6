//! Arbitrary text as a configuration is rejected, or is unchanged after writing and reading.
#![no_main]

use std::sync::LazyLock;

use emovox::config::RunConfig;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Folder for the input file; scripts/fuzz.sh removes it.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fuzz_target!(|text: &str| {
    let path = FOLDER.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let Ok(config) = RunConfig::over_recipe(&path, None) else {
        return;
    };
    if config.validate().is_err() {
        return;
    }
    config.write(&path).unwrap();
    let again = RunConfig::read(&path).unwrap();
    // Compared as text, because NaN is not equal to itself.
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
});
