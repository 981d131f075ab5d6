//! One training over several processes, with libtorch's collectives: the processes find each other
//! through c10d's store, and sum gradients with Gloo or (between GPUs) NCCL. The processes are started by
//! a launcher of PyTorch jobs (torchrun, srun, a Kubernetes operator), which sets their rank in
//! environment variables.
//!
//! Each process holds the whole model and trains on its local slice of every batch. Gradients are summed,
//! so all processes take the same step. Only rank 0 writes files. If a process fails, it writes the
//! reason to the store, and all other processes stop with this reason: they read the store every third of
//! a second, and rank 0 checks the heartbeat of each process.
//!
//! Without the feature `distributed`, a training always has a single process.

#[cfg(feature = "distributed")]
mod gpus;
#[cfg(feature = "distributed")]
#[allow(unsafe_code)] // calls the shim
mod group;
mod local_slice;
mod rank_env;
#[cfg(feature = "distributed")]
mod watch;

pub use local_slice::local_slice;

use std::sync::Arc;
#[cfg(feature = "distributed")]
use std::sync::OnceLock;

#[cfg(feature = "distributed")]
use anyhow::anyhow;
use anyhow::{Context, Result, ensure};
use tch::{Device, Tensor};

use rank_env::RankEnv;

#[cfg(feature = "distributed")]
use group::{Client, Group};
#[cfg(feature = "distributed")]
use watch::Watch;

/// The process group of a training, seen from this process.
#[derive(Debug, Clone, Default)]
pub struct ProcessGroup {
    peers: Option<Arc<Peers>>,
}

#[derive(Debug)]
struct Peers {
    place: RankEnv,
    #[cfg(feature = "distributed")]
    watch: Watch,
    #[cfg(feature = "distributed")]
    group: Arc<Group>,
    /// `Ok` if NCCL sums tensors on GPUs, otherwise the reason why not. Set by `compute_on`.
    #[cfg(feature = "distributed")]
    nccl: OnceLock<Result<(), String>>,
}

/// A collective failed, most often because another process has ended.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the other processes of this training is lost: {0}")]
pub struct Lost(String);

/// True if the environment variables describe several processes of one training.
pub fn is_one_of_several_processes() -> bool {
    let place = RankEnv::of(|name| std::env::var(name).ok());
    place.is_ok_and(|place| place.is_some())
}

impl ProcessGroup {
    /// The process group of a training with a single process.
    pub fn single() -> ProcessGroup {
        ProcessGroup::default()
    }

    /// Joins the process group that the environment variables describe; without them the process is
    /// alone. Rank 0 first calls `waits` with a message for the user. If another process fails, `end` is
    /// called from another thread with the reason; it must end this process, because the training may be
    /// waiting for the failed one.
    ///
    /// # Errors
    /// A variable is missing or invalid, or the other processes do not join in time.
    pub fn join(waits: fn(&str), end: fn(&str)) -> Result<ProcessGroup> {
        let Some(place) = RankEnv::of(|name| std::env::var(name).ok())? else {
            return Ok(ProcessGroup::single());
        };
        if place.rank == 0 && cfg!(feature = "distributed") {
            let RankEnv {
                size, host, port, ..
            } = &place;
            waits(&format!(
                "waiting for all {size} processes at {host}:{port}"
            ));
        }
        let peers = Peers::join(place, end)?;
        Ok(ProcessGroup {
            peers: Some(Arc::new(peers)),
        })
    }

    /// Number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.peers.as_ref().map_or(0, |t| t.place.rank)
    }

    /// Number of processes.
    pub fn world_size(&self) -> usize {
        self.peers.as_ref().map_or(1, |t| t.place.size)
    }

    /// True for rank 0, the process that writes files and prints.
    pub fn is_main(&self) -> bool {
        self.rank() == 0
    }

    /// True if the group has more than one process.
    pub fn is_distributed(&self) -> bool {
        self.world_size() > 1
    }

    /// Number of this process among those of its machine, from 0.
    pub fn local_rank(&self) -> usize {
        self.peers.as_ref().map_or(0, |t| t.place.local_rank)
    }

    /// Sets the device of this process. All processes must call this. From then on, NCCL sums tensors on
    /// GPUs if each process has its own GPU and NCCL was built in; otherwise sums go through main memory.
    pub fn compute_on(&self, device: Device) -> Result<()> {
        match &self.peers {
            Some(peers) => peers.compute_on(device),
            None => Ok(()),
        }
    }

    /// Name of the library that sums tensors on `device`, with the reason if it is not NCCL.
    pub fn collectives(&self, device: Device) -> String {
        match &self.peers {
            Some(peers) => peers.collectives(device),
            None => "nothing".into(),
        }
    }

    /// True if NCCL sums tensors on GPUs: in all processes, or in none.
    pub fn uses_nccl(&self) -> bool {
        self.peers.as_ref().is_some_and(|peers| peers.uses_nccl())
    }

    /// Sums a tensor over all processes, in place. Every process gets the same bytes.
    pub fn sum(&self, tensor: &mut Tensor) -> Result<()> {
        match &self.peers {
            Some(peers) => peers.each_on(tensor, Peers::all_reduce),
            None => Ok(()),
        }
    }

    /// Copies the tensor of rank 0 to all other processes.
    pub fn broadcast(&self, tensor: &mut Tensor) -> Result<()> {
        match &self.peers {
            Some(peers) => peers.each_on(tensor, Peers::broadcast),
            None => Ok(()),
        }
    }

    /// Sends the bytes of rank 0 to all other processes, which pass `None`.
    pub fn broadcast_bytes(&self, bytes: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        if !self.is_distributed() {
            return Ok(bytes);
        }
        let length = bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
        let mut length = Tensor::from_slice(&[length]);
        self.broadcast(&mut length)?;
        let length = length.int64_value(&[0]);
        if length < 0 {
            return Ok(None);
        }
        let mut all = match bytes {
            Some(bytes) => Tensor::from_slice(&bytes),
            None => room_for(length)?,
        };
        self.broadcast(&mut all)?;
        Ok(Some(
            Vec::<u8>::try_from(all).context("cannot read the bytes from rank 0")?,
        ))
    }

    /// Publishes `error`, so that all other processes stop with it. If `error` is only a consequence of
    /// another process's failure, returns that process's reason instead.
    pub fn fail(&self, error: anyhow::Error) -> anyhow::Error {
        match &self.peers {
            Some(peers) => peers.fail(error),
            None => error,
        }
    }

    /// Waits for all processes and ends the monitoring: from now on, any process may end.
    pub fn finalize(&self) -> Result<()> {
        match &self.peers {
            Some(peers) => peers.finalize(),
            None => Ok(()),
        }
    }

    /// Returns when all processes have called this.
    pub fn wait_for_all(&self) -> Result<()> {
        self.sum(&mut Tensor::from_slice(&[0i64]))
    }

    /// Runs `work` in the first process of each machine, then in the others of that machine, so that they
    /// find its entries in the cache.
    pub fn main_of_machine_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.before_others(self.local_rank() == 0, work)
    }

    /// Runs `work` in rank 0, then in all other processes.
    pub fn main_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.before_others(self.is_main(), work)
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

