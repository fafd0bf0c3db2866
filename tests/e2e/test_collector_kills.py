"""`kill -9` of `ticklake collect` at random moments: what was durable is held, the rest is a gap. `make faults` has a hundred more."""

import asyncio
from pathlib import Path

import pytest

from tests.collector_kills import Torment
from tests.collector_verdict import judge
from tests.rig import build, find_unbalanced, land, open_lake

pytestmark = pytest.mark.no_cover  # what is measured is time


def test_a_kill_of_the_collector_costs_what_arrived_after_the_last_commit_and_a_gap_says_so(tmp_path: Path) -> None:
    report = asyncio.run(Torment(tmp_path / "home", seed=20251118).run(kills=10))
    lake = open_lake(tmp_path / "home")
    land(lake)
    build(lake)

    verdict = judge(lake, report)
    assert verdict.strange == verdict.holes == verdict.outside_gaps == []
    assert len({each.life for each in verdict.overdue}) <= 1, verdict.worst_ms  # a disk that others use may hold up a commit
    assert verdict.kills_while_told >= 7
    assert verdict.missing > 0
    assert find_unbalanced(lake) == []
