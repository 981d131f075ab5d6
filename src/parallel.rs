//! Independent pieces of work on all cores.
//!
//! libtorch would divide each of its operations among threads that wait by spinning. Beside other
//! programs this is many times slower than one thread, and sums are rounded differently for each
//! number of threads. emovox gives libtorch one thread, and divides its own work into pieces that
//! do not depend on the number of threads.

use std::cell::Cell;
use std::io;
use std::thread::{self, JoinHandle};

use rayon::prelude::*;
use tch::Device;

use crate::random::ClipSeed;

/// Size of a thread's stack in bytes, as that of the first thread on Linux.
const STACK: usize = 8 << 20;

/// Number of cores that this process may use, by its affinity and its cgroup.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Sets the number of threads; 0 is one for each of the [`cores`]. It must be called before any other
/// work, and only once.
///
/// # Errors
/// If the threads cannot be started.
pub fn start(threads: usize) -> Result<(), rayon::ThreadPoolBuildError> {
    use_one_thread_of_libtorch();
    rayon::ThreadPoolBuilder::new()
        .num_threads(if threads == 0 { cores() } else { threads })
        .stack_size(STACK)
        // MKL keeps the number for each thread, and a command may compute on a thread before its first
        // `map`.
        .start_handler(|_| use_one_thread_of_libtorch())
        .build_global()
}

/// Does work on one of the threads. Then this thread computes its share of every [`map`], and never
/// waits for a thread that has not started its share: other programs may use that thread's core.
pub fn on_a_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// Starts a thread that does everything alone, also the pieces of every [`map`]. Its work neither
/// waits for the other threads nor uses their cores.
///
/// # Errors
/// If the thread cannot be started.
pub fn spawn_alone(
    name: String,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let alone = move || {
        use_one_thread_of_libtorch();
        // A pool that consists of this thread. It cannot fail, because it starts no thread.
        let _pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .use_current_thread()
            .build();
        work();
    };
    thread::Builder::new()
        .name(name)
        .stack_size(STACK)
        .spawn(alone)
}

/// Number of threads.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Does `work` for each item on the threads, and returns the results in the order of the items. One
/// item is computed by the calling thread.
pub fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let work = |item| {
        use_one_thread_of_libtorch();
        work(item)
    };
    if items.len() <= 1 {
        return items.into_iter().map(work).collect();
    }
    // Items are divided down to one, so that a thread that has nothing left to do can take it.
    items.into_par_iter().with_max_len(1).map(work).collect()
}

/// Random numbers of several clips: `width` for each, which `append` draws, one row after the other. On a GPU a step is one
/// piece of work, so the threads draw its rows; on a CPU the caller is one of several pieces.
pub fn rows<T: Copy + Send>(
    seeds: &[ClipSeed],
    device: Device,
    width: usize,
    append: impl Fn(ClipSeed, &mut Vec<T>) + Sync,
) -> Vec<T> {
    let draw = |seeds: &[ClipSeed]| {
        let mut numbers = Vec::with_capacity(seeds.len() * width);
        for &seed in seeds {
            append(seed, &mut numbers);
        }
        numbers
    };
    if device == Device::Cpu {
        return draw(seeds);
    }
    map(seeds.chunks(ROWS).collect(), draw).concat()
}

/// Number of rows that a thread draws at a time.
const ROWS: usize = 8;

/// OpenMP and libtorch keep the number of their threads for each calling thread.
fn use_one_thread_of_libtorch() {
    thread_local! {
        static IS_SET: Cell<bool> = const { Cell::new(false) };
    }
    if !IS_SET.replace(true) {
        tch::set_num_threads(1);
    }
}

/// A value with tensors that several threads read at once.
#[derive(Debug)]
pub struct Shared<T>(T);

impl<T> Shared<T> {
    /// Shares a value. No thread may change its tensors while others use it.
    pub fn new(value: T) -> Self {
        Shared(value)
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, which no other thread uses now.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

// SAFETY: tch does not implement `Sync` for tensors, because some methods change a tensor through a
// shared reference. libtorch allows any number of threads to read a tensor and to build graphs of
// operations on it; reference counts and gradient accumulators are synchronised. The pieces of work
// in this crate only read the tensors that they share.
unsafe impl<T> Sync for Shared<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_thread_that_is_alone_computes_every_piece() {
        let thread = spawn_alone("alone".into(), || {
            let here = thread::current().id();
            let threads = map(vec![(); 64], |()| thread::current().id());
            assert!(threads.into_iter().all(|thread| thread == here));
        });
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn the_rows_for_a_gpu_are_those_for_a_cpu() {
        let seeds: Vec<ClipSeed> = (0..37).map(|clip| ClipSeed::new(1, 2, clip, 0)).collect();
        let drawn = |device| {
            rows(&seeds, device, 5, |seed, numbers| {
                let mut rng = seed.generator(3);
                numbers.extend((0..5).map(|_| rng.next_u64()));
            })
        };
        let numbers = drawn(Device::Cpu);
        assert_eq!(numbers.len(), 37 * 5);
        assert_eq!(drawn(Device::Cuda(0)), numbers);
    }
}
