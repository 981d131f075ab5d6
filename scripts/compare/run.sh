#!/usr/bin/env bash
# Runs emovox and common alternatives (librosa, Keras, torchaudio, PyTorch) on the same recordings with the
# same work, one after the other, in several rounds, and prints a table of medians and ratios.
#
#     scripts/compare/run.sh data/ravdess
#     scripts/compare/run.sh data/ravdess --rounds 3 --only seed-keras,default-padded
#     scripts/compare/run.sh data/ravdess --write docs/performance.md
#
# Any folder of WAV files can be used. The peers are installed once, with pip, into a virtual environment
# (6.6 GB, because torch's Linux wheel includes CUDA). A peer that cannot be installed is skipped with a
# message. --help lists all flags. On two cores, 1200 clips take about a quarter of an hour.
#
# Environment:
#   EMOVOX_CACHE   folder of the environment (default: ~/.cache/emovox)
#   COMPARE_ENV    another folder for it, or your own environment
#   PYTHON         the Python of the environment (default: python3; tested with 3.11)
set -euo pipefail
unset CDPATH

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
say() { echo "compare: $*" >&2; }

case "${1:-}" in
"" | -h | --help) sed -n '2,17s/^# \{0,1\}//p' "$0"; exec "${PYTHON:-python3}" "$here/compare.py" --help ;;
esac

cache=${EMOVOX_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/emovox}
env=${COMPARE_ENV:-$cache/compare}
[ -x "$env/bin/python" ] || { mkdir -p "$(dirname "$env")" && "${PYTHON:-python3}" -m venv "$env"; }

peer() { # NAME PACKAGE…: installs packages that the environment lacks
    local name=$1
    shift
    "$env/bin/python" - "$@" <<'END' && return
import sys
from importlib.metadata import PackageNotFoundError, version
for wanted in sys.argv[1:]:
    name, _, number = wanted.partition("==")
    try:
        if version(name).split("+")[0] != number:
            sys.exit(1)
    except PackageNotFoundError:
        sys.exit(1)
END
    say "installing $name"
    "$env/bin/python" -m pip install -q --disable-pip-version-check --no-cache-dir "$@" >&2 ||
        say "$name could not be installed (see pip's message above); its rows are skipped"
}
peer "PyTorch and torchaudio" torch==2.11.0 torchaudio==2.11.0 numpy==2.4.6 soundfile==0.14.0
peer "torchcodec, the reader of torchaudio" torchcodec==0.11.1
peer "librosa" librosa==0.11.0 numpy==2.4.6 soundfile==0.14.0 numba==0.68.1
peer "Keras" keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6
peer "matplotlib, for the picture" matplotlib==3.11.2

export PYTHONPYCACHEPREFIX=$env/pycache
say "building emovox"
(cd "$root" && cargo build --release --quiet --bin emovox --example compare)
exec "$env/bin/python" "$here/compare.py" "$@"
