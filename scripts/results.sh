#!/usr/bin/env bash
# Computes the tables of results (README.md, docs/results.md): cross-validates both architectures, prints
# mean ± standard deviation over the seeds, and repeats the test of seed 1 with disturbances. Finished
# trainings are not repeated, so an interrupted script continues when it is started again. On two cores it
# takes hours.
#
#     scripts/results.sh data/ravdess data/emodb
set -euo pipefail

[ $# = 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
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

stress() { # name: the test subsets of its folds with seed 1 and disturbances, the mean over the folds
    local name=$1 run
    for run in "$runs/$name"/fold-*-seed-1; do
        "$emovox" stress "$run" >&2
    done
    python3 - "$runs/$name" <<'END'
import glob, json, os, sys
folds = [json.load(open(path)) for path in glob.glob(sys.argv[1] + "/fold-*-seed-1/stress.json")]
def mean(values):
    values = list(values)
    return sum(values) / len(values)
def change(name):
    rows = [row for fold in folds for row in fold["disturbances"] if row["name"] == name]
    return f"{100 * mean(row['uar_change'] for row in rows):+.1f}"
names = ["white noise 20 dB", "babble 20 dB", "telephone", "room 0.4 s"]
print(f"| {os.path.basename(sys.argv[1])} | {mean(fold['passed'] for fold in folds):.1f} of {folds[0]['checks']} | "
      + " | ".join(change(name) for name in names) + " |")
END
}

echo "| corpus | flags | accuracy | UAR | macro-F1 | UAR, 95 % over speakers |"
echo "|---|---|---|---|---|---|"
row ravdess-bilstm "$ravdess" --folds 5 --seeds 1,2,3
row ravdess-mean-lstm "$ravdess" --folds 5 --seeds 1,2,3 --arch mean-lstm
row emodb-bilstm "$emodb" --folds loso --seeds 1,2,3 --epochs 300
row emodb-mean-lstm "$emodb" --folds loso --seeds 1,2,3 --arch mean-lstm

echo
echo "| row | checks passed | white noise 20 dB | babble 20 dB | telephone | room 0.4 s |"
echo "|---|---|---|---|---|---|"
stress ravdess-bilstm
stress ravdess-mean-lstm
stress emodb-bilstm
stress emodb-mean-lstm
