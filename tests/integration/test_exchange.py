"""The exchange as somebody else's client finds it: each quirk, and a truth that is what was read."""

import itertools
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.exchange_rig import KEY, OTHER_KEY, Heard, delivered, dial, hear, make_exchange, on_loopback, read_trades, run_day, wish
from ticklake.feed.exchange.quirks import ALL_KINDS, Quirks
from ticklake.feed.exchange.serve import Exchange
from ticklake.feed.exchange.tape import make_tape
from ticklake.feed.exchange.truth import Halt

if TYPE_CHECKING:
    from collections.abc import Callable

    from ticklake.feed.exchange.prints import Trade


def played(exchange: Exchange, quirk: str) -> list[list[int]]:
    """Give the trades that each playing of a quirk hit."""
    return [each.trades for each in exchange.told.quirks if each.quirk == quirk]


def assert_heard(exchange: Exchange, heard: list[Heard]) -> None:
    """What each connection read is what the truth says arrived on it."""
    assert len(heard) == len(exchange.told.connections)
    for number, each in enumerate(heard, 1):
        assert each.trades() == delivered(exchange, number), number


# The quirks, one by one


def test_a_frame_may_come_three_times() -> None:
    exchange = make_exchange(quirks=Quirks(repeat=0.3))
    ((heard,),) = run_day(exchange)
    again = Counter(exchange.told.trades[each] for trades in played(exchange, "repeat") for each in trades)
    assert 0 < len(again) < len(exchange.told.trades)
    assert heard.trades() == delivered(exchange, 1) + again + again


def test_prints_may_stand_in_no_order_in_a_frame() -> None:
    straight, exchange = make_exchange(), make_exchange(quirks=Quirks(shuffle=1))
    (in_order,), (heard,) = run_day(straight)[0], run_day(exchange)[0]
    assert len(played(exchange, "shuffle")) > 100
    assert set(heard.messages) != set(in_order.messages)
    assert_heard(exchange, [heard])


def test_a_frame_may_come_behind_the_next_one() -> None:
    exchange = make_exchange(quirks=Quirks(swap=0.5))
    ((heard,),) = run_day(exchange)
    assert_heard(exchange, [heard])
    place = {trade: number for number, trade in reversed(list(enumerate(exchange.told.trades)))}
    order = [min(place[trade] for trade in trades) for message in heard.messages if (trades := list(read_trades(message)))]
    assert sum(later < earlier for earlier, later in itertools.pairwise(order)) > len(played(exchange, "swap")) / 2 > 20


def test_a_print_in_seconds_and_a_frame_that_is_cut_did_not_arrive_intact() -> None:
    exchange = make_exchange(quirks=Quirks(seconds=0.3, truncate=0.2))
    ((heard,),) = run_day(exchange)
    assert_heard(exchange, [heard])
    reasons = Counter(reason for each in exchange.told.spoilt.values() for reason in each.values())
    assert reasons.keys() == {"time_in_seconds", "malformed"}
    assert sorted(exchange.told.spoilt) == sorted(
        {each for quirk in ("seconds", "truncate") for trades in played(exchange, quirk) for each in trades}
    )
    assert not any(exchange.told.delivered[each] for each in exchange.told.spoilt)
    assert all(each.is_delivered for each in exchange.told.quirks)


def test_what_is_no_trade_comes_between_frames_and_is_named() -> None:
    exchange = make_exchange(quirks=Quirks(garbage=0.2, unknown=0.2, error=0.2))
    ((heard,),) = run_day(exchange)
    assert_heard(exchange, [heard])
    counts = exchange.told.played
    assert heard.count(b'{"type":"news","data":[]}') == counts["unknown"] > 20
    errors = [json.loads(message)["msg"] for message in heard.messages if message.startswith(b'{"type":"error"')]
    assert sorted(errors) == sorted(each.note for each in exchange.told.quirks if each.quirk == "error")
    assert len({error[:7] for error in errors}) == 2
    frames = sum(1 for message in heard.messages if list(read_trades(message)))
    assert len(heard.messages) == frames + counts["garbage"] + counts["unknown"] + counts["error"] + 1  # the last is the ping
    assert {each.note for each in exchange.told.quirks if each.quirk == "garbage"} == {"malformed", "duplicate_keys"}


