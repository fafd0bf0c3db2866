"""The lander: cuts, resumes, adopts, refuses."""

import pytest

from tests.rig import Session, Tick
from tests.unit.fakes import FakeLog, FakeStore
from ticklake.contracts.codec import decode_object, encode_object
from ticklake.contracts.objects import LossKey, ObjectKey
from ticklake.errors import ObjectCorrupt, OffsetConflict
from ticklake.landing.land import Cut, Lander, resume_offset

START_MS = 1_763_476_200_000


def make_records(count: int, *, apart_ms: int = 10) -> list[bytes]:
    session = Session()
    return [session.frame([Tick("AAPL", START_MS + apart_ms * number, "1.5", "1")]) for number in range(count)]


def make_lander(log: FakeLog, store: FakeStore, cut: Cut | None = None) -> Lander:
    return Lander(log, store, partition=0, cut=cut or Cut())


def lines_of(store: FakeStore, offset: int) -> list[bytes]:
    key = str(ObjectKey("fake", 0, offset))
    return decode_object(key, store.objects[key]).splitlines()


def offsets_landed(store: FakeStore) -> list[int]:
    return [ObjectKey.parse(key).first_offset for key in store.list("landing/frames.v1/")]


def test_an_object_is_cut_by_its_number_of_records() -> None:
    records, store = make_records(7), FakeStore()
    landed = make_lander(FakeLog(records), store, Cut(records=3)).land(flush=True)
    assert (landed.objects, landed.records, landed.lost) == (3, 7, 0)
    assert offsets_landed(store) == [0, 3, 6]
    assert lines_of(store, 3) == records[3:6]


def test_an_object_is_cut_by_its_bytes() -> None:
    records, store = make_records(4), FakeStore()
    make_lander(FakeLog(records), store, Cut(size_bytes=len(records[0]) + 1)).land(flush=True)
    assert offsets_landed(store) == [0, 2]


def test_records_at_the_end_of_the_log_wait_until_their_own_time_is_over() -> None:
    records, store = make_records(2, apart_ms=20_000), FakeStore()
    log = FakeLog(records)
    lander = make_lander(log, store, Cut(seconds=30))
    assert lander.land(flush=False).records == 0
    log.append(make_records(3, apart_ms=20_000)[2:])
    assert lander.land(flush=False).records == 3


def test_the_end_of_a_session_lands_what_waits() -> None:
    session, store = Session(), FakeStore()
    frame = session.frame([Tick("AAPL", START_MS, "1.5", "1")])
    log = FakeLog([frame, session.control("session_closed", received_ms=START_MS + 1)])
    assert make_lander(log, store).land(flush=False).records == 2


def test_a_new_lander_goes_on_where_the_listing_ends() -> None:
    records, store = make_records(5), FakeStore()
    make_lander(FakeLog(records[:3]), store).land(flush=True)
    landed = make_lander(FakeLog(records), store).land(flush=True)
    assert landed.records == 2
    assert offsets_landed(store) == [0, 3]
    assert resume_offset(store, "fake", 0) == 5


@pytest.mark.parametrize("theirs", [2, 5], ids=["a shorter object", "a longer object"])
def test_the_loser_of_a_race_adopts_the_winners_object(theirs: int) -> None:
    records, store = make_records(6), FakeStore()
    loser = make_lander(FakeLog(records), store, Cut(records=3))
    key = str(ObjectKey("fake", 0, 0))
    store.hides_all = True
    store.put(key, encode_object(records[:theirs]))
    loser.land(flush=True)
    store.hides_all = False
    held = [line for offset in offsets_landed(store) for line in lines_of(store, offset)]
    assert held == records


def test_another_record_at_the_same_offset_stops_the_lander() -> None:
    records, store = make_records(3), FakeStore()
    stranger = Session(number=2).frame([Tick("MSFT", START_MS, "9.5", "1")])
    lander = make_lander(FakeLog(records), store)
    store.hides_all = True
    store.put(str(ObjectKey("fake", 0, 0)), encode_object([stranger]))
    with pytest.raises(OffsetConflict, match="begins with"):
        lander.land(flush=True)


def test_a_jump_of_the_log_is_recorded_as_a_loss_and_ends_the_object() -> None:
    records = make_records(6)
    log, store = FakeLog(records), FakeStore()
    del log.records[2], log.records[3]
    landed = make_lander(log, store).land(flush=True)
    assert landed.lost == 2
    assert offsets_landed(store) == [0, 4]
    assert list(store.list("landing/losses.v1/")) == [str(LossKey("fake", 0, 2, 3))]


def test_an_old_copy_of_the_log_is_refused() -> None:
    records, store = make_records(5), FakeStore()
    make_lander(FakeLog(records), store).land(flush=True)
    with pytest.raises(OffsetConflict, match="has not at that offset"):
        make_lander(FakeLog(records[:2]), store).land(flush=True)


def test_a_corrupt_last_object_stops_the_lander_and_is_named() -> None:
    records, store = make_records(5), FakeStore()
    make_lander(FakeLog(records), store).land(flush=True)
    key = str(ObjectKey("fake", 0, 0))
    store.put(key, store.objects[key][:-3])
    with pytest.raises(ObjectCorrupt, match=key):
        make_lander(FakeLog(records), store).land(flush=True)
