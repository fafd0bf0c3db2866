"""A demo that kills and stalls things on the way, and says which promise held.

    exchange  a child that plays a morning's burst, with breaks, hangs and messages of 2 MiB, and writes the truth
    collect   a child: killed amid trading and started again, stopped and woken
    land      killed before and behind an object, and two at once
    build     killed in a load and among the models; in the end the warehouse is deleted and built again
    judge     each promise, by the truth and by the ledger

Time       the market's at `SPEED`; records carry this machine's own, which all processes of it share, and so does the
           truth, so that gaps are compared to what a message takes over loopback
Raises     DemoFailed if a promise did not hold; LoopbackRefused
"""

import importlib
import os
import random
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from ticklake.cli.burst import KEY, SPEED, SYMBOLS, Burst, serve_burst
from ticklake.cli.children import POLL_SECONDS, Child, Children
from ticklake.cli.output import print_json
from ticklake.cli.promises import BREAKS, Promise, hash_gold, judge, print_promises
from ticklake.contracts.faults import arm
from ticklake.errors import DemoFailed, StageLocked
from ticklake.log.sqlite import PARTITION, SqliteLog

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake

CHILDREN_LOG: Final = "children.log"
KILLS: Final = 3
STOP_SECONDS: Final = 1.5
PATIENCE_SECONDS: Final = 60.0
BREAKS_SECONDS: Final = 25.0
ENOUGH: Final = 60
"""Records that show that a collector is at work."""

MOST_RECORDS: Final = 5_000
SESSION_OVER: Final = re.compile(rb'"control":\{"type":"session_closed","cause":"(?P<cause>\w+)"')
LAND_POINTS: Final = ("landing.object_encoded", "store.object_linked")
BUILD_POINTS: Final = (("load.before_commit", 1), ("build.node_finished", 12))
SETTINGS: Final = {
    "TICKLAKE_FEED__SILENCE_SECONDS": "1",
    "TICKLAKE_LANDING__OBJECT_RECORDS": "1000",
    "TICKLAKE_LOG__SEGMENT_RECORDS": "2000",
}


def show_chaos(home: Path, seed: int, prints: int, *, as_json: bool) -> None:
    """Play it all, print which promise held. Raises DemoFailed."""
    from ticklake.cli.lake import Lake

    lake = Lake.at(home).open()
    started_ns = lake.clock.monotonic_ns()
    with Children(lake.clock, home / CHILDREN_LOG) as children:
        chaos = _Chaos(lake, children, seed, prints)
        chaos.play()
    seconds = (lake.clock.monotonic_ns() - started_ns) / 1e9
    promises = chaos.promises
    has_held = all(each.has_held for each in promises)
    if as_json:
        print_json({"holds": has_held, "promises": msgspec.to_builtins(promises), "home": home, "seed": seed, "seconds": round(seconds, 1)})
    else:
        print_promises(promises)
        click.echo(f"\n{len(promises)} promises, {sum(each.has_held for each in promises)} held, in {seconds:.0f} s")
    if not has_held:
        broken = next(each for each in promises if not each.has_held)
        raise DemoFailed(
            f"a promise did not hold when {broken.did}: {broken.promise}; found: {broken.found}",
            hint=f"please report it with the seed {seed} and {home / 'children.log'}",
        )


