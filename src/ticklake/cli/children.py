"""Processes that end with us: forked, so that each is a whole `ticklake` at once, and watched to its end.

    start     some work in a child; what it says on stdout goes nowhere, on stderr into a file
    command   a command line of ours, as somebody would have typed it
    stop      by whatever signal; who is left when the block ends is killed

Takes      a process of one thread that holds nothing open which a child must not share
Guarantee  no child outlives us, however we end: the kernel kills it (Linux), or the block's end does (elsewhere)
"""

import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ticklake.contracts.ports import Clock

POLL_SECONDS: Final = 0.02
PR_SET_PDEATHSIG: Final = 1


class Child:
    """One child, and how it ended."""

    def __init__(self, pid: int, name: str, clock: Clock) -> None:
        self.pid = pid
        self.name = name
        self._clock = clock
        self._status: int | None = None

    @property
    def code(self) -> int | None:
        """The exit code, negative for the signal that ended it; None while it works."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still works."""
        if self.code is None:
            os.kill(self.pid, number)

    def end(self, *, seconds: float) -> int:
        """Wait for its end, and give its code; who takes longer is killed."""
        deadline_ns = self._clock.monotonic_ns() + int(seconds * 1e9)
        while self.code is None and self._clock.monotonic_ns() < deadline_ns:
            self._clock.sleep(POLL_SECONDS)
        return self.kill()

    def kill(self) -> int:
        """Kill it, if it still works, and give its code."""
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status or 0


class Children:
    """All of them."""

    def __init__(self, clock: Clock, stderr: Path) -> None:
        self._clock = clock
        self._stderr = stderr
        self._started: list[Child] = []

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Kill who is left, the stopped ones too."""
        for child in self._started:
            child.kill()

    def start(self, name: str, work: Callable[[], None]) -> Child:
        """Let a child do some work; it exits with 0, with what the work exits with, or with 1 if it raises."""
        if threading.active_count() > 1:
            msg = "a process of several threads does not fork"
            raise RuntimeError(msg)
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            child = Child(pid, name, self._clock)
            self._started.append(child)
            return child
        code = 1
        try:
            _die_with(parent)
            _redirect(self._stderr)
            work()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:  # noqa: BLE001 — a child must not go on as if it were its parent
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def command(self, *words: str | Path, prepare: Callable[[], None] = lambda: None) -> Child:
        """Let a child be `ticklake WORD…`."""
        from ticklake.cli.main import main

        def work() -> None:
            prepare()
            sys.argv = ["ticklake", *map(str, words)]
            main()

        return self.start(" ".join(map(str, words)), work)


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, whatever the way."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it was quicker
        os._exit(1)


def _redirect(stderr: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2)
