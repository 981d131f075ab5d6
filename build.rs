//! Passes the folder of libtorch to the linker, so that the binary, the tests and the benches find
//! libtorch without an environment variable.

use std::env;
use std::path::{Path, PathBuf};

#[cfg(feature = "distributed")]
#[path = "src/distributed/build.rs"]
mod collectives;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // torch-sys declares `links = "tch"` and passes on the folder that it links against.
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    let Some(libtorch) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        return;
    };
    check_libtorch(&libtorch);
    // The path goes through the `.libtorch` link on purpose: the same binary works after a setup that
    // switches between the CPU and the CUDA libraries.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", libtorch.display());
    link_for_documentation_tests(&libtorch);
    // Tests of messages about a missing CUDA version of libtorch.
    println!("cargo:rustc-check-cfg=cfg(libtorch_has_cuda)");
    if libtorch.join("libtorch_cuda.so").exists() {
        println!("cargo:rustc-cfg=libtorch_has_cuda");
    }
    let headers = match env::var_os("LIBTORCH_INCLUDE") {
        Some(folder) => PathBuf::from(folder).join("include"),
        None => libtorch.with_file_name("include"),
    };
    compile_calls_of_libtorch(&headers);
    #[cfg(feature = "distributed")]
    collectives::compile(&libtorch, &headers);
}

/// Makes libtorch available to documentation tests. They do not get the link arguments, but cargo
/// adds search folders inside `OUT_DIR` to their library path; so this links libtorch there.
fn link_for_documentation_tests(libtorch: &Path) {
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    let link = out.join("libtorch");
    let _ = std::fs::remove_file(&link);
    #[cfg(unix)]
    if std::os::unix::fs::symlink(libtorch, &link).is_ok() {
        println!("cargo:rustc-link-search=native={}", link.display());
    }
}

/// Stops the build if libtorch was removed after torch-sys was built with it: the program would be
/// built, but could not start.
fn check_libtorch(folder: &Path) {
    let Ok(system) = env::var("CARGO_CFG_TARGET_OS") else {
        return;
    };
    let ending = if system == "macos" { "dylib" } else { "so" };
    let library = folder.join(format!("libtorch_cpu.{ending}"));
    // cargo runs this script again, also with `cargo run`, when the file has changed or is missing.
    println!("cargo:rerun-if-changed={}", library.display());
    if !library.exists() {
        println!(
            "cargo::error=libtorch is missing: there is no file {}. Run scripts/setup.sh, then build \
             again",
            library.display()
        );
        std::process::exit(1);
    }
}

/// Compiles the C++ that calls functions of libtorch without a binding in tch, against the headers of
/// the same libtorch.
fn compile_calls_of_libtorch(headers: &Path) {
    let sources = [
        "src/device/gpu.cpp",
        "src/libtorch.cpp",
        "src/training/fused.cpp",
    ];
    for source in sources {
        println!("cargo:rerun-if-changed={source}");
    }
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .include(headers)
        .files(sources)
        // Warnings in libtorch's headers cannot be fixed here.
        .warnings(false)
        .compile("emovox_libtorch");
}
