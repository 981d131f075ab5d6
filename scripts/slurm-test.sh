#!/usr/bin/env bash
# Runs a sweep of twelve trials through a real Slurm on this machine, requeues a trial, kills one, cancels
# one, sends one the warning before its time limit, and compares the collected tables byte for byte with
# those of `emovox grid --run`. It installs Slurm from Debian's packages and needs root. If Slurm is already
# configured, the script stops without changes. If Slurm cannot be started, the exit code is 77.
#
#     scripts/slurm-test.sh
#     LIMIT=1500 scripts/slurm-test.sh     also a trial of 1500 epochs with a time limit of two minutes
#     SRUN=1 scripts/slurm-test.sh         also one training in two tasks, with a build that has `distributed`
set -euo pipefail
emovox=${EMOVOX:+$(readlink -m "$EMOVOX")}
cd "$(dirname "$0")/.."

emovox=${emovox:-$PWD/target/release/emovox}
[ -x "$emovox" ] || emovox=$PWD/target/debug/emovox
[ -x "$emovox" ] || { echo "build emovox first: cargo build --release" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root, to start slurmctld and slurmd" >&2; exit 2; }
marker="# emovox: scripts/slurm-test.sh"
conf=/etc/slurm/slurm.conf
if [ -e $conf ] && ! grep -q "^$marker" $conf; then
    echo "$conf was not written by this script, so it is not replaced" >&2
    exit 2
fi
started=$(date +%s)
step() { printf '== %3d s  %s\n' "$(($(date +%s) - started))" "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
# Slurm cannot be started, so emovox was not tested.
no_slurm() { echo "Slurm does not run here: $*" >&2; exit 77; }

step "Slurm from Debian's packages"
if ! command -v slurmctld >/dev/null || ! command -v munged >/dev/null; then
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y slurm-wlm munge >/dev/null; } ||
        no_slurm "its packages cannot be installed"
fi

work=$(mktemp -d /tmp/emovox-slurm.XXXXXX)
host=$(hostname -s)
mkdir -p "$work/state" "$work/spool" /run/munge
chmod 755 "$work"
[ -s /etc/munge/munge.key ] || mungekey --create
chown -R munge: /run/munge /etc/munge
cat > $conf <<END
$marker
ClusterName=emovox
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CryptoType=crypto/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=30
MinJobAge=300
OverTimeLimit=0
SchedulerParameters=sched_interval=2,batch_sched_delay=1
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=short Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
# The daemons write their state when they end, so their folder is removed afterwards. A failure to remove it
# is not a failure of the test.
stop() {
    scancel --name=emovox-sweep 2>/dev/null || true
    for file in "$work"/slurmd.pid "$work"/slurmctld.pid; do
        pid=$(cat "$file" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 150); do
            kill -0 "$pid" 2>/dev/null || continue 2
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null || true
    done
    [ -z "${munged:-}" ] || { kill "$munged" 2>/dev/null && wait "$munged"; } || true
    rm -f $conf
    [ -n "${KEEP:-}" ] || rm -rf "$work" || echo "left behind: $work" >&2
}
trap stop EXIT
pidof munged >/dev/null || { runuser -u munge -- /usr/sbin/munged --foreground > "$work/munged.log" 2>&1 & munged=$!; sleep 1; }
slurmctld && slurmd || no_slurm "its daemons do not start"
for _ in $(seq 60); do
    sinfo -h -o %T 2>/dev/null | grep -q idle && break
    sleep 0.5
done
sinfo | grep -q idle || { tail "$work"/*.log; no_slurm "the node is not idle"; }

cd "$work"
export EMOVOX_CACHE=$work/cache
cat > sweep.toml <<END
folds = 3
seeds = [1, 2]
[config]
data.folder = "demo"
model = { arch = "seed", hidden = 16 }
training = { epochs = ${EPOCHS:-12}, device = "cpu" }
[sweep]
model.hidden = [16, 32]
[baseline]
model.hidden = 16
END

step "the same sweep by --run"
"$emovox" grid sweep.toml --runs-dir here --run --jobs 2 > here.log || { cat here.log; fail "--run"; }

# Number of completed epochs of a trial, from its metrics.csv.
epochs() { local csv=runs/sweep/$1/metrics.csv; [ ! -e "$csv" ] || echo $(($(wc -l < "$csv") - 1)); }
cell_of() { sed -n "$(($1 + 1))p" runs/sweep/slurm/0.cells; }
running() { squeue -h -r -t R -o %K --name=emovox-sweep | sort -n; }
# The process that trains a trial, not the shell of its job.
process_of() {
    local file words
    for file in /proc/[0-9]*/cmdline; do
        { mapfile -d '' -t words < "$file"; } 2>/dev/null || continue
        case ${words[*]} in "$emovox "*" $work/sweep.toml "*" --cell $1"*)
            file=${file%/cmdline}
            echo "${file##*/}"
            return
            ;;
        esac
    done
    return 1
}
# Waits for a running trial, other than the given ones, that has completed an epoch, and stops it with
# SIGSTOP, so that it does not end before the test uses it. Prints its task number and its process.
begun() {
    local task done cell process
    for _ in $(seq 600); do
        for task in $(running); do
            case " $* " in *" $task "*) continue ;; esac
            cell=$(cell_of "$task")
            done=$(epochs "$cell")
            [ "${done:-0}" -ge 1 ] || continue
            process=$(process_of "$cell") || continue
            kill -STOP "$process" 2>/dev/null || continue
            if [ "$(epochs "$cell")" -lt "$((${EPOCHS:-12} - 2))" ]; then
                echo "$task $process"
                return
            fi
            kill -CONT "$process"
        done
        sleep 0.05
    done
    return 1
}
# Continues a stopped process when a signal is pending for it. Slurm may have continued it already.
release() {
    for _ in $(seq 100); do
        grep -q "^State:.T" "/proc/$1/status" 2>/dev/null || return 0
        ! grep -q "^S[hi][dg]Pnd:.*[1-9a-f]" "/proc/$1/status" 2>/dev/null || break
        sleep 0.1
    done
    kill -CONT "$1" 2>/dev/null || true
}

