"""The results of measure.py as a Markdown table."""
import os
import statistics
import subprocess
import sys
from pathlib import Path

BEGIN, END = "<!-- serve: begin -->", "<!-- serve: end -->"


def line(what, how, emovox, peer="", ratio="", goal="", met=None):
    mark = "" if met is None else " ✓" if met else " ✗"
    return f"| {what} | {how} | {emovox} | {peer} | {ratio} | {goal}{mark} |"


def load(rows):
    """Lines of the load: medians of the rounds, and in brackets the range of the ratios within each round."""
    clients = sorted({row.clients for row in rows})
    last = max(clients)
    found = [compared(rows, count, "rate", "requests a second", many(count), "/s", goal=8) for count in clients]
    found += [compared(rows, count, key, f"{key} of a request", many(count), " ms", larger=False)
              for count in clients for key in ("p50", "p99")]
    found.append(compared(rows, last, "processor", "processor time of a request", many(last), " ms", larger=False))
    found.append(compared(rows, last, "rss", "memory, RSS of all processes", "after the load", " MB", goal=4,
                          larger=False))
    found.append(compared(rows, last, "pss", "memory, shared pages counted once", "after the load", " MB",
                          larger=False))
    found.append(compared(rows, last, "own", "memory without pages of files", "after the load", " MB", larger=False))
    return found


def compared(rows, clients, key, what, how, unit, goal=None, larger=True):
    """One line. A ratio above 1 is in favour of emovox."""
    def values(name):
        return {row.round: getattr(row, key) for row in rows if row.server == name and row.clients == clients}
    ours, theirs = values("emovox"), values("peer")
    ratios = [ours[number] / theirs[number] if larger else theirs[number] / ours[number]
              for number in ours.keys() & theirs.keys()]
    median = statistics.median(ratios) if ratios else None
    return line(what, how, figure(ours.values(), unit), figure(theirs.values(), unit) if theirs else "",
                f"**{number(median)}** ({number(min(ratios))} – {number(max(ratios))})" if ratios else "",
                f"≥ {goal}" if goal and ratios else "", median >= goal if goal and ratios else None)


def many(clients):
    return f"{clients} client" + "s" * (clients > 1)


def figure(values, unit):
    return number(statistics.median(values)) + unit


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def markdown(head, lines, notes):
    text = [head, "", "| what | how | emovox | peer | ratio | goal |", "|---|---|---|---|---|---|", *lines, ""]
    return "\n".join(text + [f"- {note}" for note in notes]) + "\n"


def machine(run):
    """Versions of the programs, and the machine."""
    versions = [subprocess.run([run.emovox, "--version"], capture_output=True, text=True).stdout.strip()]
    if run.python:
        code = ("import importlib.metadata as m; print(', '.join(f'{n} {m.version(n)}' for n in "
                "['fastapi', 'uvicorn', 'torch', 'torchaudio']))")
        versions.append(subprocess.run([run.python, "-c", code], capture_output=True, text=True).stdout.strip())
    found = [text.split(":")[1].strip() for text in open("/proc/cpuinfo") if text.startswith("model name")]
    return (f"{os.cpu_count()} cores of {found[0] if found else 'unknown CPU'}, load {os.getloadavg()[0]:.1f} before "
            f"the first part; {'; '.join(versions)}")


def write_between(path, text):
    """Puts the table into a document, between its two markers."""
    document = Path(path).read_text()
    before, found, rest = document.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        sys.exit(f"{path} lacks the lines {BEGIN} and {END} for the table")
    Path(path).write_text(f"{before}{BEGIN}\n{text}{END}{after}")
