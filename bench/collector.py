"""Our collector as a process: the real client, recorder and log; or the same client with the recording left out.

Run        python -m bench.collector URL FOLDER full|socket LIBRARY     ends with SIGTERM; prints a Collected as JSON
Time       processor seconds of the whole process, all threads, from the opened session to the end
Units      arrival to durable: from a record's `received_ns` to the moment at which the recorder was told of its commit
"""

import asyncio
import importlib
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.load import SYMBOLS
from ticklake.cli.lake import SystemClock
from ticklake.feed.finnhub.client import FinnhubClient
from ticklake.feed.recorder import Recorder
from ticklake.log.sqlite import SqliteLog, SqliteLogWriter

SEGMENT_RECORDS: Final = 200_000
"""As the settings have it."""

USUAL: Final = "websockets"
"""The library for WebSockets that the client uses if nothing else is said."""


class Collected(msgspec.Struct):
    """What a client did with what it was sent."""

    frames: int
    cpu_seconds: float
    memory_bytes: int
    """The most that it had, at any time."""
    lost: int = 0
    doubled: int = 0
    durable_ms: list[float] = []
    """Arrival to durable: median, 99 of 100, the worst."""
    stored_ms: list[float] = []
    """The same from the sending on."""


class Deaf(Recorder):
    """A recorder that counts messages and keeps none of them: what is left is the socket's own cost."""

    def frame(self, raw: bytes) -> Any:  # noqa: ARG002 — it is left out
        """Count a message; give when it came."""
        self.frames += 1
        return self._clock.now_ns()


class Stopwatch:
    """How far the log was, and when."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, int]] = []

    def note(self, records: int) -> None:
        """So many records are durable by now."""
        self.commits.append((records, time.time_ns()))


def spent_seconds() -> float:
    """Give the processor time of this process."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def peak_bytes() -> int:
    """Give the most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def percentiles(values: list[float]) -> list[float]:
    """Give the median, 99 of 100, and the worst, to microseconds."""
    ranked = sorted(values)
    return [round(ranked[min(len(ranked) - 1, int(len(ranked) * share))], 3) for share in (0.5, 0.99, 1.0)]


def choose_library(name: str) -> dict[str, Any]:
    """Give what makes the client use a library; the usual one needs nothing said."""
    if name == USUAL:
        return {}
    return {"transport": getattr(importlib.import_module(f"ticklake.feed.finnhub.over_{name}"), f"open_{name}")}


async def collect(url: str, folder: Path, recorder_type: type[Recorder], library: str = USUAL) -> Collected:
    """Collect until told to stop."""
    stopwatch = Stopwatch()
    log = SqliteLogWriter(folder, segment_records=SEGMENT_RECORDS)
    recorder = recorder_type(log, feed="finnhub", collector="bench", clock=SystemClock(), on_commit=stopwatch.note)
    client = FinnhubClient(recorder, url=url, key="bench", symbols=SYMBOLS, clock=SystemClock(), **choose_library(library))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, client.stop)
    before = spent_seconds()
    await client.collect()
    collected = Collected(recorder.frames, spent_seconds() - before, peak_bytes())
    log.close()
    if recorder_type is Recorder:
        _examine(folder, stopwatch, collected)
    return collected


def _examine(folder: Path, stopwatch: Stopwatch, collected: Collected) -> None:
    """Read the log again: is every frame there, once; and how long did each take?"""
    log, offset, commits = SqliteLog(folder), 0, iter(stopwatch.commits)
    durable_to, durable_ns = 0, 0
    numbers: list[int] = []
    durable_ms, stored_ms = [], []
    read = msgspec.json.Decoder().decode
    while records := log.read(0, offset, max_records=50_000):
        for record in records:
            while record.offset >= durable_to:
                durable_to, durable_ns = next(commits)
            said = read(record.value)
            if "frame" not in said:
                continue
            first = said["frame"]["data"][0]
            numbers.append(first["v"])
            sent_ns = first["t"] * 1_000_000 + int(first["p"] - 1) * 1000
            durable_ms.append((durable_ns - said["received_ns"]) / 1e6)
            stored_ms.append((durable_ns - sent_ns) / 1e6)
        offset = records[-1].offset + 1
    held = set(numbers)
    collected.lost, collected.doubled = max(held) + 1 - len(held), len(numbers) - len(held)
    collected.durable_ms, collected.stored_ms = percentiles(durable_ms), percentiles(stored_ms)


if __name__ == "__main__":
    kind = {"full": Recorder, "socket": Deaf}[sys.argv[3]]
    print(msgspec.json.encode(asyncio.run(collect(sys.argv[1], Path(sys.argv[2]), kind, sys.argv[4]))).decode())
