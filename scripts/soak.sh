#!/usr/bin/env bash
# Measures the delay and the memory of `emovox listen`: ten minutes of synthetic speech in real time, and one
# hour at full speed, with the release build, on one core.
#
#   scripts/soak.sh              both
#   scripts/soak.sh 3600 36000   one hour in real time, ten hours at full speed
set -euo pipefail
cd "$(dirname "$0")/.."

export EMOVOX_SOAK_SECONDS=${1:-600} EMOVOX_SOAK_FAST_SECONDS=${2:-3600}
cargo build --release
EMOVOX=$PWD/target/release/emovox
export EMOVOX
one_core=()
if command -v taskset > /dev/null; then
    one_core=(taskset -c 0)
fi
cargo test --test soak --no-run
for test in listen_at_full_speed listen_in_real_time; do
    "${one_core[@]}" cargo test --test soak -- --ignored --nocapture --exact "$test"
done