def test_a_symbol_may_fall_silent_until_it_is_unsubscribed_and_subscribed_again() -> None:
    exchange = make_exchange(prints=4_000, quirks=Quirks(mute=0.02), window=1)

    async def talk(port: int) -> None:
        async with dial(port) as socket:
            await wish(socket, "subscribe", *exchange.symbols)
            while "mute" not in exchange.told.played:
                await socket.recv()
            symbol = next(each.note for each in exchange.told.quirks)
            await wish(socket, "subscribe", symbol)  # heals nothing
            silent = [trade.symbol for _ in range(50) for trade in read_trades(await socket.recv(decode=False))]
            assert symbol not in silent[50:]
            await wish(socket, "unsubscribe", symbol)
            await wish(socket, "subscribe", symbol)
            while symbol not in {trade.symbol for trade in read_trades(await socket.recv(decode=False))}:
                pass

    on_loopback(exchange, talk)


@pytest.mark.parametrize(
    ("quirk", "ended", "silence_seconds"), [("close", "closed", 20.0), ("drop", "lost", 20.0), ("hang", "silence", 0.5)]
)
def test_a_connection_may_end_in_the_middle_of_the_day(quirk: str, ended: str, silence_seconds: float) -> None:
    exchange = make_exchange(quirks=Quirks(**{quirk: 0.02}))
    (heard,) = run_day(exchange, silence_seconds=silence_seconds)
    assert_heard(exchange, heard)
    assert len(heard) == exchange.told.played[quirk] + 1 > 3
    assert {each.ended for each in heard[:-1]} == {ended}
    assert {each.ended for each in exchange.told.connections[:-1]} == {quirk}
    assert any(not connections for connections in exchange.told.delivered)  # what was told in between


def test_a_connection_that_hangs_still_answers_pings() -> None:
    exchange = make_exchange(quirks=Quirks(hang=1), ping_seconds=0.05)

    async def talk(port: int) -> None:
        async with dial(port) as socket:
            await wish(socket, "subscribe", *exchange.symbols)
            await hear(socket, heard := Heard(), silence_seconds=0.5)
            assert heard.ended == "silence"
            assert sum(heard.trades().values()) == exchange.told.delivered.count(frozenset({1})) > 0
            await (await socket.ping())

    on_loopback(exchange, talk)


def test_a_connection_may_end_after_so_many_minutes_of_the_market() -> None:
    exchange = make_exchange(quirks=Quirks(close_minutes=180))
    (heard,) = run_day(exchange)
    assert_heard(exchange, heard)
    assert exchange.told.played["close_minutes"] == len(heard) - 1 > 2
    lasted = [(each.to_ns - each.from_ns) / 60e9 for each in exchange.told.connections[:-1]]
    assert all(180 <= minutes < 240 for minutes in lasted)


@pytest.mark.parametrize(("quirk", "size", "rate"), [("oversize", 2 << 20, 0.02), ("huge", 64 << 20, 0.002)])
def test_a_message_may_be_larger_than_any_frame_and_who_takes_it_hears_on(quirk: str, size: int, rate: float) -> None:
    exchange = make_exchange(quirks=Quirks(**{quirk: rate}))
    (heard,) = run_day(exchange)
    assert_heard(exchange, heard)
    assert [len(message) for message in heard[0].messages if len(message) > 1 << 20] == [size] * exchange.told.played[quirk]
    assert len(heard) == 1 <= exchange.told.played[quirk]


def test_the_last_frames_may_come_again_after_a_reconnect() -> None:
    exchange = make_exchange(quirks=Quirks(drop=0.02, overlap=1))
    (heard,) = run_day(exchange)
    assert_heard(exchange, heard)
    assert len(heard) - 2 <= len(played(exchange, "overlap")) < len(heard)  # the last connection may have come for the end alone
    assert len(heard) > 3
    for before, after, again in zip(heard, heard[1:], played(exchange, "overlap"), strict=False):
        assert again
        assert not Counter(exchange.told.trades[each] for each in again) - (before.trades() & after.trades())


def test_an_attempt_may_be_met_by_silence_or_refused() -> None:
    exchange = make_exchange(quirks=Quirks(deaf=0.3, refuse=0.3, drop=0.02))
    (heard,) = run_day(exchange, silence_seconds=1.0)
    assert_heard(exchange, heard)
    counts = exchange.told.played
    assert counts["deaf"] > 0 < counts["refuse"]
    assert exchange.attempts == len(heard) + counts["deaf"] + counts["refuse"]


