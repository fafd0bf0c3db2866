"""Move records from the log to the landing zone, losing none.

    resume    the last object of the partition, by listing: the next begins where it ends
    read      collect records until the object is full, by bytes or by count; at the log's end also when they
              have waited long enough by their own time (heartbeats move it on), never by the wall clock
    create    PUT under a name made of the first offset; if it exists, adopt it
    advance   the next object begins where that one ended

Takes      a log and a store
Order      by offset, within a partition
Guarantee  every offset is in exactly one object, whatever is killed, whenever
Raises     DiskFull, StoreUnavailable (both retryable): nothing was advanced; ObjectCorrupt, OffsetConflict
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from ticklake.contracts.codec import decode_object, encode_object
from ticklake.contracts.faults import FaultPoint
from ticklake.contracts.frame import read_record_id
from ticklake.contracts.objects import LossKey, ObjectKey, partition_prefix
from ticklake.contracts.ports import Log, LogRecord, ObjectStore
from ticklake.errors import OffsetConflict
from ticklake.logs import OBJECT_ADOPTED, OBJECT_LANDED, OFFSETS_LOST, log_event, warn_event

OBJECT_ENCODED: Final = FaultPoint("landing.object_encoded")
OBJECT_LANDED_POINT: Final = FaultPoint("landing.object_landed")

READ_RECORDS: Final = 5_000
SESSION_CLOSED: Final = b'"control":{"type":"session_closed"'


class Cut(msgspec.Struct, frozen=True):
    """When an object is full."""

    records: int = 20_000
    size_bytes: int = 32 << 20
    seconds: float = 60.0


class Landed(msgspec.Struct):
    """What one call landed."""

    objects: int = 0
    records: int = 0
    lost: int = 0


class Lander:
    """One partition's way from the log to the store."""

    def __init__(self, log: Log, store: ObjectStore, *, partition: int, cut: Cut) -> None:
        self._log = log
        self._store = store
        self._partition = partition
        self._cut = cut
        self._log_id = ""
        self._next_offset = 0
        self._pending: list[LogRecord] = []
        self._pending_bytes = 0
        self._was_adopted = False

    @property
    def next_offset(self) -> int:
        """The first offset that is in no object yet."""
        return self._next_offset

    def land(self, *, flush: bool, on_object: Callable[[int], None] = lambda _: None) -> Landed:
        """Land what fills an object, and with `flush` all that the log holds.

        Without `flush` the rest waits, but for a session's end: when the log's last record closes a session,
        nothing may follow for hours.
        """
        self._resume_if_new_log()
        landed = Landed()
        if not self._log_id:
            return landed
        for batch in self._batches(flush=flush):
            landed.lost += max(0, batch[0].offset - self._next_offset)
            self._create(batch)
            records = self._next_offset - batch[0].offset
            landed.objects += 1
            landed.records += records
            on_object(records)
        return landed

    def _resume_if_new_log(self) -> None:
        log_id = self._log.log_id
        if log_id and log_id != self._log_id:
            self._log_id = log_id
            self._next_offset = resume_offset(self._store, log_id, self._partition)
            self._pending, self._pending_bytes = [], 0
            self._check_continuity()

    def _check_continuity(self) -> None:
        """Refuse a log that is not the one that was landed: an old copy would give the same offsets to other records."""
        last_landed = self._next_offset - 1
        if last_landed < self._log.begin_offset(self._partition):
            return
        logged = self._log.read(self._partition, last_landed, max_records=1)
        key, last_line = last_object(self._store, self._log_id, self._partition)
        if not logged or logged[0].offset != last_landed or logged[0].value != last_line:
            raise OffsetConflict(
                f"{key} ends at offset {last_landed} with a record that the log has not at that offset",
                hint="the log was restored from an old copy: move its folder aside, a new one begins a new epoch",
            )

    def _batches(self, *, flush: bool) -> Iterator[list[LogRecord]]:
        is_at_end = False
        while not is_at_end:
            while records := self._log.read(self._partition, self._read_from, max_records=READ_RECORDS):
                for record in records:
                    if self._pending and (record.offset != self._read_from or self._is_full):
                        yield self._take()
                        if self._next_offset != record.offset and self._was_adopted:
                            break  # the adopted object ends elsewhere: read on from there
                    self._pending.append(record)
                    self._pending_bytes += len(record.value)
            is_at_end = True
            if self._pending and (flush or self._is_full or self._is_due):
                yield self._take()
                is_at_end = not self._was_adopted  # the adopted object may end before the log does

    @property
    def _read_from(self) -> int:
        return self._pending[-1].offset + 1 if self._pending else self._next_offset

    @property
    def _is_full(self) -> bool:
        return len(self._pending) >= self._cut.records or self._pending_bytes >= self._cut.size_bytes

    @property
    def _is_due(self) -> bool:
        """Whether the records at the log's end have waited long enough, by their own time."""
        newest = self._pending[-1].value
        waited_ns = read_record_id(newest).received_ns - read_record_id(self._pending[0].value).received_ns
        return waited_ns >= self._cut.seconds * 1e9 or SESSION_CLOSED in newest

    def _take(self) -> list[LogRecord]:
        taken, self._pending, self._pending_bytes = self._pending, [], 0
        return taken

    def _create(self, batch: list[LogRecord]) -> None:
        first_offset = batch[0].offset
        if first_offset > self._next_offset:
            loss = LossKey(self._log_id, self._partition, self._next_offset, first_offset - 1)
            self._store.create(str(loss), b'{"cause":"the log has no records at these offsets"}\n')
            warn_event(OFFSETS_LOST, log_id=self._log_id, first=loss.first_offset, last=loss.last_offset)
        key = str(ObjectKey(self._log_id, self._partition, first_offset))
        data = encode_object([record.value for record in batch])
        OBJECT_ENCODED.reach()
        self._was_adopted = not self._store.create(key, data)
        if not self._was_adopted:
            self._next_offset = first_offset + len(batch)
            log_event(OBJECT_LANDED, key=key, records=len(batch), size_bytes=len(data))
        else:
            self._adopt(key, batch)
        OBJECT_LANDED_POINT.reach()

    def _adopt(self, key: str, batch: list[LogRecord]) -> None:
        """Another lander was here first: its object stands, if it begins with the same record."""
        lines = decode_object(key, self._store.read(key))
        theirs, ours = read_record_id(lines[: lines.index(b"\n")]), read_record_id(batch[0].value)
        if theirs != ours:
            raise OffsetConflict(
                f"{key} begins with {theirs}, the log has {ours} at that offset",
                hint="two logs with one id, or a log that was restored from an old copy: move the log folder aside to begin a new epoch",
            )
        records = lines.count(b"\n")
        self._next_offset = batch[0].offset + records
        log_event(OBJECT_ADOPTED, key=key, records=records)


def resume_offset(store: ObjectStore, log_id: str, partition: int) -> int:
    """Give the first offset after a partition's last object. Raises ObjectCorrupt if that one cannot be read."""
    key = _last_key(store, log_id, partition)
    if not key:
        return 0
    return ObjectKey.parse(key).first_offset + decode_object(key, store.read(key)).count(b"\n")


def last_object(store: ObjectStore, log_id: str, partition: int) -> tuple[str, bytes]:
    """Give the key and the last record of a partition's last object; both empty if there is none."""
    key = _last_key(store, log_id, partition)
    return key, decode_object(key, store.read(key)).splitlines()[-1] if key else b""


def _last_key(store: ObjectStore, log_id: str, partition: int) -> str:
    return max(store.list(partition_prefix(log_id, partition)), default="")
