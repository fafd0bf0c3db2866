"""Send a source's records to the log, at tape speed, faster, or as fast as the disk takes them.

    gather    records until the batch is full or the moment of the next has not come
    append    one durable commit a batch

Time       `speed` is tape seconds a second; none means no waiting
Guarantee  when `replay` returns, or is stopped, all that it counted is durable
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from ticklake.contracts.ports import Clock, LogWriter
from ticklake.feed.ports import FrameSource, TimedRecord

COMMIT_RECORDS: Final = 2_000
COMMIT_NS: Final = 20_000_000
WAIT_SECONDS: Final = 0.2


class Replayed(msgspec.Struct):
    """What was made durable."""

    records: int = 0
    prints: int = 0
    is_complete: bool = False


def replay(
    source: FrameSource,
    log: LogWriter,
    *,
    clock: Clock,
    speed: float | None,
    should_stop: Callable[[], bool] = lambda: False,
    on_commit: Callable[[Replayed], None] = lambda _: None,
) -> Replayed:
    """Play a source into the log; stop between two commits when `should_stop` says so.

    Raises DiskFull (retryable): run it again, the log then holds each record at least once.
    """
    replayed = Replayed()
    for batch in _batches(source, clock, speed):
        if should_stop():
            return replayed
        if batch:
            log.append([record.value for record in batch])
            replayed.records += len(batch)
            replayed.prints += sum(record.prints for record in batch)
            on_commit(replayed)
    replayed.is_complete = True
    return replayed


def _batches(source: FrameSource, clock: Clock, speed: float | None) -> Iterator[list[TimedRecord]]:
    """Give what is due, at most a commit's worth; an empty batch is a moment to stop while nothing is due."""
    if speed is None:
        records = source.records()
        while batch := list(itertools.islice(records, COMMIT_RECORDS)):
            yield batch
        return
    started_ns, first_ns = clock.monotonic_ns(), None
    batch = []
    for record in source.records():
        first_ns = record.received_ns if first_ns is None else first_ns
        due_ns = started_ns + int((record.received_ns - first_ns) / speed)
        if batch and (len(batch) >= COMMIT_RECORDS or due_ns - clock.monotonic_ns() > COMMIT_NS):
            yield batch
            batch = []
        while (early_ns := due_ns - clock.monotonic_ns()) > COMMIT_NS:
            clock.sleep(min(early_ns / 1e9, WAIT_SECONDS))
            yield []
        batch.append(record)
    yield batch
