"""What a day of trading says to who asks afterwards, or in between: quotes, the tape, candles, and splits.

Takes      the day's prints, in the order in which they are told
Time       a quote knows what was told by `now_ms`; tape and candles are of days that are over by then
Order      the tape's: by time of trade, then as told
Guarantee  the same prints and seed give the same answers; prices and sizes keep their digits
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from ticklake.feed.exchange.listings import LISTINGS
from ticklake.feed.exchange.prints import PRICE_SCALE, Print, Trade

ZONE: Final = ZoneInfo("America/New_York")
UTC: Final = ZoneInfo("UTC")
HOUR_MS: Final = 3_600_000
MAX_TICKS: Final = 25_000
RESOLUTIONS: Final = {"1": 60, "5": 300, "15": 900, "30": 1_800, "60": 3_600, "D": 86_400}
"""What a candle may span, in seconds."""

VENUES: Final = "DDDDDDDDQQQQPPPNNZZKJY"
"""Where prints come from, as often as they do; D is off exchange."""

SUMMARIES: Final = frozenset({"16", "20"})
"""Codes of a market center's own open and close: they tell of volume that other prints had."""

SPLITS: Final = ((1, 2), (1, 3), (1, 4), (1, 10), (2, 3), (10, 1))
FIRST_SPLIT: Final = date(2010, 1, 4)
SPLIT_WEEKS: Final = 15 * 52

Symbol = str
CLOSES: Final = {listing.symbol: Decimal(listing.price) / 10**PRICE_SCALE for listing in LISTINGS}
"""Where the made-up market begins is where it closed the day before."""


class Candle(NamedTuple):
    """What was traded in one interval, named by the second at which it starts."""

    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class _SoFar:
    """One symbol's day, as far as it was told. The clock of a market only goes forward, so each print is looked at once."""

    def __init__(self, prints: Sequence[Print]) -> None:
        self._prints = prints
        self._place = 0
        self.open: Decimal | None = None
        self.high = self.low = self.last = Decimal(0)
        self.last_ms = 0

    def advance(self, now_ms: int) -> None:
        """Look at what was told by now."""
        while self._place < len(self._prints) and self._prints[self._place].received_ms <= now_ms:
            trade = self._prints[self._place].trade
            self._place += 1
            self.open = trade.price if self.open is None else self.open
            self.high = max(self.high, trade.price)
            self.low = min(self.low or trade.price, trade.price)
            if trade.traded_ms >= self.last_ms:
                self.last, self.last_ms = trade.price, trade.traded_ms


