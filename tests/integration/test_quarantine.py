"""Hostile messages: each has the verdict and the reason that the contract names, and the ledger counts every one.

All of them go through one lake in one build, so that none can spoil a neighbour's.
"""

from decimal import Decimal
from typing import Any

import pytest

from tests.hostile import CASES, NOON_MS, Case, Trade
from tests.rig import Session, build, find_unbalanced, land, log_records, open_lake
from ticklake.cli.lake import Lake

Found = dict[int, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake in which every case is one frame of one session; the frame's seq is the case's number."""
    lake = open_lake(tmp_path_factory.mktemp("hostile") / "home")
    session = Session()
    log_records(lake, [session.raw(case.message, received_ms=NOON_MS) for case in CASES])
    land(lake)
    build(lake)
    return lake


@pytest.fixture(scope="module")
def found(hostile: Lake) -> Found:
    """What silver holds of each case, in the order of its prints."""
    sql = "select seq, verdict, reason, price, size, conditions from silver.prints order by seq, print_index"
    prints: Found = {}
    for seq, *rest in hostile.query(sql).rows:
        prints.setdefault(seq, []).append(tuple(rest))
    return prints


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES])
def test_each_print_has_its_verdict_and_every_digit(number: int, case: Case, found: Found) -> None:
    """A trade keeps its digits exactly; what is no trade says why."""
    prints = found.get(number, [])
    assert [(verdict, reason) for verdict, reason, *_ in prints] == [
        ("trade", None) if isinstance(expected, Trade) else ("quarantined", expected) for expected in case.prints
    ]
    for (_, _, *values), expected in zip(prints, case.prints, strict=True):
        if isinstance(expected, Trade):
            assert values == [Decimal(expected.price), Decimal(expected.size), expected.conditions]


def test_the_ledger_balances_with_all_of_it(hostile: Lake, found: Found) -> None:
    """No print is counted twice or forgotten, whatever it looks like."""
    assert find_unbalanced(hostile) == []
    assert sum(len(prints) for prints in found.values()) == sum(len(case.prints) for case in CASES)


def test_a_full_build_judges_the_same(hostile: Lake) -> None:
    """Made again from bronze, silver says the same of every print."""
    sql = "select seq, print_index, verdict, reason, price, size, conditions, order_key from silver.prints order by seq, print_index"
    before = hostile.query(sql).rows
    build(hostile, full=True)
    assert hostile.query(sql).rows == before


def test_escapes_in_a_symbol_are_read(hostile: Lake) -> None:
    """A symbol is what the JSON says, not how it spells it."""
    symbols = {symbol for (symbol,) in hostile.query("select distinct symbol from silver.trades").rows}
    assert symbols == {"AAPL", "ÄÖ", 'AA"PL'}
