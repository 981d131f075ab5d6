# Common parts of the attack scripts, which source this file: the program, a temporary folder that is removed
# at the end with all background processes, and the report of each attack.

emovox=$(realpath "${EMOVOX:?set EMOVOX to the program to attack}")
folder=$(mktemp -d)
cd "$folder" || exit 1
export EMOVOX_CACHE=$folder/cache
failures=0
children=()

finish() {
    for child in $(jobs -p) ${children[@]+"${children[@]}"}; do
        kill -KILL "$child" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap finish EXIT

# report NAME: prints whether the attack NAME had the expected outcome, which is the status of the last
# command. NAME may not contain a command substitution, which would replace this status.
report() {
    local outcome=$?
    if [ $outcome -eq 0 ]; then
        echo "ok      $1"
    else
        echo "FAILED  $1"
        tail -n 5 log 2>/dev/null | sed 's/^/        /'
        failures=$((failures + 1))
    fi
}

# within SECONDS COMMAND…: waits until the command succeeds, at most so many seconds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.01
    done
}

# A small model on few features.
cat >small.toml <<'END'
[features]
n_mfcc = 13
n_mels = 32
hop_length = 400
[model]
arch = "bilstm"
input = 16
hidden = 16
heads = 2
[training]
batch_size = 8
END
