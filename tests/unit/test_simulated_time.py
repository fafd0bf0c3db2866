"""The loop on simulated time: an hour in a moment, sockets and threads as ever."""

import asyncio
import time

import pytest

from tests.simulated_time import SimulatedClock, run_simulated


def test_an_hour_passes_in_a_moment_and_timers_fire_in_their_order() -> None:
    async def wait(clock: SimulatedClock) -> list[tuple[str, float]]:
        began_ns = clock.monotonic_ns()
        fired: list[tuple[str, float]] = []

        async def fire(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            fired.append((name, round((clock.monotonic_ns() - began_ns) / 1e9, 6)))

        await asyncio.gather(fire("an hour", 3600), fire("a blink", 0.001), fire("a minute", 60))
        return fired

    began = time.monotonic()
    assert run_simulated(wait) == [("a blink", 0.001), ("a minute", 60.0), ("an hour", 3600.0)]
    assert time.monotonic() - began < 30


def test_wall_time_and_monotonic_time_pass_alike() -> None:
    async def wait(clock: SimulatedClock) -> tuple[int, int]:
        before = clock.now_ns(), clock.monotonic_ns()
        await asyncio.sleep(7.25)
        return clock.now_ns() - before[0], clock.monotonic_ns() - before[1]

    wall, monotonic = run_simulated(wait)
    assert wall == monotonic == 7_250_000_000


def test_time_stands_still_while_a_thread_works() -> None:
    async def work(clock: SimulatedClock) -> int:
        began_ns = clock.monotonic_ns()
        far_timer = asyncio.create_task(asyncio.sleep(1000))
        assert await asyncio.to_thread(sum, range(3_000_000)) > 0
        far_timer.cancel()
        return clock.monotonic_ns() - began_ns

    assert run_simulated(work) == 0


def test_bytes_on_a_real_socket_go_before_the_next_timer() -> None:
    async def converse(clock: SimulatedClock) -> float:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line)
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            far_timer = asyncio.create_task(asyncio.sleep(1000))
            for number in range(200):
                writer.write(b"%d\n" % number)
                assert await reader.readline() == b"%d\n" % number
            writer.close()
            await writer.wait_closed()
            far_timer.cancel()
        return clock.monotonic_ns() / 1e9

    assert run_simulated(converse) < 5  # a busy machine may carry a byte later than a stride


def test_who_waits_for_nothing_but_a_timeout_is_told_in_time() -> None:
    async def wait(clock: SimulatedClock) -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 86_400)
        return clock.monotonic_ns() / 1e9

    assert run_simulated(wait) == pytest.approx(86_400)
