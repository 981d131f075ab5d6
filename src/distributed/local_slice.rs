//! Division of a batch among processes.

use std::ops::Range;

/// Local slice of `rank`: a range of consecutive clips. The slices of all ranks cover every clip exactly
/// once, and their lengths differ by at most one. With fewer clips than ranks, some slices are empty.
pub fn local_slice(clips: usize, rank: usize, size: usize) -> Range<usize> {
    clips * rank / size..clips * (rank + 1) / size
}

#[cfg(test)]
mod tests {
    use super::local_slice;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slices_cover_every_clip_exactly_once(clips in 0usize..500, size in 1usize..40) {
            let all: Vec<usize> = (0..size).flat_map(|rank| local_slice(clips, rank, size)).collect();
            prop_assert_eq!(all, (0..clips).collect::<Vec<_>>());
            let lengths: Vec<usize> = (0..size).map(|rank| local_slice(clips, rank, size).len()).collect();
            prop_assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
        }
    }
}
