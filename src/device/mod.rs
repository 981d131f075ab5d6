//! Choice of the device: the CPU, or an NVIDIA GPU if libtorch can use one.

mod driver;
mod failure;
mod range;

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::{c_char, c_int};
use std::fmt;
use std::ptr;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use tch::{Cuda, Device, Tensor};
use torch_sys::C_tensor;

use driver::{Driver, StartError};
pub use driver::{Gpu, GpuMemory};
pub use failure::GpuFailure;
pub use range::range;

use crate::libtorch;

unsafe extern "C" {
    fn emovox_set_gpu_numbers(tf32: bool);
    fn emovox_allows_tf32() -> bool;
    fn emovox_upload(
        tensor: *const C_tensor,
        gpu: c_int,
        message: *mut c_char,
        message_size: usize,
    ) -> *mut C_tensor;
    fn emovox_try_device(gpu: c_int, message: *mut c_char, message_size: usize) -> c_int;
}

/// Way to a libtorch for older GPUs and drivers.
const OLDER_CUDA: &str = "install a PyTorch 2.11.0 for an older CUDA with pip, and run scripts/setup.sh, \
    which uses an installed PyTorch";

/// The device that the user requests: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// A GPU if there is one that works, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU, even if there is a GPU.
    Cpu,
    /// A GPU, or the GPU with this index; an error if there is none.
    Cuda(Option<usize>),
}

impl DeviceChoice {
    /// The device for the computation. A GPU is tried first: a step of a tiny LSTM, once for each
    /// GPU and process.
    ///
    /// # Errors
    /// Gives the reason if the requested GPU cannot be used.
    pub fn resolve(self) -> Result<Device> {
        self.resolve_for(0)
    }

    /// Like [`DeviceChoice::resolve`], for one of several processes on this machine, which are
    /// distributed over the GPUs unless the choice is a certain one.
    ///
    /// # Errors
    /// As [`DeviceChoice::resolve`].
    pub fn resolve_for(self, local_rank: usize) -> Result<Device> {
        let device = match self {
            DeviceChoice::Cpu => return Ok(Device::Cpu),
            DeviceChoice::Auto => match gpu_for(local_rank) {
                Ok(index) => Device::Cuda(index),
                Err(_) => return Ok(Device::Cpu),
            },
            DeviceChoice::Cuda(None) => Device::Cuda(gpu_for(local_rank).map_err(unavailable)?),
            DeviceChoice::Cuda(Some(index)) => {
                check_number(index)?;
                tried(index).map_err(unavailable)?;
                Device::Cuda(index)
            }
        };
        if let Device::Cuda(index) = device {
            IN_USE.store(index, Ordering::Relaxed);
        }
        Ok(device)
    }

    /// Reason why `auto` uses the CPU on a machine with an NVIDIA driver, for one of several processes
    /// on this machine. `None` if it uses a GPU, if there is no driver or no GPU, or for another
    /// choice.
    pub fn why_cpu(self, local_rank: usize) -> Option<String> {
        match self {
            DeviceChoice::Auto => gpu_for(local_rank).err().and_then(NoGpu::surprise),
            DeviceChoice::Cpu | DeviceChoice::Cuda(_) => None,
        }
    }

    /// GPUs for several processes that train independently of each other; empty for the CPU. No GPU
    /// is tried, because that would take memory of it as long as this process runs.
    ///
    /// # Errors
    /// Gives the reason if the requested GPU is not available.
    pub fn gpus(self) -> Result<Gpus> {
        let (indices, why_cpu) = match self {
            DeviceChoice::Cpu => (Vec::new(), None),
            DeviceChoice::Auto => match gpus() {
                Ok(indices) => (indices, None),
                Err(reason) => (Vec::new(), reason.surprise()),
            },
            DeviceChoice::Cuda(None) => (gpus().map_err(unavailable)?, None),
            DeviceChoice::Cuda(Some(index)) => {
                check_number(index)?;
                (vec![index], None)
            }
        };
        Ok(Gpus { indices, why_cpu })
    }
}

