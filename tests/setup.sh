#!/usr/bin/env bash
# Tests scripts/setup.sh in temporary folders, with fakes of pip and of the system's tools, so that
# nothing is downloaded. Run: bash tests/setup.sh
set -u

script=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/scripts/setup.sh
top=$(mktemp -d "${TMPDIR:-/tmp}/emovox setup test.XXXXXX") # a name with spaces, on purpose
trap 'rm -rf "$top"' EXIT
bin=$top/bin
mkdir "$bin"

# ---- fakes -----------------------------------------------------------------------------------

for tool in awk basename bash cat cp dirname env grep head ln mkdir mv readlink rm sed sleep tr; do
    ln -s "$(command -v $tool)" "$bin/$tool"
done

fake() { # NAME: a fake of this program, with the body from standard input
    { echo "#!$BASH" && cat; } >"$bin/$1" && chmod +x "$bin/$1"
}
fake cargo </dev/null
fake c++ </dev/null
fake ldconfig </dev/null
fake sync </dev/null
fake uname <<'END'
case $1 in -s) echo "${FAKE_OS:-Linux}" ;; -m) echo "${FAKE_MACHINE:-x86_64}" ;; -n) echo box ;; esac
END
fake getconf <<'END'
echo "glibc ${FAKE_GLIBC:-2.36}"
END
fake df <<'END'
echo "Filesystem 1024-blocks Used Available Capacity Mounted on"
echo "a disk 900000000 100 ${FAKE_FREE:-800000000} 1% /a b"
END
fake ldd <<'END'
[ -z "${FAKE_MISSING:-}" ] || echo "	$FAKE_MISSING => not found"
echo "	libcuda.so.1 => not found"
END
export REAL_PYTHON
REAL_PYTHON=$(python3 -c 'import sys; print(sys.executable)') || exit 1
fake python3 <<'END'
case "$*" in
"-m pip --version") [ -z "${NO_PIP:-}" ] && echo "pip ${FAKE_PIP:-24.0} from somewhere"; exit ;;
"-m pip download "*) ;;
*) exec "$REAL_PYTHON" -S "$@" ;; # without site-packages: a real PyTorch must not be found
esac
package="${!#}"
while [ "$1" != --dest ]; do shift; done
echo "$package" >>"$BOX/pip calls"
mkdir -p "$2"
if [ -n "${PIP_HANGS:-}" ]; then
    echo incomplete >"$2/incomplete.whl"
    echo $$ >"$BOX/pip hangs"
    exec sleep 60
elif [ -n "${PIP_MEETS:-}" ]; then # wait until a second run has also reached this point
    : >"$BOX/met $PIP_MEETS"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ -e "$BOX/met 1" ] && [ -e "$BOX/met 2" ] && break
        sleep 0.1
    done
fi
[ -z "${PIP_FAILS:-}" ] || { echo "no network" >&2; exit 1; }
package=${package%%==*}
[ -e "$WHEELS/$package" ] || package=other
exec cp "$WHEELS/$package" "$2/fake.whl"
END
export WHEELS=$top/wheels
mkdir "$WHEELS"
"$REAL_PYTHON" - "$WHEELS" <<'END'
import os, sys, zipfile
files = {
    "torch": "version.py include/torch/csrc/api/include/torch/torch.h lib/libtorch.so lib/libtorch_cpu.so lib/libc10.so"
             " lib/libgomp.so.1 lib/libtorch_cuda.so lib/libc10_cuda.so lib/libtorch_python.so __init__.py",
    "nvidia-cuda-runtime": "cu13/lib/libcudart.so.13 cu13/include/cuda.h",
    "nvidia-cuda-cupti": "cu13/lib/libcupti.so.13 cu13/lib/libother.so",
    "nvidia-cudnn-cu13": "cudnn/lib/libcudnn.so.9",
    "other": "",
}
for package, names in files.items():
    with zipfile.ZipFile(os.path.join(sys.argv[1], package), "w") as z:
        for name in names.split():
            text = "__version__ = '2.11.0+cu130'\ncuda: Optional[str] = '13.0'\n" if name == "version.py" else "x"
            z.writestr(package.split("-")[0] + "/" + name, text)
