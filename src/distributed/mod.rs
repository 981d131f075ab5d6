//! One training over several processes, by the collectives that libtorch has: c10d's store to find each
//! other, Gloo or (between GPUs) NCCL to add up gradients. Processes are started by whoever starts PyTorch
//! jobs (torchrun, srun, an operator of Kubernetes), and told by its variables who they are.
//!
//! Each process holds the whole model and trains on its share of every batch; gradients are added up, so
//! all take the same step. Rank 0 alone writes. A process that fails leaves its reason in the store, and all
//! others end with it: they look there every third of a second, and rank 0 sees whose heart has stopped.
//!
//! Without the feature `distributed` there is only the process that is alone.

#[cfg(feature = "distributed")]
mod gpus;
#[cfg(feature = "distributed")]
#[allow(unsafe_code)] // calls the shim
mod group;
mod place;
mod share;
#[cfg(feature = "distributed")]
mod watch;

pub use share::share;

use std::sync::Arc;
#[cfg(feature = "distributed")]
use std::sync::OnceLock;

#[cfg(feature = "distributed")]
use anyhow::anyhow;
use anyhow::{Context, Result, ensure};
use tch::{Device, Tensor};

use place::Place;

#[cfg(feature = "distributed")]
use group::Group;
#[cfg(feature = "distributed")]
use watch::Watch;

/// This process among those that train together.
#[derive(Debug, Clone, Default)]
pub struct Ranks {
    together: Option<Arc<Together>>,
}

#[derive(Debug)]
struct Together {
    place: Place,
    #[cfg(feature = "distributed")]
    watch: Watch,
    #[cfg(feature = "distributed")]
    group: Arc<Group>,
    /// Whether what is on GPUs goes through NCCL, or why not; once that is known.
    #[cfg(feature = "distributed")]
    nccl: OnceLock<Result<(), String>>,
}

/// A collective did not come to its end, most often because another process did.
#[derive(Debug, thiserror::Error)]
#[error("the processes that train together lost each other: {0}")]
pub struct Lost(String);

impl Ranks {
    /// A process that is alone.
    pub fn alone() -> Ranks {
        Ranks::default()
    }

    /// Joins the others, where the environment says that there are some. The first one calls `waits`
    /// before, with words about what it waits for. `end` is called from another thread, with the reason,
    /// once one of them has failed; it should end the process, which may be waiting for the one that is
    /// gone.
    pub fn join(waits: fn(&str), end: fn(&str)) -> Result<Ranks> {
        let Some(place) = Place::of(|name| std::env::var(name).ok())? else {
            return Ok(Ranks::alone());
        };
        if place.rank == 0 {
            let Place {
                size, host, port, ..
            } = &place;
            waits(&format!(
                "waiting for all {size} processes at {host}:{port}"
            ));
        }
        let together = Together::join(place, end)?;
        Ok(Ranks {
            together: Some(Arc::new(together)),
        })
    }

    /// From 0.
    pub fn rank(&self) -> usize {
        self.together.as_ref().map_or(0, |t| t.place.rank)
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.together.as_ref().map_or(1, |t| t.place.size)
    }

    /// True for the one that writes and tells; a process that is alone does both.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// True where there are others.
    pub fn are_several(&self) -> bool {
        self.size() > 1
    }

    /// From 0, among those of this machine.
    pub fn local_rank(&self) -> usize {
        self.together.as_ref().map_or(0, |t| t.place.local_rank)
    }

    /// Says what this process computes on; all must. From then on GPUs add up among themselves, where
    /// each process has one of its own and NCCL was built in; else through memory.
    pub fn compute_on(&self, device: Device) -> Result<()> {
        match &self.together {
            Some(together) => together.compute_on(device),
            None => Ok(()),
        }
    }

    /// What adds up what lies on a device, in words.
    pub fn collectives(&self, device: Device) -> String {
        match &self.together {
            Some(together) => together.collectives(device),
            None => "nothing".into(),
        }
    }

