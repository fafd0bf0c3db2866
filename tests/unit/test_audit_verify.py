"""The comparison itself: one bar that was counted by hand, and a gold that says something else of it."""

import itertools
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import pytest

from tests.rig import Session, Tick, far_from_greenwich, utc_ms
from tests.unit.fakes import FakeStore
from ticklake.audit.verify import GRAIN, PRINTS_SHOWN, Difference, Verified, verify
from ticklake.contracts.codec import encode_object
from ticklake.contracts.objects import ObjectKey
from ticklake.contracts.ports import QueryResult
from ticklake.errors import BuildUnfinished
from ticklake.warehouse.transform import find_project

SEEDS: Final = find_project() / "seeds"
RULES: Final = "the hash of the project"
KEY: Final = str(ObjectKey("log", 0, 0))
TRADED_MS: Final = utc_ms("2025-11-18 14:30:10")
Row = dict[str, Any]
at = datetime.fromisoformat
START: Final = at("2025-11-18 14:30:00")

MINUTE: Final[Row] = {
    "feed": "finnhub",
    "symbol": "AAPL",
    "lens": "sip",
    "start_at": START,
    "open": Decimal(10),
    "high": Decimal(11),
    "low": Decimal(10),
    "close": Decimal(11),
    "volume": Decimal(3),
    "trade_count": 2,
    "notional": Decimal(31),
    "priced_volume": Decimal(3),
    "vwap": Decimal("10.33333333"),
    "market_session": "regular",
    "first_traded_at": at("2025-11-18 14:30:10"),
    "last_traded_at": at("2025-11-18 14:30:20"),
    "trading_date": date(2025, 11, 18),
    "final_at": at("2025-11-18 14:32:00"),
    "revision": 1,
}
FIVE: Final[Row] = MINUTE | {"final_at": at("2025-11-18 14:36:00")}
DAY: Final[Row] = {name: value for name, value in MINUTE.items() if name != "market_session"} | {
    "start_at": at("2025-11-18 05:00:00"),
    "final_at": at("2025-11-19 05:01:00"),
}
OTHER: Final[Row] = {
    "market_session": "post",
    "trading_date": date(2025, 11, 19),
    **dict.fromkeys(("first_traded_at", "last_traded_at", "final_at"), at("2025-11-18 15:00:00")),
}
TRADES: Final = [
    ("log", 0, 0, 0, TRADED_MS, Decimal(10), Decimal(2), "1,41"),
    ("log", 0, 0, 1, TRADED_MS + 10_000, Decimal(11), Decimal(1), ""),
]


@pytest.fixture(autouse=True)
def _far_away() -> Iterator[None]:
    with far_from_greenwich():
        yield


def through_all_lenses(row: Row) -> list[Row]:
    """Give the same bar through every lens: its two prints are ordinary ones."""
    return [row | {"lens": lens} for lens in ("sip", "regular_way", "all_prints")]


class FakeWarehouse:
    """Answers what a warehouse with these bars would; counts how often silver was asked."""

    def __init__(self, *, loaded: tuple[str, ...] = (KEY,), quarantined: tuple[str, ...] = ()) -> None:
        self.manifest = [(key, True) for key in loaded] + [(key, False) for key in quarantined]
        self.gold = {"1m": through_all_lenses(MINUTE), "5m": through_all_lenses(FIVE), "1d": through_all_lenses(DAY)}
        self.trades = list(TRADES)
        self.asked: list[dict[str, Any]] = []
        self.states: Iterator[tuple[Any, ...]] = itertools.repeat((7, 7, RULES))
        """The newest load, the newest that was built, and by which project: as it is each time that somebody asks."""

    def __call__(self, sql: str, parameters: dict[str, Any] | None = None) -> QueryResult:
        if "transform_state" in sql:
            return QueryResult([], [next(self.states)])
        if "landed_objects" in sql:
            return QueryResult(["object_key", "is_loaded"], list(self.manifest))
        if "silver.trades" in sql:
            self.asked.append(parameters or {})
            return QueryResult([], list(self.trades))
        assert parameters is not None
        columns = sql.partition("select ")[2].partition(" from ")[0].split(", ")
        rows = self.gold[sql.partition("gold.bars_")[2].partition(" ")[0]]
        within = [row for row in rows if parameters["first_date"] <= row["trading_date"] <= parameters["last_date"]]
        return QueryResult(columns, [tuple(row[column] for column in columns) for row in within])


