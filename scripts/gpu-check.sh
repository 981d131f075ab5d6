#!/usr/bin/env bash
# Checks on a machine with a GPU that emovox trains, stops, resumes, predicts and scores there as on the CPU,
# the message when memory runs out, and the speed. It should take less than eight minutes (not measured). It
# needs no cargo and no network: only the built program, and python3 with PyTorch 2.11.0, whose libraries
# emovox loads, and whose training is compared.
#
#     EMOVOX=./emovox scripts/gpu-check.sh [OUT]     # OUT gets logs and gpu-check.tsv [gpu-check.out]
#
# ONLY=train,agree selects sections. DEVICE=cuda:1 selects a GPU. DEVICE=cpu runs a short form without a GPU,
# which tests this script. NCCL_TEST names the test program of a build with NCCL: cargo test --no-run --lib
# --features distributed prints its path.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
emovox=$(readlink -f "${EMOVOX:-$here/../target/release/emovox}")
[ -x "$emovox" ] || { echo "gpu-check: there is no program $emovox; EMOVOX names it" >&2; exit 2; }
device=${DEVICE:-cuda}
[ -z "${NCCL_TEST:-}" ] || NCCL_TEST=$(readlink -f "$NCCL_TEST")
out=$(mkdir -p "${1:-gpu-check.out}" && cd "${1:-gpu-check.out}" && pwd -P)
started=$SECONDS passed=0 failed=0 skipped=0
: >"$out/gpu-check.tsv"

verdict() { # ok|FAIL|skip SECTION SUBJECT [VALUE]
    case $1 in ok) passed=$((passed + 1)) ;; FAIL) failed=$((failed + 1)) ;; *) skipped=$((skipped + 1)) ;; esac
    printf '%-4s  %-7s %-58s %s\n' "$1" "$2" "$3" "${4:-}"
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4:-}" >>"$out/gpu-check.tsv"
}
note() { # SECTION SUBJECT VALUE: a measurement without a limit
    printf '      %-7s %-58s %s\n' "$1" "$2" "$3"
    printf 'note\t%s\t%s\t%s\n' "$1" "$2" "$3" >>"$out/gpu-check.tsv"
}
section() { [ -z "${ONLY:-}" ] || [[ ",$ONLY," == *",$1,"* ]]; }
at_most() { python3 -c 'import sys; a, b = map(float, sys.argv[1:]); sys.exit(not a <= b)' "$1" "$2"; }
end_of() { tail -1 "$1" 2>/dev/null | cut -c1-100; }

