"""One process at a time on a stage, and readers that take turns with the builder.

Guarantee  a lock dies with its process: the kernel holds it, the file only tells whose it is
Raises     StageLocked, with the other's pid
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from ticklake.errors import StageLocked

POLL_SECONDS: Final = 0.01
PROBE_SECONDS: Final = 0.5
"""How long a lock that nobody signed may be held: by `holder`, which looks, or by one who is about to sign."""


@contextmanager
def hold_stage(folder: Path, stage: str) -> Iterator[None]:
    """Hold a stage's lock while the block runs. Raises StageLocked if another process has it."""
    with _open(folder / f"{stage}.lock") as file:
        deadline = time.monotonic() + PROBE_SECONDS
        while not _try_lock(file, fcntl.LOCK_EX):
            pid = holder(folder, stage)
            if pid is None and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                continue
            raise StageLocked(
                f"{stage} is already at work on this home, in process {pid or 'unknown'}",
                hint=f"wait for it, or end it: kill {pid or 'PID'}",
            )
        _sign(file)
        try:
            yield
        finally:
            _unsign(file)


def holder(folder: Path, stage: str) -> int | None:
    """Give the pid of the process that holds a stage's lock, if one does."""
    path = folder / f"{stage}.lock"
    if not path.exists():
        return None
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = file.read().strip()
            return int(pid) if pid.isdigit() else None
    return None


@contextmanager
def take_turn(folder: Path, *, shared: bool, wait_seconds: float, on_timeout: Callable[[int | None], Exception]) -> Iterator[None]:
    """Enter the room that one writer, or many readers (`shared`), may be in.

    Who waits holds the turnstile, so a writer that leaves cannot overtake a waiting reader on its way back in.
    Raises what `on_timeout` makes of the pid inside.
    """
    deadline = time.monotonic() + wait_seconds
    with _open(folder / "turnstile.lock") as turnstile, _open(folder / "room.lock") as room:
        for file, operation in ((turnstile, fcntl.LOCK_EX), (room, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)):
            while not _try_lock(file, operation):
                if time.monotonic() >= deadline:
                    raise on_timeout(holder(folder, "room"))
                time.sleep(POLL_SECONDS)
        fcntl.flock(turnstile, fcntl.LOCK_UN)
        if shared:
            yield
            return
        _sign(room)
        try:
            yield
        finally:
            _unsign(room)


def _open(path: Path) -> IO[str]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+")


def _try_lock(file: IO[str], operation: int) -> bool:
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: IO[str]) -> None:
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()


def _unsign(file: IO[str]) -> None:
    file.seek(0)
    file.truncate()
    file.flush()
