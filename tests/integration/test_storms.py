"""A server at its worst, on simulated time: the client tries again for as long as it takes, wisely, in bounded memory."""

import asyncio
import gc
import itertools
import socket as sockets
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from tests.live_rig import KEY, Forgetful, Story, Vendor, live, trade
from tests.simulated_time import START_NS, SimulatedClock, run_simulated
from ticklake.errors import KeyRefused
from ticklake.feed.finnhub.client import FinnhubClient, Limits, read_retry_after
from ticklake.feed.recorder import MAX_PENDING_BYTES, Recorder

MIB = 1 << 20
SYMBOLS = [f"S{number}" for number in range(50)]


@contextmanager
def traced_memory() -> Iterator[None]:
    """Trace what is allocated while the block runs."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


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
                    await asyncio.sleep(0.05)
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
def test_a_server_that_is_not_there_for_hours_is_tried_again_until_it_is(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(clock: SimulatedClock) -> tuple[FinnhubClient, float]:
        loop = asyncio.get_running_loop()
        with sockets.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        host = "127.0.0.1" if how == "nobody listens" else "feed.invalid"

        async def look_up(_host: Any, port: Any, **_options: Any) -> Any:
            if clock.monotonic_ns() < 7_200 * 10**9:
                raise sockets.gaierror(sockets.EAI_AGAIN, "Temporary failure in name resolution")
            return [(sockets.AF_INET, sockets.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        if host == "feed.invalid":
            monkeypatch.setattr(loop, "getaddrinfo", look_up)
        recorder = Recorder(Forgetful(), feed="finnhub", collector="rig", clock=clock)
        client = FinnhubClient(recorder, url=f"ws://{host}:{port}", key=KEY, symbols=["AAPL"], clock=clock)
        collecting = asyncio.create_task(client.collect())
        await asyncio.sleep(7_200)
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
    assert 7_200 / 8.1 < client.attempts < 7_200 / 0.5
    assert opened < 7_200 + 8.1


def test_a_429_is_left_alone_for_as_long_as_it_asks_with_a_log_that_forgets() -> None:
    async def run(clock: SimulatedClock) -> Story:
        return await heal(clock, Vendor(clock, stay, admit=refuse(HTTPStatus.TOO_MANY_REQUESTS, Retry_After="120")), after=600)

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


def test_a_handshake_that_hangs_is_given_up_and_a_stop_does_not_wait_for_it_with_a_log_that_forgets() -> None:
    async def run(clock: SimulatedClock) -> tuple[Story, float]:
        async def hang(_vendor: Vendor, _socket: ServerConnection, _request: Request) -> None:
            await asyncio.sleep(1_000)

        story = await live(clock, Vendor(clock, stay, admit=hang), seconds=61, log=Forgetful())
        return story, clock.monotonic_ns() / 1e9

    story, ended = run_simulated(run)
    gaps = [later - earlier for earlier, later in itertools.pairwise(story.vendor.attempts)]
    assert len(gaps) >= 3
    assert all(10 + 0.5 <= gap <= 10 + 8.1 for gap in gaps)
    assert ended < 62


def test_a_key_that_is_refused_after_hours_of_service_stops_at_once_with_a_log_that_forgets() -> None:
    async def run(clock: SimulatedClock) -> list[float]:
        async def admit(vendor: Vendor, socket: ServerConnection, request: Request) -> Response | None:
            return await refuse(HTTPStatus.UNAUTHORIZED)(vendor, socket, request) if vendor.now > 3_600 else None

        async def close_each_half_hour(_vendor: Vendor, socket: ServerConnection) -> None:
            await asyncio.sleep(1_800)
            await socket.close()

        vendor = Vendor(clock, close_each_half_hour, admit=admit)
        with pytest.raises(KeyRefused, match="401"):
            await live(clock, vendor, seconds=9_000, log=Forgetful(), limits=Limits(silence_seconds=4_000))
        return vendor.attempts

    attempts = run_simulated(run)
    assert len(attempts) == 3


def wire(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    """Give a server's frame as it is sent."""
    return Frame(opcode, payload, fin=fin).serialize(mask=False)


async def send_raw(socket: ServerConnection, data: bytes) -> None:
    """Send what no library would, as fast as it is read."""
    socket.transport.write(data)
    await socket.drain()


async def one_huge_frame(_vendor: Vendor, socket: ServerConnection) -> None:
    await send_raw(socket, wire(Opcode.BINARY, bytes(64 * MIB))[:10])
    tracemalloc.reset_peak()
    for _ in range(64):
        await send_raw(socket, bytes(MIB))


async def one_huge_message_in_pieces(_vendor: Vendor, socket: ServerConnection) -> None:
    await send_raw(socket, wire(Opcode.TEXT, b" " * 1_000, fin=False))
    piece = wire(Opcode.CONT, b" " * 1_000, fin=False)
    for _ in range(64 * 1_024):
        await send_raw(socket, piece)


async def one_message_of_endless_empty_pieces(_vendor: Vendor, socket: ServerConnection) -> None:
    await send_raw(socket, wire(Opcode.TEXT, b" ", fin=False))
    pieces = wire(Opcode.CONT, b"", fin=False) * 1_000
    while True:
        await send_raw(socket, pieces)
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("play", [one_huge_frame, one_huge_message_in_pieces, one_message_of_endless_empty_pieces])
def test_a_message_over_the_limit_ends_the_connection_and_takes_no_memory_with_a_log_in_memory(play: Any) -> None:
    async def once(vendor: Vendor, socket: ServerConnection) -> None:
        if len(vendor.opened) == 1:
            await asyncio.sleep(1)
            await play(vendor, socket)
        await asyncio.Event().wait()

    async def run(clock: SimulatedClock) -> tuple[Story, int]:
        story = await live(clock, Vendor(clock, once), seconds=15)
        return story, tracemalloc.get_traced_memory()[1]

    with traced_memory():
        story, peak = run_simulated(run)
    assert [closed["cause"] for closed in story.controls("session_closed")] == ["frame_too_large", "stopped"]
    assert not [record for record in story.records if "frame" in record]
    assert peak < 8 * MIB  # of both ends: the server is in this process too


