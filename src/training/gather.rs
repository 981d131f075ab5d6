//! What the processes of one training must know of each other in a step: nothing but sums.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::loss;
use super::optimizer::AdamW;
use super::step::Wishes;
use crate::distributed::{Ranks, share};

/// The share of this process's clips in the mean over the whole batch, which has so many rows; `None` where
/// there are no others.
pub(super) fn share_of(
    ranks: &Ranks,
    targets: Option<&Tensor>,
    class_weights: Option<&Tensor>,
    rows: i64,
) -> Result<Option<f64>> {
    if !ranks.are_several() {
        return Ok(None);
    }
    let own = targets.map_or(0.0, |t| loss::weight(t, class_weights).double_value(&[]));
    let all = match class_weights {
        None => rows as f64,
        Some(_) => {
            let mut all = Tensor::from_slice(&[own]);
            ranks.sum(&mut all)?;
            all.double_value(&[0])
        }
    };
    Ok(Some(if all > 0.0 { own / all } else { 0.0 }))
}

/// Adds up the gradients of all processes, and with them what each wishes: one that wants to stop stops
/// all, and the first one says when to save.
pub(super) fn gradients(ranks: &Ranks, optimizer: &mut AdamW, wishes: Wishes) -> Result<Wishes> {
    if !ranks.are_several() {
        return Ok(wishes);
    }
    let gradients = optimizer.gradients();
    let stop = f32::from(u8::from(wishes.stop));
    let save = f32::from(u8::from(wishes.save && ranks.is_first()));
    let wishes = Tensor::from_slice(&[stop, save]).to_device(gradients.device());
    let length = gradients.size()[0];
    let mut all = Tensor::cat(&[gradients, wishes], 0);
    ranks.sum(&mut all)?;
    optimizer.set_gradients(&all.narrow(0, 0, length));
    let wished = all.narrow(0, length, 2).to_device(Device::Cpu);
    Ok(Wishes {
        stop: wished.double_value(&[0]) > 0.0,
        save: wished.double_value(&[1]) > 0.0,
    })
}

/// Embeddings `[members, batch, width]` and labels of the whole batch, of which this process's own can
/// learn: each process's gradient is that of its own clips, and their sum that of all. `None` where this
/// process has no clips; it computes on the same kind of device as the others all the same.
pub(super) fn embeddings(
    ranks: &Ranks,
    device: Device,
    own: Option<(&Tensor, &Tensor)>,
    members: i64,
    whole: usize,
) -> Result<Option<(Tensor, Tensor)>> {
    if !ranks.are_several() {
        return Ok(
            own.map(|(embeddings, labels)| (embeddings.shallow_clone(), labels.shallow_clone()))
        );
    }
    let mine = share(whole, ranks.rank(), ranks.size());
    let (start, length) = (mine.start as i64, mine.len() as i64);
    let whole = whole as i64;
    // All processes know the width by the widest: one without clips does not.
    let mut width = Tensor::from_slice(&[own.map_or(0, |(e, _)| e.size()[2])]);
    let several_lack = whole < ranks.size() as i64;
    if several_lack {
        ranks.sum(&mut width)?;
    }
    let width = match several_lack {
        // Each of those that have a clip added it.
        true => width.int64_value(&[0]) / whole,
        false => width.int64_value(&[0]),
    };
    // The labels in a column behind the embeddings; whole numbers so small are exact.
    let mut all = Tensor::zeros([members, whole, width + 1], (Kind::Float, device));
    if let Some((embeddings, labels)) = own {
        let place = all.narrow(1, start, length);
        place.narrow(2, 0, width).copy_(&embeddings.detach());
        let labels = labels.to_kind(Kind::Float).view([1, length]);
        place
            .select(2, width)
            .copy_(&labels.expand([members, length], false));
    }
    ranks.sum(&mut all)?;
    let Some((embeddings, _)) = own else {
        return Ok(None);
    };
    let labels = all.select(2, width).select(0, 0).to_kind(Kind::Int64);
    let others = all.narrow(2, 0, width);
    let after = start + length;
    let parts = [
        others.narrow(1, 0, start),
        embeddings.shallow_clone(),
        others.narrow(1, after, whole - after),
    ];
    Ok(Some((Tensor::cat(&parts, 1), labels)))
}
