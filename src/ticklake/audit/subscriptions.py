"""What sessions say that they subscribed to: prints of what a session never named are none.

Takes      control records, in any order; one that names nothing that could be a symbol says nothing
Guarantee  a session that does not announce its wishes (`subscribing`) is not judged: a recording, or one of an older version
"""

from typing import Any


class Subscriptions:
    """What sessions say that they subscribed to, from all their records in whatever order. A session is one of its feed."""

    def __init__(self) -> None:
        self._announced: set[tuple[str, str]] = set()
        self._named: set[tuple[str, str, str]] = set()

    def learn(self, feed: str, session: str, control: Any) -> None:
        """Take in a control record."""
        told = control if isinstance(control, dict) else {}
        if told.get("type") not in ("subscribing", "subscribed"):
            return
        symbols = told.get("symbols")
        named = {(feed, session, each) for each in symbols if type(each) is str and each} if isinstance(symbols, list) else set()
        self._named |= named
        if told["type"] == "subscribing" and named:
            self._announced.add((feed, session))

    def allow(self, feed: str, session: str, symbol: str) -> bool:
        """Whether a session may hold prints of a symbol: it named it, or it is one that does not announce its wishes."""
        return (feed, session) not in self._announced or (feed, session, symbol) in self._named
