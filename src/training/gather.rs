//! Communication between the processes of one training during a step. Every exchange is a sum.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::loss;
use super::optimizer::AdamW;
use super::step::Wishes;
use crate::distributed::{Ranks, share};

/// Weight of this process's clips in the mean over the whole batch of `rows` rows. `None` if there
/// is only one process.
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

/// Sums the gradients of all processes, and agrees on the actions after the step in the same
/// exchange: all stop if one process requests it, and the first process determines when to save.
pub(super) fn gradients(ranks: &Ranks, optimizer: &mut AdamW, wishes: Wishes) -> Result<Wishes> {
    if !ranks.are_several() {
        return Ok(wishes);
    }
    let gradients = optimizer.gradients();
    let stop = f32::from(u8::from(wishes.stop));
    let save = f32::from(u8::from(wishes.save && ranks.is_first()));
    let requests = Tensor::from_slice(&[stop, save]).to_device(gradients.device());
    let length = gradients.size()[0];
    let mut all = Tensor::cat(&[gradients, requests], 0);
    ranks.sum(&mut all)?;
    optimizer.set_gradients(&all.narrow(0, 0, length));
    let agreed = all.narrow(0, length, 2).to_device(Device::Cpu);
    Ok(Wishes {
        stop: agreed.double_value(&[0]) > 0.0,
        save: agreed.double_value(&[1]) > 0.0,
    })
}

/// Embeddings `[networks, batch, width]` and labels `[batch]` of the whole batch. Gradients flow
/// only into the embeddings of this process's clips; the sum over the processes is the gradient of
/// the whole batch. `None` if this process has no clips; it takes part in the exchange all the
/// same, on `device`.
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
    let local = share(whole, ranks.rank(), ranks.size());
    let (start, length) = (local.start as i64, local.len() as i64);
    let whole = whole as i64;
    // A process without clips does not know the width of the embeddings. With fewer clips than
    // processes, `whole` processes have one clip each, so the sum is `whole` times the width.
    let mut width = Tensor::from_slice(&[own.map_or(0, |(e, _)| e.size()[2])]);
    let width = if whole < ranks.size() as i64 {
        ranks.sum(&mut width)?;
        width.int64_value(&[0]) / whole
    } else {
        width.int64_value(&[0])
    };
    // The labels are a column behind the embeddings. Small integers are exact as floats.
    let mut all = Tensor::zeros([members, whole, width + 1], (Kind::Float, device));
    if let Some((embeddings, labels)) = own {
        let rows = all.narrow(1, start, length);
        rows.narrow(2, 0, width).copy_(&embeddings.detach());
        let labels = labels.to_kind(Kind::Float).view([1, length]);
        rows.select(2, width)
            .copy_(&labels.expand([members, length], false));
    }
    ranks.sum(&mut all)?;
    let Some((embeddings, _)) = own else {
        return Ok(None);
    };
    let labels = all.select(2, width).select(0, 0).to_kind(Kind::Int64);
    let others = all.narrow(2, 0, width);
    let after = start + length;
    let rows = [
        others.narrow(1, 0, start),
        embeddings.shallow_clone(),
        others.narrow(1, after, whole - after),
    ];
    Ok(Some((Tensor::cat(&rows, 1), labels)))
}
