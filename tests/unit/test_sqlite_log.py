"""What the SQLite log does beyond the contract: segments that are new, broken, or taken away."""

import errno
import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ticklake.contracts.faults import arm
from ticklake.errors import DiskFull, LogCorrupt
from ticklake.log.sqlite import SqliteLog, SqliteLogWriter, read_log_id


def write(folder: Path, *batches: list[bytes], segment_records: int = 2) -> None:
    writer = SqliteLogWriter(folder, segment_records=segment_records)
    for batch in batches:
        writer.append(batch)
    writer.close()


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sqlite"))


def offsets(folder: Path, first: int = 0) -> list[int]:
    log, found = SqliteLog(folder), list[int]()
    while records := log.read(0, first, max_records=10):
        found += [record.offset for record in records]
        first = found[-1] + 1
    log.close()
    return found


def test_a_folder_without_a_segment_is_a_log_without_an_id(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    assert (log.log_id, log.begin_offset(0), log.end_offset(0), log.read(0, 0, max_records=5)) == ("", 0, 0, [])
    assert log.drop_before(100) == 0
    assert log.size_bytes() == 0


def test_a_segment_is_named_for_its_first_offset(tmp_path: Path) -> None:
    write(tmp_path, [b"0", b"1"], [b"2", b"3", b"4"], [b"5"])
    assert [int(path.stem) for path in segments(tmp_path)] == [0, 2, 5]
    assert SqliteLog(tmp_path).size_bytes() >= sum(path.stat().st_size for path in segments(tmp_path))


def test_a_segment_that_was_taken_away_is_a_jump_that_readers_see(tmp_path: Path) -> None:
    write(tmp_path, [b"0", b"1"], [b"2", b"3"], [b"4", b"5"])
    segments(tmp_path)[1].unlink()
    assert offsets(tmp_path) == [0, 1, 4, 5]
    assert offsets(tmp_path, 2) == [4, 5]


def test_a_drop_takes_the_files_beside_a_segment_too(tmp_path: Path) -> None:
    write(tmp_path, [b"0", b"1"], [b"2", b"3"], [b"4", b"5"])
    for suffix in ("-wal", "-shm"):
        Path(f"{segments(tmp_path)[0]}{suffix}").touch()
    assert SqliteLog(tmp_path).drop_before(3) == 1
    assert {path.name[:20] for path in tmp_path.iterdir()} == {f"{2:020d}", f"{4:020d}"}


def test_a_reader_whose_listing_is_older_than_a_drop_finds_nothing_and_makes_nothing(tmp_path: Path) -> None:
    write(tmp_path, [b"0", b"1"], [b"2", b"3"])
    dropped, log = segments(tmp_path)[0], SqliteLog(tmp_path)
    SqliteLog(tmp_path).drop_before(2)
    assert log._select(dropped, "select log_offset, value from records limit ?", (1,)) == []
    assert read_log_id(dropped) == ""
    assert not dropped.exists()


def die_when(point: str, work: Callable[[], None]) -> None:
    """Let a child of ours work until it is killed at a fault point."""
    pid = os.fork()
    if pid == 0:
        arm(point)
        work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9, f"{point} was not reached"


def test_a_crash_between_making_a_first_segment_and_naming_it_leaves_a_log_that_begins(tmp_path: Path) -> None:
    die_when("log.segment_opened", lambda: write(tmp_path, [b"never"]))
    assert len(segments(tmp_path)) <= 1
    assert offsets(tmp_path) == []
    assert SqliteLog(tmp_path).end_offset(0) == 0
    write(tmp_path, [b"0"])
    assert offsets(tmp_path) == [0]
    assert SqliteLog(tmp_path).log_id


def test_a_crash_while_rolling_keeps_the_id_and_the_offsets(tmp_path: Path) -> None:
    write(tmp_path, [b"0", b"1"])
    log_id = SqliteLog(tmp_path).log_id
    die_when("log.segment_opened", lambda: write(tmp_path, [b"never"]))
    assert SqliteLog(tmp_path).end_offset(0) == 2
    write(tmp_path, [b"2"])
    assert offsets(tmp_path) == [0, 1, 2]
    assert SqliteLog(tmp_path).log_id == log_id


def test_a_crash_before_the_commit_leaves_nothing_of_the_batch(tmp_path: Path) -> None:
    write(tmp_path, [b"0"], segment_records=100)
    die_when("log.before_commit", lambda: write(tmp_path, [b"torn"] * 50, segment_records=100))
    assert offsets(tmp_path) == [0]
    write(tmp_path, [b"1"], segment_records=100)
    assert offsets(tmp_path) == [0, 1]


def test_an_empty_file_under_a_segments_name_is_one_whose_writer_has_only_begun(tmp_path: Path) -> None:
    write(tmp_path, [b"0", b"1"])
    (tmp_path / f"{2:020d}.sqlite").touch()
    log = SqliteLog(tmp_path)
    log_id = read_log_id(segments(tmp_path)[0])
    assert (offsets(tmp_path), log.end_offset(0), log.log_id) == ([0, 1], 2, log_id)
    write(tmp_path, [b"2"])
    assert offsets(tmp_path) == [0, 1, 2]
    assert SqliteLog(tmp_path).log_id == log_id


@pytest.mark.parametrize("use", [lambda folder: SqliteLog(folder).log_id, offsets, lambda folder: SqliteLog(folder).end_offset(0), write])
def test_a_segment_that_is_no_database_is_named(tmp_path: Path, use: Callable[[Path], object]) -> None:
    write(tmp_path, [b"0"])
    path = segments(tmp_path)[0]
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(LogCorrupt, match=path.name) as caught:
        use(tmp_path)
    assert "doctor" in caught.value.hint


def test_a_segment_that_is_cut_off_is_named(tmp_path: Path) -> None:
    write(tmp_path, [os.urandom(3000) for _ in range(100)], segment_records=1000)
    path = segments(tmp_path)[0]
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(LogCorrupt, match=path.name):
        offsets(tmp_path)


def test_a_log_that_may_not_grow_takes_none_of_a_batch_and_all_of_it_later(tmp_path: Path) -> None:
    writer = SqliteLogWriter(tmp_path, segment_records=1000)
    writer.append([b"0"])
    (pages,) = writer._connection.execute("pragma page_count").fetchone()
    writer._connection.execute(f"pragma max_page_count = {pages + 2}")
    batch = [os.urandom(2000) for _ in range(20)]
    with pytest.raises(DiskFull, match="cannot grow") as caught:
        writer.append(batch)
    assert caught.value.retryable
    assert offsets(tmp_path) == [0]
    writer._connection.execute("pragma max_page_count = 100000")
    assert writer.append(batch) == 1
    writer.close()
    assert offsets(tmp_path) == list(range(21))


def test_a_segment_written_by_another_program_is_not_taken_for_ours(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / f"{0:020d}.sqlite") as connection:
        connection.execute("create table segment (strange text)")
    with pytest.raises(LogCorrupt):
        write(tmp_path, [b"0"])


@contextmanager
def few_open_files(leave: int) -> Iterator[None]:
    """Let this process open no more than so many files while the block runs."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, usual[0]), usual[1]))
    try:
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE  # noqa: PT017 — every file is taken: that is what was wanted
        for _ in range(leave):
            os.close(taken.pop())
        yield
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)


@pytest.mark.parametrize("leave", range(3))
def test_a_roll_for_which_files_are_wanting_is_done_by_the_next_append(tmp_path: Path, leave: int) -> None:
    writer = SqliteLogWriter(tmp_path, segment_records=2)
    writer.append([b"0", b"1"])
    log_id = writer.log_id
    for _ in range(2):
        with few_open_files(leave), pytest.raises(DiskFull, match="cannot grow") as caught:
            writer.append([b"2"])
        assert caught.value.retryable
        assert offsets(tmp_path) == [0, 1]
    assert writer.append([b"2"]) == 2
    assert writer.append([b"3", b"4"]) == 3
    writer.close()
    assert offsets(tmp_path) == [0, 1, 2, 3, 4]
    assert [int(path.stem) for path in segments(tmp_path)] == [0, 2]
    assert {read_log_id(path) for path in segments(tmp_path)} == {log_id}


@pytest.mark.parametrize("leave", range(4))
def test_a_roll_for_which_files_are_wanting_and_then_a_crash_are_gone_on_from_by_another_writer(tmp_path: Path, leave: int) -> None:
    write(tmp_path, [b"0", b"1"])
    log_id = SqliteLog(tmp_path).log_id

    def work() -> None:
        writer = SqliteLogWriter(tmp_path, segment_records=2)
        with few_open_files(leave), suppress(DiskFull):
            writer.append([b"never"])
        writer.append([b"nor now"])

    die_when("log.before_commit", work)
    log = SqliteLog(tmp_path)
    assert (log.log_id, log.end_offset(0)) == (log_id, 2)
    write(tmp_path, [b"2"])
    assert offsets(tmp_path) == [0, 1, 2]
    assert {read_log_id(path) for path in segments(tmp_path)} == {log_id}


def test_a_drop_leaves_the_log_its_id_while_the_newest_segment_was_only_begun(tmp_path: Path) -> None:
    write(tmp_path, [b"0", b"1"], [b"2", b"3"])
    log_id = SqliteLog(tmp_path).log_id
    die_when("log.segment_opened", lambda: write(tmp_path, [b"never"]))
    assert SqliteLog(tmp_path).drop_before(1_000) == 1
    write(tmp_path, [b"4"])
    assert SqliteLog(tmp_path).log_id == log_id
    assert SqliteLog(tmp_path).drop_before(1_000) == 1
    assert offsets(tmp_path, 2) == [4]


def test_a_reader_for_which_files_are_wanting_reads_on_when_they_are_not(tmp_path: Path) -> None:
    writer, log = SqliteLogWriter(tmp_path, segment_records=10), SqliteLog(tmp_path)
    writer.append([b"0"])
    (path,) = segments(tmp_path)
    for leave in range(3):
        with few_open_files(leave), suppress(DiskFull):
            log._select(path, "select log_offset, value from records limit ?", (1,))
        assert [record.offset for record in log.read(0, 0, max_records=5)] == [0]
        log.close()
    writer.close()


def test_a_segment_that_may_not_be_made_is_no_full_disk(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    writer = SqliteLogWriter(folder, segment_records=1)
    writer.append([b"0"])
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(LogCorrupt, match="unable to open"):
        writer.append([b"1"])
    (tmp_path / "elsewhere").rename(folder)
    assert writer.append([b"1"]) == 1
    writer.close()
    assert offsets(folder) == [0, 1]
