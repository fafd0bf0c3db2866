"""Gaps are what no connection proves to have observed, in whatever order the records are built; bars that overlap one say so."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig import DEPTH, Session, Tick, build, land, log_records, open_lake, utc_ms
from ticklake.cli.lake import Lake
from ticklake.contracts.frame import read_record_id
from ticklake.warehouse.transform import Transform

pytestmark = pytest.mark.no_cover  # many builds: tracing dbt would double their time

START_MS: Final = utc_ms("2024-01-10 15:30")
SECONDS: Final = 900
SYMBOLS: Final = ("AAPL", "IBM", "BINANCE:BTCUSDT")
GAPS: Final = "select symbol, from_ns, coalesce(to_ns, 9223372036854775807) from silver.feed_gaps order by all"
BARS: Final = "select symbol, epoch_ms(start_at), has_gap from gold.current_bars_1m where lens = 'all_prints'"
HAS_GAP: Final = "select symbol, start_at, has_gap from gold.{} where lens = 'all_prints' order by all"


class Life(msgspec.Struct):
    """What two collectors logged; and of each symbol the seconds in which one of them proves to have observed it."""

    records: list[bytes]
    observed: dict[str, set[int]]
    unreadable: dict[str, set[int]]
    still: set[str]
    """Symbols that a connection may observe still."""

    asked: dict[str, int]
    """The second of each symbol's last subscription."""


def live(seed: int) -> Life:
    """Let two collectors connect, subscribe, give up symbols, hang, break and die for a quarter of an hour, second by second."""
    life = Life([], {symbol: set() for symbol in SYMBOLS}, {symbol: set() for symbol in SYMBOLS}, set(), {})
    for number, collector in enumerate("ab"):
        _live_one(life, collector, random.Random(f"{seed}/{collector}"), number)
    return life


def _live_one(life: Life, collector: str, choose: random.Random, number: int) -> None:
    second, connections, is_over = choose.randrange(1, 120), 0, True
    wanted: dict[str, int] = {}
    while second < SECONDS - 1:
        connections += 1
        session = Session(collector=collector, number=number * 1000 + connections)
        life.records.append(session.control("session_opened", received_ms=_at(second) - 1))
        symbols = choose.sample(SYMBOLS, k=choose.randrange(1, len(SYMBOLS) + 1))
        life.records.append(session.control("subscribing", received_ms=_at(second) - 1, symbols=symbols))
        life.records.append(session.control("subscribed", received_ms=_at(second), symbols=symbols, without_slot=[]))
        wanted = dict.fromkeys(symbols, second)
        life.asked |= {symbol: max(second, life.asked.get(symbol, 0)) for symbol in symbols}
        garbled: dict[str, set[int]] = {symbol: set() for symbol in symbols}
        given_up: list[tuple[str, int, int]] = []
        end, last = min(SECONDS - 1, second + choose.randrange(1, 250)), second - 1
        quiet_until = second + choose.choice((0, 0, 60, 250))
        while (second := second + 1) < end:
            happens = choose.uniform(0 if second > quiet_until else 0.75, 1)
            if happens < 0.7:
                ticks = [Tick(symbol, _at(second), "10.5", "100") for symbol in wanted if choose.random() < 0.5]
                life.records.append(
                    session.frame(ticks, received_ms=_at(second)) if ticks else session.raw(b'{"type":"ping"}', received_ms=_at(second))
                )
                last = second
            elif happens < 0.75:
                life.records.append(session.raw(b"<html>", received_ms=_at(second)))
                last = second
                for symbol in wanted:
                    garbled[symbol].add(second)
            elif happens < 0.8 and len(wanted) > 1:
                given_up.append(_give_up(life, session, choose, second, wanted))
            else:
                life.records.append(session.control("heartbeat", received_ms=_at(second)))
        for symbol, first, until in [*given_up, *((symbol, first, last) for symbol, first in wanted.items())]:
            seen = set(range(first, min(until, last) + 1))
            life.observed[symbol] |= seen
            life.unreadable[symbol] |= garbled[symbol] & seen
        is_over = choose.random() < 0.7
        if is_over:
            life.records.append(session.control("session_closed", received_ms=_at(second), cause="connection_lost"))
        second += choose.randrange(1, 60)
    if not is_over:
        life.still |= wanted.keys()


def _give_up(life: Life, session: Session, choose: random.Random, second: int, wanted: dict[str, int]) -> tuple[str, int, int]:
    """Let another symbol have the slot, or say since when this one was silent; give it, and the seconds of its turn."""
    symbol = choose.choice(sorted(wanted))
    first, until = wanted.pop(symbol), second - 1
    told: dict[str, Any] = {"symbols": [symbol], "cause": "rotation"}
    if choose.random() < 0.5:
        until = choose.randrange(min(first, until), until + 1)
        told |= {"cause": "symbol_silent", "since_ns": _at(until) * 1_000_000}
    life.records.append(session.control("unsubscribed", received_ms=_at(second), **told))
    return symbol, first, until


