"""What an exchange knows of what it told: each genuine trade, whom it reached and when, and what was played.

As a file it is NDJSON, a line a thing, in the order trades, quirks, connections, halts:

    {"kind":"trade","id":0,"symbol":"AAPL","traded_ms":…,"price":"267.45","size":"100","conditions":"8,41",
     "told_ns":…,"told_clock_ns":…,"delivered":[1,3],"unanswered":[2],"spoilt":{"4":"time_in_seconds"}}
    {"kind":"quirk","quirk":"garbage","connection":1,"key":1,"told_ns":…,"told_clock_ns":…,"trades":[17],
     "note":"malformed","is_delivered":true}
    {"kind":"connection","number":1,"key":1,"nth":1,"from_ns":…,"from_clock_ns":…,"to_ns":…,"to_clock_ns":…,"ended":"drop"}
    {"kind":"halt","symbol":"TSLA","from_ms":…,"to_ms":…}

id           a trade's place in the order of telling, from 0; quirks name the trades that they hit by it
told_ns      the market's time at which it was told; told_clock_ns the exchange clock's, both nanoseconds since 1970 UTC
delivered    the connections on which it arrived intact: they answered a ping that was sent behind it
unanswered   those that it was sent to intact, but that ended before they answered: it may have arrived
spoilt       those that it was sent to in a form that is not its own, and the reason for which that must be quarantined
connection   counts from 1; 0 is all of them, or an attempt that was not let in
key          the key's number in the plan, from 1, never the key; 0 is all of them
ended        the quirk that ended it (close, drop, hang, second_connection, …), too_slow, left (by the listener), or open when the
             exchange itself ended
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from typing import IO, Final

import msgspec

from ticklake.feed.exchange.prints import Print, Trade

NOBODY: Final[frozenset[int]] = frozenset()


class Played(msgspec.Struct):
    """A quirk that was played: where, when, and on which trades."""

    quirk: str
    connection: int
    key: int
    told_ns: int
    told_clock_ns: int
    trades: list[int]
    note: str = ""
    is_delivered: bool = False
    """Whether a message that it spoilt or sent was answered for."""


class Connection(msgspec.Struct):
    """A connection that was let in, and how it ended."""

    number: int
    key: int
    nth: int
    """The how-manieth of its key it is, from 1."""
    from_ns: int
    from_clock_ns: int
    to_ns: int = 0
    to_clock_ns: int = 0
    ended: str = "open"


class Halt(msgspec.Struct, frozen=True):
    """An interval in which a symbol did not trade."""

    symbol: str
    from_ms: int
    to_ms: int


class Told(msgspec.Struct):
    """The truth."""

    trades: list[Trade] = []
    """Every genuine trade of the day, in the order of its telling."""
    delivered: list[frozenset[int]] = []
    """The numbers of the connections on which each of them arrived intact."""
    told_ns: list[int] = []
    """The market's time at which each was told."""
    told_clock_ns: list[int] = []
    """The exchange clock's time at which each was told."""
    unanswered: dict[int, set[int]] = {}
    """By trade, the connections that ended before they answered for it; for one that was told twice, the first may have been."""
    spoilt: dict[int, dict[int, str]] = {}
    """By trade, the connections on which it was sent spoilt, and the reason."""
    played: dict[str, int] = {}
    """How often each quirk was played."""
    quirks: list[Played] = []
    """Each of them."""
    connections: list[Connection] = []
    halts: list[Halt] = []

    def reached(self) -> Iterator[Trade]:
        """Give the trades that reached anyone."""
        return (trade for trade, connections in zip(self.trades, self.delivered, strict=True) if connections)

    def held(self) -> Counter[Trade]:
        """Give the trades that collectors, one a key, can know of together.

        Of equal trades that is the greatest number that any one key's connections heard: if one heard only the first
        of two twins and another only the second, nobody can tell that they are two.
        """
        key_of = {each.number: each.key for each in self.connections}
        by_key: dict[int, Counter[Trade]] = {key: Counter() for key in key_of.values()}
        for trade, connections in zip(self.trades, self.delivered, strict=True):
            for key in {key_of[connection] for connection in connections}:
                by_key[key][trade] += 1
        held: Counter[Trade] = Counter()
        for each in by_key.values():
            held |= each
        return held

    def tell(self, prints: Iterable[Print], told_ns: int, told_clock_ns: int) -> range:
        """Add what is told now; give the ids."""
        first = len(self.trades)
        self.trades += [each.trade for each in prints]
        ids = range(first, len(self.trades))
        self.delivered += [NOBODY] * len(ids)
        self.told_ns += [told_ns] * len(ids)
        self.told_clock_ns += [told_clock_ns] * len(ids)
        return ids

    def deliver(self, ids: Iterable[int], connection: int) -> None:
        """Note that trades arrived intact."""
        for each in ids:
            self.delivered[each] = _also(self.delivered[each], connection)

    def miss(self, ids: Iterable[int], connection: int) -> None:
        """Note that nobody knows whether trades arrived."""
        for each in ids:
            self.unanswered.setdefault(each, set()).add(connection)

    def spoil(self, ids: Iterable[int], connection: int, reason: str) -> None:
        """Note that trades were sent in a form that is not their own."""
        for each in ids:
            self.spoilt.setdefault(each, {})[connection] = reason

    def play(self, played: Played) -> Played:
        """Note a quirk."""
        self.played[played.quirk] = self.played.get(played.quirk, 0) + 1
        self.quirks.append(played)
        return played


def write_truth(told: Told, file: IO[bytes]) -> None:
    """Write all that is known, a line a thing."""
    encode = msgspec.json.Encoder(decimal_format="string").encode
    for number, trade in enumerate(told.trades):
        line = {
            "kind": "trade",
            "id": number,
            **trade._asdict(),
            "told_ns": told.told_ns[number],
            "told_clock_ns": told.told_clock_ns[number],
            "delivered": sorted(told.delivered[number]),
        }
        if unanswered := told.unanswered.get(number, NOBODY) - told.delivered[number]:
            line["unanswered"] = sorted(unanswered)
        if number in told.spoilt:
            line["spoilt"] = {str(connection): reason for connection, reason in told.spoilt[number].items()}
        file.write(encode(line) + b"\n")
    for kind, things in (("quirk", told.quirks), ("connection", told.connections), ("halt", told.halts)):
        file.writelines(encode({"kind": kind, **msgspec.structs.asdict(each)}) + b"\n" for each in things)


@cache
def _also(connections: frozenset[int], connection: int) -> frozenset[int]:
    return connections | {connection}
