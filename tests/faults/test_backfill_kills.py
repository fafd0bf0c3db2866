"""`kill -9` in the middle of a backfill: what is there is whole, and asking again completes it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live_rig import read_records
from tests.rest_rig import DAY, KEY, make_premium, serve_exchange
from tests.rig import ROOT, open_lake, untraced_environment

BACKFILL = """
import sys
import ticklake.log.sqlite
from ticklake.cli.main import cli
from ticklake.contracts.faults import arm
if sys.argv[1]:
    arm(sys.argv[1], on_hit=int(sys.argv[2]))
cli.main(sys.argv[3:], standalone_mode=False)
"""
WORDS = ("backfill", "AAPL", "MSFT", "NVDA", "SPY", "--from", DAY, "--to", DAY)


def run_backfill(home: Path, url: str, *, point: str = "", on_hit: int = 0) -> int:
    """Start a backfill in another process; give how it ended."""
    command = [sys.executable, "-c", BACKFILL, point, str(on_hit), "--home", str(home), *WORDS, "--url", url]
    environment = {**untraced_environment(), "TICKLAKE_FEED__KEY": KEY}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False, timeout=60).returncode


def read_answers(home: Path) -> list[tuple[str, list[int]]]:
    """Give the sessions that the log holds, with their records' numbers."""
    records = read_records(open_lake(home))
    return [(records[place]["session"], [each["seq"] for each in records[place : place + 3]]) for place in range(0, len(records), 3)]


@pytest.mark.parametrize("point", ["log.before_commit", "log.after_commit", "log.segment_opened"])
def test_a_kill_leaves_whole_answers_and_the_next_run_completes_them(tmp_path: Path, point: str) -> None:
    with serve_exchange(make_premium(), to_the_end=True) as url:
        assert run_backfill(tmp_path / "peaceful", url) == 0
        on_hit = 1 if point == "log.segment_opened" else 3
        assert run_backfill(tmp_path / "victim", url, point=point, on_hit=on_hit) == -signal.SIGKILL
        before = read_answers(tmp_path / "victim")
        assert run_backfill(tmp_path / "victim", url) == 0
    expected, found = read_answers(tmp_path / "peaceful"), read_answers(tmp_path / "victim")
    assert len(before) == {"log.before_commit": 2, "log.after_commit": 3, "log.segment_opened": 0}[point]
    assert found == before + expected
    assert before == expected[: len(before)]
    assert all(numbers == [0, 1, 2] for _, numbers in found)