@pytest.fixture
def store() -> FakeStore:
    """An object with one message of two prints."""
    store = FakeStore()
    ticks = [Tick("AAPL", TRADED_MS, "10", "2", ("41", "1")), Tick("AAPL", TRADED_MS + 10_000, "11", "1")]
    store.put(KEY, encode_object([Session().frame(ticks)]))
    return store


def differences(store: FakeStore, warehouse: FakeWarehouse, **options: Any) -> list[Difference]:
    """Give what differs."""
    return verify(store, warehouse, SEEDS, project_sha256=RULES, **options).differences


def test_bars_that_are_what_the_bytes_say_hold(store: FakeStore) -> None:
    steps: list[tuple[str, int, int]] = []
    warehouse = FakeWarehouse()
    verified = verify(store, warehouse, SEEDS, project_sha256=RULES, on_progress=lambda *step: steps.append(step))

    assert verified == Verified(objects=1, prints=2, trades=2, bars=9)
    assert verified.holds
    assert steps == [("read", 1, 1), ("recount", 1, 1)]
    assert warehouse.asked == []


@pytest.mark.parametrize("interval", ["1m", "5m", "1d"])
@pytest.mark.parametrize("column", [name for name in MINUTE if name not in GRAIN])
def test_every_column_of_every_length_is_compared(store: FakeStore, interval: str, column: str) -> None:
    warehouse = FakeWarehouse()
    row = warehouse.gold[interval][1]
    if column not in row:
        return
    value = row[column]
    row[column] = OTHER.get(column) or value + 1

    (found,) = (each for each in differences(store, warehouse) if each.column == column)  # a vwap below its low differs too

    assert (found.table, found.feed, found.symbol, found.lens) == (f"bars_{interval}", "finnhub", "AAPL", "regular_way")
    assert (found.start_at, found.column) == (row["start_at"], column)
    exact = Decimal(31) / 3 if column == "vwap" else value
    assert (Decimal(found.expected or "") == exact) if isinstance(exact, Decimal) else (found.expected == str(exact))
    assert found.found == (format(row[column], "f") if isinstance(exact, Decimal) else str(row[column]))


@pytest.mark.parametrize(
    ("vwap", "is_same"), [("10.33333332", False), ("10.33333333", True), ("10.33333334", True), ("10.33333335", False), (None, False)]
)
def test_a_vwap_is_within_one_unit_of_the_exact_one(store: FakeStore, vwap: str | None, is_same: bool) -> None:
    warehouse = FakeWarehouse()
    warehouse.gold["1m"][0]["vwap"] = vwap and Decimal(vwap)
    assert (differences(store, warehouse) == []) is is_same


def test_a_vwap_outside_its_bar_differs_however_near(store: FakeStore) -> None:
    store.put(
        KEY, encode_object([Session().frame([Tick("AAPL", TRADED_MS, "10", "2"), Tick("AAPL", TRADED_MS + 10_000, "10.00000001", "1")])])
    )
    for vwap, count in (("9.99999999", 1), ("10", 0), ("10.00000001", 0), ("10.00000002", 1)):
        warehouse = FakeWarehouse()
        prices = {"high": Decimal("10.00000001"), "close": Decimal("10.00000001"), "notional": Decimal("30.00000001")}
        for rows in warehouse.gold.values():
            for row in rows:
                row.update(prices, vwap=Decimal(10))
        warehouse.gold["1m"][0]["vwap"] = Decimal(vwap)
        assert len(differences(store, warehouse)) == count


def test_how_much_is_off_is_told_of_numbers(store: FakeStore) -> None:
    warehouse = FakeWarehouse()
    warehouse.gold["1m"][0] |= {"high": Decimal("10.5"), "low": None, "market_session": "pre", "close": Decimal("11.00000001")}
    assert next(each.found for each in differences(store, warehouse) if each.column == "low") is None
    assert {each.column: each.by for each in differences(store, warehouse) if each.column != "vwap"} == {
        "high": "-0.50000000",
        "low": None,
        "market_session": None,
        "close": "0.00000001",
    }


def test_a_bar_that_is_gone_and_one_that_no_print_makes(store: FakeStore) -> None:
    warehouse = FakeWarehouse()
    warehouse.gold["5m"][0] |= {"start_at": at("2025-11-18 14:35:00")}
    found = sorted((each.start_at, each.column, each.expected, each.found) for each in differences(store, warehouse) if each.expected)
    surplus = [each for each in differences(store, warehouse) if not each.expected]

    assert found == [(START, "row", "a bar", None)]
    assert [(each.start_at, each.column, each.found) for each in surplus] == [
        (at("2025-11-18 14:35:00"), "row", "a bar that no landed print makes")
    ]