step "sbatch: a job array of twelve trials"
"$emovox" grid sweep.toml --slurm --partition short --time 10 > submit.log || { cat submit.log; fail "submit"; }
cat submit.log
job=$(sed -n 's/.*as job \([0-9]*\)$/\1/p' submit.log)
"$emovox" grid sweep.toml --slurm --partition short | grep -q "12 trials are already in the queue" ||
    fail "trials were submitted twice"

read -r task process < <(begun) || fail "no trial started"
requeued=$(cell_of "$task")
step "requeue $requeued after epoch $(epochs "$requeued"), as preemption does"
scontrol requeue "${job}_$task"
release "$process"
for _ in $(seq 200); do # until it has saved and ended
    running | grep -qx "$task" || break
    sleep 0.1
done
"$emovox" grid sweep.toml --status | tee status.log
grep -q "in the queue" status.log || fail "--status"

read -r second process < <(begun "$task") || fail "no second trial started"
killed=$(cell_of "$second")
step "kill -9 of $killed after epoch $(epochs "$killed")"
kill -9 "$process"

read -r third process < <(begun "$task" "$second") || fail "no third trial started"
cancelled=$(cell_of "$third")
step "scancel of $cancelled after epoch $(epochs "$cancelled")"
scancel "${job}_$third"
release "$process"

read -r fourth process < <(begun "$task" "$second" "$third") || fail "no fourth trial started"
warned=$(cell_of "$fourth")
step "the warning before the time limit to $warned after epoch $(epochs "$warned"): only to the job's shell"
# The job requeues itself immediately, and scancel would retry to reach it there.
timeout 3 scancel --signal=USR1 --batch "$(squeue -h -j "${job}_$fourth" -o %A)" 2>/dev/null || true
release "$process"

wait_for_queue() {
    for _ in $(seq 1200); do
        [ -n "$(squeue -h --name=emovox-sweep)" ] || return 0
        # By default, a requeued job waits two minutes.
        for held in $(squeue -h -r -t PD -o %i --name=emovox-sweep); do
            scontrol update JobId="$held" StartTime=now >/dev/null 2>&1 || true
        done
        sleep 0.5
    done
    return 1
}
wait_for_queue || fail "jobs remain in the queue"
"$emovox" collect sweep.toml > collected.log
"$emovox" grid sweep.toml --status | tail -1
for of in "$task $requeued" "$fourth $warned"; do
    grep -q "continues after" "runs/sweep/slurm/${job}_${of%% *}.log" ||
        fail "${of#* } did not continue from its checkpoint"
done

step "the killed and the cancelled trial again"
"$emovox" grid sweep.toml --slurm --partition short --time 10 | tee again.log
grep -q "submitted 2 trials" again.log || fail "the two missing trials were not submitted"
wait_for_queue || fail "jobs remain in the queue"
"$emovox" collect sweep.toml > collected.log
cat collected.log

step "the tables, byte for byte"
for file in grid.txt grid.json settings.csv cells.csv grid.png; do
    cmp "here/sweep/$file" "runs/sweep/$file" || fail "$file differs"
    sha256sum "runs/sweep/$file"
done
for cell in $(cat runs/sweep/slurm/0.cells); do
    cmp "here/sweep/$cell/best.ot" "runs/sweep/$cell/best.ot" || fail "the weights of $cell differ"
done
grep -h "continues after\|stopped after" runs/sweep/slurm/*.log || true
if [ -n "${SRUN:-}" ]; then
    step "one training in two tasks of srun"
    MASTER_ADDR=127.0.0.1 MASTER_PORT=29431 srun --partition short --ntasks 2 --export ALL \
        "$emovox" train --arch mean-lstm --epochs 2 --run together > srun.log 2>&1 || { cat srun.log; fail "srun"; }
    grep "2 processes train one model" srun.log
    tail -1 srun.log
fi
if [ -n "${LIMIT:-}" ]; then
    step "a trial that takes longer than its time limit of two minutes"
    sed 's/folds = 3//; s/seeds = .*/seeds = [1]/; s/\[16, 32\]/[16]/; s/epochs = [0-9]*/epochs = '"$LIMIT"'/' sweep.toml > long.toml
    "$emovox" grid long.toml --slurm --partition short --time 2 --sbatch=--signal=B:USR1@20
    for _ in $(seq 1200); do
        [ -n "$(squeue -h --name=emovox-long)" ] || break
        for held in $(squeue -h -r -t PD -o %i --name=emovox-long); do
            scontrol update JobId="$held" StartTime=now >/dev/null 2>&1 || true
        done
        sleep 0.5
    done
    grep -h "continues after\|stopped after" runs/long/slurm/*.log
    "$emovox" grid long.toml | tail -1 | grep "1 of 1 done" || fail "the trial is not finished"
fi
step "ok: 12 trials through Slurm, one requeued, one killed, one cancelled, one at its time limit; the same tables and weights"
