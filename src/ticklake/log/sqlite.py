"""The log as a folder of SQLite files, one a segment, on one disk.

    append    one transaction in the newest segment, synced: durable when it returns
    roll      a full segment is checkpointed; the next, named for its first offset, is opened; then the full one is closed
    drop      old segments are deleted whole, never the newest: so no offset is ever used twice

Takes      records, one partition
Order      offsets ascend by one, across segments
Guarantee  what append returned for survives a crash; a torn commit leaves nothing. A roll that fails for want of space leaves
           the writer where it was, and a segment that was only begun, which the next append, or the next writer, finishes
Raises     DiskFull (retryable), LogCorrupt
"""

import itertools
import os
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final

from ticklake.contracts.faults import FaultPoint
from ticklake.contracts.ports import LogRecord
from ticklake.errors import DiskFull, LogCorrupt, TicklakeError
from ticklake.logs import SEGMENT_DROPPED, SEGMENT_ROLLED, log_event

PARTITION: Final = 0
"""A SQLite log has one partition."""

BEFORE_COMMIT: Final = FaultPoint("log.before_commit")
AFTER_COMMIT: Final = FaultPoint("log.after_commit")
SEGMENT_OPENED: Final = FaultPoint("log.segment_opened")
SEGMENT_UNLINKED: Final = FaultPoint("log.segment_unlinked")

INSERT_SIZES: Final = (256, 64, 16, 4, 1)
"""How many records a statement inserts: few statements, since behind each another thread may take the interpreter for milliseconds."""

_INSERTS: Final = {
    size: f"insert into records values {','.join(f'(?1 + {place}, ?{place + 2})' for place in range(size))}"  # noqa: S608 — our own numbers
    for size in INSERT_SIZES
}
"""The statements: the first record's offset, then the values."""

_SCHEMA: Final = """
create table if not exists segment (log_id text not null, first_offset integer not null);
create table if not exists records (log_offset integer primary key, value blob not null);
"""


class SqliteLogWriter:
    """The writing end. The caller holds the stage's lock, so that there is one."""

    def __init__(self, folder: Path, *, segment_records: int) -> None:
        self._folder = folder
        self._segment_records = segment_records
        if segments := _segments(folder):
            self._connection = self._open(segments[-1])
        else:
            self._connection = self._open(_name_segment(folder, 0), log_id=uuid.uuid4().hex)

    def _open(self, path: Path, *, log_id: str = "") -> sqlite3.Connection:
        """Go on in a segment, a new one if the log's id is given. Raises DiskFull, LogCorrupt: then nothing of it stays open.

        One that a crash or a full disk left without its name is given it: nothing was ever acknowledged in it.
        """
        try:
            with ExitStack() as opened:
                connection = opened.enter_context(closing(_connect(path)))
                if log_id:
                    SEGMENT_OPENED.reach()
                connection.executescript("pragma journal_mode = wal; pragma synchronous = full;" + _SCHEMA)
                row = connection.execute("select log_id, first_offset from segment").fetchone()
                if row is None:
                    row = (log_id or self._log_id_of_older_segment(path), int(path.stem))
                    connection.execute("insert into segment values (?, ?)", row)
                    connection.commit()
                newest = connection.execute("select max(log_offset) from records").fetchone()[0]
                opened.pop_all()
        except sqlite3.Error as error:
            raise _translate(error, path) from error
        self._path, self.log_id, self._first_offset = path, str(row[0]), int(row[1])
        self._next_offset = self._first_offset if newest is None else int(newest) + 1
        return connection

    def _log_id_of_older_segment(self, path: Path) -> str:
        older = [each for each in _segments(self._folder) if each != path]
        return read_log_id(older[-1]) if older else uuid.uuid4().hex

    def append(self, records: Sequence[bytes]) -> int:
        """Make records durable, in order; give the offset of the first. Raises DiskFull: then none was written."""
        if self._next_offset - self._first_offset >= self._segment_records:
            self._roll()
        first = self._next_offset
        try:
            done = 0
            for size in INSERT_SIZES:
                while len(records) - done >= size:
                    self._connection.execute(_INSERTS[size], (first + done, *records[done : done + size]))
                    done += size
            BEFORE_COMMIT.reach()
            self._connection.commit()
        except sqlite3.Error as error:
            self._connection.rollback()
            raise _translate(error, self._path) from error
        AFTER_COMMIT.reach()
        self._next_offset = first + len(records)
        return first

    def _roll(self) -> None:
        """Go on in a new segment. Raises DiskFull: then the full one is still the writer's, and the next append rolls again."""
        try:
            self._connection.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.Error as error:
            raise _translate(error, self._path) from error
        full = self._connection
        self._connection = self._open(_name_segment(self._folder, self._next_offset), log_id=self.log_id)
        full.close()
        log_event(SEGMENT_ROLLED, first_offset=self._next_offset)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class SqliteLog:
    """The reading end; any number of them, beside a writer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open_path: Path | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def log_id(self) -> str:
        """The id of the log, or empty while nothing was ever written."""
        ids = (read_log_id(path) for path in reversed(_segments(self._folder)))
        return next((log_id for log_id in ids if log_id), "")  # a segment that was only just made has none yet

    def partitions(self) -> Sequence[int]:
        """The one partition."""
        return (PARTITION,)

    def begin_offset(self, partition: int) -> int:
        """The first offset of the oldest segment."""
        segments = _segments(self._folder)
        return int(segments[0].stem) if segments and partition == PARTITION else 0

    def end_offset(self, partition: int) -> int:
        """One past the newest durable record."""
        segments = _segments(self._folder)
        if not segments or partition != PARTITION:
            return 0
        newest = self._select(segments[-1], "select max(log_offset) from records")[0][0]
        return int(segments[-1].stem) if newest is None else int(newest) + 1

    def read(self, partition: int, offset: int, *, max_records: int) -> list[LogRecord]:
        """Records from `offset` on, from one segment at a time; empty at the end."""
        if partition != PARTITION:
            return []
        segments = _segments(self._folder)
        holding = [path for path in segments if int(path.stem) <= offset][-1:]
        for path in holding + [path for path in segments if int(path.stem) > offset]:
            rows = self._select(
                path,
                "select log_offset, value from records where log_offset >= ? order by log_offset limit ?",
                (offset, max_records),
            )
            if rows:
                return [LogRecord(row_offset, value) for row_offset, value in rows]
        return []

    def drop_before(self, offset: int) -> int:
        """Delete the segments whose records all lie before `offset`, but the newest; give how many.

        While the newest was only begun, the one before stays too: the id of the log stands in it.
        """
        segments = _segments(self._folder)
        dropped = 0
        for path, following in itertools.pairwise(segments):
            if int(following.stem) > offset or (following == segments[-1] and not _has_name(following)):
                break
            self.close()
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            SEGMENT_UNLINKED.reach()
            dropped += 1
            log_event(SEGMENT_DROPPED, segment=path.name)
        return dropped

    def size_bytes(self) -> int:
        """What the segments take on disk."""
        size = 0
        for path in self._folder.glob("*.sqlite*"):
            with suppress(FileNotFoundError):  # dropped since the listing
                size += path.stat().st_size
        return size

    def close(self) -> None:
        """Let go of the open segment."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._open_path = None, None

    def _select(self, path: Path, sql: str, parameters: tuple[int, ...] = ()) -> list[tuple[int, bytes]]:
        try:
            if self._open_path != path:
                self.close()
                self._connection, self._open_path = _connect_reader(path), path
            assert self._connection is not None  # noqa: S101 — for the type checker
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if _is_empty(path, error):
                return [(None, b"")] if "max(" in sql else []  # type: ignore[list-item]
            self.close()  # what could not be opened whole would fail for ever
            raise _translate(error, path) from error
        except sqlite3.Error as error:
            self.close()
            raise _translate(error, path) from error


