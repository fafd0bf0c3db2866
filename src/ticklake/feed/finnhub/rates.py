"""Which symbols have been silent for much longer than their own rate says, in market hours.

    see     each message, for the symbols in it: found in the raw bytes, nothing is decoded
    learn   each symbol's mean time between its messages, at every look: a plain mean of the first MEMORY gaps, from
            then on an exponentially weighted one (weight 1 / MEMORY)
    judge   silent is who was not heard for PATIENCE of its own means, and for a floor of seconds at least; each time that
            asking for it again did not help, the limit doubles, up to LONGEST_SECONDS: a halt is silence too

Time       `received_ns`, and the wall clock's now; hours in which the symbol does not trade count for nothing, and
           where nothing at all came for the second half of the limit, the silence is the connection's
Cost       2.2 microseconds a message of six prints, 1.1 of one print, 0.4 of a ping (one core of a busy Xeon)
Guarantee  who was never heard of is never taken for silent; memory is bounded by the symbols

Were a symbol's messages a Poisson process, the next gap would be longer than k times the mean of n with a chance of
(1 + k / n)^-n: PATIENCE makes that one in a million, however little is known yet. Real trades come in
clusters; still no gap in two regular sessions of the sample tape's four symbols passes the limit, even with a floor of
one second. A false alarm costs the symbol the moment of asking again, and is declared as a gap from its last message on.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from ticklake.feed.finnhub.limits import NS_PER_SECOND

MEMORY: Final = 20
PATIENCE: Final = tuple(gaps * (1e6 ** (1 / gaps) - 1) if gaps else float("inf") for gaps in range(MEMORY + 1))
"""How many of its means a symbol may be silent, by how many gaps the mean is made of: 20 of 20, 74 of 5, a million of one."""
LONGEST_SECONDS: Final = 3_600.0
MAX_DOUBLINGS: Final = 10
MAX_SEEN: Final = 10_000
"""Names that may be remembered between two looks; a server that makes up more is looked at sooner."""

IsTrading = Callable[[str, int], bool]
"""Whether a symbol's market is open at a moment, in nanoseconds since 1970 UTC."""

find_symbols: Final = re.compile(rb'"s"\s*:\s*"([^"\\]{1,64})"').findall
"""Gives the names in a message, each as often as it stands there; nothing says yet that they belong to prints."""


class _Pulse:
    """What is known of one symbol."""

    __slots__ = ("fruitless", "gaps", "heard_ns", "is_asked", "mean_ns", "since_ns", "waits_from_ns")

    def __init__(self) -> None:
        self.gaps = 0
        self.mean_ns = 0.0
        self.heard_ns = 0
        """The last message of this stretch of being observed while the market is open; 0 if there was none."""
        self.since_ns = 0
        """The last message of this session, or the answer to its subscription."""
        self.waits_from_ns = 0
        """From when on its silence counts: it was observed, and its market open."""
        self.fruitless = 0
        self.is_asked = False

    def hear(self, received_ns: int) -> None:
        """Learn from a message."""
        if self.heard_ns:
            self.gaps += 1
            self.mean_ns += (received_ns - self.heard_ns - self.mean_ns) / min(self.gaps, MEMORY)
        self.heard_ns = received_ns
        self.fruitless = 0

    def limit_ns(self, floor_ns: int) -> float:
        """Give the silence that is too long."""
        limit = max(float(floor_ns), PATIENCE[min(self.gaps, MEMORY)] * self.mean_ns)
        return max(limit, min(limit * 2.0 ** min(self.fruitless, MAX_DOUBLINGS), LONGEST_SECONDS * NS_PER_SECOND))


class Rates:
    """The symbols of one key, over all of its connections."""

    def __init__(self, *, is_trading: IsTrading, floor_seconds: float) -> None:
        self._is_trading = is_trading
        self._floor_ns = round(floor_seconds * NS_PER_SECOND)
        self._pulses: dict[str, _Pulse] = {}
        self._seen: dict[bytes, int] = {}
        self._heard_ns = 0

    def see(self, raw: bytes, received_ns: int) -> None:
        """Note the symbols in a message."""
        self._heard_ns = received_ns
        self._seen.update(dict.fromkeys(find_symbols(raw), received_ns))
        if len(self._seen) > MAX_SEEN:
            self._learn(received_ns)

    def observe(self, symbols: Iterable[str], subscribed_ns: int) -> None:
        """Expect symbols from now on: they are subscribed."""
        for symbol in symbols:
            pulse = self._pulses.setdefault(symbol, _Pulse())
            pulse.is_asked = True
            pulse.since_ns = pulse.waits_from_ns = subscribed_ns

    def forget(self, symbols: Iterable[str]) -> None:
        """Expect symbols no longer; what was learnt of them is kept for when they come back."""
        for symbol in symbols:
            if pulse := self._pulses.get(symbol):
                pulse.is_asked = False
                pulse.heard_ns = 0

    def forget_all(self) -> None:
        """Expect nothing: the connection is over."""
        self._seen = {}
        self.forget(self._pulses)

    def silent(self, now_ns: int) -> list[tuple[str, int]]:
        """Give who should be asked for again, with the `received_ns` since when nothing came; their limits double.

        They are expected no longer, until `observe` is told that they are subscribed again.
        """
        self._learn(now_ns)
        found = []
        for symbol, pulse in self._pulses.items():
            if not pulse.is_asked or not pulse.gaps:
                continue
            if not self._is_trading(symbol, now_ns):
                pulse.waits_from_ns, pulse.heard_ns = now_ns, 0
                continue
            from_ns, limit_ns = max(pulse.waits_from_ns, pulse.since_ns), pulse.limit_ns(self._floor_ns)
            if now_ns - from_ns > limit_ns and self._heard_ns - from_ns > limit_ns / 2:
                pulse.fruitless += 1
                pulse.is_asked = False
                found.append((symbol, pulse.since_ns))
        return found

    def _learn(self, now_ns: int) -> None:
        seen, self._seen = self._seen, {}
        for name, received_ns in seen.items():
            pulse = self._pulses.get(name.decode(errors="replace"))
            if pulse is None or not pulse.is_asked:
                continue
            pulse.since_ns = max(pulse.since_ns, received_ns)
            if self._is_trading(name.decode(), now_ns):
                pulse.hear(received_ns)
