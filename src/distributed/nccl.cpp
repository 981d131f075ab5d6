// What needs CUDA's and NCCL's headers, and libtorch_cuda.so's symbols. It is a library of its own, loaded
// by collectives.cpp once emovox has loaded libtorch_cuda.so: the program itself must start without CUDA.

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <chrono>
#include <cstdlib>

using Nccl = c10d::ProcessGroupNCCL;

// A process group of NCCL's, as the backend that it is to its users.
extern "C" c10d::Backend* emovox_nccl_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                              int size, int64_t seconds) {
  // That a peer is gone is told by the watch; NCCL's own would end the process with a stack of C++.
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", 0);
  setenv("TORCH_NCCL_ENABLE_MONITORING", "0", 0);
  auto options = Nccl::Options::create();
  options->timeout = std::chrono::seconds(seconds);
  return c10::make_intrusive<Nccl>(store, rank, size, options).release();
}

// What tells a GPU from all others of its machine: two processes that share one cannot use NCCL.
extern "C" int emovox_nccl_gpu(int index, char* name, int length) {
  return cudaDeviceGetPCIBusId(name, length, index) == cudaSuccess ? 0 : 1;
}