END
# Their SHA-256, in the format of the list for the real wheels.
for package in $(grep -o '[a-z][a-z0-9-]*==[0-9][0-9.]*' "$script") torch==2.11.0; do
    wheel=$WHEELS/${package%%==*}
    [ -e "$wheel" ] || wheel=$WHEELS/other
    sum=$(sha256sum "$wheel")
    file=${package/==/-}
    echo "${sum%% *}  ${file//-/_}-none-any.whl"
done | sed 's/_\([0-9.]*-none\)/-\1/' >"$WHEELS/libtorch.sha256"

libtorch() { # FOLDER VERSION [cuda]: a fake libtorch
    mkdir -p "$1/include/torch/csrc/api/include/torch" "$1/lib"
    for file in include/torch/csrc/api/include/torch/torch.h lib/libtorch_cpu.so lib/libc10.so lib/libtorch.so; do
        echo x >"$1/$file"
    done
    [ -z "${3:-}" ] || echo x >"$1/lib/libtorch_cuda.so"
    echo "__version__ = '$2'" >"$1/version.py"
    : >"$1/__init__.py"
}

# ---- functions for the cases -----------------------------------------------------------------

passed=0 failed=0 name=
begin() {
    end
    name=$1 faults=
    export BOX="$top/box $((passed + failed))"
    clone="$BOX/a clone"
    cache="$BOX/the cache"
    mkdir -p "$clone/scripts" "$BOX/home"
    cp "$script" "$WHEELS/libtorch.sha256" "$clone/scripts/"
}
end() {
    [ -n "$name" ] || return 0
    if [ -z "$faults" ]; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name:$faults"
        sed 's/^/        | /' "$BOX/out" 2>/dev/null
    fi
    name=
}
# setup [NAME=VALUE | --FLAG] ...: runs the script; sets $rc to its exit status, and writes its output to $BOX/out
setup() {
    local argument settings=() flags=()
    for argument in "$@"; do
        case $argument in -*) flags+=("$argument") ;; *) settings+=("$argument") ;; esac
    done
    env -i HOME="$BOX/home" PATH="$bin" BOX="$BOX" REAL_PYTHON="$REAL_PYTHON" WHEELS="$WHEELS" EMOVOX_CACHE="$cache" \
        ${settings[@]+"${settings[@]}"} \
        "$BASH" "$clone/scripts/setup.sh" ${flags[@]+"${flags[@]}"} >"$BOX/out" 2>&1
    rc=$?
}
that() { # a command that must succeed, or fail if the first word is '!'
    if [ "$1" = '!' ]; then
        shift
        ! "$@" || faults="$faults [expected to fail: $*]"
    else
        "$@" || faults="$faults [expected: $*]"
    fi
}
works() { that [ "$rc" = 0 ]; }
fails_with() { # PATTERN...: it must fail, print each pattern, and leave neither link nor libraries
    that [ "$rc" = 1 ]
    for pattern in "$@"; do prints "$pattern"; done
    that '!' [ -L "$clone/.libtorch" ]
    leaves_nothing
}
prints() { that grep -q -e "$1" "$BOX/out"; }
links() { that [ "$clone/.libtorch" -ef "$1" ]; }
pip_calls() { cat "$BOX/pip calls" 2>/dev/null | grep -c .; }
leaves_nothing() { that [ -z "$(ls -A "$cache" 2>/dev/null)" ]; }
only_in_cache() { that [ "$(ls -A "$cache")" = "$1" ]; }
cpu=libtorch-2.11.0-cpu-x86_64
cuda=libtorch-2.11.0-cuda13-x86_64

# ---- arguments and tools ---------------------------------------------------------------------

