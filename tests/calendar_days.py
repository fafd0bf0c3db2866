"""Days that are easily got wrong, by name; and another library's idea of every day."""

from datetime import date, datetime
from functools import cache
from typing import Any, Final

import pandas_market_calendars

FIRST, LAST = "1990-01-01", "2030-12-31"
OTHER_NAMES: Final = {"XNYS": "NYSE", "XLON": "LSE"}
SYMBOL_OF: Final = {"XNYS": "AAPL", "XLON": "VOD.L"}
SILENCE: Final = "minutes of silence or a late bell: we keep the scheduled open"
EXPLAINED: Final[dict[str, dict[date, str]]] = {
    "XNYS": {
        **dict.fromkeys(
            [
                *(date(1990, 12, 27), date(1991, 1, 17), date(1991, 2, 25), date(2001, 9, 17), date(2001, 10, 8), date(2003, 3, 20)),
                *(date(2004, 6, 7), date(2006, 12, 27)),
            ],
            SILENCE,
        ),
        date(1994, 2, 11): "snow: the other library closes at 14:30, ours as scheduled",
        date(1995, 12, 18): "a computer failed: the other library opens at 10:30, ours as scheduled",
        date(1996, 1, 8): "snow: the other library has 11:00 to 14:00, ours the scheduled hours",
        date(1997, 10, 27): "the circuit breaker: the other library closes at 15:30, ours as scheduled",
        date(1999, 12, 31): "the eve of 2000: ours closes at 13:00, the other library as scheduled",
        date(2002, 9, 11): "remembrance: the other library opens at 12:00, ours as scheduled",
        date(2005, 6, 1): "a line failed: the other library closes at 15:56, ours as scheduled",
    },
    "XLON": {},
}
"""Unscheduled hours: none in which the two disagree on whether the exchange was open that day."""

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
    ("VOD.L", "2026-03-30 06:49:59", "2026-03-30", "closed", "a morning in London"),
    ("VOD.L", "2026-03-30 06:50", "2026-03-30", "pre", "its opening auction begins"),
    ("VOD.L", "2026-03-30 06:55", "2026-03-30", "pre", "its opening auction"),
    ("VOD.L", "2026-03-30 15:30", "2026-03-30", "post", "its closing auction"),
    ("VOD.L", "2026-03-30 16:15", "2026-03-30", "closed", "an evening in London"),
    ("VOD.L", "2024-12-24 12:30", "2024-12-24", "post", "London closes at 12:30 on Christmas Eve"),
    ("VOD.L", "2022-09-19 10:00", "2022-09-19", "closed", "a state funeral"),
    ("BRK.B", "2026-03-09 13:30", "2026-03-09", "regular", "a suffix that is no exchange's"),
    ("BINANCE:BTCUSDT", "2026-03-08 07:00", "2026-03-08", "continuous", "a pair trades on Sundays"),
    ("OANDA:EUR_USD", "2026-11-03 00:30", "2026-11-03", "continuous", "and on UTC days"),
]


@cache
def read_other_library(exchange: str) -> Hours:
    """Give the days and hours of an exchange by a library that shares no definition with the one that made the seed."""
    calendar: Any = pandas_market_calendars.get_calendar(OTHER_NAMES[exchange])
    schedule = calendar.schedule(FIRST, LAST)
    return {
        day.date(): (row.market_open.to_pydatetime().replace(tzinfo=None), row.market_close.to_pydatetime().replace(tzinfo=None))
        for day, row in schedule.iterrows()
    }
