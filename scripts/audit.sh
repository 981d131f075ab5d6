#!/usr/bin/env bash
# Checks the dependencies: licences, sources, crates in two versions (deny.toml lists the exceptions), yanked
# crates, and known vulnerabilities if their database can be downloaded. The rules are in deny.toml.
# Needs cargo-deny.
#
#     scripts/audit.sh
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
if ! cargo deny --version >/dev/null 2>&1; then
    echo "audit: cargo-deny is missing; install it with: cargo install cargo-deny --locked" >&2
    exit 2
fi

cargo deny --locked check --hide-inclusion-graph licenses bans sources

# cargo reports the yanked crates of Cargo.lock when it packages a crate.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo package --locked --no-verify --allow-dirty --target-dir "$work" 2>"$work/log" ||
    { cat "$work/log" >&2; exit 1; }
if grep yanked "$work/log" >&2; then
    exit 1
fi
echo "no yanked crate"

if cargo deny --locked fetch db >"$work/log" 2>&1; then
    cargo deny --locked check --hide-inclusion-graph advisories
else
    echo "audit: SKIPPED: known vulnerabilities, because their database could not be downloaded:" >&2
    tail -n 3 "$work/log" >&2
fi