/// GPUs of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpus {
    /// Their indices.
    pub indices: Vec<usize>,
    /// Reason why there are none on a machine with an NVIDIA driver.
    pub why_cpu: Option<String>,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(DeviceChoice::Auto),
            None if text == "cpu" => Ok(DeviceChoice::Cpu),
            None if text == "cuda" => Ok(DeviceChoice::Cuda(None)),
            Some(("cuda", index)) => {
                let index = index.parse().map_err(|_| ());
                index.map(|index| DeviceChoice::Cuda(Some(index)))
            }
            _ => Err(()),
        }
        .map_err(|()| format!("'{text}' is not one of auto, cpu, cuda, cuda:0, cuda:1 …"))
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> String {
        choice.to_string()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            DeviceChoice::Auto => write!(f, "auto"),
            DeviceChoice::Cpu => write!(f, "cpu"),
            DeviceChoice::Cuda(None) => write!(f, "cuda"),
            DeviceChoice::Cuda(Some(index)) => write!(f, "cuda:{index}"),
        }
    }
}

/// Reason why there is no GPU, or why one cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NoGpu {
    reason: String,
    /// True if the user may expect that a GPU is used: there is a driver, and a GPU is not hidden.
    is_surprising: bool,
}

impl NoGpu {
    fn expected(reason: impl Into<String>) -> NoGpu {
        NoGpu {
            reason: reason.into(),
            is_surprising: false,
        }
    }

    fn surprising(reason: impl Into<String>) -> NoGpu {
        NoGpu {
            reason: reason.into(),
            is_surprising: true,
        }
    }

    fn surprise(self) -> Option<String> {
        self.is_surprising.then_some(self.reason)
    }
}

/// The error of a requested GPU that cannot be used.
fn unavailable(reason: NoGpu) -> anyhow::Error {
    anyhow!(
        "CUDA is not available: {}; use --device cpu, or --device auto, which uses a GPU only if there \
         is one that works",
        reason.reason
    )
}

/// The GPU that this process used last.
static IN_USE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The number of GPUs that libtorch finds.
pub fn cuda_devices() -> usize {
    if load_cuda().is_err() || !Cuda::is_available() {
        return 0;
    }
    usize::try_from(Cuda::device_count()).unwrap_or(0)
}

/// The GPUs that libtorch finds and that are new enough for it; at least one.
fn gpus() -> Result<Vec<usize>, NoGpu> {
    loaded().map_err(Clone::clone)?;
    let (mut new, mut too_old) = (Vec::new(), None);
    for index in 0..cuda_devices() {
        match check_capability(index) {
            Ok(()) => new.push(index),
            Err(reason) => too_old = Some(reason),
        }
    }
    if new.is_empty() {
        let found_none =
            "libtorch finds no GPU, although the NVIDIA driver has one: compare nvidia-smi";
        return Err(too_old.unwrap_or_else(|| NoGpu::surprising(found_none)));
    }
    Ok(new)
}

/// Checks that there is a GPU with this number, and that it is new enough.
fn check_number(index: usize) -> Result<()> {
    loaded().map_err(|reason| unavailable(reason.clone()))?;
    ensure!(
        index < cuda_devices(),
        "there is no GPU number {index}: libtorch finds {}; `emovox doctor` shows more. Use another \
         number, or --device cpu",
        cuda_devices()
    );
    check_capability(index).map_err(unavailable)
}

/// The GPU of one of several processes, after it was tried.
fn gpu_for(local_rank: usize) -> Result<usize, NoGpu> {
    let found = gpus()?;
    let index = found[local_rank % found.len()];
    tried(index).map(|()| index)
}

/// Checks that a GPU is new enough for CUDA 13, whose compilers produce code from Turing on.
fn check_capability(index: usize) -> Result<(), NoGpu> {
    let least = if tch::utils::version_cudart() >= 13_000 {
        (7, 5)
    } else {
        (0, 0)
    };
    match gpu(index) {
        Some(Gpu {
            name, capability, ..
        }) if capability < least => Err(NoGpu::surprising(format!(
            "the GPU {name} has compute capability {}.{}, but CUDA 13 needs {}.{} or newer (Turing, 2018); \
             {OLDER_CUDA}",
            capability.0, capability.1, least.0, least.1
        ))),
        _ => Ok(()),
    }
}

/// Tries a GPU, once.
fn tried(index: usize) -> Result<(), NoGpu> {
    static TRIED: Mutex<BTreeMap<usize, Result<(), NoGpu>>> = Mutex::new(BTreeMap::new());
    let mut all = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    let result = all.entry(index).or_insert_with(|| {
        try_device(Device::Cuda(index)).map_err(|message| {
            IN_USE.store(index, Ordering::Relaxed);
            let reason = match GpuFailure::of(&message) {
                Some(failure) => failure.describe("end other processes on it"),
                None => format!(
                    "a test step on GPU {index} failed: {}",
                    first_sentence(&message)
                ),
            };
            NoGpu::surprising(reason)
        })
    });
    result.clone()
}

