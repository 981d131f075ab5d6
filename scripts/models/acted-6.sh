#!/usr/bin/env bash
# Trains the built-in model acted-6, measures it, and writes it to data/models/acted-6.emovox. The numbers
# of data/models/acted-6.md are its output.
#
#     scripts/models/acted-6.sh data/crema-d data/emodb [NAME=FOLDER of a corpus it has never seen …]
#
# `emovox corpus fetch crema-d` and `emovox corpus fetch emodb` download the recordings. The training takes
# about half an hour on two cores.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
crema=$1 emodb=$2
shift 2
emovox=${EMOVOX:-target/release/emovox}
runs=${RUNS:-runs/models}
labels=anger,disgust,fear,happiness,neutral,sadness

if [ ! -e "$runs/acted-6/report.json" ]; then
    "$emovox" train --data crema-d="$crema" --data emodb="$emodb" --labels "$labels" \
        --config scripts/models/acted-6.toml --runs-dir "$runs" --run acted-6
fi
bundle=data/models/acted-6.emovox
"$emovox" export acted-6 --runs-dir "$runs" --half --force --out "$bundle"
# Its own recordings are below the deepest folder that has both corpora.
common=$(realpath "$crema")
until [[ $common == / || $(realpath "$emodb")/ == "$common"/* ]]; do common=$(dirname "$common"); done
"$emovox" evaluate "$bundle" --data "$common"
"$emovox" stress "$bundle" --data "$common" --out "$runs/acted-6-stress"
for corpus; do
    "$emovox" evaluate "$bundle" --data "${corpus#*=}"
    "$emovox" evaluate "$bundle" --data "${corpus#*=}" --adapt speaker
done
