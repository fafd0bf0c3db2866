"""`ticklake backfill --gaps`: the days on which the live feed missed something."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.rest_rig import ask_backfill, plan_backfill
from tests.rig import Session, Tick, build, land, log_records, open_lake, utc_ms


@pytest.fixture(scope="module")
def gap_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which AAPL was watched on a Monday and on Wednesday's afternoon, and BTC on Monday."""
    home = tmp_path_factory.mktemp("gaps") / "home"
    lake = open_lake(home)
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
    land(lake)
    build(lake)
    return home


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
