"""A server that upgrades, grants every wish, and then puts prepared bytes on the socket: what no library would send.

    async with serve_bytes(tell, wishes=2) as port: …      `tell` is called for each connection that made its wishes

Guarantee  what `settle` has returned for has been read by the client: it answered a ping that was sent behind it
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from ticklake.logs import silent_logger

_SILENT: Final = silent_logger("tests.wire")

Tell = Callable[[ServerConnection], Coroutine[None, None, None]]


def pack(message: bytes, opcode: Opcode = Opcode.TEXT, *, is_last: bool = True) -> bytes:
    """Give a message, or a part of one, as it stands on the wire; nobody looks into it."""
    return Frame(opcode, message, fin=is_last).serialize(mask=False)


def pack_in_parts(message: bytes, cuts: Sequence[int], opcode: Opcode = Opcode.TEXT, *, between: bytes = b"") -> bytes:
    """Give a message in parts, cut at these bytes, with something between two parts: a ping may stand there."""
    edges = [0, *sorted(cuts), len(message)]
    parts = [message[begin:end] for begin, end in itertools.pairwise(edges)]
    packed = [pack(part, Opcode.CONT if number else opcode, is_last=number == len(parts) - 1) for number, part in enumerate(parts)]
    return between.join(packed)


def pack_anyhow(message: bytes, chance: random.Random) -> bytes:
    """Give a message as text or as binary, whole or in parts."""
    opcode = chance.choice((Opcode.TEXT, Opcode.TEXT, Opcode.BINARY))
    cuts = [chance.randint(0, len(message)) for _ in range(chance.choice((0, 0, 0, 1, 2, 5)))]
    return pack_in_parts(message, cuts, opcode, between=pack(b"", Opcode.PING) if chance.random() < 0.3 else b"")


async def settle(socket: ServerConnection) -> None:
    """Wait until the client has read all that was sent. Raises ConnectionClosed."""
    await (await socket.ping())


@contextlib.asynccontextmanager
async def serve_bytes(tell: Tell, *, wishes: int) -> AsyncIterator[int]:
    """Listen on loopback until the block ends; give the port."""

    async def listen(socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):  # the client went: what `tell` told is known to `tell`
            for _ in range(wishes):
                await socket.recv()
            telling = asyncio.create_task(tell(socket))
            try:
                async for _ in socket:
                    pass
            finally:
                telling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await telling

    async with serve(listen, "127.0.0.1", 0, logger=_SILENT, compression=None, ping_interval=None) as server:
        yield int(next(iter(server.sockets)).getsockname()[1])
