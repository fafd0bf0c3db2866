"""A listener that is not ours: a plain client of the `websockets` library, and what it read of an exchange's day."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from ticklake.cli.lake import SystemClock
from ticklake.feed.exchange.prints import Trade, join_codes
from ticklake.feed.exchange.serve import Exchange, Plan

KEY: Final = "canary-5f1d"
OTHER_KEY: Final = "canary-77aa"
FIRST_MS: Final = 10**12
"""A time before it is none in milliseconds."""


class Heard(msgspec.Struct):
    """What one connection read, and how it ended."""

    messages: list[bytes] = []
    ended: str = ""

    def trades(self) -> Counter[Trade]:
        """Give every genuine print, by a reading of our own."""
        return Counter(trade for message in self.messages for trade in read_trades(message))

    def count(self, raw: bytes) -> int:
        """Give how many messages are just this."""
        return self.messages.count(raw)


def read_trades(message: bytes) -> Iterator[Trade]:
    """Read a message as anybody would who takes nothing for granted."""
    try:
        read = json.loads(message, parse_float=Decimal, object_pairs_hook=_read_object)
    except ValueError:
        return
    if not isinstance(read, dict) or read.get("type") != "trade":
        return
    for item in read["data"]:
        if "spoilt" not in item and item["t"] > FIRST_MS:
            codes = join_codes(tuple(item.get("c") or ()))
            yield Trade(item["s"], item["t"], Decimal(item["p"]), Decimal(item["v"]), codes)


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs) if len(dict(pairs)) == len(pairs) else {"spoilt": True}


def make_exchange(*, prints: int = 1_000, seed: int = 3, keys: tuple[str, ...] = (), **options: Any) -> Exchange:
    """Give an exchange that tells its day as fast as it is listened to."""
    slots, refusals = options.pop("slots", 50), options.pop("refusals", 0)
    return Exchange(seed, prints=prints, plan=Plan(KEY, slots, refusals, keys), clock=SystemClock(), **options)


def dial(port: int, key: str = KEY, **options: Any) -> connect:
    """Give a connection that takes messages of any size."""
    return connect(f"ws://127.0.0.1:{port}?token={key}", compression=None, max_size=None, ping_interval=None, **options)


async def wish(socket: ClientConnection, kind: str, *symbols: str) -> None:
    """Subscribe or unsubscribe."""
    for symbol in symbols:
        await socket.send(json.dumps({"type": kind, "symbol": symbol}))


async def hear(socket: ClientConnection, heard: Heard, *, silence_seconds: float) -> None:
    """Read to the end, or until nothing comes any more."""
    try:
        while True:
            async with asyncio.timeout(silence_seconds):
                heard.messages.append(await socket.recv(decode=False))
    except TimeoutError:
        heard.ended = "silence"
    except ConnectionClosed as error:
        heard.ended = "closed" if error.rcvd else "lost"


async def listen(exchange: Exchange, port: int, *, key: str = KEY, silence_seconds: float = 5.0) -> list[Heard]:
    """Hear a whole day, over as many connections as it takes; one that fell silent is given up."""
    heard: list[Heard] = []
    while not exchange.finished.is_set():
        with contextlib.suppress(TimeoutError, InvalidStatus, InvalidMessage):
            async with dial(port, key, open_timeout=silence_seconds) as socket:
                heard.append(Heard())
                await wish(socket, "subscribe", *exchange.symbols)
                await hear(socket, heard[-1], silence_seconds=silence_seconds)
    return heard


def run_day(exchange: Exchange, *keys: str, silence_seconds: float = 5.0) -> list[list[Heard]]:
    """Give what was heard with each key from the day's beginning to its end."""

    async def run() -> list[list[Heard]]:
        async with asyncio.timeout(60):
            async with exchange.open("127.0.0.1", 0) as port:
                listening = [
                    asyncio.create_task(listen(exchange, port, key=key, silence_seconds=silence_seconds)) for key in keys or (KEY,)
                ]
                await asyncio.wait([asyncio.create_task(exchange.finished.wait()), *listening], return_when=asyncio.FIRST_COMPLETED)
            return await asyncio.gather(*listening)

    return asyncio.run(run())


def delivered(exchange: Exchange, connection: int) -> Counter[Trade]:
    """Give what the truth says arrived intact on a connection, each trade once."""
    told = exchange.told
    return Counter(trade for trade, reached in zip(told.trades, told.delivered, strict=True) if connection in reached)


def on_loopback(exchange: Exchange, talk: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Talk to an exchange while it is open."""

    async def run() -> None:
        async with asyncio.timeout(30), exchange.open("127.0.0.1", 0) as port:
            await talk(port)

    asyncio.run(run())
