"""One bucket of tokens for all that is asked of the vendor with one key.

    60 a minute (the plan's) and 30 a second (every plan's)

A token comes back a period after it was spent, not evenly: however the vendor's own minutes lie, none of them sees
more requests than the plan grants. Threads may share a bucket; they are served in turn.
"""

import threading
from collections import deque
from typing import Final

from ticklake.contracts.ports import Clock

PER_SECOND: Final = 30
SLACK_SECONDS: Final = 0.25
"""A token comes back so much later: requests do not all travel equally fast."""

NS_PER_SECOND: Final = 1_000_000_000


class Budget:
    """Tokens, each for one request."""

    def __init__(self, clock: Clock, *, requests_per_minute: int, requests_per_second: int = PER_SECOND) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._spent = [(_Spent(requests_per_minute, 60.0)), _Spent(requests_per_second, 1.0)]
        self._closed_until_ns = 0

    def spend(self) -> None:
        """Take a token; wait for one if there is none."""
        with self._turn:
            while (wait_ns := self._wait_ns(now_ns := self._clock.monotonic_ns())) > 0:
                self._clock.sleep(wait_ns / NS_PER_SECOND)
            for spent in self._spent:
                spent.add(now_ns)

    def close_for(self, seconds: float) -> None:
        """Let nobody ask for a while: the vendor says that there are no tokens, whatever we have counted."""
        self._closed_until_ns = max(self._closed_until_ns, self._clock.monotonic_ns() + round(seconds * NS_PER_SECOND))

    def _wait_ns(self, now_ns: int) -> int:
        return max(self._closed_until_ns - now_ns, *(spent.wait_ns(now_ns) for spent in self._spent))


class _Spent:
    """When the newest requests were sent, as many as a period may see."""

    def __init__(self, requests: int, seconds: float) -> None:
        self._sent_ns: deque[int] = deque(maxlen=requests)
        self._period_ns = round((seconds + SLACK_SECONDS) * NS_PER_SECOND)

    def wait_ns(self, now_ns: int) -> int:
        """Give how long the oldest of them is still in the period, if they are as many as it may see."""
        if len(self._sent_ns) < (self._sent_ns.maxlen or 0):
            return 0
        return self._sent_ns[0] + self._period_ns - now_ns

    def add(self, now_ns: int) -> None:
        """Remember a request."""
        self._sent_ns.append(now_ns)
