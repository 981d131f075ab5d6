//! The threads that predict, and the queue in front of them.
//!
//! The queue is bounded by its users: every request and every stream has at most one job in it, and
//! their numbers are limited. A job whose client leaves is removed from the queue at once.

use std::collections::VecDeque;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Failure;
use super::metrics::Metrics;
use crate::parallel::spawn_alone;
use crate::reason::panic_message;

/// Number of jobs of which one is a request, if one waits; the others are those of live streams, if
/// some wait.
const TURNS: usize = 4;

/// The kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// A piece of a live stream, whose answer is late after a fraction of a second.
    Live,
    /// A recording.
    Request,
}

/// Threads that run jobs, each of them one at a time.
pub(super) struct Pool {
    shared: Arc<Shared>,
    count: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    /// Number of threads with a job. It changes while the queue is locked, so that a job is always
    /// counted, in the queue or here.
    busy: AtomicUsize,
    metrics: Arc<Metrics>,
    log: fn(&str),
}

#[derive(Default)]
struct Queue {
    live: VecDeque<Job>,
    requests: VecDeque<Job>,
    /// Number of jobs taken so far, modulo [`TURNS`].
    turn: usize,
    is_closed: bool,
}

struct Job {
    /// True if nobody waits for the result any more.
    is_abandoned: Arc<AtomicBool>,
    run: Box<dyn FnOnce() + Send>,
}

/// The caller of [`Pool::run`], who may leave before the end of the job.
struct Waiting<'a> {
    shared: &'a Shared,
    is_abandoned: Arc<AtomicBool>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
        self.shared.lock().remove_abandoned();
    }
}

