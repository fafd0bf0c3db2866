"""Hostile messages: each has the verdict and the reason that the contract names, and the ledger counts every one.

All of them go through one lake in one build, so that none can spoil a neighbour's.
"""

from decimal import Decimal
from typing import Any, Final

import pytest

from tests.hostile import CASES, NOON_MS, TICK_CASES, Case, Trade
from tests.rig import Session, build, find_unbalanced, land, log_records, open_lake
from ticklake.cli.lake import Lake

Found = dict[tuple[str, int], list[tuple[Any, ...]]]
ALL: Final = [("finnhub", number, case) for number, case in enumerate(CASES)] + [
    ("finnhub_tick", number, case) for number, case in enumerate(TICK_CASES)
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake in which every case is one frame of its feed's session; the frame's seq is the case's number."""
    lake = open_lake(tmp_path_factory.mktemp("hostile") / "home")
    sessions = {feed: Session(feed=feed, collector=feed) for feed in ("finnhub", "finnhub_tick")}
    log_records(lake, [sessions[feed].raw(case.message, received_ms=NOON_MS) for feed, _, case in ALL])
    land(lake)
    build(lake)
    return lake


@pytest.fixture(scope="module")
def found(hostile: Lake) -> Found:
    """What silver holds of each case, in the order of its prints."""
    sql = "select feed, seq, verdict, reason, price, size, conditions from silver.prints order by feed, seq, print_index"
    prints: Found = {}
    for feed, seq, *rest in hostile.query(sql).rows:
        prints.setdefault((feed, seq), []).append(tuple(rest))
    return prints


@pytest.mark.parametrize(("feed", "number", "case"), ALL, ids=[case.name for _, _, case in ALL])
def test_each_print_has_its_verdict_and_every_digit(feed: str, number: int, case: Case, found: Found) -> None:
    """A trade keeps its digits exactly; what is no trade says why."""
    prints = found.get((feed, number), [])
    assert [(verdict, reason) for verdict, reason, *_ in prints] == [
        ("trade", None) if isinstance(expected, Trade) else ("quarantined", expected) for expected in case.prints
    ]
    for (_, _, *values), expected in zip(prints, case.prints, strict=True):
        if isinstance(expected, Trade):
            assert values == [Decimal(expected.price), Decimal(expected.size), expected.conditions]


def test_the_ledger_balances_with_all_of_it(hostile: Lake, found: Found) -> None:
    """No print is counted twice or forgotten, whatever it looks like."""
    assert find_unbalanced(hostile) == []
    assert sum(len(prints) for prints in found.values()) == sum(len(case.prints) for _, _, case in ALL)


def test_a_full_build_judges_the_same(hostile: Lake) -> None:
    """Made again from bronze, silver says the same of every print."""
    sql = """
        select feed, seq, print_index, verdict, reason, price, size, conditions, order_key from silver.prints
        order by feed, seq, print_index
    """
    before = hostile.query(sql).rows
    build(hostile, full=True)
    assert hostile.query(sql).rows == before


def test_escapes_in_a_symbol_are_read(hostile: Lake) -> None:
    """A symbol is what the JSON says, not how it spells it."""
    symbols = {symbol for (symbol,) in hostile.query("select distinct symbol from silver.trades").rows}
    assert symbols == {"AAPL", "ÄÖ", 'AA"PL'}
