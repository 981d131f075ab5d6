#!/usr/bin/env bash
# Bounds on work, against the program at $EMOVOX: a recording of an hour under many memory limits, ten
# thousand short recordings, a ladder of links, an archive of folders, slow servers, and a stream that is
# faster than its predictions. Prints a line for each attack; exits with 1 if one of them succeeds.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# wav FILE SECONDS RATE: a sparse file of silence, which needs almost no disk space.
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

timeout 600 "$emovox" train --config small.toml --epochs 1 --device cpu --run mine > log 2>&1
report "a small model is trained"
clip=$(find data/demo -name '*.wav' | sort | head -1)

wav hour.wav 3600 16000
for limit in 600000 650000 700000 750000 800000 850000 900000 950000 1000000 1100000 1200000 1500000; do
    (ulimit -v $limit; exec timeout 300 "$emovox" predict mine hour.wav "$clip" --csv --device cpu) > out 2> error
    code=$?
    # Either the recording fits, or it is an error with the reason; the program never crashes.
    if [ $code = 0 ]; then
        [ "$(wc -l < out)" = 3 ]
    else
        [ $code = 1 ] && grep -q 'hour.wav: there is not enough memory.*--window' error
    fi
    report "an hour with $limit kB of address space (exit $code)"
done
(ulimit -v 900000; exec timeout 300 "$emovox" predict mine hour.wav --window 3 --csv --device cpu) > out 2> error
report "the same hour in windows with 900000 kB"

mkdir many
for number in $(seq -w 10000); do ln "$clip" "many/$number.wav"; done
began=$(date +%s)
timeout 900 "$emovox" predict mine many --csv --device cpu 2> error | { IFS= read -r _; IFS= read -r _; date +%s > first; cat; } > rest
code=$?
first=$(($(cat first) - began)) last=$(($(date +%s) - began))
[ $code = 0 ] && [ "$(wc -l < rest)" = 9999 ] && [ $first -lt $last ]
report "10,000 recordings: the first after $first s, the last after $last s"
sort -c rest
report "in their order"

mkdir -p ladder/26
cp "$clip" ladder/26/1.wav
for level in $(seq 0 25); do
    mkdir -p "ladder/$level"
    ln -s "../$((level + 1))" "ladder/$level/a"
    ln -s "../$((level + 1))" "ladder/$level/b"
done
timeout 60 "$emovox" predict mine ladder --csv --device cpu > out 2> error && [ "$(wc -l < out)" = 2 ]
report "26 levels of two links each"

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
within 60 test -s servers || { echo "FAILED  the servers do not start"; exit 1; }
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
    code=$? seconds=$(($(date +%s) - began))
    [ $code = 1 ] && grep -q "$words" error && [ ! -e "$name" ]
    report "a server: $name, $seconds s"
    rm -rf .fetching-*
done

# Forty seconds of speech in real time, with windows of a minute, twenty times a second.
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
summary=$(grep -o '[0-9:.]* of audio, .*' error)
if grep -q 'behind the audio.*--hop' error; then delay=reported; else delay=none; fi
[ $code = 0 ] && { [ $delay = reported ] || ! grep -qE 'all within ([6-9]|[1-9][0-9])[0-9]{3} ms' error; }
report "a live stream in windows of 60 s every 0.05 s: delay: $delay; $summary"
timeout 600 "$emovox" listen mine --raw s16le --rate 16000 --window 60 --hop 0.5 --device cpu < talk.raw > out 2> error
code=$?
[ $code = 0 ] && ! grep -q 'behind the audio' error
report "a file has no delay"

[ $failures = 0 ]
