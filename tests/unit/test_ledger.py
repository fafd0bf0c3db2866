"""The ledger: what balances, and what each kind of loss looks like."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.rig import Session, Tick
from tests.unit.fakes import FakeLog, FakeStore
from ticklake.audit.ledger import Hop, balance
from ticklake.contracts.objects import ObjectKey
from ticklake.contracts.ports import QueryResult
from ticklake.errors import QueryInvalid, WarehouseBusy
from ticklake.landing.land import Cut, Lander

START_MS = 1_763_476_200_000
Answer = Sequence[tuple[Any, ...]] | Exception


class FakeQuery:
    """Answers a query by the first of its phrases that the SQL holds; nothing else is in the warehouse."""

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self._answers = answers or {}
        self.diary: list[str] = []

    def __call__(self, sql: str, parameters: dict[str, Any] | None = None) -> QueryResult:
        assert parameters is None
        self.diary.append(sql)
        answer = next((answer for phrase, answer in self._answers.items() if phrase in sql), ())
        if isinstance(answer, Exception):
            raise answer
        return QueryResult([], list(answer))


def make_log(count: int, *, first_offset: int = 0) -> FakeLog:
    session = Session()
    records = [session.frame([Tick("AAPL", START_MS + number, "1.5", "1")]) for number in range(count)]
    return FakeLog(records, first_offset=first_offset)


def land(log: FakeLog, store: FakeStore, *, flush: bool = True) -> None:
    Lander(log, store, partition=0, cut=Cut(records=3)).land(flush=flush)


def key(offset: int) -> str:
    return str(ObjectKey("fake", 0, offset))


def parts_of(hops: Sequence[Hop], name: str) -> dict[str, int]:
    return next(hop.parts for hop in hops if hop.name == name)


def residuals(hops: Sequence[Hop]) -> dict[str, int]:
    return {hop.name: hop.residual for hop in hops if not hop.is_balanced}


def manifest(*objects: tuple[str, int, int], in_bronze: int) -> dict[str, Answer]:
    """What the warehouse would answer about loaded objects: key, records, trimmed; and how many rows it holds of all."""
    return {"from bronze.landed_objects": [(*each, in_bronze) for each in objects]}


def silver(*, trade: int, duplicate: int, quarantined: int, parsed: int, in_bars: tuple[int, int, int]) -> dict[str, Answer]:
    """What the warehouse would answer about silver and gold."""
    return {
        "information_schema": [(1,)],
        "group by verdict": [("trade", trade), ("duplicate", duplicate), ("quarantined", quarantined)],
        "json_array_length": [(parsed,)],
        "verdict = 'trade' and size > 0": [(trade,)],
        "gold.bars_1m": [(in_bars[0],)],
        "gold.bars_5m": [(in_bars[1],)],
        "gold.bars_1d": [(in_bars[2],)],
        "is_suspected_repeat": [(3, 1)],
        "silver.partly_held": [(2,)],
    }


def test_an_empty_lake_without_a_warehouse_balances() -> None:
    query = FakeQuery({"": QueryInvalid("there is no warehouse in this home yet", hint="build")})
    hops = balance(FakeLog(log_id=""), FakeStore(), query)
    assert [(hop.name, hop.total, hop.is_balanced) for hop in hops] == [("log → landing", 0, True), ("landing → bronze", 0, True)]


@pytest.mark.parametrize("error", [QueryInvalid("a column is gone", hint="build"), WarehouseBusy("held by 7", hint="wait")])
def test_a_warehouse_that_cannot_be_asked_is_not_taken_for_an_empty_one(error: Exception) -> None:
    with pytest.raises(type(error)):
        balance(make_log(1), FakeStore(), FakeQuery({"": error}))


def test_what_is_logged_and_not_landed_is_pending_and_what_is_landed_and_not_loaded_waits() -> None:
    log, store = make_log(7), FakeStore()
    land(log, store, flush=False)
    hops = balance(log, store, FakeQuery(manifest((key(0), 3, 0), in_bronze=3)))
    assert residuals(hops) == {}
    assert parts_of(hops, "log → landing") == {"landed": 6, "pending": 1, "lost": 0}
    assert parts_of(hops, "landing → bronze") == {"in bronze": 3, "quarantined": 0, "waiting": 3}


def test_offsets_that_the_log_lost_are_told_and_balance() -> None:
    log, store = make_log(7), FakeStore()
    del log.records[2], log.records[3]
    land(log, store)
    hops = balance(log, store, FakeQuery())
    assert residuals(hops) == {}
    assert parts_of(hops, "log → landing") == {"landed": 5, "pending": 0, "lost": 2}


def test_offsets_that_are_gone_and_recorded_nowhere_are_a_residual() -> None:
    log, store = make_log(7), FakeStore()
    land(log, store)
    store.delete(key(3))
    assert residuals(balance(log, store, FakeQuery())) == {"log → landing": 3}


def test_a_segment_dropped_before_it_was_landed_is_a_residual_until_the_lander_records_it() -> None:
    log, store = make_log(4, first_offset=5), FakeStore()
    assert residuals(balance(log, store, FakeQuery())) == {"log → landing": 5}
    land(log, store)
    hops = balance(log, store, FakeQuery())
    assert residuals(hops) == {}
    assert parts_of(hops, "log → landing") == {"landed": 4, "pending": 0, "lost": 5}


def test_an_object_that_is_gone_from_the_store_is_a_residual_of_bronze() -> None:
    log, store = make_log(6), FakeStore()
    land(log, store)
    store.delete(key(3))
    found = residuals(balance(log, store, FakeQuery(manifest((key(0), 3, 0), (key(3), 3, 0), in_bronze=6))))
    assert found["landing → bronze"] == -3


@pytest.mark.parametrize("in_bronze", [0, 5, 7])
def test_a_row_that_bronze_has_not_or_has_twice_is_a_residual_though_the_manifest_says_all_is_loaded(in_bronze: int) -> None:
    log, store = make_log(6), FakeStore()
    land(log, store)
    found = residuals(balance(log, store, FakeQuery(manifest((key(0), 3, 0), (key(3), 3, 0), in_bronze=in_bronze))))
    assert found == {"landing → bronze": 6 - in_bronze}


def test_a_corrupt_object_counts_as_quarantined_for_as_long_as_the_next_one_tells_its_length() -> None:
    log, store = make_log(9), FakeStore()
    land(log, store)
    store.put(key(3), b"not zstd")
    hops = balance(log, store, FakeQuery({"from bronze.quarantined_objects": [(key(3),)]}))
    assert residuals(hops) == {}
    assert parts_of(hops, "landing → bronze") == {"in bronze": 0, "quarantined": 3, "waiting": 6}


def test_an_older_log_stays_in_the_sums_when_a_new_one_begins() -> None:
    old, store = make_log(4), FakeStore()
    land(old, store)
    new = make_log(2)
    new.log_id = "new"
    land(new, store)
    hops = balance(new, store, FakeQuery())
    assert residuals(hops) == {}
    assert parts_of(hops, "log → landing") == {"landed": 6, "pending": 0, "lost": 0}


def test_every_print_has_a_verdict_and_every_trade_a_bar() -> None:
    answers = silver(trade=10, duplicate=2, quarantined=1, parsed=13, in_bars=(10, 10, 10))
    hops = balance(FakeLog(), FakeStore(), FakeQuery(answers))
    assert residuals(hops) == {}
    assert [hop.name for hop in hops[2:6]] == ["bronze → silver", "silver → bars_1m", "silver → bars_5m", "silver → bars_1d"]


def test_what_cannot_be_decided_is_counted() -> None:
    hops = balance(FakeLog(), FakeStore(), FakeQuery(silver(trade=10, duplicate=1, quarantined=0, parsed=11, in_bars=(10, 10, 10))))
    assert parts_of(hops, "suspected repeats") == {"kept": 2, "dropped": 1}
    assert parts_of(hops, "partly held") == {"undecided": 2}


def test_answers_about_history_are_counted_by_what_became_of_them() -> None:
    answers = silver(trade=1, duplicate=0, quarantined=0, parsed=1, in_bars=(1, 1, 1))
    asked: dict[str, Answer] = {
        "parser = 'vendor_history' and": [(7,)],
        "silver.vendor_answers": [("read", 4), ("no_data", 1), ("malformed", 1)],
    }
    hops = balance(FakeLog(), FakeStore(), FakeQuery({**answers, **asked}))
    assert parts_of(hops, "vendor history") == {"read": 4, "without data": 1, "malformed": 1, "without their question": 0}
    assert residuals(hops) == {"vendor history": 1}
    assert "vendor history" not in [hop.name for hop in balance(FakeLog(), FakeStore(), FakeQuery(answers))]


def test_a_print_without_a_verdict_and_a_trade_in_two_bars_are_residuals_where_they_happened() -> None:
    answers = silver(trade=10, duplicate=2, quarantined=0, parsed=13, in_bars=(10, 11, 9))
    found = residuals(balance(FakeLog(), FakeStore(), FakeQuery(answers)))
    assert found == {"bronze → silver": 1, "silver → bars_5m": -1, "silver → bars_1d": 1}


def test_a_manifest_row_that_is_trimmed_counts_what_bronze_kept() -> None:
    log, store = make_log(3), FakeStore()
    land(log, store)
    hops = balance(log, store, FakeQuery(manifest((key(0), 3, 1), in_bronze=2)))
    assert parts_of(hops, "landing → bronze")["in bronze"] == 2
    assert residuals(hops) == {"log → landing": 1}
