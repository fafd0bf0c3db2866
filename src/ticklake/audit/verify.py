"""Is gold what the landed bytes say? Every bar is counted anew and compared, column by column.

    settle    gold as one finished build of these rules left it, and the objects that it was made of
    read      those objects, from landing
    judge     prints to trades, by rules of identity written for this purpose
    recount   bars of every interval, through every lens
    compare   with gold; and where a bar differs, its trades with silver's

Takes      the store, the seeds' folder, and read-only SQL: for the manifest, and for what is to be proven
Guarantee  no SQL, parser or table of the warehouse has a part in what is expected
Raises     WarehouseBusy, BuildUnfinished (both retryable), QueryInvalid, SeedsInvalid
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from ticklake.audit.calendar import Calendars, utc_bounds_ms, utc_moment, utc_ms
from ticklake.audit.identity import judge_prints
from ticklake.audit.prints import UNITS, Print, to_decimal
from ticklake.audit.read import read_prints
from ticklake.audit.recount import INTERVALS, Bar, count_bars, split_days
from ticklake.audit.seeds import Seeds, read_seeds
from ticklake.audit.subscriptions import Subscriptions
from ticklake.contracts.objects import LANDING_PREFIX, ObjectKey
from ticklake.contracts.ports import ObjectStore, Query
from ticklake.errors import BuildUnfinished, ObjectCorrupt

COLUMNS: Final = (
    *("open", "high", "low", "close", "volume", "trade_count", "notional", "priced_volume", "vwap"),
    *("market_session", "first_traded_at", "last_traded_at", "trading_date", "final_at", "revision"),
)
GRAIN: Final = ("feed", "symbol", "lens", "start_at")
TOLERANCE: Final = Decimal("1e-8")
"""The vwap of a warehouse that divides in doubles is within this of the exact one."""

LENGTH_MS: Final = {"bars_1m": 60_000, "bars_5m": 300_000, "bars_1d": 90_000_000}
"""How far a bar reaches at most; a day has 25 hours once a year."""

PRINTS_SHOWN: Final = 5
MANIFEST: Final = """
    select object_key, true as is_loaded from bronze.landed_objects
    union all select object_key, false as is_loaded from bronze.quarantined_objects
"""
TRADES: Final = """
    select log_id, log_partition, log_offset, print_index, traded_ms, price, size, conditions
    from silver.trades where feed = $feed and symbol = $symbol
"""

STATE: Final = """
    select max(loads.load_id), max(transform_state.tested_load_id), max(transform_state.transform_sha256)
    from bronze.loads full join bronze.transform_state on false
"""
"""The newest load, the newest that a finished build took in, and the project that built it."""

ATTEMPTS: Final = 20
"""How often gold is read again because a build came between; each reading waits for its turn."""

Key = tuple[str, str, str, datetime]
Place = tuple[str, int, int, int]
OnProgress = Callable[[str, int, int], None]


class Difference(msgspec.Struct, frozen=True):
    """One value that is not what the bytes say."""

    table: str
    feed: str
    symbol: str
    lens: str
    start_at: datetime
    column: str
    """A column, or `row` where the whole bar is missing or should not be there."""

    expected: str | None
    found: str | None
    by: str | None = None
    """How much more was found than expected."""

    prints: list[str] = []
    """The trades in which silver and the bytes differ, within the bar: what, and where they lie."""


class Verified(msgspec.Struct):
    """What was compared, and what differs."""

    objects: int = 0
    prints: int = 0
    trades: int = 0
    bars: int = 0
    pending: int = 0
    """Objects that landed after the last build: nothing in gold can come from them."""

    differences: list[Difference] = []
    unreadable: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether gold is what the bytes say."""
        return not self.differences and not self.unreadable


class _Gold(msgspec.Struct):
    """What is to be proven, as one finished build left it."""

    bars: dict[str, list[tuple[Key, dict[str, Any]]]]
    manifest: dict[str, bool]
    """The keys of objects, and whether they were loaded or are in quarantine."""


class _Expected(msgspec.Struct):
    bars: dict[str, dict[Key, dict[str, Any]]]
    trades: dict[tuple[str, str], list[Print]]