def test_a_bar_that_is_there_twice_is_one_too_many(store: FakeStore) -> None:
    warehouse = FakeWarehouse()
    warehouse.gold["1d"].append(dict(warehouse.gold["1d"][0]))
    assert [(each.table, each.column, each.expected) for each in differences(store, warehouse)] == [("bars_1d", "row", None)]


def test_other_dates_are_left_alone(store: FakeStore) -> None:
    warehouse = FakeWarehouse()
    warehouse.gold["1m"][0]["volume"] = Decimal(9)
    same, before, after = date(2025, 11, 18), date(2025, 11, 17), date(2025, 11, 19)

    assert len(differences(store, warehouse, first_date=same, last_date=same)) == 1
    assert verify(store, warehouse, SEEDS, project_sha256=RULES, last_date=before) == Verified(objects=1, prints=2, trades=2)
    assert verify(store, warehouse, SEEDS, project_sha256=RULES, first_date=after) == Verified(objects=1, prints=2, trades=2)


def test_days_out_of_range_are_passed_over_and_not_the_end(store: FakeStore) -> None:
    store.put(KEY, encode_object([Session().frame([Tick("AAPL", TRADED_MS + days * 86_400_000, "10", "2") for days in (-1, 0, 1)])]))
    same = date(2025, 11, 18)
    assert verify(store, FakeWarehouse(), SEEDS, project_sha256=RULES, first_date=same, last_date=same).bars == 9


def test_the_prints_of_one_day_more_on_both_sides_are_read_along(store: FakeStore) -> None:
    first, end = utc_ms("2025-11-17 00:00"), utc_ms("2025-11-20 00:00")
    store.put(KEY, encode_object([Session().frame([Tick("AAPL", moment, "10", "2") for moment in (first - 1, first, end - 1, end)])]))
    same = date(2025, 11, 18)
    verified = verify(store, FakeWarehouse(), SEEDS, project_sha256=RULES, first_date=same, last_date=same)
    assert (verified.prints, verified.trades, verified.bars) == (2, 2, 0)


def test_a_vwap_one_unit_off_the_exact_one_is_the_same(store: FakeStore) -> None:
    store.put(KEY, encode_object([Session().frame([Tick("AAPL", TRADED_MS, "10", "1"), Tick("AAPL", TRADED_MS + 10_000, "11", "1")])]))
    for vwap, count in (("10.5", 0), ("10.50000001", 0), ("10.49999999", 0), ("10.50000002", 1)):
        warehouse = FakeWarehouse()
        for rows in warehouse.gold.values():
            for row in rows:
                row.update(volume=2, priced_volume=2, notional=Decimal(21), vwap=Decimal("10.5"))
        warehouse.gold["1m"][0]["vwap"] = Decimal(vwap)
        assert len(differences(store, warehouse)) == count


def test_a_bar_without_prices_has_no_vwap(store: FakeStore) -> None:
    store.put(KEY, encode_object([Session().frame([Tick("AAPL", TRADED_MS, "10", "3", ("12",))])]))
    warehouse = FakeWarehouse()
    empty = dict.fromkeys(("open", "high", "low", "close", "vwap")) | {"notional": 0, "priced_volume": 0, "trade_count": 1}
    for rows in warehouse.gold.values():
        rows[:] = [row | empty | {"last_traded_at": row["first_traded_at"]} for row in rows if row["lens"] != "all_prints"]
    assert {(each.lens, each.column) for each in differences(store, warehouse)} == {("all_prints", "row")}


def test_an_object_that_cannot_be_read_does_not_hide_the_next(store: FakeStore) -> None:
    first, last = str(ObjectKey("a", 0, 0)), str(ObjectKey("z", 0, 0))
    store.put(first, b"broken")
    store.put(last, encode_object([Session(number=2).control("session_opened", received_ms=TRADED_MS)]))
    verified = verify(store, FakeWarehouse(loaded=(last, KEY, first)), SEEDS, project_sha256=RULES)
    assert (verified.objects, verified.prints, len(verified.unreadable), verified.differences) == (2, 2, 1, [])


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ((8, 7, RULES), "gold is built up to load 7 of 8"),
        ((8, None, None), "gold is built up to load 0 of 8"),
        ((None, None, None), "gold is built up to load 0 of 0"),
        ((7, 7, "another"), "gold was built by other rules than these"),
    ],
)
def test_gold_of_an_unfinished_build_or_of_other_rules_is_not_judged(store: FakeStore, state: tuple[Any, ...], what: str) -> None:
    warehouse = FakeWarehouse()
    warehouse.states = itertools.repeat(state)
    with pytest.raises(BuildUnfinished, match=f"^{what}$") as caught:
        verify(store, warehouse, SEEDS, project_sha256=RULES)
    again = (
        "ticklake build makes all of it again" if state[2] == "another" else "ticklake build; beside ticklake run, try again in a moment"
    )
    assert caught.value.hint == again


