#!/usr/bin/env bash
# Runs emovox and what people use today (librosa, Keras, torchaudio, PyTorch) on the same recordings, the
# same work, one after the other in one run, several rounds, and prints a table of medians and ratios.
#
#     scripts/compare/run.sh data/ravdess
#     scripts/compare/run.sh data/ravdess --rounds 3 --only seed-keras,default-padded
#     scripts/compare/run.sh data/ravdess --write docs/performance.md
#
# Any folder of WAVs will do. The peers are installed with pip into an environment of their own, 6.6 GB,
# once (torch's Linux wheel brings CUDA along). A peer that cannot be installed is left out, and said so.
# --help tells the rest. On two cores, 1200 clips take about a quarter of an hour.
#
# Environment:
#   EMOVOX_CACHE   where the environment is kept (default: ~/.cache/emovox)
#   COMPARE_ENV    another place for it, or an environment of your own
#   PYTHON         the Python to make it with (default: python3; 3.11 was tried)
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

peer() { # name, then its packages: installed unless the environment has them already
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
        say "$name could not be installed (pip's message is above); its rows are left out"
}
peer "PyTorch and torchaudio" torch==2.11.0 torchaudio==2.11.0 numpy==2.4.6 soundfile==0.14.0
peer "torchcodec, by which torchaudio reads" torchcodec==0.11.1
peer "librosa" librosa==0.11.0 numpy==2.4.6 soundfile==0.14.0 numba==0.68.1
peer "Keras" keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6
peer "matplotlib, for the picture" matplotlib==3.11.2

export PYTHONPYCACHEPREFIX=$env/pycache
say "building emovox"
(cd "$root" && cargo build --release --quiet --bin emovox --example compare)
exec "$env/bin/python" "$here/compare.py" "$@"
