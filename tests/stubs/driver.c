// A stand-in for NVIDIA's driver, libcuda.so.1. Environment variables choose its answers.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags) { return (int)flags + number("STUB_START", 0); }

int cuDriverGetVersion(int *version) {
    *version = number("STUB_VERSION", 13000);
    return 0;
}

int cuGetErrorString(int code, const char **text) {
    *text = code == 803 ? "system has unsupported display driver / cuda driver combination" : NULL;
    return *text ? 0 : 1;
}

int cuDeviceGet(int *device, int index) {
    *device = index;
    return index < number("STUB_GPUS", 1) ? 0 : 101;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    (void)device;
    *bytes = (size_t)24 << 30;
    return 0;
}

int cuDeviceGetName(char *name, int size, int device) {
    snprintf(name, size, "Stub %d", device);
    return 0;
}

// STUB_CAPABILITY is 90 for 9.0.
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    const int capability = number("STUB_CAPABILITY", 90);
    (void)device;
    *value = attribute == 75 ? capability / 10 : capability % 10;
    return 0;
}
