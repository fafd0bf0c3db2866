"""Locks between processes: whose they are, who waits, and who only looks."""

import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ticklake.errors import StageLocked, WarehouseBusy
from ticklake.locks import hold_stage, holder, take_turn

IN_THE_ROOM = """
import sys
from pathlib import Path
from ticklake.locks import take_turn
with take_turn(Path(sys.argv[1]), shared=sys.argv[2] == "reader", wait_seconds=30, on_timeout=lambda pid: TimeoutError(pid)):
    print("in", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_in_the_room(folder: Path, role: str) -> Iterator[subprocess.Popen[str]]:
    """Another process in the room as "reader" or "writer", until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", IN_THE_ROOM, str(folder), role], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        yield process
        process.stdin.close()


def busy(pid: int | None) -> WarehouseBusy:
    return WarehouseBusy(f"held by {pid}", hint="wait")


@contextmanager
def in_the_room(folder: Path, *, shared: bool, wait_seconds: float = 0) -> Iterator[None]:
    with take_turn(folder, shared=shared, wait_seconds=wait_seconds, on_timeout=busy):
        yield


def test_a_stage_is_free_again_after_its_block_even_if_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold_stage(tmp_path, "land"):
        raise ZeroDivisionError
    assert holder(tmp_path, "land") is None
    with hold_stage(tmp_path, "land"):
        pass
    assert (tmp_path / "land.lock").read_text() == ""


def test_two_stages_of_one_home_work_side_by_side(tmp_path: Path) -> None:
    with hold_stage(tmp_path, "land"), hold_stage(tmp_path, "build"):
        assert holder(tmp_path, "log") is None
        with pytest.raises(StageLocked, match="land is already at work"), hold_stage(tmp_path, "land"):
            pytest.fail("one stage was held twice")


def test_who_only_looks_whose_a_lock_is_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diary: list[float] = []
    with (tmp_path / "land.lock").open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)

        def sleep(seconds: float) -> None:
            diary.append(seconds)
            fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr("ticklake.locks.time.sleep", sleep)
        with hold_stage(tmp_path, "land"):
            assert len(diary) == 1


def test_readers_in_two_processes_share_the_room(tmp_path: Path) -> None:
    with other_in_the_room(tmp_path, "reader"), in_the_room(tmp_path, shared=True):
        pass
    with other_in_the_room(tmp_path, "reader"), pytest.raises(WarehouseBusy), in_the_room(tmp_path, shared=False):
        pytest.fail("a writer came in beside a reader")


def test_a_writer_in_another_process_is_named_and_its_death_opens_the_room(tmp_path: Path) -> None:
    with other_in_the_room(tmp_path, "writer") as other:
        with pytest.raises(WarehouseBusy, match=f"held by {other.pid}"), in_the_room(tmp_path, shared=True):
            pytest.fail("a reader came in beside a writer")
        other.kill()
        other.wait()
        with in_the_room(tmp_path, shared=False):
            pass


def test_who_waits_goes_in_when_the_writer_leaves(tmp_path: Path) -> None:
    with other_in_the_room(tmp_path, "writer") as other:
        assert other.stdin is not None
        other.stdin.close()
        with in_the_room(tmp_path, shared=True, wait_seconds=30):
            assert holder(tmp_path, "room") is None


def test_a_reader_who_waits_goes_before_a_writer_who_comes_back(tmp_path: Path) -> None:
    order: list[str] = []

    def read() -> None:
        with in_the_room(tmp_path, shared=True, wait_seconds=30):
            order.append("reader")

    reader = threading.Thread(target=read)
    with in_the_room(tmp_path, shared=False), (tmp_path / "turnstile.lock").open("r+") as turnstile:
        reader.start()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                fcntl.flock(turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                break
            fcntl.flock(turnstile, fcntl.LOCK_UN)
        else:
            pytest.fail("nobody ever stood in the turnstile")
    with in_the_room(tmp_path, shared=False, wait_seconds=30):
        order.append("writer")
    reader.join()
    assert order == ["reader", "writer"]


def test_who_gave_up_waiting_leaves_no_turnstile_closed(tmp_path: Path) -> None:
    with other_in_the_room(tmp_path, "reader"):
        for _ in range(2):
            with pytest.raises(WarehouseBusy), in_the_room(tmp_path, shared=False):
                pytest.fail("a writer came in beside a reader")
        with in_the_room(tmp_path, shared=True):
            pass
