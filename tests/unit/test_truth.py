"""The comparison with the truth notices whatever is lost, invented or changed."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ticklake.audit.truth import Comparison, TrueMinute, TrueTrade, Truth, compare_truth, make_minutes
from ticklake.contracts.ports import QueryResult

NOON_MS = 1_763_485_200_000  # 2025-11-18 17:00 UTC
NOON = datetime(2025, 11, 18, 17)  # noqa: DTZ001 — the warehouse's timestamps are UTC without saying so
Rows = list[tuple[Any, ...]]


def trade(offset_ms: int, price: str, size: str = "100", conditions: str = "", symbol: str = "AAPL") -> TrueTrade:
    return TrueTrade(symbol, NOON_MS + offset_ms, Decimal(price), Decimal(size), conditions)


TRADES = [
    trade(1_000, "190.10", conditions="8,41"),
    trade(1_000, "190.10", conditions="8,41"),
    trade(59_999, "190.30", "7", "12"),
    trade(60_000, "190.20"),
]
TRUTH = Truth(TRADES, duplicates=3, quarantined={"malformed": 2, "price_not_positive": 1})
MINUTES: Rows = [
    ("AAPL", NOON, Decimal("190.1"), Decimal("190.3"), Decimal("190.1"), Decimal("190.3"), Decimal(207), 3),
    ("AAPL", NOON.replace(minute=1), Decimal("190.2"), Decimal("190.2"), Decimal("190.2"), Decimal("190.2"), Decimal(100), 1),
]
VERDICTS: Rows = [("duplicate", "resent_frame", 3), ("quarantined", "malformed", 2), ("quarantined", "price_not_positive", 1)]


class FakeQuery:
    """A warehouse of three tables, with a diary of which of them were asked for."""

    def __init__(self, *, trades: Rows | None = None, verdicts: Rows | None = None, minutes: Rows | None = None) -> None:
        self._tables: dict[str, Rows] = {
            "silver.trades": list(TRADES) if trades is None else trades,
            "silver.prints": VERDICTS if verdicts is None else verdicts,
            "gold.bars_1m": MINUTES if minutes is None else minutes,
        }
        self.diary: list[str] = []

    def __call__(self, sql: str, parameters: dict[str, Any] | None = None) -> QueryResult:  # noqa: ARG002 — the signature is the port's
        table = next(table for table in self._tables if f"from {table}" in sql)
        self.diary.append(table)
        return QueryResult([], self._tables[table])


def compare(query: FakeQuery) -> dict[str, Comparison]:
    return {each.name: each for each in compare_truth(TRUTH, query)}


def find_faults(query: FakeQuery) -> dict[str, tuple[int, int]]:
    return {name: (each.missing, each.surplus) for name, each in compare(query).items() if not each.holds}


def test_the_truth_holds_against_itself() -> None:
    query = FakeQuery()
    compared = compare(query)

    assert all(each.holds for each in compared.values())
    assert {name: (each.true, each.found) for name, each in compared.items()} == {
        "trades": (4, 4),
        "duplicates": (3, 3),
        "quarantined": (3, 3),
        "minute bars": (2, 2),
    }
    assert set(query.diary) == {"silver.trades", "silver.prints", "gold.bars_1m"}


def test_digits_that_a_column_adds_make_no_difference() -> None:
    padded: Rows = [(*each[:2], each[2] + Decimal("0E-8"), each[3] + Decimal("0E-8"), each[4]) for each in TRADES]

    assert str(padded[0][2]) == "190.10000000"
    assert find_faults(FakeQuery(trades=padded)) == {}


def test_a_dropped_trade_is_noticed() -> None:
    assert find_faults(FakeQuery(trades=list(TRADES[:3]))) == {"trades": (1, 0)}


def test_a_dropped_twin_is_noticed_though_its_like_is_there() -> None:
    assert find_faults(FakeQuery(trades=list(TRADES[1:]))) == {"trades": (1, 0)}


def test_a_doubled_trade_is_noticed() -> None:
    assert find_faults(FakeQuery(trades=[*TRADES, TRADES[3]])) == {"trades": (0, 1)}


@pytest.mark.parametrize(
    "changed",
    [
        trade(60_000, "190.20000001"),
        trade(60_001, "190.20"),
        trade(60_000, "190.20", "100.00000001"),
        trade(60_000, "190.20", conditions="1"),
        trade(60_000, "190.20", symbol="MSFT"),
    ],
)
def test_a_change_in_any_field_of_a_trade_is_noticed(changed: TrueTrade) -> None:
    compared = compare(FakeQuery(trades=[*TRADES[:3], changed]))["trades"]

    assert (compared.missing, compared.surplus) == (1, 1)
    assert compared.examples == ["missing " + " ".join(map(str, TRADES[3])), "surplus " + " ".join(map(str, changed))]


@pytest.mark.parametrize("field", range(2, 8))
def test_a_change_in_any_field_of_a_bar_is_noticed(field: int) -> None:
    changed = (*MINUTES[1][:field], MINUTES[1][field] + 1, *MINUTES[1][field + 1 :])

    assert find_faults(FakeQuery(minutes=[MINUTES[0], changed])) == {"minute bars": (1, 1)}


def test_a_bar_without_prices_is_noticed_and_breaks_nothing() -> None:
    assert find_faults(FakeQuery(minutes=[MINUTES[0], ("AAPL", MINUTES[1][1], None, None, None, None, Decimal(100), 1)])) == {
        "minute bars": (1, 1)
    }


def test_a_missing_bar_is_noticed() -> None:
    assert find_faults(FakeQuery(minutes=MINUTES[:1])) == {"minute bars": (1, 0)}


def test_a_duplicate_too_few_is_noticed() -> None:
    assert find_faults(FakeQuery(verdicts=[("duplicate", "resent_frame", 2), *VERDICTS[1:]])) == {"duplicates": (1, 0)}


def test_garbage_under_a_wrong_reason_is_noticed_though_the_sum_is_right() -> None:
    verdicts = [VERDICTS[0], ("quarantined", "malformed", 1), ("quarantined", "size_negative", 2)]

    assert find_faults(FakeQuery(verdicts=verdicts)) == {"quarantined": (2, 2)}


def test_an_empty_warehouse_is_noticed_everywhere() -> None:
    assert set(find_faults(FakeQuery(trades=[], verdicts=[], minutes=[]))) == {"trades", "duplicates", "quarantined", "minute bars"}


def test_trades_of_one_millisecond_stand_in_the_order_of_arrival() -> None:
    (minute,) = make_minutes([trade(5, "3"), trade(5, "1"), trade(5, "2")])

    assert (minute.open, minute.close) == (Decimal(3), Decimal(2))


def test_a_late_trade_takes_the_place_of_its_time() -> None:
    (minute,) = make_minutes([trade(5, "3"), trade(9, "2"), trade(1, "4"), trade(7, "9")])

    assert minute == TrueMinute("AAPL", NOON, Decimal(4), Decimal(9), Decimal(2), Decimal(2), Decimal(400), 4)


def test_a_print_of_size_zero_sets_prices_and_is_not_counted() -> None:
    (minute,) = make_minutes([trade(5, "3"), trade(9, "5", "0")])

    assert minute == TrueMinute("AAPL", NOON, Decimal(3), Decimal(5), Decimal(3), Decimal(5), Decimal(100), 1)


def test_symbols_have_minutes_of_their_own() -> None:
    minutes = make_minutes([trade(5, "3"), trade(6, "4", symbol="MSFT")])

    assert [(minute.symbol, minute.open, minute.trade_count) for minute in minutes] == [("AAPL", Decimal(3), 1), ("MSFT", Decimal(4), 1)]
