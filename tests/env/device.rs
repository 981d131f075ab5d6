//! The device of the tests: the CPU, or the value of `EMOVOX_TEST_DEVICE`. With
//! `EMOVOX_TEST_DEVICE=cuda`, a test fails if the GPU cannot be used.

use std::process::Command;

use emovox::device::DeviceChoice;
use tch::Device;

/// Commands with the flag `--device`.
const COMMANDS: [&str; 9] = [
    "train",
    "cross-validate",
    "cross-corpus",
    "evaluate",
    "predict",
    "inspect",
    "stress",
    "listen",
    "serve",
];

/// The value of `EMOVOX_TEST_DEVICE`.
pub fn requested() -> Option<String> {
    let name = std::env::var("EMOVOX_TEST_DEVICE").ok();
    name.filter(|name| name != "cpu")
}

/// The device of tests that call the library.
pub fn device() -> Device {
    let Some(name) = requested() else {
        return Device::Cpu;
    };
    let choice: DeviceChoice = name.parse().unwrap();
    let device = choice.resolve().unwrap();
    assert_ne!(device, Device::Cpu, "EMOVOX_TEST_DEVICE is {name}");
    device
}

/// True if equal trainings give equal bytes. On a GPU this has not been measured.
pub fn is_exact() -> bool {
    requested().is_none()
}

/// Adds a command line, on the device of the tests. Without one, GPUs are hidden.
pub fn add_line(command: &mut Command, line: &str) {
    let Some(device) = requested() else {
        command.args(line.split_whitespace());
        command.env("CUDA_VISIBLE_DEVICES", "");
        return;
    };
    let line = line.replace("--device cpu", &format!("--device {device}"));
    command.args(line.split_whitespace());
    let name = line.split_whitespace().next().unwrap_or_default();
    if COMMANDS.contains(&name) && !line.contains("--device") {
        command.args(["--device", &device]);
    }
}