/// The beginning of libtorch's message, which continues with general advice and a C++ stack.
fn first_sentence(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    line.split(". ").next().unwrap_or_default()
}

/// Computes one training step of a tiny LSTM.
fn try_device(device: Device) -> Result<(), String> {
    let index = match device {
        Device::Cuda(index) => c_int::try_from(index).unwrap_or(c_int::MAX),
        _ => -1,
    };
    // SAFETY: the buffer has `length` bytes.
    libtorch::call(|message, length| unsafe { emovox_try_device(index, message, length) })
}

/// Tries a GPU as [`DeviceChoice::resolve`] does.
///
/// # Errors
/// Gives the reason if it cannot be used.
pub fn try_gpu(index: usize) -> Result<(), String> {
    let checked = check_capability(index).and_then(|()| tried(index));
    checked.map_err(|reason| reason.reason)
}

/// A GPU as the driver describes it.
pub fn gpu(index: usize) -> Option<Gpu> {
    Driver::get().ok()?.gpu(index)
}

/// Memory of a GPU that this process uses.
pub fn memory(index: usize) -> Option<GpuMemory> {
    Driver::get().ok()?.memory(index)
}

/// The newest CUDA version that the driver supports: 13000 is 13.0.
pub fn driver_cuda_version() -> Option<i64> {
    Driver::get().ok()?.cuda_version()
}

/// Memory of the GPU in use, for an error message: `0.7 of 139.8 GiB are free`.
fn memory_in_words() -> Option<String> {
    let index = IN_USE.load(Ordering::Relaxed);
    (index != usize::MAX)
        .then(|| memory(index))?
        .map(|memory| memory.to_string())
}

/// Bytes in GiB.
fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

impl Gpu {
    /// Name, compute capability and memory: `NVIDIA H200, compute capability 9.0, 139.8 GiB`. If the
    /// free memory is known, it stands beside all memory.
    pub fn describe(&self, free: Option<GpuMemory>) -> String {
        let (name, (major, minor)) = (&self.name, self.capability);
        let memory = match (free, self.memory) {
            (Some(memory), _) => format!(", {memory}"),
            (None, Some(bytes)) => format!(", {:.1} GiB", gib(bytes)),
            (None, None) => String::new(),
        };
        format!("{name}, compute capability {major}.{minor}{memory}")
    }
}

impl fmt::Display for GpuMemory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{:.1} of {:.1} GiB are free",
            gib(self.free),
            gib(self.total)
        )
    }
}

/// Copies a tensor from the CPU to a device. Other than [`Tensor::to_device`], it does not wait until a
/// GPU has completed the work that was submitted before.
///
/// # Panics
/// If libtorch fails, as tch's operations do. The panic has libtorch's message.
pub fn upload(tensor: &Tensor, device: Device) -> Tensor {
    let Device::Cuda(index) = device else {
        return tensor.to_device(device);
    };
    let index = c_int::try_from(index).unwrap_or(c_int::MAX);
    let mut copy = ptr::null_mut();
    // SAFETY: the tensor lives during the call, and the buffer has `length` bytes.
    let copied = libtorch::call(|message, length| unsafe {
        copy = emovox_upload(tensor.as_ptr(), index, message, length);
        c_int::from(copy.is_null())
    });
    copied.unwrap_or_else(|message| panic!("{message}"));
    // SAFETY: the function returned a new tensor, which tch owns from now on.
    unsafe { Tensor::from_ptr(copy) }
}

/// Sets how GPUs compute in this process: cuDNN's deterministic algorithms, and its LSTM with all 24
/// bits of a 32-bit float. With `tf32` the LSTM may use TensorFloat-32 with 11 bits, which GPUs from
/// Ampere on multiply faster; libtorch's own default is to use it.
pub fn set_gpu_numbers(tf32: bool) {
    // SAFETY: the function only sets flags of libtorch.
    unsafe { emovox_set_gpu_numbers(tf32) }
}

/// True if cuDNN's LSTM may use TensorFloat-32.
pub fn allows_tf32() -> bool {
    // SAFETY: the function only reads a flag of libtorch.
    unsafe { emovox_allows_tf32() }
}

/// Sets the environment variables that CUDA libraries read. The program must call this before it
/// starts a thread.
///
/// cuBLAS gives the same bits again if its workspace has a fixed size
/// (<https://docs.nvidia.com/cuda/cublas/#results-reproducibility>).
pub fn set_cuda_environment() {
    const WORKSPACE: &str = "CUBLAS_WORKSPACE_CONFIG";
    if std::env::var_os(WORKSPACE).is_none() {
        // SAFETY: no other thread exists that could read the environment.
        unsafe { std::env::set_var(WORKSPACE, ":4096:2") };
    }
}