begin "--help prints the usage"
setup --help
works && prints "Usage: scripts/setup.sh"

begin "an unknown argument is rejected"
setup --gpu
fails_with "unknown argument: --gpu"

begin "without cargo it names rustup"
mv "$bin/cargo" "$bin/cargo.off"
setup --cpu
fails_with "cargo is not on the PATH" rustup
mv "$bin/cargo.off" "$bin/cargo"

begin "without a C++ compiler it names g++, before any download"
mv "$bin/c++" "$bin/c++.off"
setup --cpu
fails_with "C++ compiler is missing" "apt install g++"
setup --cpu FAKE_OS=Darwin
fails_with "xcode-select --install"
that [ "$(pip_calls)" = 0 ]
mv "$bin/c++.off" "$bin/c++"

# ---- LIBTORCH --------------------------------------------------------------------------------

begin "LIBTORCH of 2.11.0 is used and linked"
libtorch "$BOX/my torch" 2.11.0+cpu
setup LIBTORCH="$BOX/my torch"
works && prints "using LIBTORCH" && links "$BOX/my torch"
that [ "$(pip_calls)" = 0 ]

begin "LIBTORCH with its version only in build-version or only in headers"
libtorch "$BOX/my torch" 1.0.0
echo 2.11.0+cpu >"$BOX/my torch/build-version"
setup LIBTORCH="$BOX/my torch"
works
rm "$BOX/my torch/build-version" "$BOX/my torch/version.py"
mkdir "$BOX/my torch/include/torch/headeronly"
printf '#define TORCH_VERSION_%s\n' 'MAJOR 2' 'MINOR 11' 'PATCH 0' >"$BOX/my torch/include/torch/headeronly/version.h"
setup LIBTORCH="$BOX/my torch"
works

begin "LIBTORCH of another version is rejected, with the command that helps"
libtorch "$BOX/my torch" 2.9.1+cu128
setup LIBTORCH="$BOX/my torch"
fails_with "has libtorch 2.9.1+cu128, but 2.11.0 is needed" "unset LIBTORCH"

begin "a missing or incomplete LIBTORCH is rejected"
setup LIBTORCH="$BOX/nowhere"
fails_with "there is no folder"
libtorch "$BOX/my torch" 2.11.0
: >"$BOX/my torch/lib/libtorch_cpu.so"
setup LIBTORCH="$BOX/my torch"
fails_with "has no lib/libtorch_cpu.so"

begin "LIBTORCH without CUDA is rejected with --cuda"
libtorch "$BOX/my torch" 2.11.0
setup LIBTORCH="$BOX/my torch" --cuda
fails_with "has no CUDA libraries"

begin "LIBTORCH as cargo sets it, to .libtorch, counts as unset"
setup LIBTORCH="$clone/.libtorch" --cpu
works && links "$cache/$cpu/torch"

# ---- an installed PyTorch --------------------------------------------------------------------

begin "an installed PyTorch 2.11.0 is used, without pip"
libtorch "$BOX/site packages/torch" 2.11.0+cu130 cuda
setup PYTHONPATH="$BOX/site packages" --cuda
works && links "$BOX/site packages/torch"
that [ "$(pip_calls)" = 0 ]

begin "an installed PyTorch of another version is not used"
libtorch "$BOX/site packages/torch" 2.8.0
setup PYTHONPATH="$BOX/site packages" --cpu
works && prints "not using the installed PyTorch" && links "$cache/$cpu/torch"

begin "an installed PyTorch without CUDA is not used with --cuda"
libtorch "$BOX/site packages/torch" 2.11.0
setup PYTHONPATH="$BOX/site packages" PIP_FAILS=1 --cuda
fails_with "not using the installed PyTorch: .* has no CUDA libraries" "downloading torch 2.11.0 (cuda"

# ---- the wheel -------------------------------------------------------------------------------

