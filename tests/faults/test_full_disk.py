"""A disk that fills up, in each stage: said in one sentence, nothing acknowledged lost, and on it goes."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import assert_said, run_cli, write_recording
from tests.rig import untraced_environment
from ticklake.contracts.faults import arm
from ticklake.errors import DiskFull
from ticklake.log.sqlite import SqliteLog, SqliteLogWriter, read_log_id

ROWS = 20_000
SIZE_MB = 64
INODES = 200
TRADES = "select symbol, traded_ms, price, size from silver.trades order by all"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes: only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,nr_inodes={INODES}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def run_full(disk: Path, *arguments: str, leave_kb: int) -> subprocess.CompletedProcess[str]:
    """Run a command while a ballast leaves it that little space; take the ballast away again."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - leave_kb * 1024)
    try:
        return run_cli(disk / "home", *arguments, is_traced=arguments[0] != "build")
    finally:
        ballast.unlink()


def run_limited(home: Path, *arguments: str, limit_kb: int) -> subprocess.CompletedProcess[str]:
    """Run a command none of whose files may grow beyond a limit: what anyone can have of a full disk."""
    size_bytes = limit_kb * 1024
    return subprocess.run(
        [sys.executable, "-m", "ticklake.cli", "--home", str(home), *arguments],
        env=untraced_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def run_well(home: Path, *arguments: str) -> str:
    """Run a command that must succeed; give its stdout."""
    done = run_cli(home, *arguments, is_traced=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_whole(home: Path, recording: Path) -> None:
    """Every row of the recording is a trade, none twice, and every hop balances."""
    sent = [line.split(",") for line in recording.read_text().splitlines()[1:]]
    found = [json.loads(line) for line in run_well(home, "query", TRADES, "--json").splitlines()]
    assert [(each["symbol"], int(each["traded_ms"]), Decimal(each["price"]), Decimal(each["size"])) for each in found] == sorted(
        (symbol, int(traded_ms), Decimal(price), Decimal(size)) for symbol, traded_ms, price, size, _codes in sent
    )
    run_well(home, "ledger")


def test_each_stage_survives_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    home = small_disk / "home"
    recording = write_recording(tmp_path / "tape.csv", rows=ROWS)
    run_well(home, "status")

    assert_said(run_full(small_disk, "replay", str(recording), leave_kb=200), "error: the log", "cannot grow")
    run_well(home, "replay", str(recording))

    assert_said(run_full(small_disk, "land", leave_kb=80), "No space left", "nothing was advanced")
    run_well(home, "land")

    assert_said(run_full(small_disk, "build", leave_kb=3_000), "error: the warehouse", "No space left", "the last committed load")
    assert_said(run_full(small_disk, "build", leave_kb=10_000), "is built: ", "No space left", "the last committed model")
    run_well(home, "build")
    assert_whole(home, recording)


@pytest.mark.parametrize("leave_kb", [900, 1_500])
def test_a_disk_that_fills_while_a_segment_is_closed_is_said_and_gone_on_from(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave_kb: int
) -> None:
    monkeypatch.setenv("TICKLAKE_LOG__SEGMENT_RECORDS", "1000")
    recording = write_recording(tmp_path / "tape.csv", rows=ROWS)
    run_well(small_disk / "home", "status")
    assert_said(run_full(small_disk, "replay", str(recording), leave_kb=leave_kb), "error: the log", "cannot grow")
    logged = json.loads(run_well(small_disk / "home", "replay", str(recording), "--json"))
    assert logged["prints"] == ROWS


def test_each_stage_survives_files_that_may_not_grow(tmp_path: Path) -> None:
    home = tmp_path / "home"
    recording = write_recording(tmp_path / "tape.csv", rows=ROWS)

    assert_said(run_limited(home, "replay", str(recording), limit_kb=200), "error: the log", "cannot grow")
    run_well(home, "replay", str(recording))

    assert_said(run_limited(home, "land", limit_kb=80), "File too large", "nothing was advanced")
    run_well(home, "land")

    assert_said(run_limited(home, "build", limit_kb=1_000), "free some space")
    run_well(home, "build")
    assert_whole(home, recording)


@contextmanager
def few_inodes(disk: Path, leave: int) -> Iterator[None]:
    """Let no more than so many files be made while the block runs."""
    ballast = disk / "ballast"
    ballast.mkdir()
    made = [ballast / str(number) for number in range(os.statvfs(disk).f_ffree - leave)]
    for each in made:
        each.touch()
    try:
        yield
    finally:
        for each in made:
            each.unlink()
        ballast.rmdir()


@contextmanager
def few_pages(disk: Path, leave: int) -> Iterator[None]:
    """Let no more than so many pages of 4 KiB be written while the block runs."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - leave * 4096)
    try:
        yield
    finally:
        ballast.unlink()


WANTS = pytest.mark.parametrize(("want", "steps"), [(few_inodes, 4), (few_pages, 24)], ids=["inodes", "pages"])


def read_values(folder: Path) -> list[tuple[int, bytes]]:
    log, found = SqliteLog(folder), list[tuple[int, bytes]]()
    while records := log.read(0, len(found), max_records=100):
        found += [(record.offset, record.value) for record in records]
    log.close()
    return found


@WANTS
def test_a_roll_on_a_disk_that_is_full_at_any_moment_of_it_is_done_when_it_is_not(
    small_disk: Path, want: Callable[..., Any], steps: int
) -> None:
    folder = small_disk / "log"
    folder.mkdir()
    writer, acknowledged, failed = SqliteLogWriter(folder, segment_records=2), list[bytes](), 0

    def append(number: int) -> None:
        batch = [b"%d %d" % (number, each) for each in range(2)]
        assert writer.append(batch) == len(acknowledged)
        acknowledged.extend(batch)

    append(0)
    for leave in range(steps):
        with want(small_disk, leave):
            for number in range(2):
                try:
                    append(number)
                except DiskFull:
                    failed += 1
        assert read_values(folder) == list(enumerate(acknowledged))
        append(2)
        assert read_values(folder) == list(enumerate(acknowledged))
        SqliteLog(folder).drop_before(0)
    writer.close()
    assert failed >= 4
    assert len({read_log_id(path) for path in folder.glob("*.sqlite")}) == 1


@WANTS
def test_a_roll_on_a_full_disk_and_then_a_kill_are_gone_on_from_by_another_writer(
    small_disk: Path, want: Callable[..., Any], steps: int
) -> None:
    for leave in range(0, steps, 1 if steps < 10 else 4):
        folder = small_disk / f"log{leave}"
        folder.mkdir()
        writer = SqliteLogWriter(folder, segment_records=2)
        log_id = writer.log_id
        writer.append([b"0", b"1"])
        writer.close()
        pid = os.fork()
        if pid == 0:
            try:
                writer = SqliteLogWriter(folder, segment_records=2)
                arm("log.before_commit")
                with want(small_disk, leave):
                    try:
                        writer.append([b"never"])
                    except DiskFull:
                        os.kill(os.getpid(), signal.SIGKILL)
            finally:
                os._exit(1)  # whatever it was: a child must not go on as if it were the parent
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        free_ballast(small_disk)
        log = SqliteLog(folder)
        assert (log.log_id, log.end_offset(0)) == (log_id, 2)
        writer = SqliteLogWriter(folder, segment_records=2)
        assert (writer.append([b"2"]), writer.log_id) == (2, log_id)
        writer.close()
        assert read_values(folder) == [(0, b"0"), (1, b"1"), (2, b"2")]


def free_ballast(disk: Path) -> None:
    """Take away what a killed process left."""
    ballast = disk / "ballast"
    if ballast.is_dir():
        shutil.rmtree(ballast)
    else:
        ballast.unlink()


def test_a_disk_without_inodes_is_said_and_gone_on_from(small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_LOG__SEGMENT_RECORDS", "1000")
    recording = write_recording(tmp_path / "tape.csv", rows=ROWS)
    run_well(small_disk / "home", "status")
    with few_inodes(small_disk, leave=8):
        assert_said(run_cli(small_disk / "home", "replay", str(recording), is_traced=False), "error: the log", "cannot grow")
    assert json.loads(run_well(small_disk / "home", "replay", str(recording), "--json"))["prints"] == ROWS
