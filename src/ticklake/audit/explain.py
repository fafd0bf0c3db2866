"""Which prints made a bar, which did not, and by which rule: from the landed bytes alone.

Takes      the store, the seeds' folder, and which bar is meant
Gives      the bar as it must be, and every print of its interval with what it did and what kept it out
Raises     SeedsInvalid; an object that cannot be read is named, and the others are read
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Final

import msgspec

from ticklake.audit.calendar import BUCKET_MS, Calendar, Calendars, utc_bounds_ms, utc_date, utc_ms
from ticklake.audit.identity import judge_prints
from ticklake.audit.prints import Print
from ticklake.audit.read import read_prints
from ticklake.audit.recount import MINUTE_MS, Bar, SeenDay, SeenTrade, TradingDay, count_bars, is_continuous, see_day, split_days
from ticklake.audit.seeds import Feed, Lens, Seeds, read_seeds
from ticklake.audit.subscriptions import Subscriptions
from ticklake.contracts.objects import LANDING_PREFIX
from ticklake.contracts.ports import ObjectStore
from ticklake.errors import ObjectCorrupt

CAN_ESCAPE: Final = b"\\"
"""A record with this may spell a symbol otherwise."""

ANNOUNCES: Final = b'"subscribing"'
"""A record with this may forbid a symbol that it does not name."""


class ExplainedPrint(msgspec.Struct, frozen=True):
    """A print of the interval, or an auction that set a price of it."""

    trade: Print
    did: list[str]
    """Of open, high, low, close, volume: what it made or took part in."""

    kept_out: list[str]
    """The rules that kept it from setting or adding more."""


class Explained(msgspec.Struct, frozen=True):
    """A bar with its prints, in their order."""

    feed: str
    symbol: str
    lens: str
    trading_date: date
    bar: Bar | None
    """None if no print counts."""

    prints: list[ExplainedPrint]


class Explanation(msgspec.Struct):
    """The bar of each feed that knows the symbol, and the objects that could not be asked."""

    bars: list[Explained] = []
    unreadable: list[str] = []


def explain(
    store: ObjectStore,
    seeds_folder: Path,
    symbol: str,
    start_at: datetime,
    *,
    interval: str,
    lens: str,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Explanation:
    """Explain the bar that holds a moment (UTC), of each feed that knows the symbol; of `1d` a midnight names the trading date."""
    seeds = read_seeds(seeds_folder)
    (chosen,) = (each for each in seeds.lenses if each.name == lens)
    explanation = Explanation()
    subscriptions = Subscriptions()
    prints = _read_symbol(store, symbol, seeds, subscriptions, explanation, on_progress)
    judged = list(judge_prints(prints, seeds.feeds, subscriptions))
    for feed in sorted({each.feed for each in judged}):
        of_feed = [each for each in judged if each.feed == feed]
        explanation.bars += _explain_feed(feed, symbol, of_feed, chosen, seeds, start_at=start_at, interval=interval)
    return explanation


def _read_symbol(
    store: ObjectStore,
    symbol: str,
    seeds: Seeds,
    subscriptions: Subscriptions,
    explanation: Explanation,
    on_progress: Callable[[int, int], None],
) -> Iterator[Print]:
    text = b'"%b"' % symbol.encode()
    keys = list(store.list(LANDING_PREFIX))
    for number, key in enumerate(keys, 1):
        on_progress(number, len(keys))
        prints = read_prints(
            *(store, [key], seeds.feeds),
            subscriptions=subscriptions,
            wants=lambda record: text in record or CAN_ESCAPE in record or ANNOUNCES in record,
        )
        try:
            yield from [each for each in prints if each.symbol == symbol]
        except ObjectCorrupt as error:
            explanation.unreadable.append(error.what)


def _explain_feed(
    feed: str, symbol: str, prints: list[Print], lens: Lens, seeds: Seeds, *, start_at: datetime, interval: str
) -> Iterator[Explained]:
    calendar = Calendars(seeds.exchanges).of(symbol)
    trading_date, bounds_ms = _place_bar(symbol, start_at, interval, calendar)
    days = {day.trading_date: day for day in split_days(symbol, (each for each in prints if not each.reason), calendar)}
    day = days.get(trading_date)
    rejected = [each for each in prints if each.reason and bounds_ms[0] <= each.moment_ms < bounds_ms[1]]
    if day is not None and any(bounds_ms[0] <= each.traded_ms < bounds_ms[1] for each in day.trades):
        yield _explain_bar(feed, day, lens, seeds.feeds[feed], interval, bounds_ms, rejected)
    elif rejected:
        yield Explained(feed, symbol, lens.name, trading_date, None, [ExplainedPrint(each, [], [each.reason]) for each in rejected])


def _place_bar(symbol: str, start_at: datetime, interval: str, calendar: Calendar) -> tuple[date, tuple[int, int]]:
    """Give the trading date of a bar, its first millisecond, and the one after its last."""
    moment_ms = utc_ms(start_at)
    bucket = moment_ms // BUCKET_MS
    trading_date = utc_date(bucket) if is_continuous(symbol) else calendar.place(bucket)[0]
    if interval == "1d":
        trading_date = start_at.date() if start_at.time() == time() else trading_date
        return trading_date, utc_bounds_ms(trading_date) if is_continuous(symbol) else calendar.day_bounds_ms(trading_date)
    length_ms = {"1m": MINUTE_MS, "5m": BUCKET_MS}[interval]
    start_ms = moment_ms - moment_ms % length_ms
    return trading_date, (start_ms, start_ms + length_ms)


def _explain_bar(
    feed: str, day: TradingDay, lens: Lens, rules: Feed, interval: str, bounds_ms: tuple[int, int], rejected: list[Print]
) -> Explained:
    seen = see_day(day, lens)
    bar = count_bars(day, lens, grace_ns=rules.grace_ns)[interval].get(bounds_ms[0])
    inside = [each for each in seen.trades if bounds_ms[0] <= each.trade.traded_ms < bounds_ms[1]]
    auctions = _auctions_of(day, seen, bounds_ms, is_daily=interval == "1d")
    makers = _find_makers(inside, auctions, is_daily=interval == "1d")
    prints = [
        ExplainedPrint(
            each.trade, _tell_did(each, makers, is_daily=interval == "1d"), _tell_kept_out(each, lens, is_daily=interval == "1d")
        )
        for each in inside
    ]
    prints += [
        ExplainedPrint(trade, [f"{what} ({auction} auction)" for what in makers.get(trade, [])], [])
        for auction, trade in auctions.items()
        if not bounds_ms[0] <= trade.traded_ms < bounds_ms[1]
    ]
    prints += [ExplainedPrint(each, [], [each.reason]) for each in rejected]
    prints.sort(key=lambda each: (each.trade.moment_ms, *each.trade[1:5]))
    return Explained(feed, day.symbol, lens.name, day.trading_date, bar, prints)


def _auctions_of(day: TradingDay, seen: SeenDay, bounds_ms: tuple[int, int], *, is_daily: bool) -> dict[str, Print]:
    """Give the auctions whose price the interval takes: it holds the session's first minute, or its last, and that minute traded."""
    if day.hours is None:
        return {}
    minutes = {"opening": (seen.opening, day.hours.open_ms), "closing": (seen.closing, day.hours.close_ms - MINUTE_MS)}
    return {
        name: trade
        for name, (trade, minute_ms) in minutes.items()
        if trade and bounds_ms[0] <= minute_ms < bounds_ms[1] and (is_daily or _has_traded(seen, minute_ms))
    }


