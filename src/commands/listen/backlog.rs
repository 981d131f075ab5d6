//! The time by which the predictions of a live stream are behind its sound.

use std::time::{Duration, Instant};

/// The delay that is first worth a warning; each further warning comes at twice the delay.
const FIRST_WARNING: Duration = Duration::from_secs(5);
/// Sound that comes so much sooner than it lasts is not live, and nobody waits for its predictions. A live
/// stream has at most the content of a pipe ahead of its time.
const AHEAD: f64 = 10.0;

/// Follows a stream. While something waits in the queue, the predictions fall behind by the time that
/// passes and catch up by the sound that is predicted.
pub(super) struct Backlog {
    began: Instant,
    is_live: bool,
    /// The moment when nothing was waiting, and the seconds that were predicted then.
    caught_up: (Instant, f64),
    next_warning: Duration,
}

impl Backlog {
    pub(super) fn new(now: Instant) -> Backlog {
        Backlog {
            began: now,
            is_live: true,
            caught_up: (now, 0.0),
            next_warning: FIRST_WARNING,
        }
    }

    /// Nothing is waiting: all of these seconds are predicted.
    pub(super) fn catch_up(&mut self, now: Instant, seconds: f64) {
        self.caught_up = (now, seconds);
    }

    /// The delay once `seconds` are predicted of those that were `received`, where it is time for a warning.
    pub(super) fn warning(
        &mut self,
        now: Instant,
        seconds: f64,
        received: f64,
    ) -> Option<Duration> {
        let age = now.saturating_duration_since(self.began).as_secs_f64();
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

    /// The delays that are told of a stream whose seconds come every `every` and take `costs` to predict.
    fn warnings(seconds: u32, every: Duration, costs: Duration) -> Vec<u64> {
        let began = Instant::now();
        let mut backlog = Backlog::new(began);
        let mut free = began;
        let mut told = Vec::new();
        for second in 1..=seconds {
            let arrival = began + every * second;
            if arrival > free {
                free = arrival;
                backlog.catch_up(free, f64::from(second - 1));
            }
            free += costs;
            let came = (0..=seconds)
                .rev()
                .find(|&second| began + every * second <= free);
            let delay = backlog.warning(free, f64::from(second), f64::from(came.unwrap_or(0)));
            told.extend(delay.map(|delay| delay.as_secs()));
        }
        told
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_live_stream_that_is_not_kept_up_with_is_told_of_ever_more_seldom() {
        assert_eq!(warnings(100, SECOND, 2 * SECOND), [5, 10, 20, 40, 80]);
    }

    #[test]
    fn a_live_stream_that_is_kept_up_with_has_no_delay() {
        assert!(warnings(1000, SECOND, SECOND / 2).is_empty());
    }

    #[test]
    fn a_stream_with_pauses_has_no_delay() {
        assert!(warnings(1000, 3 * SECOND, 2 * SECOND).is_empty());
    }

    #[test]
    fn a_file_has_no_delay_however_long_it_takes() {
        assert!(warnings(100, Duration::ZERO, 2 * SECOND).is_empty());
    }
}
