//! Failures of a GPU that its user can solve, recognised by the messages of libtorch, cuDNN and
//! cuBLAS.

/// A failure of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuFailure {
    /// Its memory does not suffice.
    Memory,
    /// Another process has it for itself.
    Busy,
    /// libtorch has no code for it.
    NoCode,
}

impl GpuFailure {
    /// The failure that a message describes, or `None` for any other message.
    pub fn of(message: &str) -> Option<GpuFailure> {
        let has = |marks: &[&str]| marks.iter().any(|mark| message.contains(mark));
        // PyTorch's allocator; the runtime, the driver and NCCL; cuBLAS, cuDNN and cuSOLVER, which
        // allocate memory of their own. cuBLAS reports its first allocation as a failed start.
        let memory = [
            "CUDA out of memory",
            "CUDA error: out of memory",
            "CUDA driver error: out of memory",
            "CUDA_ERROR_OUT_OF_MEMORY",
            "Cuda failure 2 'out of memory'",
            "cudaErrorMemoryAllocation",
            "_ALLOC_FAILED",
            "DEVICE_ALLOCATION_FAILED",
            "CUBLAS_STATUS_NOT_INITIALIZED",
        ];
        if has(&memory) {
            Some(GpuFailure::Memory)
        } else if has(&["busy or unavailable", "cudaErrorDevicesUnavailable"]) {
            Some(GpuFailure::Busy)
        } else if has(&[
            "no kernel image is available",
            "cudaErrorNoKernelImageForDevice",
        ]) {
            Some(GpuFailure::NoCode)
        } else {
            None
        }
    }

    /// The failure in words. `memory_advice` is a command's own way to need less memory.
    pub fn describe(self, memory_advice: &str) -> String {
        match self {
            GpuFailure::Memory => {
                let memory = super::memory_in_words().map_or_else(String::new, |memory| {
                    format!(" ({memory}; nvidia-smi lists the processes that use it)")
                });
                format!("the GPU does not have enough memory for this{memory}; {memory_advice}")
            }
            GpuFailure::Busy => "another process uses the GPU exclusively (nvidia-smi lists the \
                processes); wait for its end, or use --device cpu"
                .into(),
            GpuFailure::NoCode => format!(
                "this libtorch has no code for the GPU, which is too old or too new for it; {}, or use \
                 --device cpu",
                super::OLDER_CUDA
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages as they are in the sources of PyTorch 2.11, and in reports of its users.
    #[test]
    fn every_spelling_of_a_full_gpu_is_recognised() {
        for message in [
            "Torch(\"CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of \
             15.77 GiB of which 12.00 MiB is free. Process 7 has 15.75 GiB memory in use.\")",
            "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
            "CUDA driver error: out of memory",
            "ncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nCuda failure 2 'out of \
             memory'",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
        ] {
            assert_eq!(
                GpuFailure::of(message),
                Some(GpuFailure::Memory),
                "{message}"
            );
        }
        let words = GpuFailure::Memory.describe("use --device cpu");
        assert!(
            words.starts_with("the GPU does not have enough memory"),
            "{words}"
        );
        assert!(words.ends_with("use --device cpu"), "{words}");
    }

    #[test]
    fn a_gpu_in_use_and_a_gpu_without_code_are_recognised() {
        let busy = "CUDA error: CUDA-capable device(s) is/are busy or unavailable";
        assert_eq!(GpuFailure::of(busy), Some(GpuFailure::Busy));
        let old = "CUDA error: no kernel image is available for execution on the device";
        assert_eq!(GpuFailure::of(old), Some(GpuFailure::NoCode));
        for other in [
            "CUDA error: an illegal memory access was encountered",
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried \
             to allocate 4096 bytes. Error code 12 (Cannot allocate memory)",
            "The size of tensor a (3) must match the size of tensor b (4)",
        ] {
            assert_eq!(GpuFailure::of(other), None, "{other}");
        }
    }
}
