"""Bronze in a DuckDB file.

    connect   the file is open only while a call or a turn runs, so that others can have theirs
    load      lines of NDJSON to rows, offsets from the object's name, overlaps trimmed

Guarantee  each (log id, partition, offset) once; frames and manifest in one transaction
Raises     DiskFull, WarehouseBusy (both retryable), QueryInvalid
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from ticklake.contracts.faults import FaultPoint
from ticklake.contracts.frame import NAME_PATTERN, SESSION_PATTERN
from ticklake.contracts.ports import QueryResult
from ticklake.errors import DiskFull, QueryInvalid, TicklakeError, WarehouseBusy
from ticklake.locks import take_turn
from ticklake.warehouse.ports import BrokenObject, CheckedObject, Loaded, TransformState

FRAMES_INSERTED: Final = FaultPoint("load.frames_inserted")
BEFORE_COMMIT: Final = FaultPoint("load.before_commit")
AFTER_COMMIT: Final = FaultPoint("load.after_commit")

MAX_LINE_BYTES: Final = 16 << 20
BUILD_WAIT_SECONDS: Final = 120.0
HEAD_PATTERN: Final = (
    rf'^\{{"feed":"({NAME_PATTERN})","session":"({SESSION_PATTERN})","seq":([0-9]{{1,18}})'
    r',"received_ns":([0-9]{1,19}),"(frame|control)":'
)

_SCHEMA: Final = """
create schema if not exists bronze;
create table if not exists bronze.loads (load_id bigint primary key, objects bigint not null, records bigint not null);
create table if not exists bronze.landed_objects (
    object_key varchar primary key, log_id varchar not null, log_partition integer not null,
    first_offset bigint not null, last_offset bigint not null, records bigint not null, trimmed bigint not null,
    size_bytes bigint not null, sha256 varchar not null, load_id bigint not null
);
create table if not exists bronze.quarantined_objects (
    object_key varchar primary key, log_id varchar not null, log_partition integer not null,
    first_offset bigint not null, size_bytes bigint not null, sha256 varchar not null, reason varchar not null
);
create table if not exists bronze.frames (
    load_id bigint not null, log_id varchar not null, log_partition integer not null, log_offset bigint not null,
    feed varchar not null, session varchar not null, seq bigint not null, received_ns bigint not null,
    kind varchar not null, frame varchar, control varchar, raw varchar, object_key varchar not null
);
create table if not exists bronze.transform_state (transform_sha256 varchar not null, tested_load_id bigint not null);
"""

_STAGE: Final = """
create or replace temp table staged as
select
    filename,
    line,
    regexp_extract(line, $head_pattern, ['feed', 'session', 'seq', 'received_ns', 'kind']) as head,
from read_csv(
    $paths, columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false,
    new_line = '\\n', filename = true, hive_partitioning = false, compression = 'zstd', null_padding = false,
    max_line_size = $max_line_bytes, strict_mode = true
)
"""

_INSERT: Final = """
insert into bronze.frames by name
with placed as (
    select
        objects.log_id, objects.log_partition, objects.object_key, staged.head, staged.line,
        objects.first_offset + staged.rowid - objects.first_row as log_offset,
        -- the head's length: its fixed parts and the five texts between them
        49 + length(head.feed) + length(head.session) + length(head.seq) + length(head.received_ns) + length(head.kind)
            as head_length
    from staged
    inner join staged_objects as objects on staged.filename = objects.path
),
split as (
    select *, line[head_length + 1:-2] as body from placed
)
select
    $load_id as load_id, log_id, log_partition, log_offset,
    head.feed, head.session, cast(head.seq as bigint) as seq, cast(head.received_ns as bigint) as received_ns,
    case when head.kind = 'control' then 'control' when starts_with(body, 'null,"raw') then 'raw' else 'frame' end as kind,
    case when kind = 'frame' then body end as frame,
    case when kind = 'control' then body end as control,
    case when kind = 'raw' then '{' || body[6:] || '}' end as raw,
    object_key