def test_gold_is_read_again_if_a_build_came_between(store: FakeStore) -> None:
    warehouse = FakeWarehouse()
    settled = (8, 8, RULES)
    warehouse.states = itertools.chain([(7, 7, RULES), settled, (9, 8, RULES)], itertools.repeat(settled))
    assert verify(store, warehouse, SEEDS, project_sha256=RULES).holds


def test_gold_that_never_rests_is_not_judged(store: FakeStore) -> None:
    warehouse = FakeWarehouse()
    warehouse.states = ((load, load, RULES) for load in itertools.count())
    with pytest.raises(BuildUnfinished):
        verify(store, warehouse, SEEDS, project_sha256=RULES)


def test_objects_that_cannot_be_read_are_named(store: FakeStore) -> None:
    store.put(KEY, store.read(KEY)[:-1])
    verified = verify(store, FakeWarehouse(), SEEDS, project_sha256=RULES)
    assert not verified.holds
    assert verified.objects == 0
    assert [KEY in what for what in verified.unreadable] == [True]
    assert not Verified(unreadable=["an object"]).holds


def test_what_landed_later_is_pending_and_what_is_quarantined_is_not_read(store: FakeStore) -> None:
    later, broken = str(ObjectKey("log", 0, 1)), str(ObjectKey("log", 0, 2))
    store.put(later, b"anything")
    store.put(broken, b"anything")
    verified = verify(store, FakeWarehouse(quarantined=(broken,)), SEEDS, project_sha256=RULES)
    assert (verified.holds, verified.objects, verified.pending) == (True, 1, 1)


def told(store: FakeStore, *trades: tuple[Any, ...]) -> list[str]:
    """Give what is told of the prints of a five-minute bar that differs, if silver has these trades."""
    warehouse = FakeWarehouse()
    warehouse.trades = list(trades)
    warehouse.gold["5m"][0]["volume"] = Decimal(9)
    (difference,) = differences(store, warehouse)
    assert warehouse.asked == [{"feed": "finnhub", "symbol": "AAPL"}]
    return difference.prints


def test_the_prints_in_which_silver_and_the_bytes_differ_are_told(store: FakeStore) -> None:
    first, second = TRADES
    place = "log/p000 offset 0 print"

    assert told(store, first, second) == []
    assert told(store, first) == [f"{place} 1: landed as 1.00000000 at 11.00000000 [], 14:30:20.000000, in silver no trade"]
    assert told(store, first, (*second[:5], Decimal(12), *second[6:])) == [
        f"{place} 1: landed as 1.00000000 at 11.00000000 [], 14:30:20.000000, in silver 1 at 12 [], 14:30:20.000000"
    ]
    assert told(store, *TRADES, ("log", 0, 7, 0, TRADED_MS, Decimal(5), Decimal(6), "1,12")) == [
        "log/p000 offset 7 print 0: landed as no trade, in silver 6 at 5 [1,12], 14:30:10.000000"
    ]
    moved = (*first[:4], TRADED_MS + 300_000, *first[5:])
    assert told(store, moved, second) == [
        f"{place} 0: landed as 2.00000000 at 10.00000000 [1,41], 14:30:10.000000, in silver 2 at 10 [1,41], 14:35:10.000000"
    ]


def test_of_many_prints_only_the_first_are_told(store: FakeStore) -> None:
    surplus = [("log", 1, offset, 0, TRADED_MS, Decimal(1), Decimal(1), "") for offset in range(PRINTS_SHOWN)]
    assert len(told(store, *TRADES, *surplus)) == PRINTS_SHOWN
    assert told(store, *TRADES, *surplus, ("log", 2, 0, 0, TRADED_MS, Decimal(1), Decimal(1), ""))[-1] == "and 1 more"


def test_prints_outside_the_bar_are_not_told(store: FakeStore) -> None:
    before, first, after = TRADED_MS - 10_001, TRADED_MS - 10_000, utc_ms("2025-11-18 14:35")
    assert len(told(store, *TRADES, ("log", 1, 0, 0, first, Decimal(1), Decimal(1), ""))) == 1
    assert told(store, *TRADES, *(("log", 1, 0, 0, moment, Decimal(1), Decimal(1), "") for moment in (before, after))) == []
