"""What a source of frames is, and who answers questions about the past."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec


class TimedRecord(msgspec.Struct, frozen=True):
    """A record for the log, and when it was received: the moment to send it at, for a source that plays."""

    received_ns: int
    value: bytes
    prints: int
    """How many trades the frame carries, as far as the source knows: for progress alone."""


class FrameSource(Protocol):
    """Records in the order in which they were received.

    Guarantee: asked twice, a source that replays gives the same bytes twice.
    """

    def records(self) -> Iterator[TimedRecord]:
        """Give each record once, control records included."""
        ...


class Vendor(Protocol):
    """Who answers questions about the past, one at a time."""

    def ask(self, path: str, parameters: Mapping[str, str | int]) -> bytes:
        """Give an answer's JSON as it came; the same question may have another answer later."""
        ...
