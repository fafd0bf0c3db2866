"""Prints that come late, by a second or by three days: they change what they must and nothing else, and what was known before is known."""

import itertools
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.market import CODES, MARKS
from tests.rig import DEPTH, GOLD, Rows, Session, Tick, build, land, log_records, open_lake, read_gold, tell_difference, utc_ms, verify_lake
from ticklake.audit.calendar import Calendars
from ticklake.audit.identity import judge_prints
from ticklake.audit.read import read_prints
from ticklake.audit.recount import count_bars, split_days
from ticklake.audit.seeds import read_seeds
from ticklake.audit.subscriptions import Subscriptions
from ticklake.audit.verify import to_row
from ticklake.cli.lake import Lake

pytestmark = pytest.mark.no_cover  # many builds: tracing dbt would double their time

SYMBOLS: Final = ("AAPL", "IBM", "BINANCE:BTCUSDT")
DAYS: Final = ("2024-03-08", "2024-03-11", "2024-03-12")
"""A Friday, and the days after the clocks went forward."""

MOMENTS: Final = ("14:29:58", "14:30:01", "14:31", "16:00", "16:01:30", "20:59:50", "21:00:05", "23:59")
LATENESS_MS: Final = (0, 0, 0, 1_000, 30_000, 61_000, 119_999, 240_000, 3_600_000, 86_400_000, 3 * 86_400_000)
PAIRS: Final = 500
TURNS: Final = 4


def make_records(seed: int) -> list[bytes]:
    """Give the records of a week in the order of arrival: half the prints come late, by up to three days."""
    choose = random.Random(seed)
    prints = []
    for day in DAYS:
        for moment in MOMENTS:
            for symbol in SYMBOLS:
                for _ in range(choose.randrange(1, 5)):
                    traded_ms = utc_ms(f"{day} {moment}") + choose.randrange(90_000)
                    codes = choose.choice(CODES + MARKS) if choose.random() < 0.6 else ("1",)
                    tick = Tick(symbol, traded_ms, f"{choose.randrange(9000, 9100) / 100:.2f}", str(choose.choice((0, 1, 100, 300))), codes)
                    prints.append((traded_ms + choose.choice(LATENESS_MS) + choose.randrange(500), tick))
    session = Session(number=seed % 1000)
    records, last_ms = [], 0
    for received_ms, tick in sorted(prints, key=lambda each: each[0]):
        if received_ms > last_ms + 3_600_000:  # the feed lives on while nothing is traded
            records.append(session.control("heartbeat", received_ms=received_ms - 1_000_000))
        records.append(session.frame([tick], received_ms=received_ms))
        last_ms = received_ms
    return records


def arrive(lake: Lake, records: list[bytes]) -> None:
    """Log, land and build what arrives."""
    log_records(lake, records)
    land(lake)
    build(lake)


def changed_places(before: dict[str, Rows], after: dict[str, Rows], table: str) -> set[tuple[Any, ...]]:
    """Give symbol, lens and start of the bars that are not what they were."""
    rows = set(before[table]) ^ set(after[table])
    return {(row[1], row[2], row[3]) for row in rows}


def reach_of(lake: Lake, load_id: int) -> tuple[set[tuple[str, datetime]], set[tuple[str, datetime]]]:
    """Give symbol and start of the five minutes that a load touched, and of those to or from which it moved a day's marks."""
    buckets = "select symbol, epoch_ms(bucket::bigint * 300000) from {} where load_id = $load_id"
    touched, moved = (
        set(lake.query(buckets.format(table), {"load_id": load_id}).rows) for table in ("silver.touched", "silver.moved_marks")
    )
    return touched, moved


