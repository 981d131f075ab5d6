#!/usr/bin/env bash
# Opens the pages of `emovox report` in a real browser: they load without errors and network requests, a
# click on a cell filters, players play, 2000 clips stay usable, a hostile file name stays text.
# Screenshots with light and dark colours are in target/browser, for a visual check.
#
# Needs Debian's chromium (installed with apt-get if it is missing, as root), Node with npm, which installs
# playwright-core into its own folder, and a built emovox.
set -euo pipefail
cd "$(dirname "$0")/.."

emovox=$PWD/target/release/emovox
[ -x "$emovox" ] || emovox=$PWD/target/debug/emovox
[ -x "$emovox" ] || { echo "build emovox first: cargo build" >&2; exit 1; }

if ! command -v chromium > /dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tools=$PWD/target/browser-tools
mkdir -p "$tools" target/browser
[ -d "$tools/node_modules/playwright-core" ] ||
    npm install --silent --no-audit --no-fund --prefix "$tools" playwright-core@1
cp scripts/browser/*.mjs "$tools"

step() { printf '\n== %s\n' "$*"; }

step "a run of 2000 clips, one with a hostile name"
(
    cd "$work"
    "$emovox" train --arch mean-lstm --epochs 2 --run many > train.log
    node "$tools/many.mjs" runs/many data/demo many 2000
    time "$emovox" report many --data many
    "$emovox" report many --data many --embed --out embedded.html
    "$emovox" train --arch mean-lstm --epochs 3 --seed 2 --run other > train.log
    "$emovox" report many other --out comparison.html
)

step "in the browser"
node "$tools/check.mjs" "$work" target/browser
echo "screenshots in target/browser"