from split
where not exists (
    select 1 from trims
    where trims.object_key = split.object_key and split.log_offset between trims.first_offset and trims.last_offset
)
"""


class DuckDBWarehouse:
    """A DuckDB file in a folder, and whose turn it is."""

    def __init__(self, folder: Path, *, memory_limit: str, threads: int, read_wait_seconds: float) -> None:
        self.path = folder / "ticklake.duckdb"
        self._folder = folder
        self._config: dict[str, str | bool | int | float | list[str]] = {"memory_limit": memory_limit, "threads": threads}
        self._read_wait_seconds = read_wait_seconds
        self._in_turn: ExitStack | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the one that writes; calls within a turn share a connection. Raises WarehouseBusy if readers stay too long."""
        with take_turn(self._folder, shared=False, wait_seconds=BUILD_WAIT_SECONDS, on_timeout=self._busy), ExitStack() as stack:
            self._in_turn = stack
            try:
                yield
            finally:
                self._in_turn = self._connection = None

    def known_objects(self) -> dict[str, str]:
        """The keys of loaded objects (with an empty text), and of quarantined ones (with their sha256)."""
        with self._connect() as connection:
            rows = connection.execute(
                "select object_key, '' from bronze.landed_objects union all select object_key, sha256 from bronze.quarantined_objects"
            ).fetchall()
        return dict(rows)

    def load(self, objects: Sequence[CheckedObject], broken: Sequence[BrokenObject]) -> Loaded:
        """Bring objects into bronze, in one transaction with their manifest."""
        with self._connect() as connection:
            connection.execute("begin")
            loaded = Loaded(load_id=_next_load_id(connection), quarantined=list(broken))
            if objects:
                _load_objects(connection, sorted(objects, key=lambda each: each.key), loaded)
            for each in loaded.quarantined:
                connection.execute(
                    "insert or replace into bronze.quarantined_objects values (?, ?, ?, ?, ?, ?, ?)",
                    [str(each.key), each.key.log_id, each.key.partition, each.key.first_offset, each.size_bytes, each.sha256, each.reason],
                )
            connection.execute("insert into bronze.loads values (?, ?, ?)", [loaded.load_id, loaded.objects, loaded.records])
            BEFORE_COMMIT.reach()
            connection.execute("commit")
        AFTER_COMMIT.reach()
        return loaded

    def newest_load_id(self) -> int:
        """The id of the last load; 0 before the first."""
        with self._connect() as connection:
            return _next_load_id(connection) - 1

    def transform_state(self) -> TransformState:
        """What the last good build recorded."""
        with self._connect() as connection:
            row = connection.execute("select transform_sha256, tested_load_id from bronze.transform_state").fetchone()
        return TransformState(*row) if row else TransformState()

    def record_transform(self, state: TransformState) -> None:
        """Record a good build."""
        with self._connect() as connection:
            connection.execute("begin")
            connection.execute("delete from bronze.transform_state")
            connection.execute("insert into bronze.transform_state values (?, ?)", [state.transform_sha256, state.tested_load_id])
            connection.execute("commit")

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> QueryResult:
        """Answer read-only SQL, when it is our turn. Raises WarehouseBusy, QueryInvalid."""
        if not self.path.exists():
            raise QueryInvalid("there is no warehouse in this home yet", hint="ticklake land, then ticklake build")
        with take_turn(self._folder, shared=True, wait_seconds=self._read_wait_seconds, on_timeout=self._busy):
            try:
                with duckdb.connect(self.path, read_only=True, config={**self._config, "enable_external_access": False}) as connection:
                    cursor = connection.execute(sql, parameters or {})
                    columns = [column[0] for column in cursor.description or []]
                    return QueryResult(columns, cursor.fetchall())
            except duckdb.Error as error:
                if "Could not set lock" in str(error):
                    raise self._busy(None) from error
                raise QueryInvalid(
                    str(error).strip(),
                    hint='ticklake query "show all tables" lists what there is; ticklake build makes what this version adds',
                ) from error

    def profile(self) -> dict[str, Any]:
        """The dbt output of this warehouse."""
        return {"type": "duckdb", "path": str(self.path), "schema": "main", "threads": 1, "config_options": self._config}

    def release(self) -> None:
        """Close what dbt keeps open between its runs."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415 — dbt costs seconds to import

        DuckDBConnectionManager.close_all_connections()

    @contextmanager
    def _connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with ExitStack() as call:
            try:
                yield self._connection or self._open(self._in_turn or call)
            except duckdb.Error as error:
                raise translate(error, self.path) from error

    def _open(self, stack: ExitStack) -> duckdb.DuckDBPyConnection:
        """Open the file until a stack is left; all calls of a turn share it."""
        connection = stack.enter_context(duckdb.connect(self.path, config=self._config))
        connection.execute(_SCHEMA)
        if stack is self._in_turn:
            self._connection = connection
        return connection

    def _busy(self, pid: int | None) -> WarehouseBusy:
        return WarehouseBusy(
            f"the warehouse is open in {f'process {pid}' if pid else 'another process'}, for more than {self._read_wait_seconds:g} s",
            hint="try again, or ticklake status",
        )


def translate(error: Exception, path: Path) -> TicklakeError:
    """Make one of our errors of DuckDB's."""
    text = str(error).strip()
    if any(sign in text for sign in ("No space left", "not enough disk space", "File too large", "Disk quota")):
        return DiskFull(
            f"the warehouse {path} cannot grow: {text.splitlines()[0]}",
            hint="free some space and run ticklake build again: it goes on from the last committed load",
        )
    if "Could not set lock" in text:
        return WarehouseBusy(f"the warehouse {path} is open in another process: {text.splitlines()[0]}", hint="close it, and try again")
    return QueryInvalid(f"the warehouse {path} failed: {text}", hint="delete it and run ticklake build: it is made again from landing")


