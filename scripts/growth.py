#!/usr/bin/env python3
"""Measures the growth of time and memory with the corpus: 1, 4, 16, … times 1200 clips.

    cargo build --release && scripts/growth.py --sizes 1,4,16 --out growth

Makes a corpus of each size from the demo corpus (3 s a clip, all different), trains on it for one epoch
with an empty cache, and for one and for two epochs with cached features, and removes it. The time of an
epoch is the difference of the last two trainings, so it excludes the start and oneDNN's one-time setup. On
the largest corpus it trains once more with limited memory (RLIMIT_DATA; memory that is mapped from the
cache does not count, because the system can release it). Times are processor times of one thread. Writes
OUT.csv, and OUT.png if Python has matplotlib. Needs about 180 KB of disk for each clip: 4 GB for size 16,
14 GB for size 64. For Linux.
"""

import argparse
import csv
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import wave
from pathlib import Path

BASE = 1200
SECONDS = 3
RATE = 16_000
ROOT = Path(__file__).resolve().parent.parent
EMOVOX = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/emovox"


def demo(folder):
    """The bytes of the demo corpus' clips, one after the other."""
    subprocess.run(
        [EMOVOX, "doctor", "--data", "demo"], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    sound = bytearray()
    for file in sorted(Path(folder, "data/demo").rglob("*.wav")):
        with wave.open(str(file)) as reader:
            sound += reader.readframes(reader.getnframes())
    return bytes(sound)


def make(folder, clips, sound):
    """Writes CLASS/SPEAKER/clip.wav: sections of the demo corpus, each from a different position."""
    length = 2 * RATE * SECONDS
    for clip in range(clips):
        place = Path(folder, f"class-{clip % 6}", f"speaker-{clip // 6 % 20:02}")
        place.mkdir(parents=True, exist_ok=True)
        start = 2 * (clip * 7919 % ((len(sound) - length) // 2))
        with wave.open(str(place / f"{clip:06}.wav"), "wb") as writer:
            writer.setparams((1, 2, RATE, 0, "NONE", ""))
            writer.writeframes(sound[start : start + length])


def train(folder, corpus, run, copies, epochs=1, limit=None):
    """Trains. Returns the processor seconds until the model is built and of the whole process, and the peak
    of the anonymous memory in megabytes."""
    command = [EMOVOX, "train", "--data", corpus, "--corpus", "folders", "--epochs", str(epochs)]
    command += ["--device", "cpu", "--threads", "1", "--run", run, "--cache", "kept", "--config", "growth.toml"]
    Path(folder, "growth.toml").write_text(f"[training.disturbance]\ncopies = {copies}\n")

    def limited():
        if limit:
            resource.setrlimit(resource.RLIMIT_DATA, (limit << 20, limit << 20))

    errors = tempfile.TemporaryFile("w+")
    before = ended_processes()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True, preexec_fn=limited
    )
    most = [0]
    watcher = threading.Thread(target=watch, args=(process, most))
    watcher.start()
    for line in process.stdout:
        if line.startswith("model "):
            features = processor_time(process.pid)
    watcher.join()
    if process.returncode:
        errors.seek(0)
        sys.exit(f"{run} failed:\n{errors.read()}")
    return {"features": features, "whole": ended_processes() - before, "own_mb": most[0] / 1024}


def processor_time(pid):
    """Processor seconds of a process, which do not depend on other load."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ended_processes():
    """Processor seconds of all processes that this script started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def watch(process, most):
    """Records the peak of the anonymous memory of a process, in kilobytes."""
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            continue
        found = re.search(r"RssAnon:\s+(\d+)", status)
        most[0] = max(most[0], int(found[1]) if found else 0)
        time.sleep(0.05)


def kept(folder):
    return sum(file.stat().st_size for file in Path(folder, "kept").rglob("*.shard")) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", default="1,4,16", help="times 1200 clips")
    parser.add_argument(
        "--copies", type=int, default=0, help="disturbed copies of each recording (time: rest_ms_a_clip)"
    )
    parser.add_argument("--out", default="growth", help="path of OUT.csv and OUT.png")
    parser.add_argument("--limit", type=int, default=700, help="memory limit of the last training, in MB")
    parser.add_argument("--work", default=None, help="folder for the temporary corpora")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        sound = demo(folder)
        for size in sizes:
            corpus = Path(folder, "corpus")
            clips = size * BASE
            make(corpus, clips, sound)
            first = train(folder, corpus, f"{size}-first", arguments.copies)
            second = train(folder, corpus, f"{size}-second", arguments.copies)
            two_epochs = train(folder, corpus, f"{size}-two-epochs", arguments.copies, epochs=2)
            epoch = two_epochs["whole"] - second["whole"]
            row = {
                "clips": clips,
                "features_mb": kept(folder),
                "first_ms_a_clip": 1000 * (first["features"] - second["features"]) / clips,
                "kept_ms_a_clip": 1000 * second["features"] / clips,
                "epoch_ms_a_clip": 1000 * epoch / clips,
                # Disturbed copies, oneDNN's one-time setup, and the scoring of the test subset.
                "rest_ms_a_clip": 1000 * (second["whole"] - second["features"] - epoch) / clips,
                "own_mb_first": first["own_mb"],
                "own_mb_kept": second["own_mb"],
                "limit_mb": "",
                "own_mb_limited": "",
            }
            if size == sizes[-1]:
                limited = train(folder, corpus, f"{size}-limited", arguments.copies, limit=arguments.limit)
                row["limit_mb"], row["own_mb_limited"] = arguments.limit, limited["own_mb"]
            rows.append({key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()})
            print(rows[-1], flush=True)
            shutil.rmtree(corpus)
            shutil.rmtree(Path(folder, "kept"))
    with open(f"{arguments.out}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    plot(rows, arguments.out)


def plot(rows, out):
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return print("no picture: this Python has no matplotlib")
    clips = [row["clips"] for row in rows]
    figure, (time_axis, memory_axis) = pyplot.subplots(1, 2, figsize=(10, 4))
    time_axis.plot(clips, [row["first_ms_a_clip"] for row in rows], "o-", label="features, first time")
    time_axis.plot(clips, [row["epoch_ms_a_clip"] for row in rows], "o-", label="one epoch")
    time_axis.set_ylabel("milliseconds of one core a clip")
    memory_axis.plot(clips, [row["features_mb"] for row in rows], "o-", label="features, on the disk")
    memory_axis.plot(clips, [row["own_mb_kept"] for row in rows], "o-", label="memory of its own")
    memory_axis.set_ylabel("MB")
    memory_axis.set_yscale("log")
    for axis in (time_axis, memory_axis):
        axis.set_xscale("log", base=2)
        axis.set_xticks(clips, clips)
        axis.set_xlabel("clips of 3 s")
        axis.legend()
    time_axis.set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(f"{out}.png", dpi=120)


if __name__ == "__main__":
    main()
