"""Finnhub's socket: connect, subscribe, and keep every message, until told to stop.

    connect    one connection; the one before it is closed and done with
    subscribe  every symbol; recorded as observed once two pings behind the wishes are answered, those without a slot are named
    keep       each message as it came
    heed       errors: a symbol that is refused is recorded as not observed
    watch      silence, a full disk, and a heartbeat each second
    wait       decorrelated jitter between attempts, or as long as a 429 asks for

Guarantee  what can heal is tried for ever; what cannot (a key that is refused) stops at once
Raises     KeyRefused, and what the log raises but DiskFull
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from ticklake.contracts.frame import MAX_FRAME_BYTES
from ticklake.contracts.ports import Clock
from ticklake.errors import KeyRefused
from ticklake.feed.recorder import Recorder, jittered
from ticklake.logs import (
    FEED_CLOSED,
    FEED_OPENED,
    FEED_UNREACHABLE,
    SYMBOL_REFUSED,
    SYMBOLS_WITHOUT_SLOT,
    log_event,
    silent_logger,
    warn_event,
)

FEED: Final = "finnhub"

UNAUTHORIZED: Final = 401
TOO_MANY_REQUESTS: Final = 429
TOO_MANY_SYMBOLS: Final = "Subscribing to too many symbols"
INVALID_SYMBOL: Final = "Invalid symbol "
ERROR_BYTES: Final = 1_000
"""No error is longer: a frame of trades need not be looked at twice."""

MESSAGE_TOO_BIG: Final = 1009

NS_PER_SECOND: Final = 1_000_000_000
STEADY_SECONDS: Final = 10.0
"""A connection that stood this long was a good one: the next failure begins with the shortest wait again."""

_SILENT: Final = silent_logger("feed.finnhub.socket")

_encode = msgspec.json.Encoder().encode


class _Said(msgspec.Struct):
    type: str
    msg: str = ""


_decode = msgspec.json.Decoder(_Said).decode


class Limits(msgspec.Struct, frozen=True):
    """What a connection is held to, in seconds but for the slots."""

    slots: int = 50
    silence_seconds: float = 90.0
    """A ping comes about once a minute, at night too: two that did not come are a connection that hangs."""
    handshake_seconds: float = 10.0
    close_seconds: float = 1.0
    least_wait_seconds: float = 0.5
    most_wait_seconds: float = 8.0
    refusal_wait_seconds: float = 60.0
    """The wait after a 429 that names none."""
    heartbeat_seconds: float = 1.0


class FinnhubClient:
    """One key's connection, and the next, and the next."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        url: str,
        key: str,
        symbols: Sequence[str],
        clock: Clock,
        limits: Limits | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._recorder = recorder
        self._url = url.rstrip("/")
        self._key = key
        self._limits = limits or Limits()
        self._symbols, self._left_out = list(symbols[: self._limits.slots]), list(symbols[self._limits.slots :])
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 — jitter, not a secret
        self._stopping = asyncio.Event()
        self._heard_ns = 0
        self._ending = ""
        self._refused: dict[str, str] = {}
        self.connections = 0
        self.attempts = 0

    def stop(self) -> None:
        """End after the message in hand."""
        self._stopping.set()

    async def collect(self) -> None:
        """Keep what comes until stopped. Raises KeyRefused."""
        if self._left_out:
            warn_event(SYMBOLS_WITHOUT_SLOT, symbols=self._left_out, slots=self._limits.slots)
        committing = asyncio.create_task(self._recorder.commit_forever())
        committing.add_done_callback(lambda _: self.stop())  # it ends by itself only where the log fails: raised below
        waited = self._limits.least_wait_seconds
        try:
            while not self._stopping.is_set():
                started_ns = self._clock.monotonic_ns()
                asked_wait = await self._attempt()
                if self._clock.monotonic_ns() - started_ns > STEADY_SECONDS * NS_PER_SECOND:
                    waited = self._limits.least_wait_seconds
                waited = jittered(waited, least=self._limits.least_wait_seconds, most=self._limits.most_wait_seconds, chance=self._chance)
                await self._pause(waited if asked_wait is None else asked_wait + waited)
                while self._recorder.is_stalled and not self._stopping.is_set():
                    await self._pause(self._limits.least_wait_seconds)
        finally:
            committing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await committing
            await self._recorder.commit()

    async def _attempt(self) -> float | None:
        """Stand one connection to its end; give how long the server asked to be left alone."""
        self.attempts += 1
        try:
            async with connect(
                f"{self._url}?token={quote(self._key, safe='')}",
                logger=_SILENT,
                compression=None,
                max_size=MAX_FRAME_BYTES,
                open_timeout=self._limits.handshake_seconds,
                close_timeout=self._limits.close_seconds,
            ) as socket:
                await self._stand(socket)
        except InvalidStatus as error:
            return self._judge_refusal(error.response.status_code, error.response.headers.get("Retry-After", ""))
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage) as error:
            warn_event(FEED_UNREACHABLE, host=self._host, reason=type(error).__name__)
        return None

    def _judge_refusal(self, status: int, retry_after: str) -> float | None:
        if status == UNAUTHORIZED:
            raise KeyRefused(
                f"{self._host} refuses the key (401)", hint="set the right one: TICKLAKE_FEED__KEY=…; it is shown on finnhub.io/dashboard"
            )
        warn_event(FEED_UNREACHABLE, host=self._host, reason=f"status {status}")
        if status != TOO_MANY_REQUESTS:
            return None
        return float(retry_after) if retry_after.isdigit() else self._limits.refusal_wait_seconds

    async def _stand(self, socket: ClientConnection) -> None:
        self.connections += 1
        self._ending, detail = "", ""
        self._heard_ns = self._clock.monotonic_ns()
        offered = socket.response.headers.get("Date", "") if socket.response else ""
        self._recorder.open_session(host=self._host, server_date=offered)
        log_event(FEED_OPENED, host=self._host, session=self._recorder.session)
        watching = asyncio.gather(self._watch(socket), self._confirm(socket, self._symbols))
        watching.add_done_callback(lambda done: done.cancelled() or done.exception())  # cancelled below: nobody else asks how it ended
        try:
            await self._subscribe(socket, self._symbols)
            while True:
                raw = await socket.recv(decode=False)
                self._heard_ns = self._clock.monotonic_ns()
                self._recorder.frame(raw)
                if len(raw) < ERROR_BYTES and b"error" in raw:
                    self._heed(raw)
                await self._recorder.room()
        except ConnectionClosed as error:
            self._ending = self._ending or _name_cause(error)
            detail = str(error.sent.reason if error.sent and self._ending == "frame_too_large" else error)[:200]
        finally:
            watching.cancel()
            self._recorder.close_session(self._ending or "interrupted", detail=detail)
            log_event(FEED_CLOSED, session=self._recorder.session, cause=self._ending or "interrupted")

    async def _subscribe(self, socket: ClientConnection, symbols: Sequence[str]) -> None:
        """Ask for symbols."""
        self._refused = {}
        for symbol in symbols:
            await socket.send(_encode({"type": "subscribe", "symbol": symbol}).decode())

    async def _confirm(self, socket: ClientConnection, symbols: Sequence[str]) -> None:
        """Record symbols as observed once two pings are answered, the second sent behind the first one's answer.

        The vendor acknowledges no subscription, and a server answers a ping before it comes to the wishes in front of it.
        """
        with contextlib.suppress(ConnectionClosed):  # then nothing was observed
            for _ in range(2):
                await (await socket.ping())
            granted = [symbol for symbol in symbols if symbol not in self._refused]
            refused = [symbol for symbol, cause in self._refused.items() if cause == "no_slot"]
            self._recorder.control("subscribed", symbols=granted, without_slot=[*refused, *self._left_out])

    def _heed(self, raw: bytes) -> None:
        """Record that a symbol is refused. Who has too many is not told which: wishes are granted in turn, so the last ones fail."""
        try:
            said = _decode(raw)
        except (msgspec.DecodeError, RecursionError):
            return  # no error of the vendor's; what it is, silver will say
        if said.type != "error":
            return
        wished = [symbol for symbol in self._symbols if symbol not in self._refused]
        if said.msg == TOO_MANY_SYMBOLS and wished:
            symbol, cause = wished[-1], "no_slot"
        elif (symbol := said.msg.removeprefix(INVALID_SYMBOL)) in wished:
            cause = "invalid_symbol"
        else:
            return
        self._refused[symbol] = cause
        self._recorder.control("unsubscribed", symbols=[symbol], cause=cause)
        warn_event(SYMBOL_REFUSED, symbol=symbol, cause=cause)

    async def _watch(self, socket: ClientConnection) -> None:
        """Tell the log each second that the connection stands; close it when it should not any longer."""
        while not self._ending:
            await self._pause(self._limits.heartbeat_seconds)
            silent_ns = self._clock.monotonic_ns() - self._heard_ns
            if self._stopping.is_set():
                self._ending = "stopped"
            elif self._recorder.is_stalled:
                self._ending = "disk_full"
            elif silent_ns > self._limits.silence_seconds * NS_PER_SECOND:
                self._ending = "silence"
            else:
                self._recorder.control("heartbeat")
        await socket.close()

    async def _pause(self, seconds: float) -> None:
        """Wait, or until stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc.rpartition("@")[2]


def _name_cause(error: ConnectionClosed) -> str:
    if error.sent and error.sent.code == MESSAGE_TOO_BIG:
        return "frame_too_large"
    return "closed_by_server" if error.rcvd else "connection_lost"
