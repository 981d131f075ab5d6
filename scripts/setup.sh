#!/usr/bin/env bash
# Finds or downloads libtorch (the C++ libraries of PyTorch) and links .libtorch to it.
# `scripts/setup.sh --help` describes its use. Written for bash 3.2, the version of macOS.
# Tested on x86-64 Linux. Not tested on arm64 Linux and macOS; their wheels were inspected.
set -euo pipefail
unset CDPATH

VERSION=2.11.0 # the only libtorch version that tch 0.24.0 supports

say() { echo "setup: $*" >&2; }
die() { say "$1"; shift; for line in "$@"; do echo "       $line" >&2; done; exit 1; }

usage() {
    cat <<END
Usage: scripts/setup.sh [--cpu | --cuda]

Links .libtorch to libtorch $VERSION, so that plain cargo commands work. It uses the first of
  1. the folder in LIBTORCH, if it is set
  2. the PyTorch $VERSION that python3 can import, if any
  3. the torch $VERSION wheel, which pip downloads into a folder that all clones share

  --cpu    without CUDA (0.5 GB); the default without an NVIDIA driver
  --cuda   with CUDA (2.6 GB); the default with an NVIDIA driver

Environment:
  LIBTORCH       your own libtorch $VERSION: the folder with include/ and lib/
  EMOVOX_CACHE   folder for the libraries (default: ~/.local/share/emovox, or emovox in XDG_DATA_HOME)
END
}

# ---- arguments and tools ---------------------------------------------------------------------

asked=
for argument in "$@"; do
    case $argument in
    --cpu | --cuda) asked=${argument#--} ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && die "unknown argument: $argument" ;;
    esac
done

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
link=$root/.libtorch
home=${HOME:-$(unset HOME && echo ~)} # without HOME, bash finds the home folder of the user
os=$(uname -s)
machine=$(uname -m)
so=so
[ "$os" != Darwin ] || so=dylib
[ "$os $asked" != "Darwin cuda" ] || die "there is no CUDA on macOS; run: scripts/setup.sh"

# /proc/driver/nvidia does not prove access: a container without access to the GPU may have it too.
has_nvidia_driver() {
    command -v nvidia-smi >/dev/null ||
        { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true; } |
        grep -v /compat/ | grep 'libcuda\.so\.1 ' >/dev/null # not grep -q, which would break the pipe
}
want=${asked:-cpu}
[ -n "$asked" ] || ! has_nvidia_driver || want=cuda

if ! command -v cargo >/dev/null; then
    fix='install it with https://rustup.rs'
    [ ! -e "${CARGO_HOME:-$home/.cargo}/env" ] || fix=". \"${CARGO_HOME:-$home/.cargo}/env\""
    die "cargo is not on the PATH. To install Rust or add it to the PATH:" "$fix"
fi
if ! { [ -n "${CXX:-}" ] || command -v c++ || command -v g++ || command -v clang++; } >/dev/null; then
    fix="apt install g++   (Fedora: dnf install gcc-c++)"
    [ "$os" != Darwin ] || fix="xcode-select --install"
    die "a C++ compiler is missing. Install one:" "$fix"
fi

# ---- checking a libtorch folder --------------------------------------------------------------

version_of() { # the version of the libtorch in folder $1
    local headers=$1/include/torch
    if [ -s "$1/build-version" ]; then
        head -n 1 "$1/build-version"
    elif [ -s "$1/version.py" ]; then
        sed -n "s/^__version__ = ['\"]\([^'\"]*\).*/\1/p" "$1/version.py"
    else
        cat "$headers/headeronly/version.h" "$headers/csrc/api/include/torch/version.h" 2>/dev/null |
            awk '$2 ~ /^TORCH_VERSION_(MAJOR|MINOR|PATCH)$/ { v = v dot $3; dot = "." } END { print v }'
    fi
}

problem() { # why the libtorch in folder $1 cannot be used for $2 (cpu or cuda); nothing if it can
    local version file missing
    [ -d "$1" ] || { echo "there is no folder $1" && return; }
    for file in include/torch/csrc/api/include/torch/torch.h lib/libtorch.$so lib/libtorch_cpu.$so lib/libc10.$so; do
        [ -s "$1/$file" ] || { echo "$1 has no $file" && return; }
    done
    version=$(version_of "$1")
    [ "${version%%+*}" = $VERSION ] ||
        { echo "$1 has libtorch ${version:-of unknown version}, but $VERSION is needed" && return; }
    file=$1/lib/libtorch_cpu.$so
    if [ "$2" = cuda ]; then
        file=$1/lib/libtorch_cuda.so
        [ -s "$file" ] || { echo "$1 has no CUDA libraries" && return; }
    fi
    [ "$os" = Linux ] || return 0
    # libcuda.so.1 belongs to the driver.
    missing=$({ ldd "$file" 2>&1 || true; } | grep 'not found' | grep -v 'libcuda\.so' | tr -s '\n\t' ' ' || true)
    [ -z "$missing" ] || echo "$file needs libraries that this system lacks:$missing"
}

finish() { # links .libtorch to folder $1, unless it already does
    local kind=cpu
    [ ! -e "$1/lib/libtorch_cuda.so" ] || kind=cuda
    [ "$1" -ef "$link" ] || ln -sfn "$1" "$link" || ln -sfn "$1" "$link"
    say "libtorch $VERSION ($kind) ready: $1"
    exit 0
}

# ---- 1. LIBTORCH -----------------------------------------------------------------------------

# cargo sets LIBTORCH to .libtorch (.cargo/config.toml), so that value is not a choice of the user.
if [ -n "${LIBTORCH:-}" ] && ! { [ "$(basename "$LIBTORCH")" = .libtorch ] &&
    [ "$(dirname "$LIBTORCH")" -ef "$root" ]; }; then
    why=$(problem "$LIBTORCH" "${asked:-cpu}")
    [ -z "$why" ] || die "LIBTORCH cannot be used: $why." \
        "Set it to a libtorch $VERSION, or let this script find one:" "unset LIBTORCH; scripts/setup.sh"
    [ -L "$link" ] || [ ! -e "$link" ] || [ "$LIBTORCH" -ef "$link" ] ||
        die "$link is a folder, not a link, and is not replaced. Move it away, then run this script again."
    say "using LIBTORCH; .libtorch now links to it, so LIBTORCH need not be set any more"
    finish "$(cd "$LIBTORCH" && pwd)"
fi

# ---- an existing .libtorch -------------------------------------------------------------------

if [ -e "$link" ] && [ ! -L "$link" ]; then
    why=$(problem "$link" "${asked:-cpu}")
    [ -z "$why" ] || die "$link is a folder, not a link, and it cannot be used: $why." \
        "Move it away, then run this script again."
    finish "$link"
elif [ -L "$link" ] && [ -z "$(problem "$link" "$want")" ]; then
    case $asked$(readlink "$link") in
    cpu*-cuda13-*) ;; # the CPU libraries were requested, the CUDA libraries are linked
    *) finish "$(cd "$link" && pwd -P)" ;;
    esac
