"""Kill commands of one lake again and again, and tell what is left: run as a process of its own.

    python -m tests.faults.kill_rig points|moments FOLDER SEED        prints a Report as JSON

The process imports everything and opens nothing, so a child that it forks is a whole `ticklake` at once. Each
recording has symbols of its own and goes through replay, land and build; each command is killed on its way, the
next run of it too, then it runs to its end. Nothing touches a recording's symbols later, so what a kill did to
them stays visible until all of gold is compared with that of a lake where nothing was killed.

Time       a moment is a share of the processor time that the same command took undisturbed, so that a busy machine
           moves none; the kernel's timer ends the child by a signal that is not handled, between any two
           instructions, as SIGKILL does
"""

import os
import random
import resource
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import dbt.adapters.duckdb
import dbt.cli.main  # noqa: F401 — what a build imports, so that no child has to
import msgspec

from tests.rig import find_unbalanced, open_lake, read_gold, read_trades, tell_difference
from ticklake.cli import path as commands  # noqa: F401 — the same
from ticklake.cli.main import cli
from ticklake.contracts.faults import FAULT_POINTS, arm
from ticklake.warehouse import transform
from ticklake.warehouse.manifest import name_manifest, recall_manifest

MOMENTS: Final = 20
IN_A_ROW: Final = 2
ROWS: Final = 4_300
BATCH_RECORDS: Final = 7_500
"""A recording whose replay was killed late is sent again and fills two loads; the undisturbed lake takes all in one."""

SETTINGS: Final = {
    "TICKLAKE_LOG__SEGMENT_RECORDS": "2000",
    "TICKLAKE_LANDING__OBJECT_RECORDS": "1500",
    "TICKLAKE_WAREHOUSE__THREADS": "1",
    "TICKLAKE_WAREHOUSE__MEMORY_LIMIT": "1GB",
}
COMMANDS: Final = ("replay", "land", "build")
COMMAND_OF: Final = {"log": "replay", "landing": "land", "store": "land", "load": "build", "build": "build"}
"""Which command reaches a fault point, by the first part of its name."""

DROPS: Final = "log.segment_unlinked"
"""The one point of the log that a build reaches: it drops the segments that are loaded."""


class Kill(msgspec.Struct, frozen=True):
    """Where a command shall die: at a fault point, or after a share of the processor time that it needs."""

    command: str
    point: str = ""
    on_hit: int = 1
    share: float = 0.0


class Report(msgspec.Struct):
    """What the kills did."""

    killed: list[Kill] = []
    survived: list[Kill] = []
    failed: list[str] = []
    threads: int = 0
    open_files: list[str] = []
    difference: str = ""
    unbalanced: list[str] = []


def all_points() -> list[Kill]:
    """Give the kills that fire each fault point of the imported stages, at its first hit and where there are more at a later one.

    The points of a stage that lie further along come later, so that a run which goes on from a kill still reaches the next one.
    """
    kills = []
    for name in sorted(FAULT_POINTS, key=lambda each: (each != DROPS, each), reverse=True):
        command = "build" if name == DROPS else COMMAND_OF[name.partition(".")[0]]
        kills.append(Kill(command, point=name))
        if command != "build" or name == "build.node_finished":
            kills.append(Kill(command, point=name, on_hit=30 if command == "build" else 2))
    return kills


def random_moments(choose: random.Random) -> list[Kill]:
    """Give more moments than are needed: a command may end before its timer."""
    return [Kill(COMMANDS[number % len(COMMANDS)], share=choose.uniform(0.02, 0.9)) for number in range(2 * MOMENTS)]


