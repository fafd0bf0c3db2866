"""A market day's hours, and how much of a day's trading each minute of it has.

Time       milliseconds since 1970 UTC. What is continuous trades all sixteen hours, whatever day it is
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

MINUTE_MS: Final = 60_000
MINUTES: Final = 16 * 60


class Hours(msgspec.Struct, frozen=True):
    """A day. On a holiday there is no session: `open_ms`, `close_ms` and `end_ms` are 0."""

    first_ms: int
    open_ms: int = 0
    close_ms: int = 0
    end_ms: int = 0
    """The end of the post market."""

    @property
    def is_holiday(self) -> bool:
        """Whether the exchange is closed."""
        return not self.open_ms

    @property
    def last_ms(self) -> int:
        """The end of the day for what trades round the clock."""
        return self.first_ms + MINUTES * MINUTE_MS

    def weigh(self, *, is_continuous: bool) -> list[float]:
        """Give how much each minute trades, from the first on: a U over the regular session, little before and after it."""
        return [self._weigh(self.first_ms + minute * MINUTE_MS, is_continuous=is_continuous) for minute in range(MINUTES)]

    def _weigh(self, at_ms: int, *, is_continuous: bool) -> float:
        if self.is_holiday or at_ms >= self.end_ms:
            weight = 0.0
        elif self.open_ms <= at_ms < self.close_ms:
            from_middle = abs(2 * (at_ms - self.open_ms) / (self.close_ms - self.open_ms) - 1)
            weight = 1 + 2.5 * from_middle**4
        elif at_ms < self.open_ms:
            weight = 0.03 + 0.15 * ((at_ms - self.first_ms) / (self.open_ms - self.first_ms)) ** 3
        else:
            weight = 0.03 + 0.25 * (1 - (at_ms - self.close_ms) / (self.end_ms - self.close_ms)) ** 3
        return 1 + weight if is_continuous else weight


def _full_day(first_ms: int) -> Hours:
    return Hours(first_ms, first_ms + 330 * MINUTE_MS, first_ms + 720 * MINUTE_MS, first_ms + MINUTES * MINUTE_MS)


A_TUESDAY: Final = _full_day(int(datetime(2025, 11, 18, 9, tzinfo=UTC).timestamp()) * 1000)
"""2025-11-18, 04:00 to 20:00 in New York: in winter the post market crosses midnight UTC."""
