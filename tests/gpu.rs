//! Messages about GPUs, on machines that stand-ins for NVIDIA's libraries imitate: nothing here needs
//! a GPU.

#![cfg(target_os = "linux")]

mod env;

use std::process::Command;

use emovox::config::{Arch, RunConfig};
use emovox::device;
use emovox::training;
use env::TestEnv;
use env::process::run_command;
use env::stubs::{Machine, put_on};
use tch::Device;

/// The reason that `doctor` gives for the absence of CUDA.
fn reason(machine: Machine, variables: &[(&str, &str)]) -> String {
    let output = TestEnv::new()
        .on_cpu()
        .run_on(machine, variables, "doctor")
        .success();
    assert_eq!(output.error, "", "doctor reports on standard output");
    assert!(
        output.out.contains("device        cpu (for --device auto)"),
        "{}",
        output.out
    );
    let line = output
        .out
        .lines()
        .find(|line| line.starts_with("CUDA  "))
        .unwrap();
    line["CUDA".len()..].trim_start().to_string()
}

#[test]
#[cfg_attr(libtorch_has_cuda, ignore = "needs the CPU version of libtorch")]
fn the_cpu_version_of_libtorch_beside_a_driver_is_named_with_the_command_that_helps() {
    let gpus = [("STUB_GPUS", "2")];
    let reason = reason(Machine::Driver, &gpus);
    for words in [
        "none: this is the CPU version of libtorch",
        "scripts/setup.sh --cuda",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    assert!(
        !reason.contains("580"),
        "the driver is new enough: {reason}"
    );
    let doctor = TestEnv::new()
        .on_cpu()
        .run_on(Machine::Driver, &gpus, "doctor");
    let report = doctor.success().out;
    for gpu in [
        "GPU 0         Stub 0, compute capability 9.0, 24.0 GiB",
        "GPU 1         Stub 1",
    ] {
        assert!(report.contains(gpu), "{report}");
    }
    assert!(!report.contains("Stub 2"), "{report}");
}

#[test]
#[cfg_attr(libtorch_has_cuda, ignore = "needs the CPU version of libtorch")]
fn a_driver_that_is_too_old_is_named_with_the_release_that_is_needed() {
    let old = [("STUB_VERSION", "12040")];
    for machine in [Machine::Driver, Machine::Gpus] {
        let reason = reason(machine, &old);
        for words in ["CUDA 12.4", "CUDA 13.0 is needed", "driver 580 or newer"] {
            assert!(reason.contains(words), "{reason}");
        }
    }
}

#[test]
fn a_driver_that_does_not_start_is_named_with_its_error() {
    let reason = reason(Machine::Driver, &[("STUB_START", "803")]);
    for words in ["does not start", "unsupported display driver", "error 803"] {
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn a_machine_without_a_visible_gpu_is_no_fault() {
    let none = reason(Machine::Driver, &[("STUB_START", "100")]);
    assert!(none.contains("the NVIDIA driver finds no GPU"), "{none}");
    let hidden = reason(Machine::Gpus, &[("CUDA_VISIBLE_DEVICES", "")]);
    assert!(
        hidden.contains("CUDA_VISIBLE_DEVICES hides every GPU"),
        "{hidden}"
    );
}

#[test]
fn doctor_describes_every_gpu_and_tries_it() {
    let env = TestEnv::new().on_cpu();
    std::fs::create_dir(env.path("bin")).unwrap();
    let tool = env.path("bin/nvidia-smi");
    std::fs::write(&tool, "#!/bin/sh\necho 580.95.05\necho 580.95.05\n").unwrap();
    run_command(Command::new("chmod").arg("+x").arg(&tool)).success();
    let path = format!(
        "{}:{}",
        env.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let variables = [("STUB_GPUS", "2"), ("PATH", path.as_str())];
    let output = env.run_on(Machine::Gpus, &variables, "doctor").success();
    for words in [
        "driver        580.95.05, supports CUDA 13.0",
        "CUDA          runtime 13.0, cuDNN 9.19",
        "GPU 0         Stub 0, compute capability 9.0, 24.0 GiB",
        "GPU 1         Stub 1, compute capability 9.0, 24.0 GiB",
        "cannot be used: a test step on GPU 1 failed: Could not run",
        "device        cpu (for --device auto)",
    ] {
        assert!(
            output.out.contains(words),
            "lacks '{words}': {}",
            output.out
        );
    }
}

#[test]
fn an_old_gpu_is_named_with_the_capability_that_is_needed() {
    let old = [("STUB_CAPABILITY", "61")];
    let output = TestEnv::new()
        .on_cpu()
        .run_on(Machine::Gpus, &old, "doctor")
        .success();
    for words in [
        "Stub 0",
        "compute capability 6.1",
        "needs 7.5 or newer",
        "older CUDA",
    ] {
        assert!(
            output.out.contains(words),
            "lacks '{words}': {}",
            output.out
        );
    }
}

#[test]
#[cfg_attr(libtorch_has_cuda, ignore = "needs the CPU version of libtorch")]
fn a_requested_gpu_that_cannot_be_used_is_an_error_with_the_reason() {
    let env = TestEnv::with_corpus().on_cpu();
    let train = |machine, variables: &[(&str, &str)], device: &str| {
        let line = format!("train --data corpus --config small.toml --device {device}");
        env.run_on(machine, variables, &line)
    };
    train(Machine::Driver, &[], "cuda").fails_with(&["setup.sh --cuda", "--device cpu"]);
    train(Machine::Gpus, &[], "cuda").fails_with(&["test step on GPU 0", "--device cpu"]);
    train(Machine::Gpus, &[], "cuda:0").fails_with(&["test step on GPU 0", "--device cpu"]);
    train(Machine::Gpus, &[], "cuda:7").fails_with(&["no GPU number 7", "--device cpu"]);
    let old = [("STUB_CAPABILITY", "61")];
    train(Machine::Gpus, &old, "cuda").fails_with(&["Stub 0", "6.1", "--device cpu"]);
    assert_eq!(env.runs(), 0);
}

#[test]
#[cfg_attr(libtorch_has_cuda, ignore = "needs the CPU version of libtorch")]
fn auto_says_once_why_it_does_not_use_the_gpu() {
    let env = TestEnv::with_corpus().on_cpu();
    let train = "train --data corpus --config small.toml --epochs 1 --no-cache --run mine";
    let output = env.run_on(Machine::Gpus, &[], train).success();
    let warnings: Vec<&str> = output.error.lines().collect();
    assert_eq!(warnings.len(), 1, "{}", output.error);
    assert!(
        warnings[0].contains("--device auto uses the CPU: a test step on GPU 0"),
        "{}",
        warnings[0]
    );
    assert!(output.out.contains("on cpu"), "{}", output.out);

    for line in ["train --resume mine --epochs 2", "evaluate mine"] {
        let output = env.run_on(Machine::Driver, &[], line).success();
        let warnings: Vec<&str> = output.error.lines().collect();
        assert_eq!(warnings.len(), 1, "{line}: {}", output.error);
        assert!(
            warnings[0].contains("setup.sh --cuda"),
            "{line}: {}",
            warnings[0]
        );
    }
    let chosen = env
        .run_on(Machine::Driver, &[], "evaluate mine --device cpu")
        .success();
    assert_eq!(chosen.error, "");
}

/// The child of the test below: it seeds before it asks for GPUs.
#[test]
#[ignore = "needs the stand-ins that the next test sets up"]
fn child_that_trains_on_the_cpu_before_it_asks_for_gpus() {
    let config = RunConfig::recipe(Arch::MeanLstm);
    let classes = ["a".to_string(), "b".to_string()];
    training::fresh_model(&config.model, 1, 40, &classes, Device::Cpu);
    assert_eq!(device::cuda_devices(), 2);
}

/// libtorch looks for CUDA once: when something seeds, or before.
#[test]
fn a_gpu_is_found_after_a_model_was_made_on_the_cpu() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--ignored",
        "--exact",
        "child_that_trains_on_the_cpu_before_it_asks_for_gpus",
    ]);
    put_on(Machine::Gpus, &mut command);
    let out = run_command(command.env("STUB_GPUS", "2")).success().out;
    assert!(out.contains("1 passed"), "{out}");
}
