"""Measures `emovox serve`, and a Python server with the same weights; see serve-test.sh."""
import argparse
import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import load
import malformed
import server
import sound
import streams
import table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLIENTS = (1, 8, 64)
#: The largest accepted difference between a probability of emovox and of the peer.
TOLERANCE = 1e-4
#: The goal for the delay of a live prediction, in milliseconds.
DELAY_GOAL = 150
#: Seconds of the recording of the memory test.
MEMORY_CLIP = 0.5
#: The largest accepted growth of the memory.
GROWTH = 1.05


@dataclass
class Measured:
    """One line of load.tsv: one server with one number of clients in one round."""
    round: int
    server: str
    clients: int
    requests: int
    failed: int
    rate: float
    p50: float
    p99: float
    #: Processor time of the server for one request, in milliseconds.
    processor: float
    #: Share of one core that the load generator used.
    client_share: float
    rss: float
    pss: float
    own: float
    #: Load average of the machine when the measurement began.
    machine_load: float


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/serve-test.sh")
    parser.add_argument("--short", action="store_true", help="seconds of everything, without the peer")
    parser.add_argument("--only", default="load,memory,streams,malformed",
                        help="parts [default: load,memory,streams,malformed]")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the load [default: 3]")
    parser.add_argument("--seconds", type=float, default=10, help="of each load and of each round [default: 10]")
    parser.add_argument("--requests", type=int, default=100_000, help="of the memory test [default: 100000]")
    parser.add_argument("--streams", type=int, default=20, help="live streams at once [default: 20]")
    parser.add_argument("--minutes", type=float, default=30, help="of the live streams [default: 30]")
    parser.add_argument("--malformed", type=float, default=60, help="seconds of malformed requests [default: 60]")
    parser.add_argument("--clip", help="a recording to send, at 16 kHz [default: three seconds of a synthetic voice]")
    parser.add_argument("--workers", type=int, default=os.cpu_count(),
                        help="processes of the peer [default: one a core]")
    parser.add_argument("--out", default=str(ROOT / "target/serve"), help="folder of the tables [default: target/serve]")
    parser.add_argument("--write", metavar="DOCUMENT", help="write the table into this document")
    args = parser.parse_args()
    if args.short:
        args.rounds, args.seconds, args.requests = 1, 3, 500
        args.streams, args.minutes, args.malformed = 5, 0.15, 10
    args.only = args.only.split(",")
    args.command = shlex.join(["scripts/serve-test.sh", *sys.argv[1:]])
    return args


class Run:
    """The inputs of all parts, their tables, and the properties that did not hold."""

    def __init__(self, args):
        self.args, self.emovox, self.python = args, os.environ["EMOVOX"], os.environ.get("PEER_PYTHON")
        self.out = Path(args.out).resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.log = str(self.out / "servers.log")
        self.clip_file = Path(args.clip).resolve() if args.clip else self.out / "clip.wav"
        if not args.clip:
            self.clip_file.write_bytes(sound.wav(sound.voice(3)))
        self.clip = self.clip_file.read_bytes()
        self.broken, self.lines, self.notes = [], [], []

    def property(self, holds, text):
        """A property that must hold; otherwise the script fails at its end."""
        say(("ok      " if holds else "FAILED  ") + text)
        if not holds:
            self.broken.append(text)

    def start_emovox(self, *flags):
        return server.emovox(self.emovox, *flags, log=self.log)

    def predictions(self, command):
        found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=self.out)
        return json.loads(found.stdout)

    def stop(self, running):
        self.property(running.is_alive(), f"{running.name} is still running")
        self.property(running.stop() == 0, f"{running.name} ends with exit code 0 after SIGTERM")


def say(text):
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def equals_predict(run):
    """The server's answer is what `emovox predict --json` prints."""
    printed = subprocess.run([run.emovox, "predict", "-", "--json"], input=run.clip, check=True, capture_output=True)
    with run.start_emovox() as running:
        answer = load.first_answer(running.port, run.clip)
    run.property(answer.status == 200 and json.loads(answer.body) == json.loads(printed.stdout),
                 "the answer equals that of `emovox predict --json`")


