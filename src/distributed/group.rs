//! libtorch's collectives, through the shim in `collectives.cpp`.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use tch::Tensor;

use super::rank_env::RankEnv;
use crate::libtorch::{self, until_nul};

unsafe extern "C" {
    fn emovox_group_join(
        host: *const c_char,
        port: u16,
        serve: c_int,
        prefix: *const c_char,
        rank: c_int,
        size: c_int,
        seconds: i64,
        joined: *mut *mut c_void,
        message: *mut c_char,
        length: usize,
    ) -> c_int;
    fn emovox_group_connect(
        group: *mut c_void,
        host: *const c_char,
        interfaces: *const c_char,
        rank: c_int,
        size: c_int,
        seconds: i64,
        message: *mut c_char,
        length: usize,
    ) -> c_int;
    fn emovox_group_leave(group: *mut c_void);
    fn emovox_gpu_name(
        library: *const c_char,
        index: c_int,
        name: *mut c_char,
        room: usize,
        message: *mut c_char,
        length: usize,
    ) -> c_int;
    fn emovox_group_use_nccl(
        group: *mut c_void,
        library: *const c_char,
        rank: c_int,
        size: c_int,
        seconds: i64,
        message: *mut c_char,
        length: usize,
    ) -> c_int;
    fn emovox_group_end_nccl(group: *mut c_void, message: *mut c_char, length: usize) -> c_int;
    fn emovox_all_reduce(
        group: *mut c_void,
        tensor: *mut c_void,
        message: *mut c_char,
        length: usize,
    ) -> c_int;
    fn emovox_broadcast(
        group: *mut c_void,
        tensor: *mut c_void,
        message: *mut c_char,
        length: usize,
    ) -> c_int;
    fn emovox_store_set(
        group: *mut c_void,
        which: c_int,
        key: *const c_char,
        value: *const c_char,
        message: *mut c_char,
        length: usize,
    ) -> c_int;
    fn emovox_store_get(
        group: *mut c_void,
        which: c_int,
        key: *const c_char,
        value: *mut c_char,
        room: usize,
        there: *mut c_int,
        message: *mut c_char,
        length: usize,
    ) -> c_int;
    fn emovox_store_add(
        group: *mut c_void,
        which: c_int,
        key: *const c_char,
        more: i64,
        now: *mut i64,
        message: *mut c_char,
        length: usize,
    ) -> c_int;
}

/// One of the two connections to the store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Client {
    Training = 0,
    Watch = 1,
}

/// Time limit for all processes to join, in seconds.
const JOIN_SECONDS: i64 = 300;
/// Time limit of a collective, in seconds. It is long, because the other processes may be reading a
/// whole corpus; the monitor thread detects a lost process much sooner.
const SECONDS: i64 = 24 * 3600;

/// The processes of one training, and their store.
#[derive(Debug)]
pub(super) struct Group {
    group: *mut c_void,
}

// SAFETY: the store's clients have locks, and only the thread of the training calls collectives
// (`ProcessGroup` ensures this).
unsafe impl Send for Group {}
unsafe impl Sync for Group {}

impl Group {
    /// Connects to the store and waits for all processes. Collectives also need [`Group::connect`].
    pub(super) fn join(place: &RankEnv) -> Result<Group> {
        let (host, prefix) = (text(&place.host)?, text(&place.prefix)?);
        let mut group = std::ptr::null_mut();
        checked(|message, length| {
            // SAFETY: all pointers are to values that outlive the call.
            unsafe {
                emovox_group_join(
                    host.as_ptr(),
                    place.port,
                    c_int::from(place.first_keeps_store && place.rank == 0),
                    prefix.as_ptr(),
                    place.rank as c_int,
                    place.size as c_int,
                    JOIN_SECONDS,
                    &mut group,
                    message,
                    length,
                )
            }
        })?;
        Ok(Group { group })
    }

    /// Connects every process with every other. If a process fails here, the others wait for it, so the
    /// monitor thread must be running.
    pub(super) fn connect(&self, place: &RankEnv) -> Result<()> {
        let host = text(&place.host)?;
        let interfaces = text(&std::env::var("GLOO_SOCKET_IFNAME").unwrap_or_default())?;
        checked(|message, length| {
            // SAFETY: all pointers are to values that outlive the call; no collective runs before it.
            unsafe {
                emovox_group_connect(
                    self.group,
                    host.as_ptr(),
                    interfaces.as_ptr(),
                    place.rank as c_int,
                    place.size as c_int,
                    SECONDS,
                    message,
                    length,
                )
            }
        })
    }

