"""A recorded tape as a feed: rows of CSV become frames of Finnhub's own JSON, digits untouched.

    s,t,p,v,c[,…]        a header names the columns; s symbol, t UTC ms, p price, v size, c codes joined by ;

Takes      a CSV file, plain or gzip
Gives      one session a file, its id made from the file's content: replaying twice adds nothing
Time       `received_ns` runs on tape time: the greatest `t` so far, kept strictly increasing
Order      file order is arrival order; rows that came within `FRAME_SPAN_MS` of one another share a frame
Guarantee  a row that is not a trade is sent as it stands, and ends in quarantine
Raises     RecordingInvalid, RecordingTruncated: before anything was sent
"""

import gzip
import hashlib
import heapq
import re
import uuid
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from ticklake.contracts.frame import MAX_FRAME_BYTES, Stamp, envelope_head, format_control, frame_body
from ticklake.errors import RecordingInvalid, RecordingTruncated
from ticklake.feed.ports import TimedRecord

FEED: Final = "recording"
FRAMING: Final = b"1"
"""Part of a session's id: raise it when the same file would be cut into other frames."""

FRAME_PRINTS: Final = 10
FRAME_SPAN_MS: Final = 20
HEARTBEAT_NS: Final = 60 * 10**9
SILENCE_NS: Final = 14 * 24 * 3600 * 10**9
"""A longer one is a wrong time in the file, not a feed that was silent: heartbeats through decades would fill the disk."""

COLUMNS: Final = (b"s", b"t", b"p", b"v", b"c")
NS_PER_MS: Final = 1_000_000
MAX_TIME_MS: Final = 1 << 43
"""The year 2248: tape time beyond it would not fit nanoseconds."""

_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_TIME: Final = re.compile(rb"[1-9][0-9]{0,12}")
"""Not all that `int` reads: +1, 01 and 1_0 are no JSON."""

_PLAIN: Final = re.compile(rb"[ !#-\[\]-~]*")
"""What can stand between quotes of JSON as it is."""
_GZIP_MAGIC: Final = b"\x1f\x8b"


class Recording:
    """One recorded file, checked and ready to play."""

    def __init__(self, path: Path) -> None:
        self.path = path
        content_hash, self.rows, self._columns = _check(path)
        digest = hashlib.sha256(FRAMING + content_hash).digest()
        self.session = f"recording/{uuid.UUID(bytes=digest[:16], version=5)}"

    def records(self) -> Iterator[TimedRecord]:
        """Give the session: opened, its frames with a heartbeat in each silent minute, closed."""
        head = envelope_head(FEED, self.session)
        seq, received_ns = 0, 0

        def stamp() -> Stamp:
            return Stamp(FEED, self.session, seq, received_ns)

        for rows in self._frames():
            at_ns = max(row.time_ms for row in rows) * NS_PER_MS
            if seq == 0:
                received_ns = max(1, at_ns - 1)
                opened = {"type": "session_opened", "source": self.path.name, "rows": self.rows}
                yield TimedRecord(received_ns, format_control(stamp(), opened), 0)
                seq = 1
            while HEARTBEAT_NS < at_ns - received_ns <= SILENCE_NS:
                received_ns += HEARTBEAT_NS
                yield TimedRecord(received_ns, format_control(stamp(), {"type": "heartbeat"}), 0)
                seq += 1
            received_ns = max(received_ns + 1, at_ns)
            yield TimedRecord(received_ns, head % (seq, received_ns) + _body(rows), len(rows))
            seq += 1
        received_ns += 1
        closed = {"type": "session_closed", "cause": "end_of_recording"}
        yield TimedRecord(received_ns, format_control(stamp(), closed), 0)

    def trades(self) -> Iterator[tuple[int, bytes]]:
        """Give each row that reads as a trade: its time in UTC ms, and its JSON, digits untouched."""
        rows = (_read_row(line, self._columns, 0) for line in _lines(self.path))
        return ((row.time_ms, row.text) for row in rows if row.is_trade)

    def _frames(self) -> Iterator[list["_Row"]]:
        frame: list[_Row] = []
        last_ms = self._first_ms()
        for line in _lines(self.path):
            row = _read_row(line, self._columns, last_ms)
            if frame and (
                len(frame) == FRAME_PRINTS
                or not row.is_trade
                or not frame[-1].is_trade
                or abs(row.time_ms - frame[0].time_ms) > FRAME_SPAN_MS
            ):
                yield frame
                frame = []
            frame.append(row)
            last_ms = max(last_ms, row.time_ms)
        if frame:
            yield frame

    def _first_ms(self) -> int:
        """When the tape begins: rows before the first trade have no time of their own."""
        rows = (_read_row(line, self._columns, 0) for line in _lines(self.path))
        return next((row.time_ms for row in rows if row.is_trade), 0)


