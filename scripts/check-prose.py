#!/usr/bin/env python3
"""Counts paragraphs of Rust doc comments that begin with What, How, Whether, Where, Who, Which or When.

Such a paragraph uses a clause as a noun ("What decides about features"); a noun phrase is easier to
read and to search ("Every setting that affects features"). Prints the share and the worst files.
Exits with 1 if the share is above the limit, and with 2 if no doc comment was found.

    scripts/check-prose.py                     # src, tests, benches, examples, build.rs
    scripts/check-prose.py --limit 3           # fails above 3 %
    scripts/check-prose.py --list src/model    # also prints every paragraph that counts
"""

import argparse
import re
import sys
from pathlib import Path

CLAUSE = re.compile(r"(What|How|Whether|Where|Who|Which|When)(ever|'s)?\b")
DOC_LINE = re.compile(r"\s*(///(?!/)|//!)(.*)")
NOT_PROSE = re.compile(r"[#|>]|[-*+] |\d+\. ")  # headings, tables, quotations, lists
ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PATHS = ["src", "tests", "benches", "examples", "build.rs"]


def paragraphs(source):
    """Yields (line number, first line) of every prose paragraph in the doc comments of `source`."""
    marker, inside_paragraph, inside_code = None, False, False
    for number, line in enumerate(source.splitlines(), 1):
        match = DOC_LINE.fullmatch(line)
        if match is None or match[1] != marker:
            inside_paragraph = inside_code = False
        if match is None:
            marker = None
            continue
        marker, text = match[1], match[2].strip()
        if text.startswith("```"):
            inside_code, inside_paragraph = not inside_code, False
        elif not text:
            inside_paragraph = False
        elif not inside_code and not inside_paragraph:
            inside_paragraph = True
            if not NOT_PROSE.match(text):
                yield number, text


def rust_files(paths):
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.rs"))
        elif path.exists():
            yield path
        else:
            sys.exit(f"check-prose: {path} does not exist")


def shown(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, help="files and folders to read")
    parser.add_argument("--limit", type=float, metavar="PERCENT", help="fail above this share")
    parser.add_argument("--list", action="store_true", help="print every paragraph that counts")
    parser.add_argument("--worst", type=int, default=10, metavar="N", help="files to print [10]")
    args = parser.parse_args()
    paths = [path.resolve() for path in args.paths] or [ROOT / name for name in DEFAULT_PATHS]

    total, clauses, by_file = 0, 0, []
    for path in rust_files(paths):
        found = list(paragraphs(path.read_text(encoding="utf-8")))
        hits = [(number, text) for number, text in found if CLAUSE.match(text)]
        total += len(found)
        clauses += len(hits)
        if hits:
            by_file.append((len(hits), len(found), shown(path)))
        if args.list:
            for number, text in hits:
                print(f"{shown(path)}:{number}: {text}")
    if total == 0:
        print("check-prose: no doc comments found", file=sys.stderr)
        sys.exit(2)

    share = 100 * clauses / total
    print(f"{clauses} of {total} paragraphs begin with a clause: {share:.1f} %")
    for hits, found, path in sorted(by_file, key=lambda row: (-row[0], str(row[2])))[: args.worst]:
        print(f"  {hits:3} of {found:3}  {path}")
    if args.limit is not None and share > args.limit:
        print(f"check-prose: {share:.1f} % is above the limit of {args.limit:g} %", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
