"""An exchange that speaks Finnhub's protocol, plays its tricks, and knows the truth.

    admit      the key, one connection a key, 401 and 429 at the handshake
    subscribe  symbols, up to the plan's slots; both of the vendor's errors
    tell       a made-up day of trading to whoever listens, frame by frame; it begins with the first subscription
    trick      quirks by their rates, drawn for each frame out of the seed
    confess    each genuine trade once, with the connections that it reached, and how often each quirk was played

Guarantee  the same seed gives the same day, and the same quirks at the same frames, whatever the listeners do.
           A trade counts as delivered when the listener has answered a ping that was sent behind it.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ticklake.contracts.frame import MAX_FRAME_BYTES
from ticklake.contracts.ports import Clock
from ticklake.feed.exchange.listings import LISTINGS, Print, trade_day
from ticklake.feed.exchange.market import BROKEN_FRAMES, cut_frames, write_frame
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.truth import Told
from ticklake.logs import silent_logger

TOO_MANY_SYMBOLS: Final = {"type": "error", "msg": "Subscribing to too many symbols"}
PING: Final = b'{"type":"ping"}'
ANSWER_SECONDS: Final = 5.0
AWAY_FRAMES: Final = 20
"""At full speed the exchange waits for who comes back, but this many frames are told to nobody first."""
SETTLE_FRAMES: Final = 200
LAST_WORDS: Final = ("oversize", "close", "drop", "hang")
"""Quirks behind which a connection is told nothing any more; one of them a frame."""

_SILENT: Final = silent_logger("feed.exchange.socket")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Plan(msgspec.Struct, frozen=True):
    """What the exchange grants, and to whom."""

    key: str
    slots: int = 50
    """Symbols that a connection may subscribe to."""
    refusals: int = 0
    """Attempts that are answered with 429 before the first one is let in."""


class _Listener:
    """One connection, and what was sent to it since it last answered."""

    def __init__(self, socket: ServerConnection, number: int) -> None:
        self.socket = socket
        self.number = number
        self.symbols: set[str] = set()
        self.unanswered: list[int] = []
        self.is_told = True


class Exchange:
    """One day of trading out of a seed, told to whoever has the key."""

    def __init__(
        self,
        seed: int,
        *,
        prints: int,
        plan: Plan,
        clock: Clock,
        speed: float | None = None,
        quirks: Quirks | None = None,
    ) -> None:
        self.symbols = [listing.symbol for listing in LISTINGS]
        self.told = Told()
        self.attempts = 0
        self._plan = plan
        self._clock = clock
        self._speed = speed
        self._quirks = quirks or Quirks()
        self._chance = random.Random(f"{seed}/quirks")  # noqa: S311 — a market, not a secret
        self._frames = list(
            cut_frames(sorted(each for listing in LISTINGS for each in trade_day(listing, seed, prints * listing.share // 100)))
        )
        self._listeners: dict[int, _Listener] = {}
        self._connections = 0
        self._subscribed = asyncio.Event()
        self._away = 0
        self.finished = asyncio.Event()

    @contextlib.asynccontextmanager
    async def open(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen until the block ends; give the port."""
        async with serve(
            self._listen, host, port, process_request=self._admit, logger=_SILENT, compression=None, ping_interval=None
        ) as server:
            telling = asyncio.create_task(self._tell_day())
            try:
                yield _port_of(server)
            finally:
                telling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await telling

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.attempts += 1
        if parse_qs(urlsplit(request.path).query).get("token") != [self._plan.key]:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Invalid API key\n")
        if self.attempts <= self._plan.refusals:
            refused = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "API limit reached\n")
            refused.headers["Retry-After"] = "0"
            return refused
        return None

    async def _listen(self, socket: ServerConnection) -> None:
        """Serve one connection. A second one on the key drops both, as the vendor does."""
        if others := [each for each in self._listeners.values() if each.socket.close_code is None]:
            self._count("second_connection")
            for other in others:
                await self._end(other, "close")
            return
        self._connections += 1
        listener = _Listener(socket, self._connections)
        self._listeners[listener.number] = listener
        try:
            async for message in socket:
                await self._obey(listener, message)
        except ConnectionClosed:
            pass  # it went without a word: nothing that it did not answer was delivered
        finally:
            del self._listeners[listener.number]

    async def _obey(self, listener: _Listener, message: str | bytes) -> None:
        try:
            wish = _decode(message)
            kind, symbol = wish["type"], wish["symbol"]
        except (msgspec.DecodeError, KeyError, TypeError):
            return  # the vendor passes over what it does not know
        if kind == "unsubscribe":
            listener.symbols.discard(symbol)
        elif kind == "subscribe" and symbol not in self.symbols:
            await listener.socket.send(_encode({"type": "error", "msg": f"Invalid symbol {symbol}"}).decode())
        elif kind == "subscribe" and len(listener.symbols) >= self._plan.slots and symbol not in listener.symbols:
            await listener.socket.send(_encode(TOO_MANY_SYMBOLS).decode())
        elif kind == "subscribe":
            listener.symbols.add(symbol)
            self._subscribed.set()

    async def _tell_day(self) -> None:
        await self._subscribed.wait()
        started_ns, first_ms = self._clock.monotonic_ns(), self._frames[0][0].received_ms
        for number, frame in enumerate(self._frames):
            if self._speed:
                due_ns = started_ns + (frame[-1].received_ms - first_ms) / self._speed * 1e6
                await asyncio.sleep(max(0.0, (due_ns - self._clock.monotonic_ns()) / 1e9))
            else:
                await self._wait_for_listeners()
            drawn = {name for name in self._quirks.__struct_fields__ if self._chance.random() < getattr(self._quirks, name)}
            spoilt = self._chance.choice(BROKEN_FRAMES)[1](write_frame([each.text for each in frame]))
            places = range(len(self.told.trades), len(self.told.trades) + len(frame))
            self.told.trades += [each.trade for each in frame]
            self.told.delivered += [set() for _ in frame]
            for listener in list(self._listeners.values()):
                with contextlib.suppress(ConnectionClosed):
                    await self._tell(listener, frame, places, drawn, spoilt)
                if number % SETTLE_FRAMES == 0 and listener.is_told:
                    await self._settle(listener)
        for listener in list(self._listeners.values()):
            with contextlib.suppress(ConnectionClosed):
                await listener.socket.send(PING, text=True)
            await self._settle(listener)
        self.finished.set()

    async def _wait_for_listeners(self) -> None:
        """Wait until somebody listens, once those frames are over that nobody hears."""
        if self._away:
            self._away -= 1
            return
        while not any(each.symbols and each.is_told for each in self._listeners.values()):
            self._subscribed.clear()
            await self._subscribed.wait()

    async def _tell(self, listener: _Listener, frame: Sequence[Print], places: range, drawn: set[str], spoilt: bytes) -> None:
        told = [(place, each.text) for place, each in zip(places, frame, strict=True) if each.trade.symbol in listener.symbols]
        if not told or not listener.is_told:
            return
        message = write_frame([text for _, text in told]).decode()
        for _ in range(3 if self._plays("repeat", drawn) else 1):
            await listener.socket.send(message)
        listener.unanswered += [place for place, _ in told]
        if self._plays("garbage", drawn):
            await listener.socket.send(spoilt)
        if self._plays("unknown", drawn):
            await listener.socket.send(b'{"type":"news","data":[]}', text=True)
        if last := next((quirk for quirk in LAST_WORDS if self._plays(quirk, drawn)), None):
            self._away = AWAY_FRAMES
            listener.is_told = False
            await self._end(listener, last)

    async def _end(self, listener: _Listener, quirk: str) -> None:
        """Let a connection end, or hang, once all that was sent before has arrived."""
        await self._settle(listener)
        if quirk == "oversize":
            await listener.socket.send(b" " * (2 * MAX_FRAME_BYTES))
        elif quirk == "close":
            await listener.socket.close(1001)
        elif quirk == "drop":
            listener.socket.transport.abort()
        if quirk != "hang":
            await listener.socket.wait_closed()

    def _plays(self, quirk: str, drawn: set[str]) -> bool:
        if quirk in drawn:
            self._count(quirk)
        return quirk in drawn

    def _count(self, quirk: str) -> None:
        self.told.played[quirk] = self.told.played.get(quirk, 0) + 1

    async def _settle(self, listener: _Listener) -> None:
        """Wait until a listener has received all that was sent to it; what it does not answer for was not delivered."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await (await listener.socket.ping())
        except (ConnectionClosed, TimeoutError):
            return
        for place in listener.unanswered:
            self.told.delivered[place].add(listener.number)
        listener.unanswered.clear()


def _port_of(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])
