"""What the client notices, on simulated time: a hang, a dead line, a symbol that fell silent; and what it lets be."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from tests.live_rig import TRANSPORTS, Play, Story, Vendor, live, trade
from tests.simulated_time import SimulatedClock, run_simulated
from ticklake.feed.finnhub.client import Limits
from ticklake.feed.finnhub.ports import Transport

PING = '{"type":"ping"}'


def always(_symbol: str, _now_ns: int) -> bool:
    return True


def collect_from(play: Play, *, seconds: float, slots: int = 50, **options: Any) -> Story:
    """Collect from a vendor who does that with each connection."""

    async def run(clock: SimulatedClock) -> Story:
        return await live(clock, Vendor(clock, play, slots=slots), seconds=seconds, **options)

    story: Story = run_simulated(run)
    return story


async def trade_each_second(
    vendor: Vendor, socket: ServerConnection, *, until: float = 1e9, mute: Callable[[str], bool] = lambda _: False
) -> None:
    """Trade each symbol that is subscribed once a second, but for those that are mute."""
    while vendor.now < until:
        await asyncio.sleep(1)
        if told := [symbol for symbol in sorted(vendor.symbols) if not mute(symbol)]:
            await socket.send(trade(*told))
    await asyncio.Event().wait()


async def ping_each_minute(_vendor: Vendor, socket: ServerConnection) -> None:
    """Say what the vendor says at night."""
    while True:
        await asyncio.sleep(60)
        await socket.send(PING)


@TRANSPORTS
def test_a_hang_is_noticed_within_its_limit_and_all_symbols_are_back_with_a_log_in_memory(transport: Transport) -> None:
    async def hang(vendor: Vendor, socket: ServerConnection) -> None:
        await trade_each_second(vendor, socket, until=30 if len(vendor.opened) == 1 else 1e9)

    story = collect_from(hang, seconds=200, is_trading=always, transport=transport)
    (closed, stopped) = story.controls("session_closed")
    assert (closed["cause"], stopped["cause"]) == ("silence", "stopped")
    assert closed["at"] == pytest.approx(30 + 90, abs=0.1)
    opened = story.controls("session_opened")[1]
    assert opened["at"] - closed["at"] < 2
    subscribed = story.controls("subscribed")[1]
    assert subscribed["symbols"] == ["AAPL", "MSFT"]
    assert subscribed["at"] - opened["at"] < 0.5
    assert {symbol for at, kind, symbol in story.vendor.wishes if kind == "subscribe" and at > 120} == {"AAPL", "MSFT"}
    assert story.controls("unsubscribed") == []  # it was no symbol's own silence


def test_a_dead_market_at_night_causes_no_reconnect_and_no_question_with_a_log_in_memory() -> None:
    story = collect_from(ping_each_minute, seconds=3_600)
    assert (story.client.attempts, story.client.connections) == (1, 1)
    assert len(story.controls("heartbeat")) == pytest.approx(3_600, abs=5)
    assert len(story.vendor.wishes) == 2
    assert [each["cause"] for each in story.controls("session_closed")] == ["stopped"]


@TRANSPORTS
def test_a_line_that_is_dead_is_noticed_by_a_ping_without_an_answer_with_a_log_in_memory(transport: Transport) -> None:
    async def freeze(vendor: Vendor, socket: ServerConnection) -> None:
        await asyncio.sleep(5)
        if len(vendor.opened) == 1:
            socket.transport.pause_reading()
        await trade_each_second(vendor, socket)  # it goes on sending: only our words are lost

    story = collect_from(freeze, seconds=60, transport=transport)
    closed = story.controls("session_closed")[0]
    assert (closed["cause"], closed["detail"]) == ("connection_lost", "a ping was not answered")
    assert closed["at"] <= 2 * Limits().ping_seconds + Limits().close_seconds + 0.1
    assert story.client.connections == 2


@TRANSPORTS
def test_wishes_are_recorded_before_they_are_sent_and_as_granted_after_with_a_log_in_memory(transport: Transport) -> None:
    story = collect_from(trade_each_second, seconds=5, transport=transport)
    first, second = story.records[:2]
    assert (first["control"]["type"], second["control"]) == ("session_opened", {"type": "subscribing", "symbols": ["AAPL", "MSFT"]})
    (subscribing,), (subscribed,) = story.controls("subscribing"), story.controls("subscribed")
    assert all(subscribing["at"] - 1e-6 < at < subscribed["at"] + 1e-6 for at, _, _ in story.vendor.wishes)


def test_a_symbol_that_falls_silent_is_asked_for_again_with_a_log_in_memory() -> None:
    async def lose_a_symbol(vendor: Vendor, socket: ServerConnection) -> None:
        def is_mute(symbol: str) -> bool:
            wishes = [at for at, kind, wished in vendor.wishes if (kind, wished) == ("unsubscribe", symbol)]
            return symbol == "MSFT" and vendor.now > 100 and not wishes

        await trade_each_second(vendor, socket, mute=is_mute)

    story = collect_from(lose_a_symbol, seconds=300, is_trading=always)
    (lost,) = story.controls("unsubscribed")
    with_msft = [record["received_ns"] for record in story.records if "MSFT" in str(record.get("frame"))]
    last_before = max(each for each in with_msft if each < with_msft[0] + 110e9)
    assert (lost["symbols"], lost["cause"], lost["since_ns"]) == (["MSFT"], "symbol_silent", last_before)
    assert 160 < lost["at"] < 163
    assert [each["symbols"] for each in story.controls("subscribed")] == [["AAPL", "MSFT"], ["MSFT"]]
    assert [(kind, symbol) for _, kind, symbol in story.vendor.wishes[2:]] == [("unsubscribe", "MSFT"), ("subscribe", "MSFT")]
    assert [at for at, _, _ in story.vendor.wishes[2:]] == pytest.approx([lost["at"]] * 2, abs=0.1)
    assert max(with_msft) == pytest.approx(max(record["received_ns"] for record in story.records), abs=3e9)
    assert story.client.connections == 1


def test_a_halt_is_asked_about_ever_more_seldom_with_a_log_in_memory() -> None:
    async def halt(vendor: Vendor, socket: ServerConnection) -> None:
        await trade_each_second(vendor, socket, mute=lambda symbol: symbol == "MSFT" and vendor.now > 100)

    story = collect_from(halt, seconds=1_200, is_trading=always)
    asked = [each["at"] for each in story.controls("unsubscribed")]
    waits = [later - earlier for earlier, later in zip([100, *asked], asked, strict=False)]
    assert waits == pytest.approx([60, 120, 240, 480], abs=3)
    since = [each["since_ns"] for each in story.controls("unsubscribed")]
    assert since == sorted(set(since))  # each from the answer to the question before


def test_silence_before_the_opening_counts_for_nothing_with_a_log_in_memory() -> None:
    def is_open(_symbol: str, now_ns: int) -> bool:
        return not 200 < (now_ns - began_ns) / 1e9 < 1_000

    began_ns = 0

    async def close_and_open(vendor: Vendor, socket: ServerConnection) -> None:
        nonlocal began_ns
        began_ns = vendor.clock.now_ns()
        await asyncio.gather(ping_each_minute(vendor, socket), trade_each_second(vendor, socket, mute=lambda _: 190 < vendor.now < 1_030))

    story = collect_from(close_and_open, seconds=1_200, is_trading=is_open)
    assert story.controls("unsubscribed") == []
    assert story.client.connections == 1


def test_more_symbols_than_slots_take_turns_and_each_absence_is_recorded_with_a_log_in_memory() -> None:
    symbols = ["SPY", "A", "B", "C", "D", "E"]
    limits = Limits(slots=3, rotation_seconds=100, pinned=("SPY",))
    most = 0

    async def count_slots(vendor: Vendor, socket: ServerConnection) -> None:
        nonlocal most
        while True:
            await asyncio.sleep(2)
            most = max(most, len(vendor.symbols))
            await socket.send(trade("SPY"))

    story = collect_from(count_slots, seconds=1_049, slots=3, symbols=symbols, limits=limits)
    assert most == 3
    assert not [record for record in story.records if (record.get("frame") or {}).get("type") == "error"]
    turns = [each["symbols"] for each in story.controls("subscribing")]
    assert turns[:4] == [["SPY", "A", "B"], ["C", "D"], ["E", "A"], ["B", "C"]]
    dropped = story.controls("unsubscribed")
    assert {each["cause"] for each in dropped} == {"rotation"}
    assert [each["symbols"] for each in dropped][:3] == [["A", "B"], ["C", "D"], ["E", "A"]]
    shares = {symbol: sum(symbol in turn for turn in turns) for symbol in symbols}
    assert shares == {"SPY": 1, "A": 5, "B": 5, "C": 4, "D": 4, "E": 4}
    assert [each["at"] for each in dropped] == pytest.approx([100.0 * turn for turn in range(1, 11)], abs=1.1)
    for turn, (before, after) in enumerate(zip(dropped, story.controls("subscribed")[1:], strict=True)):
        wishes = [(kind, symbol) for at, kind, symbol in story.vendor.wishes if before["at"] - 0.1 < at < after["at"] + 0.1]
        kinds = [kind for kind, _ in wishes]
        assert kinds == sorted(kinds, reverse=True), f"turn {turn} takes slots before it frees them"  # unsubscribe, then subscribe
        assert after["symbols"] == [symbol for kind, symbol in wishes if kind == "subscribe"]


@TRANSPORTS
def test_a_turn_that_finds_fewer_slots_than_the_plan_says_names_who_has_none_with_a_log_in_memory(transport: Transport) -> None:
    story = collect_from(
        trade_each_second, seconds=80, slots=2, symbols=list("ABCDEF"), limits=Limits(slots=3, rotation_seconds=30), transport=transport
    )
    errors = [record for record in story.records if (record.get("frame") or {}).get("type") == "error"]
    assert len(errors) == 3
    assert [(each["symbols"], each["without_slot"]) for each in story.controls("subscribed")] == [
        (["A", "B"], ["C", "D", "E", "F"]),
        (["D", "E"], ["F"]),
        (["A", "B"], ["C"]),
    ]
    causes = [(each["symbols"], each["cause"]) for each in story.controls("unsubscribed")]
    assert causes == [(["C"], "no_slot"), (["A", "B"], "rotation"), (["F"], "no_slot"), (["D", "E"], "rotation"), (["C"], "no_slot")]


@pytest.mark.parametrize(
    ("said", "symbol", "cause"),
    [("Subscribing to too many symbols", "MSFT", "no_slot"), ("Invalid symbol AAPL", "AAPL", "invalid_symbol")],
)
@TRANSPORTS
def test_a_refusal_that_answers_no_wish_holds_until_a_print_proves_it_wrong_with_a_log_in_memory(
    said: str, symbol: str, cause: str, transport: Transport
) -> None:
    no_proof = [
        f'{{"type":"news","data":[{{"s":"{symbol}"}}]}}',
        f'{{"type":"trade","data":[],"of":{{"s":"{symbol}"}}}}',
        trade(symbol)[:-1],
    ]

    async def refuse(_vendor: Vendor, socket: ServerConnection) -> None:
        await asyncio.sleep(5)
        for message in (f'{{"type":"error","msg":"{said}"}}', *no_proof):
            await socket.send(message)
        await asyncio.sleep(5)
        for _ in range(30):
            await socket.send(trade("AAPL", "MSFT", symbol))
            await asyncio.sleep(1)
        while True:  # from then on the other one alone
            await asyncio.sleep(1)
            await socket.send(trade({"AAPL": "MSFT", "MSFT": "AAPL"}[symbol]))

    story = collect_from(refuse, seconds=130, is_trading=always, transport=transport)
    (refused, silent), (_, healed, _) = story.controls("unsubscribed"), story.controls("subscribed")
    assert (refused["symbols"], refused["cause"]) == ([symbol], cause)
    assert (healed["symbols"], healed["without_slot"]) == ([symbol], [])
    place = [place for place, record in enumerate(story.records) if record.get("control", {}).get("type") == "subscribed"][1]
    assert story.records[place + 1]["frame"]["data"][-1]["s"] == symbol  # the print that proves it is observed
    assert (silent["symbols"], silent["cause"]) == ([symbol], "symbol_silent")  # it is among the rates again
    assert silent["at"] == pytest.approx(healed["at"] + 29 + 60, abs=2)


def test_a_print_of_a_symbol_whose_turn_is_over_proves_nothing_with_a_log_in_memory() -> None:
    """A refused symbol that leaves gives its slot back too: it may have had one."""

    async def refuse_then_tell(vendor: Vendor, socket: ServerConnection) -> None:
        await asyncio.sleep(5)
        await socket.send('{"type":"error","msg":"Invalid symbol A"}')
        while True:
            await asyncio.sleep(10)
            await socket.send(trade("A") if vendor.now > 30 else trade("B"))

    limits = Limits(slots=2, rotation_seconds=30)
    story = collect_from(refuse_then_tell, seconds=55, symbols=list("ABCD"), limits=limits)
    assert [(each["symbols"], each["cause"]) for each in story.controls("unsubscribed")] == [(["A"], "invalid_symbol"), (["B"], "rotation")]
    assert [each["symbols"] for each in story.controls("subscribed")] == [["A", "B"], ["C", "D"]]
    assert [symbol for _, kind, symbol in story.vendor.wishes if kind == "unsubscribe"] == ["A", "B"]


@pytest.mark.parametrize("ends", ["with an answer to the goodbye", "without"])
@TRANSPORTS
def test_a_connection_is_gone_before_the_next_one_opens_with_a_log_in_memory(
    ends: str, monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    diary: list[tuple[str, float]] = []

    async def run(clock: SimulatedClock) -> None:
        async def hold(vendor: Vendor, socket: ServerConnection) -> None:
            diary.append(("opened", vendor.now))
            if ends == "without":
                monkeypatch.setattr(socket, "data_received", lambda _data: None)
            try:
                await asyncio.Event().wait()
            finally:
                diary.append(("closed", vendor.now))

        limits = Limits(silence_seconds=10, ping_seconds=1_000)
        await live(clock, Vendor(clock, hold), seconds=100, limits=limits, transport=transport)

    run_simulated(run)
    assert [what for what, _ in diary] == ["opened", "closed"] * (len(diary) // 2)
    assert len(diary) >= 10
    lasted = [closed - opened for (_, opened), (_, closed) in zip(diary[:-2:2], diary[1:-2:2], strict=True)]
    bound = 10 + (Limits().close_seconds if ends == "without" else 0)
    assert lasted == pytest.approx([bound] * len(lasted), abs=0.1)


def test_the_servers_clock_is_recorded_beside_ours_with_a_log_in_memory() -> None:
    async def run(clock: SimulatedClock) -> Story:
        async def wait(_vendor: Vendor, _socket: ServerConnection) -> None:
            await asyncio.Event().wait()

        return await live(clock, Vendor(clock, wait), seconds=1)

    story: Story = run_simulated(run)
    (opened,) = story.controls("session_opened")
    assert opened["server_date"].endswith("GMT")
    offset_days = opened["clock_offset_ms"] / 86_400_000  # the server's date is the machine's, ours is simulated
    assert abs(offset_days) > 1
