"""A server that resets, refuses, hangs or is not there, on simulated time: the client tries again for as long as it takes, wisely."""

import asyncio
import contextlib
import gc
import itertools
import socket as sockets
import tracemalloc
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.live_rig import KEY, TRANSPORTS, Forgetful, Story, Vendor, live, traced_memory, trade
from tests.simulated_time import START_NS, SimulatedClock, run_simulated
from ticklake.errors import KeyRefused
from ticklake.feed.finnhub.client import FinnhubClient, Limits, read_retry_after
from ticklake.feed.finnhub.connection import clock_offset_ms
from ticklake.feed.finnhub.ports import Transport
from ticklake.feed.recorder import Recorder
from ticklake.logs import FEED_UNREACHABLE, listen

MIB = 1 << 20
SYMBOLS = [f"S{number}" for number in range(50)]


async def stay(_vendor: Vendor, _socket: ServerConnection) -> None:
    await asyncio.Event().wait()


def test_a_storm_of_resets_leaves_memory_flat_and_attempts_few_and_all_symbols_come_back_with_a_log_that_forgets() -> None:
    """Every 200 ms for ten minutes each connection is reset; then it is calm."""
    storm = 600.0
    held: dict[int, int] = {}

    async def run(clock: SimulatedClock) -> Story:
        standing: set[ServerConnection] = set()

        async def stand(vendor: Vendor, socket: ServerConnection) -> None:
            standing.add(socket)
            try:
                while True:
                    await asyncio.sleep(0.1)
                    if vendor.symbols:
                        await socket.send(trade(*vendor.symbols))
            finally:
                standing.discard(socket)

        vendor = Vendor(clock, stand)

        async def reset() -> None:
            for number in range(int(storm / 0.2)):
                await asyncio.sleep(0.2)
                for socket in tuple(standing):
                    socket.transport.abort()
                vendor.wishes.clear()  # the diary is no part of what must stay flat
                if number in {600, 2_950}:
                    gc.collect()
                    held[number] = tracemalloc.get_traced_memory()[0]

        storming = asyncio.create_task(reset())
        story = await live(clock, vendor, seconds=storm + 15, symbols=SYMBOLS, log=Forgetful())
        await storming
        return story

    with traced_memory():
        story: Story = run_simulated(run)
    vendor = story.vendor
    in_storm = [at for at in vendor.attempts if at < storm]
    gaps = [later - earlier for earlier, later in itertools.pairwise(in_storm)]
    least, most = Limits().least_wait_seconds, Limits().most_wait_seconds
    assert min(gaps) >= least - 1e-6
    assert max(gaps) <= most + 0.3
    assert 600 / (most + 0.3) <= len(in_storm) <= 600 / least
    assert held[2_950] - held[600] < 0.25 * MIB
    assert vendor.symbols == set(SYMBOLS)
    back = [at for at, kind, _ in vendor.wishes if kind == "subscribe"][-len(SYMBOLS) :]
    assert len(back) == len(SYMBOLS)
    assert storm - 0.2 < min(back) <= max(back) < storm + 10


def refuse(status: HTTPStatus, **headers: str) -> Any:
    async def admit(_vendor: Vendor, socket: ServerConnection, _request: Request) -> Response:
        response = socket.respond(status, "not now\n")
        for name, value in headers.items():
            response.headers[name.replace("_", "-")] = value
        return response

    return admit


async def heal(clock: SimulatedClock, vendor: Vendor, *, after: float, **options: Any) -> Story:
    """Let a vendor who refuses everybody have mercy after so long."""
    admit = vendor._admit

    async def relent(vendor: Vendor, socket: ServerConnection, request: Request) -> Response | None:
        return await admit(vendor, socket, request) if admit and vendor.now < after else None

    vendor._admit = relent
    return await live(clock, vendor, seconds=after + 20, log=Forgetful(), **options)


