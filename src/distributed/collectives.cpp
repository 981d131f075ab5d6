// c10d's store and process groups as C functions: Gloo for tensors in main memory, NCCL for tensors on
// GPUs if nccl.cpp was built. An exception becomes a message and the return value 1.

#include <ATen/ATen.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Gloo = c10d::ProcessGroupGloo;

struct Group {
  // One client for the collectives and the training, and one for the monitor thread: a client handles
  // one request at a time.
  c10::intrusive_ptr<c10d::Store> store[2];
  c10::intrusive_ptr<c10d::Backend> gloo;
  c10::intrusive_ptr<c10d::Backend> nccl;

  c10::intrusive_ptr<c10d::Backend>& of(const at::Tensor& tensor) {
    return tensor.is_cuda() && nccl ? nccl : gloo;
  }
};

// A function of the library built from nccl.cpp. libtorch_cuda.so must be loaded before.
template <typename F>
F* of_nccl(const char* library, const char* name) {
  void* loaded = dlopen(library, RTLD_NOW);
  void* found = loaded ? dlsym(loaded, name) : nullptr;
  if (!found) {
    throw std::runtime_error(dlerror());
  }
  return reinterpret_cast<F*>(found);
}

template <typename F>
int guarded(char* message, size_t length, F&& work) {
  try {
    work();
    return 0;
  } catch (const c10::Error& error) {
    std::snprintf(message, length, "%s", error.what_without_backtrace());
  } catch (const std::exception& error) {
    std::snprintf(message, length, "%s", error.what());
  } catch (...) {
    std::snprintf(message, length, "an unknown exception");
  }
  return 1;
}

// Uses the network interfaces in GLOO_SOCKET_IFNAME, as PyTorch does. Otherwise uses the interface that
// this machine's host name resolves to, or the loopback interface if the store is there.
void choose_devices(Gloo::Options& options, const std::string& host, const char* interfaces) {
  std::stringstream names(interfaces);
  for (std::string name; std::getline(names, name, ',');) {
    options.devices.push_back(Gloo::createDeviceForInterface(name));
  }
  if (!options.devices.empty()) {
    return;
  }
  bool here = host == "localhost" || host.rfind("127.", 0) == 0 || host == "::1";
  options.devices.push_back(
      here ? Gloo::createDeviceForHostname(host) : Gloo::createDefaultDevice());
}

// Waits until all ranks have joined. Without this, Gloo would wait for a missing rank as long as for a
// sum.
void wait_for_all(c10d::Store& store, int rank, int size, int64_t seconds) {
  const auto key = [](int of) { return "joined/" + std::to_string(of); };
  store.set(key(rank), std::vector<uint8_t>{1});
  std::vector<std::string> all;
  for (int of = 0; of < size; ++of) {
    all.push_back(key(of));
  }
  try {
    store.wait(all, std::chrono::seconds(seconds));
  } catch (const std::exception&) {
    std::string missing;
    for (int of = 0; of < size; ++of) {
      if (!store.check({key(of)})) {
        missing += (missing.empty() ? "" : ", ") + std::to_string(of);
      }
    }
    if (missing.empty()) {
      throw;
    }
    throw std::runtime_error("of the " + std::to_string(size) + " processes, rank " + missing +
                             " did not join within " + std::to_string(seconds) +
                             " s; check that all are started with the same MASTER_ADDR and MASTER_PORT");
  }
}

}  // namespace

