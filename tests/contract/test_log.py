"""What every Log and LogWriter does. A new implementation joins by adding a factory to LOGS."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from ticklake.contracts.ports import Log, LogWriter
from ticklake.log.sqlite import SqliteLog, SqliteLogWriter

SEGMENT_RECORDS: Final = 4
"""So few that a handful of appends rolls."""


@dataclass(frozen=True)
class LogUnderTest:
    """How to open both ends of one log, and how its retention is told to drop."""

    open_writer: Callable[[], LogWriter]
    open_reader: Callable[[], Log]
    drop_before: Callable[[int], int]


def sqlite_log(folder: Path) -> LogUnderTest:
    return LogUnderTest(
        open_writer=lambda: SqliteLogWriter(folder, segment_records=SEGMENT_RECORDS),
        open_reader=lambda: SqliteLog(folder),
        drop_before=lambda offset: SqliteLog(folder).drop_before(offset),
    )


LOGS: Final[dict[str, Callable[[Path], LogUnderTest]]] = {"sqlite": sqlite_log}


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> LogUnderTest:
    return LOGS[request.param](tmp_path)


def numbered(first: int, count: int) -> list[bytes]:
    return [b"record %d" % number for number in range(first, first + count)]


def append_all(log: LogUnderTest, *batches: Sequence[bytes]) -> list[int]:
    writer = log.open_writer()
    firsts = [writer.append(batch) for batch in batches]
    writer.close()
    return firsts


def read_all(reader: Log, offset: int = 0, *, max_records: int = 3) -> list[tuple[int, bytes]]:
    """Read to the end, as a lander does: each time from behind the last record."""
    found: list[tuple[int, bytes]] = []
    while records := reader.read(reader.partitions()[0], offset, max_records=max_records):
        found += [(record.offset, record.value) for record in records]
        offset = records[-1].offset + 1
    return found


def test_an_empty_log_has_nothing_to_read_and_ends_where_it_begins(log: LogUnderTest) -> None:
    log.open_writer().close()
    reader = log.open_reader()
    assert len(reader.partitions()) == 1
    partition = reader.partitions()[0]
    assert reader.begin_offset(partition) == reader.end_offset(partition) == 0
    assert reader.read(partition, 0, max_records=10) == []


def test_append_gives_the_offset_of_its_first_record(log: LogUnderTest) -> None:
    assert append_all(log, numbered(0, 3), numbered(3, 1), numbered(4, 2)) == [0, 3, 4]


def test_offsets_ascend_by_one_across_appends_and_segments(log: LogUnderTest) -> None:
    append_all(log, *(numbered(first, 3) for first in range(0, 30, 3)))
    reader = log.open_reader()
    assert read_all(reader) == [(number, b"record %d" % number) for number in range(30)]
    assert reader.end_offset(0) == 30


def test_a_batch_larger_than_a_segment_stays_in_order(log: LogUnderTest) -> None:
    append_all(log, numbered(0, 3 * SEGMENT_RECORDS), numbered(3 * SEGMENT_RECORDS, 2))
    assert [offset for offset, _ in read_all(log.open_reader())] == list(range(3 * SEGMENT_RECORDS + 2))


def test_values_come_back_byte_for_byte(log: LogUnderTest) -> None:
    values = [b"", b"\x00\xff\n\r", bytes(range(256)), b"x" * 100_000]
    append_all(log, values)
    assert [value for _, value in read_all(log.open_reader())] == values


@pytest.mark.parametrize("offset", range(14))
def test_reading_may_begin_at_any_offset(log: LogUnderTest, offset: int) -> None:
    append_all(log, *(numbered(first, 3) for first in range(0, 12, 3)))
    assert [found for found, _ in read_all(log.open_reader(), offset)] == list(range(offset, 12))


@pytest.mark.parametrize("max_records", [1, 2, 5, 100])
def test_a_read_gives_no_more_than_it_was_asked_for(log: LogUnderTest, max_records: int) -> None:
    append_all(log, numbered(0, 3), numbered(3, 3), numbered(6, 3))
    assert 1 <= len(log.open_reader().read(0, 0, max_records=max_records)) <= max_records
    assert [found for found, _ in read_all(log.open_reader(), max_records=max_records)] == list(range(9))


def test_a_partition_that_is_not_there_holds_nothing(log: LogUnderTest) -> None:
    append_all(log, numbered(0, 3))
    reader = log.open_reader()
    assert (reader.begin_offset(7), reader.end_offset(7), reader.read(7, 0, max_records=5)) == (0, 0, [])


def test_the_id_of_a_log_stays_and_is_fit_for_a_key(log: LogUnderTest) -> None:
    append_all(log, numbered(0, 3))
    before = log.open_reader().log_id
    append_all(log, *(numbered(first, 3) for first in range(3, 30, 3)))
    log.drop_before(20)
    append_all(log, numbered(30, 3))
    assert log.open_reader().log_id == before
    assert before.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("factory", LOGS.values(), ids=LOGS)
def test_two_logs_have_two_ids(factory: Callable[[Path], LogUnderTest], tmp_path: Path) -> None:
    ids = set()
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        log = factory(tmp_path / name)
        append_all(log, numbered(0, 1))
        ids.add(log.open_reader().log_id)
    assert len(ids) == 2


def test_a_writer_that_opens_again_goes_on_where_the_log_ends(log: LogUnderTest) -> None:
    firsts = [append_all(log, numbered(number, 1))[0] for number in range(10)]
    assert firsts == list(range(10))


def test_dropping_takes_only_what_lies_before_and_moves_the_beginning(log: LogUnderTest) -> None:
    append_all(log, *(numbered(first, SEGMENT_RECORDS) for first in range(0, 40, SEGMENT_RECORDS)))
    assert log.drop_before(18) > 0
    reader = log.open_reader()
    assert 0 < reader.begin_offset(0) <= 18
    assert [offset for offset, _ in read_all(reader, 18)] == list(range(18, 40))
    assert read_all(reader, 0)[0][0] == reader.begin_offset(0)


def test_offsets_are_never_used_again_after_everything_was_dropped(log: LogUnderTest) -> None:
    append_all(log, *(numbered(first, SEGMENT_RECORDS) for first in range(0, 20, SEGMENT_RECORDS)))
    log.drop_before(1_000_000)
    assert log.open_reader().end_offset(0) == 20
    assert append_all(log, [b"after the drop"]) == [20]
    log.drop_before(1_000_000)
    assert append_all(log, [b"after another"]) == [21]


def test_a_drop_beside_a_reader_leaves_it_reading(log: LogUnderTest) -> None:
    append_all(log, *(numbered(first, SEGMENT_RECORDS) for first in range(0, 20, SEGMENT_RECORDS)))
    reader = log.open_reader()
    assert reader.read(0, 0, max_records=2)[0].offset == 0
    log.drop_before(9)
    assert [offset for offset, _ in read_all(reader, 9)] == list(range(9, 20))


def test_what_append_returned_for_survives_a_kill(log: LogUnderTest, tmp_path: Path) -> None:
    told = tmp_path / "told"
    pid = os.fork()
    if pid == 0:
        writer = log.open_writer()
        for number in range(7):
            told.write_text(str(writer.append([b"record %d" % number])))
        os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert told.read_text() == "6"
    assert [value for _, value in read_all(log.open_reader())] == numbered(0, 7)
    assert append_all(log, [b"the next"]) == [7]


def test_a_reader_sees_what_was_appended_after_it_opened(log: LogUnderTest) -> None:
    writer, reader = log.open_writer(), log.open_reader()
    for number in range(10):
        assert reader.end_offset(0) == number
        writer.append([b"record %d" % number])
        assert reader.read(0, number, max_records=5)[0].value == b"record %d" % number
    writer.close()


def test_several_readers_beside_a_writer_each_see_every_record_in_order(log: LogUnderTest) -> None:
    total, writer = 300, log.open_writer()
    found: list[list[int]] = [[], [], []]

    def follow(seen: list[int]) -> None:
        reader = log.open_reader()
        while len(seen) < total:
            seen += [record.offset for record in reader.read(0, len(seen), max_records=17)]
        reader.close()

    readers = [threading.Thread(target=follow, args=(seen,), daemon=True) for seen in found]
    for thread in readers:
        thread.start()
    for first in range(0, total, 3):
        writer.append(numbered(first, 3))
    for thread in readers:
        thread.join(timeout=30)
    assert found == [list(range(total))] * 3
