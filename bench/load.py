"""A market as a process: prepared frames of trades over a real WebSocket on loopback, at a steady pace.

    upgrade    one connection, by hand, so that nothing but the writing costs
    send       a batch every few milliseconds; each frame tells its number, and when it was sent, where a feed tells size and time
    answer     pings, as any server must
    end        a ping behind the last frame; its answer says that the client has read all

Run        python -m bench.load FRAMES_A_SECOND SECONDS     prints the port, later a Sent as JSON; ends when stdin does
Units      the size of a frame's first print is the frame's number, its price the microseconds behind the millisecond in `t`
"""

import base64
import hashlib
import random
import select
import socket
import sys
import time
from typing import Final

import msgspec

PRINTS: Final = 6
"""Trades that a frame tells."""

BATCH_SECONDS: Final = 0.004
HOPELESS_SECONDS: Final = 2.0
SYMBOLS: Final = tuple(f"{first}{second}X" for first in "ABCDEFGHIJ" for second in "KLMNO")
WEBSOCKET_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, PING, PONG = 0x81, 0x89, 0x8A
SHORT, EXTENDED = 126, 0x10000
CODES: Final = ('["1","12"]', '["1"]', "null", '["1","24","12"]', '["41"]')


class Sent(msgspec.Struct):
    """What the market did."""

    frames: int
    seconds_meant: float
    """As the schedule has it, to where it ended or was given up."""
    is_whole: bool
    """Whether the market sent all that it meant to; it gives up on a client that reads far too slowly."""
    read_seconds: float
    """From the first batch until the client had read everything."""
    latest_seconds: float
    """How far behind its schedule a batch was sent, at worst: its own fault, or that of a client which reads too slowly."""
    cpu_seconds: float


def make_templates(seed: int) -> list[bytes]:
    """Give frames with places for: number, microseconds, and the time of each print."""
    choose = random.Random(seed)
    return [_make_template(choose) for _ in range(500)]


def _make_template(choose: random.Random) -> bytes:
    prints = [f'{{"c":{choose.choice(CODES)},"p":%d.25,"s":"{choose.choice(SYMBOLS)}","t":%d,"v":%d}}']
    for _ in range(PRINTS - 1):
        price, size = f"{choose.randrange(500, 90_000) / 100:.2f}", choose.randrange(1, 900)
        prints.append(f'{{"c":{choose.choice(CODES)},"p":{price},"s":"{choose.choice(SYMBOLS)}","t":%d,"v":{size}}}')
    return f'{{"data":[{",".join(prints)}],"type":"trade"}}'.encode()


def pack(message: bytes) -> bytes:
    """Put a text message into a WebSocket frame."""
    length = len(message)
    head = bytes((TEXT, length)) if length < SHORT else bytes((TEXT, SHORT)) + length.to_bytes(2, "big")
    return head + message


class Market:
    """One listening client, and what it is told."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._pongs = 0
        self._templates = make_templates(1)
        self._number = 0

    def upgrade(self) -> None:
        """Answer the handshake."""
        while b"\r\n\r\n" not in self._received:
            self._received += self._connection.recv(1 << 16)
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        lines = (line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        fields = {name.lower(): value for name, value in lines}
        accept = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + WEBSOCKET_GUID).digest())  # noqa: S324 — the protocol's own
        self._connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept
            + b"\r\n\r\n"
        )

    def tell(self, frames_a_second: int, seconds: float) -> Sent:
        """Send frames at a pace, then wait until all are read."""
        self._hear(0.5)  # its wishes, and the pings behind them
        pause = max(BATCH_SECONDS, 1 / frames_a_second)
        batch, before = round(frames_a_second * pause), time.process_time()
        started = due = time.monotonic()
        latest = 0.0
        for _ in range(round(seconds / pause)):
            self._hear(due - time.monotonic())
            latest = max(latest, time.monotonic() - due)
            if latest > HOPELESS_SECONDS:
                break
            self._connection.sendall(self._make_batch(batch))
            due += pause
        awaited = self._pongs + 1
        self._connection.sendall(bytes((PING, 0)))
        while self._pongs < awaited:
            self._hear(0.01)
        return Sent(
            self._number, due - started, latest <= HOPELESS_SECONDS, time.monotonic() - started, latest, time.process_time() - before
        )

    def _make_batch(self, frames: int) -> bytes:
        now_us = time.time_ns() // 1000
        milliseconds, microseconds = divmod(now_us, 1000)
        times = (milliseconds,) * (PRINTS - 1)
        packed = [
            pack(self._templates[number % len(self._templates)] % (1 + microseconds, milliseconds, number, *times))
            for number in range(self._number, self._number + frames)
        ]
        self._number += frames
        return b"".join(packed)

    def _hear(self, seconds: float) -> None:
        """Read what the client says for so long, and answer its pings."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._connection], [], [], left)[0]:
                return
            chunk = self._connection.recv(1 << 16)
            if not chunk:
                raise SystemExit("the client went away")
            self._received += chunk
            while self._take_frame():
                pass

    def _take_frame(self) -> bool:
        """Take one frame of the client, all of which are masked and short."""
        length = self._received[1] & 0x7F if len(self._received) > 1 else SHORT
        if length >= SHORT or len(self._received) < 6 + length:
            return False
        opcode, mask, masked = self._received[0], self._received[2:6], self._received[6 : 6 + length]
        self._received = self._received[6 + length :]
        payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
        if opcode == PING:
            self._connection.sendall(bytes((PONG, length)) + payload)
        self._pongs += opcode == PONG
        return True


def main(frames_a_second: int, seconds: float) -> None:
    """Play to one client."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            market = Market(connection)
            market.upgrade()
            sent = market.tell(frames_a_second, seconds)
            print(msgspec.json.encode(sent).decode(), flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
