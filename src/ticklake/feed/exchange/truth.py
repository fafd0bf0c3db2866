"""What an exchange knows of what it told: each genuine trade, whom it reached, and what was played."""

from collections.abc import Iterator

import msgspec

from ticklake.feed.exchange.listings import Trade


class Told(msgspec.Struct):
    """The truth."""

    trades: list[Trade] = []
    """Every genuine trade of the day, in the order of its telling."""
    delivered: list[set[int]] = []
    """The numbers of the connections that each of them reached."""
    played: dict[str, int] = {}
    """How often each quirk was played."""

    def reached(self) -> Iterator[Trade]:
        """Give the trades that reached anyone."""
        return (trade for trade, connections in zip(self.trades, self.delivered, strict=True) if connections)
