//! Resampling of an epoch so that groups of clips are equally frequent.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::Balance;

impl Balance {
    /// Group of each clip as a pair (corpus, class); 0 stands for a property that is not balanced.
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

/// Draws the clips of an epoch: as many as `groups` has, with the same number from each group (or
/// one more). A large group contributes a random sample. A small group is repeated: all of its
/// clips occur n times before one occurs n + 1 times.
pub(super) fn draw(groups: &[(usize, usize)], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut clips_of: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (clip, group) in groups.iter().enumerate() {
        clips_of.entry(*group).or_default().push(clip);
    }
    let mut clips_of: Vec<Vec<usize>> = clips_of.into_values().collect();
    clips_of.shuffle(rng);
    let (each, remainder) = (
        groups.len() / clips_of.len().max(1),
        groups.len() % clips_of.len().max(1),
    );
    let mut drawn = Vec::with_capacity(groups.len());
    for (number, mut group) in clips_of.into_iter().enumerate() {
        let mut missing = each + usize::from(number < remainder);
        while missing > 0 {
            group.shuffle(rng);
            let now = missing.min(group.len());
            drawn.extend_from_slice(&group[..now]);
            missing -= now;
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
        fn groups_are_equally_frequent_and_so_are_the_clips_of_a_group(
            clips in vec((0usize..3, 0usize..4), 1..200),
            seed: u64,
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let drawn = draw(&clips, &mut rng);
            prop_assert_eq!(drawn.len(), clips.len());
            let mut group_counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            let mut clip_counts = vec![0usize; clips.len()];
            for &clip in &drawn {
                *group_counts.entry(clips[clip]).or_default() += 1;
                clip_counts[clip] += 1;
            }
            let range = |counts: &[usize]| {
                counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0)
            };
            prop_assert!(range(&group_counts.into_values().collect::<Vec<_>>()) <= 1);
            let groups: std::collections::BTreeSet<_> = clips.iter().collect();
            for group in groups {
                let counts: Vec<usize> = (0..clips.len())
                    .filter(|&clip| clips[clip] == *group)
                    .map(|clip| clip_counts[clip])
                    .collect();
                prop_assert!(range(&counts) <= 1);
            }
        }
    }

    #[test]
    fn groups_follow_the_balanced_property() {
        let (corpora, classes) = ([0, 0, 1], [5, 6, 5]);
        let groups = |balance: Balance| balance.groups(&corpora, &classes);
        assert_eq!(groups(Balance::None), [(0, 0); 3]);
        assert_eq!(groups(Balance::Class), [(0, 5), (0, 6), (0, 5)]);
        assert_eq!(groups(Balance::Corpus), [(0, 0), (0, 0), (1, 0)]);
        assert_eq!(groups(Balance::CorpusClass), [(0, 5), (0, 6), (1, 5)]);
    }
}
