//! The choice between NCCL and Gloo for tensors on GPUs. All processes must make the same choice, so
//! each publishes the name of its GPU in the store.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Result;
use tch::{Device, Tensor};

use super::group::{Client, Group, gpu_name};
use super::rank_env::RankEnv;

/// Prefix of the reason that a process without NCCL publishes instead of a GPU name.
const NONE: char = '!';

/// Starts NCCL, or returns the reason against it. All processes must call this.
pub(super) fn connect(
    group: &Group,
    place: &RankEnv,
    device: Device,
) -> Result<Result<(), String>> {
    let own = own_gpu(device).unwrap_or_else(|reason| format!("{NONE}{reason}"));
    let key = |rank: usize| format!("gpu-{rank}");
    group.set(Client::Training, &key(place.rank), &own)?;
    group.all_reduce(&mut Tensor::from_slice(&[0i64]))?; // waits until all have published theirs
    let published = |rank| Ok(group.get(Client::Training, &key(rank))?.unwrap_or_default());
    let gpus: Vec<String> = (0..place.size).map(published).collect::<Result<_>>()?;
    if let Some(reason) = why_not(&gpus) {
        return Ok(Err(reason));
    }
    let library = library().unwrap_or_default();
    group.use_nccl(&library, place)?;
    Ok(Ok(()))
}

/// The reason why these GPUs cannot use NCCL together, or `None` if they can.
fn why_not(gpus: &[String]) -> Option<String> {
    let mut rank_by_gpu = HashMap::new();
    for (rank, gpu) in gpus.iter().enumerate() {
        if let Some(reason) = gpu.strip_prefix(NONE) {
            return Some(reason.into());
        }
        if let Some(other) = rank_by_gpu.insert(gpu, rank) {
            return Some(format!("ranks {other} and {rank} share a GPU"));
        }
    }
    None
}

/// A name for this process's GPU that is unique over all machines.
fn own_gpu(device: Device) -> Result<String, String> {
    let Device::Cuda(index) = device else {
        return Err("not all processes have a GPU".into());
    };
    let library = library().ok_or("this emovox was built without NCCL")?;
    let gpu = gpu_name(&library, index).map_err(|error| format!("{error:#}"))?;
    let machine = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let machine = machine.map_err(|error| format!("this machine has no boot_id: {error}"))?;
    Ok(format!("{} {gpu}", machine.trim()))
}

/// The library built from `nccl.cpp`: beside the program if emovox was copied here, otherwise in the
/// build folder.
fn library() -> Option<PathBuf> {
    let built = PathBuf::from(option_env!("EMOVOX_NCCL")?);
    let program = std::env::current_exe().ok();
    let beside = program.map(|program| program.with_file_name("libemovox_nccl.so"));
    let mut places = beside.into_iter().chain([built]);
    places.find(|place| place.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{cuda_devices, load_globally};

    /// With a GPU: a sum over one process. Without a GPU: libtorch's error that none was found.
    #[test]
    #[ignore = "needs a build with NCCL"]
    fn nccl_is_reached() {
        let library = library().expect("a build with NCCL");
        let devices = cuda_devices();
        load_globally("libtorch_cuda.so").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = RankEnv {
            rank: 0,
            size: 1,
            local_rank: 0,
            host: "127.0.0.1".into(),
            port: port.local_addr().unwrap().port(),
            first_keeps_store: true,
            prefix: "test".into(),
        };
        drop(port);
        let group = Group::join(&place).unwrap();
        group.connect(&place).unwrap();
        if devices == 0 {
            let error = format!("{:#}", group.use_nccl(&library, &place).unwrap_err());
            assert!(error.contains("no GPUs found"), "{error}");
            assert!(gpu_name(&library, 0).is_err());
            return;
        }
        assert_eq!(connect(&group, &place, Device::Cuda(0)).unwrap(), Ok(()));
        let mut sum = Tensor::from_slice(&[1.5f32, -2.0]).to_device(Device::Cuda(0));
        group.all_reduce(&mut sum).unwrap();
        assert_eq!(Vec::<f32>::try_from(sum).unwrap(), [1.5, -2.0]);
        group.end_nccl().unwrap();
    }

    #[test]
    fn nccl_needs_one_gpu_per_process() {
        let gpus = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(why_not(&gpus(&["a 1", "a 2", "b 1"])), None);
        let shared = why_not(&gpus(&["a 1", "b 1", "a 1"])).unwrap();
        assert_eq!(shared, "ranks 0 and 2 share a GPU");
        assert_eq!(why_not(&gpus(&["a 1", "!not here"])).unwrap(), "not here");
    }
}
