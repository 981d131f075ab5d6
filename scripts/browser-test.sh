#!/usr/bin/env bash
# Opens the pages of `emovox report` and of `emovox serve` in a real browser. Those of `report` load without
# errors and network requests, a click on a cell filters, players play, 2000 clips stay usable, a hostile file
# name stays text. That of `serve` predicts files, recordings and live sound of a fake microphone, plays segments,
# works with the keyboard alone, asks for a token, explains errors, and contacts no other server.
# Screenshots with light and dark colours are in target/browser, for a visual check.
#
#     scripts/browser-test.sh [report|serve]      one of the two
#
# Needs Debian's chromium (installed with apt-get if it is missing, as root), Node with npm, which installs
# playwright-core and axe-core into its own folder, and a built emovox.
set -euo pipefail
cd "$(dirname "$0")/.."

pages=${1:-both}
emovox=$PWD/target/release/emovox
[ -x "$emovox" ] || emovox=$PWD/target/debug/emovox
[ -x "$emovox" ] || { echo "build emovox first: cargo build" >&2; exit 1; }

if ! command -v chromium > /dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium
fi

work=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2> /dev/null || true; rm -rf "$work"' EXIT
tools=$PWD/target/browser-tools
mkdir -p "$tools" target/browser
[ -d "$tools/node_modules/playwright-core" ] && [ -d "$tools/node_modules/axe-core" ] ||
    npm install --silent --no-audit --no-fund --prefix "$tools" playwright-core@1 axe-core@4
cp scripts/browser/*.mjs "$tools"

step() { printf '\n== %s\n' "$*"; }

report() {
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
    step "report in the browser"
    node "$tools/check.mjs" "$work" target/browser
}

# Starts a server on a free port, and sets `url` to its address.
start_server() {
    : > "$work/address"
    "$emovox" serve --address 127.0.0.1:0 "$@" > "$work/address" 2>> "$work/serve.log" &
    servers+=($!)
    for _ in $(seq 300); do
        url=$(sed -n 's/^listening on //p' "$work/address")
        [ -z "$url" ] || return 0
        sleep 0.1
    done
    cat "$work/serve.log" >&2
    echo "emovox serve does not start" >&2
    return 1
}

serve() {
    step "two servers, one with a token"
    [ -d "$work/data/demo" ] || (cd "$work" && "$emovox" train --arch mean-lstm --epochs 1 > train.log)
    token=a-token-of-this-test
    (umask 077 && echo "$token" > "$work/tokens")
    start_server
    open=$url
    start_server --token-file "$work/tokens"
    step "serve in the browser"
    node "$tools/serve.mjs" "$open" "$url" "$token" "$work/data/demo" tests/data/audio target/browser
}

if [ "$pages" != serve ]; then report; fi
if [ "$pages" != report ]; then serve; fi
echo "screenshots in target/browser"
