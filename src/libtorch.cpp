// Versions of libtorch: of the headers of the build, and of the library in this process.

#include <cstddef>
#include <cstdio>
#include <exception>

#include <ATen/Version.h>
#include <torch/headeronly/version.h>

extern "C" const char *emovox_libtorch_of_the_build() { return TORCH_VERSION; }

// Writes the build settings of the loaded library into `text`, with a zero at the end.
extern "C" void emovox_libtorch_settings(char *text, size_t size) {
    try {
        std::snprintf(text, size, "%s", at::show_config().c_str());
    } catch (const std::exception &) {
        std::snprintf(text, size, "");
    }
}