class Tape:
    """Several recordings side by side, in the order of their time."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = recordings

    def records(self) -> Iterator[TimedRecord]:
        """Give every record of every recording; each recording keeps its own session."""
        sources = [recording.records() for recording in self._recordings]
        return heapq.merge(*sources, key=lambda record: record.received_ns)


class _Row(msgspec.Struct, frozen=True):
    time_ms: int
    text: bytes
    is_trade: bool


def _body(rows: list[_Row]) -> bytes:
    if rows[0].is_trade:
        return b'"frame":{"data":[%b],"type":"trade"}}' % b",".join(row.text for row in rows)
    return frame_body(rows[0].text)


def _read_row(line: bytes, columns: tuple[int, ...], last_ms: int) -> _Row:
    fields = line.split(b",")
    try:
        symbol, time, price, size, codes = (fields[column] for column in columns)
        time_ms = int(time)
    except (IndexError, ValueError):
        return _Row(last_ms, line, is_trade=False)
    is_trade = (
        _PLAIN.fullmatch(symbol)
        and _PLAIN.fullmatch(codes)
        and _NUMBER.fullmatch(price)
        and _NUMBER.fullmatch(size)
        and _TIME.fullmatch(time)
        and time_ms < MAX_TIME_MS
    )
    if not is_trade:
        return _Row(last_ms, line, is_trade=False)
    conditions = b'["%b"]' % codes.replace(b";", b'","') if codes else b"[]"
    return _Row(
        time_ms,
        b'{"c":%b,"p":%b,"s":"%b","t":%b,"v":%b}' % (conditions, price, symbol, time, size),
        is_trade=True,
    )


def _check(path: Path) -> tuple[bytes, int, tuple[int, ...]]:
    """Read the whole file once: its hash, how many rows, and where the columns stand."""
    digest, lines, last, row_bytes = hashlib.sha256(), 0, b"", 0
    header: bytes | None = None
    try:
        with _open(path) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                lines += chunk.count(b"\n")
                row_bytes = _check_row_sizes(path, chunk, row_bytes)
                if header is None:
                    header = chunk.split(b"\n", 1)[0].rstrip(b"\r")
                last = (last + chunk)[-4096:]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordingTruncated(
            f"the recording {path} ends in the middle or is damaged, after {lines:,} rows: {error}; nothing of it was sent",
            hint="fetch the file again",
        ) from error
    except OSError as error:
        raise RecordingInvalid(f"the recording {path} cannot be read: {error.strerror}", hint="check the path") from error
    names = (header or b"").split(b",")
    missing = [name.decode() for name in COLUMNS if name not in names]
    if missing:
        raise RecordingInvalid(
            f"the recording {path} has no column {', '.join(missing)} in its first line {(header or b'')[:60]!r}",
            hint="a recording is CSV with the header s,t,p,v,c (symbol, UTC ms, price, size, codes joined by ;)",
        )
    columns = tuple(names.index(name) for name in COLUMNS)
    tail = last.rsplit(b"\n", 1)[-1]
    if tail and (len(tail.split(b",")) < len(names)):
        raise RecordingTruncated(
            f"the recording {path} ends in the middle of row {lines + 1:,}: {tail[:60]!r}; nothing of it was sent",
            hint="fetch the file again, or cut the broken last line off",
        )
    return digest.digest(), lines + bool(tail) - 1, columns


def _check_row_sizes(path: Path, chunk: bytes, row_bytes: int) -> int:
    """Refuse a row longer than a frame may be; give the size so far of the row that the chunk ends in."""
    first, *others = chunk.split(b"\n")
    sizes = [row_bytes + len(first), *map(len, others)]
    if max(sizes) > MAX_FRAME_BYTES:
        raise RecordingInvalid(
            f"the recording {path} has a row of more than {MAX_FRAME_BYTES:,} bytes; nothing of it was sent",
            hint="that is no trade: look at the file, and cut the row out",
        )
    return sizes[-1]


def _lines(path: Path) -> Iterator[bytes]:
    with _open(path) as file:
        next(file)
        for line in file:
            if row := line.rstrip(b"\r\n"):
                yield row


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as probe:
        is_gzip = probe.read(2) == _GZIP_MAGIC
    return gzip.open(path, "rb") if is_gzip else path.open("rb")  # type: ignore[return-value]
