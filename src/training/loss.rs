//! Cross-entropy against targets that may be smoothed, mixed and weighted.

use tch::{Kind, Tensor};

/// `[batch, classes]`: 1 at each clip's class.
pub(super) fn one_hot(labels: &Tensor, classes: i64) -> Tensor {
    labels.one_hot(classes).to_kind(Kind::Float)
}

/// Takes a share off each target and gives it to all classes alike (Szegedy et al. 2016).
pub(super) fn smooth(targets: &Tensor, share: f64) -> Tensor {
    let classes = targets.size()[1] as f64;
    targets * (1.0 - share) + share / classes
}

/// −Σ target · log softmax(logits), the mean over the clips of a batch. With `class_weights`
/// `[classes]` each target counts as much as its class weighs, and the mean is the weighted one.
pub(super) fn cross_entropy(
    logits: &Tensor,
    targets: &Tensor,
    class_weights: Option<&Tensor>,
) -> Tensor {
    let log_probabilities = logits.log_softmax(-1, Kind::Float);
    match class_weights {
        None => -(targets * log_probabilities).sum(Kind::Float) / targets.size()[0] as f64,
        Some(weights) => {
            let weighted = targets * weights;
            -(&weighted * log_probabilities).sum(Kind::Float) / weighted.sum(Kind::Float)
        }
    }
}

/// How much the clips of a batch weigh in [`cross_entropy`]'s mean.
pub(super) fn weight(targets: &Tensor, class_weights: Option<&Tensor>) -> Tensor {
    match class_weights {
        None => Tensor::from(targets.size()[0] as f32),
        Some(weights) => (targets * weights).sum(Kind::Float),
    }
}

/// Supervised contrastive loss (Khosla et al. 2020, the outer sum) of each member of a committee on its
/// own: `embeddings` `[members, batch, width]`, `labels` `[batch]`. To each clip those of its class shall be
/// nearer, by the cosine between embeddings, than all others. A clip that is alone in its class does not
/// count; without any pair the loss is 0.
pub(super) fn contrastive(embeddings: &Tensor, labels: &Tensor) -> Tensor {
    let (members, batch) = (embeddings.size()[0], embeddings.size()[1]);
    let norm = embeddings.square().sum_dim_intlist(-1, true, Kind::Float);
    let unit = embeddings / (norm + 1e-12).sqrt();
    let itself = Tensor::eye(batch, (Kind::Bool, embeddings.device()));
    let similarity = unit.matmul(&unit.transpose(1, 2)) / TEMPERATURE;
    let log_share = similarity
        .masked_fill(&itself, FAR)
        .log_softmax(-1, Kind::Float);
    let alike = labels.unsqueeze(0).eq_tensor(&labels.unsqueeze(1));
    let alike = alike
        .logical_and(&itself.logical_not())
        .to_kind(Kind::Float);
    let pairs = alike.sum_dim_intlist(-1, false, Kind::Float);
    let drawn = (log_share * &alike).sum_dim_intlist(-1, false, Kind::Float) / pairs.clamp_min(1.0);
    let anchors = pairs.gt(0.0).sum(Kind::Float).clamp_min(1.0);
    -drawn.sum(Kind::Float) / (anchors * members as f64)
}

/// How sharply the contrastive loss tells near from far.
const TEMPERATURE: f64 = 0.1;
/// A similarity that has no share beside any other, and no infinity to multiply by zero.
const FAR: f64 = -1e9;

/// A weight for each class, inverse to how often it occurs; the mean over the clips is 1
/// (scikit-learn's `class_weight="balanced"`).
pub(super) fn balanced_weights(labels: &[usize], classes: usize) -> Vec<f32> {
    let count = |class: usize| labels.iter().filter(|&&label| label == class).count();
    (0..classes)
        .map(|class| labels.len() as f32 / (classes * count(class).max(1)) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```python
    /// logits = torch.tensor([[1., -2., 0.5], [0., 2., -1.]]); labels = torch.tensor([2, 0])
    /// F.cross_entropy(logits, labels)
    /// F.cross_entropy(logits, labels, label_smoothing=0.1)
    /// F.cross_entropy(logits, labels, weight=torch.tensor([0.5, 1., 2.]))
    /// ```
    #[test]
    fn is_pytorchs_cross_entropy() {
        let logits = Tensor::from_slice(&[1.0f32, -2.0, 0.5, 0.0, 2.0, -1.0]).view([2, 3]);
        let targets = one_hot(&Tensor::from_slice(&[2i64, 0]), 3);
        let weights = Tensor::from_slice(&[0.5f32, 1.0, 2.0]);
        let value = |loss: Tensor| loss.double_value(&[]);
        let plain = value(cross_entropy(&logits, &targets, None));
        let smoothed = value(cross_entropy(&logits, &smooth(&targets, 0.1), None));
        let weighted = value(cross_entropy(&logits, &targets, Some(&weights)));
        assert!((plain - 1.587221461).abs() < 1e-6, "{plain}");
        assert!((smoothed - 1.603888128).abs() < 1e-6, "{smoothed}");
        assert!((weighted - 1.237646726).abs() < 1e-6, "{weighted}");
    }

    /// The formula's sums, one by one, in double precision.
    #[test]
    fn contrastive_is_its_formula() {
        tch::manual_seed(4);
        let (members, batch, width) = (2, 5, 3);
        let labels = [0usize, 1, 0, 2, 0];
        let embeddings = Tensor::randn(
            [members as i64, batch as i64, width],
            (Kind::Float, tch::Device::Cpu),
        );
        let mut expected = 0.0;
        for member in 0..members {
            let rows =
                Vec::<Vec<f64>>::try_from(embeddings.get(member as i64).to_kind(Kind::Double));
            let rows = rows.unwrap();
            let cosine = |i: usize, j: usize| {
                let dot = |a: usize, b: usize| -> f64 {
                    rows[a].iter().zip(&rows[b]).map(|(x, y)| x * y).sum()
                };
                dot(i, j) / (dot(i, i) * dot(j, j)).sqrt() / 0.1
            };
            for anchor in [0, 2, 4] {
                let others = || (0..batch).filter(move |&other| other != anchor);
                let all: f64 = others().map(|other| cosine(anchor, other).exp()).sum();
                let alike = others().filter(|&other| labels[other] == labels[anchor]);
                for other in alike {
                    expected -= (cosine(anchor, other) - all.ln()) / 2.0 / 3.0 / members as f64;
                }
            }
        }
        let labels = Tensor::from_slice(&labels.map(|label| label as i64));
        let loss = contrastive(&embeddings, &labels).double_value(&[]);
        assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
        let alone = contrastive(
            &embeddings,
            &Tensor::arange(5, (Kind::Int64, tch::Device::Cpu)),
        );
        assert_eq!(alone.double_value(&[]), 0.0);
    }

    #[test]
    fn balanced_weights_are_scikit_learns() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 1, 2])
        assert_eq!(
            balanced_weights(&[0, 0, 0, 1, 1, 2], 3),
            [2.0 / 3.0, 1.0, 2.0]
        );
    }
}
