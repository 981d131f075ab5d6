//! Any text as a configuration: it is refused, or what is written of it reads back the same.
#![no_main]

use std::sync::LazyLock;

use emovox::config::RunConfig;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Where the text goes through a file; scripts/fuzz.sh clears it away.
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
    // As text, since NaN is unlike itself.
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
});
