"""An event loop whose time is made up: real sockets and real threads, but an hour passes in a moment.

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner: …       or        run_simulated(make_coroutine)

Time       stands still while a callback, a thread or a socket has something to do, and then jumps to the next
           timer, in strides that begin with `STRIDE_SECONDS`: bytes on their way through loopback arrive in between
Guarantee  what waits for a timer waits no real time; nothing else is different from asyncio's own loop
"""

import asyncio
import select
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final

STRIDE_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 0.0001
"""Real time, before time jumps, for bytes that the kernel still carries."""

NS_PER_SECOND: Final = 1_000_000_000
START_NS: Final = 1_763_560_800 * NS_PER_SECOND
"""2025-11-19 14:00 UTC, a Wednesday: half an hour before New York opens."""


class _SimulatedSelector(selectors.EpollSelector):
    """Looks at real sockets; where there is nothing, lets the loop's time pass instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.jobs = 0
        self._stride = STRIDE_SECONDS

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            self._stride = STRIDE_SECONDS
            return found
        if self.jobs or timeout is None:  # a thread is at work and will call, or nothing but a socket can go on
            return super().select(1.0)
        if select.select([self.fileno()], [], [], GRACE_SECONDS)[0]:
            return super().select(0)
        self.now += min(timeout, self._stride)
        self._stride = STRIDE_SECONDS if timeout <= self._stride else 2 * self._stride
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on made-up time."""

    def __init__(self) -> None:
        self._simulated = _SimulatedSelector()
        super().__init__(self._simulated)

    def time(self) -> float:
        return self._simulated.now

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Let time stand still until the thread is done."""
        job = super().run_in_executor(executor, func, *args)
        self._simulated.jobs += 1
        job.add_done_callback(self._end_job)
        return job

    def _end_job(self, _job: asyncio.Future[Any]) -> None:
        self._simulated.jobs -= 1


class SimulatedClock:
    """A loop's time, as everything but the loop asks for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, start_ns: int = START_NS) -> None:
        self._loop = loop
        self._start_ns = start_ns

    def now_ns(self) -> int:
        return self._start_ns + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        return round(self._loop.time() * NS_PER_SECOND)

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"a loop that sleeps {seconds} s stands still: await instead")


def run_simulated(make: Callable[[SimulatedClock], Coroutine[Any, Any, Any]], *, start_ns: int = START_NS) -> Any:
    """Run to its end what a clock of simulated time is given to; give its result."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(make(SimulatedClock(runner.get_loop(), start_ns=start_ns)))
