#!/usr/bin/env bash
# Reads the events of `emovox train --tensorboard` with TensorBoard, and compares every number with
# metrics.csv. Installs TensorBoard into its own virtual environment.
set -euo pipefail
cd "$(dirname "$0")/.."

emovox=$PWD/target/release/emovox
[ -x "$emovox" ] || emovox=$PWD/target/debug/emovox
venv=$PWD/target/tensorboard
[ -x "$venv/bin/tensorboard" ] || {
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet tensorboard 'setuptools<80'
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$emovox" train --arch mean-lstm --epochs 3 --run mine --tensorboard > train.log
"$emovox" train --resume mine --epochs 5 >> train.log
"$venv/bin/python" - <<'PYTHON'
import csv, math
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator("runs/mine")
events.Reload()
tags = {
    "loss/train": "train_loss", "loss/validation": "validation_loss",
    "accuracy/train": "train_accuracy", "accuracy/validation": "validation_accuracy",
    "uar/validation": "validation_uar", "learning_rate": "learning_rate", "seconds": "seconds",
}
assert sorted(events.Tags()["scalars"]) == sorted(tags), events.Tags()
rows = list(csv.DictReader(open("runs/mine/metrics.csv")))
assert len(rows) == 5
for tag, column in tags.items():
    scalars = events.Scalars(tag)
    assert [s.step for s in scalars] == [1, 2, 3, 4, 5], scalars
    times = [s.wall_time for s in scalars]
    assert times == sorted(times)
    for scalar, row in zip(scalars, rows):
        assert math.isclose(scalar.value, float(row[column]), rel_tol=1e-6), (tag, scalar, row)
notes = events.Tensors("notes")[0].tensor_proto.string_val
assert list(notes) == [b"synthetic demo corpus"], notes
print("TensorBoard read", sum(len(events.Scalars(tag)) for tag in tags), "values, all as in metrics.csv")
PYTHON
