"""A command in another process, and the events on its stderr that a test waits for."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.rig import Running


@contextmanager
def say(*writings: str) -> Iterator[Running]:
    """Start a process that writes each of these to stderr at once, waits for a line on stdin between two, and ends."""
    speak = "import os, sys\nfor text in sys.argv[1:]: os.write(2, text.encode()); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", speak, *writings], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def go_on(running: Running) -> None:
    """Let the process write on."""
    assert running.process.stdin is not None
    running.process.stdin.write(b"\n")
    running.process.stdin.flush()


def test_each_line_of_one_writing_is_found_by_a_call_of_its_own() -> None:
    with say("opened 1\nlanded\nopened 2\nopened 3\n") as running:
        assert [running.wait_for("opened", seconds=10) for _ in range(3)] == ["opened 1", "opened 2", "opened 3"]
        assert running.seen == ["opened 1", "landed", "opened 2", "opened 3"]


def test_a_line_that_was_read_in_part_is_found_whole_by_the_next_call() -> None:
    with say("opened 1\nope", "ned 2\n") as running:
        assert running.wait_for("opened", seconds=10) == "opened 1"
        go_on(running)
        assert running.wait_for("opened", seconds=10) == "opened 2"


def test_an_event_that_was_passed_is_not_found_again_and_a_process_that_ends_is_not_waited_for() -> None:
    with say("opened\nlanded\n") as running:
        assert running.wait_for("landed", seconds=10) == "landed"
        go_on(running)
        with pytest.raises(pytest.fail.Exception, match="did not come"):
            running.wait_for("opened", seconds=60)


def test_what_nobody_waited_for_is_seen_at_the_end() -> None:
    with say("opened\nland", "ed\n") as running:
        running.wait_for("opened", seconds=10)
        go_on(running)
        assert running.end(seconds=10) == (0, "")
        assert running.seen == ["opened", "landed"]
