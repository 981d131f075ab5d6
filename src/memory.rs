//! Allocations whose size depends on the length of a recording: if there is not enough memory, they
//! return an error instead of ending the process.

use std::panic::{self, AssertUnwindSafe};

use crate::bounded::size;
use crate::device::GpuFailure;
use crate::reason::panic_message;

/// Memory that could not be reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is not enough memory for the recording{}; cut it into shorter recordings, or predict it \
     with --window SECONDS",
    match .bytes {
        0 => String::new(),
        bytes => format!(" ({} more are needed)", size(*bytes)),
    }
)]
pub struct OutOfMemory {
    /// Size in bytes of the allocation that failed; 0 if it is not known.
    pub bytes: u64,
}

/// Memory of a GPU that could not be reserved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GpuOutOfMemory(String);

/// True for the errors that [`computing`] returns for a lack of memory.
pub fn is_out_of_memory(error: &anyhow::Error) -> bool {
    error.is::<OutOfMemory>() || error.is::<GpuOutOfMemory>()
}

/// Recognises the messages of libtorch and of the C++ library for a failed allocation.
fn failed_allocation(message: &str) -> Option<anyhow::Error> {
    if GpuFailure::of(message) == Some(GpuFailure::Memory) {
        let reason = GpuFailure::Memory.describe("use --device cpu");
        return Some(GpuOutOfMemory(reason).into());
    }
    OutOfMemory::from_message(message).map(Into::into)
}

impl OutOfMemory {
    fn from_message(message: &str) -> Option<OutOfMemory> {
        const MARKS: [&str; 2] = ["allocate memory", "bad_alloc"];
        if !MARKS.iter().any(|mark| message.contains(mark)) {
            return None;
        }
        let (_, after) = message.split_once("tried to allocate ").unwrap_or_default();
        let digits = after.split(|c: char| !c.is_ascii_digit()).next();
        let bytes = digits.and_then(|digits| digits.parse().ok());
        Some(OutOfMemory {
            bytes: bytes.unwrap_or_default(),
        })
    }
}

/// Runs a computation of libtorch. If libtorch cannot allocate memory, tch panics or returns an
/// error; both become [`OutOfMemory`], or [`GpuOutOfMemory`] on a GPU. Other panics continue.
///
/// # Errors
/// Returns the errors of `compute`, [`OutOfMemory`] and [`GpuOutOfMemory`].
pub fn computing<T>(compute: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let panicked = match panic::catch_unwind(AssertUnwindSafe(compute)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => return Err(failed_allocation(&format!("{error:#}")).unwrap_or(error)),
        Err(panicked) => panicked,
    };
    match failed_allocation(panic_message(&*panicked)) {
        Some(failure) => Err(failure),
        None => panic::resume_unwind(panicked),
    }
}

/// An empty vector with capacity for exactly `count` values.
///
/// # Errors
/// Fails if there is not enough memory.
pub fn reserve<T>(count: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut values = Vec::new();
    match values.try_reserve_exact(count) {
        Ok(()) => Ok(values),
        Err(_) => Err(OutOfMemory {
            bytes: (count as u64).saturating_mul(size_of::<T>() as u64),
        }),
    }
}

/// A vector of `count` zeros.
///
/// # Errors
/// Fails if there is not enough memory.
pub fn zeros<T: Copy + Default>(count: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut values = reserve(count)?;
    values.resize(count, T::default());
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_reservation_is_an_error_with_the_size() {
        assert_eq!(zeros::<f32>(3), Ok(vec![0.0; 3]));
        let error = zeros::<f32>(usize::MAX / 16).unwrap_err();
        assert_eq!(error.bytes, (usize::MAX / 16) as u64 * 4);
        assert!(error.to_string().contains("--window"));
        assert!(reserve::<f32>(usize::MAX).is_err());
    }

    #[test]
    fn libtorch_without_memory_is_an_error_and_other_panics_continue() {
        let message = "Torch(\"[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't \
                       allocate memory: you tried to allocate 4096 bytes. Error code 12\")";
        let error = computing::<()>(|| panic!("{message}")).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&OutOfMemory { bytes: 4096 }));
        let error = computing::<()>(|| anyhow::bail!("{message}")).unwrap_err();
        assert!(error.is::<OutOfMemory>());
        let error = computing::<()>(|| panic!("CUDA out of memory. Tried to allocate 2.00 MiB."));
        let error = error.unwrap_err();
        assert!(error.is::<GpuOutOfMemory>() && is_out_of_memory(&error));
        assert!(error.to_string().contains("--device cpu"), "{error}");
        let error = computing::<()>(|| anyhow::bail!("shapes differ")).unwrap_err();
        assert_eq!(error.to_string(), "shapes differ");
        let other = panic::catch_unwind(|| computing::<()>(|| panic!("shapes differ")));
        assert!(other.is_err());
    }
}
