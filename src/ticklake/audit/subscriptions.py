"""What sessions say that they subscribed to: prints of what a session never named are none.

Takes      control records, in any order
Guarantee  a session that does not announce its wishes (`subscribing`) is not judged: a recording, or one of an older version
"""

from typing import Any


class Subscriptions:
    """What sessions say that they subscribed to, from all their records in whatever order."""

    def __init__(self) -> None:
        self._announced: set[str] = set()
        self._named: set[tuple[str, str]] = set()

    def learn(self, session: str, control: dict[str, Any]) -> None:
        """Take in a control record."""
        if control.get("type") in {"subscribing", "subscribed"}:
            self._named.update((session, symbol) for symbol in control["symbols"])
        if control.get("type") == "subscribing" and control["symbols"]:
            self._announced.add(session)

    def allow(self, session: str, symbol: str) -> bool:
        """Whether a session may hold prints of a symbol: it named it, or it is one that does not announce its wishes."""
        return session not in self._announced or (session, symbol) in self._named
