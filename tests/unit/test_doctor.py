"""The doctor: what it finds, and that it says the mend."""

from pathlib import Path

import pytest

from tests.rig import Session, Tick
from tests.unit.fakes import FakeClock, FakeLog, FakeStore
from ticklake.audit.doctor import check_clock, check_last_objects, check_space, check_store
from ticklake.landing.land import Cut, Lander, resume_offset
from ticklake.store.folder import FolderStore

NOW_NS = 1_790_000_000 * 10**9
LATER_MS = NOW_NS // 10**6 + 60_000


@pytest.mark.parametrize(("winners", "is_good"), [(0, False), (1, True), (2, False), (32, False)])
def test_a_store_is_good_if_create_only_has_one_winner(winners: int, is_good: bool) -> None:
    finding = check_store(FakeStore(winners=winners))
    assert finding.is_good is is_good
    assert f"{winners} of 32" in finding.found


def test_the_folder_store_is_good_and_left_clean(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert check_store(store).is_good
    assert list(store.list("")) == []
    assert check_space(tmp_path).check == "disk"


def test_a_clock_that_was_never_set_is_found() -> None:
    finding = check_clock(FakeClock(now_ns=10**9), FakeLog())
    assert not finding.is_good
    assert "before 2026" in finding.found


def test_a_clock_behind_the_log_is_found() -> None:
    record = Session().frame([Tick("AAPL", LATER_MS, "1", "1")])
    assert not check_clock(FakeClock(NOW_NS), FakeLog([record])).is_good
    assert check_clock(FakeClock(LATER_MS * 10**6), FakeLog([record])).is_good


def test_a_log_that_is_behind_landing_is_found() -> None:
    session, store = Session(), FakeStore()
    records = [session.frame([Tick("AAPL", LATER_MS, "1", "1")]) for _ in range(3)]
    log = FakeLog(records)
    Lander(log, store, partition=0, cut=Cut()).land(flush=True)
    assert check_last_objects(log, store, resume_offset).is_good
    assert "up to offset 3" in check_last_objects(FakeLog(records[:1]), store, resume_offset).found


def test_a_corrupt_last_object_is_found_and_named() -> None:
    session, store = Session(), FakeStore()
    log = FakeLog([session.frame([Tick("AAPL", LATER_MS, "1", "1")])])
    Lander(log, store, partition=0, cut=Cut()).land(flush=True)
    (key,) = store.objects
    store.put(key, b"not zstd")
    finding = check_last_objects(log, store, resume_offset)
    assert not finding.is_good
    assert key in finding.found
