//! Files on the disk: atomic writes, locks, file names, and protection against links of other
//! users.

mod atomic;
mod lock;
mod name;
mod target;

pub(crate) use atomic::{
    TEMPORARY, folder_of, is_abandoned, remove_abandoned, remove_if_abandoned, sync_file_system,
    write_unsynced,
};
pub use atomic::{check_writable, write_atomically, write_bytes, write_keeping_previous};
pub use lock::LockFile;
pub use name::{FILE_NAME_RULE, is_file_name};
pub(crate) use target::{FileId, is_written_straight, target_of, write_one_of_many};
pub use target::{goes_to_standard_output, write_output};

use std::fs::OpenOptions;

/// Makes `options` reject a symbolic link, and open a FIFO without a wait for its other end.
pub fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    options
}
