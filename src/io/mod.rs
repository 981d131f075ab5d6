//! Files on the disk: written as a whole or not at all, locked, and never reached through a planted link.

mod atomic;
mod lock;
mod name;
mod target;

pub(crate) use atomic::{
    TEMPORARY, folder_of, is_abandoned, remove_abandoned, remove_if_abandoned,
};
pub use atomic::{write_atomically, write_bytes, write_keeping_previous};
pub use lock::LockFile;
pub use name::is_file_name;
pub(crate) use target::{FileId, is_written_straight, target_of};
pub use target::{goes_to_standard_output, write_output};

use std::fs::OpenOptions;

/// Makes these options refuse a symbolic link, and not wait for the other end of a FIFO.
pub fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    options
}
