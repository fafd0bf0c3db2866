"""What the warehouse makes of every code and every pair of codes, in every session and through every lens, against a table by hand."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.rig import Session, Tick, build, land, log_records, make_once, open_lake, utc_ms
from tests.rules_table import CODE_SETS, LENSES, SESSIONS, allow
from ticklake.cli.lake import Lake

MOMENTS: Final = {"pre": "2024-01-10 12:00", "regular": "2024-01-10 17:00", "post": "2024-01-10 22:00"}
"""04:00, 12:00 and 17:00 in New York: no auction's hour."""

ORDINARY: Final = Decimal(100), Decimal(10)
SPECIAL: Final = Decimal(200), Decimal(7)
Bars = dict[tuple[str, str, str], dict[str, Any]]


def make_ticks() -> Iterator[Tick]:
    """Give of each set of codes a symbol on which an ordinary print always comes first, and one on which it comes second."""
    for number, codes in enumerate(CODE_SETS):
        for session, moment in MOMENTS.items():
            start_ms = utc_ms(moment)
            yield Tick(f"S{number}", start_ms + 1_000, "100", "10", ("1",))
            yield Tick(f"S{number}", start_ms + 2_000, "200", "7", codes)
            yield Tick(f"F{number}{session}", start_ms + 1_000, "200", "7", codes)
            yield Tick(f"F{number}{session}", start_ms + 2_000, "100", "10", ("1",))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with all of them; read it, do not change it."""
    return open_lake(make_once(tmp_path_factory, "rules", make_lake))


def make_lake(home: Path) -> None:
    lake = open_lake(home)
    session = Session()
    log_records(lake, [session.frame([tick]) for tick in sorted(make_ticks(), key=lambda tick: tick.traded_ms)])
    land(lake)
    build(lake)


@pytest.fixture(scope="module")
def minutes(lake: Lake) -> Bars:
    result = lake.query("select * from gold.bars_1m")
    rows = (dict(zip(result.columns, row, strict=True)) for row in result.rows)
    return {(row["symbol"], row["market_session"], row["lens"]): row for row in rows}


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("lens", LENSES)
def test_after_an_ordinary_print_each_set_of_codes_may_do_what_the_table_says(minutes: Bars, lens: str, session: str) -> None:
    for number, codes in enumerate(CODE_SETS):
        may = allow(codes, lens, session)
        bar = minutes[f"S{number}", session, lens]
        assert bar["high"] == (SPECIAL if "H" in may else ORDINARY)[0], codes
        assert bar["close"] == (SPECIAL if "L" in may else ORDINARY)[0], codes
        assert (bar["open"], bar["low"]) == (ORDINARY[0], ORDINARY[0]), codes
        assert (bar["volume"], bar["trade_count"]) == ((17, 2) if "V" in may else (10, 1)), codes
        assert bar["priced_volume"] == (17 if {"H", "V"} <= may else 10), codes


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("lens", LENSES)
def test_as_the_first_of_the_day_each_set_of_codes_may_do_what_the_table_says(minutes: Bars, lens: str, session: str) -> None:
    for number, codes in enumerate(CODE_SETS):
        may = allow(codes, lens, session)
        bar = minutes[f"F{number}{session}", session, lens]
        assert bar["open"] == (SPECIAL if may & {"L", "F"} else ORDINARY)[0], codes
        assert bar["close"] == ORDINARY[0], codes


@pytest.mark.parametrize("lens", LENSES)
def test_a_form_t_print_sets_no_price_of_the_day_and_adds_to_its_volume(lake: Lake, lens: str) -> None:
    sql = "select high, volume from gold.bars_1d where symbol = $symbol and lens = $lens"
    form_t = f"S{CODE_SETS.index(('24',))}"
    ((high, volume),) = lake.query(sql, {"symbol": form_t, "lens": lens}).rows
    assert high == (SPECIAL if lens == "all_prints" else ORDINARY)[0]
    assert volume == 3 * 17


def test_codes_that_nobody_knows_are_counted(lake: Lake) -> None:
    assert lake.query("select code, trades from silver.unknown_codes").rows == [("999", 6)]
