"""The whole path in one process, until Ctrl-C.

    collect   (a thread) the live feed into the log, if a key or a simulator's address is set
    replay    (a thread) recordings into the log, if any are named
    land      (a thread) what is full or due into objects
    build     (this thread) what is landed into gold, in batches small enough that readers need not wait

Guarantee  Ctrl-C ends between two commits: the live session is closed with its cause, nothing is lost, the next start
           goes on. Collecting and replaying share one writer, so that one process has the log.
Raises     what a stage raised; the others come to their end first
"""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ticklake.cli.path import JSON, RECORDINGS, SPEED

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake
    from ticklake.cli.live import LiveFeed
    from ticklake.contracts.ports import LogWriter
    from ticklake.feed.recording import Recording


@click.command()
@RECORDINGS
@SPEED
@JSON
@click.option("--url", help="The feed's socket, if not the setting feed.url: a simulator's, to try it out.")
@click.option("--until-done", is_flag=True, help="Collect nothing, and end by itself when the recordings are in gold.")
@click.pass_obj
def run(home: Path | None, recordings: tuple[Path, ...], speed: float | None, as_json: bool, url: str | None, until_done: bool) -> None:
    """Collect, land and build whatever arrives, until Ctrl-C; replay FILE… on the way, if named.

    It collects the symbols of the setting feed.symbols if a key is set, or the address of a simulator. Beside it, in
    another terminal: ticklake bars, query, status, or collect or replay into the same home.
    """
    from ticklake.cli.lake import Lake
    from ticklake.cli.output import print_json

    if until_done and url:
        raise click.UsageError("--until-done collects nothing, so there is no use in --url")
    lake = Lake.at(home).open()
    pipeline = Pipeline(lake, None if until_done else _find_live(lake, url, has_recordings=bool(recordings)))
    previous = {number: signal.signal(number, pipeline.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        pipeline.run(recordings, speed, until_done=until_done)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    collected = pipeline.live.tally() if pipeline.live else None
    if as_json:
        print_json({"collected": collected, "replayed": pipeline.replayed, "landed": pipeline.landed, "built": pipeline.built})
        return
    first = f"collected {collected['frames']:,} messages of {collected['connections']:,} connections, " if collected else ""
    click.echo(f"{first}replayed {pipeline.replayed:,} prints, landed {pipeline.landed:,} records, built {pipeline.built:,} records")


def _find_live(lake: "Lake", url: str | None, *, has_recordings: bool) -> "LiveFeed | None":
    """Give the feed to collect from, if one is set and can be; say on stderr why it cannot."""
    from ticklake.cli.live import EXAMPLE, LiveFeed
    from ticklake.locks import holder

    live = LiveFeed.of(lake, url)
    if live is None:
        return None
    if not live.has_symbols:
        click.echo(f"warning: nothing is collected, since no symbol is named: set feed.symbols, as in {EXAMPLE}", err=True)
        return None
    if not has_recordings and (pid := holder(lake.home.locks, "log")):
        click.echo(f"process {pid} writes this home's log already: what it collects is landed and built here", err=True)
        return None
    return live


class Pipeline:
    """The stages of one lake, each in its own thread, the builder in the caller's."""

    def __init__(self, lake: "Lake", live: "LiveFeed | None" = None) -> None:
        self._lake = lake
        self.live = live
        self._stopping = threading.Event()
        self._written = threading.Event()
        self._replay_done = threading.Event()
        self._landed_all = threading.Event()
        self._failure: Exception | None = None
        self.replayed = self.landed = self.built = 0

    def stop(self, number: int = 0, _frame: FrameType | None = None) -> None:
        """End after the work in hand; told so by a second signal, wait for no disk to have room again."""
        is_second = bool(number) and self._stopping.is_set()
        self._stopping.set()
        if self.live:
            self.live.stop(at_once=is_second)

    def run(self, recordings: tuple[Path, ...], speed: float | None, *, until_done: bool) -> None:
        """Work until stopped. Raises what a stage raised."""
        from ticklake.feed.recording import Recording

        tape = [Recording(path) for path in recordings]
        threads = [
            threading.Thread(target=self._guard, args=(self._write, tape, speed), name="write"),
            threading.Thread(target=self._guard, args=(self._land, until_done), name="land"),
        ]
        for thread in threads:
            thread.start()
        try:
            self._lake.builder.warm()
            self._build(until_done=until_done)
        finally:
            self.stop()
            for thread in threads:
                thread.join()
        if self._failure:
            raise self._failure

    def _guard(self, stage: Callable[..., None], *arguments: object) -> None:
        """Let a stage's error stop the others and reach the caller."""
        try:
            stage(*arguments)
        except Exception as error:  # noqa: BLE001 — raised again in `run`, in the caller's thread
            self._failure = self._failure or error
            self.stop()
        finally:
            if stage == self._replay:
                self._replay_done.set()
            elif stage == self._write:
                self._replay_done.set()
                self._written.set()

    def _write(self, tape: "list[Recording]", speed: float | None) -> None:
        """Hold the log while there is anything to write: replay here, collect in a thread beside."""
        from ticklake.cli.live import SharedWriter
        from ticklake.locks import hold_stage

        if not (tape or self.live):
            return
        with hold_stage(self._lake.home.locks, "log"):
            log = SharedWriter(self._lake.open_log_writer())
            collecting = threading.Thread(target=self._guard, args=(self._collect, log), name="collect")
            collecting.start()
            try:
                self._guard(self._replay, tape, log, speed)
            finally:
                collecting.join()
                log.close()

    def _collect(self, log: "LogWriter") -> None:
        if self.live:
            self.live.collect(log)

    def _replay(self, tape: "list[Recording]", log: "LogWriter", speed: float | None) -> None:
        from ticklake.feed.recording import Tape
        from ticklake.feed.replay import Replayed, replay

        def count(done: Replayed) -> None:
            self.replayed = done.prints

        replay(Tape(tape), log, clock=self._lake.clock, speed=speed, should_stop=self._stopping.is_set, on_commit=count)

    def _land(self, until_done: bool) -> None:
        from ticklake.locks import hold_stage

        with hold_stage(self._lake.home.locks, "land"):
            lander = self._lake.make_lander()
            while not self._stopping.is_set():
                is_last = self._replay_done.is_set()
                self.landed += lander.land(flush=is_last and until_done).records
                if is_last:
                    self._landed_all.set()
                self._stopping.wait(self._lake.settings.run.poll_seconds)
            self._written.wait()
            self.landed += lander.land(flush=True).records

    def _build(self, *, until_done: bool) -> None:
        while not self._stopping.is_set():
            is_last = self._landed_all.is_set()
            has_built = self._build_once()
            if until_done and is_last and not has_built:
                return
            if not has_built:
                self._stopping.wait(self._lake.settings.run.poll_seconds)

    def _build_once(self) -> bool:
        built = self._lake.builder.build(batch_records=self._lake.settings.warehouse.run_batch_records, should_stop=self._stopping.is_set)
        self.built += built.records
        for broken in built.quarantined:
            click.echo(f"warning: {broken.key} is quarantined: {broken.reason}", err=True)
        if built.batches:
            self._lake.drop_loaded_segments()
        return bool(built.batches)
