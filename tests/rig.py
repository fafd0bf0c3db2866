"""A lake in a temporary home, frames for its log, and what came out of it.

    lake = open_lake(tmp_path / "home", object_records=40)
    session = Session()
    log_records(lake, [session.frame([Tick("AAPL", noon_ms, "190.10", "100")])])
    land(lake); build(lake)
    assert read_gold(lake)["bars_1m"] == …

Guarantee  the environment decides nothing: what is not passed stands at its default
"""

import fcntl
import json
import os
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import pytest

from ticklake.audit.ledger import balance
from ticklake.audit.verify import Verified, verify
from ticklake.cli.lake import Lake
from ticklake.contracts.frame import Stamp, format_control, format_frame
from ticklake.feed.recording import Recording, Tape
from ticklake.feed.replay import Replayed, replay
from ticklake.landing.land import Landed
from ticklake.locks import hold_stage
from ticklake.settings import LandingSettings, LogSettings, Settings, WarehouseSettings
from ticklake.warehouse.build import Built

ROOT: Final = Path(__file__).parents[1]
NS_PER_MS: Final = 1_000_000
DEPTH: Final = int(os.environ.get("TICKLAKE_TEST_DEPTH", "1"))
"""How many times more examples the properties of whole lakes are tried with: `make properties` goes deeper than `make test`."""

GOLD: Final = ("bars_1m", "bars_5m", "bars_1d")
PRINTS: Final = "select * exclude (load_id) from silver.prints order by log_id, log_partition, log_offset, print_index"
TRADES: Final = """
    select feed, symbol, order_key, traded_ms, price, size, conditions, received_ns, session, seq, print_index, market_session, trading_date
    from silver.trades order by feed, symbol, order_key
"""
Rows = list[tuple[Any, ...]]


def utc_ms(text: str) -> int:
    """Give the milliseconds of an ISO time in UTC: `utc_ms("2024-01-10 15:30")`."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


class Tick(msgspec.Struct, frozen=True):
    """One print as a feed sends it; digits are text, so that they stay as they are."""

    symbol: str
    traded_ms: int
    price: str
    size: str
    conditions: tuple[str, ...] | None = ()

    def to_json(self) -> str:
        """Give the print in the key order of the live feed."""
        codes = "null" if self.conditions is None else json.dumps(self.conditions, separators=(",", ":"))
        return f'{{"c":{codes},"p":{self.price},"s":{json.dumps(self.symbol)},"t":{self.traded_ms},"v":{self.size}}}'


class Session:
    """One connection of a feed: counts its records, and keeps `received_ns` strictly increasing."""

    def __init__(self, *, collector: str = "rig", feed: str = "finnhub", number: int = 1) -> None:
        self.feed = feed
        self.name = f"{collector}/{uuid.UUID(int=number, version=4)}"
        self._seq = 0
        self._received_ns = 0

    def frame(self, ticks: Sequence[Tick], *, received_ms: int | None = None) -> bytes:
        """Give the record of a frame with these prints, received when its newest was traded if nothing else is said."""
        body = f'{{"data":[{",".join(tick.to_json() for tick in ticks)}],"type":"trade"}}'
        return self.raw(body.encode(), received_ms=max(tick.traded_ms for tick in ticks) if received_ms is None else received_ms)

    def raw(self, message: bytes, *, received_ms: int) -> bytes:
        """Give the record of a message, whatever it is."""
        return format_frame(self._stamp(received_ms), message)

    def control(self, control_type: str, *, received_ms: int, **fields: Any) -> bytes:
        """Give a control record."""
        return format_control(self._stamp(received_ms), {"type": control_type, **fields})

    def _stamp(self, received_ms: int) -> Stamp:
        self._received_ns = max(self._received_ns + 1, received_ms * NS_PER_MS)
        stamp = Stamp(self.feed, self.name, self._seq, self._received_ns)
        self._seq += 1
        return stamp


def open_lake(
    home: Path,
    *,
    segment_records: int = 200_000,
    object_records: int = 50_000,
    batch_records: int = 500_000,
    read_wait_seconds: float = 10.0,
    threads: int = 1,
    project: Path | None = None,
) -> Lake:
    """Make a lake in a folder, or open the one that is there."""
    warehouse = WarehouseSettings(
        memory_limit="1GB",
        threads=threads,
        batch_records=batch_records,
        run_batch_records=batch_records,
        read_wait_seconds=read_wait_seconds,
        project=project,
    )
    settings = Settings(
        home=home,
        log=LogSettings(level="error", segment_records=segment_records),
        landing=LandingSettings(object_records=object_records, object_bytes=32 << 20, object_seconds=60.0),
        warehouse=warehouse,
    )
    return Lake(settings).open()


def log_records(lake: Lake, records: Sequence[bytes]) -> int:
    """Append records to the log in one commit; give the offset of the first."""
    with hold_stage(lake.home.locks, "log"):
        log = lake.open_log_writer()
        try:
            return log.append(records)
        finally:
            log.close()


def replay_files(lake: Lake, *recordings: Path) -> Replayed:
    """Play recordings into the log as fast as it takes them, as `ticklake replay` does."""
    with hold_stage(lake.home.locks, "log"):
        log = lake.open_log_writer()
        try:
            return replay(Tape([Recording(path) for path in recordings]), log, clock=lake.clock, speed=None)
        finally:
            log.close()


def land(lake: Lake) -> Landed:
    """Land all that the log holds, as `ticklake land` does."""
    with hold_stage(lake.home.locks, "land"):
        return lake.make_lander().land(flush=True)


def build(lake: Lake, *, full: bool = False) -> Built:
    """Build what is landed, as `ticklake build` does."""
    return lake.builder.build(full=full, batch_records=lake.settings.warehouse.batch_records)


def verify_lake(lake: Lake) -> Verified:
    """Count every bar anew and compare, as `ticklake verify` does."""
    return verify(lake.store, lake.query, lake.seeds, project_sha256=lake.project_sha256)


def read_gold(lake: Lake) -> dict[str, Rows]:
    """Give every gold table, all columns, sorted by its grain."""
    return {table: lake.query(f"select * from gold.{table} order by feed, symbol, lens, start_at").rows for table in GOLD}  # noqa: S608 — our own names


def read_prints(lake: Lake) -> Rows:
    """Give silver.prints without the load ids, sorted by place in the log."""
    return lake.query(PRINTS).rows


def read_trades(lake: Lake) -> Rows:
    """Give the genuine trades in their order, with what does not depend on where in the log they lie."""
    return lake.query(TRADES).rows


def find_unbalanced(lake: Lake) -> list[str]:
    """Give the hops of the ledger that do not balance, in words."""
    hops = balance(lake.log, lake.store, lake.query)
    return [f"{hop.name}: {hop.total} {hop.unit} = {hop.parts}" for hop in hops if not hop.is_balanced]


def tell_difference(expected: dict[str, Rows], found: dict[str, Rows]) -> str:
    """Say where two sets of tables first differ; empty if nowhere."""
    for table, rows in expected.items():
        others = found.get(table, [])
        for number, (row, other) in enumerate(zip(rows, others, strict=False)):
            if row != other:
                return f"{table}, row {number}:\n  expected {row}\n  found    {other}"
        if len(rows) != len(others):
            longer = max(rows, others, key=len)
            return f"{table}: {len(rows)} rows expected, {len(others)} found; the first one over: {longer[min(len(rows), len(others))]}"
    return ""


def find_tape() -> Path:
    """Give the folder of the sample tape; where it is absent skip, under CI fail."""
    root = Path(os.environ.get("TICKLAKE_TEST_DATA") or ROOT / ".." / "shared" / "data").resolve()
    tape = root / "sip-2013-10"
    if not tape.is_dir():
        reason = f"the sample tape is not in {root}: set TICKLAKE_TEST_DATA"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return tape


@contextmanager
def far_from_greenwich() -> Iterator[None]:
    """Let the machine's own zone be another one: nothing may depend on it."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Auckland"
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def make_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Give a folder that one of the tests' processes makes, and all others only read."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    folder, made = root / name, root / f"{name}.made"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(folder)
            made.touch()
    return folder


