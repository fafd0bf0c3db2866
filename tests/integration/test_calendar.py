"""Trading days and their hours: the nasty ones by name, and twenty years of two exchanges against another library."""

from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pandas_market_calendars
import pytest

from tests.rig import Session, Tick, build, land, log_records, make_once, open_lake, utc_ms
from ticklake.audit.calendar import BUCKET_MS, Calendars
from ticklake.audit.seeds import read_seeds
from ticklake.cli.lake import Lake

FIRST, LAST = "2006-01-01", "2025-12-31"
OTHER_NAMES: Final = {"XNYS": "NYSE", "XLON": "LSE"}
SYMBOL_OF: Final = {"XNYS": "AAPL", "XLON": "VOD.L"}
EXPLAINED: Final = {
    "XNYS": {date(2006, 12, 27): "two minutes of silence for President Ford: the other library opens at 09:32, we keep the scheduled 09:30"}
}
Hours = dict[date, tuple[datetime, datetime]]

NASTY: Final = [
    # moment in UTC, trading date and session on the exchange's wall clock
    ("AAPL", "2026-03-06 14:29:59", "2026-03-06", "pre", "the last winter Friday"),
    ("AAPL", "2026-03-06 14:30", "2026-03-06", "regular", "the last winter Friday"),
    ("AAPL", "2026-03-08 07:00", "2026-03-08", "closed", "the hour that New York passes over, a Sunday"),
    ("AAPL", "2026-03-09 13:29:59", "2026-03-09", "pre", "the first summer Monday"),
    ("AAPL", "2026-03-09 13:30", "2026-03-09", "regular", "the first summer Monday"),
    ("AAPL", "2026-03-09 20:00", "2026-03-09", "post", "the first summer Monday"),
    ("AAPL", "2026-03-10 00:00", "2026-03-09", "closed", "the post market ends at midnight UTC in summer"),
    ("AAPL", "2026-03-10 03:59:59", "2026-03-09", "closed", "the last second of the trading date"),
    ("AAPL", "2026-03-10 04:00", "2026-03-10", "closed", "the first second of the next"),
    ("AAPL", "2026-03-10 08:00", "2026-03-10", "pre", "04:00 in New York"),
    ("AAPL", "2026-11-01 05:30", "2026-11-01", "closed", "the hour that New York has twice, for the first time"),
    ("AAPL", "2026-11-01 06:30", "2026-11-01", "closed", "the hour that New York has twice, once more"),
    ("AAPL", "2026-10-30 13:30", "2026-10-30", "regular", "the last summer Friday"),
    ("AAPL", "2026-11-02 13:30", "2026-11-02", "pre", "the first winter Monday"),
    ("AAPL", "2026-11-02 14:30", "2026-11-02", "regular", "the first winter Monday"),
    ("AAPL", "2026-11-03 00:59:59", "2026-11-02", "post", "the post market crosses midnight UTC in winter"),
    ("AAPL", "2026-11-03 01:00", "2026-11-02", "closed", "and ends an hour later"),
    ("AAPL", "2026-11-27 17:59:59", "2026-11-27", "regular", "the half day after Thanksgiving"),
    ("AAPL", "2026-11-27 18:00", "2026-11-27", "post", "closes at 13:00"),
    ("AAPL", "2026-11-27 22:00", "2026-11-27", "closed", "and its post market at 17:00"),
    ("AAPL", "2026-11-26 15:00", "2026-11-26", "closed", "Thanksgiving"),
    ("AAPL", "2025-07-03 16:59:59", "2025-07-03", "regular", "the half day before Independence Day"),
    ("AAPL", "2025-07-03 17:00", "2025-07-03", "post", "closes at 13:00 in summer"),
    ("AAPL", "2001-09-11 15:00", "2001-09-11", "closed", "an unscheduled close"),
    ("AAPL", "2001-09-17 13:30", "2001-09-17", "regular", "the first day after it"),
    ("AAPL", "2012-10-29 14:30", "2012-10-29", "closed", "a hurricane"),
    ("AAPL", "2012-10-30 14:30", "2012-10-30", "closed", "the second day of it"),
    ("AAPL", "2012-10-31 14:30", "2012-10-31", "regular", "and open again"),
    ("AAPL", "2018-12-05 15:00", "2018-12-05", "closed", "a day of mourning"),
    ("AAPL", "2025-01-09 15:00", "2025-01-09", "closed", "another day of mourning"),
    ("AAPL", "2022-06-20 15:00", "2022-06-20", "closed", "Juneteenth, a new holiday, on a Monday"),
    ("AAPL", "2026-07-03 15:00", "2026-07-03", "closed", "Independence Day on a Saturday, so closed on the Friday"),
    ("VOD.L", "2026-03-27 08:00", "2026-03-27", "regular", "London in winter"),
    ("VOD.L", "2026-03-30 07:00", "2026-03-30", "regular", "London in summer, three weeks after New York"),
    ("VOD.L", "2026-03-30 06:55", "2026-03-30", "pre", "its opening auction"),
    ("VOD.L", "2026-03-30 15:30", "2026-03-30", "post", "its closing auction"),
    ("VOD.L", "2026-03-30 16:15", "2026-03-30", "closed", "an evening in London"),
    ("VOD.L", "2024-12-24 12:30", "2024-12-24", "post", "London closes at 12:30 on Christmas Eve"),
    ("VOD.L", "2022-09-19 10:00", "2022-09-19", "closed", "a state funeral"),
    ("BRK.B", "2026-03-09 13:30", "2026-03-09", "regular", "a suffix that is no exchange's"),
    ("BINANCE:BTCUSDT", "2026-03-08 07:00", "2026-03-08", "continuous", "a pair trades on Sundays"),
    ("OANDA:EUR_USD", "2026-11-03 00:30", "2026-11-03", "continuous", "and on UTC days"),
]


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
    if session != "continuous":
        assert Calendars(read_seeds(lake.seeds).exchanges).of(symbol).place(utc_ms(moment) // BUCKET_MS) == expected, why


def read_other_library(exchange: str) -> Hours:
    """Give the days and hours of an exchange by a library that shares no definition with the one that made the seed."""
    calendar: Any = pandas_market_calendars.get_calendar(OTHER_NAMES[exchange])
    schedule = calendar.schedule(FIRST, LAST)
    return {
        day.date(): (row.market_open.to_pydatetime().replace(tzinfo=None), row.market_close.to_pydatetime().replace(tzinfo=None))
        for day, row in schedule.iterrows()
    }


@pytest.mark.parametrize("exchange", OTHER_NAMES)
def test_twenty_years_are_the_same_in_another_library(lake: Lake, exchange: str) -> None:
    sql = """
        select trading_date, open_at, close_at from silver.market_days
        where exchange = $exchange and trading_date between $first and $last
    """
    parameters = {"exchange": exchange, "first": date.fromisoformat(FIRST), "last": date.fromisoformat(LAST)}
    ours = {day: (open_at, close_at) for day, open_at, close_at in lake.query(sql, parameters).rows}
    other = read_other_library(exchange)

    assert len(ours) > 5_000
    assert {day for day in ours.keys() | other.keys() if ours.get(day) != other.get(day)} == EXPLAINED.get(exchange, {}).keys()


def test_the_auditor_has_the_same_hours_as_the_warehouse(lake: Lake) -> None:
    calendars = Calendars(read_seeds(lake.seeds).exchanges)
    rows = lake.query("select * from silver.market_days").rows
    for exchange, trading_date, *hours in rows:
        assert calendars.of(SYMBOL_OF[exchange]).day(trading_date) == tuple(utc_ms(str(moment)) for moment in hours)
    assert len(rows) > 20_000
