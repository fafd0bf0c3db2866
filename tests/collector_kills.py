"""Kill `ticklake collect` again and again while an exchange tells a dense market, and say of each print where it is.

    exchange   in this process: a frame every few milliseconds to whoever subscribed; each print is like no other, and
               its moment of sending is known
    collector  `ticklake collect` in a process of its own, forked from one that imported everything and opened nothing
    kill       SIGKILL at a random moment, or at a fault point; the next one starts at once, in the same home
    pulse      a thread that commits to a log of its own, on the same disk, as often as a collector: how long the machine
               itself holds up a commit; what the collector's threads queued for the processor comes on top

Time       told and killed on the wall clock of this machine, which is the collector's too
"""

import asyncio
import contextlib
import multiprocessing
import os
import random
import threading
import time
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection

from tests.mangled import join, write_print
from tests.wire import pack, serve_bytes
from ticklake.cli import collect as _collect  # noqa: F401 — what a collector imports, so that no child has to
from ticklake.cli import lake as _lake  # noqa: F401 — the same
from ticklake.cli.main import cli
from ticklake.contracts.faults import arm
from ticklake.feed.finnhub import client as _client  # noqa: F401 — the same
from ticklake.log.sqlite import SqliteLogWriter

SYMBOLS: Final = ("KILLA", "KILLB", "KILLC")
PAUSE_SECONDS: Final = 0.002
LIFE_SECONDS: Final = 0.8
"""A collector that is not killed at a fault point lives so long at most."""
SURE_SECONDS: Final = 30.0
EARLY_DEATHS: Final = 4
"""One in so many may die before it is told anything: while it starts, shakes hands, or subscribes."""

SEGMENT_RECORDS: Final = 400
PULSE_SECONDS: Final = 0.01
AROUND_NS: Final = 150_000_000
"""What holds up a commit before a kill shows in the pulse so long before it, or just behind it."""


class Told(msgspec.Struct, frozen=True):
    """A print, and when it was sent to which life of the collector."""

    serial: int
    symbol: str
    sent_ns: int
    life: int


class Life(msgspec.Struct):
    """One collector, from its start to its end."""

    point: str = ""
    """The fault point at which it died; empty if a moment was chosen."""
    ended_ns: int = 0
    held_up_ns: int = 0
    """How long the machine held it up about when it died: a commit of nobody's, at most, and the queue for the processor."""


class Report(msgspec.Struct):
    """What was told, and to whom."""

    told: list[Told] = []
    lives: list[Life] = []


