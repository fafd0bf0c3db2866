"""One connection, from its first record to its last.

    subscribe  every symbol that has a slot; recorded as asked for before the wishes go out, and as observed once two pings
               behind them are answered; those without a slot are named
    keep       each message as it came
    heed       errors: a symbol that is refused is recorded as not observed, until a print of it proves that it is subscribed
    tend       who falls silent against its own rate is asked for again; slots take turns
    watch      silence, a full disk, and a heartbeat each second

Records    session_opened, subscribing, subscribed, unsubscribed (cause: invalid_symbol, no_slot, rotation, symbol_silent),
           heartbeat, session_closed
Guarantee  the connection is closed and gone when `stand` returns
"""

import asyncio
import contextlib
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from ticklake.contracts.ports import Clock
from ticklake.feed.finnhub.limits import NS_PER_SECOND, Limits
from ticklake.feed.finnhub.ports import CONNECTION_LOST, Socket, SocketClosed
from ticklake.feed.finnhub.rates import Rates, find_symbols
from ticklake.feed.finnhub.slots import Slots
from ticklake.feed.recorder import Recorder
from ticklake.logs import FEED_CLOSED, FEED_OPENED, SYMBOL_GRANTED, SYMBOL_REFUSED, SYMBOL_SILENT, SYMBOLS_ROTATED, log_event, warn_event

TOO_MANY_SYMBOLS: Final = "Subscribing to too many symbols"
INVALID_SYMBOL: Final = "Invalid symbol "
ERROR_BYTES: Final = 1_000
"""No error is longer: a frame of trades need not be looked at twice."""

NS_PER_MS: Final = 1_000_000
MAX_DATE_CHARS: Final = 64

_encode = msgspec.json.Encoder().encode


class _Said(msgspec.Struct):
    type: str
    msg: str = ""


class _Print(msgspec.Struct):
    s: str


class _Told(msgspec.Struct, tag_field="type", tag="trade"):
    data: list[_Print]


_decode = msgspec.json.Decoder(_Said).decode
_decode_told = msgspec.json.Decoder(_Told).decode