    /// Adds up a tensor over all processes, in place; the same bytes come out in each.
    pub fn sum(&self, tensor: &mut Tensor) -> Result<()> {
        match &self.together {
            Some(together) => together.each_on(tensor, Together::all_reduce),
            None => Ok(()),
        }
    }

    /// Gives all others the first one's tensor.
    pub fn spread(&self, tensor: &mut Tensor) -> Result<()> {
        match &self.together {
            Some(together) => together.each_on(tensor, Together::broadcast),
            None => Ok(()),
        }
    }

    /// Gives all others the first one's bytes.
    pub fn spread_bytes(&self, bytes: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        if !self.are_several() {
            return Ok(bytes);
        }
        let length = bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
        let mut length = Tensor::from_slice(&[length]);
        self.spread(&mut length)?;
        let length = length.int64_value(&[0]);
        if length < 0 {
            return Ok(None);
        }
        let mut all = match bytes {
            Some(bytes) => Tensor::from_slice(&bytes),
            None => room_for(length)?,
        };
        self.spread(&mut all)?;
        Ok(Some(
            Vec::<u8>::try_from(all).context("bytes that were sent")?,
        ))
    }

    /// What goes wrong in one process ends all: leaves the reason for the others, or finds theirs where
    /// this error is only what came of it.
    pub fn fail(&self, error: anyhow::Error) -> anyhow::Error {
        match &self.together {
            Some(together) => together.fail(error),
            None => error,
        }
    }

    /// Waits until all are here, and lets each go its way: from now on one that ends is not missed.
    pub fn part(&self) -> Result<()> {
        match &self.together {
            Some(together) => together.part(),
            None => Ok(()),
        }
    }

    /// Returns once all have come here.
    pub fn wait_for_all(&self) -> Result<()> {
        self.sum(&mut Tensor::from_slice(&[0i64]))
    }

    /// Lets the first process of each machine do something before the others of it: what it leaves in a
    /// cache is there for them.
    pub fn first_of_machine_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.before_others(self.local_rank() == 0, work)
    }

    /// The same of the first process of all.
    pub fn first_of_all_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.before_others(self.is_first(), work)
    }

    fn before_others<T>(&self, first: bool, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if !first {
            self.wait_for_all()?;
        }
        let done = work()?;
        if first {
            self.wait_for_all()?;
        }
        Ok(done)
    }
}

/// Bytes that another process announces, at most: a checkpoint of a model with half a billion weights.
const LARGEST_MESSAGE: i64 = 8 << 30;

/// A tensor for bytes that another process is about to send, `[length]`. The length comes from the network, so
/// it is checked before memory is allocated.
fn room_for(length: i64) -> Result<Tensor> {
    ensure!(
        length <= LARGEST_MESSAGE,
        "rank 0 announces a checkpoint of {length} bytes, and {LARGEST_MESSAGE} are the most that is accepted; \
         check that only processes of this training can reach MASTER_ADDR and MASTER_PORT"
    );
    Tensor::f_zeros([length], (tch::Kind::Uint8, Device::Cpu))
        .with_context(|| format!("no memory for a checkpoint of {length} bytes from rank 0"))
}

#[cfg(feature = "distributed")]
impl Together {
    fn join(place: Place, end: fn(&str)) -> Result<Together> {
        let group = Group::join(&place).with_context(|| {
            format!(
                "process {} of {} does not find the others at {}:{}",
                place.rank, place.size, place.host, place.port
            )
        })?;
        let group = Arc::new(group);
        let watch = Watch::begin(group.clone(), place.rank, place.size, end);
        let together = Together {
            place,
            watch,
            group,
            nccl: OnceLock::new(),
        };
        match together.group.connect(&together.place) {
            Ok(()) => Ok(together),
            Err(error) => Err(together.fail(error.context("it does not reach the others"))),
        }
    }

    fn compute_on(&self, device: Device) -> Result<()> {
        let nccl = gpus::connect(&self.group, &self.place, device)?;
        let _ = self.nccl.set(nccl);
        Ok(())
    }

