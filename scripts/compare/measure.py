"""Runs one process and measures its time and memory.

This module imports no large module, because on Linux a child's peak memory starts from that of its parent."""
import contextlib
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

# RAYON_NUM_THREADS is for the example program `compare`, which has no --threads. On Linux its affinity is enough.
ONE_THREAD = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
              "RAYON_NUM_THREADS"]

#: Least number of epochs on a GPU, so that the last checkpoint of emovox, which is measured too, hardly counts.
GPU_EPOCHS = 20


class Failed(Exception):
    pass


def run(command, one_core=False, log=None):
    """Wall time, peak memory, time of the first epoch's line, and the values of the last line, if it is JSON."""
    environment = dict(os.environ)
    prepare = None
    if one_core:
        environment |= dict.fromkeys(ONE_THREAD, "1")
        if hasattr(os, "sched_setaffinity"):
            core = max(os.sched_getaffinity(0))
            prepare = lambda: os.sched_setaffinity(0, {core})
    with open(log or os.devnull, "w+") as errors:
        started = time.perf_counter()
        try:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                                     env=environment, preexec_fn=prepare)
        except OSError as error:
            raise Failed(str(error)) from None
        result = {}
        lines = []
        for line in child.stdout:
            if line.startswith("epoch"):
                now = time.perf_counter() - started
                result.setdefault("first", now)
                result.setdefault("times", []).append(now)
            lines.append(line.rstrip("\n"))
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        result["wall"] = time.perf_counter() - started
        if child.returncode != 0:
            errors.seek(0)
            messages = errors.read().strip().splitlines()
            raise Failed(messages[-1] if messages else f"exit code {child.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    result["memory"] = usage.ru_maxrss * unit / 1e6
    result["lines"] = lines
    if lines and lines[-1].startswith("{"):
        result |= json.loads(lines[-1])
    return result


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@contextlib.contextmanager
def busy(loops):
    """Other processes that use as many cores as there are loops."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def contender(contender, places, log):
    """A contender's run, with an average of its epochs except the first, in which peers are set up. The epochs
    of emovox are measured from one line to the next, which includes all work between them. The average is the
    median. On a GPU it is the mean, because there emovox saves and prints short epochs together: the time
    between two lines can be 0, but all of them together are the time from the first epoch to the last."""
    folder = f"{places['work']}/rounds/{places['run']}"
    shutil.rmtree(folder, ignore_errors=True)
    command = []
    if contender.cuda:
        places = places | {"epochs": str(max(int(places["epochs"]), GPU_EPOCHS))}
    for word in contender.command:
        command += places["classes"] if word == "{classes}" else [word.format(**places)]
    result = run(command, contender.one_core, log)
    if contender.run:
        with open(f"{folder}/metrics.csv", newline="") as table:
            first = float(next(csv.DictReader(table))["seconds"])
        times = result["times"]
        result["epochs"] = [first] + [after - before for before, after in zip(times, times[1:])]
    if "epochs" in result:
        average = statistics.mean if contender.cuda else statistics.median
        result["epoch"] = average(result["epochs"][1:] or result["epochs"])
    if "first" in result and "epochs" in result:
        result["begins"] = result["first"] - result["epochs"][0]
    return result
