"""Bars of every length, counted anew from trades, in plain Python.

Takes      the trades of one symbol's trading day, in their order
Gives      bars by interval and start, through one lens, each with the trades that made it what it is
Numbers    prices and volumes in units of 1e-8, notional in units of 1e-16, all exact; vwap is left to who compares
"""

from collections.abc import Iterable
from datetime import date
from typing import Final

import msgspec

from ticklake.audit.calendar import BUCKET_MS, Calendar, Day, utc_bounds_ms, utc_date
from ticklake.audit.prints import Print
from ticklake.audit.seeds import Lens, Ruling

MINUTE_MS: Final = 60_000
MINUTE_NS: Final = 60_000_000_000
NS_PER_MS: Final = 1_000_000
OPENING_WINDOW_MS: Final = (-300_000, 1_800_000)
CLOSING_WINDOW_MS: Final = (0, 1_800_000)
INTERVALS: Final = ("1m", "5m", "1d")


class Bar(msgspec.Struct):
    """A bar as it must be."""

    start_ms: int
    end_ms: int
    open: int | None = None
    high: int | None = None
    low: int | None = None
    close: int | None = None
    volume: int = 0
    trade_count: int = 0
    notional: int = 0
    priced_volume: int = 0
    market_session: str = ""
    first_traded_ms: int = 0
    last_traded_ms: int = 0
    final_ns: int = 0
    revision: int = 1
    arrivals: list[int] = []
    """When what made it arrived, as far as it came after the end."""

    def widen(self, price: int | None) -> None:
        """Let a price count for high and low."""
        if price is not None:
            self.high = price if self.high is None or price > self.high else self.high
            self.low = price if self.low is None or price < self.low else self.low

    def finish(self, grace_ns: int) -> None:
        """Tell when it is final, and how many revisions there were since."""
        self.final_ns = self.end_ms * NS_PER_MS + grace_ns
        self.revision = 1 + len({arrived_ns // MINUTE_NS for arrived_ns in self.arrivals if arrived_ns > self.final_ns})


class SeenTrade(msgspec.Struct, frozen=True):
    """A trade through a lens: what it may set, after the rules of its day."""

    trade: Print
    ruling: Ruling
    sets_last: bool
    sets_high_low: bool
    sets_day_last: bool
    sets_day_high_low: bool
    adds_volume: bool

    @property
    def counts(self) -> bool:
        """Whether it is part of any bar."""
        return self.adds_volume or self.sets_high_low


class TradingDay(msgspec.Struct, frozen=True):
    """The trades of a symbol on one trading date, in their order, and where they stand in the day."""

    symbol: str
    trading_date: date
    trades: list[Print]
    sessions: dict[int, str]
    """Each bucket's session."""

    hours: Day | None
    bounds_ms: tuple[int, int]


class SeenDay(msgspec.Struct, frozen=True):
    """A trading day through a lens."""

    trades: list[SeenTrade]
    opening: Print | None
    closing: Print | None


def is_continuous(symbol: str) -> bool:
    """Whether a symbol trades round the clock: it names its venue."""
    return ":" in symbol


def split_days(symbol: str, trades: Iterable[Print], calendar: Calendar) -> list[TradingDay]:
    """Sort a symbol's trades into trading days."""
    days: dict[date, TradingDay] = {}
    for trade in sorted(trades):
        bucket = trade.traded_ms // BUCKET_MS
        trading_date, session = (utc_date(bucket), "continuous") if is_continuous(symbol) else calendar.place(bucket)
        day = days.get(trading_date)
        if day is None:
            hours = None if is_continuous(symbol) else calendar.day(trading_date)
            bounds = utc_bounds_ms(trading_date) if is_continuous(symbol) else calendar.day_bounds_ms(trading_date)
            day = days[trading_date] = TradingDay(symbol, trading_date, [], {}, hours, bounds)
        day.trades.append(trade)
        day.sessions[bucket] = session
    return list(days.values())


def see_day(day: TradingDay, lens: Lens) -> SeenDay:
    """Look at a day's trades through a lens."""
    rulings: dict[tuple[str, ...], Ruling] = {}
    seen = []
    has_first = has_day_first = False
    opening: Print | None = None
    closing: Print | None = None
    for trade in day.trades:
        ruling = rulings.get(trade.conditions)
        if ruling is None:
            ruling = rulings[trade.conditions] = lens.judge(trade.conditions)
        is_out = ruling.is_extended_only and day.sessions[trade.traded_ms // BUCKET_MS] == "regular"
        may_set_last = ruling.may_set_last and not is_out
        may_set_day_last = ruling.may_set_last and not ruling.is_extended_only
        seen.append(
            SeenTrade(
                trade,
                ruling,
                sets_last=may_set_last and not (ruling.is_first_only and has_first),
                sets_high_low=ruling.may_set_high_low and not is_out,
                sets_day_last=may_set_day_last and not (ruling.is_first_only and has_day_first),
                sets_day_high_low=ruling.may_set_high_low and not ruling.is_extended_only,
                adds_volume=ruling.adds_volume and trade.size > 0,
            )
        )
        has_first |= may_set_last
        has_day_first |= may_set_day_last
        if ruling.is_opening_auction and day.hours and _is_within(trade, day.hours.open_ms, OPENING_WINDOW_MS):
            opening = trade if opening is None or trade.size > opening.size else opening
        if ruling.is_closing_auction and day.hours and _is_within(trade, day.hours.close_ms, CLOSING_WINDOW_MS):
            closing = trade if closing is None or trade.size > closing.size else closing
    return SeenDay(seen, opening, closing)


def _is_within(trade: Print, moment_ms: int, window_ms: tuple[int, int]) -> bool:
    return moment_ms + window_ms[0] <= trade.traded_ms < moment_ms + window_ms[1]


def count_bars(day: TradingDay, lens: Lens, *, grace_ns: int) -> dict[str, dict[int, Bar]]:
    """Count the bars of a day, by interval and start."""
    seen = see_day(day, lens)
    minutes = _count_minutes(day, seen)
    bars = {"1m": minutes, "5m": _add_up(minutes), "1d": _count_day(day, seen, minutes)}
    for of_interval in bars.values():
        for bar in of_interval.values():
            bar.finish(grace_ns)
    return bars


def _count_minutes(day: TradingDay, seen: SeenDay) -> dict[int, Bar]:
    minutes: dict[int, Bar] = {}
    for each in seen.trades:
        if not each.counts:
            continue
        trade = each.trade
        start_ms = trade.traded_ms - trade.traded_ms % MINUTE_MS
        bar = minutes.get(start_ms)
        if bar is None:
            session = day.sessions[trade.traded_ms // BUCKET_MS]
            bar = minutes[start_ms] = Bar(start_ms, start_ms + MINUTE_MS, market_session=session, first_traded_ms=trade.traded_ms)
        bar.last_traded_ms = trade.traded_ms
        if each.sets_high_low:
            bar.widen(trade.price)
        if each.sets_last:
            bar.open = trade.price if bar.open is None else bar.open
            bar.close = trade.price
        if each.adds_volume:
            _add_volume(bar, trade, is_priced=each.sets_high_low)
        if trade.received_ns > bar.end_ms * NS_PER_MS:
            bar.arrivals.append(trade.received_ns)
    _apply_auctions(day, seen, minutes)
    return minutes


def _apply_auctions(day: TradingDay, seen: SeenDay, minutes: dict[int, Bar]) -> None:
    """The official auctions are open of the session's first minute and close of its last one, where those minutes traded."""
    if day.hours is None:
        return
    first, last = minutes.get(day.hours.open_ms), minutes.get(day.hours.close_ms - MINUTE_MS)
    if seen.opening and first:
        first.open = seen.opening.price
        first.widen(seen.opening.price)
        first.arrivals.append(seen.opening.received_ns)
    if seen.closing and last:
        last.close = seen.closing.price
        last.widen(seen.closing.price)
        last.arrivals.append(seen.closing.received_ns)


def _add_volume(bar: Bar, trade: Print, *, is_priced: bool) -> None:
    bar.volume += trade.size
    bar.trade_count += 1
    if is_priced:
        bar.priced_volume += trade.size
        bar.notional += trade.price * trade.size


def _add_up(minutes: dict[int, Bar]) -> dict[int, Bar]:
    """Five minutes are the minutes in them."""
    bars: dict[int, Bar] = {}
    for start_ms in sorted(minutes):
        minute = minutes[start_ms]
        bucket_ms = start_ms - start_ms % BUCKET_MS
        bar = bars.get(bucket_ms)
        if bar is None:
            bar = bars[bucket_ms] = Bar(
                bucket_ms, bucket_ms + BUCKET_MS, market_session=minute.market_session, first_traded_ms=minute.first_traded_ms
            )
        bar.last_traded_ms = minute.last_traded_ms
        bar.widen(minute.high)
        bar.widen(minute.low)
        bar.open = minute.open if bar.open is None else bar.open
        bar.close = bar.close if minute.close is None else minute.close
        for column in ("volume", "trade_count", "notional", "priced_volume"):
            setattr(bar, column, getattr(bar, column) + getattr(minute, column))
        bar.arrivals += minute.arrivals
    return bars


def _count_day(day: TradingDay, seen: SeenDay, minutes: dict[int, Bar]) -> dict[int, Bar]:
    """The trading day: Form T sets no price, the auctions are open and close."""
    counting = [each for each in seen.trades if each.counts]
    if not counting:
        return {}
    start_ms, end_ms = day.bounds_ms
    bar = Bar(start_ms, end_ms, first_traded_ms=counting[0].trade.traded_ms, last_traded_ms=counting[-1].trade.traded_ms)
    for each in counting:
        if each.sets_day_high_low:
            bar.widen(each.trade.price)
        if each.sets_day_last:
            bar.open = each.trade.price if bar.open is None else bar.open
            bar.close = each.trade.price
        if each.adds_volume:
            _add_volume(bar, each.trade, is_priced=each.sets_day_high_low)
    if seen.opening:
        bar.open = seen.opening.price
        bar.widen(seen.opening.price)
    if seen.closing:
        bar.close = seen.closing.price
        bar.widen(seen.closing.price)
    for minute in minutes.values():
        bar.arrivals += minute.arrivals
    return {start_ms: bar}
