//! Choice of the device: the CPU, or an NVIDIA GPU if libtorch can use one.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use tch::{Cuda, Device};

/// The device that the user requests: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first GPU if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU, even if there is a GPU.
    Cpu,
    /// The GPU with this index; an error if there is none.
    Cuda(usize),
}

impl DeviceChoice {
    /// The device for the computation.
    ///
    /// # Errors
    /// Gives the reason if the requested GPU is not available.
    pub fn resolve(self) -> Result<Device> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Auto if cuda_devices() > 0 => Ok(Device::Cuda(0)),
            DeviceChoice::Auto => Ok(Device::Cpu),
            DeviceChoice::Cuda(index) if index < cuda_devices() => Ok(Device::Cuda(index)),
            DeviceChoice::Cuda(index) => match load_cuda() {
                Err(reason) => bail!(
                    "CUDA is not available: {reason}; use --device cpu, or --device auto, which uses a \
                     GPU only if there is one"
                ),
                Ok(()) => bail!(
                    "there is no GPU number {index}: libtorch finds {}; `emovox doctor` shows more",
                    cuda_devices()
                ),
            },
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(DeviceChoice::Auto),
            None if text == "cpu" => Ok(DeviceChoice::Cpu),
            None if text == "cuda" => Ok(DeviceChoice::Cuda(0)),
            Some(("cuda", index)) => index.parse().map(DeviceChoice::Cuda).map_err(|_| ()),
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
            DeviceChoice::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// The number of GPUs that libtorch can use.
pub fn cuda_devices() -> usize {
    if load_cuda().is_err() || !Cuda::is_available() {
        return 0;
    }
    usize::try_from(Cuda::device_count()).unwrap_or(0)
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
/// the same binary must start on machines without CUDA. Therefore the library is loaded here,
/// before the first CUDA query to libtorch, which caches the result. On a machine without the
/// NVIDIA driver nothing is loaded, which saves half a second.
///
/// # Errors
/// Gives the reason if CUDA is not available.
pub fn load_cuda() -> Result<(), &'static str> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        if !cfg!(target_os = "linux") {
            return Err("CUDA is supported only on Linux".into());
        }
        load_globally("libcuda.so.1")
            .map_err(|_| "no NVIDIA driver was found (libcuda.so.1)".to_string())?;
        load_globally("libtorch_cuda.so").map_err(|reason| match reason {
            reason if reason.starts_with("libtorch_cuda.so:") => {
                "this is the CPU version of libtorch (no \
                libtorch_cuda.so); `scripts/setup.sh --cuda` installs the CUDA version"
                    .into()
            }
            reason => format!("libtorch's CUDA libraries cannot be loaded: {reason}"),
        })
    });
    loaded.as_ref().map(|&()| ()).map_err(String::as_str)
}

/// Loads a shared library until the end of the process, with symbols visible to all other
/// libraries.
#[cfg(unix)]
pub(crate) fn load_globally(name: &str) -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: loading runs the library's initialisers. Both libraries named above are designed for
    // this (Python's `import torch` does the same), and are never unloaded.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) };
    library
        .map(std::mem::forget)
        .map_err(|error| error.to_string())
}

#[cfg(not(unix))]
pub(crate) fn load_globally(_name: &str) -> Result<(), String> {
    Err("shared libraries can be loaded only on Unix".into())
}