@settings(max_examples=DEPTH)
@given(seed=st.integers(0, 2**32 - 1))
def test_late_prints_change_their_reach_alone_and_any_order_of_building_gives_the_same(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = make_records(seed)
    choose = random.Random(seed)
    lake = open_lake(tmp_path_factory.mktemp("late"))
    cuts = sorted(choose.sample(range(1, len(records)), TURNS - 1))
    parts = [records[first:end] for first, end in zip([0, *cuts], [*cuts, len(records)], strict=True)]
    choose.shuffle(parts)

    before: dict[str, Rows] = {table: [] for table in GOLD}
    for load_id, part in enumerate(parts, 1):
        arrive(lake, part)
        after = read_gold(lake)
        touched, moved = reach_of(lake, load_id)
        for table in ("bars_1m", "bars_5m"):
            for symbol, _, start_at in changed_places(before, after, table):
                assert (symbol, start_at - timedelta(minutes=start_at.minute % 5)) in touched | moved
        touched_days = {(symbol, start_at.date() + timedelta(days=days)) for symbol, start_at in touched for days in (-1, 0)}
        assert {(symbol, start_at.date()) for symbol, _, start_at in changed_places(before, after, "bars_1d")} <= touched_days
        assert verify_lake(lake).differences == []
        before = after

    revisions = {revision for (revision,) in lake.query("select distinct revision from gold.bars_1m").rows}
    assert revisions >= {1, 2}
    build(lake, full=True)
    assert tell_difference(before, read_gold(lake)) == ""


def read_as_of(lake: Lake, moment: datetime) -> dict[str, Rows]:
    """Give what was known of every bar at a moment."""
    arguments = "$moment, [], date '1970-01-01', date '2100-01-01'"
    sql = "select * from gold.{}_as_of({}) order by feed, symbol, lens, start_at"
    return {table: lake.query(sql.format(table, arguments), {"moment": moment}).rows for table in GOLD}


def read_current(lake: Lake) -> dict[str, Rows]:
    """Give every bar as it is known now."""
    return {table: lake.query(f"select * from gold.current_{table} order by feed, symbol, lens, start_at").rows for table in GOLD}  # noqa: S608


def received_at(record_ns: int) -> datetime:
    """Give the microsecond by which something was received that came at this nanosecond."""
    return datetime.fromtimestamp(-(-record_ns // 1000) / 1_000_000, UTC).replace(tzinfo=None)


def test_what_was_known_at_a_moment_is_what_a_build_of_that_moment_made(tmp_path: Path) -> None:
    records = make_records(seed=20240310)
    lake = open_lake(tmp_path)
    cuts = [len(records) * turn // TURNS for turn in range(TURNS + 1)]
    known: dict[datetime, dict[str, Rows]] = {}
    for first, end in itertools.pairwise(cuts):
        arrive(lake, records[first:end])
        ((newest_ns,),) = lake.query("select max(received_ns) from bronze.frames").rows
        known[received_at(newest_ns)] = read_current(lake)

    for moment, bars in known.items():
        assert tell_difference(bars, read_as_of(lake, moment)) == "", f"as of {moment}"
    assert {row[-1] for bars in known.values() for row in bars["bars_5m"]} == {True, False}


def test_of_any_bar_and_moment_as_of_tells_what_a_recount_of_that_moment_does(tmp_path: Path) -> None:
    """500 of them, against bars that are counted from the landed bytes by other code."""
    lake = open_lake(tmp_path)
    arrive(lake, make_records(seed=20240311))
    seeds, choose = read_seeds(lake.seeds), random.Random(11)
    keys = sorted(lake.store.list("landing/frames.v1/"))
    prints = list(read_prints(lake.store, keys, seeds.feeds, subscriptions=Subscriptions()))
    arrivals = sorted(each.received_ns for each in prints)
    pairs = 0
    while pairs < PAIRS:
        known_ns = choose.choice(arrivals) + choose.choice((0, 999_000, 40_000_000_000))
        known_ns -= known_ns % 1000
        expected = recount(lake, (each for each in prints if each.received_ns <= known_ns))
        known = read_as_of(lake, datetime.fromtimestamp(known_ns / 1e9, UTC).replace(tzinfo=None))
        for table in GOLD:
            columns = lake.query(f"select * from gold.{table} limit 0").columns  # noqa: S608 — our own names
            found = {tuple(row[1:4]): dict(zip(columns, row, strict=False)) for row in known[table]}
            assert found.keys() == expected[table].keys()
            for place in choose.sample(sorted(expected[table]), k=min(20, len(expected[table]))):
                row, must = found[place], expected[table][place]
                assert abs((row.pop("vwap") or 0) - (must.pop("vwap") or 0)) < 2e-8
                assert {column: row.get(column, "") for column in must} == must
                pairs += 1


def recount(lake: Lake, prints: Iterable[Any]) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """Count the bars of these prints in plain Python."""
    seeds = read_seeds(lake.seeds)
    bars: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {table: {} for table in GOLD}
    trades = [each for each in judge_prints(prints, seeds.feeds, Subscriptions()) if not each.reason]
    for symbol in {each.symbol for each in trades}:
        for day in split_days(symbol, (each for each in trades if each.symbol == symbol), Calendars(seeds.exchanges).of(symbol)):
            for lens in seeds.lenses:
                for interval, of_interval in count_bars(day, lens, grace_ns=seeds.feeds["finnhub"].grace_ns).items():
                    for bar in of_interval.values():
                        start_at = datetime.fromtimestamp(bar.start_ms / 1000, UTC).replace(tzinfo=None)
                        row = to_row(bar, day.trading_date)
                        bars[f"bars_{interval}"][symbol, lens.name, start_at] = row
    return bars