/// Configures malloc to keep freed memory in the process, up to 1 GiB.
///
/// Every training step allocates and frees the same tensors. By default glibc returns large blocks
/// to the system, which clears every page before it provides the page again: this takes a quarter
/// of the CPU time with the `seed` recipe. The automatic threshold of glibc is at most 32 MB, less
/// than oneDNN's LSTM allocates, so separate mappings of blocks are disabled. The setting is for
/// the whole process, so the program calls this function, not the library. Without glibc it does
/// nothing.
pub fn keep_freed_memory() {
    // SAFETY: mallopt only sets numbers that malloc reads; it ignores invalid numbers.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
    }
}

/// The name of a device on the command line: `cpu` or `cuda:N`.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Cpu => "cpu".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Loads the CUDA libraries of libtorch.
///
/// The linker drops `libtorch_cuda.so`, because the program uses no symbol of it. This is intended:
/// the same binary must start on machines without CUDA. Therefore the library is loaded here. libtorch
/// looks for CUDA only once, when something asks for a GPU or seeds its generator
/// (`tch::manual_seed`), so this must come before. On a machine without the NVIDIA driver or without
/// a visible GPU nothing is loaded, which saves half a second.
///
/// # Errors
/// Gives the reason if CUDA is not available.
pub fn load_cuda() -> Result<(), &'static str> {
    loaded().map_err(|missing| missing.reason.as_str())
}

fn loaded() -> Result<(), &'static NoGpu> {
    static LOADED: OnceLock<Result<(), NoGpu>> = OnceLock::new();
    LOADED.get_or_init(load).as_ref().copied()
}

fn load() -> Result<(), NoGpu> {
    if !cfg!(target_os = "linux") {
        return Err(NoGpu::expected("CUDA is supported only on Linux"));
    }
    if hides_all_gpus(&std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or("all".into())) {
        return Err(NoGpu::expected("CUDA_VISIBLE_DEVICES hides every GPU"));
    }
    let driver = Driver::get().map_err(|reason| {
        if reason.contains("No such file") {
            NoGpu::expected("no NVIDIA driver was found (libcuda.so.1)")
        } else {
            NoGpu::surprising(format!("the NVIDIA driver cannot be loaded: {reason}"))
        }
    })?;
    driver.start().map_err(|error| match error {
        StartError::NoGpu => NoGpu::expected("the NVIDIA driver finds no GPU"),
        StartError::Failed(reason) => NoGpu::surprising(format!(
            "the NVIDIA driver does not start: {reason}; compare nvidia-smi"
        )),
    })?;
    let supported = driver.cuda_version().unwrap_or(i64::MAX);
    // libtorch_cuda.so prints a warning of C++ if the driver is too old for the runtime, which libtorch has
    // loaded before.
    if is_loaded("libcudart.so.13")
        && let Some(reason) = old_driver(supported, 13_000)
    {
        return Err(NoGpu::surprising(format!("{reason}, or {OLDER_CUDA}")));
    }
    load_globally("libcuda.so.1").map_err(NoGpu::surprising)?;
    load_globally("libtorch_cuda.so").map_err(|reason| {
        if !reason.starts_with("libtorch_cuda.so:") {
            return NoGpu::surprising(format!(
                "libtorch's CUDA libraries cannot be loaded: {reason}"
            ));
        }
        let driver = match old_driver(supported, SETUP_CUDA) {
            Some(reason) => format!(". {reason}"),
            None => String::new(),
        };
        NoGpu::surprising(format!(
            "this is the CPU version of libtorch (no libtorch_cuda.so); `scripts/setup.sh --cuda` \
             installs the CUDA version{driver}"
        ))
    })?;
    set_gpu_numbers(false);
    match old_driver(supported, tch::utils::version_cudart()) {
        Some(reason) => Err(NoGpu::surprising(format!("{reason}, or {OLDER_CUDA}"))),
        None => Ok(()),
    }
}

/// CUDA version of the libtorch that `scripts/setup.sh --cuda` installs.
const SETUP_CUDA: i64 = 13_000;

/// The reason if a driver does not support a CUDA runtime; both are numbers like 13000 for 13.0. A
/// driver supports all runtimes of its own and of earlier major versions.
fn old_driver(driver: i64, runtime: i64) -> Option<String> {
    let (has, needs) = (driver / 1000, runtime / 1000);
    if has >= needs {
        return None;
    }
    let release = match needs {
        13 => ": install driver 580 or newer",
        12 => ": install driver 525 or newer",
        _ => "",
    };
    let minor = driver % 1000 / 10;
    Some(format!(
        "the NVIDIA driver supports CUDA {has}.{minor}, but CUDA {needs}.0 is needed{release}"
    ))
}