impl Pool {
    /// Starts `count` threads. `log` prints the reason of a panic.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(super) fn start(count: usize, metrics: Arc<Metrics>, log: fn(&str)) -> io::Result<Pool> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            busy: AtomicUsize::new(0),
            metrics,
            log,
        });
        let start = |number| {
            let shared = shared.clone();
            spawn_alone(format!("worker {number}"), move || shared.work())
        };
        let threads = (1..=count).map(start).collect::<io::Result<_>>()?;
        Ok(Pool {
            shared,
            count,
            threads: Mutex::new(threads),
        })
    }

    /// Runs a job on a thread and waits for its result. The job gets a function that is false when
    /// nobody waits for the result any more; in this case a job that has not started does not run.
    ///
    /// # Errors
    /// If the job panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let waiting = Waiting {
            shared: &self.shared,
            is_abandoned: Arc::default(),
        };
        let is_abandoned = waiting.is_abandoned.clone();
        let (sender, result) = oneshot::channel();
        let (metrics, log) = (self.shared.metrics.clone(), self.shared.log);
        let queued = Instant::now();
        let run = Box::new(move || {
            let began = Instant::now();
            metrics.queue.add(began - queued);
            let is_needed = || !is_abandoned.load(Ordering::Relaxed);
            let done = panic::catch_unwind(AssertUnwindSafe(|| job(&is_needed)));
            metrics.prediction.add(began.elapsed());
            match done {
                Ok(value) => _ = sender.send(value),
                // The sender is dropped without a value, so the waiting task gets an error.
                Err(panic) => {
                    metrics.panics.fetch_add(1, Ordering::Relaxed);
                    log(&format!(
                        "error: a prediction failed: {}",
                        panic_message(&*panic)
                    ));
                }
            }
        });
        let job = Job {
            is_abandoned: waiting.is_abandoned.clone(),
            run,
        };
        {
            let mut queue = self.shared.lock();
            match lane {
                Lane::Live => queue.live.push_back(job),
                Lane::Request => queue.requests.push_back(job),
            }
        }
        self.shared.arrived.notify_one();
        result.await.map_err(|_| Failure::internal())
    }

    /// Number of jobs that wait.
    pub(super) fn waiting(&self) -> usize {
        let queue = self.shared.lock();
        queue.live.len() + queue.requests.len()
    }

    /// True while a thread has a job, or one waits.
    pub(super) fn is_busy(&self) -> bool {
        let queue = self.shared.lock();
        self.busy() > 0 || !(queue.live.is_empty() && queue.requests.is_empty())
    }

    /// Number of threads.
    pub(super) fn workers(&self) -> usize {
        self.count
    }

    /// Number of threads that run a job.
    pub(super) fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::Relaxed)
    }

    /// Waits until the threads have run all jobs, and ends them.
    pub(super) fn close(&self) {
        self.shared.lock().is_closed = true;
        self.shared.arrived.notify_all();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A job's panic is caught, so a thread has no result.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            (job.run)();
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Waits for the next job and counts the thread as busy; `None` when the pool is closed and empty.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.take() {
                self.busy.fetch_add(1, Ordering::Relaxed);
                return Some(job);
            }
            if queue.is_closed {
                return None;
            }
            let waited = self.arrived.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Queue {
    /// The next job. Live streams come first, but requests get a part of the turns, so that no
    /// number of streams stops them.
    fn take(&mut self) -> Option<Job> {
        let (first, second) = if self.turn == 0 {
            (&mut self.requests, &mut self.live)
        } else {
            (&mut self.live, &mut self.requests)
        };
        let job = first.pop_front().or_else(|| second.pop_front())?;
        self.turn = (self.turn + 1) % TURNS;
        Some(job)
    }

    fn remove_abandoned(&mut self) {
        for jobs in [&mut self.live, &mut self.requests] {
            jobs.retain(|job| !job.is_abandoned.load(Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::mpsc;

    use futures_util::future::poll_immediate;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn requests_get_their_turn_among_live_jobs() {
        let order = Arc::new(Mutex::new(String::new()));
        let mut queue = Queue::default();
        let job = |name: &'static str| {
            let order = order.clone();
            Job {
                is_abandoned: Arc::default(),
                run: Box::new(move || order.lock().unwrap().push_str(name)),
            }
        };
        queue.live.extend([(); 6].map(|()| job("l")));
        queue.requests.extend([(); 3].map(|()| job("r")));
        while let Some(job) = queue.take() {
            (job.run)();
        }
        assert_eq!(*order.lock().unwrap(), "rlllrlllr");
    }

    #[test]
    fn a_panic_is_an_internal_failure_and_the_thread_lives_on() {
        let metrics = Arc::<Metrics>::default();
        static LOGGED: Mutex<String> = Mutex::new(String::new());
        let log = |line: &str| LOGGED.lock().unwrap().push_str(line);
        let pool = Pool::start(1, metrics.clone(), log).unwrap();
        let failed = block_on(pool.run(Lane::Request, |_| -> () { panic!("on purpose") }));
        assert_eq!(failed, Err(Failure::internal()));
        assert_eq!(metrics.panics.load(Ordering::Relaxed), 1);
        assert_eq!(
            *LOGGED.lock().unwrap(),
            "error: a prediction failed: on purpose"
        );
        assert_eq!(block_on(pool.run(Lane::Request, |_| 7)), Ok(7));
        pool.close();
    }

    #[test]
    fn a_job_that_nobody_waits_for_does_not_run() {
        let pool = Arc::new(Pool::start(1, Arc::default(), |_| {}).unwrap());
        let (started, has_started) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        block_on(async {
            let first = pool.run(Lane::Request, move |_| {
                started.send(()).unwrap();
                // Also ends if the sender is dropped by a failed assertion.
                let _ = released.recv();
            });
            let second = pool.run(Lane::Request, |_| panic!("this job must not run"));
            let mut first = Box::pin(first);
            let mut second: Pin<Box<dyn Future<Output = Result<(), Failure>>>> = Box::pin(second);
            // Both are queued; then nobody waits for the second one any more.
            assert!(poll_immediate(&mut first).await.is_none());
            assert!(poll_immediate(&mut second).await.is_none());
            has_started.recv().unwrap();
            assert_eq!(pool.waiting(), 1);
            drop(second);
            assert_eq!(pool.waiting(), 0, "it does not take a place in the queue");
            release.send(()).unwrap();
            first.await.unwrap();
        });
        pool.close();
        assert_eq!(pool.shared.metrics.panics.load(Ordering::Relaxed), 0);
    }
}
