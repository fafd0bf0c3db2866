"""An exchange that speaks Finnhub's protocol, plays its tricks, and knows the truth.

    admit      the keys, one connection a key, 401 and 429 at the handshake
    subscribe  symbols, up to the plan's slots; both of the vendor's errors
    tell       a day of trading to whoever listens, frame by frame; it begins with the first subscription
    trick      quirks by their rates, drawn for each connection out of the seed
    confess    each genuine trade once, with the connections on which it arrived, and each quirk that was played

Time       `market_clock` is the market's. At full speed the day waits until somebody listens, and for those who do
Guarantee  the same seed gives the same day; a connection's quirks depend on the seed, its key's number and its place
           among that key's connections alone. A trade counts as delivered when the listener has answered a ping that
           was sent behind it.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import cache
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ticklake.contracts.ports import Clock
from ticklake.feed.exchange.listener import PING, Listener
from ticklake.feed.exchange.market_clock import NS_PER_MS, MarketClock
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.tape import Tape, make_tape
from ticklake.feed.exchange.trouble import ON_FRAMES, TOO_MANY_SYMBOLS, Dice
from ticklake.feed.exchange.truth import Connection, Played, Told
from ticklake.logs import silent_logger

STALL_SECONDS: Final = 5.0
PING_SECONDS: Final = 60.0
"""The vendor says so often that it is there, in real time."""
CLOSE_SECONDS: Final = 2.0
AWAY_FRAMES: Final = 20
"""At full speed the exchange waits for who comes back, but this many frames are told to nobody first."""
WINDOW: Final = 64
MAX_WAITING: Final = 4_096
"""Messages that may be unanswered: at full speed the day waits for answers, at any other only for who is far behind."""
NOTICE_TURNS: Final = 6
"""Of the event loop, in which who listens in the same one sees its connection end."""
EARLY_SECONDS: Final = 0.001
"""What is due that soon is told at once."""
AT_THE_DOOR: Final = ("deaf", "refuse")

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
    keys: tuple[str, ...] = ()
    """More keys; each has a connection of its own, and a number: `key` is 1, these follow."""

    def number_of(self, key: str) -> int:
        """Give a key's number from 1; 0 for one that is not known."""
        keys = (self.key, *self.keys)
        return keys.index(key) + 1 if key in keys else 0


