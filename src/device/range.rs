//! The numbers 0, 1, 2 … on each device. Every step of a training needs them, so they are made once.

use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

/// Least number of values that are made. Few clips have more frames.
const LEAST: i64 = 4096;

/// The numbers from 0 to `count` − 1: `[count]`. They share memory with all other ranges of this kind,
/// so nobody may change them.
pub fn range(count: i64, kind: Kind, device: Device) -> Tensor {
    static RANGES: Mutex<Vec<Tensor>> = Mutex::new(Vec::new());
    let mut ranges = RANGES.lock().unwrap_or_else(PoisonError::into_inner);
    let is_like = |range: &Tensor| range.kind() == kind && range.device() == device;
    if let Some(range) = ranges.iter().find(|range| is_like(range))
        && range.size()[0] >= count
    {
        return range.narrow(0, 0, count);
    }
    ranges.retain(|range| !is_like(range));
    let all = Tensor::arange(count.max(LEAST), (kind, device));
    let range = all.narrow(0, 0, count);
    ranges.push(all);
    range
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_requested_length_and_kind() {
        for (count, kind) in [
            (5, Kind::Int64),
            (LEAST + 3, Kind::Int64),
            (0, Kind::Int64),
            (7, Kind::Float),
            (9, Kind::Int64),
        ] {
            let expected = Tensor::arange(count, (kind, Device::Cpu));
            let range = range(count, kind, Device::Cpu);
            assert_eq!(range.kind(), kind);
            assert!(range.equal(&expected), "{count} {kind:?}");
        }
    }
}
