#!/usr/bin/env bash
# Work out of proportion, against the program at $EMOVOX: an hour-long recording under many limits of
# memory, ten thousand short ones, a ladder of links, an archive of folders, slow servers, a stream that
# comes faster than it is predicted. A line for each attack; a failure is exit code 1.
set -uo pipefail
emovox=$(realpath "${EMOVOX:?the program to attack}")
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
export OMP_NUM_THREADS=1 EMOVOX_CACHE=$work/cache
failures=0

# passes NAME: the last command's success, as a line.
verdict() {
    if [ "$1" = 0 ]; then echo "held    $2"; else echo "FAILED  $2"; failures=$((failures + 1)); fi
}

# wav FILE SECONDS RATE: silence that takes no room on the disk.
wav() {
    python3 - "$@" <<'END'
import struct, sys
name, seconds, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
length = seconds * rate * 2
with open(name, "wb") as out:
    out.write(b"RIFF" + struct.pack("<I", 36 + length) + b"WAVEfmt ")
    out.write(struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16) + b"data" + struct.pack("<I", length))
    out.truncate(44 + length)
END
}

cat > small.toml <<'END'
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
epochs = 1
END
timeout 600 "$emovox" train --config small.toml --device cpu --run mine > train.log 2>&1
verdict $? "a small model is trained"
clip=$(find data/demo -name '*.wav' | sort | head -1)

wav hour.wav 3600 16000
for limit in 600000 650000 700000 750000 800000 850000 900000 950000 1000000 1100000 1200000 1500000; do
    (ulimit -v $limit; exec timeout 300 "$emovox" predict mine hour.wav "$clip" --csv --device cpu) > out 2> error
    code=$?
    # Either it fits, or one line says why not; it never dies.
    if [ $code = 0 ]; then
        [ "$(wc -l < out)" = 3 ]
    else
        [ $code = 1 ] && grep -q 'hour.wav: there is not enough memory.*--window' error
    fi
    verdict $? "an hour with $limit kB of addresses (exit $code)"
done
(ulimit -v 900000; exec timeout 300 "$emovox" predict mine hour.wav --window 3 --csv --device cpu) > out 2> error
verdict $? "the same hour in windows with 900000 kB"

mkdir many
for number in $(seq -w 10000); do ln "$clip" "many/$number.wav"; done
began=$(date +%s)
timeout 900 "$emovox" predict mine many --csv --device cpu 2> error | { IFS= read -r _; IFS= read -r _; date +%s > first; cat; } > rest
code=$?
[ $code = 0 ] && [ "$(wc -l < rest)" = 9999 ] && [ $(($(cat first) - began)) -lt $(($(date +%s) - began)) ]
verdict $? "10,000 recordings: the first after $(($(cat first) - began)) s, the last after $(($(date +%s) - began)) s"
sort -c rest
verdict $? "in their order"

mkdir -p ladder/26
cp "$clip" ladder/26/1.wav
for level in $(seq 0 25); do
    mkdir -p "ladder/$level"
    ln -s "../$((level + 1))" "ladder/$level/a"
    ln -s "../$((level + 1))" "ladder/$level/b"
done
timeout 60 "$emovox" predict mine ladder --csv --device cpu > out 2> error && [ "$(wc -l < out)" = 2 ]
verdict $? "26 levels of two links each"

python3 - <<'END'
import zipfile
with zipfile.ZipFile("folders.zip", "w") as out:
    for number in range(60_000):
        out.writestr("/".join(f"{number}-{level}" for level in range(15)) + "/a.wav", b"")
# 900,000 folders in all
END
python3 - > servers <<'END' &
import http.server, os, socket, sys, threading, time
class Archive(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive)
threading.Thread(target=server.serve_forever, daemon=True).start()
def drip(head, seconds):
    listener = socket.create_server(("127.0.0.1", 0))
    def serve(client):
        try:
            client.recv(4096)
            client.sendall(head)
            while True:
                time.sleep(seconds)
                client.sendall(b"x")
        except OSError:
            pass
    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]
slow = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 1)
mute = drip(b"", 1000)
print(server.server_address[1], slow, mute, flush=True)
time.sleep(1200)
END
for _ in $(seq 50); do [ -s servers ] && break; sleep 0.2; done
read -r archive slow mute < servers
for attack in "folders $archive folders.zip 10000 folders" "slow $slow file too slow" "mute $mute file sends no data"; do
    read -r name port file words <<< "$attack"
    cat > homes.toml <<END
[[corpus]]
name = 'emodb'
title = 'x'
home = 'http://home.example'
licence = 'CC0'
cite = 'x'
megabytes = 500
unpacked_megabytes = 500
clips = 1
speakers = ['03']
classes = { anger = 1 }
[[corpus.archive]]
url = 'http://127.0.0.1:$port/$file'
compared = ''
END
    began=$(date +%s)
    timeout 120 "$emovox" corpus fetch emodb --yes --source homes.toml --into "$name" > out 2> error
    [ $? = 1 ] && grep -q "$words" error && [ ! -e "$name" ]
    verdict $? "a server: $name, $(($(date +%s) - began)) s"
    rm -rf .fetching-*
done

# Forty seconds of a voice at the speed of speech; windows of a minute, twenty times a second.
python3 - "$clip" <<'END' > talk.raw
import sys, wave
sound = wave.open(sys.argv[1]).readframes(10**9)
sys.stdout.buffer.write((sound * 100)[:40 * 32_000])
END
python3 - <<'END' | timeout 300 "$emovox" listen mine --raw s16le --rate 16000 --window 60 --hop 0.05 --device cpu > out 2> error
import sys, time
talk = open("talk.raw", "rb").read()
for start in range(0, len(talk), 3200):
    sys.stdout.buffer.write(talk[start:start + 3200])
    sys.stdout.buffer.flush()
    time.sleep(0.1)
END
code=$?
heard=$(grep -o '[0-9:.]* of audio, .*' error)
if grep -q 'behind the audio.*--hop' error; then delay=told; else delay="not told, as there was none"; fi
[ $code = 0 ] && { [ "$delay" = told ] || ! grep -qE 'all within ([6-9]|[1-9][0-9])[0-9]{3} ms' error; }
verdict $? "a live stream in windows of 60 s every 0.05 s: delay $delay; $heard"
timeout 600 "$emovox" listen mine --raw s16le --rate 16000 --window 60 --hop 0.5 --device cpu < talk.raw > out 2> error
code=$?
[ $code = 0 ] && ! grep -q 'behind the audio' error
verdict $? "a file has no delay"

[ $failures = 0 ]