def agreement(run):
    """The largest difference between the probabilities of emovox and of the peer, for the same recording."""
    ours = run.predictions([run.emovox, "predict", str(run.clip_file), "--json"])[0]["probabilities"]
    theirs = run.predictions([run.python, str(HERE / "peer.py"), run.model, str(run.clip_file)])[0]["probabilities"]
    difference = max(abs(ours[name] - theirs[name]) for name in ours)
    run.property(difference < TOLERANCE, f"the peer computes the same: largest difference {difference:.1e}")
    run.notes.append(f"probabilities of the clip, largest difference between the servers: {difference:.1e}")


def loads(run):
    """Requests a second, latencies and memory of the servers, in alternation."""
    equals_predict(run)
    servers = ["emovox"]
    if run.python:
        subprocess.run([run.emovox, "export", "acted-6", "--format", "torchscript", "--force"], check=True, cwd=run.out,
                       stdout=subprocess.DEVNULL)
        run.model = str(run.out / "acted-6.pt")
        agreement(run)
        servers.append("peer")
    rows = []
    for number in range(run.args.rounds):
        # Every second round is in reverse order, so that the order has no effect.
        for name in servers if number % 2 == 0 else servers[::-1]:
            rows += load_of(run, name, number + 1)
    write_tsv(run.out / "load.tsv", [asdict(row) for row in rows])
    for name in servers:
        failed = sum(row.failed for row in rows if row.server == name)
        run.property(failed == 0, f"{name}: every request under load has the right answer ({failed} have not)")
    run.lines += table.load(rows)


def load_of(run, name, number):
    if name == "emovox":
        running = run.start_emovox()
    else:
        running = server.peer(run.python, run.model, run.args.workers, log=run.log)
    rows = []
    with running:
        expected = load.first_answer(running.port, run.clip).body
        load.run(running.port, run.clip, max(CLIENTS), seconds=run.args.seconds / 2)
        for clients in CLIENTS:
            machine, before = os.getloadavg()[0], running.processor_seconds()
            result = load.run(running.port, run.clip, clients, run.args.seconds, expected=expected)
            processor = 1e3 * (running.processor_seconds() - before) / max(1, result.requests)
            memory = running.memory()
            rows.append(Measured(number, name, clients, result.requests, result.failed, result.rate, result.p50,
                                 result.p99, processor, result.own_share, memory.rss, memory.pss, memory.own, machine))
            say(f"round {number}  {name:7} {clients:3} clients  {result.rate:7.1f} requests/s  p50 {result.p50:7.1f} ms  "
                f"p99 {result.p99:7.1f} ms  {processor:5.2f} ms of processor  {memory.rss:.0f} MB")
        if name == "emovox":
            run.stop(running)
    return rows


