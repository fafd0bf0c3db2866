"""The stages of one lake side by side, until told to stop.

    collect   (a thread) the live feed into the log
    replay    (a thread) recordings into the log
    land      (a thread) what is full or due into objects
    build     (the caller's thread) what is landed into gold, in batches small enough that readers need not wait

Guarantee  a live feed is stopped by itself or by the user, never by another stage: while it is collected, what may pass
           (an error that is `retryable`, a full disk) makes its stage wait and try again, and any other error ends
           its stage alone. Each is an event when it happens. Without a live feed any error ends all stages
Raises     what ended the feed or its log; else what a stage raised: the others come to their end first
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from ticklake.errors import TicklakeError
from ticklake.logs import STAGE_DELAYED, STAGE_FAILED, STAGE_RESUMED, log_event, warn_event
from ticklake.store.folder import NO_SPACE
from ticklake.warehouse.build import Built

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake
    from ticklake.cli.live import LiveFeed
    from ticklake.contracts.ports import LogWriter
    from ticklake.feed.recording import Recording

LONGEST_WAIT_SECONDS: Final = 5.0


def may_pass(error: Exception) -> bool:
    """Whether trying again may help."""
    return error.retryable if isinstance(error, TicklakeError) else isinstance(error, OSError) and error.errno in NO_SPACE


class Patience:
    """One stage's way to wait out what may pass: said when it begins and when it is over."""

    def __init__(self, stage: str, *, stopping: threading.Event, least_seconds: float) -> None:
        self._stage = stage
        self._stopping = stopping
        self._least_seconds = self._next_seconds = least_seconds
        self._is_waiting = False

    def outlast(self, error: Exception) -> None:
        """Wait before the next try, or until stopped. Raises an error that does not pass."""
        if not may_pass(error):
            raise error
        if not self._is_waiting:
            self._is_waiting = True
            warn_event(STAGE_DELAYED, stage=self._stage, reason=str(error))
        self._stopping.wait(self._next_seconds)
        self._next_seconds = min(self._next_seconds * 2, max(LONGEST_WAIT_SECONDS, self._least_seconds))

    def resume(self) -> None:
        """Note that a try went well."""
        if self._is_waiting:
            self._is_waiting, self._next_seconds = False, self._least_seconds
            log_event(STAGE_RESUMED, stage=self._stage)


class Impatience(Patience):
    """That of a stage that nobody needs to go on."""

    def outlast(self, error: Exception) -> None:
        """Raises the error."""
        raise error


class PatientWriter:
    """A log's writing end for a stage that waits for a full disk beside a live feed."""

    def __init__(self, log: "LogWriter", patience: Patience, stopping: threading.Event) -> None:
        self._log = log
        self._patience = patience
        self._stopping = stopping

    def append(self, records: Sequence[bytes]) -> int:
        """Make records durable, in order; give the offset of the first. Raises DiskFull if stopped before there is room."""
        while True:
            try:
                offset = self._log.append(records)
            except Exception as error:
                if self._stopping.is_set():
                    raise
                self._patience.outlast(error)
            else:
                self._patience.resume()
                return offset

    def close(self) -> None:
        """Let go of files and locks."""
        self._log.close()


