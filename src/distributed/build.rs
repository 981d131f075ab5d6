//! Compiles the shim to libtorch's collectives (feature `distributed`). libtorch has Gloo's code in it, but
//! not its headers: Debian's package libgloo-dev has them, or GLOO_INCLUDE names a folder.

use std::env;
use std::path::{Path, PathBuf};

const SHIM: &str = "src/distributed/collectives.cpp";

/// Compiles the shim against this libtorch.
pub fn compile(libtorch: &Path) {
    println!("cargo:rerun-if-changed={SHIM}");
    println!("cargo:rerun-if-changed=build/collectives.rs");
    println!("cargo:rerun-if-env-changed=GLOO_INCLUDE");
    const USUAL: &str = "/usr/include";
    let gloo = env::var_os("GLOO_INCLUDE").map_or(USUAL.into(), PathBuf::from);
    if !gloo.join("gloo/rendezvous/store.h").is_file() {
        println!(
            "cargo::error=--features distributed needs Gloo's headers, and there is no gloo/ in {}: \
             apt install libgloo-dev, or set GLOO_INCLUDE to a folder that has it (its version does not \
             matter: only libtorch's own Gloo is linked)",
            gloo.display()
        );
        return;
    }
    let include = libtorch.parent().unwrap_or(libtorch).join("include");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .define("USE_C10D_GLOO", None)
        .file(SHIM)
        .opt_level(1)
        .debug(false)
        .warnings(false);
    // As system headers: their warnings are not ours.
    for folder in [&include, &include.join("torch/csrc/api/include")] {
        build.flag("-isystem").flag(folder);
    }
    if gloo != Path::new(USUAL) {
        build.flag("-isystem").flag(&gloo);
    }
    build.compile("emovox_collectives");
}
