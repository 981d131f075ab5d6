"""A small HTTP and WebSocket client on asyncio, for load and for requests that no proper client sends."""
import asyncio
import base64
import os
import struct
from dataclasses import dataclass, field

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The server closed the connection before a whole answer."""


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict = field(default_factory=dict)


def request(method, target, body=b"", headers=()):
    """The bytes of a request with a Content-Length."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


class Connection:
    """One connection to 127.0.0.1. `async with` closes it."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        return self

    async def __aexit__(self, *error):
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, has_body=True):
        """The next answer, with a Content-Length or in chunks. The answer to HEAD has no body."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            answer = Answer(int(head[0].split()[1]), b"", headers)
            if answer.status == 101 or not has_body:
                return answer
            if headers.get("transfer-encoding") == "chunked":
                while (size := int(await self.reader.readuntil(b"\r\n"), 16)) > 0:
                    answer.body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readexactly(2)
            else:
                answer.body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return answer
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError) as error:
            raise Closed(str(error)) from None

    async def exchange(self, data):
        await self.send(data)
        return await self.answer()

    async def upgrade(self, target, headers=()):
        """Opens a WebSocket; the answer has status 101 if the server agrees."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *headers, "", ""]
        return await self.exchange("\r\n".join(lines).encode())

    async def message(self):
        """The next message of a WebSocket, as opcode and bytes."""
        try:
            opcode, length = await self.reader.readexactly(2)
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(await self.reader.readexactly(size), "big")
            return opcode & 15, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Closed(str(error)) from None


def frame(opcode, data, first=0x80, masked=True, length=None):
    """A frame of a WebSocket from a client. The last three arguments can make it wrong. The mask is zero, which
    leaves the data as it is."""
    length = len(data) if length is None else length
    flag = 0x80 if masked else 0
    head = bytes([first | opcode])
    if length < 126:
        head += bytes([flag | length])
    elif length < 1 << 16:
        head += bytes([flag | 126]) + struct.pack(">H", length)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", length)
    return head + (bytes(4) if masked else b"") + data