class KillRig:
    """A lake whose commands are killed, and one whose commands are not."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._victim, self._peaceful = folder / "victim", folder / "peaceful"
        self._victim.mkdir()
        (self._victim / "ticklake.toml").write_text(f"[warehouse]\nbatch_records = {BATCH_RECORDS}\n")
        self._choose = random.Random(seed)
        self._usual_seconds: dict[str, float] = {}
        self.report = Report()

    def run(self, kills: list[Kill], *, enough: int) -> Report:
        """Kill until all kills are used or enough have worked; then compare."""
        self._parse_project()
        self.report.threads = max(threading.active_count(), sum(1 for _ in Path("/proc/self/task").iterdir()))
        self.report.open_files = [link for link in _open_files() if str(self._folder) in link]
        recordings = self._recordings()
        used = [next(recordings)]
        if any(kill.share for kill in kills):
            self._take_time(used[0])
        self._torment(used[0], kills)
        while kills and len(self.report.killed) < enough:
            used.append(next(recordings))
            self._torment(used[-1], kills)
        for command in COMMANDS:
            self._finish(command, self._peaceful, used[1:] if self._usual_seconds else used)
        self._compare()
        return self.report

    def _take_time(self, recording: Path) -> None:
        """Let each command run undisturbed, and note how long it takes."""
        for command in COMMANDS:
            before = _children_seconds()
            self._finish(command, self._peaceful, [recording])
            self._usual_seconds[command] = _children_seconds() - before

    def _torment(self, recording: Path, kills: list[Kill]) -> None:
        """Bring a recording into gold, with kills in each command for which some are left."""
        for command in COMMANDS:
            for kill in [each for each in kills if each.command == command][:IN_A_ROW]:
                kills.remove(kill)
                self._kill(kill, recording)
            self._finish(command, self._victim, [recording])

    def _kill(self, kill: Kill, recording: Path) -> None:
        def prepare() -> None:
            if kill.point:
                arm(kill.point, on_hit=kill.on_hit)
            else:
                signal.signal(signal.SIGPROF, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_PROF, kill.share * self._usual_seconds[kill.command])

        status = self._fork(kill.command, self._victim, [recording], prepare)
        expected = signal.SIGKILL if kill.point else signal.SIGPROF
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == expected:
            self.report.killed.append(kill)
        else:
            self.report.survived.append(kill)
            if status:
                self.report.failed.append(f"{kill} ended with {status}")

    def _finish(self, command: str, home: Path, recordings: list[Path]) -> None:
        if status := self._fork(command, home, recordings, lambda: None):
            self.report.failed.append(f"{command} on the home {home.name} ended with {status}, after {self.report.killed[-1:]}")

    def _fork(self, command: str, home: Path, recordings: list[Path], prepare: Callable[[], None]) -> int:
        arguments = ["--home", str(home), command, *(map(str, recordings) if command == "replay" else ())]

        def work() -> None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            prepare()
            cli.main(arguments, standalone_mode=False)

        return _in_child(work)

    def _parse_project(self) -> None:
        """Parse in a child, so that this process opens nothing; the manifest comes back through the cache."""

        def parse() -> None:
            open_lake(self._folder / "parsed").builder.warm()

        _in_child(parse)
        project = transform.find_project()
        path = name_manifest(project, transform.hash_project(project), "duckdb")
        transform._MANIFESTS[path] = recall_manifest(path)

    def _recordings(self) -> Iterator[Path]:
        number = 0
        while True:
            path = self._folder / f"recording{number}.csv"
            path.write_text("s,t,p,v,c\n" + "".join(self._rows(number)))
            yield path
            number += 1

    def _rows(self, number: int) -> Iterator[str]:
        """Give rows far enough apart for a frame each: several commits, segments and objects a recording."""
        time_ms = 1_704_900_000_000 + number * 300_000  # 2024-01-10 15:20 UTC, neighbours share their buckets
        for row in range(ROWS):
            time_ms += self._choose.randrange(21, 60)
            symbol = f"K{number}{'AB'[row % 2]}"
            price = f"{100 + self._choose.randrange(200) / 100:.2f}"
            yield f"{symbol},{time_ms},{price},{self._choose.randrange(0, 500, 50)},{self._choose.choice(('', '12', '24;41'))}\n"

    def _compare(self) -> None:
        victim, peaceful = open_lake(self._victim), open_lake(self._peaceful)
        expected = {**read_gold(peaceful), "trades": read_trades(peaceful)}
        self.report.difference = tell_difference(expected, {**read_gold(victim), "trades": read_trades(victim)})
        self.report.unbalanced = find_unbalanced(victim)


def _children_seconds() -> float:
    """Give the processor time that the children took which have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _in_child(work: Callable[[], None]) -> int:
    """Do something in a forked child; give its wait status."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 — a child must not go on as if it were the parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _open_files() -> Iterator[str]:
    for link in Path("/proc/self/fd").iterdir():
        if link.exists():
            yield str(link.readlink())


def main(what: str, folder: str, seed: str) -> None:
    """Run one matrix and print its report."""
    os.environ.update(SETTINGS)
    tempfile.tempdir = folder
    kills = all_points() if what == "points" else random_moments(random.Random(seed))
    report = KillRig(Path(folder), int(seed)).run(kills, enough=len(kills) if what == "points" else MOMENTS)
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
