#!/usr/bin/env bash
# How late are the answers of a live ear, and does its memory stay flat? Ten minutes of synthetic talk at
# the speed of speech and an hour of it as fast as it goes, through the release build, on one core.
#
#   scripts/soak.sh              both
#   scripts/soak.sh 3600 36000   an hour at the speed of speech, ten as fast as it goes
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
for test in as_fast_as_it_goes at_the_speed_of_speech; do
    "${one_core[@]}" cargo test --test soak -- --ignored --nocapture --exact "$test"
done