def _has_traded(seen: SeenDay, minute_ms: int) -> bool:
    return any(each.counts and minute_ms <= each.trade.traded_ms < minute_ms + MINUTE_MS for each in seen.trades)


def _find_makers(inside: list[SeenTrade], auctions: dict[str, Print], *, is_daily: bool) -> dict[Print, list[str]]:
    """Say which trade made open, high, low and close."""
    lasts = [each.trade for each in inside if (each.sets_day_last if is_daily else each.sets_last)]
    prices = [each.trade for each in inside if (each.sets_day_high_low if is_daily else each.sets_high_low)] + list(auctions.values())
    makers: dict[Print, list[str]] = {}
    if opening := auctions.get("opening") or next(iter(lasts), None):
        makers.setdefault(opening, []).append("open")
    if prices:
        makers.setdefault(max(prices, key=lambda each: each.price), []).append("high")
        makers.setdefault(min(prices, key=lambda each: each.price), []).append("low")
    if closing := auctions.get("closing") or next(reversed(lasts), None):
        makers.setdefault(closing, []).append("close")
    return makers


def _tell_did(each: SeenTrade, makers: dict[Print, list[str]], *, is_daily: bool) -> list[str]:
    prices = each.sets_day_high_low if is_daily else each.sets_high_low
    did = list(makers.get(each.trade, []))
    if each.adds_volume and each.counts:
        did.append("volume" if prices else "volume, not vwap")
    return did


def _tell_kept_out(each: SeenTrade, lens: Lens, *, is_daily: bool) -> list[str]:
    codes, ruling = each.trade.conditions, each.ruling
    may_price, may_last = (each.sets_day_high_low, each.sets_day_last) if is_daily else (each.sets_high_low, each.sets_last)
    told = []
    if not ruling.may_set_high_low:
        told.append(f"sets no price: {_name_codes(lens, codes, 'high_low', 'last')}")
    elif not may_price:
        told.append("sets no price: Form T sets none in the day's bar" if is_daily else "sets no price: Form T in the regular session")
    elif not ruling.may_set_last:
        told.append(f"neither open nor close: {_name_codes(lens, codes, 'last')}")
    elif not may_last:
        told.append("neither open nor close: only the first print of the day may")
    if not ruling.adds_volume:
        told.append(f"adds no volume: {_name_codes(lens, codes, 'volume')}")
    elif each.trade.size == 0:
        told.append("adds no volume: a price update of size 0")
    return told


def _name_codes(lens: Lens, codes: tuple[str, ...], *whats: str) -> str:
    named = sorted({code for what in whats for code in lens.forbids(codes, what)}, key=lambda code: (len(code), code))
    return f"{'codes' if len(named) > 1 else 'code'} {', '.join(named)}"
