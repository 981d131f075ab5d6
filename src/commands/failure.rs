//! Panics of tch, which are exceptions of libtorch, as messages for the user.

use std::panic::{self, AssertUnwindSafe};

use anyhow::{Result, anyhow};

use emovox::device::GpuFailure;
use emovox::reason::panic_message;

/// The way in which a training needs less memory of a GPU.
pub(super) const TRAINING_ADVICE: &str = "train with a smaller --batch-size, or use --device cpu";

/// Explains the message of a panic. `memory_advice` is the way in which the command needs less
/// memory of a GPU.
pub fn explain(panic: &str, memory_advice: &str) -> String {
    if let Some(failure) = GpuFailure::of(panic) {
        return failure.describe(memory_advice);
    }
    if panic.contains("can't allocate memory") {
        return "there is not enough memory for this; train with a smaller --batch-size, or cut long \
                recordings into pieces"
            .into();
    }
    format!("internal error in emovox or libtorch; please report it:\n{panic}")
}

/// Runs a training. A panic becomes an error, so that the message can say how the training
/// continues.
pub(super) fn training<T>(train: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(train)).unwrap_or_else(|panicked| {
        Err(anyhow!(explain(panic_message(&*panicked), TRAINING_ADVICE)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_training_is_an_error_with_advice() {
        let failed = |message: &'static str| {
            let failed: Result<()> = training(|| panic!("{message}"));
            failed.unwrap_err().to_string()
        };
        let memory = failed("CUDA out of memory. Tried to allocate 2.00 MiB.");
        assert!(
            memory.contains("--batch-size") && !memory.contains("report"),
            "{memory}"
        );
        let memory =
            failed("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes");
        assert!(
            memory.contains("--batch-size") && !memory.contains("GPU"),
            "{memory}"
        );
        let other = failed("CUDA error: an illegal memory access was encountered");
        assert!(
            other.contains("please report it") && other.contains("illegal"),
            "{other}"
        );
        assert_eq!(training(|| Ok(3)).unwrap(), 3);
    }
}