begin "the CPU libraries are complete and without CUDA"
setup --cpu
works && links "$cache/$cpu/torch" && only_in_cache $cpu
for file in build-version lib/libgomp.so.1 lib/libcudart.so.13 lib/libcupti.so.13; do
    that [ -s "$clone/.libtorch/$file" ]
done
that [ "$clone/.libtorch/lib/libtorch.so" -ef "$clone/.libtorch/lib/libtorch_cpu.so" ]
for file in libtorch_cuda.so libc10_cuda.so libtorch_python.so libother.so; do
    that '!' [ -e "$clone/.libtorch/lib/$file" ]
done
that [ "$(pip_calls)" = 3 ]

begin "a second run takes under a second and calls no pip"
setup --cpu
calls=$(pip_calls)
TIMEFORMAT=%R
seconds=$({ time setup --cpu NO_PIP=1; } 2>&1)
works && prints ready
that awk "BEGIN { exit !($seconds < 1) }"
that [ "$(pip_calls)" = "$calls" ]

begin "a second clone shares the folder"
setup --cpu
calls=$(pip_calls)
mv "$clone" "$BOX/first clone" && mkdir -p "$clone/scripts" && cp "$script" "$WHEELS/libtorch.sha256" "$clone/scripts/"
setup --cpu NO_PIP=1
works && links "$cache/$cpu/torch"
that [ "$(pip_calls)" = "$calls" ]

begin "the default folder is among the data of the user, not in a cache that people clear"
cache=
setup --cpu
works && links "$BOX/home/.local/share/emovox/$cpu/torch"
setup --cpu XDG_DATA_HOME="$BOX/data" # the existing link stays
works && links "$BOX/home/.local/share/emovox/$cpu/torch"
rm "$clone/.libtorch"
setup --cpu XDG_DATA_HOME="$BOX/data"
works && links "$BOX/data/emovox/$cpu/torch"

begin "libraries that an earlier version put into the cache folder are used, without pip"
cache=
libtorch "$BOX/home/.cache/emovox/$cpu/torch" 2.11.0
setup --cpu
works && links "$BOX/home/.cache/emovox/$cpu/torch"
rm "$clone/.libtorch"
libtorch "$BOX/caches/emovox/$cpu/torch" 2.11.0
setup --cpu XDG_CACHE_HOME="$BOX/caches"
works && links "$BOX/caches/emovox/$cpu/torch"
that [ "$(pip_calls)" = 0 ]

begin "damaged libraries in the cache folder are not used"
cache=
libtorch "$BOX/home/.cache/emovox/$cpu/torch" 2.11.0
rm "$BOX/home/.cache/emovox/$cpu/torch/lib/libc10.so"
setup --cpu
works && links "$BOX/home/.local/share/emovox/$cpu/torch"

begin "it works without HOME"
without_home() {
    env -u HOME -u LIBTORCH PATH="$bin" BOX="$BOX" REAL_PYTHON="$REAL_PYTHON" WHEELS="$WHEELS" "$@" \
        "$BASH" "$clone/scripts/setup.sh" --cpu >"$BOX/out" 2>&1
    rc=$?
}
without_home EMOVOX_CACHE="$cache"
works && links "$cache/$cpu/torch"
rm "$clone/.libtorch"
without_home EMOVOX_CACHE= XDG_CACHE_HOME="$BOX/caches" XDG_DATA_HOME="$BOX/data"
works && links "$BOX/data/emovox/$cpu/torch"
mv "$bin/cargo" "$bin/cargo.off"
without_home EMOVOX_CACHE="$cache"
mv "$bin/cargo.off" "$bin/cargo"
that [ "$rc" = 1 ] && prints "cargo is not on the PATH"

begin "--cuda installs the CUDA libraries, and --cpu links the CPU libraries again"
setup --cpu
setup --cuda
works && links "$cache/$cuda/torch"
that [ -s "$clone/.libtorch/lib/libtorch_cuda.so" ]
that [ -s "$clone/.libtorch/../nvidia/cudnn/lib/libcudnn.so.9" ]
setup --cpu
works && links "$cache/$cpu/torch"