def memory(run):
    """The memory of emovox over many requests, with a short recording, because their number matters."""
    clip = sound.wav(sound.voice(MEMORY_CLIP))
    with run.start_emovox() as running:
        expected = load.first_answer(running.port, clip).body
        rows = [{"requests": 0, **asdict(running.memory())}]
        warm_up, steps = max(1, run.args.requests // 50), 10
        sent = failed = 0
        for step in range(steps + 1):
            goal = warm_up if step == 0 else run.args.requests * step // steps
            result = load.run(running.port, clip, 8, requests=goal - sent, expected=expected)
            failed += result.failed
            sent = goal
            rows.append({"requests": sent, **asdict(running.memory())})
            say(f"{sent} requests: {rows[-1]['rss']:.1f} MB")
        warm, last = rows[1]["rss"], rows[-1]["rss"]
        run.property(failed == 0, f"all {run.args.requests} requests have the right answer ({failed} have not)")
        if not run.args.short:
            run.property(last <= GROWTH * warm, f"memory is flat: {warm:.1f} MB after {warm_up} requests, {last:.1f} MB "
                         f"after {run.args.requests}")
        run.stop(running)
    write_tsv(run.out / "memory.tsv", rows)
    run.lines.append(table.line("memory at start, after warm-up, after all requests",
                                f"{run.args.requests} requests with {MEMORY_CLIP} s, 8 clients",
                                f"{rows[0]['rss']:.0f}, {warm:.1f}, {last:.1f} MB", goal="+5 %",
                                met=last <= GROWTH * warm))


def live(run):
    """The delay of live streams, and their lines."""
    seconds = 60 * run.args.minutes
    voice = sound.voice(10)
    whole = voice.tobytes() * int(seconds // 10 + 1)
    length = int(seconds / streams.CHUNK_SECONDS) * int(streams.CHUNK_SECONDS * sound.RATE) * 2
    listen = [run.emovox, "listen", "--json", "--raw", "s16le", "--rate", str(sound.RATE)]
    printed = subprocess.run(listen, input=whole[:length], check=True, capture_output=True).stdout.decode()
    with run.start_emovox("--max-streams", str(run.args.streams)) as running:
        before = running.processor_seconds()
        start = running.memory()
        result = streams.run(running.port, voice, run.args.streams, seconds, printed.splitlines())
        share = (running.processor_seconds() - before) / seconds
        end = running.memory()
        say(str(result))
        run.property(result.broken == 0, f"{result.streams} live streams reach their end ({result.broken} do not)")
        run.property(result.wrong == 0, f"all {result.lines} lines of the streams equal those of `emovox listen`")
        run.stop(running)
    write_tsv(run.out / "streams.tsv", [asdict(result) | {"cores": share, "rss_start": start.rss, "rss_end": end.rss}])
    run.lines.append(table.line(
        "delay of a live prediction, p50, p99, longest", f"{result.streams} streams, {run.args.minutes:g} min",
        f"{result.p50:.0f}, {result.p99:.0f}, {result.worst:.0f} ms", goal=f"p99 ≤ {DELAY_GOAL} ms",
        met=result.p99 <= DELAY_GOAL))
    run.notes.append(f"live streams: {result.lines} lines, {share:.2f} cores of processor time; p99 of the client's own "
                     f"delay, which the delays include: {result.client_late:.0f} ms; memory at the end {end.rss:.0f} MB")


def hostile(run):
    """Malformed requests with valid ones in between."""
    with run.start_emovox("--timeout", "3") as running:
        load.run(running.port, run.clip, 8, requests=20 if run.args.short else 200)
        malformed.run(running.port, run.clip, run.args.malformed / 4)
        before = running.memory()
        outcome = malformed.run(running.port, run.clip, run.args.malformed)
        after = running.memory()
        (run.out / "malformed.txt").write_text(malformed.text(outcome) + "\n")
        for failure in outcome.failures[:40]:
            say(failure)
        kinds = len(malformed.KINDS)
        run.property(outcome.malformed > kinds, f"{outcome.malformed} malformed requests of {kinds} kinds in "
                     f"{outcome.seconds:g} s")
        run.property(outcome.wrong == 0 and outcome.valid > 0,
                     f"all {outcome.valid} valid requests in between have the right answer ({outcome.wrong} have not)")
        odd = len(outcome.failures) - outcome.wrong
        run.property(odd == 0, f"every malformed request has a right answer ({odd} have not)")
        answer = malformed.crowd(running.port, run.clip)
        run.property(answer is not None and answer.status == 200,
                     f"a valid request behind {malformed.CROWD} idle connections is answered")
        run.property(malformed.panics(running.get("/metrics")) == 0, "no panic")
        if not run.args.short:
            run.property(after.rss <= GROWTH * before.rss, f"memory is flat: {before.rss:.1f} MB after a quarter of the "
                         f"time, {after.rss:.1f} MB at the end")
        run.stop(running)
    run.lines.append(table.line(
        "malformed requests; valid ones in between; wrong answers", f"{outcome.seconds:g} s, {kinds} kinds",
        f"{outcome.malformed}; {outcome.valid}; {outcome.wrong}, {before.rss:.0f} → {after.rss:.0f} MB",
        goal="0 wrong", met=outcome.wrong == 0))


def write_tsv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def main():
    # An exception, so that the servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = arguments()
    run = Run(args)
    machine = table.machine(run)
    started = time.time()
    parts = {"load": loads, "memory": memory, "streams": live, "malformed": hostile}
    for name in args.only:
        say(f"== {name}")
        parts[name](run)
    minutes = (time.time() - started) / 60
    head = f"`{args.command}`, {time.strftime('%Y-%m-%d')}, {minutes:.0f} minutes on {machine}."
    text = table.markdown(head, run.lines, run.notes)
    (run.out / "serve.md").write_text(text)
    print("\n" + text)
    if args.write:
        table.write_between(args.write, text)
    for text in run.broken:
        print(f"FAILED: {text}", file=sys.stderr)
    sys.exit(bool(run.broken))


main()
