#!/usr/bin/env bash
# Attacks emovox without a time limit: signals and kills during trainings, hostile files, links and locks,
# memory limits, slow servers. Each script in scripts/attack covers one subject, prints one line per attack,
# and fails if emovox loses a training, overwrites a foreign file, or is ended by a signal.
# `cargo test` has quick versions of these attacks.
#
#     scripts/attack.sh [SUBJECT…]        all subjects, or the given ones: files, signals, …
#
# EMOVOX names the program (default: target/release/emovox, which is built first).
set -uo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
-*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
if [ -z "${EMOVOX:-}" ]; then
    cargo build --release || exit 1
    EMOVOX=$PWD/target/release/emovox
fi
EMOVOX=$(realpath "$EMOVOX") || exit 1
export EMOVOX

subjects=("$@")
[ $# -gt 0 ] || subjects=($(basename -s .sh scripts/attack/*.sh))
failed=()
for subject in "${subjects[@]}"; do
    [ -x "scripts/attack/$subject.sh" ] || {
        echo "attack.sh: there is no subject '$subject'; there are: $(basename -s .sh scripts/attack/*.sh | xargs)" >&2
        exit 2
    }
    echo "== $subject"
    "scripts/attack/$subject.sh" || failed+=("$subject")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    exit 1
fi
echo "passed: ${subjects[*]}"
