// The code that needs the headers of CUDA and NCCL, and the symbols of libtorch_cuda.so. It is a separate
// library, which collectives.cpp loads after libtorch_cuda.so: the program must also start without CUDA.

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <chrono>
#include <cstdlib>

using Nccl = c10d::ProcessGroupNCCL;

// An NCCL process group, as a c10d backend.
extern "C" c10d::Backend* emovox_nccl_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                              int size, int64_t seconds) {
  // emovox's monitor thread reports a lost peer; NCCL's monitor would end the process with a C++ stack.
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", 0);
  setenv("TORCH_NCCL_ENABLE_MONITORING", "0", 0);
  auto options = Nccl::Options::create();
  options->timeout = std::chrono::seconds(seconds);
  return c10::make_intrusive<Nccl>(store, rank, size, options).release();
}

// Writes the PCI bus id of a GPU, which is unique on its machine: two processes that share a GPU cannot
// use NCCL.
extern "C" int emovox_nccl_gpu(int index, char* name, int length) {
  return cudaDeviceGetPCIBusId(name, length, index) == cudaSuccess ? 0 : 1;
}
