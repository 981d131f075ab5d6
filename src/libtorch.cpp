// The version of libtorch in the headers of the build.

#include <torch/headeronly/version.h>

extern "C" const char *emovox_libtorch_of_the_build() { return TORCH_VERSION; }
