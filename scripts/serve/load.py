"""Load: clients that send the same recording again and again, each on its own connection."""
import asyncio
import time
from dataclasses import dataclass

from client import Closed, Connection, request

ANSWER_SECONDS = 60


@dataclass
class Load:
    """The outcome of one measurement; latencies in milliseconds."""
    requests: int
    failed: int
    seconds: float
    p50: float
    p99: float
    #: Share of one core that this load generator used.
    own_share: float

    @property
    def rate(self):
        return self.requests / self.seconds


def percentile(values, share):
    """The smallest value that at least this share of the values does not exceed."""
    values = sorted(values)
    return values[max(0, -int(-share * len(values) // 1) - 1)] if values else float("nan")


def run(port, body, clients, seconds=None, requests=None, expected=None):
    """Sends the body from a number of clients at once, until the time is over or the requests are sent. An answer
    is right if its status is 200 and, with `expected`, if its body has exactly these bytes."""
    return asyncio.run(_run(port, body, clients, seconds, requests, expected))


def first_answer(port, body):
    async def ask():
        async with Connection(port) as connection:
            return await asyncio.wait_for(connection.exchange(request("POST", "/v1/predict", body)), ANSWER_SECONDS)
    return asyncio.run(ask())


async def _run(port, body, clients, seconds, requests, expected):
    message = request("POST", "/v1/predict", body)
    latencies, failed, sent = [], 0, 0
    started, processor = time.perf_counter(), time.process_time()

    def is_over():
        return (seconds and time.perf_counter() - started >= seconds) or (requests is not None and sent >= requests)

    async def client():
        nonlocal failed, sent
        while not is_over():
            try:
                async with Connection(port) as connection:
                    while not is_over():
                        sent += 1
                        before = time.perf_counter()
                        answer = await asyncio.wait_for(connection.exchange(message), ANSWER_SECONDS)
                        if answer.status != 200 or expected not in (None, answer.body):
                            failed += 1
                            continue
                        latencies.append(time.perf_counter() - before)
            except (Closed, OSError, asyncio.TimeoutError):
                failed += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - started
    return Load(len(latencies), failed, took, 1e3 * percentile(latencies, 0.5), 1e3 * percentile(latencies, 0.99),
                (time.process_time() - processor) / took)
