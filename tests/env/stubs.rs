//! Stand-ins for NVIDIA's driver and for the CUDA half of libtorch, so that messages about GPUs can be
//! tested without a GPU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::process::run_command;
use super::{CommandOutput, TestEnv};

/// NVIDIA's software on a machine.
#[derive(Clone, Copy)]
pub enum Machine {
    /// A driver, with the CPU version of libtorch.
    Driver,
    /// A driver and a libtorch that finds GPUs, on which nothing can be computed.
    Gpus,
}

/// Folders with the libraries of each machine.
struct Folders {
    _root: TempDir,
    driver: PathBuf,
    gpus: PathBuf,
}

fn folders() -> &'static Folders {
    static FOLDERS: OnceLock<Folders> = OnceLock::new();
    FOLDERS.get_or_init(|| {
        let root = tempfile::tempdir().unwrap();
        let [driver, gpus] = ["driver", "gpus"].map(|name| root.path().join(name));
        for folder in [&driver, &gpus] {
            fs::create_dir(folder).unwrap();
        }
        let library = driver.join("libcuda.so.1");
        compile(
            "CC",
            "cc",
            &["-Wl,-soname,libcuda.so.1"],
            "driver.c",
            &library,
        );
        fs::copy(&library, gpus.join("libcuda.so.1")).unwrap();
        let headers = format!("-I{}/include", libtorch().display());
        let library = gpus.join("libtorch_cuda.so");
        let flags = ["-std=c++17", headers.as_str()];
        compile("CXX", "c++", &flags, "libtorch_cuda.cpp", &library);
        Folders {
            _root: root,
            driver,
            gpus,
        }
    })
}

/// The libtorch of the build. cargo passes its variable to the tests, also from `.cargo/config.toml`.
fn libtorch() -> PathBuf {
    std::env::var_os("LIBTORCH")
        .expect("the folder of libtorch")
        .into()
}

fn compile(variable: &str, usual: &str, flags: &[&str], source: &str, library: &Path) {
    let compiler = std::env::var(variable).unwrap_or_else(|_| usual.into());
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/stubs")
        .join(source);
    let mut command = Command::new(compiler);
    command.args(["-shared", "-fPIC"]).args(flags).arg(source);
    run_command(command.arg("-o").arg(library)).success();
}

/// Lets a process find the libraries of a machine.
pub fn put_on(machine: Machine, command: &mut Command) {
    let folder = match machine {
        Machine::Driver => &folders().driver,
        Machine::Gpus => &folders().gpus,
    };
    command.env("LD_LIBRARY_PATH", folder);
    command.env_remove("CUDA_VISIBLE_DEVICES");
}

impl TestEnv {
    /// Runs a command line on a machine with stand-ins, which `variables` configure.
    pub fn run_on(
        &self,
        machine: Machine,
        variables: &[(&str, &str)],
        line: &str,
    ) -> CommandOutput {
        let mut command = self.command(line);
        put_on(machine, &mut command);
        run_command(command.envs(variables.iter().copied()))
    }
}
