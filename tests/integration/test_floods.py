"""A server that sends more than anybody can take, on simulated time: memory is bounded, whatever it does."""

import asyncio
import tracemalloc
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from tests.live_rig import KEY, TRANSPORTS, Forgetful, Story, Vendor, live, traced_memory, trade
from tests.simulated_time import SimulatedClock, run_simulated
from ticklake.feed.finnhub.client import FinnhubClient, Limits
from ticklake.feed.finnhub.ports import Transport
from ticklake.feed.recorder import MAX_PENDING_BYTES, Recorder

MIB = 1 << 20
MOST = 5_000
"""Records that may wait for their commit, where that is what is tried."""


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
@TRANSPORTS
def test_a_message_over_the_limit_ends_the_connection_and_takes_no_memory_with_a_log_in_memory(play: Any, transport: Transport) -> None:
    async def once(vendor: Vendor, socket: ServerConnection) -> None:
        if len(vendor.opened) == 1:
            await asyncio.sleep(1)
            await play(vendor, socket)
        await asyncio.Event().wait()

    async def run(clock: SimulatedClock) -> tuple[Story, int]:
        story = await live(clock, Vendor(clock, once), seconds=15, transport=transport)
        return story, tracemalloc.get_traced_memory()[1]

    with traced_memory():
        story, peak = run_simulated(run)
    assert [closed["cause"] for closed in story.controls("session_closed")] == ["frame_too_large", "stopped"]
    assert not [record for record in story.records if "frame" in record]
    assert peak < 8 * MIB  # of both ends: the server is in this process too


@TRANSPORTS
def test_a_flood_that_the_disk_cannot_follow_is_not_read_with_a_log_that_is_slow(
    monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    message = '{"data":[' + " " * 100_000 + '],"type":"trade"}'

    async def run(clock: SimulatedClock) -> tuple[int, int, int]:
        recorder = Recorder(Forgetful(), feed="finnhub", collector="rig", clock=clock)
        slow_append = recorder._append

        async def append(pending: list[bytes]) -> None:
            await asyncio.sleep(200)
            await slow_append(pending)

        monkeypatch.setattr(recorder, "_append", append)

        async def flood(_vendor: Vendor, socket: ServerConnection) -> None:
            while True:
                await socket.send(message)

        async with Vendor(clock, flood).open() as port:
            client = FinnhubClient(recorder, url=f"ws://127.0.0.1:{port}", key=KEY, symbols=["A"], clock=clock, transport=transport)
            collecting = asyncio.create_task(client.collect())
            await asyncio.sleep(150)
            peak, connections, kept = tracemalloc.get_traced_memory()[1], client.connections, recorder.frames
            client.stop()
            await collecting
        return peak, connections, kept

    with traced_memory():
        peak, connections, kept = run_simulated(run)
    assert peak < MAX_PENDING_BYTES + 16 * MIB
    assert MAX_PENDING_BYTES < kept * (len(message) + 200) < MAX_PENDING_BYTES + 2 * MIB
    assert connections == 1  # a disk that is slow is no silence of the vendor's


@TRANSPORTS
def test_endless_small_frames_are_bounded_too_with_a_log_that_is_stuck(monkeypatch: pytest.MonkeyPatch, transport: Transport) -> None:
    async def run(clock: SimulatedClock) -> tuple[int, int]:
        recorder = Recorder(Forgetful(), feed="finnhub", collector="rig", clock=clock)
        stuck = asyncio.Event()

        async def wait(_pending: list[bytes]) -> None:
            await stuck.wait()
            _pending.clear()

        monkeypatch.setattr(recorder, "_append", wait)
        monkeypatch.setattr("ticklake.feed.recorder.MAX_PENDING", MOST)

        async def flood(_vendor: Vendor, socket: ServerConnection) -> None:
            messages = wire(Opcode.TEXT, b"{}") * 1_000
            while True:
                await send_raw(socket, messages)
                await asyncio.sleep(0.001)

        async with Vendor(clock, flood).open() as port:
            client = FinnhubClient(recorder, url=f"ws://127.0.0.1:{port}", key=KEY, symbols=["A"], clock=clock, transport=transport)
            collecting = asyncio.create_task(client.collect())
            await asyncio.sleep(3)
            peak, pending = tracemalloc.get_traced_memory()[1], recorder.pending
            client.stop()
            stuck.set()
            await collecting
        return peak, pending

    with traced_memory():
        peak, pending = run_simulated(run)
    assert MOST <= pending < MOST + 256 * 1_024 / 4  # a reading of the operating system's more
    assert peak < 24 * MIB


@TRANSPORTS
def test_a_server_that_pings_and_never_reads_fills_no_buffer_with_a_log_that_forgets(transport: Transport) -> None:
    limits = Limits(ping_seconds=5)

    async def ping_without_reading(_vendor: Vendor, socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        pings = wire(Opcode.PING, b"x" * 125) * 100
        while True:
            await send_raw(socket, pings)
            await asyncio.sleep(0.01)

    async def run(clock: SimulatedClock) -> tuple[Story, int]:
        story = await live(clock, Vendor(clock, ping_without_reading), seconds=13, log=Forgetful(), limits=limits, transport=transport)
        return story, tracemalloc.get_traced_memory()[1]

    with traced_memory():
        story, peak = run_simulated(run)
    assert peak < 16 * MIB
    closed = [later - earlier for earlier, later in zip(story.vendor.opened, story.vendor.closed, strict=True)]
    assert closed
    assert max(closed) <= 2 * limits.ping_seconds + limits.close_seconds + 1


@TRANSPORTS
def test_a_server_that_drops_the_line_in_the_middle_of_a_message_is_tried_again_with_a_log_in_memory(transport: Transport) -> None:
    async def drop(_vendor: Vendor, socket: ServerConnection) -> None:
        await asyncio.sleep(1)
        socket.transport.write(wire(Opcode.TEXT, trade("AAPL").encode())[:20])
        await asyncio.sleep(0.1)
        socket.transport.abort()

    async def run(clock: SimulatedClock) -> Story:
        return await live(clock, Vendor(clock, drop), seconds=20, transport=transport)

    story: Story = run_simulated(run)
    assert {closed["cause"] for closed in story.controls("session_closed")[:-1]} == {"connection_lost"}
    assert len(story.vendor.opened) > 3
    assert not [record for record in story.records if "frame" in record]


@TRANSPORTS
def test_a_goodbye_of_the_servers_is_answered_with_a_log_in_memory(transport: Transport) -> None:
    async def leave(_vendor: Vendor, socket: ServerConnection) -> None:
        await asyncio.sleep(1)
        await socket.close(1001, "maintenance")
        with pytest.raises(ConnectionClosed):
            await socket.send("too late")

    async def run(clock: SimulatedClock) -> Story:
        return await live(clock, Vendor(clock, leave), seconds=3, transport=transport)

    story: Story = run_simulated(run)
    closed = story.controls("session_closed")[0]
    assert closed["cause"] == "closed_by_server"
    assert "maintenance" in closed["detail"]