def test_who_reads_nothing_is_dropped_and_holds_up_nobody_for_long() -> None:
    exchange = make_exchange(prints=200, keys=(OTHER_KEY,), window=4, stall_seconds=0.2)

    async def talk(port: int) -> None:
        async with dial(port) as deaf, dial(port, OTHER_KEY) as other:
            deaf.transport.pause_reading()
            await wish(deaf, "subscribe", *exchange.symbols)
            await wish(other, "subscribe", *exchange.symbols)
            await hear(other, heard := Heard(), silence_seconds=1.0)
            assert heard.trades() == delivered(exchange, 2)
            deaf.transport.abort()

    on_loopback(exchange, talk)
    assert exchange.told.connections[0].ended == "too_slow"
    assert not delivered(exchange, 1)
    assert any(1 in connections for connections in exchange.told.unanswered.values())


def test_a_day_that_cannot_be_told_is_an_error_and_keeps_nobody_waiting() -> None:
    tape = make_tape(3, prints=100, quirks=Quirks())
    tape.frames[5] = [Halt("AAPL", 0, 0)]  # type: ignore[list-item]
    with pytest.raises(AttributeError, match="received_ms"):
        run_day(make_exchange(tape=tape))


# The market's own quirks: genuine, and odd


@pytest.mark.parametrize("quirk", ["late", "twin", "zero", "uncoded", "unknown_code"])
def test_a_genuine_print_may_be_odd_and_arrives_all_the_same(quirk: str) -> None:
    exchange = make_exchange(quirks=Quirks(**{quirk: 0.3}))
    ((heard,),) = run_day(exchange)
    assert_heard(exchange, [heard])
    told = exchange.told
    odd = [each for trades in played(exchange, quirk) for each in trades]
    assert 0.2 * len(told.trades) < len(odd) < 0.6 * len(told.trades)
    is_odd: dict[str, Callable[[int, Trade], bool]] = {
        "late": lambda place, trade: 2_000 <= told.told_ns[place] / 1e6 - trade.traded_ms < 60 * 60_000,
        "twin": lambda _, trade: told.trades.count(trade) > 1,
        "zero": lambda _, trade: trade.size == 0,
        "uncoded": lambda _, trade: trade.conditions == "",
        "unknown_code": lambda _, trade: bool({"0", "42", "55", "99"} & set(trade.conditions.split(","))),
    }
    assert all(is_odd[quirk](place, told.trades[place]) for place in odd)


# All of them, and two listeners


def test_with_every_quirk_on_each_of_two_listeners_read_what_the_truth_says() -> None:
    quirks = {name: min(0.02, rate * 20) for name, rate in zip(ALL_KINDS.__struct_fields__, _rates(ALL_KINDS), strict=True)}
    quirks |= {"repeat": 0.0, "overlap": 0.0, "huge": 0.0, "deaf": 0.2, "refuse": 0.2, "close_minutes": 240.0}
    exchange = make_exchange(prints=4_000, keys=(OTHER_KEY,), quirks=Quirks(**quirks), wait_for=2)
    heard = run_day(exchange, KEY, OTHER_KEY, silence_seconds=0.5)
    for key, connections in enumerate(heard, 1):
        numbers = [each.number for each in exchange.told.connections if each.key == key]
        assert len(connections) == len(numbers) > 3
        for number, each in zip(numbers, connections, strict=True):
            assert each.trades() == delivered(exchange, number), number
    assert exchange.told.played.keys() >= {name for name, rate in quirks.items() if rate > 0.005} - {"close_minutes"}


def test_a_listener_changes_nothing_of_another_ones_quirks() -> None:
    quirks = Quirks(garbage=0.1, truncate=0.1)

    def of_first(exchange: Exchange) -> list[tuple[str, int]]:
        """By the time of the frame, from when both had subscribed to everything."""
        late = exchange.told.told_ns[100]
        return [(each.quirk, each.told_ns) for each in exchange.told.quirks if each.connection == 1 and each.told_ns > late]

    alone, beside = make_exchange(quirks=quirks), make_exchange(quirks=quirks, keys=(OTHER_KEY,))
    run_day(alone)
    run_day(beside, KEY, OTHER_KEY)
    assert of_first(alone) == of_first(beside)
    assert {each.connection for each in beside.told.quirks} == {1, 2}
    assert of_first(beside) != [(each.quirk, each.told_ns) for each in beside.told.quirks if each.connection == 2]


def _rates(quirks: Quirks) -> list[float]:
    return [getattr(quirks, name) for name in quirks.__struct_fields__]
