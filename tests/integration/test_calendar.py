"""Trading days and their hours: the nasty ones by name, and every one of forty years."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.calendar_days import NASTY, SYMBOL_OF
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


def test_every_day_of_forty_years_has_the_hours_that_the_auditor_has(lake: Lake) -> None:
    """The auditor's are those of another library, but for the days that are explained: tests/unit/test_audit_calendar.py."""
    calendars = Calendars(read_seeds(lake.seeds).exchanges)
    days = lake.query("select * from silver.market_days").rows
    hours = {(exchange, trading_date): tuple(utc_ms(str(moment)) for moment in moments) for exchange, trading_date, *moments in days}
    first, last = min(trading_date for _, trading_date in hours), max(trading_date for _, trading_date in hours)
    for number in range((last - first).days + 1):
        trading_date = first + timedelta(days=number)
        for exchange, symbol in SYMBOL_OF.items():
            assert calendars.of(symbol).day(trading_date) == hours.get((exchange, trading_date))
    assert (first.year, last.year) == (1990, 2030)
