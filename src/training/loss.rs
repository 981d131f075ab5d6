//! Losses: cross-entropy with smoothed, mixed and weighted targets, and supervised contrastive
//! loss.

use tch::{Kind, Tensor};

use crate::device;

/// Label smoothing: distributes a share of each target evenly over all classes (Szegedy et al.
/// 2016), or over those that are `possible` `[batch, classes]`, 0 or 1.
pub(super) fn smooth(targets: &Tensor, share: f64, possible: Option<&Tensor>) -> Tensor {
    match possible {
        None => targets * (1.0 - share) + share / targets.size()[1] as f64,
        Some(possible) => {
            let classes = possible.sum_dim_intlist(1, true, Kind::Float);
            targets * (1.0 - share) + possible * share / classes
        }
    }
}

/// Logits `[batch, classes]` in which classes that are not `possible` have the probability 0 and no
/// gradient.
pub(super) fn masked(logits: &Tensor, possible: Option<&Tensor>) -> Tensor {
    match possible {
        None => logits.shallow_clone(),
        Some(possible) => logits.masked_fill(&possible.eq(0.0), MASKED_LOGIT),
    }
}

/// Cross-entropy −Σ target · log softmax(logits), averaged over the clips of a batch; `logits` and
/// `targets` are `[batch, classes]`. With `class_weights` `[classes]` the average is weighted by
/// the weight of each target's class.
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

/// Total weight of the clips of a batch in the mean of [`cross_entropy`].
pub(super) fn weight(targets: &Tensor, class_weights: Option<&Tensor>) -> Tensor {
    match class_weights {
        None => Tensor::from(targets.size()[0] as f32),
        Some(weights) => (targets * weights).sum(Kind::Float),
    }
}

/// Supervised contrastive loss (Khosla et al. 2020, with the sum outside the logarithm), averaged
/// over the networks of an ensemble: `embeddings` `[networks, batch, width]`, `labels` `[batch]`.
/// It is low if the cosine similarity of two clips of one class is higher than that of clips of
/// different classes. A clip without another clip of its class is ignored; without any pair the
/// loss is 0.
pub(super) fn contrastive(embeddings: &Tensor, labels: &Tensor) -> Tensor {
    let (members, batch) = (embeddings.size()[0], embeddings.size()[1]);
    let norm = embeddings.square().sum_dim_intlist(-1, true, Kind::Float);
    let unit = embeddings / (norm + 1e-12).sqrt();
    let clip = device::range(batch, Kind::Int64, embeddings.device());
    let diagonal = clip.unsqueeze(0).eq_tensor(&clip.unsqueeze(1));
    let similarity = unit.matmul(&unit.transpose(1, 2)) / TEMPERATURE;
    let log_probability = similarity
        .masked_fill(&diagonal, MASKED_LOGIT)
        .log_softmax(-1, Kind::Float);
    let same_class = labels.unsqueeze(0).eq_tensor(&labels.unsqueeze(1));
    let positives = same_class
        .logical_and(&diagonal.logical_not())
        .to_kind(Kind::Float);
    let pairs = positives.sum_dim_intlist(-1, false, Kind::Float);
    let per_anchor = (log_probability * &positives).sum_dim_intlist(-1, false, Kind::Float)
        / pairs.clamp_min(1.0);
    let anchors = pairs.gt(0.0).sum(Kind::Float).clamp_min(1.0);
    -per_anchor.sum(Kind::Float) / (anchors * members as f64)
}

/// Temperature of the softmax over similarities; a lower value emphasises the most similar clips.
const TEMPERATURE: f64 = 0.1;
/// Logit whose probability is 0. It is finite, because −∞ · 0 is NaN.
const MASKED_LOGIT: f64 = -1e9;

/// Weight of each class, inversely proportional to its frequency; the mean over the clips is 1
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
    use crate::augment::one_hot;

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
        let smoothed = value(cross_entropy(&logits, &smooth(&targets, 0.1, None), None));
        let weighted = value(cross_entropy(&logits, &targets, Some(&weights)));
        assert!((plain - 1.587221461).abs() < 1e-6, "{plain}");
        assert!((smoothed - 1.603888128).abs() < 1e-6, "{smoothed}");
        assert!((weighted - 1.237646726).abs() < 1e-6, "{weighted}");
    }

    /// Without the impossible class, the loss is that of a problem with two classes.
    #[test]
    fn an_impossible_class_has_no_effect() {
        let logits = Tensor::from_slice(&[1.0f32, -2.0, 0.5]).view([1, 3]);
        let logits = logits.set_requires_grad(true);
        let possible = Tensor::from_slice(&[1.0f32, 0.0, 1.0]).view([1, 3]);
        let targets = one_hot(&Tensor::from_slice(&[2i64]), 3);
        let targets = smooth(&targets, 0.2, Some(&possible));
        let loss = cross_entropy(&masked(&logits, Some(&possible)), &targets, None);
        let two = Tensor::from_slice(&[1.0f32, 0.5]).view([1, 2]);
        let targets_of_two = smooth(&one_hot(&Tensor::from_slice(&[1i64]), 2), 0.2, None);
        let expected = cross_entropy(&two, &targets_of_two, None);
        assert!((loss.double_value(&[]) - expected.double_value(&[])).abs() < 1e-6);
        loss.backward();
        assert_eq!(logits.grad().double_value(&[0, 1]), 0.0);
    }

    /// The expected value is the formula, written as loops in double precision.
    #[test]
    fn contrastive_equals_its_formula() {
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
                let positives = others().filter(|&other| labels[other] == labels[anchor]);
                for other in positives {
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