def _next_load_id(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select coalesce(max(load_id), 0) + 1 from bronze.loads").fetchone()
    return int(row[0]) if row else 1


def _load_objects(connection: duckdb.DuckDBPyConnection, objects: Sequence[CheckedObject], loaded: Loaded) -> None:
    connection.execute(
        _STAGE,
        {"paths": [str(each.path) for each in objects], "head_pattern": HEAD_PATTERN, "max_line_bytes": MAX_LINE_BYTES},
    )
    objects = _set_aside_strangers(connection, objects, loaded)
    connection.execute(
        "create or replace temp table staged_objects (path varchar, object_key varchar, log_id varchar,"
        " log_partition integer, first_offset bigint, first_row bigint)"
    )
    connection.execute("create or replace temp table trims (object_key varchar, first_offset bigint, last_offset bigint)")
    first_rows = dict(connection.execute("select filename, min(rowid) from staged group by filename").fetchall())
    for each in objects:
        trimmed = _trim_overlaps(connection, each)
        connection.execute(
            "insert into staged_objects values (?, ?, ?, ?, ?, ?)",
            [str(each.path), str(each.key), each.key.log_id, each.key.partition, each.key.first_offset, first_rows[str(each.path)]],
        )
        connection.execute(
            "insert into bronze.landed_objects values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                str(each.key),
                each.key.log_id,
                each.key.partition,
                each.key.first_offset,
                each.last_offset,
                each.records,
                trimmed,
                each.size_bytes,
                each.sha256,
                loaded.load_id,
            ],
        )
        connection.execute("delete from bronze.quarantined_objects where object_key = ?", [str(each.key)])
        loaded.objects += 1
        loaded.records += each.records - trimmed
        loaded.trimmed += trimmed
    connection.execute(_INSERT, {"load_id": loaded.load_id})
    FRAMES_INSERTED.reach()


def _set_aside_strangers(connection: duckdb.DuckDBPyConnection, objects: Sequence[CheckedObject], loaded: Loaded) -> list[CheckedObject]:
    """Quarantine objects that hold a line which is no record of ours, or that DuckDB counts otherwise."""
    rows = connection.execute(
        "select filename, count(*), min(rowid) filter (where head.kind = '') - min(rowid) from staged group by filename"
    ).fetchall()
    counted = {filename: (lines, stranger) for filename, lines, stranger in rows}
    kept = []
    for each in objects:
        lines, stranger = counted.get(str(each.path), (0, None))
        if stranger is None and lines == each.records:
            kept.append(each)
            continue
        reason = f"{lines} lines where {each.records} were expected" if stranger is None else f"line {stranger + 1} is not a record"
        loaded.quarantined.append(BrokenObject(each.key, each.size_bytes, each.sha256, reason))
        connection.execute("delete from staged where filename = ?", [str(each.path)])
    return kept


def _trim_overlaps(connection: duckdb.DuckDBPyConnection, each: CheckedObject) -> int:
    """Note the offsets of an object that bronze holds already; give how many."""
    overlaps = connection.execute(
        "select greatest(first_offset, $first), least(last_offset, $last) from bronze.landed_objects"
        " where log_id = $log_id and log_partition = $partition and first_offset <= $last and last_offset >= $first"
        " order by 1",
        {"log_id": each.key.log_id, "partition": each.key.partition, "first": each.key.first_offset, "last": each.last_offset},
    ).fetchall()
    trimmed, covered_to = 0, -1
    for first, last in overlaps:
        connection.execute("insert into trims values (?, ?, ?)", [str(each.key), first, last])
        trimmed += max(0, last - max(first, covered_to + 1) + 1)
        covered_to = max(covered_to, last)
    return trimmed