def _at(second: int) -> int:
    return START_MS + second * 1000


def seconds_of(gaps: Iterable[tuple[int, int]]) -> set[int]:
    """Give the seconds of the quarter that lie in gaps."""
    first_ns = START_MS * 1_000_000
    return {second for from_ns, to_ns in gaps for second in range(SECONDS) if from_ns <= first_ns + second * 1_000_000_000 <= to_ns}


@settings(max_examples=DEPTH)
@given(seed=st.integers(0, 2**32 - 1))
def test_gaps_are_what_nobody_observed_and_bars_that_overlap_one_say_so(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    life = live(seed)
    lake = open_lake(tmp_path_factory.mktemp("gaps"))
    for part in arrive(life, random.Random(seed)):
        log_records(lake, part)
        land(lake)
        build(lake)
        incremental = read_gaps(lake)
        Transform(lake.warehouse, lake.home.warehouse / "dbt", lake.project).run(["run", "--select", "feed_gaps", "--full-refresh"])
        assert incremental == read_gaps(lake)

    found = read_gaps(lake)
    for symbol in SYMBOLS:
        missed = set(range(SECONDS)) - life.observed[symbol]
        gaps = found.get(symbol, [])
        if not life.observed[symbol]:
            continue  # where nothing was ever observed, all that is told is that
        if symbol in life.still:  # what a standing connection observes after its last message, nobody knows yet
            missed -= set(range(max(max(life.observed[symbol]) + 1, life.asked[symbol]), SECONDS))
        told = seconds_of(gap for gap in gaps if gap[0] < gap[1])
        assert told == missed, symbol
        moments = {from_ns for from_ns, to_ns in gaps if from_ns == to_ns}
        assert {(from_ns // 1_000_000 - START_MS) // 1000 for from_ns in moments} == life.unreadable[symbol]
    for symbol, start_ms, has_gap in lake.query(BARS).rows:
        from_ns, to_ns = start_ms * 1_000_000, (start_ms + 60_000) * 1_000_000
        assert has_gap == any(gap[0] < to_ns and gap[1] >= from_ns for gap in found.get(symbol, [])), (symbol, start_ms)


def test_a_gap_as_of_a_moment_is_what_a_lake_of_that_moment_tells(tmp_path: Path) -> None:
    """A connection observes up to the last message that had come by then: nobody knew yet whether another would."""
    heard, mute, fresh = (Session(collector=collector) for collector in "abc")
    records = [heard.control("subscribed", received_ms=_at(0), symbols=["AAPL", "IBM"], without_slot=[])]
    records += [mute.control("subscribed", received_ms=_at(1), symbols=["AAPL", "IBM"], without_slot=[])]
    records += [heard.frame([Tick("AAPL", _at(second), "10.5", "100")]) for second in (2, 600)]
    records += [fresh.control("subscribed", received_ms=_at(610), symbols=["AAPL", "IBM"], without_slot=[])]
    records += [fresh.frame([Tick("IBM", _at(612), "10.5", "100")])]
    moment = datetime.fromtimestamp(_at(615) / 1000, UTC).replace(tzinfo=None)
    later = [session.frame([Tick("AAPL", _at(690), "10.5", "100")]) for session in (heard, mute)]

    lake = open_lake(tmp_path)
    told = []
    for part in (records, later):
        log_records(lake, part)
        land(lake)
        build(lake)
        told.append(lake.query(HAS_GAP.format("current_bars_1m")).rows)
        as_of = HAS_GAP.format("bars_1m_as_of($moment, [], date '1970-01-01', date '2100-01-01')")
        assert lake.query(as_of, {"moment": moment}).rows == told[0]
    assert {has_gap for *_, has_gap in told[0]} == {True, False}
    assert told[1] != told[0]


def received_ns(record: bytes) -> int:
    """Give when a record was received."""
    return read_record_id(record).received_ns


def arrive(life: Life, choose: random.Random) -> list[list[bytes]]:
    """Give the records in parts: most of the first half, in disorder; some that come as they were made; and all that is left."""
    records = sorted(life.records, key=received_ns)
    half, step = len(records) // 2, choose.randrange(3, 30)
    early = [record for record in records[:half] if choose.random() < 0.9]
    in_order = records[half : half + step], records[half + step : half + 2 * step]
    left = list(set(records) - set(early) - set(in_order[0]) - set(in_order[1]))
    for part in (early, left):
        choose.shuffle(part)
    return [early, *in_order, left]


def read_gaps(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """Give each symbol's gaps."""
    gaps: dict[str, list[tuple[Any, ...]]] = {}
    for symbol, *gap in lake.query(GAPS).rows:
        gaps.setdefault(symbol, []).append(tuple(gap))
    return gaps