def test_a_flood_that_the_disk_cannot_follow_is_not_read_with_a_log_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    message = '{"data":[' + " " * 100_000 + '],"type":"trade"}'

    async def run(clock: SimulatedClock) -> tuple[int, int, int]:
        recorder = Recorder(Forgetful(), feed="finnhub", collector="rig", clock=clock)
        slow_append = recorder._append

        async def append(pending: list[bytes]) -> None:
            await asyncio.sleep(200)
            await slow_append(pending)

        monkeypatch.setattr(recorder, "_append", append)
        sent = 0

        async def flood(_vendor: Vendor, socket: ServerConnection) -> None:
            nonlocal sent
            while True:
                await socket.send(message)
                sent += 1

        async with Vendor(clock, flood).open() as port:
            client = FinnhubClient(recorder, url=f"ws://127.0.0.1:{port}", key=KEY, symbols=["A"], clock=clock)
            collecting = asyncio.create_task(client.collect())
            await asyncio.sleep(150)
            peak, in_time = tracemalloc.get_traced_memory()[1], client.connections
            client.stop()
            await collecting
        return peak, in_time, sent

    with traced_memory():
        peak, connections, sent = run_simulated(run)
    assert peak < MAX_PENDING_BYTES + 16 * MIB
    assert sent * len(message) < MAX_PENDING_BYTES + 16 * MIB
    assert connections == 1  # a disk that is slow is no silence of the vendor's


def test_endless_small_frames_are_bounded_too_with_a_log_that_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(clock: SimulatedClock) -> tuple[int, int]:
        recorder = Recorder(Forgetful(), feed="finnhub", collector="rig", clock=clock)
        stuck = asyncio.Event()

        async def wait(_pending: list[bytes]) -> None:
            await stuck.wait()
            _pending.clear()

        monkeypatch.setattr(recorder, "_append", wait)

        async def flood(_vendor: Vendor, socket: ServerConnection) -> None:
            messages = wire(Opcode.TEXT, b"{}") * 1_000
            while True:
                await send_raw(socket, messages)

        async with Vendor(clock, flood).open() as port:
            client = FinnhubClient(recorder, url=f"ws://127.0.0.1:{port}", key=KEY, symbols=["A"], clock=clock)
            collecting = asyncio.create_task(client.collect())
            await asyncio.sleep(3)
            peak, pending = tracemalloc.get_traced_memory()[1], recorder.pending
            client.stop()
            stuck.set()
            await collecting
        return peak, pending

    with traced_memory():
        peak, pending = run_simulated(run)
    assert 50_000 <= pending < 50_000 + 256 * 1_024 / 4  # a reading of the operating system's more
    assert peak < 64 * MIB


def test_a_server_that_pings_and_never_reads_fills_no_buffer_with_a_log_that_forgets() -> None:
    async def ping_without_reading(_vendor: Vendor, socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        pings = wire(Opcode.PING, b"x" * 125) * 100
        while True:
            await send_raw(socket, pings)
            await asyncio.sleep(0.01)

    async def run(clock: SimulatedClock) -> tuple[Story, int]:
        story = await live(clock, Vendor(clock, ping_without_reading), seconds=60, log=Forgetful())
        return story, tracemalloc.get_traced_memory()[1]

    with traced_memory():
        story, peak = run_simulated(run)
    assert peak < 16 * MIB
    closed = [later - earlier for earlier, later in zip(story.vendor.opened, story.vendor.closed, strict=True)]
    assert closed
    assert max(closed) <= 2 * Limits().ping_seconds + Limits().close_seconds + 1


def test_a_server_that_drops_the_line_in_the_middle_of_a_message_is_tried_again_with_a_log_in_memory() -> None:
    async def drop(_vendor: Vendor, socket: ServerConnection) -> None:
        await asyncio.sleep(1)
        socket.transport.write(wire(Opcode.TEXT, trade("AAPL").encode())[:20])
        await asyncio.sleep(0.1)
        socket.transport.abort()

    async def run(clock: SimulatedClock) -> Story:
        return await live(clock, Vendor(clock, drop), seconds=20)

    story: Story = run_simulated(run)
    assert {closed["cause"] for closed in story.controls("session_closed")[:-1]} == {"connection_lost"}
    assert len(story.vendor.opened) > 3
    assert not [record for record in story.records if "frame" in record]


def test_a_goodbye_of_the_servers_is_answered_with_a_log_in_memory() -> None:
    async def leave(_vendor: Vendor, socket: ServerConnection) -> None:
        await asyncio.sleep(1)
        await socket.close(1001, "maintenance")
        with pytest.raises(ConnectionClosed):
            await socket.send("too late")

    async def run(clock: SimulatedClock) -> Story:
        return await live(clock, Vendor(clock, leave), seconds=3)

    story: Story = run_simulated(run)
    closed = story.controls("session_closed")[0]
    assert closed["cause"] == "closed_by_server"
    assert "maintenance" in closed["detail"]
