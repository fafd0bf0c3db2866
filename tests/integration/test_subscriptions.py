"""Prints of a symbol that their session never named, whenever the session's own words about it arrive."""

from collections import Counter
from typing import Any

from tests.rig import Session, Tick, build, find_unbalanced, land, log_records, read_gold, read_prints, utc_ms, verify_lake
from ticklake.cli.lake import Lake

NOON_MS = utc_ms("2024-01-10 17:00")


def tell(lake: Lake, *records: bytes) -> Counter[tuple[str, str | None]]:
    """Let records arrive in a load of their own; give how many prints each symbol and reason have."""
    log_records(lake, records)
    land(lake)
    build(lake)
    assert verify_lake(lake).holds
    assert find_unbalanced(lake) == []
    return Counter(dict(lake.query("select (symbol, coalesce(reason, '')), count(*) from silver.prints group by all").rows))


def test_words_that_arrive_after_the_prints_judge_them_again(lake: Lake) -> None:
    session, silent = Session(number=1), Session(number=2)
    opened = session.control("session_opened", received_ms=NOON_MS - 10)
    announced = session.control("subscribing", received_ms=NOON_MS - 9, symbols=["AAPL"])
    named = session.control("subscribing", received_ms=NOON_MS - 8, symbols=["IBM"])
    early = session.frame([Tick(symbol, NOON_MS, "10", "1") for symbol in ("AAPL", "IBM", "SPY")])
    late = session.frame([Tick(symbol, NOON_MS + 600_000, "11", "1") for symbol in ("AAPL", "IBM", "SPY")])
    others = silent.frame([Tick("SPY", NOON_MS, "12", "1")])
    bars = "select distinct symbol from gold.bars_1d order by symbol"

    assert tell(lake, opened, early, others) == {("AAPL", ""): 1, ("IBM", ""): 1, ("SPY", ""): 2}
    assert tell(lake, announced) == {
        ("AAPL", ""): 1,
        ("IBM", "symbol_not_subscribed"): 1,
        ("SPY", ""): 1,
        ("SPY", "symbol_not_subscribed"): 1,
    }
    assert lake.query(bars).rows == [("AAPL",), ("SPY",)]
    assert tell(lake, late)["IBM", "symbol_not_subscribed"] == 2
    assert tell(lake, named) == {("AAPL", ""): 2, ("IBM", ""): 2, ("SPY", ""): 1, ("SPY", "symbol_not_subscribed"): 2}
    assert lake.query(bars).rows == [("AAPL",), ("IBM",), ("SPY",)]

    gold, prints = read_gold(lake), read_prints(lake)
    build(lake, full=True)
    assert (read_gold(lake), read_prints(lake)) == (gold, prints)


def test_malformed_control_records_fail_no_build_and_say_nothing(lake: Lake) -> None:
    session = Session()
    told: list[dict[str, Any]] = [{"symbols": ["AAPL", None, "", 7, ["IBM"]]}, {"symbols": "IBM"}, {"symbols": {"IBM": 1}}, {}]
    records = [
        session.control(kind, received_ms=NOON_MS, **each) for kind in ("subscribing", "subscribed", "unsubscribed") for each in told
    ]
    records += [session.control("subscribed", received_ms=NOON_MS, symbols=["AAPL"], without_slot=["MSFT", None, 5])]
    records += [session.control(kind, received_ms=NOON_MS) for kind in ("", "session_closed")]
    records += [session.frame([Tick(symbol, NOON_MS, "10", "1") for symbol in ("AAPL", "IBM", "7")])]
    times = ("x", 1e30, 2**63 - 1, -(2**63), None)
    records += [session.control("unsubscribed", received_ms=NOON_MS + 1, symbols=["AAPL"], since_ns=each) for each in times]

    assert tell(lake, *records) == {("AAPL", ""): 1, ("IBM", "symbol_not_subscribed"): 1, ("7", "symbol_not_subscribed"): 1}
    assert lake.query("select distinct symbol from silver.feed_events order by symbol").rows == [("AAPL",), ("MSFT",)]


def test_sessions_of_one_name_in_two_feeds_are_two(lake: Lake) -> None:
    strict, free = Session(feed="finnhub"), Session(feed="demo")
    announced = strict.control("subscribing", received_ms=NOON_MS - 1, symbols=["AAPL"])
    opened = free.control("session_opened", received_ms=NOON_MS - 1)
    prints = [session.frame([Tick(symbol, NOON_MS, "10", "1") for symbol in ("AAPL", "SPY")]) for session in (strict, free)]

    found = tell(lake, announced, opened, *prints, prints[0])
    assert found == {
        ("AAPL", ""): 2,
        ("SPY", ""): 1,
        ("SPY", "symbol_not_subscribed"): 1,
        ("AAPL", "resent_frame"): 1,
        ("SPY", "resent_frame"): 1,
    }
    assert lake.query("select distinct feed from gold.bars_1d where symbol = 'SPY'").rows == [("demo",)]
