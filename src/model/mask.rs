//! Which frames of a padded batch are real.

use tch::{Kind, Tensor};

/// `[batch, frames]`, true for the first `lengths[i]` frames of clip `i`.
pub(super) fn real_frames(lengths: &Tensor, frames: i64) -> Tensor {
    let time = Tensor::arange(frames, (Kind::Int64, lengths.device()));
    time.unsqueeze(0).lt_tensor(&lengths.unsqueeze(1))
}

/// For each clip the order that reads its real steps backwards and leaves the padding where it is:
/// places in the flattened `[batch × steps]`. It is its own inverse.
pub(super) fn backwards(lengths: &Tensor, steps: i64) -> Tensor {
    let device = lengths.device();
    let batch = lengths.size()[0];
    let time = Tensor::arange(steps, (Kind::Int64, device)).unsqueeze(0);
    let mirrored: Tensor = lengths.unsqueeze(1) - 1 - &time;
    let within = mirrored.where_self(&mirrored.ge(0), &time);
    let row = Tensor::arange(batch, (Kind::Int64, device)).unsqueeze(1) * steps;
    (within + row).view([-1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_mirrors_the_real_steps_alone() {
        let lengths = Tensor::from_slice(&[3i64, 1]);
        let mask: Vec<Vec<bool>> = real_frames(&lengths, 4).try_into().unwrap();
        assert_eq!(
            mask,
            [[true, true, true, false], [true, false, false, false]]
        );
        let order: Vec<i64> = backwards(&lengths, 4).try_into().unwrap();
        assert_eq!(order, [2, 1, 0, 3, 4, 5, 6, 7]);
    }
}
