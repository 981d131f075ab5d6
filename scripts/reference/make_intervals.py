"""Writes tests/data/intervals.json: predictions, and the results of numpy, scikit-learn and scipy for
resamples of their speakers, for their probabilities and for other temperatures.

Run with a Python that has numpy, scikit-learn and scipy:

    python scripts/reference/make_intervals.py
"""

import json
import warnings
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import binom
from sklearn import metrics

FILE = Path(__file__).resolve().parents[2] / "tests" / "data" / "intervals.json"
CLASSES = ["anger", "fear", "neutral", "sadness"]
CLIPS = {"anna": 7, "ben": 16, "carla": 1, "dirk": 12, "eva": 10, "finn": 14}

# scikit-learn warns of classes that are predicted and have no clip, as in some resamples.
warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")


def scores(truth, predicted):
    return {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "uar": metrics.balanced_accuracy_score(truth, predicted),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0),
    }


def bins(confidence, right, count=15):
    """The reliability diagram by the definition in the paper: sets of clips between two edges."""
    edges = np.linspace(0, 1, count + 1)
    rows = []
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        rows.append(
            {
                "clips": int(inside.sum()),
                "confidence": confidence[inside].mean() if inside.any() else 0.0,
                "accuracy": right[inside].mean() if inside.any() else 0.0,
            }
        )
    return rows


def calibration(probabilities, truth):
    diagram = bins(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth)
    gaps = [row["clips"] * abs(row["accuracy"] - row["confidence"]) for row in diagram]
    labels = list(range(len(CLASSES)))
    return {
        "ece": sum(gaps) / len(truth),
        "nll": metrics.log_loss(truth, probabilities, labels=labels),
        "brier": metrics.brier_score_loss(truth, probabilities, labels=labels),
        "bins": diagram,
    }


def temperature(rng, clips, hit_rate, scale):
    """Overconfident or underconfident log-probabilities, and the temperature that corrects them."""
    truth = rng.integers(0, 4, clips)
    heard = np.where(rng.random(clips) < hit_rate, truth, rng.integers(0, 4, clips))
    logits = scale * (rng.normal(size=(clips, 4)) + 2 * np.eye(4)[heard])
    rows = np.round(log_softmax(logits, axis=1), 3).astype(np.float32).astype(float)

    def loss(ln_t):
        return -log_softmax(rows / np.exp(ln_t), axis=1)[np.arange(clips), truth].mean()

    found = minimize_scalar(
        loss, bounds=np.log([0.05, 20]), method="bounded", options={"xatol": 1e-10}
    )
    best = float(np.exp(found.x))
    return {
        "log_probabilities": np.round(rows, 3).tolist(),
        "truth": truth.tolist(),
        "temperature": best,
        "first_rows_at_it": softmax(rows[:5] / best, axis=1).tolist(),
    }


def main():
    rng = np.random.default_rng(20)
    speakers = np.repeat(list(CLIPS), list(CLIPS.values()))
    # Only ben and finn have clips of sad, so that some resamples have no clip of this class.
    truth = rng.integers(0, 3, len(speakers))
    sad = np.isin(speakers, ["ben", "finn"]) & (rng.random(len(speakers)) < 0.3)
    truth[sad] = 3
    # In 1024ths, which a float holds exactly, so that each row sums to exactly 1.
    sure = rng.dirichlet(np.full(4, 0.4), len(speakers)) + 0.6 * np.eye(4)[truth]
    probabilities = np.array([rng.multinomial(1020, row / row.sum()) + 1 for row in sure]) / 1024
    probabilities[0] = np.eye(4)[truth[0]]
    predicted = probabilities.argmax(axis=1)

    names = list(CLIPS)
    resamples = []
    drawn = [[1] * 6, [0, 0, 0, 0, 6, 0], [2, 0, 2, 1, 1, 0]]
    drawn += [np.bincount(rng.integers(0, 6, 6), minlength=6).tolist() for _ in range(20)]
    for times in drawn:
        heard = np.repeat(np.arange(len(truth)), [times[names.index(s)] for s in speakers])
        resamples.append({"times": times, **scores(truth[heard], predicted[heard])})

    each = []
    for name in names:
        own = speakers == name
        row = scores(truth[own], predicted[own])
        each.append({"speaker": name, "clips": int(own.sum()), **row})

    percentiles = []
    for count in (1, 2, 37, 41, 100):
        values = np.round(rng.normal(0.6, 0.1, count), 4)
        low, high = np.percentile(values, [2.5, 97.5])
        percentiles.append({"values": values.tolist(), "low": low, "high": high})

    seeds = [0.612, 0.634, 0.587]
    record = {
        "made_with": f"numpy {np.__version__}, scikit-learn {sklearn.__version__}, "
        f"scipy {scipy.__version__}",
        "classes": CLASSES,
        "speakers": speakers.tolist(),
        "truth": truth.tolist(),
        "probabilities": probabilities.tolist(),
        "resamples": resamples,
        "each": each,
        "percentiles": percentiles,
        # Sixteen speakers, half of whom are always predicted correctly: the accuracy of a resample is the
        # fraction of these speakers in it.
        "half_of_16": {
            "low": binom.ppf(0.025, 16, 0.5) / 16,
            "high": binom.ppf(0.975, 16, 0.5) / 16,
        },
        "seeds": {"values": seeds, "mean": np.mean(seeds), "deviation": np.std(seeds, ddof=1)},
        "calibration": calibration(probabilities, truth),
        "temperatures": [
            temperature(rng, 60, 0.6, 3.0),
            temperature(rng, 60, 0.9, 0.4),
            temperature(rng, 40, 0.3, 1.0),
        ],
    }
    FILE.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
