"""A recorded tape as a feed."""

import gzip
import itertools
import json
from pathlib import Path

import pytest

from tests.unit.fakes import FakeClock, FakeLog, FakeSource
from ticklake.contracts.frame import read_record_id
from ticklake.errors import RecordingInvalid, RecordingTruncated
from ticklake.feed.recording import Recording, Tape
from ticklake.feed.replay import replay

HEADER = "s,t,p,v,c,x\n"
ROWS = "AAPL,1763476200000,267.1000,100,8;41,Q\nMSFT,1763476200005,500.10,3,,P\nAAPL,1763476200006,267.10,0.00000001,12,Q\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def bodies(recording: Recording) -> list[dict[str, object]]:
    return [json.loads(record.value) for record in recording.records()]


def test_rows_become_frames_of_the_feeds_own_json_with_digits_untouched(tmp_path: Path) -> None:
    records = list(Recording(write(tmp_path / "a.csv", HEADER + ROWS)).records())
    assert (
        b'"frame":{"data":[{"c":["8","41"],"p":267.1000,"s":"AAPL","t":1763476200000,"v":100},'
        b'{"c":[],"p":500.10,"s":"MSFT","t":1763476200005,"v":3},'
        b'{"c":["12"],"p":267.10,"s":"AAPL","t":1763476200006,"v":0.00000001}],"type":"trade"}}'
    ) in records[1].value
    assert [record.prints for record in records] == [0, 3, 0]


def test_a_session_opens_counts_without_a_hole_and_closes(tmp_path: Path) -> None:
    later = "AAPL,1763476500000,267,1,,Q\n"
    parsed = bodies(Recording(write(tmp_path / "a.csv", HEADER + ROWS + later)))
    kinds = [record["control"]["type"] if "control" in record else "frame" for record in parsed]  # type: ignore[index]
    assert kinds == ["session_opened", "frame", *["heartbeat"] * 4, "frame", "session_closed"]
    assert [record["seq"] for record in parsed] == list(range(len(parsed)))


def test_received_times_strictly_increase_on_tape_time(tmp_path: Path) -> None:
    rows = "".join(f"AAPL,{1763476200000 + step},1,1,,Q\n" for step in (0, 50, 30, 50, 50, 0, 90) for _ in range(11))
    received = [read_record_id(record.value).received_ns for record in Recording(write(tmp_path / "a.csv", HEADER + rows)).records()]
    assert all(before < after for before, after in itertools.pairwise(received))
    assert received[-2] // 10**6 == 1763476200090


def test_gzip_and_plain_are_one_recording_and_twice_the_same_bytes(tmp_path: Path) -> None:
    plain = Recording(write(tmp_path / "a.csv", HEADER + ROWS))
    zipped = tmp_path / "b.csv.gz"
    zipped.write_bytes(gzip.compress((HEADER + ROWS).encode()))
    values = [record.value for record in plain.records()]
    assert Recording(zipped).session == plain.session
    assert [record.value for record in plain.records()] == values


def test_recordings_side_by_side_come_in_the_order_of_their_time(tmp_path: Path) -> None:
    one = Recording(write(tmp_path / "a.csv", HEADER + "A,1763476200000,1,1,,Q\nA,1763476300000,1,1,,Q\n"))
    two = Recording(write(tmp_path / "b.csv", HEADER + "B,1763476250000,1,1,,Q\n"))
    received = [record.received_ns for record in Tape([one, two]).records()]
    assert received == sorted(received)
    assert one.session != two.session


@pytest.mark.parametrize(
    "row",
    [
        "AAPL,17634x,1,1,,Q",
        "AAPL,+1763476200000,1,1,,Q",
        "AAPL,1_763_476_200_000,1,1,,Q",
        "AAPL,01763476200000,1,1,,Q",
        "AAPL,9999999999999,1,1,,Q",
        "AAPL,1763476200000,NaN,1,,Q",
        "AAPL,1763476200000,01.5,1,,Q",
        'A"B,1763476200000,1,1,,Q',
        "only,three,columns",
    ],
)
def test_a_row_that_is_no_trade_is_sent_as_it_stands(tmp_path: Path, row: str) -> None:
    parsed = bodies(Recording(write(tmp_path / "a.csv", HEADER + ROWS + row + "\n" + ROWS)))
    assert [record["raw"] for record in parsed if "raw" in record] == [row]


def test_rows_before_the_first_trade_take_its_time(tmp_path: Path) -> None:
    records = list(Recording(write(tmp_path / "a.csv", HEADER + "garbage\n" + ROWS)).records())
    assert [record.prints for record in records] == [0, 1, 3, 0]
    assert [record.received_ns // 10**6 for record in records[1:]] == [1763476200000, 1763476200006, 1763476200006]


def test_a_wrong_time_decades_ago_brings_no_heartbeats_through_decades(tmp_path: Path) -> None:
    recording = Recording(write(tmp_path / "a.csv", HEADER + "AAPL,1,1,1,,Q\n" + ROWS))
    assert [record.prints for record in itertools.islice(recording.records(), 10)] == [0, 1, 3, 0]


def test_two_readings_of_one_recording_give_the_same_bytes(tmp_path: Path) -> None:
    recording = Recording(write(tmp_path / "a.csv", HEADER + ROWS * 9))
    assert list(recording.records()) == list(recording.records())


def test_another_file_is_another_session(tmp_path: Path) -> None:
    one = Recording(write(tmp_path / "a.csv", HEADER + ROWS))
    other = Recording(write(tmp_path / "b.csv", HEADER + ROWS * 2))
    assert one.session != other.session


def test_a_truncated_gzip_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROWS * 50).encode())[:-9])
    with pytest.raises(RecordingTruncated, match="nothing of it was sent"):
        Recording(path)


def test_a_plain_file_that_ends_in_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingTruncated, match="row 5"):
        Recording(write(tmp_path / "a.csv", HEADER + ROWS + "AAPL,17634762"))


def test_a_file_without_the_columns_is_refused_with_the_form_it_should_have(tmp_path: Path) -> None:
    with pytest.raises(RecordingInvalid, match="no column t, p") as caught:
        Recording(write(tmp_path / "a.csv", "s,time,price,v,c\n"))
    assert "s,t,p,v,c" in caught.value.hint


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordingInvalid, match="No such file"):
        Recording(tmp_path / "gone.csv")


def test_a_replay_at_tape_speed_waits_as_the_tape_did() -> None:
    clock, log = FakeClock(), FakeLog()
    source = FakeSource(10**9, 2 * 10**9, 4 * 10**9)
    replayed = replay(source, log, clock=clock, speed=2.0)
    assert sum(clock.diary) == pytest.approx(1.5, abs=0.05)
    assert (replayed.records, replayed.is_complete) == (3, True)
    assert list(log.records.values()) == [record.value for record in source.records()]


def test_a_replay_stops_between_two_commits() -> None:
    log = FakeLog()
    replayed = replay(FakeSource(*range(1, 5001)), log, clock=FakeClock(), speed=None, should_stop=lambda: bool(log.diary))
    assert log.diary == [2000]
    assert (replayed.records, replayed.is_complete) == (2000, False)


@pytest.mark.parametrize("rows", ["x" * (1 << 20) + "x", ROWS + "y" * (3 << 20) + "\n"], ids=["without an end", "among others"])
def test_a_row_longer_than_a_frame_may_be_is_refused_before_anything_is_sent(tmp_path: Path, rows: str) -> None:
    with pytest.raises(RecordingInvalid, match="more than 1,048,576 bytes; nothing of it was sent"):
        Recording(write(tmp_path / "a.csv", HEADER + rows))
