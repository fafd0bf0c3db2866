"""Hand-written stand-ins for the ports, each with a diary of what was asked of it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ticklake.contracts.ports import LogRecord
from ticklake.feed.ports import TimedRecord


class FakeClock:
    """Time that moves only when somebody sleeps."""

    def __init__(self, now_ns: int = 1_790_000_000 * 10**9) -> None:
        self._now_ns = now_ns
        self._monotonic_ns = 1_000
        self.diary: list[float] = []

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def sleep(self, seconds: float) -> None:
        self.diary.append(seconds)
        self._now_ns += round(seconds * 1e9)
        self._monotonic_ns += round(seconds * 1e9)


class FakeLog:
    """A log of one partition in memory, whose records may be lost or replaced."""

    def __init__(self, records: Iterable[bytes] = (), *, log_id: str = "fake", first_offset: int = 0) -> None:
        self.log_id = log_id
        self.records = dict(enumerate(records, first_offset))
        self.diary: list[int] = []

    def append(self, records: Sequence[bytes]) -> int:
        first = self.end_offset(0)
        self.records |= dict(enumerate(records, first))
        self.diary.append(len(records))
        return first

    def partitions(self) -> Sequence[int]:
        return (0,)

    def begin_offset(self, partition: int) -> int:  # noqa: ARG002 — the signature is the port's
        return min(self.records, default=0)

    def end_offset(self, partition: int) -> int:  # noqa: ARG002 — the signature is the port's
        return max(self.records, default=-1) + 1

    def read(self, partition: int, offset: int, *, max_records: int) -> list[LogRecord]:  # noqa: ARG002 — the signature is the port's
        found = sorted(each for each in self.records if each >= offset)[:max_records]
        return [LogRecord(each, self.records[each]) for each in found]

    def close(self) -> None: ...


class FakeStore:
    """Objects in memory; `winners` of creators at one key are told that they won, as some stores do."""

    def __init__(self, *, winners: int = 1) -> None:
        self.objects: dict[str, bytes] = {}
        self.diary: list[tuple[str, str]] = []
        self.hides_all = False
        """A listing from before the other lander's object was there."""
        self._winners = winners
        self._creations: dict[str, int] = {}

    def create(self, key: str, data: bytes) -> bool:
        self.diary.append(("create", key))
        self._creations[key] = self._creations.get(key, 0) + 1
        if self._creations[key] > self._winners:
            return False
        self.objects[key] = data
        return True

    def put(self, key: str, data: bytes) -> None:
        """Lay an object down as somebody else would have."""
        self.objects[key] = data
        self._creations[key] = self._winners

    def read(self, key: str) -> bytes:
        self.diary.append(("read", key))
        return self.objects[key]

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        yield from sorted(key for key in self.objects if not self.hides_all and key.startswith(prefix) and key > start_after)

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)
        self._creations.pop(key, None)

    def local_path(self, key: str) -> Path | None:  # noqa: ARG002 — it is nowhere on this disk
        return None


class FakeSource:
    """Records with times, as a recording would give them."""

    def __init__(self, *received_ns: int) -> None:
        self._received_ns = received_ns

    def records(self) -> Iterator[TimedRecord]:
        for each in self._received_ns:
            yield TimedRecord(each, b"record at %d" % each, 1)
