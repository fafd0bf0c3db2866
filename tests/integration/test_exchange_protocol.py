"""The exchange as somebody else's client finds it: the vendor's protocol, and the market's clock."""

import json
from http import HTTPStatus

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.exchange_rig import KEY, OTHER_KEY, delivered, dial, make_exchange, on_loopback, read_trades, run_day, wish

PING = b'{"type":"ping"}'


def test_a_whole_day_arrives_as_it_was_told() -> None:
    exchange = make_exchange()
    ((heard,),) = run_day(exchange)
    told = exchange.told
    assert len(told.trades) - len(list(told.reached())) < 100  # what was told before the last symbol was subscribed to
    assert heard.trades() == delivered(exchange, 1)
    assert set(heard.trades()) == set(told.reached())
    assert heard.messages[-1] == PING
    assert (told.quirks, told.spoilt, told.unanswered) == ([], {}, {})
    (connection,) = told.connections
    assert (connection.number, connection.key, connection.nth) == (1, 1, 1)


def test_only_what_is_subscribed_to_is_told_and_unsubscribing_ends_it() -> None:
    exchange = make_exchange(prints=3_000, window=1)

    async def talk(port: int) -> None:
        async with dial(port) as socket:
            await wish(socket, "subscribe", "AAPL", "MSFT")
            symbols: set[str] = set()
            while symbols != {"AAPL", "MSFT"}:
                symbols |= {trade.symbol for trade in read_trades(await socket.recv(decode=False))}
            await wish(socket, "unsubscribe", "AAPL")
            later = [{trade.symbol for trade in read_trades(await socket.recv(decode=False))} for _ in range(100)]
            assert {"AAPL"} not in later[10:]
            assert set().union(*later) <= {"AAPL", "MSFT"}

    on_loopback(exchange, talk)


def test_a_symbol_that_nobody_knows_and_one_too_many_are_refused_and_a_slot_comes_free() -> None:
    exchange = make_exchange(slots=2, speed=0.001)

    async def talk(port: int) -> None:
        async with dial(port) as socket:
            await wish(socket, "subscribe", "FX:EURUSD", "AAPL", "MSFT", "AAPL", "NVDA")
            answers = [json.loads(await socket.recv()) for _ in range(2)]
            assert answers == [
                {"type": "error", "msg": "Invalid symbol FX:EURUSD"},
                {"type": "error", "msg": "Subscribing to too many symbols"},
            ]
            await wish(socket, "unsubscribe", "AAPL")
            await wish(socket, "subscribe", "NVDA", "TSLA")
            assert json.loads(await socket.recv())["msg"] == "Subscribing to too many symbols"  # TSLA: NVDA has the slot

    on_loopback(exchange, talk)


@pytest.mark.parametrize(
    "nonsense", ["", "{", "[]", "7", '{"type":"subscribe"}', '{"type":"subscribe","symbol":["AAPL"]}', '{"type":"sing"}']
)
def test_what_is_no_wish_is_passed_over(nonsense: str) -> None:
    async def talk(port: int) -> None:
        async with dial(port) as socket:
            await socket.send(nonsense)
            await wish(socket, "subscribe", "FX:EURUSD")
            assert "FX:EURUSD" in str(await socket.recv())

    on_loopback(make_exchange(prints=100), talk)


@pytest.mark.parametrize("key", ["wrong", "", f"{KEY}&token={KEY}"])
def test_a_key_that_is_not_known_is_refused(key: str) -> None:
    async def talk(port: int) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await dial(port, key)
        assert refused.value.response.status_code == HTTPStatus.UNAUTHORIZED

    on_loopback(make_exchange(prints=100), talk)


def test_too_many_attempts_are_refused_and_told_when_to_come_back() -> None:
    exchange = make_exchange(prints=100, refusals=2)

    async def talk(port: int) -> None:
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refused:
                await dial(port)
            assert refused.value.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
            assert refused.value.response.headers["Retry-After"] == "0"
        async with dial(port):
            assert exchange.attempts == 3

    on_loopback(exchange, talk)


def test_a_second_connection_on_a_key_drops_both_and_one_on_another_key_none() -> None:
    exchange = make_exchange(prints=100, keys=(OTHER_KEY,), speed=0.001)

    async def talk(port: int) -> None:
        async with dial(port) as first, dial(port, OTHER_KEY) as other, dial(port) as second:
            for each in (first, second):
                with pytest.raises(ConnectionClosed):
                    await each.recv()
            await wish(other, "subscribe", "FX:EURUSD")
            assert "FX:EURUSD" in str(await other.recv())

    on_loopback(exchange, talk)
    assert exchange.told.played == {"second_connection": 1}
    assert {each.key: each.ended == "second_connection" for each in exchange.told.connections} == {1: True, 2: False}


def test_signs_of_life_come_while_the_market_is_quiet() -> None:
    exchange = make_exchange(prints=100, speed=0.000_001, ping_seconds=0.05)

    async def talk(port: int) -> None:
        async with dial(port) as socket:
            await wish(socket, "subscribe", *exchange.symbols)
            said: list[bytes] = []
            while said.count(PING) < 3:
                said.append(await socket.recv(decode=False))
            assert len(said) <= 4  # the first frame may be among them

    on_loopback(exchange, talk)


# The clock


def test_the_market_stands_still_until_somebody_subscribes_and_then_runs_at_its_speed() -> None:
    exchange = make_exchange(speed=36_000.0)
    clock = exchange.market_clock
    first_ns = clock.now_ns()
    assert first_ns == 1_763_456_400_000_000_000  # 04:00 in New York

    async def talk(port: int) -> None:
        async with dial(port) as socket:
            assert clock.now_ns() == first_ns
            await wish(socket, "subscribe", *exchange.symbols)
            await socket.recv()
            started_ns, real_ns = clock.now_ns(), clock.monotonic_ns()
            for _ in range(20):
                await socket.recv()
            ratio = (clock.now_ns() - started_ns) / (clock.monotonic_ns() - real_ns)
            assert 34_000 < ratio < 38_000

    on_loopback(exchange, talk)
    assert exchange.told.told_ns == sorted(exchange.told.told_ns)


def test_at_full_speed_it_is_the_time_of_what_is_told() -> None:
    exchange = make_exchange()
    run_day(exchange)
    told = exchange.told
    assert told.told_ns == sorted(told.told_ns)
    assert all(at_ns >= trade.traded_ms * 1_000_000 for trade, at_ns in zip(told.trades, told.told_ns, strict=True))
    assert exchange.market_clock.now_ns() == told.told_ns[-1]
    assert told.told_clock_ns == sorted(told.told_clock_ns)
    assert told.told_clock_ns[0] > 1_763_456_400_000_000_000