def verify(
    store: ObjectStore,
    query: Query,
    seeds_folder: Path,
    *,
    project_sha256: str,
    first_date: date = date.min,
    last_date: date = date.max,
    on_progress: OnProgress = lambda *_: None,
) -> Verified:
    """Count every bar of the trading dates anew and compare; both dates are included.

    `project_sha256` names the rules that gold has to be built with. Raises BuildUnfinished where it is not, yet.
    """
    verified = Verified()
    seeds = read_seeds(seeds_folder)
    gold = _settle(query, project_sha256, first_date, last_date)
    keys = sorted(key for key, is_loaded in gold.manifest.items() if is_loaded)
    verified.pending = sum(1 for key in store.list(LANDING_PREFIX) if key not in gold.manifest)
    within_ms = _widen(first_date, last_date)
    subscriptions = Subscriptions()
    all_prints = _read_all(store, keys, seeds, subscriptions, verified, on_progress)
    # no rule of identity looks beyond five minutes
    prints = [each for each in all_prints if within_ms[0] <= each.moment_ms < within_ms[1]]
    verified.prints = len(prints)
    expected = _expect(judge_prints(prints, seeds.feeds, subscriptions), seeds, first_date, last_date, verified, on_progress)
    for interval in INTERVALS:
        verified.differences += _compare(f"bars_{interval}", expected.bars[interval], gold.bars[interval])
        verified.bars += len(expected.bars[interval])
    verified.differences = list(_name_prints(verified.differences, expected, query))
    return verified


def _settle(query: Query, project_sha256: str, first_date: date, last_date: date) -> _Gold:
    """Read gold and what it was made of, with no build between. Raises BuildUnfinished."""
    for _ in range(ATTEMPTS):
        newest, tested, sha256 = query(STATE).rows[0]
        if sha256 != project_sha256 or tested != newest:
            continue
        manifest = dict(query(MANIFEST).rows)
        bars = {interval: list(_read_gold(query, interval, first_date, last_date)) for interval in INTERVALS}
        if query(STATE).rows[0] == (newest, tested, sha256):
            return _Gold(bars, manifest)
    if sha256 not in {None, project_sha256}:
        raise BuildUnfinished("gold was built by other rules than these", hint="ticklake build makes all of it again")
    raise BuildUnfinished(
        f"gold is built up to load {tested or 0} of {newest or 0}", hint="ticklake build; beside ticklake run, try again in a moment"
    )


def _widen(first_date: date, last_date: date) -> tuple[int, int]:
    """Give the milliseconds within which trading dates lie in any zone, a day on both sides."""
    day = timedelta(days=1)
    first = first_date - day if first_date > date.min else first_date
    last = last_date + day if last_date < date.max else last_date
    return utc_bounds_ms(first)[0], utc_bounds_ms(last)[1]


def _read_all(
    store: ObjectStore, keys: list[str], seeds: Seeds, subscriptions: Subscriptions, verified: Verified, on_progress: OnProgress
) -> Iterator[Print]:
    for number, key in enumerate(keys, 1):
        on_progress("read", number, len(keys))
        try:
            prints = list(read_prints(store, [key], seeds.feeds, subscriptions=subscriptions))
        except ObjectCorrupt as error:
            verified.unreadable.append(error.what)
            continue
        verified.objects += 1
        yield from prints


def _expect(
    judged: Iterable[Print], seeds: Seeds, first_date: date, last_date: date, verified: Verified, on_progress: OnProgress
) -> _Expected:
    calendars = Calendars(seeds.exchanges)
    expected = _Expected({interval: {} for interval in INTERVALS}, defaultdict(list))
    for each in judged:
        if not each.reason:
            expected.trades[each.feed, each.symbol].append(each)
    verified.trades = sum(len(trades) for trades in expected.trades.values())
    for number, ((feed, symbol), trades) in enumerate(expected.trades.items(), 1):
        on_progress("recount", number, len(expected.trades))
        for day in split_days(symbol, trades, calendars.of(symbol)):
            if not first_date <= day.trading_date <= last_date:
                continue
            for lens in seeds.lenses:
                for interval, bars in count_bars(day, lens, grace_ns=seeds.feeds[feed].grace_ns).items():
                    for bar in bars.values():
                        key = (feed, symbol, lens.name, utc_moment(bar.start_ms))
                        expected.bars[interval][key] = to_row(bar, day.trading_date)
    return expected