@pytest.mark.parametrize("status", [HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE])
def test_a_server_that_refuses_for_an_hour_is_tried_again_until_it_does_not_with_a_log_that_forgets(status: HTTPStatus) -> None:
    async def run(clock: SimulatedClock) -> Story:
        return await heal(clock, Vendor(clock, stay, admit=refuse(status)), after=3_600)

    story: Story = run_simulated(run)
    assert story.client.connections == 1
    assert story.vendor.symbols == {"AAPL", "MSFT"}
    assert 3_600 / 8.1 < len(story.vendor.attempts) < 3_600 / 0.5
    assert story.vendor.opened[0] < 3_600 + 8.1


@pytest.mark.parametrize("how", ["nobody listens", "no name server answers, as a loop pretends"])
@TRANSPORTS
def test_a_server_that_is_not_there_for_an_hour_is_tried_again_until_it_is(
    how: str, monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    async def run(clock: SimulatedClock) -> tuple[FinnhubClient, float]:
        loop = asyncio.get_running_loop()
        with sockets.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        host = "127.0.0.1" if how == "nobody listens" else "feed.invalid"

        async def look_up(_host: Any, port: Any, **_options: Any) -> Any:
            if clock.monotonic_ns() < 3_600 * 10**9:
                raise sockets.gaierror(sockets.EAI_AGAIN, "Temporary failure in name resolution")
            return [(sockets.AF_INET, sockets.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        if host == "feed.invalid":
            monkeypatch.setattr(loop, "getaddrinfo", look_up)
        recorder = Recorder(Forgetful(), feed="finnhub", collector="rig", clock=clock)
        client = FinnhubClient(recorder, url=f"ws://{host}:{port}", key=KEY, symbols=["AAPL"], clock=clock, transport=transport)
        collecting = asyncio.create_task(client.collect())
        await asyncio.sleep(3_600)
        opened: list[float] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            opened.append(clock.monotonic_ns() / 1e9)
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(listen, "127.0.0.1", port):
            await asyncio.sleep(10)
            client.stop()
            await collecting
        return client, opened[0]

    client, opened = run_simulated(run)
    assert 3_600 / 8.1 < client.attempts < 3_600 / 0.5
    assert opened < 3_600 + 8.1


@TRANSPORTS
def test_a_429_is_left_alone_for_as_long_as_it_asks_with_a_log_that_forgets(transport: Transport) -> None:
    async def run(clock: SimulatedClock) -> Story:
        return await heal(
            clock, Vendor(clock, stay, admit=refuse(HTTPStatus.TOO_MANY_REQUESTS, Retry_After="120")), after=600, transport=transport
        )

    story: Story = run_simulated(run)
    gaps = [later - earlier for earlier, later in itertools.pairwise(story.vendor.attempts)]
    assert gaps
    assert min(gaps) >= 120
    assert max(gaps) <= 120 + Limits().most_wait_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("Wed, 19 Nov 2025 14:02:00 GMT", 120.0),
        ("Wed, 19 Nov 2025 13:02:00 GMT", 0.0),
        ("9" * 400, 999_999_999.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("²", None),
    ],
)
def test_what_a_429_asks_for_is_seconds_or_a_date_or_nothing(text: str, seconds: float | None) -> None:
    assert read_retry_after(text, START_NS) == seconds


def test_a_429_that_asks_for_a_year_is_granted_an_hour_with_a_log_that_forgets() -> None:
    async def run(clock: SimulatedClock) -> Story:
        vendor = Vendor(clock, stay, admit=refuse(HTTPStatus.TOO_MANY_REQUESTS, Retry_After="31536000"))
        return await live(clock, vendor, seconds=8_000, log=Forgetful())

    story: Story = run_simulated(run)
    gaps = [later - earlier for earlier, later in itertools.pairwise(story.vendor.attempts)]
    assert gaps == [pytest.approx(3_600, abs=9)] * 2


@TRANSPORTS
def test_a_handshake_that_hangs_is_given_up_and_a_stop_does_not_wait_for_it_with_a_log_that_forgets(transport: Transport) -> None:
    async def run(clock: SimulatedClock) -> tuple[Story, float]:
        async def hang(_vendor: Vendor, _socket: ServerConnection, _request: Request) -> None:
            await asyncio.sleep(1_000)

        story = await live(clock, Vendor(clock, stay, admit=hang), seconds=61, log=Forgetful(), transport=transport)
        return story, clock.monotonic_ns() / 1e9

    story, ended = run_simulated(run)
    gaps = [later - earlier for earlier, later in itertools.pairwise(story.vendor.attempts)]
    assert len(gaps) >= 3
    assert all(10 + 0.5 <= gap <= 10 + 8.1 for gap in gaps)
    assert ended < 62


def test_waits_grow_while_handshakes_hang_and_begin_anew_behind_a_connection_that_stood_with_a_log_that_forgets() -> None:
    """The handshakes hang for ten minutes, each for longer than a good connection stands; then one stands, and they hang again."""
    limits = Limits(handshake_seconds=11.0, silence_seconds=1_000)

    async def run(clock: SimulatedClock) -> Story:
        async def hang(vendor: Vendor, _socket: ServerConnection, _request: Request) -> None:
            if vendor.now < 600 or vendor.opened:
                await asyncio.sleep(1_000)

        async def stand_a_while(_vendor: Vendor, socket: ServerConnection) -> None:
            await asyncio.sleep(20)
            socket.transport.abort()

        vendor = Vendor(clock, stand_a_while, admit=hang, patience_seconds=30)
        return await live(clock, vendor, seconds=700, log=Forgetful(), limits=limits)

    story: Story = run_simulated(run)
    attempts, (opened,), (closed,) = story.vendor.attempts, story.vendor.opened, story.vendor.closed
    waits = [later - earlier - limits.handshake_seconds for earlier, later in itertools.pairwise(attempts) if later <= opened]
    assert len(waits) >= 30
    assert max(waits) > limits.most_wait_seconds / 2
    assert sum(waits) / len(waits) > 3 * limits.least_wait_seconds  # the most that a wait behind a good one is
    after = min(at for at in attempts if at > opened) - closed
    assert after <= 3 * limits.least_wait_seconds + 0.1


def test_a_slow_handshake_makes_no_short_connection_a_good_one_with_a_log_that_forgets() -> None:
    """Nine seconds for the handshake, and two that it stands: what counts is the two."""
    slow, short = 9.0, 2.0

    async def run(clock: SimulatedClock) -> Story:
        async def think(_vendor: Vendor, _socket: ServerConnection, _request: Request) -> None:
            await asyncio.sleep(slow)

        async def cut(_vendor: Vendor, socket: ServerConnection) -> None:
            await asyncio.sleep(short)
            socket.transport.abort()

        return await live(clock, Vendor(clock, cut, admit=think), seconds=600, log=Forgetful())

    story: Story = run_simulated(run)
    waits = [later - earlier - slow - short for earlier, later in itertools.pairwise(story.vendor.attempts)]
    assert story.client.connections >= 30
    assert sum(waits) / len(waits) > 3 * Limits().least_wait_seconds


@TRANSPORTS
def test_a_key_that_is_refused_after_service_stops_at_once_with_a_log_that_forgets(transport: Transport) -> None:
    async def run(clock: SimulatedClock) -> list[float]:
        async def admit(vendor: Vendor, socket: ServerConnection, request: Request) -> Response | None:
            return await refuse(HTTPStatus.UNAUTHORIZED)(vendor, socket, request) if vendor.now > 1_200 else None

        async def close_each_ten_minutes(_vendor: Vendor, socket: ServerConnection) -> None:
            await asyncio.sleep(600)
            await socket.close()

        vendor = Vendor(clock, close_each_ten_minutes, admit=admit)
        with pytest.raises(KeyRefused, match="401"):
            await live(clock, vendor, seconds=3_000, log=Forgetful(), limits=Limits(silence_seconds=1_000), transport=transport)
        return vendor.attempts

    attempts = run_simulated(run)
    assert len(attempts) == 3


ANSWERS = {
    "no status line": b"220 ready\r\n",
    "no upgrade": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "a wrong proof": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm8=\r\n\r\n",
    "another address": b"HTTP/1.1 302 Found\r\nLocation: nonsense://\r\nContent-Length: 0\r\n\r\n",
    "another address whose port is no number": b"HTTP/1.1 302 Found\r\nLocation: ws://portal:abc/\r\nContent-Length: 0\r\n\r\n",
    "another address that ends too soon": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: //[x\r\nContent-Length: 0\r\n\r\n",
    "another address whose name is no name": b"HTTP/1.1 301 Moved\r\nLocation: ws://" + b"x" * 300 + b"/\r\nContent-Length: 0\r\n\r\n",
    "headers without end": b"HTTP/1.1 101 Switching Protocols\r\n" + b"X-Filler: x\r\n" * 10_000,
    "a body without end": b"HTTP/1.1 500 Oh\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 1_000_000,
    "zeros": bytes(1_000_000),
    "nothing": b"",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@TRANSPORTS
def test_an_answer_that_is_no_handshake_is_an_attempt_more_with_a_log_that_forgets(
    answer: bytes, caplog: pytest.LogCaptureFixture, transport: Transport
) -> None:
    caplog.set_level("DEBUG")

    async def run(clock: SimulatedClock) -> FinnhubClient:
        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                assert KEY.encode() in await reader.readline()
                writer.write(answer)
                await writer.drain()
                writer.close()
                await writer.wait_closed()

        recorder = Recorder(Forgetful(), feed="finnhub", collector="rig", clock=clock)
        async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            client = FinnhubClient(recorder, url=f"ws://127.0.0.1:{port}", key=KEY, symbols=["AAPL"], clock=clock, transport=transport)
            collecting = asyncio.create_task(client.collect())
            await asyncio.sleep(60)
            assert not collecting.done()
            client.stop()
            await collecting
        return client

    client = run_simulated(run)
    assert client.connections == 0
    assert client.attempts >= 5
    assert KEY not in caplog.text


@pytest.mark.parametrize("status", [HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.FOUND, HTTPStatus.PERMANENT_REDIRECT])
@TRANSPORTS
def test_a_server_that_points_elsewhere_is_asked_again_and_nobody_else_is_with_a_log_that_forgets(
    status: HTTPStatus, transport: Transport
) -> None:
    reasons = set()

    async def run(clock: SimulatedClock) -> tuple[Story, Vendor]:
        stranger = Vendor(clock, stay)
        async with stranger.open() as port:
            vendor = Vendor(clock, stay, admit=refuse(status, Location=f"ws://127.0.0.1:{port}/"))
            return await heal(clock, vendor, after=60, transport=transport), stranger

    with listen(lambda event, fields: reasons.add(fields["reason"]) if event == FEED_UNREACHABLE else None):
        story, stranger = run_simulated(run)
    assert stranger.attempts == []
    assert len(story.vendor.attempts) > 60 / 8.1
    assert len(story.vendor.opened) == story.client.connections == 1
    assert f"status {status.value}" in reasons


@TRANSPORTS
def test_headers_that_come_twice_or_are_no_text_do_no_harm_with_a_log_in_memory(transport: Transport) -> None:
    async def run(clock: SimulatedClock) -> Story:
        headers = [("Date", "Wed, 19 Nov 2025 14:00:07 GMT"), ("Date", "yesterday")]
        return await live(clock, Vendor(clock, stay, headers=headers), seconds=2, transport=transport)

    story: Story = run_simulated(run)
    (opened,) = story.controls("session_opened")
    assert opened["server_date"].endswith("GMT")
    assert story.client.connections == 1


@pytest.mark.parametrize(
    ("date", "offset_ms"),
    [
        ("Wed, 19 Nov 2025 14:00:07 GMT", 7_000),
        ("Wed, 19 Nov 2025 13:59:59 GMT", -1_000),
        ("yesterday", None),
        ("", None),
        ("Wed, 19 Nov 99999 14:00:07 GMT", None),
        ("Wed, 99 Nov 2025 14:00:07 GMT", None),
    ],
)
def test_the_clocks_offset_is_the_servers_date_minus_ours(date: str, offset_ms: int | None) -> None:
    assert clock_offset_ms(date, START_NS) == offset_ms
