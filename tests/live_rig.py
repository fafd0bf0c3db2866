"""A collector and an exchange in one loop, on loopback: a day from its first subscription to its end.

Or a collector and a `Vendor`, which does what no exchange would, for hours of simulated time (simulated_time.py).
"""

import asyncio
import contextlib
import gc
import random
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.simulated_time import SimulatedClock, run_simulated
from tests.unit.fakes import FakeLog
from ticklake.cli.lake import Lake
from ticklake.contracts.ports import Clock
from ticklake.feed.exchange.serve import Exchange, Plan
from ticklake.feed.finnhub.client import FinnhubClient, Limits
from ticklake.feed.finnhub.over_picows import open_picows
from ticklake.feed.finnhub.over_websockets import open_websocket
from ticklake.feed.recorder import Recorder
from ticklake.locks import hold_stage
from ticklake.logs import silent_logger

KEY: Final = "canary-5f1d"
TRANSPORTS: Final = pytest.mark.parametrize("transport", [open_websocket, open_picows], ids=["websockets", "picows"])
"""What a socket does is the same over each library."""

QUICK: Final = Limits(silence_seconds=0.4, least_wait_seconds=0.01, most_wait_seconds=0.05, heartbeat_seconds=0.05, close_seconds=0.2)
"""For a loop on real time."""


class _ClockOf:
    """A lake's clock, whichever it has by then."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def now_ns(self) -> int:
        return self._lake.clock.now_ns()

    def monotonic_ns(self) -> int:
        return self._lake.clock.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        self._lake.clock.sleep(seconds)


def make_exchange(lake: Lake, *, prints: int = 6_000, slots: int = 50, refusals: int = 0, **options: Any) -> Exchange:
    """Give an exchange that tells its day as fast as it is listened to."""
    return Exchange(3, prints=prints, plan=Plan(KEY, slots, refusals), clock=_ClockOf(lake), **options)


async def collect_day(
    lake: Lake, exchange: Exchange, *, key: str = KEY, symbols: list[str] | None = None, limits: Limits = QUICK, log: Any = None
) -> FinnhubClient:
    """Collect from an exchange to the end of its day; give the client."""
    recorder = Recorder(log or lake.open_log_writer(), feed="finnhub", collector="rig", clock=lake.clock)
    async with exchange.open("127.0.0.1", 0) as port:
        client = FinnhubClient(
            recorder,
            url=f"ws://127.0.0.1:{port}",
            key=key,
            symbols=symbols or exchange.symbols,
            clock=lake.clock,
            limits=limits,
            chance=random.Random(1),
        )
        collecting = asyncio.create_task(client.collect())
        telling = asyncio.create_task(exchange.finished.wait())
        async with asyncio.timeout(100_000):
            await asyncio.wait([collecting, telling], return_when=asyncio.FIRST_COMPLETED)
            client.stop()
            telling.cancel()
            await collecting
    return client


def run_day(lake: Lake, exchange: Exchange, **options: Any) -> FinnhubClient:
    """The same, from outside of any loop, on simulated time."""

    async def run(clock: SimulatedClock) -> FinnhubClient:
        lake.clock = clock
        return await collect_day(lake, exchange, **{"limits": Limits(), **options})

    with hold_stage(lake.home.locks, "log"):
        client: FinnhubClient = run_simulated(run)
    return client


def read_records(lake: Lake) -> list[dict[str, Any]]:
    """Give what the log holds."""
    return [msgspec.json.decode(record.value) for record in lake.log.read(0, 0, max_records=1_000_000)]


def controls(lake: Lake, control_type: str) -> list[dict[str, Any]]:
    """Give the control records of a type."""
    return [record["control"] for record in read_records(lake) if record.get("control", {}).get("type") == control_type]


class Forgetful:
    """A log that keeps nothing and counts, for what goes on for hours."""

    def __init__(self) -> None:
        self.count = 0

    def append(self, records: Sequence[bytes]) -> int:
        self.count += len(records)
        return self.count - len(records)

    def close(self) -> None: ...


Play = Callable[["Vendor", ServerConnection], Coroutine[Any, Any, None]]
Admit = Callable[["Vendor", ServerConnection, Request], Coroutine[Any, Any, Response | None]]


class Vendor:
    """A server of a few lines, for what no exchange would do; it is told by `play` what to do with a connection.

    `opened` and `closed` are the moments of its connections, `wishes` (moment, type, symbol) what was asked for.
    """

    def __init__(
        self,
        clock: Clock,
        play: Play,
        *,
        admit: Admit | None = None,
        slots: int = 50,
        headers: Sequence[tuple[str, str]] = (),
        certificate: Path | None = None,
        patience_seconds: float = 10.0,
    ) -> None:
        self.clock = clock
        self.opened: list[float] = []
        self.closed: list[float] = []
        self.attempts: list[float] = []
        self.wishes: list[tuple[float, str, str]] = []
        self.symbols: set[str] = set()
        self._play = play
        self._admit = admit
        self._headers = headers
        self._patience_seconds = patience_seconds
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._slots = slots

    @property
    def has_tls(self) -> bool:
        """Whether it speaks wss."""
        return self._tls is not None

    @property
    def now(self) -> float:
        """Seconds, by the clock."""
        return self.clock.monotonic_ns() / 1e9

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Listen until the block ends; give the port."""
        async with serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._judge,
            process_response=self._adorn,
            compression=None,
            ping_interval=None,
            open_timeout=self._patience_seconds,
            close_timeout=1,
            ssl=self._tls,
            logger=silent_logger("rig"),
        ) as server:
            yield next(iter(server.sockets)).getsockname()[1]

    async def _judge(self, socket: ServerConnection, request: Request) -> Response | None:
        self.attempts.append(self.now)
        return await self._admit(self, socket, request) if self._admit else None

    def _adorn(self, _socket: ServerConnection, _request: Request, response: Response) -> None:
        for name, value in self._headers:
            response.headers[name] = value

    async def _serve(self, socket: ServerConnection) -> None:
        self.opened.append(self.now)
        self.symbols = set()
        playing = asyncio.create_task(self._play(self, socket))
        try:
            async for message in socket:
                await self._obey(socket, msgspec.json.decode(message))
        except ConnectionClosed:
            pass  # it was cut: that is what many a test is about
        finally:
            self.closed.append(self.now)
            playing.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await playing

    async def _obey(self, socket: ServerConnection, wish: dict[str, str]) -> None:
        self.wishes.append((self.now, wish["type"], wish["symbol"]))
        if wish["type"] == "unsubscribe":
            self.symbols.discard(wish["symbol"])
        elif len(self.symbols) >= self._slots and wish["symbol"] not in self.symbols:
            await socket.send('{"type":"error","msg":"Subscribing to too many symbols"}')
        else:
            self.symbols.add(wish["symbol"])