class Pulse:
    """Commits of one record, on the disk where the collector's log is."""

    def __init__(self, folder: Path) -> None:
        self._log = SqliteLogWriter(folder, segment_records=1_000_000)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self._beats: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()
        self._log.close()

    def held_up_ns(self, moment_ns: int) -> int:
        """Give by how much the slowest beat about a moment was late."""
        late = [ended - began for began, ended in self._beats if ended > moment_ns - AROUND_NS and began < moment_ns + AROUND_NS // 3]
        return max(0, max(late, default=0) - round(PULSE_SECONDS * 1e9))

    def _beat(self) -> None:
        is_over = False
        while not is_over:
            began = time.time_ns()
            is_over = self._over.wait(PULSE_SECONDS)
            self._log.append([b"{}"])
            self._beats.append((began, time.time_ns()))


class Torment:
    """An exchange, a home, and what happens to its collector."""

    def __init__(self, home: Path, *, seed: int) -> None:
        self._home = home
        self._chance = random.Random(seed)
        self._context = untraced_forkserver()
        self._first_told = asyncio.Event()
        self._pid = 0
        self._queued: list[tuple[int, int]] = []
        self.report = Report()

    async def run(self, *, kills: int, points: tuple[tuple[str, int], ...] = ()) -> Report:
        """Start and kill; then let one collector end as it should."""
        pulse_folder = self._home.parent / "pulse"
        pulse_folder.mkdir()
        with Pulse(pulse_folder) as pulse:
            async with serve_bytes(self._tell, wishes=len(SYMBOLS)) as port:
                await self._live(port, seconds=LIFE_SECONDS, is_sure=True)
                for point, on_hit in points:
                    await self._live(port, point=point, on_hit=on_hit)
                for number in range(1, kills):
                    await self._live(port, seconds=self._chance.uniform(0.0, LIFE_SECONDS), is_sure=number % EARLY_DEATHS > 0)
                await self._live(port, seconds=LIFE_SECONDS, is_sure=True, is_killed=False)
            for life in self.report.lives:
                life.held_up_ns += pulse.held_up_ns(life.ended_ns)
        return self.report

    async def _live(
        self, port: int, *, seconds: float = SURE_SECONDS, point: str = "", on_hit: int = 0, is_sure: bool = False, is_killed: bool = True
    ) -> None:
        """Let one collector live so long, counted from the first print that it is told if it shall surely be told some."""
        self.report.lives.append(Life(point))
        self._first_told.clear()
        url = f"ws://127.0.0.1:{port}/{len(self.report.lives) - 1}"  # by its path the exchange knows which life it talks to
        process = self._context.Process(target=collect, args=(str(self._home), url, point, on_hit))
        process.start()
        self._pid, self._queued = process.pid or 0, []
        if is_sure:
            await asyncio.wait_for(self._first_told.wait(), SURE_SECONDS)
        await _wait_for_end(process, seconds)
        self.report.lives[-1].ended_ns = time.time_ns()
        self.report.lives[-1].held_up_ns = self._queued_of_late()
        if process.is_alive() and not point:
            (process.kill if is_killed else process.terminate)()
            await _wait_for_end(process, SURE_SECONDS)
        expected = -9 if is_killed else 0
        if process.exitcode != expected:
            raise AssertionError(f"the collector of life {len(self.report.lives)} {point} ended with {process.exitcode}")

    def _queued_of_late(self) -> int:
        """Give how long the collector's threads could have run and did not, in the time before now that counts."""
        queued_ns, from_ns = read_queued_ns(self._pid), time.time_ns() - AROUND_NS
        before = [queued for at_ns, queued in self._queued if at_ns <= from_ns]
        return queued_ns - (before[-1] if before else 0)

    async def _tell(self, socket: ServerConnection) -> None:
        """Tell a frame, and the next, at the exchange's own pace."""
        assert socket.request is not None
        life, due = int(urlsplit(socket.request.path).path[1:]), asyncio.get_running_loop().time()
        while True:
            serial, now_ns = len(self.report.told), time.time_ns()
            told = [Told(serial + place, self._chance.choice(SYMBOLS), now_ns, life) for place in range(3)]
            message = join(*(write_print(each.symbol, now_ns // 1_000_000, serial=each.serial) for each in told))
            socket.transport.write(pack(message))
            self.report.told += told
            if serial % 30 == 0:
                self._queued.append((now_ns, read_queued_ns(self._pid)))
            self._first_told.set()
            due += PAUSE_SECONDS
            await asyncio.sleep(due - asyncio.get_running_loop().time())


def read_queued_ns(pid: int) -> int:
    """Give how long a process's threads have waited for a processor since they began; 0 where the system does not tell."""
    queued_ns = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            queued_ns += int(thread.read_text().split()[1])
    return queued_ns


async def _wait_for_end(process: ForkServerProcess, seconds: float) -> None:
    """Wait for the end of a process, for so long."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process.sentinel, ended.set)
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)
            process.join()
    finally:
        loop.remove_reader(process.sentinel)


def untraced_forkserver() -> ForkServerContext:
    """Give what forks collectors; coverage would take of their time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    traced = {name: os.environ.pop(name) for name in tuple(os.environ) if name.startswith("COV")}
    try:
        context.Process(target=os.getpid).start()  # the first one starts the server
    finally:
        os.environ.update(traced)
    return context


def collect(home: str, url: str, point: str, on_hit: int) -> None:
    """Be `ticklake collect`, in a process of one's own."""
    os.environ.update({"TICKLAKE_FEED__KEY": "killed", "TICKLAKE_LOG__SEGMENT_RECORDS": str(SEGMENT_RECORDS)})
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if point:
        arm(point, on_hit=on_hit)
    cli.main(["--home", home, "collect", "--url", url, *SYMBOLS], standalone_mode=False)