/// Largest accepted message from another process, in bytes: a checkpoint of half a billion weights.
const LARGEST_MESSAGE: i64 = 8 << 30;

/// A tensor `[length]` for the bytes that another process will send. The length comes from the network,
/// so it is checked before memory is allocated.
fn room_for(length: i64) -> Result<Tensor> {
    ensure!(
        length <= LARGEST_MESSAGE,
        "rank 0 announces a checkpoint of {length} bytes, but at most {LARGEST_MESSAGE} are accepted; check \
         that only processes of this training can reach MASTER_ADDR and MASTER_PORT"
    );
    Tensor::f_zeros([length], (tch::Kind::Uint8, Device::Cpu)).with_context(|| {
        format!("not enough memory for a checkpoint of {length} bytes from rank 0")
    })
}

#[cfg(feature = "distributed")]
impl Peers {
    fn join(place: RankEnv, end: fn(&str)) -> Result<Peers> {
        let group = Group::join(&place).with_context(|| {
            format!(
                "rank {} of {} processes cannot find the others at {}:{}",
                place.rank, place.size, place.host, place.port
            )
        })?;
        let group = Arc::new(group);
        let watch = Watch::begin(group.clone(), &place, end);
        let peers = Peers {
            place,
            watch,
            group,
            nccl: OnceLock::new(),
        };
        match peers.group.connect(&peers.place) {
            Ok(()) => Ok(peers),
            Err(error) => Err(peers.fail(error.context("cannot connect to the other processes"))),
        }
    }

    fn compute_on(&self, device: Device) -> Result<()> {
        let nccl = gpus::connect(&self.group, &self.place, device)?;
        let _ = self.nccl.set(nccl);
        Ok(())
    }

    fn uses_nccl(&self) -> bool {
        matches!(self.nccl.get(), Some(Ok(())))
    }

    fn collectives(&self, device: Device) -> String {
        match (device, self.nccl.get()) {
            (Device::Cpu, _) => "Gloo".into(),
            (_, Some(Ok(()))) => "NCCL".into(),
            (_, Some(Err(reason))) => format!("Gloo, in main memory: {reason}"),
            (_, None) => "Gloo, in main memory".into(),
        }
    }

    /// Runs a collective. Gloo works in main memory, so without NCCL a tensor on a GPU is copied there and
    /// back.
    fn each_on(
        &self,
        tensor: &mut Tensor,
        work: fn(&Peers, &mut Tensor) -> Result<()>,
    ) -> Result<()> {
        if tensor.device() == Device::Cpu || self.uses_nccl() {
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
            // The monitor thread still runs: the process without a heartbeat is the lost one.
            Some(lost) => watch::who_is_gone(&self.group, self.place.rank, self.place.size)
                .unwrap_or_else(|| lost.to_string()),
            None => format!(
                "rank {}: {}",
                self.place.rank,
                crate::reason::reason(&error)
            ),
        };
        self.watch.stop();
        let message = watch::leave_reason(&self.group, &message);
        watch::inform(&self.group, Client::Training, &self.place, &message);
        if error.is::<Lost>() {
            anyhow!(message)
        } else {
            error.context(format!("rank {}", self.place.rank))
        }
    }

    fn finalize(&self) -> Result<()> {
        self.all_reduce(&mut Tensor::from_slice(&[0i64]))?;
        self.watch.stop();
        self.group.end_nccl()?;
        // When rank 0 ends, no process may be waiting for a reply of the store.
        self.all_reduce(&mut Tensor::from_slice(&[0i64]))
    }
}

#[cfg(not(feature = "distributed"))]
impl Peers {
    fn join(place: RankEnv, _end: fn(&str)) -> Result<Peers> {
        anyhow::bail!(
            "WORLD_SIZE is {}, but this emovox was built for a single process: \
             cargo build --release --features distributed (or unset WORLD_SIZE)",
            place.size
        )
    }

    fn compute_on(&self, _device: Device) -> Result<()> {
        Ok(())
    }

    fn uses_nccl(&self) -> bool {
        false
    }

    fn collectives(&self, _device: Device) -> String {
        String::new()
    }

    fn each_on(
        &self,
        tensor: &mut Tensor,
        work: fn(&Peers, &mut Tensor) -> Result<()>,
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

    fn finalize(&self) -> Result<()> {
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