def read_log_id(path: Path) -> str:
    """Read the log's id out of a segment. Raises LogCorrupt."""
    try:
        with closing(_connect_reader(path)) as connection:
            row = connection.execute("select log_id from segment").fetchone()
    except sqlite3.OperationalError as error:
        if _is_empty(path, error):
            return ""
        raise _translate(error, path) from error
    except sqlite3.Error as error:
        raise _translate(error, path) from error
    return "" if row is None else str(row[0])


def _has_name(path: Path) -> bool:
    """Whether a segment holds the log's id; one that a full disk keeps from being read counts as one that does not."""
    try:
        return bool(read_log_id(path))
    except DiskFull:
        return False


def _name_segment(folder: Path, first_offset: int) -> Path:
    return folder / f"{first_offset:020d}.sqlite"


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sqlite"))


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30, check_same_thread=False)


def _connect_reader(path: Path) -> sqlite3.Connection:
    """Open a segment that is there; one that was dropped since the listing is not made again."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30, check_same_thread=False)


def _is_empty(path: Path, error: sqlite3.OperationalError) -> bool:
    """Whether a segment cannot be read because its writer has not made the tables yet, or because it was dropped."""
    return "no such table" in str(error) or not path.exists()


def _translate(error: sqlite3.Error, path: Path) -> TicklakeError:
    if _may_heal(getattr(error, "sqlite_errorname", ""), path):
        return DiskFull(
            f"the log at {path.parent} cannot grow: {error}",
            hint="free some space, or inodes (df -i), or allow more open files (ulimit -n), and run the command again: "
            "what was acknowledged is safe, the rest is sent again",
        )
    return LogCorrupt(
        f"the log segment {path} cannot be used: {error} ({getattr(error, 'sqlite_errorname', '')})",
        hint="ticklake doctor tells what was landed already; move the segment aside to go on without the rest of it",
    )


def _may_heal(name: str, path: Path) -> bool:
    """Whether SQLite names a want of space, inodes or open files; that a file cannot be made may be a want of permission too."""
    if name == "SQLITE_CANTOPEN":
        return os.access(path.parent, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.R_OK | os.W_OK))
    return name in {"SQLITE_FULL", "SQLITE_IOERR_WRITE"} or name.startswith(("SQLITE_IOERR_TRUNC", "SQLITE_IOERR_SHM"))
