"""The comparison with the truth notices whatever is lost, invented or changed."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ticklake.audit.truth import Comparison, TrueMinute, TrueTrade, Truth, Unheard, compare_truth, make_minutes
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
COPIES = [trade(59_999, "190.30", "7", "12")] * 2
RECEIVED = [*TRADES[:3], *COPIES, TRADES[3]]
UNHEARD = [Unheard("AAPL", 1_000, 1_200), Unheard("AAPL", 9_000, 9_200), Unheard("MSFT", 1_000, 1_200)]
TRUTH = Truth(RECEIVED, COPIES, quarantined={"malformed": 2, "price_not_positive": 1}, unheard=UNHEARD)
MINUTES: Rows = [
    ("AAPL", NOON, Decimal("190.1"), Decimal("190.3"), Decimal("190.1"), Decimal("190.3"), Decimal(221), 5),
    ("AAPL", NOON.replace(minute=1), Decimal("190.2"), Decimal("190.2"), Decimal("190.2"), Decimal("190.2"), Decimal(100), 1),
]
QUARANTINED: Rows = [("malformed", 2), ("price_not_positive", 1)]
GAPS: Rows = [("AAPL", 900, 1_100), ("AAPL", 9_100, None), ("MSFT", 500, 1_000)]


class FakeQuery:
    """A warehouse of five tables, with a diary of which of them were asked for."""

    def __init__(self, **tables: Rows) -> None:
        whole: dict[str, Rows] = {
            "trades": list(RECEIVED),
            "flagged": list(COPIES),
            "quarantined": QUARANTINED,
            "gaps": GAPS,
            "minutes": MINUTES,
        }
        self._tables = whole | tables
        self.diary: list[str] = []

    def __call__(self, sql: str, parameters: dict[str, Any] | None = None) -> QueryResult:  # noqa: ARG002 — the signature is the port's
        words = {
            "silver.trades": "trades",
            "is_suspected": "flagged",
            "quarantined": "quarantined",
            "feed_gaps": "gaps",
            "bars_1m": "minutes",
        }
        table = next(table for word, table in words.items() if word in sql)
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
        "repeats": (2, 2),
        "quarantined": (3, 3),
        "gaps": (3, 3),
        "minute bars": (2, 2),
    }
    assert set(query.diary) == {"trades", "flagged", "quarantined", "gaps", "minutes"}


def test_digits_that_a_column_adds_make_no_difference() -> None:
    padded: Rows = [(*each[:2], each[2] + Decimal("0E-8"), each[3] + Decimal("0E-8"), each[4]) for each in RECEIVED]

    assert str(padded[0][2]) == "190.10000000"
    assert find_faults(FakeQuery(trades=padded)) == {}


def test_a_dropped_trade_is_noticed() -> None:
    assert find_faults(FakeQuery(trades=list(RECEIVED[:-1]))) == {"trades": (1, 0)}


def test_a_dropped_twin_is_noticed_though_its_like_is_there() -> None:
    assert find_faults(FakeQuery(trades=list(RECEIVED[1:]))) == {"trades": (1, 0)}


def test_a_doubled_trade_is_noticed() -> None:
    assert find_faults(FakeQuery(trades=[*RECEIVED, TRADES[3]])) == {"trades": (0, 1)}


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
    compared = compare(FakeQuery(trades=[*RECEIVED[:-1], changed]))["trades"]

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


def test_a_copy_that_is_not_flagged_is_noticed() -> None:
    assert find_faults(FakeQuery(flagged=list(COPIES[:1]))) == {"trades": (0, 1), "repeats": (1, 0)}


def test_a_genuine_message_that_equals_an_earlier_one_may_be_flagged() -> None:
    assert find_faults(FakeQuery(flagged=[*COPIES, TRADES[1]])) == {}


def test_what_was_told_to_nobody_outside_of_any_gap_is_noticed() -> None:
    compared = compare(FakeQuery(gaps=[GAPS[0], ("AAPL", 9_201, None), ("MSFT", 500, 999)]))["gaps"]

    assert (compared.missing, compared.surplus) == (2, 0)
    assert compared.examples == ["missing AAPL 9000 9200", "missing MSFT 1000 1200"]


def test_garbage_under_a_wrong_reason_is_noticed_though_the_sum_is_right() -> None:
    assert find_faults(FakeQuery(quarantined=[("malformed", 1), ("size_negative", 2)])) == {"quarantined": (2, 2)}


def test_an_empty_warehouse_is_noticed_everywhere() -> None:
    nothing: dict[str, Rows] = {name: [] for name in ("trades", "flagged", "quarantined", "gaps", "minutes")}

    assert set(find_faults(FakeQuery(**nothing))) == {"trades", "repeats", "quarantined", "gaps", "minute bars"}


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
