#!/usr/bin/env bash
# Measures one training in several processes: the clips per second of one and two processes, each pinned to
# its own core, and the cost of summing gradients over a network with delay (two network namespaces with a
# link that delay.py delays). Needs a build with --features distributed; the second half needs root and
# iproute2. Run it on an idle machine, because it measures time.
#
#     scripts/scaling/run.sh [ROUNDS]
set -euo pipefail
emovox=${EMOVOX:+$(readlink -m "$EMOVOX")}
cd "$(dirname "$0")/../.."
wire=$PWD/scripts/scaling/delay.py

rounds=${1:-3}
emovox=${emovox:-$PWD/target/release/emovox}
[ -x "$emovox" ] || { echo "build it first: cargo build --release --features distributed" >&2; exit 2; }
work=$(mktemp -d)
left=emovox-left-$$ right=emovox-right-$$
cleanup() {
    [ -z "${delaying:-}" ] || kill "$delaying" 2>/dev/null || true
    ip netns del $left 2>/dev/null || true
    ip netns del $right 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
export EMOVOX_CACHE=$work/cache
epochs=${EPOCHS:-6}
cat > bilstm.toml <<END
[training]
epochs = $epochs
device = "cpu"
END
printf '[model]\narch = "seed"\n[training]\nepochs = %s\ndevice = "cpu"\n' "$epochs" > seed.toml
"$emovox" train --config seed.toml --epochs 1 --run warm > /dev/null # synthesises the corpus and fills the cache
"$emovox" train --config bilstm.toml --epochs 1 --run warm-too > /dev/null
clips=$(grep -c ',train$' runs/warm-too/split.csv)
parameters() { sed -n "s/^model .*: \([0-9]*\) parameters.*/\1/p" "$1"; }

# Median seconds of an epoch, without the first.
seconds() {
    tail -n +3 "runs/$1/metrics.csv" | cut -d, -f8 | sort -n |
        awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'
}
port=29700
run=0
# together SIZE ARCH BATCH PREFIX…: trains with SIZE processes, each started by PREFIX, in which %r is its
# rank. Prints the seconds of an epoch.
together() {
    local size=$1 arch=$2 batch=$3 rank pids=() host=127.0.0.1
    shift 3
    port=$((port + 1)) run=$((run + 1))
    [ -z "${HOST:-}" ] || host=$HOST
    for rank in $(seq 0 $((size - 1))); do
        WORLD_SIZE=$size RANK=$rank LOCAL_RANK=0 MASTER_ADDR=$host MASTER_PORT=$port \
            "${@//%r/$rank}" "$emovox" train --config "$arch.toml" --batch-size "$batch" --threads 1 --run "r$run" \
            > "log$rank" 2>&1 &
        pids+=($!)
    done
    for rank in "${pids[@]}"; do wait "$rank" || { cat log*; exit 1; }; done
    seconds "r$run"
}
median() { sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'; }
pin() { echo taskset -c %r; }

echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc --all) cores; demo corpus, $clips training clips, $rounds rounds"
echo "| architecture | batch | 1 process, clips/s | 2 processes, clips/s | efficiency |"
echo "|---|---|---|---|---|"
for arch in bilstm seed; do
    for batch in 32 128; do
        : > one; : > two
        for _ in $(seq "$rounds"); do # in turn, so that other load affects both
            together 1 $arch $batch $(pin) >> one
            together 2 $arch $batch $(pin) >> two
        done
        awk -v a="$(median < one)" -v b="$(median < two)" -v n="$clips" -v arch=$arch -v batch=$batch 'BEGIN {
            printf "| %s | %d | %.0f | %.0f | %.0f %% |\n", arch, batch, n / a, n / b, 100 * a / (2 * b) }'
    done
done

ip netns add $left 2>/dev/null || { echo "no network namespaces here (root and iproute2 are needed)"; exit 0; }
ip netns add $right
for side in $left $right; do ip -n $side link set lo up; done
cat > inside <<'END'
#!/bin/bash
# inside RANK LEFT RIGHT …: starts the process of this rank in its namespace, on its core.
rank=$1 left=$2 right=$3
shift 3
side=$left
[ "$rank" = 0 ] || side=$right
exec ip netns exec "$side" env GLOO_SOCKET_IFNAME=wire taskset -c "$rank" "$@"
END
chmod +x inside
echo
echo "| round trip, by ping | architecture | batch | steps an epoch | seconds an epoch | added a step |"
echo "|---|---|---|---|---|---|"
for arch in bilstm seed; do
    before=
    for delay in 0 1 10; do
        : > ready
        # Half of the round trip each way.
        python3 "$wire" $left 10.77.0.1 $right 10.77.0.2 "$(awk "BEGIN { print $delay / 2 }")" > ready &
        delaying=$!
        until grep -q ready ready; do sleep 0.05; done
        seen=$(ip netns exec $left ping -q -c 10 -i 0.02 10.77.0.2 | sed -n 's|.*= [0-9.]*/\([0-9.]*\)/.*|\1|p')
        : > took
        for _ in $(seq "$rounds"); do HOST=10.77.0.1 together 2 $arch 32 ./inside %r $left $right >> took; done
        kill $delaying; wait $delaying 2>/dev/null || true; delaying=
        steps=$(((clips + 31) / 32)) took=$(median < took)
        [ -n "$before" ] || before=$took
        awk -v d="$seen" -v arch=$arch -v steps=$steps -v t="$took" -v b="$before" 'BEGIN {
            printf "| %.1f ms | %s | 32 | %d | %.2f | %.1f ms |\n", d, arch, steps, t, 1000 * (t - b) / steps }'
    done
done
