"""Named places where a process may die, counted always and switchable in tests.

    INSERTED = FaultPoint("load.inserted")
    …
    INSERTED.reach()

In production a point only counts. A test arms one and forks: `arm("load.inserted", on_hit=3)` kills the
process with SIGKILL the third time it is reached, so that no `finally` runs, as in a power cut.
"""

import os
import signal
from collections.abc import Callable
from typing import Final

FAULT_POINTS: Final[dict[str, "FaultPoint"]] = {}
"""Every point of the modules imported so far, by name."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class FaultPoint:
    """A named place between two effects that a crash must not tear apart."""

    __slots__ = ("_action", "_on_hit", "hits", "name")

    def __init__(self, name: str) -> None:
        if name in FAULT_POINTS:
            msg = f"there are two fault points named {name}"
            raise ValueError(msg)
        self.name = name
        self.hits = 0
        self._on_hit = 0
        self._action: Callable[[], None] = _die
        FAULT_POINTS[name] = self

    def reach(self) -> None:
        """Count, and act if this is the hit that the point was armed for."""
        self.hits += 1
        if self.hits == self._on_hit:
            self._action()

    def arm(self, on_hit: int, action: Callable[[], None]) -> None:
        """Act when the point is reached for the `on_hit`-th time from now."""
        self.hits = 0
        self._on_hit = on_hit
        self._action = action


def arm(name: str, *, on_hit: int = 1, action: Callable[[], None] = _die) -> None:
    """Arm a point by name. Raises KeyError if no imported module has it."""
    FAULT_POINTS[name].arm(on_hit, action)
