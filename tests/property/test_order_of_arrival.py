"""Gold is a function of the landed bytes: not of when, in what order, how often or in how many builds they came."""

import random
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.market import cut_objects, make_logs
from tests.rig import DEPTH, Rows, build, find_unbalanced, open_lake, read_gold, read_prints, tell_difference, verify_lake
from ticklake.cli.lake import Lake

pytestmark = pytest.mark.no_cover  # many builds: tracing dbt would double their time


LOGS = make_logs(seed=3)
NATURAL, OVERLAPS = cut_objects(LOGS, seed=3)
OBJECTS = {**NATURAL, **OVERLAPS}
BUILDS = 3


class Outcome(msgspec.Struct):
    """What a lake makes of the objects."""

    lake: Lake
    gold: dict[str, Rows]
    prints: Rows

    def differs(self, lake: Lake) -> str:
        """Say where a lake holds something else; empty if nowhere."""
        return tell_difference({**self.gold, "prints": self.prints}, {**read_all_gold(lake), "prints": read_prints(lake)})


def read_all_gold(lake: Lake) -> dict[str, Rows]:
    """Give gold, and what vendors computed, sorted."""
    vendors = {table: lake.query(f"select * from gold.{table} order by all").rows for table in ("vendor_bars", "splits")}  # noqa: S608 — our own names
    return {**read_gold(lake), **vendors}


MOVED_MARKS = """
    select count(*)
    from (select feed, symbol, lens, trading_date from silver.day_mark_versions group by all having count(*) > 1)
"""
"""Days whose first print or auctions moved when something came late: what reaches furthest."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What comes out when the objects arrive in order, once, without overlaps, and are built in one go."""
    lake = open_lake(tmp_path_factory.mktemp("undisturbed"))
    reveal(lake, list(NATURAL))
    build(lake)
    return Outcome(lake, read_all_gold(lake), read_prints(lake))


def reveal(lake: Lake, keys: list[str]) -> None:
    """Let objects appear in the landing zone; one that is there already appears again."""
    for key in keys:
        if not lake.store.create(key, OBJECTS[key]):
            lake.store.delete(key)
            lake.store.create(key, OBJECTS[key])


def test_the_market_holds_what_makes_the_order_of_arrival_difficult(undisturbed: Outcome) -> None:
    query = undisturbed.lake.query
    reasons = {reason for (reason,) in query("select distinct reason from silver.prints").rows}
    days = query("select count(distinct trading_date), count(distinct start_at::date) from gold.bars_1m").rows[0]
    sessions = {name for (name,) in query("select distinct market_session from silver.trades").rows}

    assert reasons >= {"resent_frame", "malformed", "duplicate_keys", "not_representable", "price_not_positive", "size_negative"}
    assert query("select count(*) from silver.prints where feed = 'finnhub_tick' and reason = 'other_collector'").rows[0][0] > 20
    assert query("select count(distinct symbol) from gold.bars_1d where feed = 'finnhub_tick'").rows[0][0] == len(LOGS)
    assert len(undisturbed.gold["splits"]) == len(LOGS)
    corrected = query("select open, close, volume from gold.vendor_bars order by start_at, symbol").rows
    assert corrected == [(11, 11, 11)] * len(LOGS) + [(11, 11, 11)] * len(LOGS)
    assert reasons >= {"time_in_seconds", "time_in_microseconds", "time_in_future", "unknown_feed", "symbol_not_subscribed", None}
    assert sessions == {"pre", "regular", "post", "closed", "continuous"}
    assert min(days) > 3


@settings(max_examples=DEPTH)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_order_of_arrival_gives_the_same_gold(seed: int, undisturbed: Outcome, tmp_path_factory: pytest.TempPathFactory) -> None:
    choose = random.Random(seed)
    lake = open_lake(tmp_path_factory.mktemp("shuffled"), batch_records=choose.choice((1_200, 10_000)))
    turns_of = {key: choose.choices(range(BUILDS), k=choose.choice((1, 2))) for key in OBJECTS}
    for turn in range(BUILDS):
        keys = [key for key, turns in turns_of.items() if turn in turns]
        choose.shuffle(keys)
        reveal(lake, keys)
        build(lake)

    assert undisturbed.differs(lake) == ""
    assert find_unbalanced(lake) == []
    assert verify_lake(lake).holds
    assert lake.query("select sum(trimmed) from bronze.landed_objects").rows[0][0] > 100
    assert lake.query(MOVED_MARKS).rows[0][0] > 10


def test_a_full_build_and_a_warehouse_made_again_give_the_same_gold(undisturbed: Outcome, tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    reveal(lake, list(OBJECTS)[1::2])
    build(lake)
    reveal(lake, list(OBJECTS)[0::2])
    build(lake, full=True)
    assert undisturbed.differs(lake) == ""

    shutil.rmtree(lake.home.warehouse)
    reborn = open_lake(tmp_path)
    build(reborn)
    assert undisturbed.differs(reborn) == ""
