"""What the lake made of a market whose truth is known: trades, repeats, garbage, gaps and minutes, compared one by one.

    trades        silver.trades but for copies, against every trade that was delivered, as multisets: identical ones
                  are told apart by number
    repeats       the copies of frames that came more than once, each of them flagged
    quarantined   prints that nobody can use, by reason
    gaps          what was told and not delivered: when each such print was told, its symbol has a gap
    minute bars   gold.bars_1m through the lens all_prints, against minutes made here of what was delivered

Takes      the truth, and read-only SQL
Order      true trades come in the order of arrival; a minute's first and last are by (traded_ms, arrival)
Guarantee  no number of the warehouse is taken for true: both sides are made by different code
Raises     WarehouseBusy (retryable), QueryInvalid
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from ticklake.contracts.ports import Query

MINUTE_MS: Final = 60_000
EXAMPLES: Final = 3
FOREVER_NS: Final = 1 << 63

_TRADES: Final = "select symbol, traded_ms, price, size, conditions from silver.trades"
_FLAGGED: Final = "select symbol, traded_ms, price, size, conditions from silver.prints where verdict = 'trade' and is_suspected_repeat"
_QUARANTINED: Final = "select reason, count(*) from silver.prints where verdict = 'quarantined' group by reason"
_GAPS: Final = "select symbol, from_ns, to_ns from silver.feed_gaps order by symbol, from_ns"
_MINUTES: Final = "select symbol, start_at, open, high, low, close, volume, trade_count from gold.bars_1m where lens = 'all_prints'"


class TrueTrade(NamedTuple):
    """A trade that really was; conditions are unique codes in the order of their numbers, joined by commas."""

    symbol: str
    traded_ms: int
    price: Decimal
    size: Decimal
    conditions: str


class TrueMinute(NamedTuple):
    """A bar as it must be."""

    symbol: str
    start_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trade_count: int


class Unheard(NamedTuple):
    """A trade that was told, and that nobody of ours received, or not as it was."""

    symbol: str
    told_ns: int
    until_ns: int
    """By when it would have arrived, had it been delivered."""


class Truth(msgspec.Struct, frozen=True):
    """What a source knows of what it sent."""

    received: Sequence[TrueTrade]
    """What was delivered, copies included: a copy beside the trade that it repeats."""
    repeats: Sequence[TrueTrade]
    """The copies alone."""
    quarantined: dict[str, int]
    unheard: Sequence[Unheard]


class Comparison(msgspec.Struct, frozen=True):
    """What is true, what was found, and how they differ."""

    name: str
    true: int
    found: int
    missing: int
    """True, and not found."""
    surplus: int
    """Found, and not true."""
    examples: list[str]

    @property
    def holds(self) -> bool:
        """Whether exactly the truth was found."""
        return self.missing == 0 and self.surplus == 0


def compare_truth(truth: Truth, query: Query) -> list[Comparison]:
    """Compare everything that can be known."""
    received: Counter[Any] = Counter(truth.received)
    repeats: Counter[Any] = Counter(truth.repeats)
    flagged = Counter(query(_FLAGGED).rows) & repeats  # a genuine message that equals an earlier one is flagged too
    return [
        _compare("trades", received - repeats, Counter(query(_TRADES).rows) - flagged),
        _compare("repeats", repeats, flagged),
        _compare("quarantined", Counter(truth.quarantined), Counter(dict(query(_QUARANTINED).rows))),
        compare_gaps(truth.unheard, query),
        _compare("minute bars", Counter(make_minutes(truth.received)), Counter(query(_MINUTES).rows)),
    ]


def compare_gaps(unheard: Sequence[Unheard], query: Query) -> Comparison:
    """Look for a gap where each print was told that was not received: at its telling, or while it was under way."""
    gaps: dict[str, list[tuple[int, int]]] = {}
    for symbol, from_ns, to_ns in query(_GAPS).rows:
        gaps.setdefault(symbol, []).append((from_ns, FOREVER_NS if to_ns is None else to_ns))
    outside = [
        each for each in unheard if not any(first <= each.until_ns and each.told_ns <= last for first, last in gaps.get(each.symbol, []))
    ]
    examples = [f"missing {_show(each)}" for each in outside[:EXAMPLES]]
    return Comparison("gaps", len(unheard), len(unheard) - len(outside), len(outside), 0, examples)


def make_minutes(trades: Iterable[TrueTrade]) -> list[TrueMinute]:
    """Make the minute bars of trades that come in the order of arrival; every print counts, those of size zero for prices only."""
    by_minute: dict[tuple[str, int], list[TrueTrade]] = {}
    for trade in sorted(trades, key=lambda trade: trade.traded_ms):  # a stable sort keeps the order of arrival
        by_minute.setdefault((trade.symbol, trade.traded_ms // MINUTE_MS), []).append(trade)
    return [_make_minute(symbol, minute, group) for (symbol, minute), group in by_minute.items()]


def _make_minute(symbol: str, minute: int, trades: list[TrueTrade]) -> TrueMinute:
    prices = [trade.price for trade in trades]
    return TrueMinute(
        symbol,
        datetime.fromtimestamp(minute * MINUTE_MS // 1000, UTC).replace(tzinfo=None),
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[-1],
        volume=sum((trade.size for trade in trades), Decimal(0)),
        trade_count=sum(trade.size > 0 for trade in trades),
    )


def _compare(name: str, true: Counter[Any], found: Counter[Any]) -> Comparison:
    missing, surplus = true - found, found - true
    examples = [f"missing {_show(each)}" for each in itertools.islice(missing, EXAMPLES)]
    examples += [f"surplus {_show(each)}" for each in itertools.islice(surplus, EXAMPLES)]
    return Comparison(name, true.total(), found.total(), missing.total(), surplus.total(), examples)


def _show(each: Any) -> str:
    return " ".join(str(value) for value in each) if isinstance(each, tuple) else str(each)
