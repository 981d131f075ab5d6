//! The delay of the predictions behind a live audio stream.

use std::time::{Duration, Instant};

/// Delay of the first warning; each further warning comes at twice the delay of the previous one.
const FIRST_WARNING: Duration = Duration::from_secs(5);
/// A stream that is more than this number of seconds ahead of real time is not live, so its delay
/// does not matter. A live stream is ahead by at most the content of a pipe.
const AHEAD: f64 = 10.0;

/// Measures the delay. While audio waits in the queue, the delay grows with the time that passes,
/// and falls with the duration of the predicted audio.
pub(super) struct Backlog {
    started: Instant,
    is_live: bool,
    /// The last time when the queue was empty, and the seconds of audio that were predicted by
    /// then.
    caught_up: (Instant, f64),
    next_warning: Duration,
}

impl Backlog {
    pub(super) fn new(now: Instant) -> Backlog {
        Backlog {
            started: now,
            is_live: true,
            caught_up: (now, 0.0),
            next_warning: FIRST_WARNING,
        }
    }

    /// Records that the queue is empty: all `seconds` of audio are predicted.
    pub(super) fn catch_up(&mut self, now: Instant, seconds: f64) {
        self.caught_up = (now, seconds);
    }

    /// Returns the delay if a warning is due, after `seconds` of the `received` seconds of audio
    /// are predicted.
    pub(super) fn warning(
        &mut self,
        now: Instant,
        seconds: f64,
        received: f64,
    ) -> Option<Duration> {
        let age = now.saturating_duration_since(self.started).as_secs_f64();
        self.is_live &= received - age < AHEAD;
        let (since, before) = self.caught_up;
        let passed = now.saturating_duration_since(since);
        let delay = passed.saturating_sub(Duration::from_secs_f64((seconds - before).max(0.0)));
        if !self.is_live || delay < self.next_warning {
            return None;
        }
        self.next_warning = 2 * delay;
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The warnings (delays in seconds) for a stream in which one second of audio arrives every
    /// `every` and takes `costs` to predict.
    fn warnings(seconds: u32, every: Duration, costs: Duration) -> Vec<u64> {
        let started = Instant::now();
        let mut backlog = Backlog::new(started);
        let mut free = started;
        let mut delays = Vec::new();
        for second in 1..=seconds {
            let arrival = started + every * second;
            if arrival > free {
                free = arrival;
                backlog.catch_up(free, f64::from(second - 1));
            }
            free += costs;
            let arrived = (0..=seconds)
                .rev()
                .find(|&second| started + every * second <= free);
            let delay = backlog.warning(free, f64::from(second), f64::from(arrived.unwrap_or(0)));
            delays.extend(delay.map(|delay| delay.as_secs()));
        }
        delays
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn warnings_for_a_slow_live_stream_come_at_doubled_delays() {
        assert_eq!(warnings(100, SECOND, 2 * SECOND), [5, 10, 20, 40, 80]);
    }

    #[test]
    fn a_live_stream_with_fast_predictions_has_no_delay() {
        assert!(warnings(1000, SECOND, SECOND / 2).is_empty());
    }

    #[test]
    fn a_stream_with_pauses_has_no_delay() {
        assert!(warnings(1000, 3 * SECOND, 2 * SECOND).is_empty());
    }

    #[test]
    fn a_file_has_no_delay_with_any_duration_of_the_prediction() {
        assert!(warnings(100, Duration::ZERO, 2 * SECOND).is_empty());
    }
}