/// Name of a GPU in `CUDA_VISIBLE_DEVICES` of another process. `visible` is the value of this process,
/// which numbers the GPUs of its list from 0.
pub fn visible_name(index: usize, visible: Option<&str>) -> String {
    let entry = visible.and_then(|visible| visible.split(',').nth(index));
    entry.map_or_else(|| index.to_string(), |entry| entry.trim().to_string())
}

/// True for a value of `CUDA_VISIBLE_DEVICES` with which CUDA finds no GPU: it ends at the first
/// invalid entry.
fn hides_all_gpus(visible: &str) -> bool {
    let first = visible.split(',').next().unwrap_or_default().trim();
    ["", "-1", "NoDevFiles"].contains(&first)
}

/// Loads a shared library until the end of the process, with symbols visible to all other
/// libraries.
#[cfg(unix)]
pub(crate) fn load_globally(name: &str) -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: loading runs the library's initialisers. Both libraries named above are designed for
    // this (Python's `import torch` does the same), and are never unloaded.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) };
    library.map(std::mem::forget).map_err(library_error)
}

#[cfg(not(unix))]
pub(crate) fn load_globally(_name: &str) -> Result<(), String> {
    Err("shared libraries can be loaded only on Unix".into())
}

/// True if this process has loaded a shared library.
#[cfg(target_os = "linux")]
fn is_loaded(name: &str) -> bool {
    use libloading::os::unix::{Library, RTLD_NOW};
    // SAFETY: with RTLD_NOLOAD no library is loaded, and so no initialiser runs.
    unsafe { Library::open(Some(name), libc::RTLD_NOLOAD | RTLD_NOW) }.is_ok()
}

#[cfg(not(target_os = "linux"))]
fn is_loaded(_name: &str) -> bool {
    false
}

/// The message of the system's loader, which `libloading` has as the source of its error.
fn library_error(error: libloading::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_what_was_typed() {
        for text in ["auto", "cpu", "cuda", "cuda:0", "cuda:7"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["gpu", "cuda:", "cuda:x", "mps", "cpu:0"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_test_step_passes_on_a_cpu_and_a_missing_gpu_fails_it() {
        assert_eq!(try_device(Device::Cpu), Ok(()));
        // The index of no GPU.
        assert!(try_device(Device::Cuda(100)).is_err());
    }

    #[test]
    fn the_message_of_the_systems_loader_is_kept() {
        let reason = load_globally("libemovox-is-not-there.so").unwrap_err();
        assert!(
            reason.starts_with("libemovox-is-not-there.so: "),
            "{reason}"
        );
    }

    #[test]
    fn a_driver_supports_its_own_and_earlier_versions_of_cuda() {
        for (driver, runtime) in [(13_000, 13_000), (13_010, 13_020), (13_000, 12_060)] {
            assert_eq!(old_driver(driver, runtime), None, "{driver} {runtime}");
        }
        let reason = old_driver(12_040, 13_000).unwrap();
        for word in ["CUDA 12.4", "CUDA 13.0", "580"] {
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn an_invalid_first_entry_hides_all_gpus() {
        for hidden in ["", "-1", "-1,0", "NoDevFiles"] {
            assert!(hides_all_gpus(hidden), "{hidden}");
        }
        for visible in ["0", "1,0", "GPU-8932f937", "MIG-1", "all"] {
            assert!(!hides_all_gpus(visible), "{visible}");
        }
    }

    #[test]
    fn another_process_gets_a_gpu_of_this_process() {
        assert_eq!(visible_name(1, None), "1");
        assert_eq!(visible_name(1, Some("5,2")), "2");
        assert_eq!(visible_name(0, Some("MIG-8f1c, MIG-0b2e")), "MIG-8f1c");
    }

    #[test]
    fn cudnn_uses_all_bits_unless_a_setting_allows_fewer() {
        set_gpu_numbers(true);
        assert!(allows_tf32());
        set_gpu_numbers(false);
        assert!(!allows_tf32());
    }

    #[test]
    fn memory_is_printed_in_gib() {
        let memory = GpuMemory {
            free: 700 << 20,
            total: 80 << 30,
        };
        assert_eq!(memory.to_string(), "0.7 of 80.0 GiB are free");
    }
}
