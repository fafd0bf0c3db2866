"""Landed bytes to trades, as the auditor reads them: every verdict of the hostile messages, and every rule of identity."""

from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest

from tests.hostile import CASES, NOON_MS, TICK_CASES, Case, Trade, answer_of
from tests.rig import Session, Tick
from tests.unit.fakes import FakeStore
from ticklake.audit.identity import judge_prints
from ticklake.audit.prints import UNITS, UNITS_OF, Print, _sort_codes
from ticklake.audit.read import read_prints
from ticklake.audit.seeds import Feed
from ticklake.audit.subscriptions import Subscriptions
from ticklake.contracts.codec import encode_object
from ticklake.contracts.objects import ObjectKey
from ticklake.errors import ObjectCorrupt

MINUTE_NS: Final = 60_000_000_000
LIVE: Final = Feed(parser="finnhub", grace_ns=MINUTE_NS, replays_on_reconnect=False, drops_repeats=False)
FEEDS: Final = {"finnhub": LIVE, "demo": LIVE, "finnhub_tick": msgspec.structs.replace(LIVE, parser="finnhub_tick")}
REASONS_OF_SOUND_PRINTS: Final = ("resent_frame", "other_collector", "suspected_repeat", "symbol_not_subscribed")
TICK: Final = Tick("AAPL", NOON_MS, "190.10", "100", ("12", "1"))


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    """A market repeats its digits and codes; a test does not rely on another's."""
    UNITS_OF.clear()
    _sort_codes.cache_clear()


def read(*objects: list[bytes], feeds: dict[str, Feed] = FEEDS, subscriptions: Subscriptions | None = None, **options: Any) -> list[Print]:
    """Give the prints of objects that follow one another."""
    store, offset = FakeStore(), 0
    for records in objects:
        store.put(str(ObjectKey("log", 0, offset)), encode_object(records))
        offset += len(records)
    return list(read_prints(store, list(store.list("landing/")), feeds, subscriptions=subscriptions or Subscriptions(), **options))


def judge(*objects: list[bytes], feeds: dict[str, Feed] = FEEDS) -> dict[tuple[int, int], str]:
    """Give each print's verdict, by its offset and its place in the frame."""
    subscriptions = Subscriptions()
    prints = read(*objects, feeds=feeds, subscriptions=subscriptions)
    return {(each.offset, each.print_index): each.reason for each in judge_prints(prints, feeds, subscriptions)}


@pytest.mark.parametrize("case", [*CASES, *TICK_CASES], ids=[case.name for case in (*CASES, *TICK_CASES)])
def test_each_hostile_print_has_the_verdict_that_the_contract_names(case: Case) -> None:
    session = Session(feed="finnhub_tick" if case in TICK_CASES else "finnhub")
    prints = read([session.raw(case.message, received_ms=NOON_MS)])

    assert [each.reason for each in prints] == ["" if isinstance(expected, Trade) else expected for expected in case.prints]
    for each, expected in zip(prints, case.prints, strict=True):
        if isinstance(expected, Trade):
            values = (Decimal(each.price) / UNITS, Decimal(each.size) / UNITS, ",".join(each.conditions))
            assert values == (Decimal(expected.price), Decimal(expected.size), expected.conditions)


def test_a_print_says_where_it_lies_and_when_it_came() -> None:
    session = Session(collector="a", feed="demo")
    prints = read(
        [session.control("session_opened", received_ms=NOON_MS - 1)],
        [session.frame([TICK, TICK], received_ms=NOON_MS + 5), session.frame([TICK])],
    )

    assert [(each.object_key, each.line, each.offset, each.print_index) for each in prints] == [
        (str(ObjectKey("log", 0, 1)), 0, 1, 0),
        (str(ObjectKey("log", 0, 1)), 0, 1, 1),
        (str(ObjectKey("log", 0, 1)), 1, 2, 0),
    ]
    first = prints[0]
    assert (first.feed, first.session, first.seq, first.symbol) == ("demo", session.name, 1, "AAPL")
    assert (first.traded_ms, first.received_ns, first.frame) == (NOON_MS, (NOON_MS + 5) * 1_000_000, "")
    assert (first.price, first.size, first.conditions) == (19_010_000_000, 10_000_000_000, ("1", "12"))


