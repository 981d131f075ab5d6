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
    // The path goes through the `.libtorch` link on purpose: a setup that later switches between
    // the CPU and the CUDA libraries needs no rebuild.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", libtorch.display());
    link_for_documentation_tests(&libtorch);
    let headers = match env::var_os("LIBTORCH_INCLUDE") {
        Some(folder) => PathBuf::from(folder).join("include"),
        None => libtorch.with_file_name("include"),
    };
    compile_fused_adamw(&headers);
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

/// Compiles the C++ in `src/training/fused.cpp` against the headers of the same libtorch.
fn compile_fused_adamw(headers: &Path) {
    println!("cargo:rerun-if-changed=src/training/fused.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .include(headers)
        .file("src/training/fused.cpp")
        // Warnings in libtorch's headers cannot be fixed here.
        .warnings(false)
        .compile("emovox_fused");
}
