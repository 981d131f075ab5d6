//! Monitors the processes of a training: each counts up a heartbeat in the store, and all check the store
//! for the reason of a failed process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::group::{Client, Group};
use super::rank_env::RankEnv;

/// Time between two checks.
const EVERY: Duration = Duration::from_millis(300);
/// A process without a heartbeat for this long is lost.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest wait of rank 0 for processes that may be gone or starved by other programs.
const INFORM_PATIENCE: Duration = Duration::from_secs(5);
/// Key of the failure's reason in the store.
const FAILED: &str = "failed";

/// The monitor thread. It runs until it is stopped.
#[derive(Debug)]
pub(super) struct Watch {
    over: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn begin(group: Arc<Group>, place: &RankEnv, end: fn(&str)) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let watch = Watch { over: over.clone() };
        let place = place.clone();
        std::thread::spawn(move || {
            let reason = watch_over(&group, place.rank, place.size, &over);
            if let (Some(reason), false) = (reason, over.load(Ordering::Relaxed)) {
                inform(&group, Client::Watch, &place, &reason);
                end(&reason);
            }
        });
        watch
    }

    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Notes in the store that this process has the reason of the failure. If the store ends with this
/// process, waits until all others have noted it, except a process that is gone.
pub(super) fn inform(group: &Group, client: Client, place: &RankEnv, reason: &str) {
    let key = |rank: usize| format!("informed-{rank}");
    // If the store cannot be reached, there is nobody to inform.
    let _ = group.add(client, &key(place.rank), 1);
    if place.rank != 0 || !place.first_keeps_store {
        return;
    }
    let is_waiting = |rank: usize| {
        let informed = group.add(client, &key(rank), 0).unwrap_or(0);
        informed == 0 && reason != gone(rank)
    };
    let until = Instant::now() + INFORM_PATIENCE;
    while Instant::now() < until && (1..place.size).any(is_waiting) {
        std::thread::sleep(EVERY / 3);
    }
}

/// Returns the reason when a process has failed, or `None` when `over` is set.
fn watch_over(group: &Group, rank: usize, size: usize, over: &AtomicBool) -> Option<String> {
    let started = Instant::now();
    let mut beats = vec![(0, started); size];
    while !over.load(Ordering::Relaxed) {
        let looked = group
            .add(Client::Watch, &heartbeat_key(rank), 1)
            .and_then(|_| group.get(Client::Watch, FAILED));
        match looked {
            Ok(Some(reason)) => return Some(reason),
            Ok(None) => {}
            Err(_) => return Some("rank 0 is gone, or the program that started it".into()),
        }
        // Only rank 0 checks all heartbeats, which keeps the number of requests low.
        for other in (1..size).filter(|_| rank == 0) {
            let beat = group
                .add(Client::Watch, &heartbeat_key(other), 0)
                .unwrap_or(0);
            if beat != beats[other].0 {
                beats[other] = (beat, Instant::now());
            } else if beats[other].1.elapsed() > PATIENCE {
                return Some(leave_reason(group, &gone(other)));
            }
        }
        std::thread::sleep(EVERY);
    }
    None
}

/// The reason why a collective failed: the reason in the store, or a process without a heartbeat.
pub(super) fn who_is_gone(group: &Group, rank: usize, size: usize) -> Option<String> {
    let others: Vec<usize> = (0..size).filter(|&other| other != rank).collect();
    let beat = |other: usize| group.add(Client::Training, &heartbeat_key(other), 0).ok();
    let before: Vec<Option<i64>> = others.iter().map(|&other| beat(other)).collect();
    let until = Instant::now() + 5 * EVERY;
    while Instant::now() < until {
        match group.get(Client::Training, FAILED) {
            Ok(Some(reason)) => return Some(reason),
            Ok(None) => std::thread::sleep(EVERY / 3),
            Err(_) => return Some(gone(0)),
        }
    }
    let mut stopped = others.iter().zip(before);
    let stopped = stopped.find(|&(&other, before)| beat(other) == before);
    stopped.map(|(&other, _)| gone(other))
}

/// Publishes a reason for all other processes. If another process was faster, returns its reason.
pub(super) fn leave_reason(group: &Group, reason: &str) -> String {
    let is_first = group
        .add(Client::Training, "reasons", 1)
        .is_ok_and(|count| count == 1);
    if is_first {
        // If the store cannot be reached, rank 0 is gone, and all processes stop for this reason.
        let _ = group.set(Client::Training, FAILED, reason);
        return reason.into();
    }
    match group.get(Client::Training, FAILED) {
        Ok(Some(first)) => first,
        _ => reason.into(),
    }
}

fn heartbeat_key(rank: usize) -> String {
    format!("heartbeat-{rank}")
}

fn gone(rank: usize) -> String {
    format!("rank {rank} is gone: it was killed, or its machine or network is down")
}
