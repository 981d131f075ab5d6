//! Lets MKL use AVX-512 on processors of any maker.
//!
//! MKL computes libtorch's products of matrices. It uses its AVX-512 kernels only if its function
//! `mkl_serv_intel_cpu_true` reports a processor of Intel, and takes twice as long for a product on
//! another processor with AVX-512 (docs/performance.md, "AVX-512 on processors of AMD"). The dynamic
//! linker prefers a function of the program to that of a library, so this one replaces MKL's. A
//! libtorch without MKL never calls it.

use std::ffi::c_int;
use std::mem;

/// Reports to MKL that the processor may use the kernels for Intel's processors: if it has AVX-512, or
/// if it is one.
#[unsafe(no_mangle)]
extern "C" fn mkl_serv_intel_cpu_true() -> c_int {
    if is_x86_feature_detected!("avx512f") {
        return 1;
    }
    // SAFETY: the name ends with a null byte.
    let own = unsafe { libc::dlsym(libc::RTLD_NEXT, c"mkl_serv_intel_cpu_true".as_ptr()) };
    if own.is_null() {
        return 0;
    }
    // SAFETY: MKL's function of this name has no arguments and returns an int.
    let own: extern "C" fn() -> c_int = unsafe { mem::transmute(own) };
    own()
}

/// Keeps the function in the program, in which nothing else calls it.
#[used]
static KEPT: extern "C" fn() -> c_int = mkl_serv_intel_cpu_true;

#[cfg(test)]
mod tests {
    use super::*;

    /// The symbol that MKL's calls are bound to is the one of the program.
    #[test]
    fn it_replaces_the_function_of_mkl() {
        // SAFETY: the name ends with a null byte.
        let bound = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"mkl_serv_intel_cpu_true".as_ptr()) };
        assert_eq!(
            bound as usize,
            mkl_serv_intel_cpu_true as *const () as usize
        );
        assert!(mkl_serv_intel_cpu_true() == 1 || !is_x86_feature_detected!("avx512f"));
    }
}
