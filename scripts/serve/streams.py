"""Live streams: clients that send PCM in real time over WebSockets, and the delay of the answers."""
import asyncio
import json
import time
from dataclasses import dataclass

from client import BINARY, CLOSE, TEXT, Closed, Connection, frame
from load import percentile
from sound import RATE

CHUNK_SECONDS = 0.1
WINDOW, HOP = 3, 1
TARGET = f"/v1/stream?encoding=s16le&rate={RATE}&window={WINDOW}&hop={HOP}"


@dataclass
class Streams:
    """The outcome; delays in milliseconds, from the end of a window to its line at the client."""
    streams: int
    seconds: float
    lines: int
    wrong: int
    broken: int
    p50: float
    p99: float
    worst: float
    #: p99 of the time by which this client sent a chunk too late. The delays include it.
    client_late: float


def run(port, samples, streams, seconds, expected):
    """Sends the samples, from the start again at their end, in a number of streams, whose starts are spread evenly
    over one hop. `expected` has the lines that `emovox listen --json` prints for the same samples."""
    return asyncio.run(_run(port, samples.tobytes(), streams, seconds, expected))


async def _run(port, data, streams, seconds, expected):
    delays, late = [], []
    lines, wrong, broken = 0, 0, 0
    chunk = int(CHUNK_SECONDS * RATE) * 2
    data += data[:chunk]
    length = len(data) - chunk

    async def send(connection, started):
        for number in range(int(seconds / CHUNK_SECONDS)):
            due = started + (number + 1) * CHUNK_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            late.append(time.perf_counter() - due)
            place = number * chunk % length
            await connection.send(frame(BINARY, data[place:place + chunk]))
        await connection.send(frame(TEXT, b"end"))

    async def receive(connection, started):
        nonlocal lines, wrong
        number = 0
        while True:
            opcode, text = await connection.message()
            now = time.perf_counter()
            if opcode == CLOSE:
                return number
            if opcode != TEXT:
                continue
            if text.decode().rstrip("\n") != expected[number]:
                wrong += 1
            ends = json.loads(text).get("time", 0.0)
            if ends < seconds:
                delays.append(now - started - ends)
            number += 1
            lines += 1

    async def stream(number):
        nonlocal broken
        try:
            async with Connection(port) as connection:
                await asyncio.sleep(number * HOP / streams)
                answer = await connection.upgrade(TARGET)
                if answer.status != 101:
                    raise Closed(f"{answer.status} {answer.body!r}")
                started = time.perf_counter()
                sender = asyncio.create_task(send(connection, started))
                received = await asyncio.wait_for(receive(connection, started), seconds + 60)
                await sender
                if received != len(expected):
                    raise Closed(f"{received} lines, not {len(expected)}")
        except (Closed, OSError, asyncio.TimeoutError) as error:
            print(f"stream {number}: {error!r}")
            broken += 1

    await asyncio.gather(*(stream(number) for number in range(streams)))
    return Streams(streams, seconds, lines, wrong, broken, 1e3 * percentile(delays, 0.5),
                   1e3 * percentile(delays, 0.99), 1e3 * max(delays, default=float("nan")),
                   1e3 * percentile(late, 0.99))
