"""Starts a server on a free port of 127.0.0.1, measures the memory of all its processes, and stops it."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_SECONDS = 120
STOP_SECONDS = 60


@dataclass
class Memory:
    """Megabytes of all processes of a server. `pss` counts a page that several processes share once; `own` is
    anonymous memory, without the pages of libraries."""
    rss: float
    pss: float
    own: float


class Server:
    """A running server. `async` code only needs its `port`."""

    def __init__(self, name, command, port, environment=None, log=None):
        self.name, self.port = name, port
        self.log = open(log, "ab") if log else subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env=dict(os.environ) | (environment or {}))

    def __enter__(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None:
                sys.exit(f"{self.name} stopped at its start, with exit code {self.process.returncode}")
            if time.monotonic() > deadline:
                self.stop()
                sys.exit(f"{self.name} did not answer within {START_SECONDS} s")
            time.sleep(0.05)
        return self

    def __exit__(self, *error):
        self.stop()

    def get(self, target):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{target}", timeout=10) as answer:
            return answer.read().decode()

    def answers(self):
        try:
            return bool(json.loads(self.get("/healthz")))
        except (OSError, ValueError):
            return False

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        """Sends SIGTERM and waits. Returns the exit code."""
        if self.is_alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for process in family(self.process.pid):
                os.kill(process, signal.SIGKILL)
            code = self.process.wait()
        if self.log is not subprocess.DEVNULL:
            self.log.close()
        return code

    def processor_seconds(self):
        """Processor time of all processes so far."""
        ticks = 0
        for process in family(self.process.pid):
            try:
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        total = Memory(0, 0, 0)
        for process in family(self.process.pid):
            try:
                text = Path(f"/proc/{process}/smaps_rollup").read_text()
            except OSError:
                continue
            value = {line.split()[0]: int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines()[1:]}
            total.rss += value["Rss:"]
            total.pss += value["Pss:"]
            total.own += value["Anonymous:"]
        return total


def family(process):
    """A process and all its descendants."""
    found = [process]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                pass
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def emovox(program, *flags, log=None):
    port = free_port()
    return Server("emovox", [program, "serve", "--address", f"127.0.0.1:{port}", *flags], port, log=log)


def peer(python, model, workers, log=None):
    port = free_port()
    command = [python, "-m", "uvicorn", "peer:app", "--app-dir", str(HERE), "--workers", str(workers),
               "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    return Server("peer", command, port, {"PEER_MODEL": model, "OMP_NUM_THREADS": "1"}, log=log)
