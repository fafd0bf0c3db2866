"""The auditor's calendar: the nasty days by name, and forty years of two exchanges against another library."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest

from tests.calendar_days import EXPLAINED, FIRST, LAST, NASTY, OTHER_NAMES, SYMBOL_OF, read_other_library
from tests.rig import far_from_greenwich, utc_ms
from ticklake.audit.calendar import BUCKET_MS, Calendars, utc_bounds_ms, utc_date
from ticklake.audit.seeds import read_seeds
from ticklake.warehouse.transform import find_project

SEEDS: Final = find_project() / "seeds"
EXCHANGE_ROWS: Final = [row for row in NASTY if row[3] != "continuous"]


@pytest.fixture(autouse=True)
def _far_away() -> Iterator[None]:
    with far_from_greenwich():
        yield


def all_days() -> list[date]:
    """Give every date from the first to the last."""
    first, last = date.fromisoformat(FIRST), date.fromisoformat(LAST)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def find_other_days(calendars: Calendars, exchange: str) -> set[date]:
    """Give the dates of which our hours are not the other library's."""
    calendar, other = calendars.of(SYMBOL_OF[exchange]), read_other_library(exchange)
    ours = {day: calendar.day(day) for day in all_days()}
    hours = {day: tuple(round(moment.replace(tzinfo=UTC).timestamp() * 1000) for moment in both) for day, both in other.items()}
    return {day for day, found in ours.items() if (found and (found.open_ms, found.close_ms)) != hours.get(day)}


@pytest.mark.parametrize(
    ("symbol", "moment", "trading_date", "session", "why"), EXCHANGE_ROWS, ids=[f"{row[4]}, {row[1]}" for row in EXCHANGE_ROWS]
)
def test_a_nasty_moment_is_where_the_exchange_says(symbol: str, moment: str, trading_date: str, session: str, why: str) -> None:
    calendar = Calendars(read_seeds(SEEDS).exchanges).of(symbol)
    assert calendar.place(utc_ms(moment) // BUCKET_MS) == (date.fromisoformat(trading_date), session), why


@pytest.mark.no_cover  # two other libraries
@pytest.mark.parametrize("exchange", OTHER_NAMES)
def test_forty_years_are_the_same_in_another_library(exchange: str) -> None:
    assert find_other_days(Calendars(read_seeds(SEEDS).exchanges), exchange) == EXPLAINED[exchange].keys()


@pytest.mark.parametrize(
    ("symbol", "day", "hours"),
    [
        ("AAPL", "2026-03-06", ("09:00", "14:30", "21:00", "25:00")),
        ("AAPL", "2026-03-09", ("08:00", "13:30", "20:00", "24:00")),
        ("AAPL", "2026-11-27", ("09:00", "14:30", "18:00", "22:00")),
        ("VOD.L", "2026-03-30", ("06:50", "07:00", "15:30", "16:15")),
        ("VOD.L", "2024-12-24", ("07:50", "08:00", "12:30", "13:15")),
    ],
)
def test_a_day_begins_before_its_open_and_ends_after_its_close(symbol: str, day: str, hours: tuple[str, ...]) -> None:
    found = Calendars(read_seeds(SEEDS).exchanges).of(symbol).day(date.fromisoformat(day))
    assert found == tuple(utc_ms(day) + (int(hour[:2]) * 60 + int(hour[3:])) * 60_000 for hour in hours)


def test_a_trading_date_runs_from_midnight_to_midnight_of_the_zone() -> None:
    new_york = Calendars(read_seeds(SEEDS).exchanges).of("AAPL")
    assert new_york.day_bounds_ms(date(2026, 3, 8)) == (utc_ms("2026-03-08 05:00"), utc_ms("2026-03-09 04:00"))
    assert new_york.day_bounds_ms(date(2026, 11, 1)) == (utc_ms("2026-11-01 04:00"), utc_ms("2026-11-02 05:00"))


@pytest.mark.parametrize(
    ("symbol", "exchange"),
    [("AAPL", "AAPL"), ("BRK.B", "AAPL"), ("VOD.L", "VOD.L"), ("A.B.L", "VOD.L"), ("L", "AAPL"), (".L", "VOD.L"), ("X.l", "AAPL")],
)
def test_a_suffix_names_the_exchange(symbol: str, exchange: str) -> None:
    calendars = Calendars(read_seeds(SEEDS).exchanges)
    assert calendars.of(symbol) is calendars.of(exchange)


def test_utc_dates_have_their_midnights() -> None:
    start_ms = utc_ms("2025-11-18")
    assert [utc_date(moment // BUCKET_MS) for moment in (start_ms - 1, start_ms, start_ms + 86_399_999)] == [
        date(2025, 11, 17),
        *[date(2025, 11, 18)] * 2,
    ]
    assert utc_bounds_ms(date(2025, 11, 18)) == (start_ms, start_ms + 86_400_000)
    assert datetime.fromtimestamp(start_ms / 1000, UTC) == datetime(2025, 11, 18, tzinfo=UTC)
