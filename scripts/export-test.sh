#!/usr/bin/env bash
# Compares the files of `emovox export` with emovox: TorchScript and the module of docs/export.md in PyTorch,
# and ONNX in ONNX Runtime, must give the probabilities of `emovox predict` within 1e-5.
#
#     scripts/export-test.sh
#
# Trains three small runs on the demo corpus, in one or two minutes, in a temporary folder. PyTorch and the
# other packages are installed once, with pip, into a virtual environment (6 GB, because torch's Linux wheel
# includes CUDA).
#
# Environment:
#   EMOVOX         a built emovox (default: builds target/release/emovox)
#   EXPORT_ENV     your own environment with torch, numpy, safetensors, onnx and onnxruntime
#   EMOVOX_CACHE   folder of the environment (default: ~/.cache/emovox)
#   PYTHON         the Python of the environment (default: python3; tested with 3.11)
set -euo pipefail
unset CDPATH

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/.." && pwd -P)
say() { echo "export-test: $*" >&2; }

case "${1:-}" in
"") ;;
*) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

env=${EXPORT_ENV:-${EMOVOX_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/emovox}/export}
# An installation that was interrupted is repeated; an environment of the user is used as it is.
if [ ! -x "$env/bin/python" ] || [ -e "$env/unfinished" ]; then
    say "making $env"
    mkdir -p "$env" && touch "$env/unfinished" && "${PYTHON:-python3}" -m venv "$env"
    "$env/bin/python" -m pip install -q --disable-pip-version-check --no-cache-dir \
        torch==2.11.0 numpy==2.4.6 safetensors==0.8.0 onnx==1.23.2 onnxruntime==1.32.0
    rm "$env/unfinished"
fi
emovox=${EMOVOX:-$root/target/release/emovox}
[ -n "${EMOVOX:-}" ] || (cd "$root" && cargo build --release --quiet --bin emovox)
[ -x "$emovox" ] || { say "there is no program $emovox; EMOVOX names it"; exit 2; }
emovox=$(readlink -f "$emovox")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
say "training three small runs"
printf '[model]\narch = "bilstm"\nmembers = 1\nlayers = 2\nstack = 3\nstatistics = false\n[inference]\nvocal_tracts = []\n' >one.toml
"$emovox" train --epochs 2 --run committee >/dev/null
"$emovox" train --epochs 2 --config one.toml --run one >/dev/null
"$emovox" train --epochs 2 --arch mean-lstm --run seed >/dev/null
export PYTHONDONTWRITEBYTECODE=1
for run in committee one seed; do
    "$env/bin/python" "$here/export/check.py" "$emovox" "$run" "$root/docs/export.md"
done
