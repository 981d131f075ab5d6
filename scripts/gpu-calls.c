// Counts the calls of libtorch to the CUDA runtime, for scripts/gpu-check.sh (cuDNN and cuBLAS contain
// runtimes of their own). Load it with LD_PRELOAD; the file in CALLS_OUT gets a line for each function
// at the end of the process.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define FUNCTIONS(X) \
    X(cudaLaunchKernel) X(__cudaLaunchKernel) X(cudaLaunchKernelExC) X(cudaMemcpyAsync) X(cudaMemcpy) \
    X(cudaMemsetAsync) X(cudaStreamSynchronize) X(cudaDeviceSynchronize) X(cudaEventSynchronize) X(cudaMalloc)

// Nine words hold the arguments of each function, in registers and on the stack.
#define COUNT(name) \
    static atomic_long calls_of_##name; \
    long name(long a, long b, long c, long d, long e, long f, long g, long h, long i) { \
        static long (*next)(long, long, long, long, long, long, long, long, long); \
        if (!next) next = (long (*)(long, long, long, long, long, long, long, long, long))dlsym(RTLD_NEXT, #name); \
        calls_of_##name++; \
        return next(a, b, c, d, e, f, g, h, i); \
    }
FUNCTIONS(COUNT)

__attribute__((destructor)) static void write_counts(void) {
    const char *path = getenv("CALLS_OUT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
#define PRINT(name) fprintf(file, #name " %ld\n", (long)calls_of_##name);
    FUNCTIONS(PRINT)
    fclose(file);
}