    fn collectives(&self, device: Device) -> String {
        match (device, self.nccl.get()) {
            (Device::Cpu, _) => "Gloo".into(),
            (_, Some(Ok(()))) => "NCCL".into(),
            (_, Some(Err(reason))) => format!("Gloo, through memory: {reason}"),
            (_, None) => "Gloo, through memory".into(),
        }
    }

    /// Gloo works in memory: what is on a GPU goes there and back, where NCCL is not used.
    fn each_on(
        &self,
        tensor: &mut Tensor,
        work: fn(&Together, &mut Tensor) -> Result<()>,
    ) -> Result<()> {
        if tensor.device() == Device::Cpu || matches!(self.nccl.get(), Some(Ok(()))) {
            return work(self, tensor);
        }
        let mut here = tensor.to_device(Device::Cpu);
        work(self, &mut here)?;
        tch::no_grad(|| tensor.f_copy_(&here))?;
        Ok(())
    }

    fn all_reduce(&self, tensor: &mut Tensor) -> Result<()> {
        let reduced = self.group.all_reduce(tensor);
        reduced.map_err(|error| Lost(error.to_string()).into())
    }

    fn broadcast(&self, tensor: &mut Tensor) -> Result<()> {
        let spread = self.group.broadcast(tensor);
        spread.map_err(|error| Lost(error.to_string()).into())
    }

    fn fail(&self, error: anyhow::Error) -> anyhow::Error {
        let message = match error.downcast_ref::<Lost>() {
            // The watch goes on: whose heart stops now is taken for the one that is gone.
            Some(lost) => watch::who_is_gone(&self.group, self.place.rank, self.place.size)
                .unwrap_or_else(|| lost.to_string()),
            None => format!("rank {}: {error:#}", self.place.rank),
        };
        self.watch.stop();
        let message = watch::leave_reason(&self.group, &message);
        if self.place.rank == 0 && self.place.first_keeps_store {
            // The store goes with this process: the others read it first.
            std::thread::sleep(3 * watch::EVERY);
        }
        match error.is::<Lost>() {
            true => anyhow!(message),
            false => error.context(format!("rank {}", self.place.rank)),
        }
    }

    fn part(&self) -> Result<()> {
        self.all_reduce(&mut Tensor::from_slice(&[0i64]))?;
        self.watch.stop();
        self.group.end_nccl()?;
        // Nobody may still wait for an answer of the store when the first one ends.
        self.all_reduce(&mut Tensor::from_slice(&[0i64]))
    }
}

#[cfg(not(feature = "distributed"))]
impl Together {
    fn join(place: Place, _end: fn(&str)) -> Result<Together> {
        anyhow::bail!(
            "WORLD_SIZE says that {} processes train together, and this emovox was built without that: \
             cargo build --release --features distributed (or unset WORLD_SIZE)",
            place.size
        )
    }

    fn compute_on(&self, _device: Device) -> Result<()> {
        Ok(())
    }

    fn collectives(&self, _device: Device) -> String {
        String::new()
    }

    fn each_on(
        &self,
        tensor: &mut Tensor,
        work: fn(&Together, &mut Tensor) -> Result<()>,
    ) -> Result<()> {
        work(self, tensor)
    }

    fn all_reduce(&self, _tensor: &mut Tensor) -> Result<()> {
        Ok(())
    }

    fn broadcast(&self, _tensor: &mut Tensor) -> Result<()> {
        Ok(())
    }

    fn fail(&self, error: anyhow::Error) -> anyhow::Error {
        error
    }

    fn part(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_length_is_checked_before_memory_is_allocated() {
        assert_eq!(room_for(5).unwrap().size(), [5]);
        for length in [LARGEST_MESSAGE + 1, i64::MAX] {
            let error = room_for(length).unwrap_err().to_string();
            assert!(error.contains("MASTER_PORT"), "{error}");
        }
    }
}
