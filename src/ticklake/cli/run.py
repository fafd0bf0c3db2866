"""The whole path in one process, until Ctrl-C.

    replay    (a thread) recordings into the log, if any are named
    land      (a thread) what is full or due into objects
    build     (this thread) what is landed into gold, in batches small enough that readers need not wait

Guarantee  Ctrl-C ends between two commits: nothing is lost, the next start goes on
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
    from ticklake.feed.recording import Recording


@click.command()
@RECORDINGS
@SPEED
@JSON
@click.option("--until-done", is_flag=True, help="End by itself when the recordings are in gold.")
@click.pass_obj
def run(home: Path | None, recordings: tuple[Path, ...], speed: float | None, as_json: bool, until_done: bool) -> None:
    """Land and build whatever arrives, until Ctrl-C; replay FILE… on the way, if named.

    Beside it, in another terminal: ticklake bars, query, status, or replay into the same home.
    """
    from ticklake.cli.lake import Lake
    from ticklake.cli.output import print_json

    pipeline = Pipeline(Lake.at(home).open())
    previous = {number: signal.signal(number, pipeline.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        pipeline.run(recordings, speed, until_done=until_done)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if as_json:
        print_json({"replayed": pipeline.replayed, "landed": pipeline.landed, "built": pipeline.built})
    else:
        click.echo(f"replayed {pipeline.replayed:,} prints, landed {pipeline.landed:,} records, built {pipeline.built:,} records")


class Pipeline:
    """The stages of one lake, each in its own thread, the builder in the caller's."""

    def __init__(self, lake: "Lake") -> None:
        self._lake = lake
        self._stopping = threading.Event()
        self._replay_done = threading.Event()
        self._landed_all = threading.Event()
        self._failure: Exception | None = None
        self.replayed = self.landed = self.built = 0

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End after the work in hand."""
        self._stopping.set()

    def run(self, recordings: tuple[Path, ...], speed: float | None, *, until_done: bool) -> None:
        """Work until stopped. Raises what a stage raised."""
        from ticklake.feed.recording import Recording

        tape = [Recording(path) for path in recordings]
        threads = [
            threading.Thread(target=self._guard, args=(self._replay, tape, speed), name="replay"),
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

    def _replay(self, tape: "list[Recording]", speed: float | None) -> None:
        from ticklake.feed.recording import Tape
        from ticklake.feed.replay import Replayed, replay
        from ticklake.locks import hold_stage

        if not tape:
            return

        def count(done: Replayed) -> None:
            self.replayed = done.prints

        with hold_stage(self._lake.home.locks, "log"):
            log = self._lake.open_log_writer()
            try:
                replay(Tape(tape), log, clock=self._lake.clock, speed=speed, should_stop=self._stopping.is_set, on_commit=count)
            finally:
                log.close()

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
            self._replay_done.wait()
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
