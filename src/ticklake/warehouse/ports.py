"""What a warehouse must do for the stages around it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ticklake.contracts.objects import ObjectKey
from ticklake.contracts.ports import QueryResult


class CheckedObject(msgspec.Struct, frozen=True):
    """An object whose bytes were read and found whole."""

    key: ObjectKey
    path: Path
    records: int
    size_bytes: int
    sha256: str

    @property
    def last_offset(self) -> int:
        """The offset of its last record."""
        return self.key.first_offset + self.records - 1


class BrokenObject(msgspec.Struct, frozen=True):
    """An object that is not what was landed."""

    key: ObjectKey
    size_bytes: int
    sha256: str
    reason: str


class Loaded(msgspec.Struct):
    """What a load brought."""

    load_id: int = 0
    objects: int = 0
    records: int = 0
    trimmed: int = 0
    quarantined: list[BrokenObject] = []


class TransformState(msgspec.Struct, frozen=True):
    """What the models were last built with, and up to which load their tests passed."""

    transform_sha256: str = ""
    tested_load_id: int = 0


class Warehouse(Protocol):
    """Holds bronze; dbt makes silver and gold in it. Open only while a call or a turn runs."""

    def known_objects(self) -> dict[str, str]:
        """The keys of loaded objects (with an empty text), and of quarantined ones (with their sha256)."""
        ...

    def load(self, objects: Sequence[CheckedObject], broken: Sequence[BrokenObject]) -> Loaded:
        """Bring objects into bronze, in one transaction with their manifest.

        Raises DiskFull (retryable): nothing was loaded.
        """
        ...

    def newest_load_id(self) -> int:
        """The id of the last load; 0 before the first."""
        ...

    def transform_state(self) -> TransformState:
        """What the last good build recorded."""
        ...

    def record_transform(self, state: TransformState) -> None:
        """Record a good build."""
        ...

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> QueryResult:
        """Answer read-only SQL. Raises WarehouseBusy (retryable), QueryInvalid."""
        ...

    def profile(self) -> dict[str, Any]:
        """The dbt output of this warehouse."""
        ...

    def release(self) -> None:
        """Let go of what dbt left open."""
        ...


OnProgress = Callable[[str, int, int], None]
