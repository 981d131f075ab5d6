#!/usr/bin/env bash
# Fuzzes the readers of files: recordings, file names, configurations and checkpoints. Fails if a
# reader crashes, hangs (10 s) or uses more than 2 GB.
#
#     scripts/fuzz.sh [SECONDS [TARGET...]]    default: 600 seconds and all targets
#
# Needs nightly Rust and cargo-fuzz. The inputs of crashes are in tests/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
shift $(($# > 0))
case $seconds in
    '' | *[!0-9]*) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
[ $# -gt 0 ] || set -- wav names config checkpoint

need() { echo "fuzz: $1 is missing; install it with: $2" >&2; exit 2; }
cargo +nightly --version >/dev/null 2>&1 || need "nightly Rust" "rustup toolchain install nightly"
cargo +nightly fuzz --version >/dev/null 2>&1 || need cargo-fuzz "cargo install cargo-fuzz"

# No address sanitizer: in safe Rust it finds nothing that a panic does not report, and libtorch was
# built without it.
fuzz=(--fuzz-dir tests/fuzz --sanitizer none)
# The dependencies of emovox's Cargo.lock, not the newest ones.
cp Cargo.lock tests/fuzz/Cargo.lock
# In memory if possible, because some targets write each input to a file.
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
for target; do
    # The fuzzer's new inputs are kept out of the repository.
    cp -R "tests/fuzz/seeds/$target" "$work/$target"
    if [ "$target" = wav ]; then
        cp tests/data/audio/*-*-* "$work/$target"
    fi
    log=$work/$target.log
    cargo +nightly fuzz build "${fuzz[@]}" "$target" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    outcome="no crash"
    TMPDIR=$work cargo +nightly fuzz run "${fuzz[@]}" "$target" "$work/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        >"$log" 2>&1 || outcome=CRASHED
    statistic() { sed -n "s/^stat::$1: *//p" "$log"; }
    echo "$target: $(statistic number_of_executed_units) executions," \
        "$(statistic peak_rss_mb) MB at most, $outcome"
    if [ "$outcome" != "no crash" ]; then
        failed=1
        tail -n 40 "$log" >&2
    fi
done
exit $failed