class Running:
    """A ticklake command at work in another process, whose events on stderr can be waited for."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        self.process = process
        self._stderr: IO[bytes] = process.stderr
        self.seen: list[str] = []
        self._passed = 0
        """How many of the lines that were seen `wait_for` has looked at."""
        self._begun = b""
        """A line whose end was not read yet."""

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def wait_for(self, event: str, *, seconds: float = 60.0) -> str:
        """Read stderr until a line holds `event`; give the line. What comes behind it is left for the next call.

        Fails if the process ends or the time is over.
        """
        deadline = time.monotonic() + seconds
        while True:
            while self._passed < len(self.seen):
                self._passed += 1
                if event in self.seen[self._passed - 1]:
                    return self.seen[self._passed - 1]
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._stderr], [], [], left)[0] or not self._read():
                pytest.fail(f"{event!r} did not come within {seconds:g} s; stderr so far:\n" + "\n".join(self.seen[-20:]))

    def _read(self) -> bool:
        """See the lines that came; give whether more can come."""
        chunk = os.read(self._stderr.fileno(), 1 << 16)
        *lines, self._begun = (self._begun + chunk).split(b"\n")
        self.seen += [line.decode() for line in lines]
        return bool(chunk)

    def moments(self, *, seconds: float = 0.5) -> Iterator[None]:
        """Give moments while the process works, so many seconds apart, until it ends."""
        while self.is_alive:
            yield
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=seconds)

    def end(self, *, seconds: float = 60.0) -> tuple[int, str]:
        """Wait for the process's end; give its exit code and stdout."""
        stdout, stderr = self.process.communicate(timeout=seconds)
        self.seen += (self._begun + stderr).decode().splitlines()
        self._begun = b""
        return self.process.returncode, stdout.decode()


def untraced_environment() -> dict[str, str]:
    """Give the environment for a process whose time or files are limited: coverage would take of both."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


def run_untraced(home: Path, *arguments: str) -> str:
    """Run a command on a lot of data to its end, without coverage; it must succeed. Give its stdout."""
    ticklake = Path(sys.executable).with_name("ticklake")
    done = subprocess.run(
        [ticklake, "--home", home, *arguments], env=untraced_environment(), capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        pytest.fail(f"ticklake {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


@contextmanager
def start_ticklake(home: Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[Running]:
    """Start a command in another process with its log events on; it is killed if the block leaves it running."""
    clean = {name: value for name, value in untraced_environment().items() if not name.startswith("TICKLAKE_")}
    process = subprocess.Popen(
        [Path(sys.executable).with_name("ticklake"), "--home", str(home), *arguments],
        env={**clean, "TICKLAKE_LOG__LEVEL": "info", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()


def wait_until(condition: Callable[[], bool], *, process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    """Wait until a condition holds while a process works; fails if the process ends first or the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"the condition did not come true within {seconds:g} s")
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        if not condition():
            pytest.fail(f"the process ended with {process.returncode} before the condition came true")