class _Chaos:
    """One play."""

    def __init__(self, lake: "Lake", children: Children, seed: int, prints: int) -> None:
        self._lake = lake
        self._children = children
        self._seed = seed
        self._prints = prints
        self._chance = random.Random(f"{seed}/chaos")  # noqa: S311 — moments, not secrets
        self._truth = lake.home.root / "truth.ndjson"
        self._kills_ns: list[int] = []
        self._deaths = 0
        self.promises: list[Promise] = []

    def play(self) -> None:
        """Do everything, in turn."""
        with self._step("exchange") as say:
            port, exchange = serve_burst(self._children, self._lake.clock, self._seed, self._prints, self._truth)
            collector = self._collect(port)
            self._wait_for_records(ENOUGH, collector)
            say(f"a morning of {self._prints:,} prints, {SPEED:g} times as fast")
        collector = self._kill_collector(collector, port)
        self._stop_and_wake(collector)
        self._land_twice()
        self._kill_landers()
        self._wait_for_breaks(collector)
        with self._step("end") as say:
            codes = [self._end(child, signal.SIGTERM) for child in (collector, exchange)]
            say("of collector and exchange, by SIGTERM")
        self._add("collector and exchange told to end", "they do, and all is durable", f"exit codes {codes}", has_held=not any(codes))
        self._finish("land")
        self._kill_builders()
        with self._step("judge") as say:
            self.promises += judge(self._lake, Burst(self._truth), self._kills_ns, deaths=self._deaths)
            say("by the truth and by the ledger")

    def _kill_collector(self, collector: Child, port: int) -> Child:
        with self._step("kill -9") as say:
            for _ in range(KILLS):
                self._wait_for_records(self._chance.randrange(ENOUGH, 3 * ENOUGH), collector)
                self._kills_ns.append(self._lake.clock.now_ns())
                collector.kill()
                self._deaths += not SESSION_OVER.search(self._read_last())
                collector = self._collect(port)
            self._wait_for_records(ENOUGH, collector)
            say(f"of the collector amid the burst, {KILLS} times")
        return collector

    def _stop_and_wake(self, collector: Child) -> None:
        with self._step("stall") as say:
            collector.send(signal.SIGSTOP)
            self._lake.clock.sleep(STOP_SECONDS)
            collector.send(signal.SIGCONT)
            records = self._wait_for_records(ENOUGH, collector)
            say(f"of the collector for {STOP_SECONDS:g} s")
        did = f"collect stopped for {STOP_SECONDS:g} s and woken"
        self._add(did, "it goes on by itself", f"{records} records since", has_held=records >= ENOUGH)

    def _land_twice(self) -> None:
        with self._step("land") as say:
            codes = sorted(child.end(seconds=PATIENCE_SECONDS) for child in [self._command("land"), self._command("land")])
            say("two of them at once")
        held = codes in ([0, 0], [0, StageLocked.exit_code])
        self._add("two lands at once", "one lands, the other waits its turn or says who is at work", f"exit codes {codes}", has_held=held)

    def _kill_landers(self) -> None:
        with self._step("kill -9") as say:
            for point in LAND_POINTS:
                self._wait_for_records(1)
                codes = [self._command("land", point=(point, 1)).end(seconds=PATIENCE_SECONDS), self._run("land")]
                held = codes == [-signal.SIGKILL, 0]
                self._add(f"land killed at {point}, and run again", "it goes on", f"exit codes {codes}", has_held=held)
            say(f"of land, at {len(LAND_POINTS)} points")

    def _wait_for_breaks(self, collector: Child) -> None:
        """Wait until every way to lose a connection was met, as far as the dice give it."""
        deadline_ns = self._lake.clock.monotonic_ns() + int(BREAKS_SECONDS * 1e9)
        with self._step("breaks") as say:
            while not (met := self._find_causes()).issuperset(BREAKS.values()) and self._lake.clock.monotonic_ns() < deadline_ns:
                self._wait_for_records(1, collector)
            say(f"of connections: {', '.join(sorted(met & {*BREAKS.values()}))}")

    def _kill_builders(self) -> None:
        """Kill builds, let one come to its end; build all of it again, undisturbed: gold must be the same."""
        import dbt.adapters.duckdb
        import dbt.cli.main  # noqa: F401 — what a build imports, so that no child has to

        with self._step("kill -9") as say:
            codes = [self._command("build", point=point).end(seconds=PATIENCE_SECONDS) for point in BUILD_POINTS]
            say(f"of build, at {len(BUILD_POINTS)} points")
        self._finish("build")
        disturbed = self._digest()
        with self._step("delete") as say:
            shutil.rmtree(self._lake.home.warehouse)
            self._lake.open()
            say("of the whole warehouse")
        self._finish("build")
        points = " and ".join(name for name, _ in BUILD_POINTS)
        self._add(
            f"build killed at {points}, and run again; then the warehouse deleted and built undisturbed",
            "the same rows of gold",
            f"exit codes {codes}, sha256 {disturbed[:12]} both times",
            has_held=codes == [-signal.SIGKILL] * len(BUILD_POINTS) and disturbed == self._digest(),
        )

    def _collect(self, port: int) -> Child:
        return self._command("collect", "--url", f"ws://127.0.0.1:{port}", *SYMBOLS)

    def _command(self, *words: str, point: tuple[str, int] | None = None) -> Child:
        def prepare() -> None:
            for name in [name for name in os.environ if name.startswith("TICKLAKE_")]:
                del os.environ[name]
            os.environ.update({**SETTINGS, "TICKLAKE_FEED__KEY": KEY, "TICKLAKE_FEED__KEY_LOCKS": str(self._lake.home.root / "keys")})
            if point:
                for module in (
                    "ticklake.landing.land",
                    "ticklake.store.folder",
                    "ticklake.warehouse.duckdb",
                    "ticklake.warehouse.transform",
                ):
                    importlib.import_module(module)
                arm(point[0], on_hit=point[1])

        return self._children.command("--home", self._lake.home.root, *words, prepare=prepare)

    def _finish(self, command: str) -> None:
        """Run a command to its end, which must be a good one. Raises DemoFailed."""
        with self._step(command) as say:
            if code := self._run(command):
                raise DemoFailed(f"{command} ended with exit code {code}", hint=f"it said why in {self._lake.home.root / CHILDREN_LOG}")
            say("to the end")

    def _run(self, command: str) -> int:
        return self._command(command).end(seconds=PATIENCE_SECONDS)

    def _end(self, child: Child, number: signal.Signals) -> int:
        child.send(number)
        return child.end(seconds=PATIENCE_SECONDS)

    def _digest(self) -> str:
        """Give the hash of gold's rows; a child reads them, so that this process opens nothing that its children would share."""
        file = self._lake.home.root / "gold.sha256"

        def write() -> None:
            file.write_text(hash_gold(self._lake.query))

        self._children.start("digest", write).end(seconds=PATIENCE_SECONDS)
        return file.read_text()

    def _wait_for_records(self, more: int, collector: Child | None = None) -> int:
        """Wait until the log has grown, while the collector lives; give by how much it has."""
        clock, first = self._lake.clock, self._count_records()
        deadline_ns = clock.monotonic_ns() + int(PATIENCE_SECONDS * 1e9)
        while (grown := self._count_records() - first) < more and clock.monotonic_ns() < deadline_ns:
            if collector and collector.code is not None:
                raise DemoFailed(
                    f"collect ended by itself with exit code {collector.code}", hint=f"it said why in {self._lake.home.root / CHILDREN_LOG}"
                )
            clock.sleep(POLL_SECONDS)
        return grown

    def _count_records(self) -> int:
        with self._open_log() as log:
            return log.end_offset(PARTITION)

    def _read_last(self) -> bytes:
        with self._open_log() as log:
            return log.read(PARTITION, log.end_offset(PARTITION) - 1, max_records=1)[0].value

    def _find_causes(self) -> set[str]:
        """Give the causes of the sessions that are over."""
        found: set[str] = set()
        with self._open_log() as log:
            offset = 0
            while records := log.read(PARTITION, offset, max_records=MOST_RECORDS):
                found |= {match["cause"].decode() for record in records if (match := SESSION_OVER.search(record.value))}
                offset = records[-1].offset + 1
        return found

    @contextmanager
    def _open_log(self) -> Iterator[SqliteLog]:
        """Read the log, and let go of it before the next child is forked."""
        log = SqliteLog(self._lake.home.log)
        try:
            yield log
        finally:
            log.close()

    def _add(self, did: str, promise: str, found: str, *, has_held: bool) -> None:
        self.promises.append(Promise(did, promise, found, has_held))

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[[str], None]]:
        started_ns, said = self._lake.clock.monotonic_ns(), ""

        def say(what: str) -> None:
            nonlocal said
            said = what

        yield say
        seconds = (self._lake.clock.monotonic_ns() - started_ns) / 1e9
        click.echo(f"{name:<8} {said:<54} {seconds:>5.1f} s", err=True)
