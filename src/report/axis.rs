//! Axes of charts: a range of values with ticks at round numbers.

/// One axis of a chart.
#[derive(Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Labelled values, in increasing order.
    pub ticks: Vec<Tick>,
}

/// A labelled value of an axis.
#[derive(Debug)]
pub struct Tick {
    pub value: f64,
    pub label: String,
}

/// True if a chart can show `value`: it is finite, and not so large that a range overflows.
pub fn can_show(value: f64) -> bool {
    value.abs() <= 1e30
}

impl Axis {
    /// An axis of fractions labelled in percent. It always covers 0 to 100 %, so that the charts of
    /// two runs are comparable.
    pub fn percent() -> Axis {
        let tick = |percent: i32| Tick {
            value: f64::from(percent) / 100.0,
            label: format!("{percent} %"),
        };
        Axis {
            low: 0.0,
            high: 1.0,
            logarithmic: false,
            ticks: (0..=100).step_by(20).map(tick).collect(),
        }
    }

    /// An axis of epochs from 1 to `last`.
    pub fn epochs(last: usize) -> Axis {
        let tick = |epoch: usize| Tick {
            value: epoch as f64,
            label: epoch.to_string(),
        };
        if last <= 1 {
            return Axis {
                low: 0.5,
                high: 1.5,
                logarithmic: false,
                ticks: vec![tick(1)],
            };
        }
        let step = match round_step(last as f64, 12.0) as usize {
            0 | 1 => 1,
            2..5 => 5,
            step => step,
        };
        let mut ticks = vec![tick(1)];
        ticks.extend(
            (step..=last)
                .step_by(step)
                .filter(|&epoch| epoch > 1)
                .map(tick),
        );
        Axis {
            low: 1.0,
            high: last as f64,
            logarithmic: false,
            ticks,
        }
    }

    /// An axis of losses. It starts at zero unless that would flatten the curves. It is logarithmic
    /// if the largest value is more than twenty times the median, as in a run that diverges: on a
    /// linear axis, half of the values would be at the bottom.
    pub fn losses(values: impl Iterator<Item = f64>) -> Axis {
        let mut values: Vec<f64> = values.filter(|&value| can_show(value)).collect();
        values.sort_by(f64::total_cmp);
        let (Some(&low), Some(&high)) = (values.first(), values.last()) else {
            return Axis::linear(0.0, 1.0);
        };
        let median = values[values.len() / 2];
        if median > 0.0 && high > 20.0 * median {
            // The value zero has no logarithm; it is drawn on the bottom line.
            let lowest = values
                .into_iter()
                .find(|&value| value > 0.0)
                .unwrap_or(median);
            return Axis::logarithmic(lowest.max(high * 1e-12), high);
        }
        if low >= 0.0 && low < 0.6 * high {
            return Axis::linear(0.0, high);
        }
        Axis::linear(low, high)
    }

    /// An axis of counts from 0 to at least `most`, with whole numbers as ticks.
    pub fn counts(most: u64) -> Axis {
        Axis::linear(0.0, most.max(5) as f64)
    }

    /// An axis from exactly `low` to exactly `high`, with at most about `most` ticks at round
    /// numbers.
    pub fn exact(low: f64, high: f64, most: f64) -> Axis {
        let high = if high > low { high } else { low + 1.0 };
        let step = round_step(high - low, most);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let (first, last) = (
            (low / step).ceil() as i64,
            (high / step + 1e-9).floor() as i64,
        );
        let tick = |n: i64| Tick {
            value: n as f64 * step,
            label: label(n as f64 * step, decimals),
        };
        Axis {
            low,
            high,
            logarithmic: false,
            ticks: (first..=last).map(tick).collect(),
        }
    }

    /// A linear axis that includes all `values`; from 0 to `most` without values.
    pub fn including(values: impl Iterator<Item = f64>, most: f64) -> Axis {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low <= high {
            Axis::linear(low, high)
        } else {
            Axis::linear(0.0, most)
        }
    }

    /// A linear axis from a round number at or below `low` to one at or above `high`.
    pub fn linear(low: f64, high: f64) -> Axis {
        let high = if high > low {
            high
        } else {
            low + low.abs().max(1e-6) * 0.5
        };
        let step = round_step(high - low, 5.0);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let ticks = (0..=(last - first) as usize)
            .map(|n| {
                let value = (first + n as f64) * step;
                Tick {
                    value,
                    label: label(value, decimals),
                }
            })
            .collect();
        Axis {
            low: first * step,
            high: last * step,
            logarithmic: false,
            ticks,
        }
    }