def trade(*symbols: str) -> str:
    """Give a message with a print of each symbol."""
    return f'{{"data":[{",".join(f"""{{"p":1.5,"s":"{symbol}","t":1763560800000,"v":100}}""" for symbol in symbols)}],"type":"trade"}}'


class Story:
    """What a client did against a vendor, and what it recorded."""

    def __init__(self, client: FinnhubClient, vendor: Vendor, records: Iterable[bytes], began_ns: int) -> None:
        self.client = client
        self.vendor = vendor
        self.records: list[dict[str, Any]] = [msgspec.json.decode(record) for record in records]
        self._began_ns = began_ns

    def controls(self, control_type: str) -> list[dict[str, Any]]:
        """Give the control records of a type, each with `at`, its seconds since the beginning."""
        return [
            {**record["control"], "at": (record["received_ns"] - self._began_ns) / 1e9}
            for record in self.records
            if record.get("control", {}).get("type") == control_type
        ]


async def live(
    clock: Clock,
    vendor: Vendor,
    *,
    seconds: float,
    symbols: Sequence[str] = ("AAPL", "MSFT"),
    limits: Limits | None = None,
    log: Any = None,
    **options: Any,
) -> Story:
    """Let a client collect from a vendor for so long, into a log in memory if no other is given."""
    log = FakeLog() if log is None else log
    recorder = Recorder(log, feed="finnhub", collector="rig", clock=clock)
    began_ns = clock.now_ns()
    async with vendor.open() as port:
        client = FinnhubClient(
            recorder,
            url=f"{'wss' if vendor.has_tls else 'ws'}://127.0.0.1:{port}",
            key=KEY,
            symbols=symbols,
            clock=clock,
            limits=limits,
            chance=random.Random(1),
            **options,
        )
        collecting = asyncio.create_task(client.collect())
        await asyncio.wait({collecting}, timeout=seconds)
        client.stop()
        await collecting
    return Story(client, vendor, log.records.values() if isinstance(log, FakeLog) else [], began_ns)


@contextlib.contextmanager
def traced_memory() -> Iterator[None]:
    """Trace what is allocated while the block runs."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
