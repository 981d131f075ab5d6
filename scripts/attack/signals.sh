#!/usr/bin/env bash
# Interrupts trainings with signals: 200 SIGINTs for each architecture with one and two threads, then a quarter
# as many SIGTERMs, SIGHUPs and SIGUSR1s. Every process must save and exit with 128 plus the signal's number,
# and an interrupted and resumed training must give the same bytes as an uninterrupted one.
#
#     EMOVOX=target/release/emovox scripts/attack/signals.sh                     all, about half an hour
#     EMOVOX=target/release/emovox scripts/attack/signals.sh 20                  20 instead of 200
#     EMOVOX=target/release/emovox scripts/attack/signals.sh 200 INT:seed:1 …    signal, architecture, threads
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
many=${1:-200}
shift || true
few=$((many / 4))
epochs=20

# Starts or resumes the training `attacked` and waits until it has completed one more epoch.
start() {
    local before
    before=$(epochs_of attacked)
    if [ -e runs/attacked/config.toml ]; then
        "$emovox" train --resume attacked --threads "$threads" > log 2>&1 &
    else
        "$emovox" train "${recipe[@]}" --threads "$threads" --run attacked > log 2>&1 &
    fi
    process=$!
    progress() { [ "$(epochs_of attacked)" -gt "$before" ] || has_ended; }
    within 120 progress || { echo "FAILED: no epoch in 120 s"; exit 1; }
}

has_ended() { ! kill -0 $process 2> /dev/null; }

# Waits for the process; sets `code`.
wait_for_end() {
    within 120 has_ended || { echo "FAILED: no end in 120 s"; exit 1; }
    code=0
    wait $process 2> /dev/null || code=$?
}

epochs_of() {
    local journal=runs/$1/metrics.csv
    if [ -e "$journal" ]; then grep -c '^[0-9]' "$journal" || true; else echo 0; fi
}

# The results that an interruption must not change: all except the seconds, the last column of metrics.csv.
outcome() {
    { sed 's/,[^,]*$//' "runs/$1/metrics.csv"
      cat "runs/$1/best.ot" "runs/$1/predictions.csv" "runs/$1/confusion.csv"; } | sha256sum
}

# A finished training must give the same results as the uninterrupted one.
compare() {
    if [ $code -eq 0 ] && [ "$(outcome attacked)" = "$expected" ]; then same=$((same + 1)); else other=$((other + 1)); fi
    rm -rf runs/attacked
}

# attack COUNT SIGNAL ARCHITECTURE THREADS
attack() {
    local sent=0 saved=0 same=0 other=0 wanted expected recipe code process list=""
    local -A codes=()
    wanted=$((128 + $(kill -l "$2")))
    threads=$4
    recipe=(--arch "$3" --device cpu --labels anger,sadness --epochs $epochs --early-stopping 0)
    "$emovox" train "${recipe[@]}" --threads "$threads" --run whole > log 2>&1 || { cat log; exit 1; }
    expected=$(outcome whole)
    while [ $sent -lt "$1" ]; do
        start
        sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
        kill -"$2" $process 2> /dev/null || true
        wait_for_end
        # The training had ended before the signal.
        if [ $code -eq 0 ]; then compare; continue; fi
        sent=$((sent + 1))
        codes[$code]=$((${codes[$code]:-0} + 1))
        # While the test subset is scored, nothing remains to be saved.
        if [ $code -eq $wanted ] && { grep -q "and saved; to continue" log || [ "$(epochs_of attacked)" -eq $epochs ]; }; then
            saved=$((saved + 1))
        fi
    done
    if [ -e runs/attacked ]; then
        "$emovox" train --resume attacked --threads "$threads" > log 2>&1 && code=0 || code=$?
        compare
    fi
    rm -rf runs/whole
    for code in "${!codes[@]}"; do list+=" ${codes[$code]} × $code"; done
    echo "SIG$2, $3, $4 threads: of $sent signals $saved saved; exit codes:$list; $same resumed trainings the same, $other others"
    [ $saved -eq $sent ] && [ $other -eq 0 ] || failures=1
}

if [ $# -eq 0 ]; then
    for arch in seed bilstm; do
        for threads in 1 2; do attack "$many" INT $arch $threads; done
    done
    for signal in TERM HUP USR1; do attack "$few" $signal seed 1; done
fi
for round in "$@"; do
    IFS=: read -r signal arch threads <<< "$round"
    attack "$many" "$signal" "$arch" "$threads"
done
exit $failures
