"""The live feed beside other work: the client of `collect` in a thread, on an event loop of its own.

    collect   until told to stop, from whatever thread
    stop      the session is closed with its cause, and what came is durable, before `collect` returns

Raises     KeyRefused, StageLocked where another process has the key, and what the log raises; a full disk is waited out,
           and is DiskFull only where that was given up
"""

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from ticklake.cli.access import Access

if TYPE_CHECKING:
    from ticklake.cli.collect import Collector
    from ticklake.cli.lake import Lake
    from ticklake.contracts.ports import LogWriter

EXAMPLE: Final = "TICKLAKE_FEED__SYMBOLS=AAPL,MSFT"


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

    def __init__(self, lake: "Lake", access: Access) -> None:
        self._lake = lake
        self._access = access
        self._lock = threading.RLock()  # a signal may call `stop` in the middle of `stop`
        self._is_stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._collector: Collector | None = None

    @classmethod
    def of(cls, lake: "Lake", url: str | None) -> Self | None:
        """Give the feed that a key or an address is set for; None if neither is. Raises SettingsInvalid."""
        settings = lake.settings.feed
        if not (settings.key.get_secret_value() or url or settings.url != type(settings)().url):
            return None
        return cls(lake, Access.of(settings, url=url))

    @property
    def has_symbols(self) -> bool:
        """Whether there is anything to subscribe to."""
        return self._access.has_symbols

    def tally(self) -> dict[str, Any] | None:
        """Give what was done so far; None if it did not begin."""
        return self._collector.tally() if self._collector else None

    def collect(self, log: "LogWriter") -> None:
        """Record into a log until stopped; its loop is this thread's. Raises KeyRefused, StageLocked, DiskFull if given up."""
        from ticklake.cli.collect import hold_feed_key

        with hold_feed_key(self._lake, url=self._access.url, key=self._access.key.get_secret_value()):
            asyncio.run(self._collect(log))
        self.tally()

    def stop(self, *, at_once: bool = False) -> None:
        """Let `collect` end, from whatever thread, before or while it runs; `at_once` waits for no full disk."""
        with self._lock:
            self._is_stopped = True
            if self._loop and self._collector:
                self._loop.call_soon_threadsafe(self._collector.client.stop)
                if at_once:
                    self._loop.call_soon_threadsafe(self._collector.client.abandon)

    async def _collect(self, log: "LogWriter") -> None:
        from ticklake.cli.collect import make_collector

        url, key, symbols, _ = self._access
        collector = make_collector(self._lake, log, url=url, key=key.get_secret_value(), symbols=symbols)
        with self._lock:
            self._loop, self._collector = asyncio.get_running_loop(), collector
            if self._is_stopped:
                collector.client.stop()
        try:
            await collector.client.collect()
        finally:
            with self._lock:
                self._loop = None