extern "C" {

// Connects to the store and waits until all processes have joined.
int emovox_group_join(const char* host, uint16_t port, int serve, const char* prefix, int rank,
                      int size, int64_t seconds, void** joined, char* message, size_t length) {
  return guarded(message, length, [&] {
    // emovox reports a lost peer itself; libtorch's warning would print a C++ stack.
    setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
    c10::initLogging();
    auto group = std::make_unique<Group>();
    for (int which = 0; which < 2; ++which) {
      c10d::TCPStoreOptions options;
      options.port = port;
      options.isServer = serve && which == 0;
      options.timeout = std::chrono::seconds(seconds);
      options.waitWorkers = false;
      auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
      group->store[which] = c10::make_intrusive<c10d::PrefixStore>(prefix, store);
    }
    wait_for_all(*group->store[0], rank, size, seconds);
    *joined = group.release();
  });
}

// Connects every process with every other, for tensors in main memory.
int emovox_group_connect(void* group, const char* host, const char* interfaces, int rank, int size,
                         int64_t seconds, char* message, size_t length) {
  return guarded(message, length, [&] {
    auto* here = static_cast<Group*>(group);
    auto options = Gloo::Options::create(std::chrono::seconds(seconds));
    choose_devices(*options, host, interfaces);
    auto store = c10::make_intrusive<c10d::PrefixStore>("gloo", here->store[0]);
    here->gloo = c10::make_intrusive<Gloo>(store, rank, size, options);
  });
}

void emovox_group_leave(void* group) { delete static_cast<Group*>(group); }

// The PCI bus id of a GPU, which is unique on this machine.
int emovox_gpu_name(const char* library, int index, char* name, size_t room, char* message,
                    size_t length) {
  return guarded(message, length, [&] {
    auto* gpu = of_nccl<int(int, char*, int)>(library, "emovox_nccl_gpu");
    if (gpu(index, name, static_cast<int>(room))) {
      throw std::runtime_error("CUDA does not name GPU " + std::to_string(index));
    }
  });
}

// From now on, tensors on GPUs are summed by NCCL. All processes must call this, each with its own GPU.
int emovox_group_use_nccl(void* group, const char* library, int rank, int size, int64_t seconds,
                          char* message, size_t length) {
  return guarded(message, length, [&] {
    using Make = c10d::Backend*(const c10::intrusive_ptr<c10d::Store>&, int, int, int64_t);
    auto* make = of_nccl<Make>(library, "emovox_nccl_backend");
    auto* here = static_cast<Group*>(group);
    c10::intrusive_ptr<c10d::Store> store =
        c10::make_intrusive<c10d::PrefixStore>("nccl", here->store[0]);
    here->nccl =
        c10::intrusive_ptr<c10d::Backend>::reclaim(make(store, rank, size, seconds));
  });
}

// Ends NCCL's threads, which must not run when the program ends.
int emovox_group_end_nccl(void* group, char* message, size_t length) {
  return guarded(message, length, [&] {
    auto& nccl = static_cast<Group*>(group)->nccl;
    if (nccl) {
      nccl->shutdown();
      nccl.reset();
    }
  });
}

// Sums a tensor over all processes, in place.
int emovox_all_reduce(void* group, void* tensor, char* message, size_t length) {
  return guarded(message, length, [&] {
    std::vector<at::Tensor> tensors{*static_cast<at::Tensor*>(tensor)};
    static_cast<Group*>(group)->of(tensors[0])->allreduce(tensors)->wait();
  });
}

// Copies a tensor of rank 0 to all other ranks.
int emovox_broadcast(void* group, void* tensor, char* message, size_t length) {
  return guarded(message, length, [&] {
    std::vector<at::Tensor> tensors{*static_cast<at::Tensor*>(tensor)};
    static_cast<Group*>(group)->of(tensors[0])->broadcast(tensors)->wait();
  });
}

int emovox_store_set(void* group, int which, const char* key, const char* value, char* message,
                     size_t length) {
  return guarded(message, length, [&] {
    std::string text(value);
    static_cast<Group*>(group)->store[which]->set(
        key, std::vector<uint8_t>(text.begin(), text.end()));
  });
}

// The value of a key, cut to `room` bytes; `there` is 0 if the key is not set.
int emovox_store_get(void* group, int which, const char* key, char* value, size_t room,
                     int* there, char* message, size_t length) {
  return guarded(message, length, [&] {
    auto& store = static_cast<Group*>(group)->store[which];
    *there = store->check({key}) ? 1 : 0;
    if (*there) {
      auto bytes = store->get(key);
      std::snprintf(value, room, "%s", std::string(bytes.begin(), bytes.end()).c_str());
    }
  });
}

int emovox_store_add(void* group, int which, const char* key, int64_t more, int64_t* now,
                     char* message, size_t length) {
  return guarded(message, length, [&] {
    *now = static_cast<Group*>(group)->store[which]->add(key, more);
  });
}

}  // extern "C"
