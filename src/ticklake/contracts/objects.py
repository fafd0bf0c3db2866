"""The names of landed objects: `landing/frames.v1/<log id>/p003/<20-digit first offset>.ndjson.zst`.

Offsets that the log itself lost have names too: `landing/losses.v1/<log id>/p003/<first>-<last>.json`.

Order      names sort by partition and first offset, so a listing is in the log's order
Guarantee  inside an object offsets are contiguous: a line's offset is the name's plus its line number
"""

import re
from typing import Final, Self

import msgspec

LANDING_PREFIX: Final = "landing/frames.v1/"
SUFFIX: Final = ".ndjson.zst"
_KEY: Final = re.compile(
    re.escape(LANDING_PREFIX) + r"(?P<log_id>[A-Za-z0-9_-]+)/p(?P<partition>\d{3,})/(?P<first_offset>\d{20})" + re.escape(SUFFIX)
)


LOSS_PREFIX: Final = "landing/losses.v1/"
_LOSS: Final = re.compile(
    re.escape(LOSS_PREFIX) + r"(?P<log_id>[A-Za-z0-9_-]+)/p(?P<partition>\d{3,})/(?P<first>\d{20})-(?P<last>\d{20})\.json"
)


class LossKey(msgspec.Struct, frozen=True, order=True):
    """The name of a recorded loss: offsets that the log jumped over, so that no object can hold them."""

    log_id: str
    partition: int
    first_offset: int
    last_offset: int

    @classmethod
    def parse(cls, key: str) -> Self:
        """Read a key. Raises ValueError if it is not one of ours."""
        match = _LOSS.fullmatch(key)
        if match is None:
            msg = f"not the name of a recorded loss: {key!r}"
            raise ValueError(msg)
        return cls(match["log_id"], int(match["partition"]), int(match["first"]), int(match["last"]))

    def __str__(self) -> str:
        """Give the key as the store knows it."""
        return f"{LOSS_PREFIX}{self.log_id}/p{self.partition:03d}/{self.first_offset:020d}-{self.last_offset:020d}.json"


class ObjectKey(msgspec.Struct, frozen=True, order=True):
    """Where a run of records of one partition of one log lies."""

    log_id: str
    partition: int
    first_offset: int

    @classmethod
    def parse(cls, key: str) -> Self:
        """Read a key. Raises ValueError if it is not one of ours."""
        match = _KEY.fullmatch(key)
        if match is None:
            msg = f"not the name of a landed object: {key!r}"
            raise ValueError(msg)
        return cls(match["log_id"], int(match["partition"]), int(match["first_offset"]))

    def __str__(self) -> str:
        """Give the key as the store knows it."""
        return f"{partition_prefix(self.log_id, self.partition)}{self.first_offset:020d}{SUFFIX}"


def partition_prefix(log_id: str, partition: int) -> str:
    """Give what the keys of one partition begin with."""
    return f"{LANDING_PREFIX}{log_id}/p{partition:03d}/"
