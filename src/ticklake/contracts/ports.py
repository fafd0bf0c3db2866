"""The Protocols that more than one stage needs. Each implementation passes one contract-test suite."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec


class Clock(Protocol):
    """Wall time and waiting, so that tests decide both."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that only go forward, from no date in particular."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class LogRecord(msgspec.Struct, frozen=True):
    """One record and its place in a partition of the log."""

    offset: int
    value: bytes


class Log(Protocol):
    """Records in order, at least once, under offsets that are never used twice.

    A new `log_id` is a new epoch: offsets of two ids have nothing to do with each other.
    """

    @property
    def log_id(self) -> str:
        """The id of this log, `[A-Za-z0-9_-]+`."""
        ...

    def partitions(self) -> Sequence[int]:
        """The partitions, ascending."""
        ...

    def begin_offset(self, partition: int) -> int:
        """The offset of the oldest record that is still held."""
        ...

    def end_offset(self, partition: int) -> int:
        """One past the offset of the newest durable record."""
        ...

    def read(self, partition: int, offset: int, *, max_records: int) -> list[LogRecord]:
        """Records from `offset` on, in order; empty at the end. A jump in offsets is a loss that the log tells."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class LogWriter(Protocol):
    """The end of a log that records go in. One process has it at a time."""

    def append(self, records: Sequence[bytes]) -> int:
        """Make records durable, in order; give the offset of the first.

        Durable when it returns. Raises DiskFull (retryable): then none of them was written.
        """
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...


class ObjectStore(Protocol):
    """Immutable objects under keys."""

    def create(self, key: str, data: bytes) -> bool:
        """Write an object if the key is free; give whether it was. Durable when it returns.

        Raises DiskFull or StoreUnavailable (both retryable): then the object is either absent or whole.
        """
        ...

    def read(self, key: str) -> bytes:
        """Read a whole object. Raises KeyError if there is none."""
        ...

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        """Give the keys with a prefix, sorted, from the first one after `start_after`."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object. Deleting what is absent is no error."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Where the object's bytes lie on this machine, if they do."""
        ...


class QueryResult(msgspec.Struct, frozen=True):
    """The answer of a query: column names, and rows of Python values."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


class Query(Protocol):
    """Read-only SQL over the warehouse. Parameters are named, `$name`."""

    def __call__(self, sql: str, parameters: dict[str, Any] | None = None) -> QueryResult:
        """Raises WarehouseBusy (retryable) or QueryInvalid."""
        ...
