"""The live feed beside other work: the client of `collect` in a thread, on an event loop of its own.

    collect   until told to stop, from whatever thread
    stop      the session is closed with its cause, and what came is durable, before `collect` returns

Raises     KeyRefused, and what the log raises but DiskFull, which is waited out
"""

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import msgspec

from ticklake.cli.simulate import SIMULATED_KEY
from ticklake.errors import SettingsInvalid

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake
    from ticklake.contracts.ports import LogWriter
    from ticklake.feed.finnhub.client import FinnhubClient
    from ticklake.feed.recorder import Recorder

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
EXAMPLE: Final = 'TICKLAKE_FEED__SYMBOLS=\'["AAPL","MSFT"]\''


class Collected(msgspec.Struct):
    """What was made durable of a feed."""

    messages: int = 0
    records: int = 0
    connections: int = 0


class SharedWriter:
    """A log's writing end for several threads: what one of them appends stands together."""

    def __init__(self, log: "LogWriter") -> None:
        self._log = log
        self._turn = threading.Lock()

    def append(self, records: Sequence[bytes]) -> int:
        """Make records durable, in order; give the offset of the first. Raises DiskFull (retryable)."""
        with self._turn:
            return self._log.append(records)

    def close(self) -> None:
        """Let go of files and locks."""
        with self._turn:
            self._log.close()


class LiveFeed:
    """A feed that a lake is set to collect from."""

    def __init__(self, lake: "Lake", url: str, key: str, symbols: Sequence[str]) -> None:
        self._lake = lake
        self._url = url
        self._key = key
        self._symbols = list(symbols)
        self._stopping = threading.Event()
        self._lock = threading.RLock()  # a signal may call `stop` in the middle of `stop`
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: FinnhubClient | None = None
        self._recorder: Recorder | None = None

    @classmethod
    def of(cls, lake: "Lake", url: str | None) -> Self | None:
        """Give the feed that a key or an address is set for; None if neither is. Raises SettingsInvalid.

        An exchange on this machine needs no key of yours.
        """
        settings = lake.settings.feed
        key = settings.key.get_secret_value()
        is_set = bool(url) or settings.url != type(settings)().url
        address = url or settings.url
        if not (key or is_set):
            return None
        if not address.startswith(("ws://", "wss://")):
            raise SettingsInvalid(f"{address!r} is no address of a socket", hint="such as wss://ws.finnhub.io or ws://127.0.0.1:8765")
        if not key and urlsplit(address).hostname not in LOOPBACK:
            raise SettingsInvalid(
                f"there is no key for the feed at {urlsplit(address).hostname}", hint="set it: export TICKLAKE_FEED__KEY=…"
            )
        return cls(lake, address, key or SIMULATED_KEY, settings.symbols)

    @property
    def has_symbols(self) -> bool:
        """Whether there is anything to subscribe to."""
        return bool(self._symbols)

    @property
    def collected(self) -> Collected:
        """What is durable by now."""
        if self._client is None or self._recorder is None:
            return Collected()
        return Collected(self._recorder.frames, self._recorder.records, self._client.connections)

    def collect(self, log: "LogWriter") -> None:
        """Record into a log until stopped; its loop is this thread's. Raises KeyRefused."""
        asyncio.run(self._collect(log))

    def stop(self) -> None:
        """Let `collect` end, from whatever thread, before or while it runs."""
        with self._lock:
            self._stopping.set()
            if self._loop and self._client:
                self._loop.call_soon_threadsafe(self._client.stop)

    async def _collect(self, log: "LogWriter") -> None:
        from ticklake.feed.finnhub.client import FEED, FinnhubClient, Limits
        from ticklake.feed.recorder import Recorder

        settings, clock = self._lake.settings.feed, self._lake.clock
        limits = Limits(slots=settings.slots, silence_seconds=settings.silence_seconds)
        recorder = Recorder(log, feed=FEED, collector=settings.collector, clock=clock)
        client = FinnhubClient(recorder, url=self._url, key=self._key, symbols=self._symbols, clock=clock, limits=limits)
        with self._lock:
            self._loop, self._client, self._recorder = asyncio.get_running_loop(), client, recorder
            if self._stopping.is_set():
                client.stop()
        try:
            await client.collect()
        finally:
            with self._lock:
                self._loop = None
