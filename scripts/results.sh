#!/usr/bin/env bash
# Computes the tables of results (README.md, docs/results.md): cross-validates both architectures, and
# prints mean ± standard deviation over the seeds. Finished trainings are not repeated, so an interrupted
# script continues when it is started again. On two cores it takes hours.
#
#     scripts/results.sh data/ravdess data/emodb
set -euo pipefail

[ $# = 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
ravdess=$1 emodb=$2
emovox=${EMOVOX:-target/release/emovox}
runs=${RUNS:-runs/results}

row() { # name, corpus folder, flags of the cross-validation
    local name=$1 data=$2
    shift 2
    "$emovox" cross-validate --data "$data" --runs-dir "$runs" --name "$name" "$@" >&2
    python3 - "$*" "$runs/$name/report.json" <<'END'
import json, sys
flags, path = sys.argv[1:]
report = json.load(open(path))
def figure(key):
    spread = report["pooled"][key]
    deviation = spread["deviation"]
    return f"{100 * spread['mean']:.1f}" + (f" ± {100 * deviation:.1f}" if deviation is not None else "")
low, high = (100 * report["intervals"]["uar"][end] for end in ("low", "high"))
print(f"| {report['corpus']} | `{flags}` | {figure('accuracy')} | {figure('uar')} | "
      f"{figure('macro_f1')} | {low:.1f} – {high:.1f} |")
END
}

echo "| corpus | flags | accuracy | UAR | macro-F1 | UAR, 95 % over speakers |"
echo "|---|---|---|---|---|---|"
row ravdess-bilstm "$ravdess" --folds 5 --seeds 1,2,3
row ravdess-seed "$ravdess" --folds 5 --seeds 1,2,3 --arch seed
row emodb-bilstm "$emodb" --folds loso --seeds 1,2,3
row emodb-seed "$emodb" --folds loso --seeds 1,2,3 --arch seed