begin "with an NVIDIA driver the CUDA libraries are the default"
fake nvidia-smi </dev/null
setup PIP_FAILS=1
rm "$bin/nvidia-smi"
fails_with "downloading torch 2.11.0 (cuda"

begin "a driver that is too old is named before the download"
fake nvidia-smi <<'END'
[ "$*" = "--query-gpu=driver_version --format=csv,noheader" ] && echo 550.54.15
END
setup PIP_FAILS=1
rm "$bin/nvidia-smi"
fails_with "with driver 550 the GPU is not used"

begin "without an NVIDIA driver the CPU libraries are the default"
setup
works && links "$cache/$cpu/torch"

begin "arm64 Linux and macOS on Apple silicon have their own libraries"
setup FAKE_MACHINE=aarch64 --cpu
works && links "$cache/libtorch-2.11.0-cpu-aarch64/torch"
setup FAKE_OS=Darwin FAKE_MACHINE=arm64 --cuda
that [ $rc = 1 ] && prints "no CUDA on macOS"

# ---- missing requirements --------------------------------------------------------------------

begin "without pip it prints the command that helps"
setup NO_PIP=1 --cpu
fails_with "has no pip" "python3 -m ensurepip --user" "apt install python3-pip"

begin "an old pip is rejected, with the command that helps"
setup FAKE_PIP=18.1 --cpu
fails_with "pip 18.1 is too old" "install --upgrade pip"

begin "without Python it prints the command that helps"
mv "$bin/python3" "$bin/python3.off"
setup --cpu
fails_with "Python 3 is missing" "apt install python3-pip"
mv "$bin/python3.off" "$bin/python3"

begin "without disk space it prints the size that is needed"
setup FAKE_FREE=1000000 --cpu
fails_with "not enough disk space" "1000 MB free, 1300 MB needed" EMOVOX_CACHE=
setup FAKE_FREE=2000000 --cuda
fails_with "2000 MB free, 4500 MB needed"
that [ "$(pip_calls)" = 0 ]

begin "a cache folder that cannot be written is named"
echo x >"$BOX/file"
cache="$BOX/file/cache"
setup --cpu
fails_with "cannot write to the folder $BOX/file/cache" EMOVOX_CACHE=

begin "other platforms are rejected, with an alternative"
for platform in "FreeBSD amd64" "Linux riscv64" "Darwin x86_64" "MINGW64_NT AMD64"; do
    setup FAKE_OS="${platform% *}" FAKE_MACHINE="${platform#* }" --cpu
    fails_with "no ready-made libtorch 2.11.0 for ${platform% *} on ${platform#* }" "LIBTORCH=/path/to/torch"
done

begin "an old C library is rejected"
setup FAKE_GLIBC=2.17 --cpu
fails_with "2.28 or newer, and this system has 2.17"

begin "libraries that cannot be loaded are rejected"
setup FAKE_MISSING=libz.so.9 --cpu
fails_with "libz.so.9"

begin "a wheel with another SHA-256 is rejected before it is unpacked"
grep -v torch-2.11.0 "$WHEELS/libtorch.sha256" >"$clone/scripts/libtorch.sha256"
setup --cpu
fails_with "the wheel of torch==2.11.0 is not the one" "LIBTORCH=/path/to/torch"

begin "the SHA-256 of one package is not valid for another"
sed 's/torch-2.11.0/nvidia_cublas-13.1.0.3/' "$WHEELS/libtorch.sha256" >"$clone/scripts/libtorch.sha256"
setup --cpu
fails_with "the wheel of torch==2.11.0 is not the one"

begin "a wheel with one changed byte is rejected"
cp -r "$WHEELS" "$BOX/wheels" && echo >>"$BOX/wheels/nvidia-cuda-cupti"
setup --cpu WHEELS="$BOX/wheels"
fails_with "the wheel of nvidia-cuda-cupti==13.0.85 is not the one"