torch=$(python3 -c 'import importlib.util as u, os; s = u.find_spec("torch"); print(os.path.dirname(s.origin) if s else "")' 2>/dev/null)
[ "$device" = cpu ] || [ -z "$torch" ] || export LD_LIBRARY_PATH=$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
cd "$out" && rm -rf runs jobs-? ./*.err && export EMOVOX_CACHE=$out/cache

# ---- settings ----------------------------------------------------------------------------------
timed=20 whole=40 folds=4 fold_epochs=20 kills=4 archs="bilstm mean-lstm" corpus=demo
predicted=data/demo/v04
small='' small_model='' disturbance=''
if [ "$device" = cpu ]; then
    timed=2 whole=6 folds=2 fold_epochs=1 kills=2
    small=$'[features]\nn_mfcc = 13\nn_mels = 32\nhop_length = 400\n'
    predicted=data/demo/v04/demo-v04-s01-anger-1.wav
    # Disturbed copies are made on the CPU in any case, and an unoptimised build takes long for them.
    disturbance=$'[training.disturbance]\ncopies = 0\n'
    small_model=$'input = 16\nhidden = 16\nheads = 2\nensemble_size = 1\n'
fi
augmentation='[training.augmentation]
speed = 0.0
time_masks = 0
frequency_warp = 0.0
frequency_masks = 0
cepstral_offset = 0.0
noise = 0.0
mixup = 0.0'
printf '%s[model]\narch = "bilstm"\n%s%s' "$small" "$small_model" "$disturbance" >bilstm.toml
printf '%s[model]\narch = "mean-lstm"\n' "$small" >mean-lstm.toml
# Nothing is random but the first weights and the order of the clips.
printf '%s[model]\narch = "bilstm"\ninput_dropout = 0.0\ndropout = 0.0\n%s%s\n' "$small" "$small_model" "$augmentation"$'\n'"$disturbance" >exact-bilstm.toml
printf '%s[model]\narch = "mean-lstm"\ndropout = 0.0\n%s\n' "$small" "$augmentation" >exact-mean-lstm.toml
printf '%s[model]\narch = "bilstm"\n%s%s\n' "$small" "$small_model" "$augmentation"$'\n'"$disturbance" >plain.toml
for arch in bilstm mean-lstm; do
    sed 's/^\[training.augmentation\]/[training]\ntf32 = true\n&/' exact-$arch.toml >tf32-$arch.toml
done
labels=''
[ "$device" != cpu ] || labels='--labels anger,neutral'

train() { # NAME FLAGS…: NAME.log gets its output, with the time before each line, and NAME.err its stderr
    local name=$1
    shift
    "$emovox" train --data $corpus $labels --run "$name" "$@" 2>"$name.err" |
        while IFS= read -r line; do echo "${EPOCHREALTIME/,/.} $line"; done >"$name.log"
}
resume() { "$emovox" train --resume "$1" --device "$device" >>"$1.log" 2>"$1.err"; }
lines() { { wc -l <"runs/$1/metrics.csv"; } 2>/dev/null || echo 0; }
# Waits until a run has more than $2 lines, or its process $3 has ended, or two minutes have passed.
wait_for_lines() {
    local deadline=$((SECONDS + 120))
    until [ "$(lines "$1")" -gt "$2" ] || ! kill -0 "$3" 2>/dev/null || [ $SECONDS -gt $deadline ]; do sleep 0.02; done
}
# Largest difference of the losses in the metrics of two runs; nan if they have other epochs.
difference() {
    python3 - "runs/$1/metrics.csv" "runs/$2/metrics.csv" <<'PY' 2>/dev/null || echo nan
import csv, sys
a, b = ([(float(r["train_loss"]), float(r["validation_loss"])) for r in csv.DictReader(open(f))] for f in sys.argv[1:])
print("%.2g" % max(abs(x - y) for p, q in zip(a, b) for x, y in zip(p, q)) if a and len(a) == len(b) else "nan")
PY
}
bytes() { cmp -s "runs/$1/best.ot" "runs/$2/best.ot" && echo "the same bytes" || echo "other bytes"; }
# Mean of the epochs after the first, with all work between them: metrics.csv has only the steps and the
# validation. Short epochs on a GPU are saved and printed together, so the time between two lines is no measure.
epoch_ms() {
    awk '$2 == "epoch" {if (!n++) first = $1; last = $1} END {if (n > 1) printf "%.0f", 1000 * (last - first) / (n - 1)}' "$1.log"
}

# ---- the machine -------------------------------------------------------------------------------
nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader 2>/dev/null
"$emovox" doctor 2>&1 | tee doctor.log
if [ "$device" != cpu ]; then
    if grep -q 'works: a training step' doctor.log; then
        verdict ok here "doctor finds a GPU that works"
    else
        verdict FAIL here "doctor finds a GPU that works" "nothing below can pass"
        exit 1
    fi
    CUDA_VISIBLE_DEVICES='' "$emovox" train --data demo --device cuda >hidden.log 2>&1
    if grep -q 'GPU' hidden.log && [ "$(wc -l <hidden.log)" = 1 ]; then
        verdict ok here "a hidden GPU: one line" "$(end_of hidden.log)"
    else verdict FAIL here "a hidden GPU: one line" "$(end_of hidden.log)"; fi
fi

# ---- trains ------------------------------------------------------------------------------------
if section train; then
    nvidia-smi --query-gpu=utilization.gpu,memory.used,power.draw --format=csv,noheader,nounits -lms 200 >smi.csv 2>/dev/null &
    smi=$!
    for arch in $archs; do
        subject="$arch trains on $device, $timed epochs"
        if train $arch --config $arch.toml --device "$device" --epochs $timed && grep -q "on ${device%%:*}" $arch.log; then
            verdict ok train "$subject" "$(epoch_ms $arch) ms an epoch"
        else verdict FAIL train "$subject" "$(end_of $arch.err)"; fi
    done
    kill $smi 2>/dev/null
    wait $smi 2>/dev/null
    [ ! -s smi.csv ] || note train "use of the GPU, memory, power" \
        "$(awk -F, '{u += $1; if ($2 > m) m = $2; if ($3 > p) p = $3} END {printf "%.0f %%, %d MiB, %.0f W", u / NR, m, p}' smi.csv)"
fi

# ---- computes what the CPU computes ----------------------------------------------------------------
if section agree; then
    declare -A device_of=([cpu]=cpu [gpu]=$device) # with DEVICE=cpu, two trainings on the CPU
    for arch in $archs; do
        # The same seed gives the same first weights, dropout and augmentation on every device.
        for on in cpu gpu; do train same-$arch-$on --config $arch.toml --device "${device_of[$on]}" --epochs 1; done
        found=$(difference same-$arch-cpu same-$arch-gpu)
        at_most "$found" 1e-3 && result=ok || result=FAIL
        verdict $result agree "$arch, first epoch of the recipe as on the CPU" "$found, at most 1e-3"

        train exact-$arch-cpu --config exact-$arch.toml --epochs 3 --device cpu
        for kind in exact tf32; do
            train $kind-$arch-gpu --config $kind-$arch.toml --epochs 3 --device "$device"
            limit=1e-3
            [ $kind = exact ] || limit=1e-2
            found=$(difference exact-$arch-cpu $kind-$arch-gpu)
            at_most "$found" $limit && result=ok || result=FAIL
            verdict $result agree "$arch, losses of 3 epochs as on the CPU, $kind" "$found, at most $limit"
        done
        : >scores.log
        for on in cpu gpu; do
            "$emovox" evaluate exact-$arch-gpu --json --device "${device_of[$on]}" >evaluate-$on.json 2>>scores.log
            "$emovox" predict exact-$arch-gpu $predicted --csv --device "${device_of[$on]}" >predict-$on.csv 2>>scores.log
        done
        # A clip whose two highest classes are nearly equal may change sides, so the UAR has a wider limit.
        python3 - >scores.txt 2>>scores.log <<'PY'
import csv, json
devices = ("cpu", "gpu")
a, b = (json.load(open(f"evaluate-{on}.json")) for on in devices)
nll = abs(a["calibration"]["nll"] - b["calibration"]["nll"])
print("evaluate", "ok" if nll < 5e-3 and abs(a["uar"] - b["uar"]) < 0.02 else "FAIL", f"nll within {nll:.1e}, UAR {a['uar']:.4f} and {b['uar']:.4f}")
def rows(on):
    head, *table = csv.reader(open(f"predict-{on}.csv"))
    first = head.index("label") + 1
    return {row[0]: (row[first - 1], list(map(float, row[first:]))) for row in table}
a, b = map(rows, devices)
most = max(abs(x - y) for f in a for x, y in zip(a[f][1], b[f][1]))
other = [f for f in a if a[f][0] != b[f][0] and sorted(a[f][1])[-1] - sorted(a[f][1])[-2] > 2 * most]
print("predict", "ok" if a.keys() == b.keys() and most < 5e-3 and not other else "FAIL", f"{len(a)} clips, probabilities within {most:.1e}")
PY
        while read -r what result value; do verdict "$result" agree "$arch, $what as on the CPU" "$value"; done <scores.txt
        [ "$(wc -l <scores.txt)" = 2 ] || verdict FAIL agree "$arch, evaluate and predict as on the CPU" "$(end_of scores.log)"
    done
fi

# ---- is stopped, killed and repeated ---------------------------------------------------------------
if section resume; then
    for name in whole again; do train $name --config bilstm.toml --device "$device" --epochs $whole; done
    drift=$(difference whole again) repeated=$(bytes whole again) limit=1e-3
    note resume "the same training twice, $whole epochs" "$repeated, losses within $drift"
    # If the GPU's sums differ in their last bits, two trainings without an interruption drift apart too.
    [ "$repeated" = "the same bytes" ] || limit=$(python3 -c "print('%.2g' % max(1e-3, 3 * float('$drift')))")

    "$emovox" train --data $corpus $labels --run stopped --config bilstm.toml --epochs $whole --device "$device" >stopped.log 2>&1 &
    child=$!
    wait_for_lines stopped 2 $child
    kill -TERM $child 2>/dev/null
    wait $child
    code=$?
    resume stopped
    found=$(difference whole stopped)
    [ $code = 143 ] && at_most "$found" "$limit" && result=ok || result=FAIL
    verdict $result resume "SIGTERM, resumed: the same losses" "exit code $code, $found, at most $limit, $(bytes whole stopped)"

    for round in $(seq $kills); do
        if [ $round = 1 ]; then
            set -- --data $corpus $labels --run killed --config bilstm.toml --epochs $whole
        else set -- --resume killed; fi
        "$emovox" train "$@" --device "$device" >>killed.log 2>&1 &
        child=$!
        before=$(lines killed)
        wait_for_lines killed $((before > 1 ? before : 1)) $child
        sleep 0.0$((RANDOM % 10))
        kill -9 $child 2>/dev/null
        wait $child 2>/dev/null
    done
    resume killed
    found=$(difference whole killed)
    at_most "$found" "$limit" && result=ok || result=FAIL
    verdict $result resume "kill -9 $kills times, resumed: the same losses" "$found, at most $limit, $(bytes whole killed)"
    "$emovox" evaluate whole --device cpu >cpu.log 2>&1 && result=ok || result=FAIL
    verdict $result resume "a run of $device is scored on the CPU" "$(end_of cpu.log)"
fi

# ---- several at once ---------------------------------------------------------------------------
if section jobs; then
    for jobs in 1 4; do
        at=$(date +%s%N)
        "$emovox" cross-validate --data $corpus $labels --config bilstm.toml --folds $folds --epochs $fold_epochs \
            --device "$device" --jobs $jobs --runs-dir jobs-$jobs --name all >jobs-$jobs.log 2>&1 && result=ok || result=FAIL
        took[jobs]=$((($(date +%s%N) - at) / 1000000))
        verdict $result jobs "$folds folds of $fold_epochs epochs, --jobs $jobs" "${took[jobs]} ms"
    done
    note jobs "throughput of --jobs 4, times that of --jobs 1" \
        "$(python3 -c "print('%.2f' % (${took[1]} / ${took[4]}))"), goal on a GPU: at least 2.5"
    port=$((20000 + RANDOM % 20000))
    for rank in 0 1; do
        WORLD_SIZE=2 RANK=$rank LOCAL_RANK=$rank MASTER_ADDR=127.0.0.1 MASTER_PORT=$port timeout 120 \
            "$emovox" train --data $corpus $labels --config exact-bilstm.toml --epochs 2 --device "$device" --run two >two-$rank.log 2>&1 &
        processes[rank]=$!
    done
    wait "${processes[@]}"
    if grep -q 'built for a single process' two-0.log; then
        verdict skip jobs "two processes train one model" "this build has no feature distributed"
    else
        train one --config exact-bilstm.toml --epochs 2 --device "$device"
        found=$(difference one two)
        at_most "$found" 1e-3 && result=ok || result=FAIL
        verdict $result jobs "two processes train one model" "$found; $(grep 'summed by' two-0.log || end_of two-0.log)"
    fi
fi
if section nccl && [ "$device" != cpu ]; then
    if [ -x "${NCCL_TEST:-}" ]; then
        "$NCCL_TEST" --exact distributed::gpus::tests::nccl_is_reached --ignored --nocapture >nccl.log 2>&1 &&
            grep -q '1 passed' nccl.log && result=ok || result=FAIL
        verdict $result nccl "NCCL sums, one process" "$(grep 'test result' nccl.log)"
    else verdict skip nccl "NCCL sums, one process" "NCCL_TEST names no test program"; fi
fi

# ---- too little memory ---------------------------------------------------------------------------
if section memory && [ "$device" != cpu ]; then
    python3 - "$device" >hog.log 2>&1 <<'PY' &
import sys, time, torch
device = torch.device(sys.argv[1])
free = torch.cuda.mem_get_info(device)[0]
held = torch.empty(free - (700 << 20), dtype=torch.uint8, device=device)
print("held", flush=True)
time.sleep(90)
PY
    hog=$!
    for _ in $(seq 600); do
        [ -s hog.log ] || ! kill -0 $hog 2>/dev/null || { sleep 0.1; continue; }
        break
    done
    if grep -q held hog.log; then
        timeout 60 "$emovox" train --data demo --device "$device" --epochs 1 --batch-size 4096 --run crowded >crowded.log 2>crowded.stderr
        code=$?
        sed -i '/^made the demo corpus in /d' crowded.stderr
        if [ $code = 0 ]; then
            verdict skip memory "memory of another process: one line" "the training needs no more than the 700 MiB that are left"
        elif [ $code = 1 ] && [ "$(wc -l <crowded.stderr)" = 1 ] && grep -q 'not have enough memory' crowded.stderr; then
            verdict ok memory "memory of another process: one line" "$(end_of crowded.stderr)"
        else verdict FAIL memory "memory of another process: one line" "exit code $code, $(wc -l <crowded.stderr) lines: $(end_of crowded.stderr)"; fi
    else verdict skip memory "memory of another process: one line" "$(end_of hog.log)"; fi
    kill $hog 2>/dev/null
    wait $hog 2>/dev/null
fi

# ---- speed -------------------------------------------------------------------------------------
if section speed && [ "$device" != cpu ]; then
    train fast-mean-lstm --config mean-lstm.toml --device "$device" --epochs $timed
    train fast-bilstm --config plain.toml --device "$device" --epochs $timed
    train fast-augmented --config bilstm.toml --device "$device" --epochs $timed
    train slow-bilstm --config plain.toml --device cpu --epochs 3
    note speed "epoch of emovox, mean-lstm" "$(epoch_ms fast-mean-lstm) ms"
    note speed "epoch of emovox, bilstm without augmentation" "$(epoch_ms fast-bilstm) ms"
    note speed "epoch of emovox, bilstm" "$(epoch_ms fast-augmented) ms"
    note speed "epoch of emovox on the CPU, bilstm without augmentation" "$(epoch_ms slow-bilstm) ms"
    peer=$here/compare/peers/train_torch.py
    if [ -f "$peer" ] && [ -n "$torch" ]; then
        for arch in bilstm mean-lstm; do
            "$emovox" features data/demo --run fast-$arch --out features-$arch >features.log 2>&1
        done
        while read -r arch peer_arch flags; do
            # shellcheck disable=SC2086 # several flags
            timeout 120 python3 "$peer" "runs/fast-$arch" "features-$arch" --arch "$peer_arch" --device "$device" --epochs $timed $flags >peer.log 2>&1
            theirs=$(tail -1 peer.log | python3 -c 'import json, statistics, sys; print(round(1000 * statistics.mean(json.load(sys.stdin)["epochs"][1:])))' 2>/dev/null)
            if [ -n "$theirs" ]; then
                note speed "epoch of PyTorch, $arch $flags, and its ratio" "$theirs ms, $(python3 -c "print('%.2f' % ($theirs / max(1, $(epoch_ms fast-$arch))))")"
            else verdict skip speed "epoch of PyTorch, $arch $flags" "$(end_of peer.log)"; fi
        done <<'END'
bilstm default
bilstm default --batches bucketed
bilstm default --resident
mean-lstm seed
mean-lstm seed --resident
END
    else verdict skip speed "epochs of PyTorch" "python3 has no torch, or compare/peers is not beside this script"; fi
fi

# ---- calls of the CUDA runtime -------------------------------------------------------------------
if section calls; then
    if ${CC:-cc} -O1 -shared -fPIC -o calls.so "$here/gpu-calls.c" -ldl 2>cc.log; then
        for epochs in 2 4; do
            # The difference between the two is that of two epochs.
            LD_PRELOAD=$out/calls.so CALLS_OUT=$out/calls-$epochs train calls-$epochs --config plain.toml --device "$device" --epochs $epochs
        done
        if [ -s calls-2 ] && [ -s calls-4 ]; then
            verdict ok calls "the calls of libtorch are counted"
            steps=$((2 * (($(grep -cE ',train(,|$)' runs/calls-4/split.csv) + 31) / 32)))
            [ "$device" = cpu ] || paste calls-2 calls-4 | awk -v s=$steps '{printf "%s %.1f\n", $1, ($4 - $2) / s}' |
                while read -r name count; do note calls "$name a step, with validation and saving" "$count"; done
        else verdict FAIL calls "the calls of libtorch are counted" "$(end_of calls-4.err)"; fi
    else verdict skip calls "the calls of libtorch are counted" "no C compiler: $(end_of cc.log)"; fi
fi

# ---- nothing on stderr ---------------------------------------------------------------------------
# Warnings of libtorch, cuDNN and emovox would be there.
if compgen -G '*.err' >trainings.txt; then
    found=$(xargs grep -HvE '^made the demo corpus in ' <trainings.txt | head -1 | cut -c1-100)
    [ -z "$found" ] && result=ok || result=FAIL
    verdict $result stderr "$(wc -l <trainings.txt) trainings print nothing on stderr" "$found"
fi

echo "$passed ok, $failed failed, $skipped skipped, $((SECONDS - started)) s; logs and gpu-check.tsv are in $out"
[ "$failed" = 0 ]
