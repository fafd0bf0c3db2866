"""A disk that fills up, in each stage: said in one sentence, nothing acknowledged lost, and on it goes."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import assert_said, run_cli, write_recording

ROWS = 20_000
SIZE_MB = 48


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


def fill(disk: Path, *, leave_kb: int) -> Path:
    """Leave so little space that the next stage cannot finish."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    size = free.f_bavail * free.f_frsize - leave_kb * 1024
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    return ballast


def test_each_stage_survives_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    home = small_disk / "home"
    recording = str(write_recording(tmp_path / "tape.csv", rows=ROWS))
    assert run_cli(home, "status").returncode == 0

    ballast = fill(small_disk, leave_kb=200)
    assert_said(run_cli(home, "replay", recording), "cannot grow")
    ballast.unlink()
    assert run_cli(home, "replay", recording).returncode == 0

    ballast = fill(small_disk, leave_kb=80)
    assert_said(run_cli(home, "land"), "No space left", "nothing was advanced")
    ballast.unlink()
    assert run_cli(home, "land").returncode == 0

    ballast = fill(small_disk, leave_kb=1000)
    assert_said(run_cli(home, "build"), "free some space")
    ballast.unlink()
    done = run_cli(home, "build")
    assert done.returncode == 0, done.stderr

    assert run_cli(home, "query", "select count(*) as n from silver.trades", "--format", "csv").stdout == f"n\n{ROWS}\n"
    assert run_cli(home, "ledger").returncode == 0
