#!/usr/bin/env bash
# Throws broken input at whatever reads a file: recordings, their names, configurations,
# checkpoints. Fails where one of them crashes, hangs (10 s) or takes more than 2 GB.
#
#     scripts/fuzz.sh [SECONDS [TARGET...]]    600 seconds and all targets unless told otherwise
#
# Needs nightly Rust and cargo-fuzz. What a crash needs to be seen again is left in tests/fuzz/artifacts.
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

# No address sanitizer: emovox is safe Rust, where it finds nothing that a panic does not, and
# libtorch was built without it.
fuzz=(--fuzz-dir tests/fuzz --sanitizer none)
# The dependencies that emovox is built with, not the newest ones.
cp Cargo.lock tests/fuzz/Cargo.lock
# In memory where there is such a folder: some targets write each input to a file.
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
for target; do
    # What the fuzzer adds to the seeds stays out of the tree.
    cp -R "tests/fuzz/seeds/$target" "$work/$target"
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
