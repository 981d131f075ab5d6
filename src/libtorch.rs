//! The libtorch that this process has loaded, compared with the libtorch of the build. The loader of
//! the system finds libraries in `LD_LIBRARY_PATH` first, so they can differ.

use std::ffi::{CStr, c_char, c_int};
use std::fs;
use std::path::{Path, PathBuf};

unsafe extern "C" {
    fn emovox_libtorch_of_the_build() -> *const c_char;
}

/// Version and folder of libtorch.
#[derive(Debug, Clone)]
pub struct Libtorch {
    /// Version of the loaded libtorch, such as `2.11.0`; `unknown` if it is too old to report one.
    pub version: String,
    /// Version of the libtorch that the program was built with.
    pub built_with: String,
    /// The folder that contains `lib`; `unknown` if it is not found.
    pub folder: String,
}

impl Libtorch {
    /// The loaded libtorch.
    pub fn loaded() -> Libtorch {
        let unknown = || "unknown".to_string();
        Libtorch {
            version: loaded_version().unwrap_or_else(unknown),
            built_with: built_with(),
            folder: folder().map_or_else(unknown, |folder| folder.display().to_string()),
        }
    }

    /// A warning if the program was built with another version.
    pub fn warning(&self) -> Option<String> {
        let Libtorch {
            version,
            built_with,
            folder,
        } = self;
        if version == built_with {
            return None;
        }
        Some(format!(
            "warning: emovox was built with libtorch {built_with}, but the system has loaded libtorch \
             {version} from {folder}: results may differ, and emovox may crash. Remove that folder \
             from LD_LIBRARY_PATH, or build emovox again with that libtorch"
        ))
    }
}

/// Calls a C++ function of emovox with a buffer for a message. The function returns 0, or another number
/// if libtorch fails; the message of libtorch is in the buffer then, and ends with a zero byte.
///
/// # Errors
/// The message, if the function fails.
pub(crate) fn call(function: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<(), String> {
    let mut message = [0u8; 1024];
    match function(message.as_mut_ptr().cast(), message.len()) {
        0 => Ok(()),
        _ => Err(until_nul(&message)),
    }
}

/// The text before the first zero byte.
pub(crate) fn until_nul(bytes: &[u8]) -> String {
    let text = CStr::from_bytes_until_nul(bytes).unwrap_or_default();
    text.to_string_lossy().into_owned()
}

fn built_with() -> String {
    // SAFETY: the function returns a constant text that ends with a zero.
    let version = unsafe { CStr::from_ptr(emovox_libtorch_of_the_build()) };
    version.to_string_lossy().into_owned()
}

/// The version of the loaded libtorch; `None` if it is older than the function that returns it.
///
/// The build settings (`at::show_config`) have the version too, but they look for CUDA, and libtorch
/// remembers that there is none until its CUDA libraries are loaded.
#[cfg(unix)]
fn loaded_version() -> Option<String> {
    use libloading::os::unix::Library;
    let program = Library::this();
    // SAFETY: the function is in libtorch's C interface: it has no arguments and returns a number.
    let number: unsafe extern "C" fn() -> u64 =
        *unsafe { program.get(b"aoti_torch_abi_version\0") }.ok()?;
    // SAFETY: as above.
    Some(version_of(unsafe { number() }))
}

#[cfg(not(unix))]
fn loaded_version() -> Option<String> {
    None
}

/// The version in a number whose highest three bytes are major, minor and patch version.
fn version_of(number: u64) -> String {
    let [major, minor, patch, ..] = number.to_be_bytes();
    format!("{major}.{minor}.{patch}")
}

/// The folder that contains `lib`, from the memory maps of the process (Linux).
fn folder() -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let paths = maps
        .lines()
        .filter_map(|line| Some(format!("/{}", line.split_once('/')?.1)));
    let library = paths
        .map(PathBuf::from)
        .find(|path| path.ends_with("libtorch_cpu.so"))?;
    library
        .parent()
        .and_then(Path::parent)
        .map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_libtorch_is_that_of_the_build() {
        let loaded = Libtorch::loaded();
        // tch 0.24 supports only this version.
        assert_eq!(loaded.version, "2.11.0");
        assert_eq!(loaded.built_with, "2.11.0");
        assert_eq!(loaded.warning(), None);
        assert!(
            Path::new(&loaded.folder)
                .join("lib/libtorch_cpu.so")
                .exists()
        );
    }

    #[test]
    fn another_version_gives_a_warning_with_both_versions_and_the_folder() {
        let other = Libtorch {
            version: "2.10.0".into(),
            built_with: "2.11.0".into(),
            folder: "/opt/torch".into(),
        };
        let warning = other.warning().unwrap();
        for word in ["2.10.0", "2.11.0", "/opt/torch", "LD_LIBRARY_PATH"] {
            assert!(warning.contains(word), "{warning}");
        }
    }

    #[test]
    fn a_version_is_read_from_its_number() {
        assert_eq!(version_of(0x020b_0000_0000_0000), "2.11.0");
        assert_eq!(version_of(0x020a_0100_0000_0007), "2.10.1");
    }
}
