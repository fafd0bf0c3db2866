"""The market's own time, for whoever has to live in it.

Time       before the day begins, its first moment; then that plus what has passed times the speed; at full speed
           the receipt time of what is being told. It never goes back; the monotonic side is the real clock's
"""

from ticklake.contracts.ports import Clock

NS_PER_MS = 1_000_000


class MarketClock:
    """A clock whose wall time is the market's."""

    def __init__(self, clock: Clock, first_ns: int, speed: float | None) -> None:
        self._clock = clock
        self._first_ns = first_ns
        self._now_ns = first_ns
        self._speed = speed
        self._started_ns: int | None = None

    def start(self) -> None:
        """Let the day begin."""
        self._started_ns = self._clock.monotonic_ns()

    def reach(self, received_ms: int) -> None:
        """Say what is being told; at full speed that is what time it is."""
        if self._speed is None:
            self._now_ns = max(self._now_ns, received_ms * NS_PER_MS)

    def seconds_until(self, received_ms: int) -> float:
        """Give how many real seconds are left until a moment of the market; at full speed none ever are."""
        return (received_ms * NS_PER_MS - self.now_ns()) / self._speed / 1e9 if self._speed else 0.0

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC, of the market."""
        if self._speed and self._started_ns is not None:
            passed_ns = self._clock.monotonic_ns() - self._started_ns
            self._now_ns = max(self._now_ns, self._first_ns + int(passed_ns * self._speed))
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds that only go forward, of the real clock."""
        return self._clock.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Wait so many real seconds."""
        self._clock.sleep(seconds)
