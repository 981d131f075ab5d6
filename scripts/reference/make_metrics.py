"""Writes tests/data/metrics/*.json: labels and scikit-learn's metrics of them.

Run with a Python that has numpy and scikit-learn:

    python scripts/reference/make_metrics.py
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn import metrics

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "data" / "metrics"
EIGHT = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]


def case(name, classes, truth, predicted):
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    labels = list(range(len(classes)))
    occurring = sorted(set(truth.tolist()) | set(predicted.tolist()))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )

    def average(kind):
        p, r, f, _ = metrics.precision_recall_fscore_support(
            truth, predicted, labels=occurring, average=kind, zero_division=0
        )
        return {"precision": p, "recall": r, "f1": f, "support": len(truth)}

    # Without a correct prediction, scikit-learn 1.9 prints the support as a float ("1.0"), which emovox
    # does not imitate.
    report = None
    if (truth == predicted).any():
        report = metrics.classification_report(
            truth,
            predicted,
            labels=occurring,
            target_names=[classes[label] for label in occurring],
            digits=3,
            zero_division=0,
        )

    record = {
        "made_with": f"scikit-learn {sklearn.__version__}",
        "classes": classes,
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0),
        "per_class": [
            {"precision": p, "recall": r, "f1": f, "support": int(s)}
            for p, r, f, s in zip(precision, recall, f1, support)
        ],
        "macro_avg": average("macro"),
        "weighted_avg": average("weighted"),
        "confusion": metrics.confusion_matrix(truth, predicted, labels=labels).tolist(),
        "report": report,
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(record) + "\n")


def noisy(rng, truth, classes, hit_rate):
    """Predictions that are right with probability hit_rate and otherwise uniform."""
    guess = rng.integers(0, classes, len(truth))
    return np.where(rng.random(len(truth)) < hit_rate, truth, guess)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20)

    truth = np.repeat(np.arange(8), 24)
    case("balanced_eight", EIGHT, truth, noisy(rng, truth, 8, 0.6))

    truth = np.repeat(np.arange(8), [3, 7, 127, 46, 62, 69, 71, 1])
    case("unbalanced_eight", EIGHT, truth, noisy(rng, truth, 8, 0.4))

    truth = rng.integers(0, 2, 101)
    case("two", ["calm", "angry"], truth, noisy(rng, truth, 2, 0.7))

    # Sixteenths: scores that lie exactly between two printed decimals.
    truth = np.repeat(np.arange(2), 16)
    predicted = np.r_[np.zeros(5), np.ones(11), np.zeros(15), np.ones(1)].astype(int)
    case("ties_in_print", ["calm", "angry"], truth, predicted)

    truth = rng.choice([0, 1, 3, 4], 80)
    predicted = noisy(rng, truth, 5, 0.5)
    case("class_missing_in_truth", EIGHT[:5], truth, predicted)

    truth = rng.integers(0, 5, 80)
    predicted = noisy(rng, truth, 5, 0.5)
    predicted[predicted == 2] = 4
    case("class_never_predicted", EIGHT[:5], truth, predicted)

    truth = rng.choice([0, 2, 3], 60)
    predicted = rng.choice([0, 2, 3], 60)
    case("class_in_neither", EIGHT[:4], truth, predicted)

    case("single_clip_right", EIGHT[:3], [1], [1])
    case("single_clip_wrong", EIGHT[:3], [1], [2])

    names = ["a class with a rather long name", "naïve", "x"]
    truth = rng.integers(0, 3, 30)
    case("long_names", names, truth, noisy(rng, truth, 3, 0.5))


if __name__ == "__main__":
    main()
