"""Malformed requests of many kinds for a limited time, with valid requests in between that must all be answered
with the same bytes.

Each kind is a method that sends one malformed request; `right` names the answers that are right for it. Another
answer is a failure, and so is a connection without an answer and without an end before the deadline."""
import asyncio
import random
import struct
import time
from dataclasses import dataclass, field

import sound
from client import BINARY, CLOSE, PING, TEXT, Closed, Connection, frame, request

#: The server runs with --timeout 3, so it ends every connection that makes no progress in less than this time.
DEADLINE = 20
ATTACKERS = 12
#: Idle connections, more than --max-connections allows.
CROWD = 300
PREDICT = "/v1/predict"
STREAM = "/v1/stream?encoding=s16le&rate=16000"
CLOSED = "closed"


@dataclass
class Outcome:
    seconds: float
    malformed: int = 0
    valid: int = 0
    #: Valid requests with another answer or without one.
    wrong: int = 0
    #: What happened, by kind: status codes and closed connections, with their numbers.
    answers: dict = field(default_factory=dict)
    failures: list = field(default_factory=list)


def right(*answers):
    """The answers that are right for a kind."""
    def mark(kind):
        kind.right = set(answers)
        return kind
    return mark


def handshake(change="", method="GET"):
    """The bytes of a WebSocket handshake with another value of one header. A change without a value removes the
    header."""
    name, _, value = change.partition(":")
    lines = [f"{method} {STREAM} HTTP/1.1", "Host: 127.0.0.1", "Connection: Upgrade", "Upgrade: websocket",
             "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    lines = [line for line in lines if not line.startswith(name + ":")] + ([change] if value else [])
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Attack:
    """One malformed request: its random numbers, a valid recording, and the port."""

    def __init__(self, port, clip, seed):
        self.port, self.clip, self.random = port, clip, random.Random(seed)

    def noise(self, most):
        return self.random.randbytes(self.random.randrange(1, most))

    async def raw(self, data, finish=False):
        """Sends bytes as they are; the status of the answer, or CLOSED."""
        async with Connection(self.port) as connection:
            await connection.send(data)
            if finish:
                connection.writer.write_eof()
            return (await connection.answer()).status

    async def post(self, body, target=PREDICT, headers=()):
        return await self.raw(request("POST", target, body, headers))

    async def socket(self, *frames, target=STREAM):
        """Sends frames after an upgrade; the code of the server's close frame."""
        async with Connection(self.port) as connection:
            answer = await connection.upgrade(target)
            if answer.status != 101:
                return answer.status
            for data in frames:
                await connection.send(data)
            while True:
                opcode, message = await connection.message()
                if opcode == CLOSE:
                    return struct.unpack(">H", message[:2])[0] if message else 1005

    # HTTP

    @right(400, 404, 405, 431, CLOSED)
    async def random_bytes_as_request(self):
        return await self.raw(self.noise(5000) + b"\r\n\r\n", finish=True)

    @right(422)
    async def random_body(self):
        return await self.post(self.noise(50_000))

    @right(200, 422)
    async def cut_recording(self):
        return await self.post(self.clip[:self.random.randrange(len(self.clip))])

    @right(200, 413, 422)
    async def damaged_recording(self):
        body = bytearray(self.clip)
        for _ in range(self.random.randrange(1, 40)):
            body[self.random.randrange(200)] = self.random.randrange(256)
        return await self.post(bytes(body))

    @right(200, 413, 422)
    async def lying_recording(self):
        numbers = [0, 1, 2, 7, 255, 65535, 0x7FFFFFFF, 0xFFFFFFFF]
        pick = self.random.choice
        body = sound.wav(self.noise(20_000), rate=pick(numbers), channels=pick(numbers) & 0xFFFF,
                         bits=pick([0, 1, 8, 16, 24, 32, 64, 65535]), length=pick(numbers), frame=pick(numbers))
        return await self.post(body)

    @right(200, 413, 422)
    async def other_magic_numbers(self):
        magic = [b"fLaC\0\0\0\x22", b"OggS", b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb\x90\x64", b"\x1a\x45\xdf\xa3",
                 b"\0\0\0\x20ftypM4A ", b"FORM\xff\xff\xff\xffAIFF", b"caff\0\1\0\0", b"RF64\xff\xff\xff\xffWAVE",
                 b"\x1f\x8b\x08", b"PK\3\4", b"<?xml", b"{"]
        return await self.post(self.random.choice(magic) + self.noise(20_000))

    @right(400, 408, CLOSED)
    async def cut_body(self):
        whole = request("POST", PREDICT, self.clip)
        return await self.raw(whole[:self.random.randrange(200, len(whole))], finish=True)

    @right(408, CLOSED)
    async def body_that_stops(self):
        whole = request("POST", PREDICT, self.clip)
        return await self.raw(whole[:self.random.randrange(200, len(whole))])

    @right(408, CLOSED)
    async def slow_body(self):
        async with Connection(self.port) as connection:
            whole = request("POST", PREDICT, self.clip)
            try:
                for place in range(0, 100, 2):
                    await connection.send(whole[200 + 2 * place:202 + 2 * place] if place else whole[:202])
                    await asyncio.sleep(0.25)
            except OSError:
                return CLOSED
            return (await connection.answer()).status

    @right(408, CLOSED)
    async def slow_header(self):
        async with Connection(self.port) as connection:
            try:
                for letter in request("POST", PREDICT, self.clip)[:60]:
                    await connection.send(bytes([letter]))
                    await asyncio.sleep(0.25)
            except OSError:
                return CLOSED
            return (await connection.answer()).status

    @right(400, CLOSED)
    async def wrong_length(self):
        length = self.random.choice(["-1", "+5", "1e9", "18446744073709551616", "0x10", "", "abc", "5, 6"])
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
        return await self.raw(head.encode() + self.clip[:1000], finish=True)

    @right(400, 413, CLOSED)
    async def huge_length(self):
        length = self.random.choice([30_000_000, 2**40, 2**63 - 1])
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
        return await self.raw(head.encode() + self.clip[:1000])

    @right(422, CLOSED)
    async def short_length(self):
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 40\r\n\r\n"
        return await self.raw(head.encode() + self.clip[:5000])

    @right(400, 422, CLOSED)
    async def two_lengths(self):
        head = (f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n"
                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/model HTTP/1.1\r\n\r\n")
        return await self.raw(head.encode(), finish=True)

    @right(400, 413, CLOSED)
    async def wrong_chunks(self):
        chunk = self.random.choice([b"zz\r\n", b"FFFFFFFFFFFFFFFFF\r\n", b"-1\r\n", b"5\r\nab", b"5;" + b"x" * 70_000])
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        return await self.raw(head.encode() + chunk, finish=True)

    @right(413, CLOSED)
    async def endless_chunks(self):
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with Connection(self.port) as connection:
            try:
                await connection.send(head.encode())
                for _ in range(40):
                    await connection.send(b"f4240\r\n" + bytes(1_000_000) + b"\r\n")
            except OSError:
                return CLOSED
            return (await connection.answer()).status

    @right(413, 422, CLOSED)
    async def huge_json(self):
        body = self.random.choice([b"[" * 1_000_000, b'{"a":' * 200_000, b'"' + b"a" * 30_000_000])
        return await self.post(body, headers=["Content-Type: application/json"])

    @right(400, 431, CLOSED)
    async def large_header(self):
        lines = self.random.choice([["X: " + "a" * 1_000_000], ["X-%d: 1" % n for n in range(5000)]])
        return await self.post(b"", headers=lines)

    @right(400, 415, 417, 422, CLOSED)
    async def odd_header(self):
        line = self.random.choice(["X y: 1", "X: \0", "\x7f: 1", "X:\ty\n z: 1", ": 1", "Authorization: Bearer \xff",
                                   "Content-Encoding: gzip", "Expect: 200-ok", "Content-Type: \xff/\xff",
                                   "Content-Type: multipart/form-data", "Range: bytes=5-1"])
        body = request("POST", PREDICT, b"not a recording").replace(b"\r\n\r\n", b"\r\n" + line.encode("latin-1")
                                                                  + b"\r\n\r\n", 1)
        return await self.raw(body)

    @right(400, 404, 414, 431, CLOSED)
    async def path_tricks(self):
        path = self.random.choice([
            "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/serve.css/../../Cargo.toml", "/v1/../etc/passwd",
            "//etc/passwd", "/%00", "/%", "/%zz", "/\\..\\..\\windows", "/" + "a/" * 4000, "/v1/predict/%2e%2e",
            "/.git/config", "/v1/model/", "/V1/MODEL", "/serve.js%00.css", "/etc/passwd?x=../../", "/;/v1/model"])
        return await self.raw(request("GET", path))

    @right(200, 204, 400, 403, 404, 405, CLOSED)
    async def other_targets(self):
        target = self.random.choice(["*", "http://example.org/v1/model", "example.org:80", "", "/ HTTP/1.1\r\nX:"])
        return await self.raw(request(self.random.choice(["GET", "OPTIONS", "CONNECT"]), target))

    @right(400, 405, 414, 431, CLOSED)
    async def other_methods(self):
        method = self.random.choice(["DELETE", "PUT", "TRACE", "PATCH", "G" * 5000, "PRI", "get", "POST"])
        target = self.random.choice(["/v1/model", "/healthz", "/"])
        return await self.raw(request(method, target))

    @right(400)
    async def none_or_two_hosts(self):
        hosts = self.random.choice([b"", b"Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n"])
        return await self.raw(request("GET", "/v1/model").replace(b"Host: 127.0.0.1\r\n", hosts, 1))

    @right(400, 403, 431, CLOSED)
    async def wrong_host(self):
        host = self.random.choice(["example.org", "127.0.0.1.example.org", "", "[::1", "127.0.0.1 x", "a" * 9000])
        data = request("POST", PREDICT, self.clip).replace(b"Host: 127.0.0.1", b"Host: " + host.encode(), 1)
        return await self.raw(data)

    @right(400, 414, 422, 431)
    async def wrong_query(self):
        query = self.random.choice([
            "window=nan", "window=-1", "window=1e308", "window=0", "window=", "hop=1", "window=3&hop=-0",
            "window=3&hop=inf", "window=1&window=2&hop=9", "smooth=3", "channel=0", "channel=99", "channel=%ff",
            "peaks=-1", "peaks=99999999999999999999", "window=3&hop=1e-300", "unknown=1", "window=%", "&&&=",
            "window=3&smooth=0.5", "a=" + "b" * 5000])
        return await self.post(self.clip, PREDICT + "?" + query)

    @right(200, 400, 413, 422, CLOSED)
    async def wrong_multipart(self):
        part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.wav"\r\n\r\n'
        body = self.random.choice([
            b"", b"--b--\r\n", part, part + self.clip[:3000], part + b"\r\n--b--\r\n", self.noise(5000),
            b"--b\r\n\r\n\r\n--b--\r\n", (part + b"x\r\n") * 500 + b"--b--\r\n",
            b"--b\r\nX: " + b"a" * 200_000 + b"\r\n\r\nx\r\n--b--\r\n",
            part.replace(b"a.wav", b"../../etc/\0\xff" + b"a" * 5000) + b"x\r\n--b--\r\n"])
        kind = self.random.choice(["multipart/form-data; boundary=b", "multipart/form-data; boundary=",
                                   "multipart/form-data; boundary=" + "b" * 5000, "multipart/mixed; boundary=b"])
        target = self.random.choice([PREDICT, "/v1/predict/batch"])
        return await self.post(body, target, [f"Content-Type: {kind}"])

    @right(CLOSED)
    async def pipelined_without_reading(self):
        """Requests one after the other, whose answers the client never reads."""
        async with Connection(self.port) as connection:
            try:
                await asyncio.wait_for(connection.send(request("GET", "/openapi.json") * 300), 4)
                await asyncio.sleep(2)
            except (OSError, asyncio.TimeoutError):
                pass
            return CLOSED

    @right(408, CLOSED)
    async def idle_connection(self):
        async with Connection(self.port) as connection:
            return (await connection.answer()).status

    @right(CLOSED)
    async def leaves_at_once(self):
        """Closes the connection while the server predicts."""
        async with Connection(self.port) as connection:
            await connection.send(request("POST", PREDICT, self.clip))
        return CLOSED

    # WebSocket

    @right(101, 400, 403, CLOSED)
    async def wrong_upgrade(self):
        change = self.random.choice(["Sec-WebSocket-Key: x", "Origin: http://example.org",
                                     "Sec-WebSocket-Protocol: \xff"])
        return await self.raw(handshake(change))

    @right(426)
    async def not_a_websocket(self):
        """The handshake of another version or protocol. The answer must contain the version that the server has."""
        change = self.random.choice(["Sec-WebSocket-Version: 99", "Sec-WebSocket-Version:", "Upgrade: h2c"])
        async with Connection(self.port) as connection:
            answer = await connection.exchange(handshake(change))
            if answer.status == 426 and answer.headers.get("sec-websocket-version") != "13":
                return "426 without Sec-WebSocket-Version: 13"
            return answer.status

    @right(405, 426)
    async def head_of_a_stream(self):
        async with Connection(self.port) as connection:
            await connection.send(handshake(method="HEAD"))
            return (await connection.answer(has_body=False)).status

    @right(400, 1007)
    async def wrong_stream_query(self):
        query = self.random.choice([
            "encoding=s16le", "encoding=s16le&rate=0", "encoding=s16le&rate=4294967296", "encoding=x",
            "encoding=f32le&rate=nan", "encoding=s16le&rate=16000&channels=0", "encoding=wav&window=-1",
            "encoding=s16le&rate=16000&channels=65536", "encoding=s16le&rate=16000&window=1e9", "gate=inf"])
        return await self.socket(frame(BINARY, bytes(6400)), target="/v1/stream?" + query)

    @right(1000, 1002, 1003, 1005, 1007, 1008, 1009, CLOSED)
    async def random_frames(self):
        return await self.socket(self.noise(5000))

    @right(1000, 1002, 1003, 1005, 1007, 1008, 1009, CLOSED)
    async def wrong_frame(self):
        data = self.random.choice([
            frame(BINARY, b"ab", masked=False), frame(BINARY, b"ab", length=2**63 - 1), frame(3, b"ab"),
            frame(BINARY, b"ab", first=0xF0), frame(0, b"ab"), frame(PING, b"a" * 200), frame(TEXT, b"\xff\xfe"),
            frame(CLOSE, b"\x03"), frame(CLOSE, struct.pack(">H", 5)), frame(BINARY, bytes(300_000)),
            frame(TEXT, b"not the end"), frame(BINARY, b"ab", first=0) * 3 + frame(TEXT, b"end")])
        return await self.socket(data)

    @right(1000, 1007, 1008, CLOSED)
    async def not_audio_stream(self):
        return await self.socket(frame(BINARY, self.noise(5000)), frame(TEXT, b"end"), target="/v1/stream")

    @right(1000, 1007, 1008, CLOSED)
    async def floats_that_are_not_numbers(self):
        data = b"".join(struct.pack("<f", value) for value in (float("nan"), float("inf"), 3e38, -0.0)) * 4000
        return await self.socket(frame(BINARY, data), frame(TEXT, b"end"),
                                 target="/v1/stream?encoding=f32le&rate=16000")

    @right(1000, 1007, 1008, CLOSED)
    async def flood_of_frames(self):
        frames = b"".join(frame(self.random.choice([BINARY, PING, BINARY]), b"a" * self.random.randrange(3))
                          for _ in range(3000))
        return await self.socket(frames, frame(TEXT, b"end"))

    @right(1008, CLOSED)
    async def silent_stream(self):
        return await self.socket()

    @right(CLOSED)
    async def stream_without_reading(self):
        async with Connection(self.port) as connection:
            await connection.upgrade(STREAM + "&window=0.1&hop=0.1")
            try:
                for _ in range(20):
                    await asyncio.wait_for(connection.send(frame(BINARY, bytes(64_000))), 4)
            except (OSError, asyncio.TimeoutError):
                pass
        return CLOSED


KINDS = [kind for kind in vars(Attack).values() if hasattr(kind, "right")]


def run(port, clip, seconds):
    return asyncio.run(_run(port, clip, seconds))


async def _run(port, clip, seconds):
    outcome = Outcome(seconds)
    valid = request("POST", PREDICT, clip)
    async with Connection(port) as connection:
        expected = (await connection.exchange(valid)).body
    ends = time.monotonic() + seconds
    number = 0

    async def attacker():
        nonlocal number
        while time.monotonic() < ends:
            seed, number = number, number + 1
            kind = KINDS[seed % len(KINDS)]
            answer = await one(kind, Attack(port, clip, seed))
            counts = outcome.answers.setdefault(kind.__name__, {})
            counts[answer] = counts.get(answer, 0) + 1
            outcome.malformed += 1
            if answer not in kind.right:
                outcome.failures.append(f"{kind.__name__}, seed {seed}: {answer}")

    async def asker(keep):
        """Sends valid requests, on one connection or on a new one each time."""
        while time.monotonic() < ends:
            try:
                async with Connection(port) as connection:
                    for _ in range(20 if keep else 1):
                        answer = await asyncio.wait_for(connection.exchange(valid), DEADLINE)
                        outcome.valid += 1
                        if answer.status != 200 or answer.body != expected:
                            outcome.wrong += 1
                            outcome.failures.append(f"a valid request: {answer.status} {answer.body[:200]!r}")
                        await asyncio.sleep(0.05)
            except (Closed, OSError, asyncio.TimeoutError) as error:
                outcome.valid += 1
                outcome.wrong += 1
                outcome.failures.append(f"a valid request: {error!r}")

    await asyncio.gather(*(attacker() for _ in range(ATTACKERS)), asker(keep=False), asker(keep=True))
    return outcome


def crowd(port, clip):
    """Opens more connections than the server accepts, sends nothing on them, and then a valid request. Returns its
    answer; the server has to close idle connections first."""
    return asyncio.run(_crowd(port, clip))


async def _crowd(port, clip):
    idle = []
    try:
        for _ in range(CROWD):
            idle.append(await Connection(port).__aenter__())
        async with Connection(port) as connection:
            return await asyncio.wait_for(connection.exchange(request("POST", PREDICT, clip)), DEADLINE)
    except (Closed, OSError, asyncio.TimeoutError):
        return None
    finally:
        for connection in idle:
            connection.writer.close()


async def one(kind, attack):
    """The answer to one malformed request."""
    try:
        return await asyncio.wait_for(kind(attack), DEADLINE)
    except asyncio.TimeoutError:
        return "no answer"
    except (Closed, OSError):
        return CLOSED
    except (ValueError, IndexError) as error:
        return f"not HTTP: {error}"


def text(outcome):
    """One line for each kind."""
    lines = [f"{name}: " + ", ".join(f"{answer} ({count})" for answer, count in sorted(counts.items(), key=str))
             for name, counts in sorted(outcome.answers.items())]
    return "\n".join(lines)


def panics(metrics):
    """The counter of caught panics in the text of /metrics."""
    values = [line.split()[-1] for line in metrics.splitlines() if line.startswith("emovox_panics_total")]
    return int(float(values[0])) if values else None
