"""`kill -9` at every named fault point and at random moments: the next run goes on, and gold is as if nothing had happened."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.faults.kill_rig import MOMENTS, Report
from tests.rig import ROOT, untraced_environment
from ticklake.contracts.faults import FAULT_POINTS

SEED = "20240110"


def torment(what: str, folder: Path) -> Report:
    """Run one matrix of kills in a process that has nothing open."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.faults.kill_rig", what, str(folder), SEED],
        cwd=ROOT,
        env=untraced_environment(),
        capture_output=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        pytest.fail(done.stderr.decode()[-4000:])
    report = msgspec.json.decode(done.stdout, type=Report)
    assert report.failed == [], done.stderr.decode()[-4000:]
    assert report.threads == 1
    assert report.open_files == []
    return report


def test_a_kill_at_any_fault_point_leaves_gold_as_if_nothing_had_happened(tmp_path: Path) -> None:
    report = torment("points", tmp_path)

    assert report.survived == []
    assert {kill.point for kill in report.killed} == set(FAULT_POINTS)
    assert report.difference == ""
    assert report.unbalanced == []


def test_kills_at_random_moments_leave_gold_as_if_nothing_had_happened(tmp_path: Path) -> None:
    report = torment("moments", tmp_path)

    assert len(report.killed) >= MOMENTS
    assert {kill.command for kill in report.killed} == {"replay", "land", "build"}
    assert report.difference == ""
    assert report.unbalanced == []
