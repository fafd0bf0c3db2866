"""Two collectors over the real tape, each with gaps of its own: the maximum of what they saw, and what cannot be known is counted."""

import csv
import gzip
import itertools
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig import DEPTH, Session, Tick, build, find_unbalanced, land, log_records, open_lake, verify_lake
from ticklake.audit.ledger import balance

pytestmark = pytest.mark.no_cover  # many builds: tracing dbt would double their time

ROWS: Final = 6_000
Content = tuple[str, int, Decimal, Decimal, str]
TRADES: Final = "select symbol, traded_ms, price, size, conditions from silver.trades"


class Collector(msgspec.Struct):
    """A collector: its connections, and the moments at which it had none."""

    name: str
    gaps: list[tuple[int, int]]

    def sees(self, received_ms: int) -> bool:
        """Whether it was connected."""
        return not any(start <= received_ms < end for start, end in self.gaps)


def read_tape(tape: Path, first: int) -> list[Tick]:
    """Give some real prints in the order of their arrival; many equal each other in everything."""
    with gzip.open(min(tape.glob("trades/SPY-*.csv.gz")), "rt") as file:
        rows = list(itertools.islice(csv.DictReader(file), first, first + ROWS))
    return [Tick(row["s"], int(row["t"]), row["p"], row["v"], tuple(row["c"].split(";")) if row["c"] else ()) for row in rows]


def content_of(tick: Tick) -> Content:
    """Give what makes prints identical."""
    codes = ",".join(sorted(set(tick.conditions or ()), key=lambda code: (len(code), code)))
    return tick.symbol, tick.traded_ms, Decimal(tick.price), Decimal(tick.size), codes


def deliver(collector: Collector, arrivals: list[tuple[int, Tick]], number: int) -> tuple[list[bytes], list[int]]:
    """Give the records of one collector, and the places of the prints that it holds."""
    records: list[bytes] = []
    held = []
    connections = 0
    session: Session | None = None
    for place, (received_ms, tick) in enumerate(arrivals):
        if not collector.sees(received_ms):
            session = None
            continue
        if session is None:
            connections += 1
            session = Session(collector=collector.name, number=number * 1000 + connections)
            records.append(session.control("session_opened", received_ms=received_ms - 1))
        records.append(session.frame([tick], received_ms=received_ms))
        held.append(place)
    return records, held


def draw_gaps(choose: random.Random) -> list[tuple[int, int]]:
    """Give some gaps, as places in the tape: many short ones, so that twins are torn apart."""
    starts = choose.sample(range(50, ROWS - 50), choose.randrange(100, 161))
    return [(start, start + choose.randrange(1, 7)) for start in starts]


@settings(max_examples=DEPTH)
@given(seed=st.integers(0, 2**32 - 1))
def test_trades_are_the_maximum_over_collectors_and_what_both_held_partly_is_counted(
    seed: int, tape: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    choose = random.Random(seed)
    first, of_a, of_b = choose.randrange(100_000), draw_gaps(choose), draw_gaps(choose)
    ticks = read_tape(tape, first)
    # One print a frame and two milliseconds: each has a moment of its own at which a collector was there, or was not.
    newest_ms = max(tick.traded_ms for tick in ticks)
    moments = [newest_ms + 2 * place for place in range(ROWS)]
    arrivals = list(zip(moments, ticks, strict=True))
    collectors = [
        Collector(name, [(moments[start], moments[min(end, ROWS - 1)]) for start, end in places])
        for name, places in (("a", of_a), ("b", of_b))
    ]
    deliveries = [deliver(collector, arrivals, number) for number, collector in enumerate(collectors)]
    records = [record for of_one, _ in deliveries for record in of_one]
    choose.shuffle(records)
    lake = open_lake(tmp_path_factory.mktemp("collectors"))
    half = len(records) // 2
    for part in (records[:half], records[half:]):
        log_records(lake, part)
        land(lake)
        build(lake)

    held = [set(places) for _, places in deliveries]
    counts = [Counter(content_of(ticks[place]) for place in of_one) for of_one in held]
    assert Counter(tuple(row) for row in lake.query(TRADES).rows) == counts[0] | counts[1]
    assert find_unbalanced(lake) == []
    assert told(lake, "partly held") == len(torn_groups(ticks, held)) > 0
    assert verify_lake(lake).differences == []


def torn_groups(ticks: list[Tick], held: list[set[int]]) -> set[Content]:
    """Give the kinds of which each collector missed some that the other held, though it held some itself."""
    places: dict[Content, set[int]] = {}
    for place, tick in enumerate(ticks):
        places.setdefault(content_of(tick), set()).add(place)
    return {
        content
        for content, of_kind in places.items()
        if all(of_kind & own and of_kind & (other - own) for own, other in (held, reversed(held)))
    }


def told(lake: Any, line: str) -> int:
    """Give what a line of the ledger counts."""
    return next(hop.total for hop in balance(lake.log, lake.store, lake.query) if hop.name == line)


def test_some_groups_are_torn(tape: Path) -> None:
    """The tape holds what makes this difficult: identical prints, next to each other."""
    counts = Counter(content_of(tick) for tick in read_tape(tape, 50_000))
    assert sum(count > 1 for count in counts.values()) > 500
