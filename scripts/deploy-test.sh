#!/usr/bin/env bash
# Starts emovox as a server in the two ways that docs/serve.md describes, and checks the limits of each: with
# scripts/serve/emovox.service under a real systemd, booted in a container, and in the image of the Dockerfile, with
# a read-only file system and without capabilities.
#
#     scripts/deploy-test.sh unit
#     scripts/deploy-test.sh image
#
# Needs root. `unit` needs Debian's systemd-container and mmdebstrap; it downloads a small Debian once, into
# target/deploy. `image` needs podman or Docker, and builds the image (ten minutes), or uses the one in IMAGE.
#
# Environment:
#   EMOVOX   a built emovox for `unit` and for the expected answers (default: target/release/emovox)
#   ENGINE   podman or docker (default: podman)
#   IMAGE    an image that is built already
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

emovox=$(readlink -f "${EMOVOX:-target/release/emovox}")
[ -x "$emovox" ] || { echo "build emovox first: cargo build --release" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 2; }
work=$PWD/target/deploy
rm -rf "$work/trial" && mkdir -p "$work/trial"
token=trial-token-0123456789abcdef
failed=0
check() { # TEXT COMMAND…
    local text=$1
    shift
    if "$@"; then echo "ok      $text"; else echo "FAILED  $text" && failed=1; fi
}

not() { ! "$@" >/dev/null 2>&1; }

python3 - "$work/trial/clip.wav" <<'END'
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "scripts/serve")
import sound
open(sys.argv[1], "wb").write(sound.wav(sound.voice(3)))
END
# The answer of the server has the same values without the spaces.
"$emovox" predict - --json <"$work/trial/clip.wav" 2>"$work/trial/note" | tr -d ' \n' >"$work/trial/expected"