fi

# ---- 2. an installed PyTorch -----------------------------------------------------------------

installed=$(python3 -c '
import importlib.util, os, sys
sys.path = [folder for folder in sys.path if folder]
torch = importlib.util.find_spec("torch")
print(os.path.dirname(torch.origin) if torch and torch.origin else "")' 2>/dev/null || true)
if [ -n "$installed" ]; then
    why=$(problem "$installed" "$want")
    [ -n "$why" ] || finish "$installed"
    say "not using the installed PyTorch: $why"
fi

# ---- 3. the wheel ----------------------------------------------------------------------------

case "$os $machine" in
"Linux x86_64" | "Linux aarch64") arch=$machine tag=manylinux_2_28 ;;
"Linux arm64") arch=aarch64 tag=manylinux_2_28 ;;
"Darwin arm64") arch=arm64 tag=macosx_11_0 want=cpu ;;
*) die "there is no ready-made libtorch $VERSION for $os on $machine (only Linux on x86-64 or arm64, and macOS on Apple silicon)." \
    "Build PyTorch $VERSION from its sources, then run:" "LIBTORCH=/path/to/torch scripts/setup.sh" ;;
esac

name=libtorch-$VERSION-$want-$arch kilobytes=1300000 size="0.5 GB"
[ "$want" != cuda ] || name=libtorch-$VERSION-cuda13-$arch kilobytes=4500000 size="2.6 GB"
# Earlier versions used the cache folder, which people clear: then built programs cannot start.
earlier=${XDG_CACHE_HOME:-$home/.cache}/emovox/$name/torch
[ -n "${EMOVOX_CACHE:-}" ] || [ -n "$(problem "$earlier" "$want")" ] || finish "$earlier"
cache=${EMOVOX_CACHE:-${XDG_DATA_HOME:-$home/.local/share}/emovox}
{ mkdir -p "$cache" && cache=$(cd "$cache" && pwd) && [ -w "$cache" ]; } 2>/dev/null ||
    die "cannot write to the folder $cache. Choose another:" "EMOVOX_CACHE=/some/folder scripts/setup.sh"