def to_row(bar: Bar, trading_date: date) -> dict[str, Any]:
    """Give a bar's columns, as gold names them."""
    row: dict[str, Any] = {
        "volume": to_decimal(bar.volume),
        "trade_count": bar.trade_count,
        "notional": Decimal(bar.notional).scaleb(-16),
        "priced_volume": to_decimal(bar.priced_volume),
        "vwap": Decimal(bar.notional) / bar.priced_volume / UNITS if bar.priced_volume else None,
        "first_traded_at": utc_moment(bar.first_traded_ms),
        "last_traded_at": utc_moment(bar.last_traded_ms),
        "market_session": bar.market_session,
        "trading_date": trading_date,
        "final_at": utc_moment(bar.final_ns // 1_000_000),
        "revision": bar.revision,
    }
    for column in ("open", "high", "low", "close"):
        value = getattr(bar, column)
        row[column] = None if value is None else to_decimal(value)
    return row


def _read_gold(query: Query, interval: str, first_date: date, last_date: date) -> Iterator[tuple[Key, dict[str, Any]]]:
    columns = [*GRAIN, *(column for column in COLUMNS if interval != "1d" or column != "market_session")]
    sql = f"select {', '.join(columns)} from gold.bars_{interval} where trading_date between $first_date and $last_date"  # noqa: S608 — our own names
    parameters = {"first_date": first_date, "last_date": last_date}
    for row in query(sql, parameters).rows:
        feed, symbol, lens, start_at, *values = row
        yield (feed, symbol, lens, start_at), dict(zip(columns[len(GRAIN) :], values, strict=True))


def _compare(table: str, expected: dict[Key, dict[str, Any]], found: list[tuple[Key, dict[str, Any]]]) -> Iterator[Difference]:
    left = dict(expected)
    for key, row in found:
        must = left.pop(key, None)  # only the first of two
        if must is None:
            yield Difference(table, *key, "row", None, "a bar that no landed print makes")
            continue
        for column in row:
            if not _is_same(column, must[column], row):
                yield Difference(table, *key, column, _text(must[column]), _text(row[column]), _by(must[column], row[column]))
    for key in left:
        yield Difference(table, *key, "row", "a bar", None)


def _is_same(column: str, must: Any, row: dict[str, Any]) -> bool:
    value = row[column]
    if column != "vwap" or must is None or value is None:
        return bool(must == value)
    is_inside = None not in {row["low"], row["high"]} and row["low"] <= value <= row["high"]
    return bool(is_inside and abs(must - value) <= TOLERANCE)


def _name_prints(differences: list[Difference], expected: _Expected, query: Query) -> Iterator[Difference]:
    """Say of each bar that differs in which of its trades silver and the bytes do."""
    told = {
        (feed, symbol): list(_compare_trades(expected.trades.get((feed, symbol), []), query(TRADES, {"feed": feed, "symbol": symbol}).rows))
        for feed, symbol in {(each.feed, each.symbol) for each in differences}
    }
    for each in differences:
        from_ms = utc_ms(each.start_at)
        to_ms = from_ms + LENGTH_MS[each.table]
        lines = [line for traded_ms, line in told[each.feed, each.symbol] if from_ms <= traded_ms < to_ms]
        more = [f"and {len(lines) - PRINTS_SHOWN} more"] if len(lines) > PRINTS_SHOWN else []
        yield msgspec.structs.replace(each, prints=lines[:PRINTS_SHOWN] + more)


def _compare_trades(trades: Iterable[Print], rows: list[tuple[Any, ...]]) -> Iterator[tuple[int, str]]:
    """Give each trade of a symbol in which silver and the bytes differ: when it was, and what is told of it."""
    landed = {_place(each): (each.traded_ms, to_decimal(each.price), to_decimal(each.size), ",".join(each.conditions)) for each in trades}
    found = {tuple(row[:4]): tuple(row[4:]) for row in rows}
    for place in sorted(landed.keys() | found.keys()):
        must, has = landed.get(place), found.get(place)
        if must != has:
            log_id, partition, offset, index = place
            line = f"{log_id}/p{partition:03d} offset {offset} print {index}: landed as {_tell(must)}, in silver {_tell(has)}"
            yield from ((traded_ms, line) for traded_ms in {each[0] for each in (must, has) if each is not None})


def _tell(trade: tuple[Any, ...] | None) -> str:
    return "no trade" if trade is None else f"{trade[2]:f} at {trade[1]:f} [{trade[3]}], {utc_moment(trade[0]):%H:%M:%S.%f}"


def _place(trade: Print) -> Place:
    key = ObjectKey.parse(trade.object_key)
    return key.log_id, key.partition, trade.offset, trade.print_index


def _text(value: Any) -> str | None:
    return None if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)


def _by(must: Any, value: Any) -> str | None:
    if must is None or value is None or isinstance(must, str):
        return None
    return _text(value - must)