test_unit() {
    local root=$work/root libtorch
    libtorch=$(readlink -f .libtorch)/lib
    [ -d "$root/usr" ] || mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,curl,libstdc++6 \
        bookworm "$root"
    install -d -m 700 "$root/etc/emovox"
    (umask 077 && echo "$token" >"$root/etc/emovox/tokens")
    install -m 644 scripts/serve/emovox.service "$root/etc/systemd/system/"
    echo /usr/local/lib/libtorch >"$root/etc/ld.so.conf.d/libtorch.conf"
    cat >"$work/trial/run.sh" <<END
exec >/trial/log 2>&1
ldconfig
systemctl start emovox
for _ in \$(seq 300); do curl -sf http://127.0.0.1:8080/readyz >/dev/null && break; sleep 0.1; done
ask() { curl -s -m 60 -w '%{stderr}%{http_code}' --data-binary @/trial/clip.wav "\$@" http://127.0.0.1:8080/v1/predict; }
ask >/dev/null 2>/trial/without-token
ask -H "Authorization: Bearer $token" >/trial/with-token 2>/dev/null
pid=\$(systemctl show -p MainPID --value emovox)
cat /proc/\$pid/status >/trial/status
nsenter -t \$pid -m touch /etc/x /usr/x /var/x /x 2>/trial/touch
systemctl stop emovox
systemctl show -p Result,ExecMainStatus emovox >/trial/result
journalctl -b -u emovox --no-pager -o cat
END
    cat >"$root/etc/systemd/system/trial.service" <<'END'
[Service]
Type=oneshot
ExecStart=/bin/bash /trial/run.sh
ExecStopPost=/bin/systemctl poweroff --no-block
END
    mkdir -p "$root/etc/systemd/system/default.target.wants"
    ln -sf ../trial.service "$root/etc/systemd/system/default.target.wants/"
    timeout 300 systemd-nspawn -q -D "$root" --boot --register=no --keep-unit \
        --private-network --bind="$work/trial:/trial" --bind-ro="$emovox:/usr/local/bin/emovox" \
        --bind-ro="$libtorch:/usr/local/lib/libtorch" >"$work/trial/console" 2>&1 || true
    cat "$work/trial/log"
    check "a request without a token is rejected" grep -q '^401$' "$work/trial/without-token"
    check "a request with a token has the answer of predict" cmp "$work/trial/with-token" "$work/trial/expected"
    check "the process is not root" grep -qE '^Uid:\s+[1-9]' "$work/trial/status"
    check "the process has no capability" grep -qE '^CapBnd:\s+0+$' "$work/trial/status"
    check "the process cannot get privileges" grep -qE '^NoNewPrivs:\s+1$' "$work/trial/status"
    check "system calls are filtered" grep -qE '^Seccomp:\s+2$' "$work/trial/status"
    check "nothing can be written" [ "$(grep -c 'Read-only file system' "$work/trial/touch")" = 4 ]
    check "SIGTERM ends it with exit code 0" grep -q '^ExecMainStatus=0$' "$work/trial/result"
}

# crun of Debian 12 rejects a machine with both versions of cgroups. In its own mount namespace, podman sees only the
# first one.
with_one_cgroup_version() {
    unshare -m sh -c '! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified; exec "$@"' sh "$@"
}

test_image() {
    engine=${ENGINE:-podman} name=emovox-trial
    local image=${IMAGE:-emovox} port=18080 build=() flags=()
    if [ "$engine" = podman ]; then
        engine="with_one_cgroup_version podman"
        build=(--format docker)                                 # the other format has no health check
        flags=(--cgroups=disabled --read-only-tmpfs=false)      # no writable folders in a read-only container
    fi
    [ -n "${IMAGE:-}" ] || $engine build "${build[@]}" -t "$image" .
    (umask 077 && echo "$token" >"$work/trial/tokens" && chown 10001 "$work/trial/tokens")
    trap '$engine rm -f -t 1 $name >/dev/null 2>&1 || true' EXIT
    run() {
        $engine run "${flags[@]}" --read-only --cap-drop=ALL --security-opt=no-new-privileges "$@"
    }
    check "without a token file it does not start" not run --rm "$image"
    run -d --name $name --network host -v "$work/trial/tokens:/run/secrets/emovox-tokens:ro" "$image" \
        serve --address "127.0.0.1:$port" --token-file /run/secrets/emovox-tokens >/dev/null
    local url=http://127.0.0.1:$port ask
    for _ in $(seq 300); do curl -sf $url/readyz >/dev/null && break; sleep 0.1; done
    ask=(curl -s -m 60 --data-binary "@$work/trial/clip.wav" "$url/v1/predict")
    check "a request without a token is rejected" [ "$("${ask[@]}" -o /dev/null -w '%{http_code}')" = 401 ]
    "${ask[@]}" -H "Authorization: Bearer $token" >"$work/trial/with-token"
    check "a request with a token has the answer of predict" cmp "$work/trial/with-token" "$work/trial/expected"
    $engine exec $name cat /proc/1/status >"$work/trial/status"
    check "the process is not root" grep -qE '^Uid:\s+10001\s' "$work/trial/status"
    check "the process has no capability" grep -qE '^CapBnd:\s+0+$' "$work/trial/status"
    check "the process cannot get privileges" grep -qE '^NoNewPrivs:\s+1$' "$work/trial/status"
    check "system calls are filtered" grep -qE '^Seccomp:\s+2$' "$work/trial/status"
    $engine exec -u 0 $name touch /etc/x /tmp/x /x 2>"$work/trial/touch" || true
    check "nothing can be written" [ "$(grep -c 'Read-only file system' "$work/trial/touch")" = 3 ]
    $engine stop -t 40 $name >/dev/null
    check "SIGTERM ends it with exit code 0" [ "$($engine inspect -f '{{.State.ExitCode}}' $name)" = 0 ]
    $engine rm $name >/dev/null
    run -d --name $name --network none -v "$work/trial/tokens:/run/secrets/emovox-tokens:ro" "$image" >/dev/null
    check "the health check of the image succeeds" is_healthy
}

is_healthy() {
    for _ in $(seq 30); do
        case $engine in
        *podman) ! $engine healthcheck run $name >/dev/null 2>&1 || return 0 ;;
        *) [ "$($engine inspect -f '{{.State.Health.Status}}' $name)" != healthy ] || return 0 ;;
        esac
        sleep 1
    done
    return 1
}

case "${1:-}" in
unit) test_unit ;;
image) test_image ;;
*) sed -n '2,17s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
exit $failed
