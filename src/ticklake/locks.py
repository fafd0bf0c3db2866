"""One process at a time on a stage or with a key, and readers that take turns with the builder.

Guarantee  a lock dies with its process: the kernel holds it, the file only tells whose it is
Raises     StageLocked, with the other's pid; HomeUnwritable where a host's folder of keys cannot be used
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from ticklake.errors import HomeUnwritable, StageLocked

POLL_SECONDS: Final = 0.01
PROBE_SECONDS: Final = 0.5
"""How long a lock that nobody signed may be held: by `holder`, which looks, or by one who is about to sign."""


@contextmanager
def hold_stage(folder: Path, stage: str) -> Iterator[None]:
    """Hold a stage's lock while the block runs. Raises StageLocked if another process has it."""

    def tell(pid: int | None) -> StageLocked:
        return StageLocked(
            f"{stage} is already at work on this home, in process {pid or 'unknown'}", hint=f"wait for it, or end it: kill {pid or 'PID'}"
        )

    with _open(folder / f"{stage}.lock") as file, _hold(file, lambda: holder(folder, stage), tell):
        yield


@contextmanager
def hold_key(folder: Path, *, server: str, key: str) -> Iterator[None]:
    """Hold a server's key while the block runs, in a folder that all users of this host share.

    The lock is named for a digest: neither its name nor its content tells the key. Raises StageLocked if another process of
    this host has it, HomeUnwritable if the folder cannot be used.
    """
    name = hashlib.sha256(f"ticklake\0{server}\0{key}".encode()).hexdigest()[:32]

    def tell(pid: int | None) -> StageLocked:
        return StageLocked(
            f"process {pid or 'unknown'} already collects from {server} with this key",
            hint=f"a key is granted one connection: end the other (kill {pid or 'PID'}), or give each collector its own key",
        )

    try:
        file = _open_shared(folder / f"{name}.lock")
    except OSError as error:
        raise HomeUnwritable(
            f"the folder of this host's keys {folder} cannot be used: {error.strerror}", hint="name another: TICKLAKE_FEED__KEY_LOCKS=DIR"
        ) from error
    with file, _hold(file, lambda: holder(folder, name), tell):
        yield


@contextmanager
def _hold(file: IO[str], find_holder: Callable[[], int | None], tell: Callable[[int | None], StageLocked]) -> Iterator[None]:
    deadline = time.monotonic() + PROBE_SECONDS
    while not _try_lock(file, fcntl.LOCK_EX):
        pid = find_holder()
        if pid is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            continue
        raise tell(pid)
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


def _open_shared(path: Path) -> IO[str]:
    """Open a file that any user may lock, in a folder where only a file's owner may take it away, as in /tmp."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o1777)
    try:
        # Kernels refuse O_CREAT for another user's file in such a folder, even where it is there already.
        return os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+")
    except FileNotFoundError:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        os.fchmod(file, 0o666)
        return os.fdopen(file, "r+")


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
