//! Learning rate at each step of a training.

use std::f64::consts::PI;

use crate::config::Schedule;

/// Share of the training in which the one-cycle rate increases.
const RISING: f64 = 0.3;
/// First learning rate of the one-cycle schedule, relative to its peak.
const START: f64 = 1.0 / 25.0;
/// Last learning rate of the one-cycle schedule, relative to its peak.
const END: f64 = 1e-4 / 25.0;

impl Schedule {
    /// Learning rate of step `step` (from 0) in a training of `steps` steps; `peak` is the highest
    /// rate. The one-cycle schedule equals PyTorch's `OneCycleLR` with its default settings.
    pub fn learning_rate(self, peak: f64, step: usize, steps: usize) -> f64 {
        match self {
            Schedule::Constant => peak,
            Schedule::OneCycle => {
                let turn = (RISING * steps as f64 - 1.0).max(1.0);
                let end = (steps as f64 - 1.0).max(turn + 1.0);
                let at = step as f64;
                if at <= turn {
                    half_cosine(START * peak, peak, at / turn)
                } else {
                    half_cosine(peak, END * peak, (at - turn) / (end - turn))
                }
            }
        }
    }
}

/// Interpolation along half a cosine: `from` at 0, `to` at 1.
fn half_cosine(from: f64, to: f64, at: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * at.min(1.0)).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```python
    /// p = torch.nn.Parameter(torch.zeros(1)); o = torch.optim.AdamW([p])
    /// s = torch.optim.lr_scheduler.OneCycleLR(o, 3e-3, total_steps=100)
    /// for i in range(100):
    ///     if i in (0, 10, 29, 30, 64, 99): print(i, o.param_groups[0]["lr"])
    ///     o.step(); i < 99 and s.step()
    /// ```
    const PYTORCH: [(usize, f64); 6] = [
        (0, 0.000_12),
        (10, 0.000_885_491_845_392_302_1),
        (29, 0.003),
        (30, 0.002_998_489_605_853_573),
        (64, 0.001_500_006),
        (99, 1.2e-8),
    ];

    #[test]
    fn one_cycle_is_pytorchs() {
        for (step, rate) in PYTORCH {
            let ours = Schedule::OneCycle.learning_rate(3e-3, step, 100);
            assert!((ours - rate).abs() < 1e-12, "step {step}: {ours} {rate}");
        }
    }

    #[test]
    fn the_rate_is_between_0_and_the_peak_for_any_number_of_steps() {
        for steps in 1..50 {
            for step in 0..steps {
                let rate = Schedule::OneCycle.learning_rate(1.0, step, steps);
                assert!((0.0..=1.0).contains(&rate), "{step}/{steps}: {rate}");
            }
        }
    }
}
