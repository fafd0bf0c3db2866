"""`kill -9` of `ticklake collect` at a hundred random moments and at the log's fault points: no print is lost that was durable."""

import asyncio
from pathlib import Path
from typing import Final

from tests.collector_kills import Torment
from tests.collector_verdict import judge
from tests.rig import build, find_unbalanced, land, open_lake, verify_lake
from ticklake.contracts.faults import FAULT_POINTS

KILLS: Final = 100
DROPS: Final = "log.segment_unlinked"
"""The one point of the log that no collector reaches: a build drops segments."""

POINTS: Final = tuple((name, on_hit) for name in sorted(FAULT_POINTS) if name.startswith("log.") and name != DROPS for on_hit in (1, 2, 5))


def test_a_hundred_kills_of_the_collector_cost_what_arrived_after_the_last_commit_and_gaps_say_so(tmp_path: Path) -> None:
    report = asyncio.run(Torment(tmp_path / "home", seed=20240110).run(kills=KILLS, points=POINTS))
    lake = open_lake(tmp_path / "home")
    land(lake)
    build(lake)

    assert len(report.lives) == KILLS + len(POINTS) + 1
    assert {life.point for life in report.lives if life.point} == {"log.after_commit", "log.before_commit", "log.segment_opened"}
    verdict = judge(lake, report)
    assert verdict.strange == verdict.holes == verdict.outside_gaps == []
    overdue = {each.life for each in verdict.overdue}
    assert len(overdue) <= KILLS // 20, verdict.worst_ms  # a disk that others use may hold up a commit, and tell nobody
    assert verdict.kills_while_told >= KILLS * 2 // 3
    assert verdict.missing > 0
    assert find_unbalanced(lake) == []
    assert verify_lake(lake).holds
