//! Which clips an epoch takes where some are to be heard as often as others.

use std::collections::BTreeMap;
use std::fmt;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What has the same share of every epoch, however many clips of it there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Nothing: every clip comes once.
    #[default]
    None,
    /// Each class.
    Class,
    /// Each of several corpora.
    Corpus,
    /// Each class of each corpus.
    CorpusClass,
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Balance::None => "none",
            Balance::Class => "class",
            Balance::Corpus => "corpus",
            Balance::CorpusClass => "corpus-class",
        })
    }
}

impl Balance {
    /// A number for each clip, the same for those that share what is balanced.
    pub fn groups(self, corpora: &[usize], classes: &[usize]) -> Vec<(usize, usize)> {
        let pair = |(&corpus, &class): (&usize, &usize)| match self {
            Balance::None => (0, 0),
            Balance::Class => (0, class),
            Balance::Corpus => (corpus, 0),
            Balance::CorpusClass => (corpus, class),
        };
        corpora.iter().zip(classes).map(pair).collect()
    }
}

/// As many clips as there are, each group with the same number of them, or one more. Of a group that is
/// too large, some are left to other epochs; of one too small, all come again before any comes a third
/// time.
pub(super) fn draw(groups: &[(usize, usize)], random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut members: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (clip, group) in groups.iter().enumerate() {
        members.entry(*group).or_default().push(clip);
    }
    let mut members: Vec<Vec<usize>> = members.into_values().collect();
    members.shuffle(random);
    let (share, more) = (
        groups.len() / members.len().max(1),
        groups.len() % members.len().max(1),
    );
    let mut drawn = Vec::with_capacity(groups.len());
    for (place, mut group) in members.into_iter().enumerate() {
        let mut left = share + usize::from(place < more);
        while left > 0 {
            group.shuffle(random);
            let now = left.min(group.len());
            drawn.extend_from_slice(&group[..now]);
            left -= now;
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use rand::SeedableRng;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn each_group_has_the_same_share_and_each_clip_its_turn(
            clips in vec((0usize..3, 0usize..4), 1..200),
            seed: u64,
        ) {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let drawn = draw(&clips, &mut random);
            prop_assert_eq!(drawn.len(), clips.len());
            let mut of_group: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            let mut of_clip = vec![0usize; clips.len()];
            for &clip in &drawn {
                *of_group.entry(clips[clip]).or_default() += 1;
                of_clip[clip] += 1;
            }
            let spread = |counts: &[usize]| {
                counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0)
            };
            prop_assert!(spread(&of_group.into_values().collect::<Vec<_>>()) <= 1);
            let groups: std::collections::BTreeSet<_> = clips.iter().collect();
            for group in groups {
                let turns: Vec<usize> = (0..clips.len())
                    .filter(|&clip| clips[clip] == *group)
                    .map(|clip| of_clip[clip])
                    .collect();
                prop_assert!(spread(&turns) <= 1);
            }
        }
    }

    #[test]
    fn what_is_balanced_decides_who_is_alike() {
        let (corpora, classes) = ([0, 0, 1], [5, 6, 5]);
        let groups = |balance: Balance| balance.groups(&corpora, &classes);
        assert_eq!(groups(Balance::None), [(0, 0); 3]);
        assert_eq!(groups(Balance::Class), [(0, 5), (0, 6), (0, 5)]);
        assert_eq!(groups(Balance::Corpus), [(0, 0), (0, 0), (1, 0)]);
        assert_eq!(groups(Balance::CorpusClass), [(0, 5), (0, 6), (1, 5)]);
    }
}
