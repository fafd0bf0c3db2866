"""Finnhub's socket: connect, keep every message, and connect again, until told to stop.

    connect    one connection; the one before it is closed and gone (see connection.py)
    wait       decorrelated jitter between attempts, or as long as a 429 asks for

Time       the injected clock's, and the event loop's timers
Guarantee  what can heal is tried for ever; what cannot (a key that is refused) stops at once; memory is bounded whatever
           the server does: by the terms of a connection (ports.py) and by what may wait for its commit (recorder.py)
Raises     SettingsInvalid, KeyRefused, and what the log raises but DiskFull
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, urlsplit

from ticklake.contracts.frame import MAX_FRAME_BYTES
from ticklake.contracts.ports import Clock
from ticklake.errors import KeyRefused, SettingsInvalid
from ticklake.feed.finnhub.connection import Connection, World
from ticklake.feed.finnhub.limits import NS_PER_SECOND, Limits
from ticklake.feed.finnhub.over_websockets import open_websocket
from ticklake.feed.finnhub.ports import Socket, Terms, Transport, Unreachable
from ticklake.feed.finnhub.rates import IsTrading, Rates
from ticklake.feed.finnhub.slots import Slots
from ticklake.feed.recorder import Recorder, jittered
from ticklake.logs import FEED_UNREACHABLE, SYMBOLS_WITHOUT_SLOT, warn_event

__all__ = ["FEED", "FinnhubClient", "Limits"]

FEED: Final = "finnhub"

UNAUTHORIZED: Final = 401
TOO_MANY_REQUESTS: Final = 429

STEADY_SECONDS: Final = 10.0
"""A connection that stood this long, its handshake not counted, was a good one: the next failure begins with the shortest wait again."""


class FinnhubClient:
    """One key's connection, and the next, and the next."""

    def __init__(  # noqa: PLR0913 — what it needs of the world is passed in, by name
        self,
        recorder: Recorder,
        *,
        url: str,
        key: str,
        symbols: Sequence[str],
        clock: Clock,
        limits: Limits | None = None,
        chance: random.Random | None = None,
        is_trading: IsTrading = lambda _symbol, _now_ns: False,
        transport: Transport = open_websocket,
    ) -> None:
        self._recorder = recorder
        self._url = url.rstrip("/")
        self._host = read_host(url)
        self._key = key
        self._limits = limits or Limits()
        self._slots = Slots(symbols, slots=self._limits.slots, pinned=self._limits.pinned, rotation_seconds=self._limits.rotation_seconds)
        self._rates = Rates(is_trading=is_trading, floor_seconds=self._limits.symbol_silence_seconds)
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 — jitter, not a secret
        self._transport = transport
        self._stopping = asyncio.Event()
        self.connections = 0
        self.attempts = 0

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    @property
    def without_slot(self) -> list[str]:
        """Who never gets a slot; nobody where all take turns."""
        return [] if self._slots.takes_turns else self._slots.left_out

    def stop(self) -> None:
        """End after the message in hand, once all that came is durable; from another thread: `loop.call_soon_threadsafe`."""
        self._stopping.set()

    def abandon(self) -> None:
        """Stop, and do not wait for a full disk either: the recorder's `pending` tells what is lost."""
        self._recorder.give_up()
        self._stopping.set()

    async def collect(self) -> None:
        """Keep what comes until stopped. Raises KeyRefused."""
        if left_out := self._slots.left_out:
            warn_event(SYMBOLS_WITHOUT_SLOT, symbols=left_out, slots=self._limits.slots, rotation_seconds=self._limits.rotation_seconds)
        committing = asyncio.create_task(self._recorder.commit_forever())
        committing.add_done_callback(lambda _: self._stopping.set())  # it ends by itself only where the log fails: raised below
        limits, waited = self._limits, self._limits.least_wait_seconds
        world = World(self._recorder, self._slots, self._rates, self._clock, limits, self._stopping, self._host)
        try:
            while not self._stopping.is_set():
                stood_seconds, asked_wait = await self._attempt(world)
                if stood_seconds > STEADY_SECONDS:
                    waited = limits.least_wait_seconds
                waited = jittered(waited, least=limits.least_wait_seconds, most=limits.most_wait_seconds, chance=self._chance)
                await world.pause(waited if asked_wait is None else asked_wait + waited)
                while self._recorder.is_stalled and not self._stopping.is_set():
                    await world.pause(limits.least_wait_seconds)
        finally:
            committing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await committing
            await self._recorder.commit()

    async def _attempt(self, world: World) -> tuple[float, float | None]:
        """Stand one connection to its end; give for how long it stood, and for how long the server asked to be left alone."""
        self.attempts += 1
        try:
            socket = await self._open()
        except Unreachable as unreachable:
            return 0.0, self._judge_refusal(unreachable)
        if not socket:
            return 0.0, None
        self.connections += 1
        opened_ns = self._clock.monotonic_ns()
        await Connection(socket, world).stand()
        return (self._clock.monotonic_ns() - opened_ns) / NS_PER_SECOND, None

    async def _open(self) -> Socket | None:
        """Shake hands; give nothing if stopped meanwhile. Raises Unreachable."""
        limits = self._limits
        terms = Terms(MAX_FRAME_BYTES, limits.handshake_seconds, limits.close_seconds)
        opening = asyncio.ensure_future(self._transport(f"{self._url}?token={quote(self._key, safe='')}", terms))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not opening.done():
                opening.cancel()
                await asyncio.wait({opening})
        return None if opening.cancelled() else opening.result()

    def _judge_refusal(self, refusal: Unreachable) -> float | None:
        if refusal.status == UNAUTHORIZED:
            raise KeyRefused(
                f"{self._host} refuses the key (401)", hint="set the right one: TICKLAKE_FEED__KEY=…; it is shown on finnhub.io/dashboard"
            )
        warn_event(FEED_UNREACHABLE, host=self._host, reason=refusal.reason)
        if refusal.status != TOO_MANY_REQUESTS:
            return None
        asked = read_retry_after(refusal.retry_after, self._clock.now_ns())
        return self._limits.refusal_wait_seconds if asked is None else min(asked, self._limits.longest_refusal_seconds)


def read_host(url: str) -> str:
    """Give the host, and port if there is one, that a socket's address names; never what stands before an @.

    Raises SettingsInvalid for what is no address of a socket, without telling it: some write their key into it.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # what no name server could be asked for is a ValueError
        is_socket = parts.scheme in {"ws", "wss"} and bool(host) and parts.port != 0
    except ValueError:
        is_socket = False
    if not is_socket or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingsInvalid(
            "the address of the feed is no address of a socket without a key in it",
            hint="such as wss://ws.finnhub.io or ws://127.0.0.1:8765",
        )
    return parts.netloc.lower()


def read_retry_after(text: str, now_ns: int) -> float | None:
    """Read a `Retry-After`, which is a number of seconds or a date; give seconds, None if it is neither."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_ns / NS_PER_SECOND)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
