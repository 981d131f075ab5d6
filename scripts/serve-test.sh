#!/usr/bin/env bash
# Measures `emovox serve` on 127.0.0.1, and beside it a server with FastAPI, torchaudio and PyTorch that has the
# same weights: requests a second and latencies with 1, 8 and 64 clients, memory over 100 000 requests, the delay
# of live streams, and valid requests among a minute of malformed ones. Prints a table; writes it with the single
# measurements to target/serve.
#
#     scripts/serve-test.sh                          everything, an hour
#     scripts/serve-test.sh --short                  everything in less than a minute, without the peer
#     scripts/serve-test.sh --only load --rounds 5
#     scripts/serve-test.sh --only streams --streams 40 --minutes 5
#     scripts/serve-test.sh --write docs/serve.md
#
# It fails if an answer is wrong, if a server stops or panics, or if memory grows by more than 5 %. It does not fail
# if a speed misses its goal; the table marks that. The clients need only Python 3. The peer is installed once, with
# pip, into a virtual environment (4.4 GB, because torch's Linux wheel includes CUDA).
#
# Environment:
#   EMOVOX         a built emovox (default: builds target/release/emovox)
#   EMOVOX_CACHE   folder of the environment (default: ~/.cache/emovox)
#   SERVE_ENV      another folder for it, or your own environment
#   PYTHON         the Python of the environment (default: python3; tested with 3.11)
set -euo pipefail
unset CDPATH

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/.." && pwd -P)
python=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1

case " $* " in
*" -h "* | *" --help "*) sed -n '2,23s/^# \{0,1\}//p' "$0"; exec "$python" "$here/serve/measure.py" --help ;;
esac

if [ -z "${EMOVOX:-}" ]; then
    (cd "$root" && cargo build --release --quiet --bin emovox)
    EMOVOX=$root/target/release/emovox
fi
[ -x "$EMOVOX" ] || { echo "serve-test: there is no program $EMOVOX; EMOVOX names it" >&2; exit 2; }
EMOVOX=$(readlink -f "$EMOVOX")
export EMOVOX

case " $* " in
*" --short "*) ;;
*)
    env=${SERVE_ENV:-${EMOVOX_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/emovox}/serve}
    # An installation that was interrupted is repeated; an environment of the user is used as it is.
    if [ ! -x "$env/bin/python" ] || [ -e "$env/unfinished" ]; then
        echo "serve-test: installing the peer into $env" >&2
        mkdir -p "$env" && touch "$env/unfinished" && "$python" -m venv "$env"
        "$env/bin/python" -m pip install -q --disable-pip-version-check --no-cache-dir -r "$here/serve/peer.txt"
        rm "$env/unfinished"
    fi
    export PEER_PYTHON=$env/bin/python
    ;;
esac
exec "$python" "$here/serve/measure.py" "$@"