class World(msgspec.Struct, frozen=True):
    """What connections share."""

    recorder: Recorder
    slots: Slots
    rates: Rates
    clock: Clock
    limits: Limits
    stopping: asyncio.Event
    host: str

    async def pause(self, seconds: float) -> None:
        """Wait, or until stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)


class Connection:
    """A socket, and the session that it is recorded as."""

    def __init__(self, socket: Socket, world: World) -> None:
        self._socket = socket
        self._world = world
        self._recorder = world.recorder
        self._limits = world.limits
        self._clock = world.clock
        self._ending = ""
        self._detail = ""
        self._heard_ns = self._clock.monotonic_ns()
        self._is_full = asyncio.Event()
        self._asked: dict[str, None] = {}
        """Symbols that were asked for, in the order of asking."""
        self._refused: set[str] = set()
        """Those of them that the vendor says it does not grant."""
        self._without_slot: list[str] = []

    async def stand(self) -> None:
        """Keep what comes until the connection is over."""
        date = self._socket.server_date[:MAX_DATE_CHARS]
        offset_ms = clock_offset_ms(date, self._recorder.now_ns())
        self._recorder.open_session(host=self._world.host, server_date=date, clock_offset_ms=offset_ms)
        log_event(FEED_OPENED, host=self._world.host, session=self._recorder.session)
        works = [asyncio.ensure_future(work) for work in (self._watch(), self._tend(), self._ping(), self._pace())]
        ended = asyncio.ensure_future(self._socket.ended())
        try:
            self._socket.listen(self._keep)
            pending = {ended, *works}
            while not ended.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()  # what failed is raised, not swallowed
            self._ending, self._detail = self._ending or ended.result().cause, self._detail or ended.result().detail
        finally:
            for each in (*works, ended):
                each.cancel()
            await asyncio.gather(*works, ended, return_exceptions=True)  # what failed by itself was raised above
            await self._socket.close()
            self._world.rates.forget_all()
            self._recorder.close_session(self._ending or "interrupted", detail=self._detail)
            log_event(FEED_CLOSED, session=self._recorder.session, cause=self._ending or "interrupted")

    def _keep(self, raw: bytes) -> None:
        self._heard_ns = self._clock.monotonic_ns()
        if self._refused:
            self._heal(raw)
        received_ns = self._recorder.frame(raw)
        self._world.rates.see(raw, received_ns)
        if len(raw) < ERROR_BYTES and b"error" in raw:
            self._heed(raw)
        if not self._recorder.has_room:
            self._socket.pause()
            self._is_full.set()

    async def _pace(self) -> None:
        """Read on whenever what was kept has found its way to the disk."""
        while True:
            await self._is_full.wait()
            await self._recorder.room()
            self._is_full.clear()
            self._socket.resume()

    async def _ask(self, symbols: Sequence[str], *, left_out: Sequence[str] = ()) -> None:
        """Ask for symbols; record them as observed once two pings are answered, the second sent behind the first one's answer.

        The vendor acknowledges no subscription, and a server answers a ping before it comes to the wishes in front of it.
        """
        self._without_slot = []
        self._recorder.control("subscribing", symbols=symbols)
        self._asked.update(dict.fromkeys(symbols))
        for symbol in symbols:
            await self._socket.send(_encode({"type": "subscribe", "symbol": symbol}).decode())
        for _ in range(2):
            await self._socket.ping()
        granted = [symbol for symbol in symbols if symbol not in self._refused]
        subscribed_ns = self._recorder.control("subscribed", symbols=granted, without_slot=[*self._without_slot, *left_out])
        self._world.rates.observe(granted, subscribed_ns)

    async def _drop(self, symbols: Sequence[str], cause: str, **fields: Any) -> None:
        """Record symbols as not observed any longer, but for those that were not; give the slots of all of them back."""
        observed = [symbol for symbol in symbols if symbol in self._asked and symbol not in self._refused]
        self._recorder.control("unsubscribed", symbols=observed, cause=cause, **fields)
        for symbol in symbols:
            self._asked.pop(symbol, None)
        self._refused.difference_update(symbols)  # before anything is awaited: no print of theirs is a proof from now on
        for symbol in symbols:
            await self._socket.send(_encode({"type": "unsubscribe", "symbol": symbol}).decode())

    def _heed(self, raw: bytes) -> None:
        """Record that a symbol is refused. Who has too many is not told which: wishes are granted in turn, so the last ones fail."""
        try:
            said = _decode(raw)
        except (msgspec.DecodeError, RecursionError):
            return  # no error of the vendor's; what it is, silver will say
        if said.type != "error":
            return
        granted = [symbol for symbol in self._asked if symbol not in self._refused]
        if said.msg == TOO_MANY_SYMBOLS and granted:
            symbol, cause = granted[-1], "no_slot"
            self._without_slot.append(symbol)
        elif (symbol := said.msg.removeprefix(INVALID_SYMBOL)) in granted:
            cause = "invalid_symbol"
        else:
            return
        self._refused.add(symbol)
        self._world.rates.forget([symbol])
        self._recorder.control("unsubscribed", symbols=[symbol], cause=cause)
        warn_event(SYMBOL_REFUSED, symbol=symbol, cause=cause)

    def _heal(self, raw: bytes) -> None:
        """Record who was taken for refused and has a print in this message: an error may come that answers no wish of ours."""
        if not any(name.decode(errors="replace") in self._refused for name in find_symbols(raw)):
            return
        try:
            told = _decode_told(raw)
        except (msgspec.DecodeError, RecursionError):
            return  # it has no print in it
        symbols = [symbol for symbol in dict.fromkeys(each.s for each in told.data) if symbol in self._refused]
        if not symbols:
            return
        self._refused.difference_update(symbols)
        self._without_slot = [symbol for symbol in self._without_slot if symbol not in symbols]
        subscribed_ns = self._recorder.control("subscribed", symbols=symbols, without_slot=[])
        self._world.rates.observe(symbols, subscribed_ns)
        log_event(SYMBOL_GRANTED, symbols=symbols)

    async def _tend(self) -> None:
        """Ask for all that has a slot, then for whom it is time."""
        world = self._world
        with contextlib.suppress(SocketClosed):  # then nothing more is observed
            await self._ask(world.slots.current, left_out=world.slots.left_out)
            while not world.stopping.is_set():
                if turn := world.slots.turn(self._clock.monotonic_ns()):
                    await self._rotate(*turn)
                if silent := world.rates.silent(self._recorder.now_ns()):
                    await self._renew(silent)
                await world.pause(self._limits.heartbeat_seconds)

    async def _rotate(self, leaving: Sequence[str], entering: Sequence[str]) -> None:
        self._world.rates.forget(leaving)
        await self._drop(leaving, "rotation")
        await self._ask(entering)
        log_event(SYMBOLS_ROTATED, leaving=leaving, entering=entering)

    async def _renew(self, silent: Sequence[tuple[str, int]]) -> None:
        for symbol, since_ns in silent:
            warn_event(SYMBOL_SILENT, symbol=symbol, since_ns=since_ns)
            await self._drop([symbol], "symbol_silent", since_ns=since_ns)
        await self._ask([symbol for symbol, _ in silent])

    async def _ping(self) -> None:
        """Notice a line that is dead, and keep one that is not from being taken for it."""
        with contextlib.suppress(SocketClosed):
            while True:
                await asyncio.sleep(self._limits.ping_seconds)
                if not self._recorder.has_room:
                    continue  # nobody reads, so no answer would be seen
                try:
                    async with asyncio.timeout(self._limits.ping_seconds):
                        await self._socket.ping()
                except TimeoutError:
                    if self._recorder.has_room:
                        await self._end(CONNECTION_LOST, "a ping was not answered")

    async def _watch(self) -> None:
        """Tell the log each second that the connection stands; close it when it should not any longer."""
        beat_ns = round(self._limits.heartbeat_seconds * NS_PER_SECOND)
        silence_ns = round(self._limits.silence_seconds * NS_PER_SECOND)
        next_beat_ns = self._clock.monotonic_ns() + beat_ns
        while not self._ending:
            due_ns = min(next_beat_ns, self._heard_ns + silence_ns)
            await self._world.pause((due_ns - self._clock.monotonic_ns()) / NS_PER_SECOND)
            now_ns = self._clock.monotonic_ns()
            if not self._recorder.has_room:
                self._heard_ns = now_ns  # nobody reads: the silence is ours
            if self._world.stopping.is_set():
                await self._end("stopped")
            elif self._recorder.is_stalled:
                await self._end("disk_full")
            elif now_ns >= self._heard_ns + silence_ns:
                await self._end("silence")
            elif now_ns >= next_beat_ns:
                self._recorder.control("heartbeat")
                next_beat_ns = now_ns + beat_ns

    async def _end(self, cause: str, detail: str = "") -> None:
        self._ending, self._detail = self._ending or cause, self._detail or detail
        await self._socket.close()


def clock_offset_ms(date: str, now_ns: int) -> int | None:
    """Give the server's `Date` minus our clock, in milliseconds; None if there is no date in it.

    A date names a whole second and was written before it was read: the true offset lies up to 1,000 ms, and the way's time,
    above what is given.
    """
    try:
        return round(parsedate_to_datetime(date).timestamp() * 1000) - now_ns // NS_PER_MS
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
