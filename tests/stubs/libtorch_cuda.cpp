// A stand-in for the CUDA half of libtorch, libtorch_cuda.so: it reports GPUs, but can compute
// nothing on them.

#include <cstdio>
#include <cstdlib>

#include <ATen/detail/CUDAHooksInterface.h>

struct CUDAHooks : at::CUDAHooksInterface {
    explicit CUDAHooks(at::CUDAHooksArgs) {}
    void init() const override {}
    bool hasCUDA() const override { return true; }
    bool hasCUDART() const override { return true; }
    bool hasCuDNN() const override { return true; }
    bool isAvailable() const override { return true; }
    long versionCUDART() const override { return 13000; }
    long versionCuDNN() const override { return 91900; }
    int getNumGPUs() const override {
        const char *count = std::getenv("STUB_GPUS");
        return count ? std::atoi(count) : 1;
    }
    c10::DeviceIndex deviceCount() const override { return static_cast<c10::DeviceIndex>(getNumGPUs()); }
};

// The real library warns of an old driver on standard error as soon as it counts the GPUs.
__attribute__((constructor)) static void warn_of_an_old_driver() {
    const char *version = std::getenv("STUB_VERSION");
    if (version && std::atoi(version) < 13000)
        std::fputs("[W] CUDA initialization: the NVIDIA driver is too old\n", stderr);
}

namespace at {
REGISTER_CUDA_HOOKS(CUDAHooks)
}
