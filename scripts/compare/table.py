"""Measurements → CSV, Markdown, and (as a separate program, because it loads matplotlib) a picture."""
import csv
import statistics
import sys
from pathlib import Path

#: Beginning of the name of a measurement beside busy loops.
BUSY = "busy "


def marker(which, name=""):
    """A line around a table in a document."""
    return f"<!-- compare{' ' * bool(name)}{name}: {which} -->"


def lines(rows, measured):
    """A dictionary for each measured row. The ratio is that of the medians; its range is that of the ratios
    within each round."""
    for row in rows:
        pairs = [(round[row.ours], round[row.peer]) for round in measured
                 if row.ours in round and row.peer in round]
        if not pairs:
            continue
        ours, peers = zip(*pairs)
        ratios = [peer / own for own, peer in pairs]
        yield {
            "row": row.name, "what": row.what, "against": row.against, "unit": row.unit,
            "rounds": len(pairs),
            "emovox": statistics.median(ours), "emovox min": min(ours), "emovox max": max(ours),
            "peer": statistics.median(peers), "peer min": min(peers), "peer max": max(peers),
            "ratio": statistics.median(peers) / statistics.median(ours),
            "ratio min": min(ratios), "ratio max": max(ratios), "goal": row.goal,
        } | busy(row, measured)


def busy(row, measured):
    """Medians beside busy loops, if they were measured. Memory does not depend on them."""
    if row.unit != "s":
        return {}
    pairs = [[round.get((name, BUSY + what)) for name, what in (row.ours, row.peer)] for round in measured]
    pairs = [pair for pair in pairs if None not in pair]
    if not pairs:
        return {}
    ours, peer = map(statistics.median, zip(*pairs))
    return {"busy emovox": ours, "busy peer": peer}


def write_csv(path, table):
    if not table:
        return
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, max(table, key=len))
        writer.writeheader()
        writer.writerows(table)


def write_rounds(path, measured):
    """Every single measurement."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["round", "contender", "what", "value"])
        for number, round in enumerate(measured, 1):
            for (contender, what), value in round.items():
                writer.writerow([number, contender, what, value])


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def spread(line, who):
    return f"{number(line[who])} ({number(line[who + ' min'])} – {number(line[who + ' max'])}) {line['unit']}"


def markdown(table, head, foot):
    is_busy = any("busy emovox" in line for line in table)
    text = ["\n".join(head), "",
            "| what | against | emovox | peer | ratio | goal |" + " busy: emovox, peer, ratio |" * is_busy,
            "|---|---|---|---|---|---|" + "---|" * is_busy]
    for line in table:
        met = "" if not line["goal"] else (
            f"{line['goal']} {'✓' if line['ratio'] >= float(line['goal'].split()[1]) else '✗'}")
        ratio = f"{number(line['ratio'])} ({number(line['ratio min'])} – {number(line['ratio max'])})"
        text.append(f"| {line['what']} | {line['against']} | {spread(line, 'emovox')} | "
                    f"{spread(line, 'peer')} | **{ratio}** | {met} |" + f" {beside_loops(line)} |" * is_busy)
    return "\n".join(text + [""] + [f"- {line}" for line in foot]) + "\n"


def beside_loops(line):
    """Medians beside busy loops, and how many times as long as on an idle machine they are."""
    if "busy emovox" not in line:
        return ""
    ours, peer = line["busy emovox"], line["busy peer"]
    return (f"{number(ours)} s (× {number(ours / line['emovox'])}), {number(peer)} s "
            f"(× {number(peer / line['peer'])}), **{number(peer / ours)}**")


def write_between(path, text, name):
    """Puts the table into a document, between its two markers."""
    begin, end = marker("begin", name), marker("end", name)
    document = Path(path).read_text()
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{path} lacks the lines {begin} and {end} for the table")
    Path(path).write_text(f"{before}{begin}\n{text}{end}{after}")


def draw(table_csv, picture):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    table = list(csv.DictReader(open(table_csv, newline="")))[::-1]
    figure, axes = pyplot.subplots(figsize=(10, 0.42 * len(table) + 1.4), constrained_layout=True)
    for place, line in enumerate(table):
        ratio, low, high = (float(line[key]) for key in ("ratio", "ratio min", "ratio max"))
        goal = float(line["goal"].split()[1]) if line["goal"] else None
        met = goal is None or ratio >= goal
        colour = "#4c72b0" if goal is None else "#55a868" if met else "#dd8452"
        axes.barh(place, ratio, color=colour, height=0.6)
        axes.plot([low, high], [place, place], color="black", linewidth=1.2)
        axes.text(max(ratio, high, goal or 0) * 1.04, place, f"{ratio:.1f}×", va="center")
        if goal is not None:
            axes.plot([goal, goal], [place - 0.38, place + 0.38], color="black", linewidth=2)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_yticks(range(len(table)),
                    [f"{line['what'].replace('`', '')}\nagainst {line['against'].replace('`', '')}"
                     for line in table], fontsize=8)
    axes.set_xlabel("peer / emovox: how many times faster or smaller (line: range of the rounds; mark: goal)")
    axes.set_xlim(left=min(0.3, axes.get_xlim()[0]), right=axes.get_xlim()[1] * 1.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    draw(*sys.argv[1:])
