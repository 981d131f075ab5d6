//! Which processor computes: the CPU, or an NVIDIA GPU where libtorch can use one.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use tch::{Cuda, Device};

/// What the user asked for: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first GPU when there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU, even where there is a GPU.
    Cpu,
    /// The GPU of this index; an error when there is none.
    Cuda(usize),
}

impl DeviceChoice {
    /// The device to compute on, or why the one asked for cannot be had.
    pub fn resolve(self) -> Result<Device> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Auto if cuda_devices() > 0 => Ok(Device::Cuda(0)),
            DeviceChoice::Auto => Ok(Device::Cpu),
            DeviceChoice::Cuda(index) if index < cuda_devices() => Ok(Device::Cuda(index)),
            DeviceChoice::Cuda(index) => match load_cuda() {
                Err(reason) => bail!(
                    "CUDA was asked for, but {reason}; use --device cpu, or --device auto to take \
                     a GPU only where there is one"
                ),
                Ok(()) => bail!(
                    "there is no GPU number {index}: libtorch sees {}; `emovox doctor` tells more",
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
        .map_err(|()| format!("'{text}' is none of auto, cpu, cuda, cuda:0, cuda:1 …"))
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

/// How many GPUs libtorch can use.
pub fn cuda_devices() -> usize {
    if load_cuda().is_err() || !Cuda::is_available() {
        return 0;
    }
    usize::try_from(Cuda::device_count()).unwrap_or(0)
}

/// Lets the process keep freed memory for what it needs next, a gigabyte at most.
///
/// A training step takes and frees the same tensors again and again. glibc hands large ones back to the
/// system each time, which clears every page when it gives it out anew: a quarter of the processor's time
/// of the `seed` recipe. Its own threshold for that ends at 32 MB, less than what oneDNN's LSTM asks for, so
/// no block is mapped on its own at all. It is a setting of the whole process, so a program calls this
/// and not the library. Systems without glibc are left alone.
pub fn keep_freed_memory() {
    // SAFETY: mallopt only sets numbers that malloc reads; what it does not like it ignores.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
    }
}

/// `cpu` or `cuda:N`, as a user types it.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Cpu => "cpu".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The libtorch that this process runs on.
#[derive(Debug, Clone)]
pub struct Libtorch {
    /// Such as `2.11.0` or `2.11.0+cu130`.
    pub version: String,
    /// The folder that holds `lib`.
    pub folder: String,
}

/// Which libtorch was loaded, and from where. Another one than this program was built with may be
/// found first (through `LD_LIBRARY_PATH`), so its own word counts.
pub fn libtorch() -> Libtorch {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let library = maps
        .lines()
        .filter_map(|line| {
            line.split_once('/')
                .map(|(_, path)| PathBuf::from(format!("/{path}")))
        })
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name == "libtorch_cpu.so")
        });
    let root = library
        .as_deref()
        .and_then(Path::parent)
        .and_then(Path::parent);
    let unknown = || "unknown".to_string();
    Libtorch {
        version: root.and_then(version_in).unwrap_or_else(unknown),
        folder: root.map_or_else(unknown, |root| root.display().to_string()),
    }
}

/// The version as libtorch's own archive (`build-version`) or PyTorch (`version.py`) states it.
fn version_in(root: &Path) -> Option<String> {
    if let Ok(version) = fs::read_to_string(root.join("build-version")) {
        return Some(version.trim().to_string());
    }
    let python = fs::read_to_string(root.join("version.py")).ok()?;
    let line = python
        .lines()
        .find(|line| line.starts_with("__version__"))?;
    line.split('\'').nth(1).map(str::to_string)
}

/// Loads libtorch's CUDA half, or says why there is none to load.
///
/// The linker drops `libtorch_cuda.so`, since no symbol of it is named; and it should, for the
/// same binary must start where there is no CUDA. So it is loaded here, before the first question
/// about CUDA is put to libtorch, which remembers the answer. A machine without the NVIDIA driver
/// is left alone: loading the library there costs half a second and gives nothing.
pub fn load_cuda() -> Result<(), &'static str> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        if !cfg!(target_os = "linux") {
            return Err("CUDA exists on Linux only".into());
        }
        load_globally("libcuda.so.1")
            .map_err(|_| "no NVIDIA driver was found (libcuda.so.1)".to_string())?;
        load_globally("libtorch_cuda.so").map_err(|reason| match reason {
            reason if reason.starts_with("libtorch_cuda.so:") => {
                "this libtorch is the CPU one (no \
                libtorch_cuda.so); `scripts/setup.sh --cuda` brings the other"
                    .into()
            }
            reason => format!("libtorch's CUDA libraries cannot be loaded: {reason}"),
        })
    });
    loaded.as_ref().map(|&()| ()).map_err(String::as_str)
}

/// Loads a shared library for the rest of the process, its symbols visible to all others.
#[cfg(unix)]
pub(crate) fn load_globally(name: &str) -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: loading runs the library's initialisers. Both libraries named above are made to be
    // loaded this way (it is what Python's `import torch` does), and are never unloaded.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) };
    library
        .map(std::mem::forget)
        .map_err(|error| error.to_string())
}

#[cfg(not(unix))]
pub(crate) fn load_globally(_name: &str) -> Result<(), String> {
    Err("shared libraries are loaded on Unix only".into())
}
