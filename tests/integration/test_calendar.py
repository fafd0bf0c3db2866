"""Trading days and their hours: the nasty ones by name, and forty years of two exchanges against another library."""

from datetime import date
from pathlib import Path

import pytest

from tests.calendar_days import EXPLAINED, FIRST, LAST, NASTY, OTHER_NAMES, SYMBOL_OF, read_other_library
from tests.rig import Session, Tick, build, land, log_records, make_once, open_lake, utc_ms
from ticklake.audit.calendar import Calendars
from ticklake.audit.seeds import read_seeds
from ticklake.cli.lake import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with a print at each of the nasty moments; read it, do not change it."""
    return open_lake(make_once(tmp_path_factory, "calendar", make_lake))


def make_lake(home: Path) -> None:
    lake = open_lake(home)
    session = Session()
    prints = sorted((utc_ms(moment), symbol) for symbol, moment, *_ in NASTY)
    log_records(lake, [session.frame([Tick(symbol, traded_ms, "10", "1")]) for traded_ms, symbol in prints])
    land(lake)
    build(lake)


@pytest.mark.parametrize(("symbol", "moment", "trading_date", "session", "why"), NASTY, ids=[f"{row[4]}, {row[1]}" for row in NASTY])
def test_a_nasty_moment_is_where_the_exchange_says(lake: Lake, symbol: str, moment: str, trading_date: str, session: str, why: str) -> None:
    sql = "select trading_date, market_session from silver.trades where symbol = $symbol and traded_ms = $traded_ms"
    expected = (date.fromisoformat(trading_date), session)
    assert lake.query(sql, {"symbol": symbol, "traded_ms": utc_ms(moment)}).rows == [expected], why


@pytest.mark.no_cover  # two other libraries
@pytest.mark.parametrize("exchange", OTHER_NAMES)
def test_forty_years_are_the_same_in_another_library(lake: Lake, exchange: str) -> None:
    sql = """
        select trading_date, open_at, close_at from silver.market_days
        where exchange = $exchange and trading_date between $first and $last
    """
    parameters = {"exchange": exchange, "first": date.fromisoformat(FIRST), "last": date.fromisoformat(LAST)}
    ours = {day: (open_at, close_at) for day, open_at, close_at in lake.query(sql, parameters).rows}
    other = read_other_library(exchange)

    assert len(ours) > 10_000
    assert {day for day in ours.keys() | other.keys() if ours.get(day) != other.get(day)} == EXPLAINED[exchange].keys()


def test_the_auditor_has_the_same_hours_as_the_warehouse(lake: Lake) -> None:
    calendars = Calendars(read_seeds(lake.seeds).exchanges)
    rows = lake.query("select * from silver.market_days").rows
    for exchange, trading_date, *hours in rows:
        assert calendars.of(SYMBOL_OF[exchange]).day(trading_date) == tuple(utc_ms(str(moment)) for moment in hours)
    assert len(rows) > 20_000
