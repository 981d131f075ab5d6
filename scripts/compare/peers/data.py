"""The data of the peers' trainings: the run's split.csv, and its features as cached .npy files."""
import csv

import numpy as np


def load(run, features):
    """(clips, labels) of the training and the validation subset, and the classes, sorted as in emovox."""
    rows = list(csv.DictReader(open(f"{run}/split.csv", newline="")))
    classes = sorted({row["label"] for row in rows})
    parts = {"train": ([], []), "validation": ([], [])}
    for row in rows:
        if row["part"] in parts:
            clips, labels = parts[row["part"]]
            clips.append(np.load(f"{features}/{row['clip'].rsplit('.', 1)[0]}.npy"))
            labels.append(classes.index(row["label"]))
    return parts["train"], parts["validation"], classes


def chosen_epoch(run):
    """The row of metrics.csv for the epoch of best.ot."""
    rows = list(csv.DictReader(open(f"{run}/metrics.csv", newline="")))
    if 'keep = "last"' in open(f"{run}/config.toml").read():
        return rows[-1]
    return max(rows, key=lambda row: (float(row["validation_uar"]), -int(row["epoch"])))