    /// A logarithmic axis over whole decades, with at most about six ticks.
    fn logarithmic(low: f64, high: f64) -> Axis {
        let first = low.log10().floor() as i32;
        let decades = (high.log10().ceil() as i32 - first).max(1);
        let step = (decades + 5) / 6;
        let last = first + (decades + step - 1) / step * step;
        let readable = first >= -4 && last <= 4;
        let ticks = (first..=last)
            .step_by(step as usize)
            .map(|exponent| {
                let value = 10f64.powi(exponent);
                let label = if readable {
                    value.to_string()
                } else {
                    power_of_ten(exponent)
                };
                Tick { value, label }
            })
            .collect();
        Axis {
            low: 10f64.powi(first),
            high: 10f64.powi(last),
            logarithmic: true,
            ticks,
        }
    }

    /// True if equal distances on the axis are equal factors.
    pub fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Position of `value` on the axis: 0 at the low end, 1 at the high end. Values outside the
    /// range are at the nearest end.
    pub fn position(&self, value: f64) -> f64 {
        let position = if self.logarithmic {
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        position.clamp(0.0, 1.0)
    }
}

/// The smallest of 1, 2 or 5 times a power of ten that divides `range` into at most `most` steps.
fn round_step(range: f64, most: f64) -> f64 {
    let rough = range / most;
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= rough * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// A number on an axis, with a minus sign instead of a hyphen.
pub(super) fn label(value: f64, decimals: usize) -> String {
    let number = if decimals > 4 || value.abs() >= 1e5 {
        format!("{value:.1e}")
    } else {
        format!("{value:.decimals$}")
    };
    number.replace('-', "−")
}

/// The power of ten as text, such as "10⁻³" for −3.
fn power_of_ten(exponent: i32) -> String {
    let raised = |c: char| match c.to_digit(10) {
        Some(digit) => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize],
        None => '⁻',
    };
    "10".chars()
        .chain(exponent.to_string().chars().map(raised))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_whole_and_start_at_one() {
        assert_eq!(labels(&Axis::epochs(1)), ["1"]);
        assert_eq!(labels(&Axis::epochs(4)), ["1", "2", "3", "4"]);
        assert_eq!(
            labels(&Axis::epochs(30)),
            ["1", "5", "10", "15", "20", "25", "30"]
        );
        assert_eq!(labels(&Axis::epochs(100)).len(), 11);
        assert!(Axis::epochs(usize::MAX).ticks.len() < 15);
    }

    #[test]
    fn losses_start_at_zero_with_round_ticks() {
        let axis = Axis::losses([2.1, 0.3, f64::NAN, f64::INFINITY].into_iter());
        assert_eq!(labels(&axis), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!(axis.position(0.0), 0.0);
        assert_eq!(axis.position(1.25), 0.5);
        assert_eq!(axis.position(9.0), 1.0);
    }

    #[test]
    fn a_diverging_loss_makes_the_axis_logarithmic() {
        let axis = Axis::losses([3e4, 2.0, 1.5, 1.2, 0.0].into_iter());
        assert!(axis.is_logarithmic());
        assert_eq!(labels(&axis), ["10⁰", "10¹", "10²", "10³", "10⁴", "10⁵"]);
        assert_eq!(axis.position(0.0), 0.0);
        assert!((axis.position(10.0) - 0.2).abs() < 1e-12);

        let axis = Axis::losses([30.0, 0.7, 0.5, 0.04].into_iter());
        assert_eq!(labels(&axis), ["0.01", "0.1", "1", "10", "100"]);
    }

    #[test]
    fn odd_losses_have_an_axis() {
        for values in [
            vec![],
            vec![0.0],
            vec![-3.0, -3.0],
            vec![1e30, -1e30],
            vec![1e-300, 1e-299, 1.0],
            vec![5e-324],
            vec![1e15, 1e15 + 1.0],
            vec![f64::NAN],
        ] {
            let axis = Axis::losses(values.iter().copied());
            assert!((2..12).contains(&axis.ticks.len()), "{values:?} {axis:?}");
            assert!(
                values
                    .iter()
                    .all(|&v| !can_show(v) || axis.position(v).is_finite())
            );
        }
    }

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }
}
