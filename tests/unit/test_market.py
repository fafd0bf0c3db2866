"""The made-up market: what it sends is recounted here from the bytes alone, by the standard library."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeGuard

import pytest

from tests.unit.fakes import FakeClock, FakeLog
from ticklake.contracts.frame import read_record_id
from ticklake.feed.exchange.hours import MINUTE_MS
from ticklake.feed.exchange.listings import LISTINGS
from ticklake.feed.exchange.market import Market
from ticklake.feed.exchange.prints import join_codes, write_number
from ticklake.feed.replay import replay

PRINTS = 6_000
DAY_MS = range(1_763_456_400_000, 1_763_456_400_000 + 16 * 60 * MINUTE_MS)


class Doubled(dict[str, Any]):
    """An object of JSON that names a key twice."""


def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs) if len(dict(pairs)) == len(pairs) else Doubled(pairs)


def read_record(record: bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(record, parse_float=Decimal, object_pairs_hook=read_object)
    return parsed


def find_fault(item: dict[str, Any], received_ns: int) -> str:
    """Give the reason for which a print must be quarantined, or nothing."""
    traded_ms, price, size = item.get("t"), item.get("p"), item.get("v")
    if isinstance(item, Doubled):
        return "duplicate_keys"
    if not (isinstance(item.get("s"), str) and isinstance(traded_ms, int) and is_number(price) and is_number(size)):
        return "malformed"
    digits = [Decimal(price), Decimal(size)]
    if any(abs(number) >= 10**10 or round(number, 8) != number for number in digits):
        return "not_representable"
    if price <= 0 or size < 0:
        return "price_not_positive" if price <= 0 else "size_negative"
    return "" if traded_ms in DAY_MS and traded_ms * 1_000_000 <= received_ns else "time_in_seconds"


def is_number(value: Any) -> TypeGuard[int | Decimal]:
    return isinstance(value, int | Decimal)


def recount(market: Market) -> tuple[list[tuple[Any, ...]], Counter[str], int]:
    """Read everything that a market sends: genuine trades in the order of arrival, garbage by reason, prints sent again."""
    trades: list[tuple[Any, ...]] = []
    garbage: Counter[str] = Counter()
    seen: set[tuple[str, int]] = set()
    again = 0
    for record in (read_record(each.value) for each in market.records()):
        if "control" in record:
            seen.add((record["session"], record["seq"]))
            continue
        frame = record["frame"]
        is_readable = isinstance(frame, dict)
        items = frame.get("data", []) if is_readable else [{}]
        if (record["session"], record["seq"]) in seen:
            again += len(items)
            continue
        seen.add((record["session"], record["seq"]))
        for item in items:
            if fault := find_fault(item, record["received_ns"]):
                garbage[fault] += 1
            else:
                codes = sorted(set(item.get("c") or []), key=int)
                trades.append((item["s"], item["t"], Decimal(item["p"]), Decimal(item["v"]), ",".join(codes)))
    return trades, garbage, again


def frames_of(market: Market) -> Iterator[bytes]:
    return (record.value for record in market.records() if b'"frame":{"data"' in record.value)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(5, prints=PRINTS)


def test_the_same_seed_gives_the_same_bytes(market: Market) -> None:
    again = Market(5, prints=PRINTS)

    assert list(market.records()) == list(again.records())
    assert list(market.records()) == list(market.records())


def test_another_seed_gives_another_market(market: Market) -> None:
    other = Market(6, prints=PRINTS)

    assert other.trades != market.trades
    assert {session.name for session in other.sessions}.isdisjoint(session.name for session in market.sessions)


def test_a_market_is_about_as_large_as_it_was_asked_to_be(market: Market) -> None:
    assert 0.95 * PRINTS < len(market.trades) < 1.05 * PRINTS
    assert {trade.symbol for trade in market.trades} == set(market.symbols)


@pytest.mark.parametrize("seed", range(4))
def test_the_truth_is_what_a_recount_of_the_bytes_finds(seed: int) -> None:
    market = Market(seed, prints=PRINTS)

    trades, garbage, again = recount(market)

    assert trades == market.trades
    assert garbage == market.mischief.garbage
    assert again == market.mischief.resent_prints


def test_every_kind_of_mischief_happens(market: Market) -> None:
    mischief = market.mischief

    assert set(mischief.garbage) == {
        "malformed",
        "duplicate_keys",
        "not_representable",
        "price_not_positive",
        "size_negative",
        "time_in_seconds",
    }
    assert mischief.twins == sum(count - 1 for count in Counter(market.trades).values()) > 0
    assert mischief.resent_records > 0
    assert mischief.late > 0


def test_what_cannot_be_embedded_is_among_the_garbage(market: Market) -> None:
    records = [record.value for record in market.records()]

    assert any(b'"frame":null,"raw":"{' in record for record in records)
    assert any(b'"frame":null,"raw":"<html>' in record for record in records)
    assert any(b'"frame":null,"raw_base64":' in record for record in records)


def test_a_record_that_comes_again_is_the_same_to_the_byte(market: Market) -> None:
    copies: dict[tuple[str, int], set[bytes]] = {}
    for record in market.records():
        read = read_record_id(record.value)
        copies.setdefault((read.session, read.seq), set()).add(record.value)

    assert all(len(values) == 1 for values in copies.values())
    assert sum(len(session.told) for session in market.sessions) - len(copies) == market.mischief.resent_records


def test_the_last_records_before_the_loss_come_again_after_the_reconnect(market: Market) -> None:
    first, second = market.sessions
    late = [record.value for record in second.told if read_record_id(record.value).session == first.name]

    assert late
    assert late == [record.value for record in first.told][-len(late) :]


def test_seq_counts_each_session_and_its_time_only_rises(market: Market) -> None:
    for session in market.sessions:
        own = {read.seq: read.received_ns for record in session.told if (read := read_record_id(record.value)).session == session.name}
        times = [own[seq] for seq in sorted(own)]

        assert sorted(own) == list(range(len(own)))
        assert all(earlier < later for earlier, later in itertools.pairwise(times))


def test_a_session_is_opened_and_closed_and_beats_each_minute(market: Market) -> None:
    first, second = market.sessions
    controls = [read_record(record.value).get("control", {}) for record in first.told]

    assert controls[0]["type"] == "session_opened"
    assert {"type": "session_closed", "cause": "connection_lost"} in controls
    assert sum(control.get("type") == "heartbeat" for control in controls) >= 500
    assert b'"session_closed","cause":"end_of_day"' in second.told[-1].value


def test_some_trades_of_the_first_session_are_told_in_the_second() -> None:
    market = Market(7, prints=60_000)
    first, second = market.sessions
    lost_ms = first.told[-1].received_ns // 1_000_000
    told_late = [
        item["t"]
        for record in second.told
        if (read := read_record(record.value))["session"] == second.name and isinstance(read.get("frame"), dict)
        for item in read["frame"].get("data", [])
        if not find_fault(item, read["received_ns"])
    ]

    assert any(traded_ms < lost_ms - 1_000 for traded_ms in told_late)


@pytest.mark.parametrize(
    "part",
    [
        b'"c":null,',
        b'"c":[],',
        b'{"p":',
        b'"v":0}',
        b"e-7}",
        b'["8","41"]',
        b'"12"]',
        b'"30"]',
        b'["24",',
        b'["16"]',
        b'["19"]',
        b'{"type":"ping"}',
    ],
)
def test_the_bytes_show_what_a_real_feed_shows(market: Market, part: bytes) -> None:
    assert any(part in record.value for record in market.records())


def test_a_frame_carries_several_prints_and_symbols(market: Market) -> None:
    symbols = [{item.get("s") for item in read_record(frame)["frame"]["data"]} for frame in frames_of(market)]

    assert any(len(each) > 1 for each in symbols)
    assert sum(each.prints for each in market.records()) > 1.5 * len(symbols)


def test_coins_trade_in_fractions_of_eight_decimals_and_shares_do_not(market: Market) -> None:
    coin = next(listing.symbol for listing in LISTINGS if listing.is_continuous)

    assert any(trade.size != round(trade.size, 7) for trade in market.trades if trade.symbol == coin)
    assert all(trade.size == int(trade.size) > 0 for trade in market.trades if trade.symbol != coin)


@pytest.mark.parametrize(
    ("number", "scale", "text"),
    [
        (267_4500, 4, "267.45"),
        (267_0000, 4, "267"),
        (267_0001, 4, "267.0001"),
        (0, 8, "0"),
        (10_000_000_000, 8, "100"),
        (123, 8, "0.00000123"),
        (100, 8, "0.000001"),
        (99, 8, "9.9e-7"),
        (50, 8, "5e-7"),
        (3, 8, "3e-8"),
    ],
)
def test_numbers_are_written_without_a_digit_too_many(number: int, scale: int, text: str) -> None:
    assert write_number(number, scale) == text
    assert Decimal(text) == Decimal(number).scaleb(-scale)


def test_codes_are_a_set_in_the_order_of_their_numbers() -> None:
    assert join_codes(("41", "1", "41")) == "1,41"
    assert join_codes(("12", "8")) == "8,12"
    assert join_codes(()) == ""


def test_a_session_plays_into_a_log_by_itself(market: Market) -> None:
    log = FakeLog()
    session = market.sessions[1]

    replayed = replay(session, log, clock=FakeClock(), speed=None)

    assert list(log.records.values()) == [record.value for record in session.told]
    assert replayed.prints == sum(record.prints for record in session.told)
