//! Masks and reversal of the clips in a padded batch.

use tch::{Kind, Tensor};

use crate::device;

/// Mask `[batch, frames]`: true for the first `lengths[i]` frames of clip `i`, false for padding.
pub(super) fn length_mask(lengths: &Tensor, frames: i64) -> Tensor {
    let time = device::range(frames, Kind::Int64, lengths.device());
    time.unsqueeze(0).lt_tensor(&lengths.unsqueeze(1))
}

/// Indices into the flattened `[batch × steps]` that reverse the steps of each clip and leave its
/// padding in place. The permutation is its own inverse.
pub(super) fn reverse_padded(lengths: &Tensor, steps: i64) -> Tensor {
    let device = lengths.device();
    let batch = lengths.size()[0];
    let time = device::range(steps, Kind::Int64, device).unsqueeze(0);
    let reversed: Tensor = lengths.unsqueeze(1) - 1 - &time;
    let within = reversed.where_self(&reversed.ge(0), &time);
    let row = device::range(batch, Kind::Int64, device).unsqueeze(1) * steps;
    (within + row).view([-1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_reverses_the_steps_before_the_padding() {
        let lengths = Tensor::from_slice(&[3i64, 1]);
        let mask: Vec<Vec<bool>> = length_mask(&lengths, 4).try_into().unwrap();
        assert_eq!(
            mask,
            [[true, true, true, false], [true, false, false, false]]
        );
        let order: Vec<i64> = reverse_padded(&lengths, 4).try_into().unwrap();
        assert_eq!(order, [2, 1, 0, 3, 4, 5, 6, 7]);
    }
}
