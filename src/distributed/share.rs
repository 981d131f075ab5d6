//! Which clips of a batch are a process's own.

use std::ops::Range;

/// The share of `rank` of so many clips: neighbours, as many as every other's or one more. All shares
/// together are all clips, each once; where there are fewer clips than processes some have none.
pub fn share(clips: usize, rank: usize, size: usize) -> Range<usize> {
    clips * rank / size..clips * (rank + 1) / size
}

#[cfg(test)]
mod tests {
    use super::share;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_clip_once_and_none_twice(clips in 0usize..500, size in 1usize..40) {
            let all: Vec<usize> = (0..size).flat_map(|rank| share(clips, rank, size)).collect();
            prop_assert_eq!(all, (0..clips).collect::<Vec<_>>());
            let lengths: Vec<usize> = (0..size).map(|rank| share(clips, rank, size).len()).collect();
            prop_assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
        }
    }
}
