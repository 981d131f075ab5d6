//! Compiles the shim to libtorch's collectives (feature `distributed`). libtorch contains Gloo's code,
//! but not its headers: Debian's package libgloo-dev has them, or GLOO_INCLUDE names their folder. With
//! a CUDA build of libtorch, the shim to NCCL is compiled too, as a separate library.

use std::env;
use std::path::{Path, PathBuf};

const HERE: &str = "src/distributed";

/// Compiles the shims. `libtorch` is the folder of libtorch's libraries, `headers` that of its headers.
pub fn compile(libtorch: &Path, headers: &Path) {
    for file in ["build.rs", "collectives.cpp", "nccl.cpp"] {
        println!("cargo:rerun-if-changed={HERE}/{file}");
    }
    for variable in ["GLOO_INCLUDE", "NCCL_INCLUDE", "CUDA_HOME"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    const USUAL: &str = "/usr/include";
    let gloo = env::var_os("GLOO_INCLUDE").map_or(USUAL.into(), PathBuf::from);
    if !gloo.join("gloo/rendezvous/store.h").is_file() {
        println!(
            "cargo::error=--features distributed needs Gloo's headers, and {} has no folder gloo: \
             apt install libgloo-dev, or set GLOO_INCLUDE to a folder that has it (any version works: \
             only libtorch's own Gloo is linked)",
            gloo.display()
        );
        return;
    }
    let mut build = against(headers, "collectives.cpp");
    build.define("USE_C10D_GLOO", None);
    if gloo != Path::new(USUAL) {
        build.flag("-isystem").flag(&gloo);
    }
    build.compile("emovox_collectives");
    if libtorch.join("libtorch_cuda.so").is_file() {
        compile_nccl(libtorch, headers);
    }
}

fn compile_nccl(libtorch: &Path, headers: &Path) {
    // NVIDIA's wheels are installed beside PyTorch's wheel.
    let real = libtorch.canonicalize();
    let wheels = real.unwrap_or_default().join("../../nvidia");
    let given = |name| env::var_os(name).map(PathBuf::from);
    let nccl = [
        given("NCCL_INCLUDE"),
        Some(wheels.join("nccl/include")),
        Some("/usr/include".into()),
    ];
    let cuda = [
        given("CUDA_HOME").map(|home| home.join("include")),
        Some(wheels.join("cu13/include")),
        Some("/usr/local/cuda/include".into()),
    ];
    let has = |folder: &Path, header: &str| folder.join(header).is_file();
    let nccl = nccl
        .into_iter()
        .flatten()
        .find(|folder| has(folder, "nccl.h"));
    // A CUDA toolkit has all headers; PyTorch's wheels lack some. nvcc searches cccl by itself, a C++
    // compiler does not.
    let cuda = cuda.into_iter().flatten().find(|folder| {
        let own = ["cublas_v2.h", "crt/host_config.h"];
        own.iter().all(|header| has(folder, header))
            && (has(folder, "nv/target") || has(folder, "cccl/nv/target"))
    });
    let (Some(nccl), Some(cuda)) = (nccl, cuda) else {
        println!(
            "cargo::warning=built without NCCL, because its headers or CUDA's were not found: processes \
             with GPUs will sum gradients in main memory. `scripts/setup.sh --cuda` installs both, or set \
             NCCL_INCLUDE to the folder of nccl.h and CUDA_HOME to the folder of a CUDA 13 toolkit"
        );
        return;
    };
    let mut build = against(headers, "nccl.cpp");
    build.define("USE_C10D_NCCL", None);
    for folder in [nccl, cuda.join("cccl"), cuda] {
        build.flag("-isystem").flag(&folder);
    }
    let library =
        PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("libemovox_nccl.so");
    let mut command = build.get_compiler().to_command();
    // Its undefined symbols are in libtorch's libraries, which are loaded before it.
    command.args(["-shared", "-fPIC", "-o"]).arg(&library);
    command.arg(format!("{HERE}/nccl.cpp"));
    match command.status() {
        Ok(status) if status.success() => {
            println!("cargo:rustc-env=EMOVOX_NCCL={}", library.display());
        }
        _ => {
            println!(
                "cargo::error=the shim to NCCL does not compile; see the compiler's message above"
            )
        }
    }
}

/// Compiler settings for one of the C++ files, with libtorch's headers.
fn against(headers: &Path, file: &str) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .file(format!("{HERE}/{file}"))
        .opt_level(1)
        .debug(false)
        .warnings(false);
    // System headers, so that they give no warnings.
    for folder in [headers, &headers.join("torch/csrc/api/include")] {
        build.flag("-isystem").flag(folder);
    }
    build
}