begin "every wheel that setup.sh downloads has a SHA-256 for each platform"
sums=${script%/*}/libtorch.sha256
for package in $(grep -o '[a-z][a-z0-9-]*==[0-9][0-9.]*' "$script") torch==2.11.0; do
    file=$(echo "${package/==/-}" | tr - _)
    for platform in x86_64 aarch64; do
        that [ "$(tr - _ <"$sums" | grep -c "^[0-9a-f]\{64\}  ${file}_.*_$platform.whl$")" = 1 ]
    done
done
that [ "$(grep -c 'torch-2.11.0-.*macosx_.*_arm64.whl$' "$sums")" = 1 ]

# ---- interruptions ---------------------------------------------------------------------------

begin "a failed download leaves nothing, and the next run succeeds"
setup PIP_FAILS=1 --cpu
fails_with "no network" "pip could not download torch==2.11.0"
setup --cpu
works && links "$cache/$cpu/torch"

begin "a run killed in the download leaves nothing that is used, and the next run cleans up"
env -i HOME="$BOX/home" PATH="$bin" BOX="$BOX" REAL_PYTHON="$REAL_PYTHON" WHEELS="$WHEELS" EMOVOX_CACHE="$cache" \
    PIP_HANGS=1 "$BASH" "$clone/scripts/setup.sh" --cpu >"$BOX/out" 2>&1 &
killed=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ ! -s "$BOX/pip hangs" ] || break
    sleep 0.2
done
{ kill -9 $killed && wait $killed; } 2>/dev/null
kill "$(cat "$BOX/pip hangs")"
that [ -e "$cache/.part-box-$killed" ]
that '!' [ -e "$cache/$cpu" ]
that '!' [ -L "$clone/.libtorch" ]
setup --cpu
works && links "$cache/$cpu/torch" && only_in_cache $cpu

begin "damaged libraries in the cache are replaced"
setup --cpu
: >"$cache/$cpu/torch/lib/libtorch_cpu.so"
setup --cpu
works && links "$cache/$cpu/torch" && only_in_cache $cpu
that [ -s "$cache/$cpu/torch/lib/libtorch_cpu.so" ]

begin "two simultaneous runs do not disturb each other"
mkdir -p "$BOX/other/clone/scripts" && cp "$script" "$WHEELS/libtorch.sha256" "$BOX/other/clone/scripts/"
env -i HOME="$BOX/home" PATH="$bin" BOX="$BOX" REAL_PYTHON="$REAL_PYTHON" WHEELS="$WHEELS" EMOVOX_CACHE="$cache" \
    PIP_MEETS=2 "$BASH" "$BOX/other/clone/scripts/setup.sh" --cpu >"$BOX/other/out" 2>&1 &
setup PIP_MEETS=1 --cpu
that wait $!
works && links "$cache/$cpu/torch" && only_in_cache $cpu
that [ "$BOX/other/clone/.libtorch" -ef "$cache/$cpu/torch" ]
that [ "$(pip_calls)" = 6 ]

# ---- an existing .libtorch -------------------------------------------------------------------

begin "a dangling .libtorch is replaced"
ln -s "$BOX/gone" "$clone/.libtorch"
setup --cpu
works && links "$cache/$cpu/torch"

begin "a .libtorch folder of the user is used if it is valid, and never removed"
libtorch "$clone/.libtorch" 2.11.0
setup --cpu
works && prints ready
libtorch "$clone/.libtorch" 2.10.0
setup --cpu
fails_with "is a folder, not a link, and it cannot be used" "2.10.0"
that [ -s "$clone/.libtorch/version.py" ]
libtorch "$BOX/my torch" 2.11.0
setup LIBTORCH="$BOX/my torch"
fails_with "is a folder, not a link, and is not replaced"
that [ -s "$clone/.libtorch/version.py" ]

end
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
