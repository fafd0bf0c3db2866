"""A made-up day at an exchange of our own through every stage, in two halves, and then the proof of what came out.

    market    a day of trading out of a seed, with its own truth
    collect   a half of it, over loopback, by the real client; what goes wrong on a feed goes wrong
    land      into objects
    build     to bronze, silver and gold; the second half revises what is built already
    check     the ledger, and everything against the truth
    verify    every bar, counted anew from the landed bytes

Raises     DemoFailed if a hop does not balance or a comparison does not hold; HomeError for a home that no demo made;
           LoopbackRefused where a program cannot talk to itself
"""

import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from ticklake.cli.output import print_json, progress, uncollected

if TYPE_CHECKING:
    from ticklake.audit.ledger import Hop
    from ticklake.audit.truth import Comparison
    from ticklake.cli.day import Day
    from ticklake.cli.lake import Lake

MARKER: Final = "demo.json"
STAGE: Final = "demo"
KEPT: Final = (MARKER, f"{STAGE}.lock")
"""What clearing leaves."""

SEED: Final = 7
PRINTS: Final = 60_000
MIN_PRINTS: Final = 2_000
CHAOS_PRINTS: Final = 30_000
CHART_SYMBOL: Final = "AAPL"


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=SEED, help="Another seed is another market.", show_default=True)
@click.option(
    "--prints", type=click.IntRange(min=MIN_PRINTS), help=f"About how many prints it has.  [default: {PRINTS}, for --chaos {CHAOS_PRINTS}]"
)
@click.option("--chaos", is_flag=True, help="Kill and stall things on the way, and say which promise held.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def demo(home: Path | None, seed: int, prints: int | None, chaos: bool, as_json: bool) -> None:
    """Send a made-up market through every stage, and check what comes out against its truth.

    An exchange of our own plays the market over loopback, with the tricks of a real one, and the real client records
    it. The demo has a home of its own (if --home names none, the default one's name with -demo) and starts afresh:
    what an earlier demo left there is deleted. A home that no demo made is not touched.
    """
    from ticklake.locks import hold_stage

    home = home or _default_home()
    claim_home(home)
    with hold_stage(home, STAGE):
        clear_home(home)
        if chaos:
            from ticklake.cli.chaos import show_chaos

            show_chaos(home, seed, prints or CHAOS_PRINTS, as_json=as_json)
        else:
            _show_day(home, seed, prints or PRINTS, as_json=as_json)


def _show_day(home: Path, seed: int, prints: int, *, as_json: bool) -> None:
    from ticklake.cli.lake import Lake
    from ticklake.cli.report import make_document, print_chart, print_next, print_report

    run = _Run(Lake.at(home).open())
    day = run.make_day(seed, prints)
    try:
        for half in range(len(day.halves)):
            run.collect(day, half)
            run.land()
            run.build()
        hops, comparisons = run.check(day)
        comparisons.append(run.verify())
    finally:
        gc.unfreeze()
    if as_json:
        print_json(make_document(day, hops, comparisons) | {"home": home, "seed": seed, "stages": run.stages})
    else:
        print_report(day, hops, comparisons)
        print_chart(run.lake.query, CHART_SYMBOL)
        print_next(home, CHART_SYMBOL)
    _raise_failure(seed, hops, comparisons)


def claim_home(home: Path) -> None:
    """Mark a new or empty home as a demo's. Raises HomeError if anything but a demo made it."""
    from ticklake import __version__
    from ticklake.errors import HomeError, HomeUnwritable

    try:
        home.mkdir(parents=True, exist_ok=True)
        if any(home.iterdir()) and not (home / MARKER).exists():
            raise HomeError(
                f"the home {home} is not a demo's, and a demo would delete what is in it",
                hint="name another folder, or a new one: ticklake --home DIR demo",
            )
        (home / MARKER).write_text(json.dumps({"made_by": __version__}) + "\n")
    except OSError as error:
        raise HomeUnwritable(
            f"the home {home} cannot be written: {error.strerror} ({error.filename})",
            hint="name another with --home DIR, or make this one writable",
        ) from error


def clear_home(home: Path) -> None:
    """Delete what an earlier demo left. Raises StageLocked if somebody is at work on it."""
    from ticklake.errors import StageLocked
    from ticklake.locks import holder

    for stage in ("log", "land", "build"):
        if pid := holder(home / "locks", stage):
            raise StageLocked(f"{stage} is at work on the demo's home {home}, in process {pid}", hint=f"end it first: kill {pid}")
    for path in sorted(home.rglob("*"), reverse=True):  # what is in a folder before the folder
        name = path.relative_to(home).as_posix()
        if any(f"{kept}/".startswith(f"{name}/") for kept in KEPT):
            continue
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


class _Work(msgspec.Struct):
    """One stage at work: `show` moves its bar, `did` is what it says in the end."""

    show: Callable[[int], None]
    did: str = ""


class _Run:
    """The stages of one demo, and how long each took."""

    def __init__(self, lake: "Lake") -> None:
        self.lake = lake
        self.stages: list[dict[str, Any]] = []

    @contextmanager
    def _stage(self, name: str, *, unit: str, total: int | None = None) -> Iterator[_Work]:
        started_ns = self.lake.clock.monotonic_ns()
        with progress(name, unit=unit, total=total) as show:
            work = _Work(show)
            yield work
        seconds = (self.lake.clock.monotonic_ns() - started_ns) / 1e9
        self.stages.append({"stage": name, "did": work.did, "seconds": round(seconds, 2)})
        if not sys.stderr.isatty():  # where a bar was, it says all of this
            click.echo(f"{name:<8} {work.did:<54} {seconds:>5.1f} s", err=True)

    def make_day(self, seed: int, prints: int) -> "Day":
        from ticklake.cli.day import Day

        with self._stage("market", unit="prints", total=prints) as work:
            day = Day(seed, prints=prints)
            work.show(sum(day.prints))
            work.did = f"{sum(day.prints):,} prints out of seed {seed}"
        gc.freeze()  # the market lives to the end: who collects garbage need not look at all of it again and again
        return day

    def collect(self, day: "Day", half: int) -> None:
        from ticklake.locks import hold_stage

        before = day.connections
        with hold_stage(self.lake.home.locks, "log"), self._stage("collect", unit="prints", total=day.prints[half]) as work:
            recorder = day.collect(self.lake, half, work.show)
            connections = day.connections - before
            work.did = f"{recorder.frames:,} messages of {connections} {'connection' if connections == 1 else 'connections'}"

    def land(self) -> None:
        from ticklake.locks import hold_stage

        with hold_stage(self.lake.home.locks, "land"), self._stage("land", unit="records") as work:
            landed = self.lake.make_lander().land(flush=True)
            work.show(landed.records)
            work.did = f"{landed.records:,} records in {landed.objects:,} {'object' if landed.objects == 1 else 'objects'}"

    def build(self) -> None:
        steps = 0

        def count(_step: str, done: int, total: int) -> None:
            nonlocal steps
            steps = total
            work.show(done)

        with self._stage("build", unit="models and tests") as work:
            built = self.lake.builder.build(batch_records=self.lake.settings.warehouse.batch_records, on_progress=count)
            work.did = f"{built.records:,} records, {steps} models and tests"

    def check(self, day: "Day") -> "tuple[list[Hop], list[Comparison]]":
        from ticklake.audit.ledger import balance
        from ticklake.audit.truth import compare_truth

        with self._stage("check", unit="prints", total=sum(day.prints)) as work:
            hops = balance(self.lake.log, self.lake.store, self.lake.query)
            comparisons = compare_truth(day.make_truth(), self.lake.query)
            work.show(sum(day.prints))
            work.did = f"{len(hops)} hops of the ledger, {len(comparisons)} comparisons with the truth"
        return hops, comparisons

    def verify(self) -> "Comparison":
        from ticklake.audit.truth import EXAMPLES, Comparison
        from ticklake.audit.verify import verify

        with uncollected(), self._stage("verify", unit="steps") as work:
            verified = verify(
                self.lake.store,
                self.lake.query,
                self.lake.seeds,
                project_sha256=self.lake.project_sha256,
                on_progress=lambda _step, done, _total: work.show(done),
            )
            work.did = f"{verified.bars:,} bars counted anew from the landed bytes"
        wrong = {(each.table, each.symbol, each.lens, each.start_at): each for each in verified.differences}
        examples = [f"{each.table} {each.symbol} {each.lens} {each.start_at} {each.column}" for each in list(wrong.values())[:EXAMPLES]]
        missing = len(wrong) + len(verified.unreadable)
        return Comparison("bars, each lens", verified.bars, verified.bars - len(wrong), missing, 0, examples + verified.unreadable)


def _default_home() -> Path:
    from ticklake.settings import read_settings

    settled = read_settings(None).home
    return settled.with_name(f"{settled.name}-demo")


def _raise_failure(seed: int, hops: "list[Hop]", comparisons: "list[Comparison]") -> None:
    from ticklake.errors import DemoFailed

    failures = [f"{hop.name} has a residual of {hop.residual:,} {hop.unit}" for hop in hops if not hop.is_balanced]
    failures += [
        f"{each.name}: {each.missing:,} missing and {each.surplus:,} surplus of {each.true:,}, such as {'; '.join(each.examples)}"
        for each in comparisons
        if not each.holds
    ]
    if failures:
        raise DemoFailed(
            f"{len(failures)} promises of the demo did not hold: {failures[0]}",
            hint=f"nothing of yours is wrong: please report it with the seed {seed} and the version, ticklake --version",
        )
