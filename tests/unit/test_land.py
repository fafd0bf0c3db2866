"""The lander: cuts, resumes, adopts, refuses."""

import pytest

from tests.rig import Session, Tick
from tests.unit.fakes import FakeLog, FakeStore
from ticklake.contracts.codec import decode_object, encode_object
from ticklake.contracts.objects import LossKey, ObjectKey
from ticklake.errors import ObjectCorrupt, OffsetConflict, StoreUnavailable
from ticklake.landing.land import Cut, Lander, resume_offset

START_MS = 1_763_476_200_000


class FailingStore(FakeStore):
    """A store that does not answer the next so many creations."""

    failures = 0

    def create(self, key: str, data: bytes) -> bool:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("no answer", hint="try again")
        return super().create(key, data)


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


def test_a_flush_that_ends_with_a_shorter_object_of_another_lands_the_rest_at_once() -> None:
    records, store = make_records(6), FakeStore()
    loser = make_lander(FakeLog(records), store)
    store.hides_all = True
    store.put(str(ObjectKey("fake", 0, 0)), encode_object(records[:2]))
    landed = loser.land(flush=True)
    store.hides_all = False
    assert offsets_landed(store) == [0, 2]
    assert lines_of(store, 2) == records[2:]
    assert (landed.records, loser.next_offset) == (6, 6)


def test_a_full_object_at_the_end_of_the_log_does_not_wait_for_the_record_after_it() -> None:
    records, store = make_records(3), FakeStore()
    assert make_lander(FakeLog(records), store, Cut(records=3)).land(flush=False).records == 3


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


def test_a_store_that_fails_leaves_the_offset_unmoved_and_the_next_call_lands_all() -> None:
    records, store = make_records(7), FailingStore()
    lander = make_lander(FakeLog(records), store, Cut(records=3))
    store.failures = 1
    with pytest.raises(StoreUnavailable):
        lander.land(flush=True)
    assert lander.next_offset == 0
    assert lander.land(flush=True).records == 7
    assert [line for offset in offsets_landed(store) for line in lines_of(store, offset)] == records


def test_a_store_that_fails_while_a_loss_is_recorded_records_it_the_next_time() -> None:
    log, store = FakeLog(make_records(4), first_offset=5), FailingStore()
    lander = make_lander(log, store)
    store.failures = 1
    with pytest.raises(StoreUnavailable):
        lander.land(flush=True)
    assert lander.land(flush=True).lost == 5
    assert list(store.list("landing/losses.v1/")) == [str(LossKey("fake", 0, 0, 4))]
    assert offsets_landed(store) == [5]


def test_two_landers_with_other_cuts_that_take_turns_hold_every_offset_once() -> None:
    records, store, log = make_records(30), FakeStore(), FakeLog()
    one, other = make_lander(log, store, Cut(records=4)), make_lander(log, store, Cut(records=7))
    for step in range(0, 30, 5):
        log.append(records[step : step + 5])
        for lander, flush in ((one, False), (other, step % 2 == 0), (one, step % 3 == 0)):
            lander.land(flush=flush)
    other.land(flush=True)
    one.land(flush=True)
    assert [line for offset in offsets_landed(store) for line in lines_of(store, offset)] == records
    assert one.next_offset == other.next_offset == 30


def test_what_waits_is_landed_once_by_a_later_flush() -> None:
    records, store = make_records(5), FakeStore()
    lander = make_lander(FakeLog(records), store)
    assert lander.land(flush=False).objects == 0
    assert lander.land(flush=False).objects == 0
    assert lander.land(flush=True).records == 5
    assert lander.land(flush=True).objects == 0
    assert lines_of(store, 0) == records


def test_heartbeats_move_the_time_of_what_waits() -> None:
    session, store = Session(), FakeStore()
    log = FakeLog([session.frame([Tick("AAPL", START_MS, "1.5", "1")])])
    lander = make_lander(log, store, Cut(seconds=60))
    for seconds, landed in ((30, 0), (59, 0), (60, 4)):
        log.append([session.control("heartbeat", received_ms=START_MS + seconds * 1000)])
        assert lander.land(flush=False).records == landed


def test_a_new_log_begins_at_its_own_first_offset_beside_the_old_one() -> None:
    records, store, log = make_records(3), FakeStore(), FakeLog()
    log.append(records)
    lander = make_lander(log, store)
    lander.land(flush=True)
    log.log_id, log.records = "new", dict(enumerate(records[:2]))
    assert lander.land(flush=True).records == 2
    assert list(store.list("landing/frames.v1/")) == [str(ObjectKey("fake", 0, 0)), str(ObjectKey("new", 0, 0))]


def test_a_log_that_was_never_written_lands_nothing() -> None:
    store = FakeStore()
    assert make_lander(FakeLog(log_id=""), store).land(flush=True).objects == 0
    assert store.diary == []


def test_a_log_that_forgot_what_was_landed_goes_on() -> None:
    records, store = make_records(6), FakeStore()
    make_lander(FakeLog(records[:4]), store).land(flush=True)
    log = FakeLog(records)
    for offset in range(4):
        del log.records[offset]
    landed = make_lander(log, store).land(flush=True)
    assert (landed.records, landed.lost) == (2, 0)


def test_what_waited_of_an_old_log_is_not_landed_as_the_new_ones() -> None:
    old, new, store = make_records(2), make_records(5)[2:], FakeStore()
    log = FakeLog(old)
    lander = make_lander(log, store)
    assert lander.land(flush=False).objects == 0
    log.log_id, log.records = "new", dict(enumerate(new))
    lander.land(flush=True)
    (key,) = store.list("landing/frames.v1/")
    assert key == str(ObjectKey("new", 0, 0))
    assert decode_object(key, store.objects[key]).splitlines() == new
