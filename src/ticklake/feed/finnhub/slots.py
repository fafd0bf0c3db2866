"""Which symbols have a slot now, where there are more symbols than slots.

    pinned    always, from the first slot on
    the rest  a window on their list; where they take turns, it moves on by its own width every `rotation_seconds`

Guarantee  every symbol that is not pinned is in the window for the same share of the turns, give or take one turn
"""

from collections.abc import Sequence

from ticklake.feed.finnhub.limits import NS_PER_SECOND


class Slots:
    """One key's slots, over all of its connections."""

    def __init__(self, symbols: Sequence[str], *, slots: int, pinned: Sequence[str] = (), rotation_seconds: float | None = None) -> None:
        self.pinned = list(dict.fromkeys(pinned))[:slots]
        self._ring = [symbol for symbol in dict.fromkeys([*pinned, *symbols]) if symbol not in self.pinned]
        self._width = min(slots - len(self.pinned), len(self._ring))
        self._first = 0
        self.takes_turns = bool(rotation_seconds) and 0 < self._width < len(self._ring)
        self._turn_ns = round((rotation_seconds or 0) * NS_PER_SECOND)
        self._due_ns: int | None = None

    @property
    def current(self) -> list[str]:
        """Who has a slot."""
        return [*self.pinned, *self._window()]

    @property
    def left_out(self) -> list[str]:
        """Who has none, in the order in which they will."""
        return [self._ring[(self._first + place) % len(self._ring)] for place in range(self._width, len(self._ring))]

    def turn(self, now_ns: int) -> tuple[list[str], list[str]] | None:
        """Move the window on if that is due, by the monotonic clock; give who leaves and who enters."""
        if not self.takes_turns:
            return None
        if self._due_ns is None:
            self._due_ns = now_ns + self._turn_ns
        if now_ns < self._due_ns:
            return None
        self._due_ns += self._turn_ns * (1 + (now_ns - self._due_ns) // self._turn_ns)
        before = self._window()
        self._first = (self._first + self._width) % len(self._ring)
        after = self._window()
        return [symbol for symbol in before if symbol not in after], [symbol for symbol in after if symbol not in before]

    def _window(self) -> list[str]:
        return [self._ring[(self._first + place) % len(self._ring)] for place in range(self._width)]
