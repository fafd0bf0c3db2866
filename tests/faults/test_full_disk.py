"""A disk that fills up, in each stage: said in one sentence, nothing acknowledged lost, and on it goes."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.integration.conftest import assert_said, run_cli, write_recording
from tests.rig import untraced_environment

ROWS = 20_000
SIZE_MB = 64
TRADES = "select symbol, traded_ms, price, size from silver.trades order by all"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes: only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(disk)]
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
