"""Runs emovox and its peers in rounds; see run.sh, which installs and builds what this needs."""
import argparse
import os
import shlex
import sys
import tempfile
import time
from pathlib import Path

import measure
import prepare
import table
from rows import CONTENDERS, ROWS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/compare/run.sh", description=(
        "Measures emovox against librosa, torchaudio, Keras and PyTorch. Rows: "
        + ", ".join(row.name for row in ROWS)))
    parser.add_argument("folder", help="a folder of WAV files")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds [default: 5]")
    parser.add_argument("--only", metavar="ROW,…", help="only these rows")
    parser.add_argument("--busy", action="store_true",
                        help="measure each process again beside one busy loop for each core")
    parser.add_argument("--epochs", type=int, default=4,
                        help="epochs of a training; the first one is not counted [default: 4, on a GPU at least "
                             f"{measure.GPU_EPOCHS}]")
    parser.add_argument("--out", default=str(ROOT / "target/compare"),
                        help="folder for compare.csv, rounds.csv, compare.md and compare.png [default: target/compare]")
    parser.add_argument("--write", metavar="DOCUMENT",
                        help=f"write the table between {table.marker('begin')} and {table.marker('end')} in this "
                             "document, and the picture to images/compare.png beside it")
    parser.add_argument("--table", metavar="NAME", default="",
                        help=f"write it between {table.marker('begin', 'NAME')} and {table.marker('end', 'NAME')} "
                             "instead, without the picture")
    args = parser.parse_args()
    known = {row.name for row in ROWS}
    args.only = set(args.only.split(",")) if args.only else known
    if args.only - known:
        parser.error(f"there is no row {', '.join(args.only - known)}; the rows are {', '.join(sorted(known))}")
    if args.rounds < 1 or args.epochs < 1:
        parser.error("--rounds and --epochs must be at least 1")
    return args


def counted(count, noun):
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def main():
    args = arguments()
    began = time.time()
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    # Removed at the end, also after an error.
    temporary = tempfile.TemporaryDirectory(prefix="work-", dir=out)
    work = Path(temporary.name)
    (work / "rounds").mkdir()
    files = prepare.wavs(args.folder)
    if not files:
        sys.exit(f"no WAV file in {args.folder}")
    (work / "files.txt").write_text("\n".join(files))
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    places = {
        "here": str(HERE), "peers": str(HERE / "peers"), "python": sys.executable, "work": str(work),
        "emovox": f"{target}/release/emovox", "example": f"{target}/release/examples/compare",
        "list": str(work / "files.txt"), "clip": files[len(files) // 2], "epochs": str(args.epochs),
        "run": "round",
    }
    rows = [row for row in ROWS if row.name in args.only]
    foot = []
    if any(CONTENDERS[row.ours[0]].cuda for row in rows) and not prepare.has_cuda(places):
        rows = [row for row in rows if not CONTENDERS[row.ours[0]].cuda]
        foot.append("no GPU that PyTorch can use: the GPU rows are skipped")
    needed = {side[0] for row in rows for side in (row.ours, row.peer)}
    contenders = [c for c in CONTENDERS.values() if c.name in needed]
    archs = [arch for arch in ("seed", "bilstm")
             if any(arch in word for contender in contenders for word in contender.command)]

    places["corpus"] = prepare.corpus(args.folder, files, places)
    prepare.say(f"{len(files)} recordings; preparing")
    prepare.runs(places, archs)
    places["classes"] = prepare.classes(places, archs[0]) if archs else []
    foot += prepare.agreement(places, files, archs)
    versions, machine = prepare.machine(places)

    measured, failed = [], {}
    for number in range(args.rounds):
        measured.append({})
        # Every second round is in reverse order, so that the order has no effect.
        for contender in contenders if number % 2 == 0 else contenders[::-1]:
            if contender.name in failed:
                continue
            for loops in (0, measure.cores()) if args.busy else (0,):
                try:
                    with measure.busy(loops):
                        result = measure.contender(contender, places, f"{out}/log")
                except measure.Failed as error:
                    failed[contender.name] = str(error)
                    prepare.say(f"{contender.name} failed: {error}")
                    break
                for what in ("seconds", "fft", "epoch", "begins", "first", "wall", "memory"):
                    if what in result:
                        measured[-1][contender.name, table.BUSY * bool(loops) + what] = result[what]
            prepare.say(f"round {number + 1}  {contender.name:20} " + "  ".join(
                f"{what} {value:.4g}" for (name, what), value in measured[-1].items()
                if name == contender.name))
        table.write_rounds(out / "rounds.csv", measured)
    foot += [f"{name} failed: {why}" for name, why in failed.items()]

    lines = list(table.lines(rows, measured))
    table.write_csv(out / "compare.csv", lines)
    command = shlex.join(["scripts/compare/run.sh", *sys.argv[1:]])
    minutes = (time.time() - began) / 60
    head = [f"`{command}`: {counted(len(files), 'recording')}, {counted(args.rounds, 'round')} of "
            f"{counted(args.epochs, 'epoch')}, {time.strftime('%Y-%m-%d')}, "
            f"{counted(max(round(minutes), 1), 'minute')} on {machine}; {versions}. "
            "Medians, and in brackets the range of the rounds."]
    text = table.markdown(lines, head, foot)
    (out / "compare.md").write_text(text)
    print("\n" + text)
    picture = out / "compare.png"
    try:
        measure.run([sys.executable, str(HERE / "table.py"), str(out / "compare.csv"), str(picture)])
    except measure.Failed as error:
        prepare.say(f"no picture was drawn: {error}")
    if args.write:
        table.write_between(args.write, text, args.table)
        if picture.exists() and not args.table:
            images = Path(args.write).parent / "images"
            images.mkdir(exist_ok=True)
            (images / "compare.png").write_bytes(picture.read_bytes())
    temporary.cleanup()
    prepare.say(f"{out} contains compare.csv, rounds.csv, compare.md, compare.png and the last log")


main()