def test_a_bucket_is_that_of_the_trade_or_of_the_arrival_where_the_trade_is_none() -> None:
    late_ms = NOON_MS + 600_000
    good, copy = Tick("AAPL", NOON_MS, "1", "1"), Tick("AAPL", NOON_MS, "0", "1")
    for prints in (read([Session().frame([good, copy], received_ms=late_ms)]),):
        assert [each.bucket for each in prints] == [NOON_MS // 300_000, late_ms // 300_000]
        assert [each._replace(reason=reason).bucket for reason in REASONS_OF_SOUND_PRINTS for each in prints[:1]] == [
            NOON_MS // 300_000
        ] * len(REASONS_OF_SOUND_PRINTS)


def test_only_the_records_that_are_asked_for_are_read() -> None:
    session = Session()
    records = [session.frame([TICK]), session.frame([Tick("IBM", NOON_MS, "1", "1")])]
    assert [each.symbol for each in read(records, wants=lambda record: b'"IBM"' in record)] == ["IBM"]


@pytest.mark.parametrize("feeds", [FEEDS, {"other": msgspec.structs.replace(LIVE, parser="other")}], ids=["feed", "parser"])
def test_a_frame_of_a_feed_that_nobody_knows_is_one_print_that_nobody_can_read(feeds: dict[str, Feed]) -> None:
    session = Session(feed="other")
    session.control("session_opened", received_ms=NOON_MS)
    (found,) = read([session.frame([TICK, TICK])], feeds=feeds)
    assert (found.feed, found.symbol, found.print_index, found.reason, found.frame) == ("other", "", 0, "unknown_feed", "")


@pytest.mark.parametrize("line", [b"no json", b'{"feed":"finnhub","session":"a","seq":1}', b"[1]"])
def test_what_is_no_record_makes_its_object_corrupt(line: bytes) -> None:
    with pytest.raises(ObjectCorrupt, match="line 1 is no record") as caught:
        read([Session().frame([TICK]), line])
    assert str(ObjectKey("log", 0, 0)) in caught.value.what


def test_what_json_does_not_know_is_named() -> None:
    with pytest.raises(ObjectCorrupt, match="NaN is no JSON"):
        read([b'{"feed":"finnhub","session":"a","seq":1,"received_ns":1,"frame":NaN}'])


def test_an_object_that_is_gone_is_corrupt() -> None:
    key = str(ObjectKey("log", 0, 0))
    with pytest.raises(ObjectCorrupt, match=f"the object {key} is corrupt: it is gone"):
        list(read_prints(FakeStore(), [key], FEEDS, subscriptions=Subscriptions()))


def test_a_print_that_cannot_be_read_keeps_its_place_and_what_can_be_told() -> None:
    session = Session(collector="a")
    item = '{"s":"AAPL","p":%s,"t":%d,"v":1}'
    bodies = ["7", item % ("null", NOON_MS), item % ("1", 10**18), item % ("1e-9", NOON_MS), '{"s":5}', '{"s":"IBM","s":"IBM"}']
    message = f'{{"data":[{",".join(bodies)}],"type":"trade"}}'
    keeping = {"finnhub": Feed(parser="finnhub", grace_ns=MINUTE_NS, replays_on_reconnect=False, drops_repeats=True)}
    prints = read([session.raw(message.encode(), received_ms=NOON_MS), session.raw(b"7", received_ms=NOON_MS + 1)], feeds=keeping)

    assert [(each.symbol, each.reason) for each in prints[:6]] == [
        *(("", "malformed"), ("AAPL", "malformed"), ("AAPL", "malformed"), ("AAPL", "not_representable")),
        *(("", "malformed"), ("IBM", "duplicate_keys")),
    ]
    for index, each in enumerate(prints[:6]):
        assert each[:6] == (0, NOON_MS * 1_000_000, session.name, 0, index, "finnhub")
        assert (each.price, each.size, each.conditions, each.line, each.frame) == (0, 0, (), 0, message)
        assert each.object_key == str(ObjectKey("log", 0, 0))
    assert prints[6] == prints[0]._replace(received_ns=(NOON_MS + 1) * 1_000_000, seq=1, line=1, frame="")


def test_a_print_of_an_answer_keeps_its_place_too_and_a_whole_answer_that_cannot_be_read_has_none() -> None:
    session = Session(collector="a", feed="finnhub_tick")
    answer = answer_of({}, {"p": "null"}, {"v": "7"})
    keeping = {"finnhub_tick": msgspec.structs.replace(FEEDS["finnhub_tick"], drops_repeats=True)}
    prints = read([session.raw(answer, received_ms=NOON_MS), session.raw(b"7", received_ms=NOON_MS + 1)], feeds=keeping)

    assert [(each.line, each.print_index, each.symbol, each.size // UNITS, each.reason) for each in prints] == [
        (0, 0, "AAPL", 100, ""),
        (0, 1, "AAPL", 0, "malformed"),
        (0, 2, "AAPL", 7, ""),
        (1, 0, "", 0, "malformed"),
    ]
    assert [each.frame for each in prints] == [answer.decode()] * 3 + [""]


@pytest.mark.parametrize("digits", ["0", "-0.0", "0e999999"])
def test_a_time_of_zero_is_1970_however_it_is_written(digits: str) -> None:
    (found,) = read([Session(feed="finnhub_tick").raw(answer_of({"t": digits}), received_ms=NOON_MS)])
    assert (found.traded_ms, found.reason) == (0, "time_before_1990")


def test_the_second_copy_of_a_record_is_a_duplicate_and_twins_are_trades() -> None:
    session = Session()
    sent = session.frame([TICK, TICK])
    assert judge([sent, session.frame([TICK])], [sent]) == {
        (0, 0): "",
        (0, 1): "",
        (1, 0): "",
        (2, 0): "resent_frame",
        (2, 1): "resent_frame",
    }


def test_a_broken_print_that_was_sent_again_is_a_duplicate_too() -> None:
    sent = Session().frame([Tick("AAPL", NOON_MS, "0", "1")])
    assert judge([sent, sent]) == {(0, 0): "price_not_positive", (1, 0): "resent_frame"}


def test_a_record_that_lies_in_two_objects_is_one() -> None:
    session = Session()
    records = [session.frame([TICK]) for _ in range(3)]
    store = FakeStore()
    store.put(str(ObjectKey("log", 0, 0)), encode_object(records))
    store.put(str(ObjectKey("log", 0, 2)), encode_object(records[2:]))
    prints = read_prints(store, list(store.list("landing/")), FEEDS, subscriptions=Subscriptions())
    assert [(each.offset, each.reason) for each in judge_prints(prints, FEEDS, Subscriptions())] == [(0, ""), (1, ""), (2, "")]


def test_the_nth_of_a_kind_at_one_collector_is_the_nth_of_its_kind_at_another() -> None:
    a, b = Session(collector="a", number=1), Session(collector="b", number=2)
    of_a = [a.frame([TICK], received_ms=NOON_MS + moment) for moment in (10, 20, 30)]
    of_b = [b.frame([TICK], received_ms=NOON_MS + moment) for moment in (9, 25)]
    assert judge(of_a, of_b) == {(0, 0): "other_collector", (1, 0): "", (2, 0): "", (3, 0): "", (4, 0): "other_collector"}


@pytest.mark.parametrize(
    "other",
    [
        Tick("AAPL", NOON_MS + 1, "190.10", "100", ("1", "12")),
        Tick("AAPL", NOON_MS, "190.11", "100", ("1", "12")),
        Tick("AAPL", NOON_MS, "190.10", "101", ("1", "12")),
        Tick("AAPL", NOON_MS, "190.10", "100", ("1",)),
        Tick("IBM", NOON_MS, "190.10", "100", ("1", "12")),
    ],
)
def test_what_differs_in_anything_is_another_trade(other: Tick) -> None:
    a, b = Session(collector="a", number=1), Session(collector="b", number=2)
    assert set(judge([a.frame([TICK])], [b.frame([other])]).values()) == {""}


def test_feeds_are_apart() -> None:
    a, b = Session(collector="a", number=1), Session(collector="b", number=2, feed="demo")
    assert set(judge([a.frame([TICK])], [b.frame([TICK])]).values()) == {""}


def test_sessions_of_a_collector_count_on_unless_the_feed_replays() -> None:
    first, second = Session(collector="a", number=1), Session(collector="a", number=2)
    records = [first.frame([TICK]), second.frame([TICK], received_ms=NOON_MS + 1)]
    replaying = {"finnhub": Feed(parser="finnhub", grace_ns=MINUTE_NS, replays_on_reconnect=True, drops_repeats=False)}

    assert list(judge(records).values()) == ["", ""]
    assert judge(records, feeds=replaying) == {(0, 0): "", (1, 0): "other_collector"}


def test_a_message_under_two_numbers_is_kept_unless_the_feed_drops_repeats() -> None:
    session = Session()
    other = Tick("IBM", NOON_MS, "1", "1")
    records = [session.frame(ticks) for ticks in ([TICK, other], [TICK], [TICK, other], [TICK, other])]
    dropping = {"finnhub": Feed(parser="finnhub", grace_ns=MINUTE_NS, replays_on_reconnect=False, drops_repeats=True)}

    assert set(judge(records).values()) == {""}
    assert judge(records, feeds=dropping) == {
        (0, 0): "",
        (0, 1): "",
        (1, 0): "",
        **{(offset, index): "suspected_repeat" for offset in (2, 3) for index in (0, 1)},
    }


def test_another_sessions_message_is_no_repeat_and_a_broken_print_is_no_first_one() -> None:
    one, two = Session(number=1), Session(number=2)
    dropping = {"finnhub": Feed(parser="finnhub", grace_ns=MINUTE_NS, replays_on_reconnect=False, drops_repeats=True)}
    early = Tick("AAPL", NOON_MS + 120_000, "1", "1")  # two minutes ahead of its first receipt, and in time for its second

    assert set(judge([one.frame([TICK])], [two.frame([TICK])], feeds=dropping).values()) == {""}
    records = [one.frame([early], received_ms=NOON_MS), one.frame([early], received_ms=NOON_MS + 120_000)]
    assert judge(records, feeds=dropping) == {(0, 0): "time_in_future", (1, 0): ""}


def test_each_five_minutes_have_a_first_message_of_their_own() -> None:
    session = Session()
    dropping = {"finnhub": Feed(parser="finnhub", grace_ns=MINUTE_NS, replays_on_reconnect=False, drops_repeats=True)}
    early = Tick("AAPL", NOON_MS + 300_000, "1", "1")
    records = [session.frame([TICK, early], received_ms=NOON_MS), session.frame([TICK, early], received_ms=NOON_MS + 300_000)]
    assert judge(records, feeds=dropping) == {(0, 0): "", (0, 1): "time_in_future", (1, 0): "suspected_repeat", (1, 1): ""}


def test_the_first_number_of_a_message_is_the_genuine_one_wherever_it_lies() -> None:
    session = Session()
    dropping = {"finnhub": Feed(parser="finnhub", grace_ns=MINUTE_NS, replays_on_reconnect=False, drops_repeats=True)}
    early, again = session.frame([TICK]), session.frame([TICK])
    assert judge([again, early], feeds=dropping) == {(0, 0): "suspected_repeat", (1, 0): ""}


def test_a_symbol_that_its_session_never_named_is_no_trade_where_the_session_announces_its_wishes() -> None:
    one, other = Session(number=1), Session(number=2)
    ibm, broken = Tick("IBM", NOON_MS, "1", "1"), Tick("IBM", NOON_MS, "0", "1")
    announced = one.control("subscribing", received_ms=NOON_MS, symbols=["AAPL"])
    early, late = one.frame([TICK, ibm, broken]), one.frame([ibm])
    named = one.control("subscribed", received_ms=NOON_MS, symbols=["IBM"], without_slot=["SPY"])
    judged = {(0, 0): "", (0, 1): "symbol_not_subscribed", (0, 2): "price_not_positive", (2, 0): "symbol_not_subscribed"}

    assert judge([early, announced, late]) == judged
    assert set(judge([early, announced, late, named]).values()) == {"", "price_not_positive"}
    assert judge([announced, early, early]) == {
        (1, 0): "",
        (1, 1): "symbol_not_subscribed",
        (1, 2): "price_not_positive",
        **{(2, index): "resent_frame" for index in range(3)},
    }
    assert judge([announced, other.frame([ibm])]) == {(1, 0): ""}


@pytest.mark.parametrize("control", [("subscribed", ["AAPL"]), ("unsubscribed", ["AAPL"]), ("subscribing", [])])
def test_a_session_that_announces_nothing_is_not_judged(control: tuple[str, list[str]]) -> None:
    session = Session()
    said = session.control(control[0], received_ms=NOON_MS, symbols=control[1])
    assert judge([said, session.control("heartbeat", received_ms=NOON_MS), session.frame([Tick("IBM", NOON_MS, "1", "1")])]) == {(2, 0): ""}


def test_what_was_given_up_had_been_named_and_what_got_no_slot_had_not() -> None:
    session = Session()
    records = [
        session.control("subscribing", received_ms=NOON_MS, symbols=["AAPL"]),
        session.control("subscribed", received_ms=NOON_MS, symbols=["AAPL"], without_slot=["IBM"]),
        session.control("unsubscribed", received_ms=NOON_MS, symbols=["AAPL", "SPY"], cause="rotation"),
        session.frame([TICK, Tick("IBM", NOON_MS, "1", "1"), Tick("SPY", NOON_MS, "1", "1")]),
    ]
    assert judge(records) == {(3, 0): "", (3, 1): "symbol_not_subscribed", (3, 2): "symbol_not_subscribed"}