class DayPrices:
    """The prices of one market's stocks: what their prints say."""

    def __init__(self, prints: Iterable[Print], *, stocks: Iterable[Symbol], seed: int) -> None:
        self._seed = seed
        self._venues = cache(self._draw_venues)
        self._made_candles = cache(lambda symbol, trading_date, resolution: make_candles(self._tapes[symbol, trading_date], resolution))
        told: dict[Symbol, list[Print]] = {symbol: [] for symbol in stocks}
        for each in prints:
            if each.trade.symbol in told:
                told[each.trade.symbol].append(each)
        self._so_far = {symbol: _SoFar(of_symbol) for symbol, of_symbol in told.items()}
        self._tapes: dict[tuple[Symbol, date], list[Trade]] = defaultdict(list)
        for symbol, of_symbol in told.items():
            for trade in sorted((each.trade for each in of_symbol), key=lambda trade: trade.traded_ms):  # stable: else as told
                self._tapes[symbol, local_date(trade.traded_ms)].append(trade)
        self._ends_ms: dict[date, int] = defaultdict(int)
        for (_, trading_date), tape in self._tapes.items():
            self._ends_ms[trading_date] = max(self._ends_ms[trading_date], tape[-1].traded_ms)

    def quote(self, symbol: Symbol, now_ms: int) -> dict[str, Any]:
        """Give the price now, and the day's so far; zeros for what is not listed, yesterday's close before the first print."""
        so_far = self._so_far.get(symbol)
        if so_far is None:
            return {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
        so_far.advance(now_ms)
        before = CLOSES.get(symbol, so_far.open or Decimal(0))
        if so_far.open is None:
            return {"c": before, "d": 0, "dp": 0, "h": before, "l": before, "o": before, "pc": before, "t": now_ms // 1000}
        change = so_far.last - before
        return {
            "c": so_far.last,
            "d": change,
            "dp": round(change / before * 100, 4) if before else None,
            "h": so_far.high,
            "l": so_far.low,
            "o": so_far.open,
            "pc": before,
            "t": so_far.last_ms // 1000,
        }

    def ticks(self, symbol: Symbol, trading_date: date, *, skip: int, limit: int, now_ms: int) -> dict[str, Any]:
        """Give a page of a day's tape, with venues; nothing of a day that is not over."""
        tape = self._tape(symbol, trading_date, now_ms)
        venues = self._venues(symbol, trading_date) if tape else []
        page = tape[skip : skip + min(limit, MAX_TICKS)]
        return {
            "c": [trade.conditions.split(",") if trade.conditions else [] for trade in page],
            "count": len(page),
            "p": [trade.price for trade in page],
            "s": symbol,
            "skip": skip,
            "t": [trade.traded_ms for trade in page],
            "total": len(tape),
            "v": [trade.size for trade in page],
            "x": venues[skip : skip + len(page)],
        }

    def candles(self, symbol: Symbol, resolution: str, *, first_s: int, last_s: int, now_ms: int) -> dict[str, Any]:
        """Give the candles that start between two seconds, both included, of days that are over."""
        found = [
            candle
            for trading_date in sorted(self._ends_ms)
            if self._tape(symbol, trading_date, now_ms)
            for candle in self._made_candles(symbol, trading_date, resolution)
            if first_s <= candle.start <= last_s
        ]
        if not found:
            return {"s": "no_data"}
        starts, opens, highs, lows, closes, volumes = zip(*found, strict=True)
        return {"c": closes, "h": highs, "l": lows, "o": opens, "s": "ok", "t": starts, "v": volumes}

    def splits(self, symbol: Symbol, first_date: date, last_date: date) -> list[dict[str, Any]]:
        """Give made-up splits: none to three a stock."""
        if symbol not in self._so_far:
            return []
        chance = random.Random(f"{self._seed}/{symbol}/splits")  # noqa: S311 — a market, not a secret
        weeks = sorted(chance.sample(range(SPLIT_WEEKS), chance.randrange(4)))
        dates = [FIRST_SPLIT + timedelta(weeks=week) for week in weeks]
        factors = [chance.choice(SPLITS) for _ in dates]
        return [
            {"symbol": symbol, "date": each.isoformat(), "fromFactor": before, "toFactor": after}
            for each, (before, after) in zip(dates, factors, strict=True)
            if first_date <= each <= last_date
        ]

    def _draw_venues(self, symbol: Symbol, trading_date: date) -> list[str]:
        chance = random.Random(f"{self._seed}/{symbol}/{trading_date}/venues")  # noqa: S311 — a market, not a secret
        return chance.choices(VENUES, k=len(self._tapes[symbol, trading_date]))

    def _tape(self, symbol: Symbol, trading_date: date, now_ms: int) -> list[Trade]:
        is_over = trading_date in self._ends_ms and now_ms >= self._ends_ms[trading_date]
        return self._tapes.get((symbol, trading_date), []) if is_over else []


def make_candles(tape: Iterable[Trade], resolution: str) -> list[Candle]:
    """Make candles of all prints of a tape but a market center's summaries; a day's starts at midnight UTC of its date."""
    seconds = RESOLUTIONS[resolution]
    candles: dict[int, Candle] = {}
    for trade in tape:
        if not SUMMARIES.isdisjoint(trade.conditions.split(",")):
            continue
        start = _midnight_s(local_date(trade.traded_ms)) if resolution == "D" else trade.traded_ms // 1000 // seconds * seconds
        price = trade.price
        known = candles.get(start) or Candle(start, price, price, price, price, Decimal(0))
        candles[start] = known._replace(
            high=max(known.high, price), low=min(known.low, price), close=price, volume=known.volume + trade.size
        )
    return [candles[start] for start in sorted(candles)]


def local_date(moment_ms: int) -> date:
    """Give the date in New York."""
    return _date_of_hour(moment_ms // HOUR_MS)


@cache
def _date_of_hour(hour: int) -> date:
    return datetime.fromtimestamp(hour * HOUR_MS / 1000, ZONE).date()


def _midnight_s(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
