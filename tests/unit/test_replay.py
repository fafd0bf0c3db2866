"""Replay: what is sent when, and what counts as sent."""

from collections.abc import Sequence

import pytest

from tests.unit.fakes import FakeClock, FakeLog, FakeSource
from ticklake.errors import DiskFull
from ticklake.feed.replay import Replayed, replay

SECOND_NS = 10**9
START_NS = 1_763_476_200 * SECOND_NS


class FullLog(FakeLog):
    """A log whose disk has room for so many commits."""

    def __init__(self, *, commits: int) -> None:
        super().__init__()
        self._commits = commits

    def append(self, records: Sequence[bytes]) -> int:
        if len(self.diary) == self._commits:
            raise DiskFull("no space", hint="free some")
        return super().append(records)


def test_records_of_one_moment_share_a_commit_and_later_ones_wait_for_theirs() -> None:
    clock, log = FakeClock(), FakeLog()
    replay(FakeSource(START_NS, START_NS + 1, START_NS + 2, START_NS + 3 * SECOND_NS), log, clock=clock, speed=1.0)
    assert log.diary == [3, 1]
    assert sum(clock.diary) == pytest.approx(3.0, abs=0.02)


def test_a_faster_tape_takes_less_time() -> None:
    source = FakeSource(*(START_NS + step * SECOND_NS for step in range(61)))
    slow, fast = FakeClock(), FakeClock()
    replay(source, FakeLog(), clock=slow, speed=10)
    replay(source, FakeLog(), clock=fast, speed=60)
    assert sum(slow.diary) == pytest.approx(6.0, abs=0.02)
    assert sum(fast.diary) == pytest.approx(1.0, abs=0.02)


def test_no_wait_is_so_long_that_a_stop_would_not_be_heard() -> None:
    clock, log = FakeClock(), FakeLog()
    replayed = replay(
        FakeSource(START_NS, START_NS + 3600 * SECOND_NS), log, clock=clock, speed=1.0, should_stop=lambda: len(clock.diary) >= 5
    )
    assert sum(clock.diary) <= 1.0
    assert replayed == Replayed(records=1, prints=1, is_complete=False)
    assert len(log.records) == 1


def test_as_fast_as_the_disk_takes_them_nobody_waits() -> None:
    clock, log = FakeClock(), FakeLog()
    commits: list[int] = []
    source = FakeSource(*range(1, 4_502))
    replayed = replay(source, log, clock=clock, speed=None, on_commit=lambda so_far: commits.append(so_far.records))
    assert clock.diary == []
    assert commits == [2_000, 4_000, 4_501]
    assert replayed == Replayed(records=4_501, prints=4_501, is_complete=True)


def test_a_source_with_nothing_is_complete_and_commits_nothing() -> None:
    for speed in (None, 1.0):
        log = FakeLog()
        assert replay(FakeSource(), log, clock=FakeClock(), speed=speed) == Replayed(is_complete=True)
        assert log.diary == []


def test_a_full_disk_leaves_in_the_log_what_was_counted_and_no_more() -> None:
    log, counted = FullLog(commits=1), Replayed()

    def keep(so_far: Replayed) -> None:
        counted.records = so_far.records

    with pytest.raises(DiskFull):
        replay(FakeSource(*range(1, 5_001)), log, clock=FakeClock(), speed=None, on_commit=keep)
    assert counted.records == len(log.records) == 2_000


def test_a_replay_that_is_run_again_gives_the_log_the_same_bytes_again() -> None:
    source, log = FakeSource(START_NS, START_NS + 1), FakeLog()
    for _ in range(2):
        replay(source, log, clock=FakeClock(), speed=None)
    assert [log.records[offset] for offset in (0, 1)] == [log.records[offset] for offset in (2, 3)]