done=$cache/$name
[ -n "$(problem "$done/torch" "$want")" ] || finish "$done/torch"

if [ "$os" = Linux ]; then
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true) # "glibc 2.36"
    glibc=${glibc#glibc }
    { [ "${glibc%%.*}" = 2 ] && [ "${glibc#2.}" -ge 28 ]; } 2>/dev/null ||
        die "libtorch $VERSION needs the GNU C library 2.28 or newer, and this system has ${glibc:-another C library}." \
            "Use a newer system, or build PyTorch $VERSION here and run: LIBTORCH=/path/to/torch scripts/setup.sh"
fi
python3 -c '' 2>/dev/null || die "Python 3 is missing. Install it with its pip:" \
    "apt install python3-pip   (macOS: xcode-select --install)"
pip=$(python3 -m pip --version 2>/dev/null || true) # "pip 24.0 from ..."
pip=${pip#pip }
[ -n "$pip" ] || die "python3 has no pip. Run one of these commands, then this script again:" \
    "python3 -m ensurepip --user" "apt install python3-pip"
[ "${pip%%.*}" -ge 20 ] || die "pip ${pip%% *} is too old. Run this command, then this script again:" \
    "python3 -m pip install --upgrade pip"
free=$(df -Pk "$cache" | awk 'NR == 2 { for (i = 4; i <= NF; i++) if ($i ~ /%$/) { print $(i - 1); exit } }')
[ "${free:-$kilobytes}" -ge $kilobytes ] ||
    die "not enough disk space in $cache: $((free / 1000)) MB free, $((kilobytes / 1000)) MB needed." \
        "Free some space, or choose another disk: EMOVOX_CACHE=/some/folder scripts/setup.sh"

# Each run works in its own folder, which gets its final name in one step when it is complete. So an
# interrupted run leaves nothing that a later run uses, and two runs do not disturb each other.
part=$cache/.part-$(uname -n)-$$
for old in "$cache"/.part-"$(uname -n)"-*; do
    [ ! -d "$old" ] || kill -0 "${old##*-}" 2>/dev/null || rm -rf "$old"
done
rm -rf "$part"
trap 'rm -rf "$part"' EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM
new=$part/new
mkdir -p "$new" "$part/tmp"

quiet=-q
[ ! -t 2 ] || quiet= # on a terminal, pip shows its progress bar

# Downloads the wheel $1 for platform $2, compares its SHA-256 with scripts/libtorch.sha256, and unpacks
# the files that match $3. The Python that runs pip may have any version: the tags request a wheel for
# 3.12, of which only the libraries are used.
fetch() {
    TMPDIR=$part/tmp PIP_REQUIRE_VIRTUALENV=0 python3 -m pip download $quiet --no-deps --no-cache-dir \
        --disable-pip-version-check --only-binary=:all: --implementation cp --python-version 312 \
        --abi cp312 --platform "${2}_$arch" --dest "$part/wheel" "$1" >&2 ||
        die "pip could not download $1 (see its message above). Check the network and pip's settings, then run this script again."
    sum=$(python3 -c '
import hashlib, sys
hash = hashlib.sha256()
with open(sys.argv[1], "rb") as wheel:
    for block in iter(lambda: wheel.read(1 << 20), b""):
        hash.update(block)
print(hash.hexdigest())' "$part"/wheel/*.whl) || die "could not read the wheel of $1. Run this script again."
    local file=${1/==/-}
    grep -q "^$sum  ${file//-/[-_]}-" "$root/scripts/libtorch.sha256" ||
        die "the wheel of $1 is not the one that emovox was tested with: its SHA-256 is $sum," \
            "which is not in scripts/libtorch.sha256. Nothing was unpacked. A package index in pip's settings may" \
            "have another build: try without it, or install PyTorch yourself and set its folder:" \
            "LIBTORCH=/path/to/torch scripts/setup.sh"
    python3 - "$part"/wheel/*.whl "$new" "$3" <<'END' || die "could not unpack $1. Run this script again."
import re, sys, zipfile
wheel, folder, wanted = sys.argv[1:]
with zipfile.ZipFile(wheel) as z:
    for name in z.namelist():
        if re.match("(%s)$" % wanted, name):
            z.extract(name, folder)
END
    rm -rf "$part/wheel"
}

# WSL2 has no /proc/driver/nvidia; nvidia-smi prints a sentence instead of a number if it fails.
driver=$({ nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null || true; } | sed -n '1s/^\([0-9][0-9]*\)\..*/\1/p')
[ "$want" != cuda ] || [ "${driver:-580}" -ge 580 ] ||
    say "note: CUDA 13 needs NVIDIA driver 580 or newer; with driver $driver the GPU is not used"
say "downloading torch $VERSION ($want, about $size, once) into $cache"
cuda_files='nvidia/.*/(lib/[^/]+\.so[^/]*|include/(?!cccl/|cooperative_groups/|cub/|cuda/|nvtx3/|thrust/).*)'
if [ "$want" = cpu ]; then
    fetch torch==$VERSION $tag \
        'torch/include/.*|torch/version\.py|torch/lib/(?!libtorch\.so|.*(cuda|nvrtc|nvshmem|python|shm|global_deps))[^/]+\.(so|dylib)[^/]*'
    # The wheel's libtorch.so only loads libtorch_cpu.so and libtorch_cuda.so.
    [ "$os" != Linux ] || ln -s libtorch_cpu.so "$new/torch/lib/libtorch.so"
    # The Linux wheel is the CUDA build. Its CPU libraries need only these two files of CUDA.
    if [ "$os" = Linux ] && grep -q "cuda.*'13\." "$new/torch/version.py"; then
        fetch nvidia-cuda-runtime==13.0.96 manylinux2014 'nvidia/.*/libcudart\.so\.13'
        fetch nvidia-cuda-cupti==13.0.85 manylinux_2_25 'nvidia/.*/libcupti\.so\.13'
        mv "$new"/nvidia/*/lib/*.so.13 "$new/torch/lib/"
        rm -rf "$new/nvidia"
    fi
else
    # The requirements of the wheel without those that only Python uses, and two packages whose headers
    # the others include (to build NCCL: feature `distributed`).
    fetch torch==$VERSION $tag 'torch/include/.*|torch/version\.py|torch/lib/(?!.*python)[^/]+\.so[^/]*'
    cufile=manylinux2014
    [ "$arch" != aarch64 ] || cufile=manylinux_2_27
    while read -r package platform; do
        fetch "$package" "$platform" "$cuda_files" </dev/null
    done <<END
nvidia-cublas==13.1.0.3 manylinux_2_27
nvidia-cuda-cccl==13.0.85 manylinux2014
nvidia-cuda-crt==13.0.88 manylinux2014
nvidia-cuda-cupti==13.0.85 manylinux_2_25
nvidia-cuda-nvrtc==13.0.88 manylinux2014
nvidia-cuda-runtime==13.0.96 manylinux2014
nvidia-cudnn-cu13==9.19.0.56 manylinux_2_27
nvidia-cufft==12.0.0.61 manylinux2014
nvidia-cufile==1.15.1.6 $cufile
nvidia-curand==10.4.0.35 manylinux_2_27
nvidia-cusolver==12.0.4.66 manylinux_2_27
nvidia-cusparse==12.6.3.3 manylinux2014
nvidia-cusparselt-cu13==0.8.0 manylinux2014
nvidia-nccl-cu13==2.28.9 manylinux_2_18
nvidia-nvjitlink==13.0.88 manylinux2014
nvidia-nvshmem-cu13==3.4.5 manylinux2014
nvidia-nvtx==13.0.85 manylinux2014
END
fi

why=$(problem "$new/torch" "$want")
[ -z "$why" ] || die "the downloaded wheel cannot be used: $why." \
    "If pip's settings have another package index, try without it."
echo $VERSION >"$new/torch/build-version"
[ -z "$(problem "$done/torch" "$want")" ] || [ ! -e "$done" ] || mv "$done" "$part/damaged" || true
sync # so that a power failure does not leave the final name on incomplete files
# Unlike mv, rename never moves into a folder that another run has just created.
python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$new" "$done" 2>/dev/null || true
why=$(problem "$done/torch" "$want")
[ -z "$why" ] || die "could not install the libraries: $why. Run this script again."
finish "$done/torch"
