//! MSP-Podcast (Lotfian & Busso 2019): `MSP-PODCAST_0001_0008`: the podcast and the segment. Labels,
//! speakers and the published split are in `labels_consensus.csv`.

use std::collections::BTreeMap;

use super::{Entry, Labels, columns, stem};
use crate::corpus::digits;
use crate::corpus::manifest::MSP_PODCAST;
use crate::corpus::split::Subset;

pub(super) fn parse(stem: &str) -> Option<Labels> {
    let fields: Vec<&str> = stem.strip_prefix("MSP-PODCAST_")?.split('_').collect();
    let is_known = (2..=3).contains(&fields.len())
        && digits(fields[0], 4).is_some()
        && fields
            .iter()
            .all(|field| !field.is_empty() && digits(field, field.len()).is_some());
    is_known.then(|| Labels::new("", "", "", ""))
}

/// `Test1` is the test subset. The others (`Test2`, and `Test3` without labels) are not used, because
/// they are separate tests.
pub(super) fn entries(text: &str) -> BTreeMap<String, Entry> {
    let names = ["FileName", "EmoClass", "SpkrID", "Split_Set"];
    let entry = |[file, letter, speaker, split]: [String; 4]| {
        let (_, label) = MSP_PODCAST.iter().find(|(known, _)| *known == letter)?;
        let subset = match split.as_str() {
            "Train" => Some(Subset::Train),
            "Development" => Some(Subset::Validation),
            "Test1" => Some(Subset::Test),
            _ => None,
        };
        let entry = Entry {
            labels: Labels::new(*label, letter, speaker, ""),
            unused: subset.is_none().then_some(split),
            subset,
        };
        Some((stem(&file), entry))
    };
    columns(text, names).into_iter().filter_map(entry).collect()
}
