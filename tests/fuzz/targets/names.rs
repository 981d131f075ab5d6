//! Arbitrary bytes as paths of recordings: no corpus rule gives an empty label.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use emovox::corpus::CorpusKind;
use libfuzzer_sys::fuzz_target;

/// The corpora with a rule for file names, and plain folders.
fn kinds() -> impl Iterator<Item = CorpusKind> {
    CorpusKind::NAMED.into_iter().chain([CorpusKind::Folders])
}

fuzz_target!(|names: &[u8]| {
    for name in names.split(|&byte| byte == b'\n') {
        for kind in kinds() {
            if let Some(labels) = kind.parse(Path::new(OsStr::from_bytes(name))) {
                assert!(!labels.label.is_empty(), "{kind}");
            }
        }
    }
});
