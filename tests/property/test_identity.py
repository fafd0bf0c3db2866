"""Level 1 and 2 of identity: what is sent again is a duplicate, what merely looks the same is not."""

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig import DEPTH, Session, Tick, build, find_unbalanced, land, log_records, open_lake, utc_ms

pytestmark = pytest.mark.no_cover  # many builds: tracing dbt would double their time


NOON_MS = utc_ms("2024-01-10 17:00")
SYMBOLS = ("AAPL", "MSFT", "BINANCE:BTCUSDT")
IN_ORDER = """
    select feed, symbol, traded_ms, price, size, conditions, received_ns, session, seq, print_index
    from silver.trades order by feed, symbol, order_key
"""


def make_tick(choose: random.Random) -> Tick:
    """Draw from few values, so that twins are the rule: in a frame, across frames, across sessions, in one millisecond."""
    return Tick(
        choose.choice(SYMBOLS),
        choose.choice((NOON_MS, NOON_MS + 1, NOON_MS + 60_000, NOON_MS - 86_400_000)),
        choose.choice(("190.10", "190.1", "190.11")),
        choose.choice(("100", "0.00000001", "0")),
        choose.choice(((), None, ("1",), ("12", "1"), ("1", "12"))),
    )


class Delivery(msgspec.Struct):
    """Records as they come, in two parts with a build behind each; and what is true of them."""

    parts: list[list[bytes]]
    truth: list[tuple[Any, ...]]
    resent_prints: int


def deliver(seed: int, object_records: int) -> Delivery:
    """Send each frame once in its session's order, and some again, once or more, anywhere later."""
    choose = random.Random(f"{seed}/{object_records}")
    sessions = [Session(number=number) for number in range(3)]
    waits_until = choose.uniform(0, 40)  # the third session's frames lie in a spool for a while
    received_ms, sent, truth = NOON_MS + 120_000, [], []
    for place in range(choose.randrange(10, 61)):
        number, content = choose.randrange(3), [make_tick(choose) for _ in range(choose.randrange(1, 9))]
        received_ms += choose.randrange(4)
        record = sessions[number].frame(content, received_ms=received_ms)
        sent.append((max(place, waits_until) if number == 2 else place, record, len(content)))
        truth += [_expect(record, index, tick) for index, tick in enumerate(content)]
    again = [(choose.choice(sent), choose.uniform(0.5, 60)) for _ in range(choose.randrange(1, 41))]
    sent_again = [(place + later, record, prints) for (place, record, prints), later in again]
    records = [record for _, record, _ in sorted(sent + sent_again, key=lambda each: each[0])]
    cut = choose.randrange(1, len(records))
    return Delivery([records[:cut], records[cut:]], truth, sum(prints for _, _, prints in sent_again))


def _expect(record: bytes, index: int, tick: Tick) -> tuple[Any, ...]:
    stamp = msgspec.json.decode(record)
    codes = ",".join(sorted(set(tick.conditions or ()), key=lambda code: (len(code), code)))
    place = (stamp["received_ns"], stamp["session"], stamp["seq"], index)
    return (stamp["feed"], tick.symbol, tick.traded_ms, Decimal(tick.price), Decimal(tick.size), codes, *place)


@settings(max_examples=DEPTH)
@given(seed=st.integers(0, 2**32 - 1), object_records=st.integers(3, 20))
def test_trades_are_the_truth_whatever_was_sent_again(seed: int, object_records: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    delivery = deliver(seed, object_records)
    lake = open_lake(tmp_path_factory.mktemp("identity"), object_records=object_records)
    for part in delivery.parts:
        log_records(lake, part)
        land(lake)
        build(lake)

    trades = lake.query(IN_ORDER).rows
    verdicts = dict(lake.query("select verdict, count(*) from silver.prints group by verdict").rows)

    in_order = sorted(delivery.truth, key=lambda trade: (*trade[:3], *trade[6:]))
    assert trades == in_order
    assert verdicts.get("duplicate", 0) == delivery.resent_prints > 0
    assert verdicts.get("quarantined", 0) == 0
    assert find_unbalanced(lake) == []
