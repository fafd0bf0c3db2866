"""What arrives on a live connection, numbered and timed as it comes, and made durable in groups.

    open      a session: one connection
    keep      a message as it came, or something that we say about the session
    commit    all that waits, every `COMMIT_SECONDS`, in another thread

Time       `received_ns` is the clock's, and strictly increases within a session whatever the clock does
Guarantee  what is kept is committed in order; a disk that is full loses nothing of it: it waits, and `is_stalled` says so.
           What waits is bounded, by records and by bytes, if who reads heeds `has_room`
"""

import asyncio
import contextlib
import os
import random
import uuid
from collections.abc import Callable
from typing import Any, Final

from ticklake.contracts.frame import Stamp, envelope_head, format_control, frame_body
from ticklake.contracts.ports import Clock, LogWriter
from ticklake.errors import DiskFull
from ticklake.logs import LOG_RESUMED, LOG_STALLED, log_event, warn_event

COMMIT_SECONDS: Final = 0.01
RETRY_SECONDS: Final = 0.5
MAX_PENDING: Final = 50_000
MAX_PENDING_BYTES: Final = 32 << 20
"""Records that may wait for their commit, and their size; a reader that finds more has to wait itself."""

NS_PER_MS: Final = 1_000_000


def new_session(collector: str, now_ns: int) -> str:
    """Name a connection: the collector, then a UUID of version 7, whose names sort by time."""
    number = (now_ns // NS_PER_MS & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    number = number & ~(0xF << 76) | 7 << 76
    return f"{collector}/{uuid.UUID(int=number & ~(3 << 62) | 2 << 62)}"


def jittered(previous_seconds: float, *, least: float, most: float, chance: random.Random) -> float:
    """Give the next wait between attempts: decorrelated jitter, so that collectors do not come back in step."""
    return min(most, chance.uniform(least, max(least, previous_seconds * 3)))


class Recorder:
    """One collector's way into the log."""

    def __init__(
        self, log: LogWriter, *, feed: str, collector: str, clock: Clock, on_commit: Callable[[int], None] = lambda _: None
    ) -> None:
        self._log = log
        self._feed = feed
        self._collector = collector
        self._clock = clock
        self._on_commit = on_commit
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._kept = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._given_up = asyncio.Event()
        self._head = b""
        self._seq = 0
        self._received_ns = 0
        self.session = ""
        self.has_room = True
        self.is_stalled = False
        self.frames = 0
        self.records = 0
        """How many are durable."""

    def open_session(self, **fields: Any) -> None:
        """Begin a connection."""
        self.session = new_session(self._collector, self._clock.now_ns())
        self._head = envelope_head(self._feed, self.session)
        self._seq = 0
        self.control("session_opened", **fields)

    def close_session(self, cause: str, **fields: Any) -> None:
        """End the connection, and say why."""
        self.control("session_closed", cause=cause, **fields)

    def control(self, control_type: str, **fields: Any) -> int:
        """Keep something that we say about the session; give its `received_ns`."""
        seq, received_ns = self._next()
        self._keep(format_control(Stamp(self._feed, self.session, seq, received_ns), {"type": control_type, **fields}))
        return received_ns

    def frame(self, raw: bytes) -> int:
        """Keep one message as it came; give its `received_ns`."""
        self.frames += 1
        seq, received_ns = self._next()
        self._keep(self._head % (seq, received_ns) + frame_body(raw))
        return received_ns

    def now_ns(self) -> int:
        """Give the time that a record would bear now."""
        return max(self._received_ns + 1, self._clock.now_ns())

    @property
    def pending(self) -> int:
        """How many records are not durable yet."""
        return len(self._pending)

    async def room(self) -> None:
        """Wait while too much waits for its commit: who reads a socket stops reading, and memory stays bounded."""
        await self._room.wait()

    async def commit_forever(self) -> None:
        """Make durable what is kept, until cancelled; whoever cancels it calls `commit` once more."""
        while True:
            await self._kept.wait()
            await asyncio.sleep(COMMIT_SECONDS)
            await self.commit()

    async def commit(self) -> None:
        """Make durable what is kept by now; wait for a full disk to have room again, unless that is given up."""
        while self._pending and not (self.is_stalled and self._given_up.is_set()):
            try:
                await self._append(self._pending)
            except DiskFull as error:
                if not self.is_stalled:
                    warn_event(LOG_STALLED, reason=error.what)
                self.is_stalled = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._given_up.wait(), RETRY_SECONDS)
        if self.is_stalled and not self._pending:
            log_event(LOG_RESUMED, records=self.records)
        self.is_stalled = bool(self._pending)

    def give_up(self) -> None:
        """Do not wait any longer for a full disk to have room: what is pending then is lost."""
        self._given_up.set()

    async def _append(self, pending: list[bytes]) -> None:
        """Append a batch. It leaves the list only when it is durable; cancelled in the middle, it is waited for."""
        batch = pending[:MAX_PENDING]
        appending = asyncio.ensure_future(asyncio.to_thread(self._log.append, batch))
        try:
            await asyncio.shield(appending)
        except asyncio.CancelledError:
            await asyncio.wait([appending])
            if not appending.exception():
                self._forget(batch)
            raise
        self._forget(batch)

    def _forget(self, durable: list[bytes]) -> None:
        del self._pending[: len(durable)]
        self._pending_bytes -= sum(map(len, durable))
        self.records += len(durable)
        self._on_commit(self.records)
        if len(self._pending) < MAX_PENDING and self._pending_bytes < MAX_PENDING_BYTES:
            self.has_room = True
            self._room.set()
        if not self._pending:
            self._kept.clear()

    def _next(self) -> tuple[int, int]:
        self._received_ns = self.now_ns()
        self._seq += 1
        return self._seq - 1, self._received_ns

    def _keep(self, record: bytes) -> None:
        self._pending.append(record)
        self._pending_bytes += len(record)
        self._kept.set()
        if self.has_room and (len(self._pending) >= MAX_PENDING or self._pending_bytes >= MAX_PENDING_BYTES):
            self.has_room = False
            self._room.clear()
