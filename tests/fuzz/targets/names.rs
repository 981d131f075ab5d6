//! Any bytes as the paths of recordings: each corpus reads them or leaves them, and a recording
//! never comes without a label.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use emovox::corpus::CorpusKind;
use libfuzzer_sys::fuzz_target;

/// Those with a rule for names, and plain folders.
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
