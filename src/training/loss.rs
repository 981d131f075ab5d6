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

    #[test]
    fn balanced_weights_are_scikit_learns() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 1, 2])
        assert_eq!(
            balanced_weights(&[0, 0, 0, 1, 1, 2], 3),
            [2.0 / 3.0, 1.0, 2.0]
        );
    }
}