class Exchange:
    """One day of trading, told to whoever has a key.

    The day is made up out of the seed, or is the `tape` that is given. It begins when `wait_for` keys have subscribed.
    """

    def __init__(  # noqa: PLR0913 — each is a switch of its own, and all but the first are named
        self,
        seed: int,
        *,
        prints: int = 0,
        plan: Plan,
        clock: Clock,
        speed: float | None = None,
        quirks: Quirks | None = None,
        tape: Tape | None = None,
        window: int = WINDOW,
        wait_for: int = 1,
        ping_seconds: float = PING_SECONDS,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._quirks = quirks or Quirks()
        self._tape = tape or make_tape(seed, prints=prints, quirks=self._quirks)
        self.symbols = self._tape.symbols
        self.told = Told(halts=list(self._tape.halts))
        self.attempts = 0
        self.finished = asyncio.Event()
        self.market_clock = MarketClock(clock, self._tape.first_ms * NS_PER_MS, speed)
        self._seed = seed
        self._plan = plan
        self._clock = clock
        self._speed = speed
        self._window = MAX_WAITING if speed else window
        self._wait_for = wait_for
        self._ping_seconds = ping_seconds
        self._stall_seconds = stall_seconds
        self._listeners: dict[int, Listener] = {}
        self._before: dict[int, Listener] = {}
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._failures: list[Exception] = []
        self._away = 0
        self._attempts: Counter[int] = Counter()
        self._door = cache(lambda key: Dice(f"{seed}/{key}/door", self._quirks, AT_THE_DOOR))

    @contextlib.asynccontextmanager
    async def open(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen until the block ends; give the port. Raises what broke the telling."""
        async with serve(
            self._listen,
            host,
            port,
            process_request=self._answer_door,
            logger=_SILENT,
            compression=None,
            ping_interval=None,
            open_timeout=None,
            close_timeout=CLOSE_SECONDS,
        ) as server:
            working = [asyncio.create_task(work) for work in (self._tell_day(), self._ping_forever())]
            working[0].add_done_callback(lambda _: self.finished.set())  # a day that fails is over too: raised below
            try:
                yield _port_of(server)
            finally:
                self._closing.set()
                for each in working:
                    each.cancel()
                results = await asyncio.gather(*working, return_exceptions=True)
                self._failures += [result for result in results if isinstance(result, Exception)]
        if self._failures:
            raise self._failures[0]

    async def _answer_door(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer an attempt, unless it is met by silence."""
        response = self._admit(connection, request)
        if response is not None:
            return response
        key = self._key_of(request)
        drawn = self._door(key).draw(self._attempts[key])
        self._attempts[key] += 1
        for quirk in drawn[:1]:
            self.told.play(Played(quirk, 0, key, self.market_clock.now_ns(), self._clock.now_ns(), []))
        if "deaf" in drawn:
            waiting = [asyncio.ensure_future(each) for each in (connection.wait_closed(), self._closing.wait())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")
        return self._refuse(connection) if "refuse" in drawn else None

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.attempts += 1
        if not self._key_of(request):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Invalid API key\n")
        return self._refuse(connection) if self.attempts <= self._plan.refusals else None

    def _refuse(self, connection: ServerConnection) -> Response:
        refused = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "API limit reached\n")
        refused.headers["Retry-After"] = "0"
        return refused

    def _key_of(self, request: Request | None) -> int:
        tokens = parse_qs(urlsplit(request.path).query).get("token", []) if request else []
        return self._plan.number_of(tokens[0]) if len(tokens) == 1 else 0

    async def _listen(self, socket: ServerConnection) -> None:
        """Serve one connection. A second one on the key drops both, as the vendor does."""
        key = self._key_of(socket.request)
        if others := [each for each in self._listeners.values() if each.connection.key == key and each.socket.close_code is None]:
            for other in others:
                other.end("second_connection", "second_connection")
            return
        listener = self._seat(socket, key)
        try:
            await self._serve(listener)
        except Exception as error:  # the server would keep it to itself: it is raised where the exchange closes
            self._failures.append(error)
            self.finished.set()
            raise

    async def _serve(self, listener: Listener) -> None:
        """Heed what a connection wishes for, until it ends."""
        try:
            async for message in listener.socket:
                await self._obey(listener, message)
        except ConnectionClosed:
            pass  # it went without a word: nothing that it did not answer was delivered
        finally:
            del self._listeners[listener.number]
            self._changed.set()
            await listener.leave("open" if self._closing.is_set() else "left")

    def _seat(self, socket: ServerConnection, key: int) -> Listener:
        """Give a connection its number, its dice, and perhaps the last words of the one before."""
        nth = sum(each.key == key for each in self.told.connections) + 1
        now_ns, clock_ns = self.market_clock.now_ns(), self._clock.now_ns()
        connection = Connection(len(self.told.connections) + 1, key, nth, now_ns, clock_ns)
        self.told.connections.append(connection)
        listener = Listener(
            socket,
            connection,
            truth=self.told,
            dice=Dice(f"{self._seed}/{key}/{nth}", self._quirks, ON_FRAMES),
            clocks=(self.market_clock, self._clock),
            window=self._window,
            close_minutes=self._quirks.close_minutes,
        )
        listener.on_return = self._changed.set
        before = self._before.get(key)
        if before and before.last_frames and Dice(f"{self._seed}/{key}/{nth}", self._quirks, ["overlap"]).draw(0):
            listener.again = list(before.last_frames)
        self._before[key] = self._listeners[connection.number] = listener
        return listener

    async def _obey(self, listener: Listener, message: str | bytes) -> None:
        try:
            wish = _decode(message)
            kind, symbol = wish["type"], wish["symbol"]
        except (msgspec.DecodeError, KeyError, TypeError):
            return  # the vendor passes over what it does not know
        if not isinstance(symbol, str):
            return
        if kind == "unsubscribe":
            listener.unsubscribe(symbol)
        elif kind == "subscribe" and symbol not in self.symbols:
            listener.say(_encode({"type": "error", "msg": f"Invalid symbol {symbol}"}))
        elif kind == "subscribe" and len(listener.symbols) >= self._plan.slots and symbol not in listener.symbols:
            listener.say(_encode(TOO_MANY_SYMBOLS))
        elif kind == "subscribe":
            listener.subscribe(symbol)
            self._changed.set()

    async def _tell_day(self) -> None:
        await self._wait_for_keys(self._wait_for)
        self.market_clock.start()
        for number, frame in enumerate(self._tape.frames):
            await self._wait_until(frame[-1].received_ms)
            self.market_clock.reach(frame[-1].received_ms)
            ids = self.told.tell(frame, self.market_clock.now_ns(), self._clock.now_ns())
            for place, each in zip(ids, frame, strict=True):
                for quirk in each.oddities:
                    self.told.play(Played(quirk, 0, 0, self.told.told_ns[place], self.told.told_clock_ns[place], [place]))
            if ending := [each for each in list(self._listeners.values()) if each.tell(frame, ids, number)]:
                await self._let_go(ending)
            for listener in list(self._listeners.values()):
                await listener.room(self._stall_seconds)
        if not self._speed:
            await self._wait_for_keys(1)  # whose connection just ended comes back first, and has heard all of it
        for listener in list(self._listeners.values()):
            listener.say(PING)
            await listener.settle()
        self.finished.set()

    async def _let_go(self, ending: Sequence[Listener]) -> None:
        """At full speed, let those whose connection ends notice it before time goes on."""
        self._away = AWAY_FRAMES
        if not self._speed:
            for listener in ending:
                await listener.ending()
            for _ in range(NOTICE_TURNS):
                await asyncio.sleep(0)

    async def _wait_until(self, received_ms: int) -> None:
        """Wait until a frame is due; at full speed, until somebody listens, once those frames are over that nobody hears."""
        if self._speed:
            early = self.market_clock.seconds_until(received_ms)
            await asyncio.sleep(early if early > EARLY_SECONDS else 0)
            return
        await asyncio.sleep(0)
        if self._away and not self._count_keys():
            self._away -= 1
            return
        await self._wait_for_keys(1)

    async def _wait_for_keys(self, keys: int) -> None:
        """Wait until so many keys listen."""
        while self._count_keys() < keys:
            self._changed.clear()
            await self._changed.wait()

    def _count_keys(self) -> int:
        return len({each.connection.key for each in self._listeners.values() if each.symbols and each.is_told})

    async def _ping_forever(self) -> None:
        """Send the vendor's sign of life, about once a minute of real time, while the market is quiet too."""
        while True:
            await asyncio.sleep(self._ping_seconds)
            for listener in list(self._listeners.values()):
                listener.say(PING)


def _port_of(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])
