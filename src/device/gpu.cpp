// Calls of libtorch about GPUs that tch does not expose. They need no CUDA headers, so the same
// program runs with the CPU version of libtorch.

#include <cstddef>
#include <cstdio>
#include <exception>
#include <tuple>
#include <vector>

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/_cudnn_rnn_flatten_weight.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/lstm.h>

// Sets the precision of cuDNN's LSTM, and selects cuDNN's deterministic algorithms.
extern "C" void emovox_set_gpu_numbers(bool tf32) {
    const auto precision = tf32 ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
    at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, at::Float32Op::RNN, precision);
    at::globalContext().setDeterministicCuDNN(true);
}

// True if cuDNN's LSTM may use TF32.
extern "C" bool emovox_allows_tf32() { return at::globalContext().allowTF32CuDNN(at::Float32Op::RNN); }

// A copy of a CPU tensor on a GPU. It is ordered with the work that was submitted before, but does not wait for it:
// that needs pinned memory. Returns null with a message if libtorch fails.
extern "C" at::Tensor *emovox_upload(const at::Tensor *tensor, int gpu, char *message, size_t message_size) {
    try {
        const auto options = tensor->options().device(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(gpu)));
        return new at::Tensor(tensor->pin_memory().to(options, true));
    } catch (const std::exception &error) {
        std::snprintf(message, message_size, "%s", error.what());
        return nullptr;
    }
}

// One training step of a tiny LSTM, with the kernels that a training uses: forward, backward and the fused
// optimizer. `gpu` is the index of a GPU, or -1 for the CPU. Returns 0, or 1 with a message.
extern "C" int emovox_try_device(int gpu, char *message, size_t message_size) {
    try {
        const at::Device device = gpu < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<at::DeviceIndex>(gpu));
        const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
        const int64_t hidden = 8, gates = 4 * hidden;
        std::vector<at::Tensor> weights = {at::full({gates, hidden}, 0.1, options), at::full({gates, hidden}, 0.1, options),
                                           at::full({gates}, 0.1, options), at::full({gates}, 0.1, options)};
        if (gpu >= 0 && at::detail::getCUDAHooks().compiledWithCuDNN()) {
            const at::NoGradGuard no_grad;
            const int64_t lstm = 2; // cuDNN's number of this cell
            at::_cudnn_rnn_flatten_weight(weights, 4, hidden, lstm, hidden, 0, 1, true, false);
        }
        const at::AutoGradMode grad(true);
        for (auto &weight : weights)
            weight.requires_grad_(true);
        const auto state = at::full({1, 1, hidden}, 0.0, options);
        const auto input = at::full({1, 2, hidden}, 1.0, options);
        const auto output = std::get<0>(at::lstm(input, {state, state}, weights, true, 1, 0.0, true, false, true));
        output.sum().backward();
        const at::NoGradGuard no_grad;
        std::vector<at::Tensor> gradients, first, second, steps;
        for (const auto &weight : weights) {
            gradients.push_back(weight.grad());
            first.push_back(at::full(weight.sizes(), 0.0, options));
            second.push_back(at::full(weight.sizes(), 0.0, options));
            steps.push_back(at::full({}, 1.0, options));
        }
        at::_fused_adamw_(weights, gradients, first, second, {}, steps, 0.01, 0.9, 0.999, 0.0, 1e-8, false, false, {}, {});
        // Errors of a GPU arrive when a value is read. Each weight became smaller by the learning rate.
        const double first_weight = weights[0].sum().item<double>() / static_cast<double>(gates * hidden);
        if (first_weight > 0.0895 && first_weight < 0.0905)
            return 0;
        std::snprintf(message, message_size, "a test step gave %g instead of 0.09", first_weight);
    } catch (const std::exception &error) {
        std::snprintf(message, message_size, "%s", error.what());
    }
    return 1;
}