class Pipeline:
    """The stages of one lake, each in its own thread, the builder in the caller's."""

    def __init__(self, lake: "Lake", live: "LiveFeed | None" = None) -> None:
        self._lake = lake
        self.live = live
        self._stopping = threading.Event()
        self._written = threading.Event()
        self._replay_done = threading.Event()
        self._landed_all = threading.Event()
        self._fatal: Exception | None = None
        self._failure: Exception | None = None
        """The first error that ended a stage, but not the feed."""
        self.replayed = self.landed = 0
        self.built = Built()

    def stop(self, number: int = 0, _frame: FrameType | None = None) -> None:
        """End after the work in hand; told so by a second signal, wait for no disk to have room again."""
        is_second = bool(number) and self._stopping.is_set()
        self._stopping.set()
        if self.live:
            self.live.stop(at_once=is_second)

    def run(self, recordings: tuple[Path, ...], speed: float | None, *, until_done: bool) -> None:
        """Work until stopped. Raises what ended the feed or its log, else the first error that ended a stage."""
        from ticklake.feed.recording import Recording

        tape = [Recording(path) for path in recordings]
        threads = [
            threading.Thread(target=self._guard, args=(self._write, tape, speed), name="write"),
            threading.Thread(target=self._guard_beside, args=("land", self._land, until_done), name="land"),
        ]
        for thread in threads:
            thread.start()
        try:
            self._guard_beside("build", self._build, until_done)
            if self.live:
                self._stopping.wait()
        finally:
            self.stop()
            for thread in threads:
                thread.join()
        if error := self._fatal or self._failure:
            raise error

    def _guard(self, stage: Callable[..., None], *arguments: object) -> None:
        """Let a stage's error stop all the others and reach the caller."""
        try:
            stage(*arguments)
        except Exception as error:  # noqa: BLE001 — raised again in `run`, in the caller's thread
            self._fatal = self._fatal or error
            self.stop()
        finally:
            if stage == self._write:
                self._replay_done.set()
                self._written.set()

    def _guard_beside(self, name: str, stage: Callable[..., None], *arguments: object) -> None:
        """The same for a stage that no live feed depends on: with one, its error ends nothing but itself, and is told."""
        if not self.live:
            self._guard(stage, *arguments)
            return
        try:
            stage(*arguments)
        except Exception as error:  # noqa: BLE001 — raised again in `run`, in the caller's thread
            self._failure = self._failure or error
            if not self._stopping.is_set():
                reason = str(error) if isinstance(error, TicklakeError) else f"{type(error).__name__}: {error}"
                warn_event(STAGE_FAILED, stage=name, reason=reason, hint=getattr(error, "hint", ""))

    def _wait_patiently(self, stage: str) -> Patience:
        kind = Patience if self.live else Impatience
        return kind(stage, stopping=self._stopping, least_seconds=self._lake.settings.run.poll_seconds)

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
                self._guard_beside("replay", self._replay, tape, log, speed)
                self._replay_done.set()
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

        patient = PatientWriter(log, self._wait_patiently("replay"), self._stopping)
        replay(Tape(tape), patient, clock=self._lake.clock, speed=speed, should_stop=self._stopping.is_set, on_commit=count)

    def _land(self, until_done: bool) -> None:
        patience = self._wait_patiently("land")
        while True:
            try:
                self._land_until_stopped(patience, until_done)
            except Exception as error:
                if self._stopping.is_set():
                    raise  # the last of it is not landed: that is no secret
                patience.outlast(error)
            else:
                return

    def _land_until_stopped(self, patience: Patience, until_done: bool) -> None:
        from ticklake.locks import hold_stage

        def count(records: int) -> None:
            self.landed += records

        with hold_stage(self._lake.home.locks, "land"):
            lander = self._lake.make_lander()
            while not self._stopping.is_set():
                is_last = self._replay_done.is_set()
                lander.land(flush=is_last and until_done, on_object=count)
                patience.resume()
                if is_last:
                    self._landed_all.set()
                self._stopping.wait(self._lake.settings.run.poll_seconds)
            self._written.wait()
            lander.land(flush=True, on_object=count)

    def _build(self, until_done: bool) -> None:
        patience = self._wait_patiently("build")
        self._outlast(patience, self._lake.builder.warm)
        while not self._stopping.is_set():
            is_last = self._landed_all.is_set()
            has_built = self._outlast(patience, self._build_once)
            if until_done and is_last and not has_built:
                return
            if not has_built:
                self._stopping.wait(self._lake.settings.run.poll_seconds)

    def _build_once(self) -> bool:
        """Build one batch, if there is one: more may arrive for ever, and what was built is told of and dropped from the log."""
        built, before = self.built, self.built.batches
        self._lake.builder.build(
            batch_records=self._lake.settings.warehouse.run_batch_records,
            should_stop=lambda: self._stopping.is_set() or built.batches > before,
            into=built,
        )
        if built.batches == before:
            return False
        self._lake.drop_loaded_segments()
        return True

    def _outlast(self, patience: Patience, work: Callable[[], object]) -> bool:
        """Do some work, again and again while what stands in its way may pass; give what it gives, or no."""
        while not self._stopping.is_set():
            try:
                done = work()
            except Exception as error:  # noqa: BLE001 — raised by `outlast`, unless it may pass
                patience.outlast(error)
            else:
                patience.resume()
                return bool(done)
        return False
