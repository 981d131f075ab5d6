// One AdamW step over all parameters in one call. It uses libtorch's fused kernel for the CPU and
// for CUDA, which tch does not expose.

#include <cstddef>
#include <cstdio>
#include <exception>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

namespace {

struct Group {
    std::vector<at::Tensor> values, gradients, first_moments, second_moments;
};

// Divisor that reduces the norm of all gradients together to at most `clip_norm`. It stays on the
// device, so that clipping does not wait for the device.
at::Tensor excess(const std::vector<at::Tensor> &gradients, double clip_norm) {
    const auto norms = at::_foreach_norm(gradients);
    const auto norm = at::linalg_vector_norm(at::stack(norms));
    return norm.add(1e-6).div(clip_norm).clamp_min(1.0);
}

} // namespace

// `tensors` holds the value, the gradient and the two moments of each of `count` parameters, `rates` their learning
// rates. Weight decay applies to parameters with more than one dimension. A `clip_norm` of 0 turns clipping off.
// Returns 0, or 1 with a message.
extern "C" int emovox_fused_adamw(at::Tensor *const *tensors, const double *rates, size_t count, double step,
                                  double beta1, double beta2, double weight_decay, double epsilon,
                                  double clip_norm, char *message, size_t message_size) {
    try {
        const at::NoGradGuard no_grad;
        // libtorch's kernel has one weight decay and one learning rate.
        std::map<std::pair<double, double>, Group> groups;
        std::vector<at::Tensor> gradients;
        for (size_t i = 0; i < 4 * count; i += 4) {
            at::Tensor &value = *tensors[i];
            if (!tensors[i + 1]->defined())
                continue;
            // The kernels take values and gradients in the order of memory. The gradient of a transposed
            // tensor may be transposed in memory.
            const at::Tensor gradient = tensors[i + 1]->contiguous();
            Group &group = groups[{value.dim() > 1 ? weight_decay : 0, rates[i / 4]}];
            group.values.push_back(value);
            group.gradients.push_back(gradient);
            group.first_moments.push_back(*tensors[i + 2]);
            group.second_moments.push_back(*tensors[i + 3]);
            gradients.push_back(gradient);
        }
        if (gradients.empty())
            return 0;
        std::optional<at::Tensor> divisor;
        if (clip_norm > 0)
            divisor = excess(gradients, clip_norm);
        const auto options = gradients.front().options().dtype(at::kFloat);
        const auto at_step = at::full({}, step, options);
        for (auto &[setting, group] : groups) {
            const auto [decay, rate] = setting;
            const std::vector<at::Tensor> steps(group.values.size(), at_step);
            at::_fused_adamw_(group.values, group.gradients, group.first_moments, group.second_moments, {}, steps,
                              rate, beta1, beta2, decay, epsilon, false, false, divisor, {});
        }
        return 0;
    } catch (const std::exception &error) {
        std::snprintf(message, message_size, "%s", error.what());
        return 1;
    }
}
