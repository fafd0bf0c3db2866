"""What a backfill becomes in the warehouse, beside a live feed with gaps; and `--gaps`, which asks for their days."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.rest_rig import ask_backfill, make_premium, make_rest, plan_backfill, serve_exchange
from tests.rig import (
    Session,
    Tick,
    build,
    find_unbalanced,
    land,
    log_records,
    open_lake,
    read_gold,
    tell_difference,
    utc_ms,
    verify_lake,
)
from tests.unit.fakes import FakeClock
from ticklake.cli.lake import Lake
from ticklake.feed.exchange.prints import Trade
from ticklake.feed.exchange.serve import Exchange
from ticklake.feed.finnhub.backfill import Backfill, SymbolDay, plan_candles, plan_splits, plan_ticks

DAYS = [SymbolDay(symbol, date(2025, 11, 18), 1763442000, 1763528400, follows=False) for symbol in ("AAPL", "MSFT")]


class Filled(NamedTuple):
    """A home with a live feed's gaps, and with history that was asked for."""

    home: Path
    trades: list[Trade]
    """What the exchange told of AAPL and MSFT."""
    splits: list[Any]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """A home in which AAPL was watched on a Monday and on Wednesday's afternoon, and BTC too; Tuesday was asked for."""
    lake = open_lake(tmp_path_factory.mktemp("gaps") / "home")
    symbols = ["AAPL", "BINANCE:BTCUSDT"]
    records: list[bytes] = []
    for number, start, end in ((1, "2025-11-17 08:00", "2025-11-18 02:00"), (2, "2025-11-19 18:00", "2025-11-21 06:00")):
        session = Session(collector="a", number=number)
        records += [
            session.control("session_opened", received_ms=utc_ms(start)),
            session.control("subscribed", received_ms=utc_ms(start), symbols=symbols, without_slot=[]),
            session.frame([Tick("AAPL", utc_ms(start) + 1, "190.1", "100")]),
            *(session.raw(b'{"type":"ping"}', received_ms=moment) for moment in range(utc_ms(start) + 2, utc_ms(end), 3_600_000)),
            session.control("session_closed", received_ms=utc_ms(end), cause="stopped"),
        ]
    log_records(lake, records)
    exchange = make_premium()
    splits = ask_for_tuesday(lake, exchange)
    land(lake)
    build(lake)
    return Filled(lake.home.root, [each for each in exchange.told.trades if each.symbol in {"AAPL", "MSFT"}], splits)


def ask_for_tuesday(lake: Lake, exchange: Exchange) -> list[Any]:
    """Ask for ticks, in pages far too small, for candles and for splits; give the splits."""
    ticks = [msgspec.structs.replace(each, parameters={**each.parameters, "limit": 37}) for each in plan_ticks(DAYS)]
    questions = ticks + plan_candles(DAYS, "5") + plan_splits(["AAPL"], date(2000, 1, 1), date(2026, 1, 1))
    clock, log = FakeClock(), lake.open_log_writer()
    with serve_exchange(exchange, to_the_end=True) as url, make_rest(url, clock=clock, per_minute=1_000) as vendor:
        Backfill(vendor, log, collector="a", clock=clock).run(questions)
        found = vendor.splits("AAPL", "2000-01-01", "2026-01-01")
    log.close()
    return [(each.symbol, each.from_factor, each.to_factor, date.fromisoformat(each.date)) for each in found]


def read_tape(lake: Lake) -> list[Any]:
    """Give what was asked for, as the warehouse has it: in the tape's order."""
    sql = """
        select symbol, traded_ms, price, size, conditions from silver.trades
        where feed = 'finnhub_tick' order by symbol, order_key
    """
    return lake.query(sql).rows


def test_in_the_warehouse_history_is_the_tape_and_asking_again_adds_nothing(filled: Filled, tmp_path: Path) -> None:
    lake = open_lake(shutil.copytree(filled.home, tmp_path / "home"))
    assert read_tape(lake) == sorted((tuple(each) for each in filled.trades), key=lambda each: each[:2])
    assert lake.query("select symbol, from_factor, to_factor, split_date from gold.splits order by split_date").rows == filled.splits
    (vendors,) = lake.query("select count(*), sum(volume) from gold.vendor_bars where symbol = 'MSFT' and resolution = '5'").rows
    (ours,) = lake.query(
        "select count(*), sum(volume) from gold.bars_5m where feed = 'finnhub_tick' and symbol = 'MSFT' and lens = 'sip'"
    ).rows
    assert vendors == ours
    assert lake.query("select count(*) from silver.trades where feed not in ('finnhub', 'finnhub_tick')").rows == [(0,)]
    before = read_gold(lake)
    ask_for_tuesday(lake, make_premium())
    land(lake)
    build(lake)
    assert read_tape(lake) == sorted((tuple(each) for each in filled.trades), key=lambda each: each[:2])
    assert tell_difference(before, read_gold(lake)) == ""
    assert find_unbalanced(lake) == []
    assert verify_lake(lake).holds


@pytest.fixture
def gap_home(filled: Filled) -> Path:
    """The same home, for its gaps: read it, do not change it."""
    return filled.home


def test_gaps_ask_for_the_days_in_which_the_live_feed_missed_something(gap_home: Path) -> None:
    done = ask_backfill(gap_home, "--gaps", "--dry-run", "--json", "--to", "2025-11-25")
    assert done.exit_code == 0, done.output
    asked = [(each["parameters"]["symbol"], each["parameters"]["date"]) for each in json.loads(done.stdout)["questions"]]
    # Monday was seen whole, Tuesday not at all, Wednesday from noon on, Thursday whole, and nothing since
    assert asked == [("AAPL", f"2025-11-{day}") for day in (18, 19, 21, 24, 25)]
    assert "BINANCE:BTCUSDT" in done.stderr
    candles = plan_backfill(gap_home, "--gaps", "--source", "candles", "--resolution", "5", "--to", "2025-11-25")
    assert len(candles) == 2
    assert plan_backfill(gap_home, "AAPL", "--gaps", "--from", "2025-11-19", "--to", "2025-11-20") == plan_backfill(
        gap_home, "AAPL", "--from", "2025-11-19", "--to", "2025-11-19"
    )
    assert plan_backfill(gap_home, "MSFT", "--gaps") == []


def test_an_open_gap_ends_for_us_with_the_last_day_that_is_over(gap_home: Path) -> None:
    newest = max(date.fromisoformat(each["parameters"]["date"]) for each in plan_backfill(gap_home, "--gaps"))
    today = datetime.now(UTC).date()
    assert today - timedelta(days=6) < newest < today
