#!/usr/bin/env bash
# Attacks on files with real processes: stopped and killed writers, a cache that is truncated in use,
# devices, pipes, planted links. EMOVOX names the program. Prints a line for each attack, and exits with
# 1 if one of them did harm.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

run() { timeout 600 "$emovox" "$@" >log 2>&1; }
train=(train --data corpus --config small.toml --device cpu --epochs 1)
temporary() { compgen -G "$1/.writing-*" >/dev/null; }
gone() { ! temporary "$1"; }

# A part of the demo corpus, in its own folder.
run doctor --data demo || exit 1
corpus=$(find data/demo -name '*.wav' | sort | awk 'NR % 12 == 1')
for file in $corpus; do
    mkdir -p "corpus/$(dirname "${file#data/demo/}")"
    cp "$file" "corpus/${file#data/demo/}"
done
clip=$(find "$folder/corpus" -name '*.wav' | sort | head -1)
cp "$clip" clip.wav
run "${train[@]}" --no-cache --run mine
report "a training to attack"

# ---- the cache ----

run "${train[@]}" --run first
report "a training that fills the cache"
shard=$(find cache -name '*.shard')
settings=$(dirname "$shard")

# A stopped process holds the lock: the other one names it and continues without the cache.
rm -f "$shard"
: >"$settings/.lock"
flock "$settings/.lock" sh -c 'echo $$ >"$0"; kill -STOP $$' "$settings/.lock" &
holder=$!
children+=($holder)
stopped() { [ -s "$settings/.lock" ]; }
within 10 stopped
number=$(cat "$settings/.lock")
children+=("$number")
run "${train[@]}" --run waited \
    && grep -q "waiting for process $number" log \
    && grep -q "features are not cached: process $number holds" log
report "a stopped process holds the lock of the cache"
kill -KILL "$number" "$holder" 2>/dev/null
wait "$holder" 2>/dev/null
run "${train[@]}" --run after && [ -f "$shard" ]
report "the lock is free once that process is dead"

# kill -9 while a shard is written.
killed=0
for _ in $(seq 20); do
    rm -f "$shard"
    "$emovox" "${train[@]}" --run killed >log 2>&1 &
    child=$!
    within 20 temporary "$settings"
    kill -KILL $child 2>/dev/null
    wait $child 2>/dev/null
    rm -rf runs/killed
    if temporary "$settings"; then
        killed=1
        break
    fi
done
[ $killed -eq 1 ] && "$emovox" cache >log && grep -q "unfinished files of killed runs" log
report "files of a killed writer in the cache are counted"
run "${train[@]}" --run next && gone "$settings"
report "the next run removes them"
: >"$settings/.writing-x" && run cache clear && gone "$settings"
report "emovox cache clear removes them too"

# A shard is truncated while runs read it: every exit code is accepted, but not the end by a signal.
run "${train[@]}" --run again
shard=$(find cache -name '*.shard')
settings=$(dirname "$shard")
outcome=0
for attempt in $(seq 5); do
    "$emovox" "${train[@]}" --run "cut-$attempt" >log 2>&1 &
    child=$!
    for _ in $(seq 200); do
        kill -0 $child 2>/dev/null || break
        for file in "$settings"/*.shard; do
            [ -f "$file" ] && truncate -s $((RANDOM * 3)) "$file"
        done
        sleep 0.005
    done
    wait $child
    code=$?
    [ $code -lt 128 ] || outcome=1
done
[ $outcome -eq 0 ]
report "a shard is truncated in use"
run "${train[@]}" --run whole
report "and is written again"

for plant in "ln -s $folder/victim" "ln $folder/victim" mkfifo; do
    echo mine >victim
    rm -f "$settings/.lock" "$settings"/*.shard
    $plant "$settings/.lock"
    rm -rf runs/planted
    run "${train[@]}" --run planted && grep -q "features are not cached" log && [ "$(cat victim)" = mine ]
    report "a lock of the cache, planted with ${plant%% /*}"
done
rm -f "$settings/.lock"

# ---- outputs ----

for plant in "ln -s $folder/victim" "ln $folder/victim" mkfifo; do
    rm -f runs/mine/.lock
    $plant runs/mine/.lock
    ! run train --resume mine --epochs 2 --device cpu && [ "$(cat victim)" = mine ]
    report "a lock of a run, planted with ${plant%% /*}"
done
rm -f runs/mine/.lock

# kill -9 while an output is written: only a temporary file remains, which the next output removes.
for line in "features corpus --out out/f.npz" "features corpus --out out/f.csv" "export mine --out out/mine.emovox"; do
    mkdir -p out
    for _ in $(seq 20); do
        rm -f out/*
        # shellcheck disable=SC2086
        "$emovox" $line >log 2>&1 &
        child=$!
        written() { temporary out || ! kill -0 $child 2>/dev/null; }
        within 20 written
        kill -KILL $child 2>/dev/null
        wait $child 2>/dev/null
        temporary out && break
    done
    # shellcheck disable=SC2086
    run $line --force && gone out
    report "killed: $line"
    rm -rf out
done

# Several writers in one folder do not disturb each other.
mkdir out
for number in 1 2 3; do
    "$emovox" features corpus --out out/$number.npz >"log-$number" 2>&1 &
    children+=($!)
done
outcome=0
for child in $(jobs -p); do
    wait "$child" || outcome=1
done
[ $outcome -eq 0 ] && [ -s out/1.npz ] && [ -s out/2.npz ] && [ -s out/3.npz ] && gone out
report "three writers in one folder"

outcome=0
for out in clip.wav ./corpus/../clip.wav runs/mine/best.ot runs/mine/config.toml; do
    sum=$(cksum <"$out")
    for line in "predict mine clip.wav --csv" "features clip.wav" "export mine"; do
        # shellcheck disable=SC2086
        run $line --force --out "$out" && outcome=1
        [ "$(cksum <"$out")" = "$sum" ] || outcome=1
    done
done
[ $outcome -eq 0 ]
report "inputs and files of a run as outputs, with --force"

# Device nodes in the temporary folder, so that a fault cannot remove the machine's /dev/null.
if mknod null c 1 3 2>/dev/null && mknod full c 1 7 2>/dev/null && mknod disk b 7 200 2>/dev/null; then
    outcome=0
    for line in "predict mine clip.wav --csv" "features clip.wav" "export mine" "report mine"; do
        # shellcheck disable=SC2086
        run $line --out null || outcome=1
        [ -c null ] || outcome=1
        # shellcheck disable=SC2086
        run $line --out full && outcome=1
        [ -c full ] || outcome=1
        # shellcheck disable=SC2086
        run $line --out disk && outcome=1
        [ -b disk ] || outcome=1
    done
    [ $outcome -eq 0 ]
    report "device nodes"
else
    echo "skipped device nodes: only root can create them"
fi

mkfifo pipe
outcome=0
for line in "predict mine clip.wav --csv" "features clip.wav" "export mine" "report mine"; do
    timeout 60 cat pipe >got &
    reader=$!
    # shellcheck disable=SC2086
    run $line --out pipe || outcome=1
    wait $reader
    [ -s got ] && [ -p pipe ] || outcome=1
done
[ $outcome -eq 0 ]
report "pipes with a reader"
timeout 60 head -c 1 pipe >/dev/null &
run features corpus --format csv --out pipe
[ $? -lt 128 ] && [ -p pipe ]
report "a pipe whose reader ends early"

[ $failures -eq 0 ]
