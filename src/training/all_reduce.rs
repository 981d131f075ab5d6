//! Communication between the processes of one training during a step. Every exchange is a sum.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::control::StepControl;
use super::epoch::RankBatch;
use super::loss;
use crate::distributed::{ProcessGroup, local_slice};

/// The term of this process in the mean over the whole batch: its own mean `loss` times the weight
/// of its clips. `targets` are `[networks × batch, classes]`.
pub(super) fn weighted(
    group: &ProcessGroup,
    batch: &RankBatch,
    targets: &Tensor,
    class_weights: Option<&Tensor>,
    loss: Tensor,
) -> Result<Tensor> {
    if !group.is_distributed() {
        return Ok(loss);
    }
    if class_weights.is_none() {
        return Ok(loss * (batch.local_size as f64 / batch.global_size as f64));
    }
    // The weights stay on the device, so that a step does not wait for a GPU.
    let local = loss::weight(targets, class_weights).to_kind(Kind::Double);
    let local = match batch.local_size {
        0 => local.zeros_like(),
        _ => local,
    };
    let mut all = local.copy();
    group.sum(&mut all)?;
    Ok(loss * (local / all.clamp_min(f64::MIN_POSITIVE)).to_kind(Kind::Float))
}

/// Sums the gradients of all processes, and the requests for actions after a step in the same
/// exchange: all stop if one process requests it, and the main process determines when to save.
/// Returns the sums of the requests `[2]`, on the device of the gradients; `None` for a single
/// process.
pub(super) fn gradients(
    group: &ProcessGroup,
    gradients: &mut [Tensor],
    request: StepControl,
) -> Result<Option<Tensor>> {
    if !group.is_distributed() {
        return Ok(None);
    }
    // Every parameter of the model has a gradient.
    let rows: Vec<Tensor> = gradients.iter().map(|x| x.flatten(0, -1)).collect();
    let flat = Tensor::cat(&rows, 0);
    // A number that fills a tensor needs no copy to a GPU.
    let requested = |is_requested: bool| {
        flat.new_full(
            [1],
            f64::from(u8::from(is_requested)),
            (flat.kind(), flat.device()),
        )
    };
    let stop = requested(request.stop);
    let save = requested(request.save && group.is_main());
    let length = flat.size()[0];
    let mut all = Tensor::cat(&[flat, stop, save], 0);
    group.sum(&mut all)?;
    let mut next = 0;
    for gradient in gradients {
        let size = gradient.numel() as i64;
        *gradient = all.narrow(0, next, size).view_as(gradient);
        next += size;
    }
    Ok(Some(all.narrow(0, length, 2)))
}

/// Embeddings `[networks, batch, width]` and labels `[batch]` of the whole batch. Gradients flow
/// only into the embeddings of this process's clips; the sum over the processes is the gradient of
/// the whole batch. `embeddings` are those of this process.
pub(super) fn embeddings(
    group: &ProcessGroup,
    embeddings: &Tensor,
    batch: &RankBatch,
) -> Result<(Tensor, Tensor)> {
    let size = embeddings.size();
    let (networks, clips, width) = (size[0], size[1], size[2]);
    let labels = batch.labels.narrow(0, 0, clips);
    if !group.is_distributed() {
        return Ok((embeddings.shallow_clone(), labels));
    }
    let local = local_slice(batch.global_size, group.rank(), group.world_size());
    let (start, length) = (local.start as i64, local.len() as i64);
    let whole = batch.global_size as i64;
    let embeddings = embeddings.narrow(1, 0, length);
    // The labels are a column behind the embeddings. Small integers are exact as floats.
    let float = (Kind::Float, embeddings.device());
    let mut all = Tensor::zeros([networks, whole, width + 1], float);
    let rows = all.narrow(1, start, length);
    rows.narrow(2, 0, width).copy_(&embeddings.detach());
    let labels = labels
        .narrow(0, 0, length)
        .to_kind(Kind::Float)
        .view([1, length]);
    rows.select(2, width)
        .copy_(&labels.expand([networks, length], false));
    group.sum(&mut all)?;
    let labels = all.select(2, width).select(0, 0).to_kind(Kind::Int64);
    let others = all.narrow(2, 0, width);
    let after = start + length;
    let rows = [
        others.narrow(1, 0, start),
        embeddings,
        others.narrow(1, after, whole - after),
    ];
    Ok((Tensor::cat(&rows, 1), labels))
}