    /// From now on, NCCL sums tensors on GPUs. `library` is the library built from `nccl.cpp`. All
    /// processes must call this, each with its own GPU.
    pub(super) fn use_nccl(&self, library: &Path, place: &RankEnv) -> Result<()> {
        let library = path(library)?;
        checked(|message, length| {
            // SAFETY: all pointers are to values that outlive the call.
            unsafe {
                emovox_group_use_nccl(
                    self.group,
                    library.as_ptr(),
                    place.rank as c_int,
                    place.size as c_int,
                    SECONDS,
                    message,
                    length,
                )
            }
        })
        .context("NCCL does not start")
    }

    /// Ends NCCL. No tensor on a GPU can be summed after this.
    pub(super) fn end_nccl(&self) -> Result<()> {
        // SAFETY: the group lives as long as `self`.
        checked(|message, length| unsafe { emovox_group_end_nccl(self.group, message, length) })
    }

    pub(super) fn all_reduce(&self, tensor: &mut Tensor) -> Result<()> {
        let tensor = tensor.as_mut_ptr().cast();
        // SAFETY: tch's pointer is to an at::Tensor, which outlives the call.
        checked(|message, length| unsafe { emovox_all_reduce(self.group, tensor, message, length) })
    }

    pub(super) fn broadcast(&self, tensor: &mut Tensor) -> Result<()> {
        let tensor = tensor.as_mut_ptr().cast();
        // SAFETY: as above.
        checked(|message, length| unsafe { emovox_broadcast(self.group, tensor, message, length) })
    }

    pub(super) fn set(&self, client: Client, key: &str, value: &str) -> Result<()> {
        let (key, value) = (text(key)?, text(value)?);
        checked(|message, length| {
            // SAFETY: NUL-terminated strings that outlive the call.
            unsafe {
                let (key, value) = (key.as_ptr(), value.as_ptr());
                emovox_store_set(self.group, client as c_int, key, value, message, length)
            }
        })
    }

    /// The value of `key` in the store, or `None` if it is not set.
    pub(super) fn get(&self, client: Client, key: &str) -> Result<Option<String>> {
        let key = text(key)?;
        let mut value = vec![0u8; 4096];
        let mut there = 0;
        checked(|message, length| {
            let room = value.as_mut_ptr().cast();
            // SAFETY: `room` has as many bytes as the call is given.
            unsafe {
                emovox_store_get(
                    self.group,
                    client as c_int,
                    key.as_ptr(),
                    room,
                    4096,
                    &mut there,
                    message,
                    length,
                )
            }
        })?;
        Ok((there != 0).then(|| until_nul(&value)))
    }

    /// Adds `more` to a counter that starts at 0, and returns the new value.
    pub(super) fn add(&self, client: Client, key: &str, more: i64) -> Result<i64> {
        let key = text(key)?;
        let mut now = 0;
        checked(|message, length| {
            // SAFETY: as above.
            unsafe {
                let key = key.as_ptr();
                emovox_store_add(
                    self.group,
                    client as c_int,
                    key,
                    more,
                    &mut now,
                    message,
                    length,
                )
            }
        })?;
        Ok(now)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: made by `emovox_group_join`, and not used after this.
        unsafe { emovox_group_leave(self.group) }
    }
}

/// The PCI bus id of a GPU, unique on its machine. `library` is the library built from `nccl.cpp`.
pub(super) fn gpu_name(library: &Path, index: usize) -> Result<String> {
    let library = path(library)?;
    let mut name = [0u8; 64];
    checked(|message, length| {
        let room = name.as_mut_ptr().cast();
        // SAFETY: `room` has as many bytes as the call is given; the library's name outlives the call.
        unsafe {
            let (library, index) = (library.as_ptr(), index as c_int);
            emovox_gpu_name(library, index, room, name.len(), message, length)
        }
    })?;
    Ok(until_nul(&name))
}

/// Calls a function of the shim with a buffer for a message, and returns the message as an error if the
/// call fails.
fn checked(call: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<()> {
    libtorch::call(call).map_err(|message| {
        let line = message.lines().next();
        anyhow!("{}", line.unwrap_or("libtorch gives no reason"))
    })
}

fn path(path: &Path) -> Result<CString> {
    text(path.to_str().context("a path is not valid Unicode")?)
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).context("an environment variable contains a zero byte")
}
