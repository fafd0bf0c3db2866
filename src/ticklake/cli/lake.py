"""One home, with the stages that work on it wired together.

The only module that knows which implementation stands behind which port.
"""

import time
from functools import cached_property
from pathlib import Path

from ticklake import __version__
from ticklake.contracts.ports import Clock, Query
from ticklake.home import Home
from ticklake.landing.land import Cut, Lander
from ticklake.log.sqlite import PARTITION, SqliteLog, SqliteLogWriter
from ticklake.logs import start_logging
from ticklake.settings import Settings, read_settings
from ticklake.store.folder import FolderStore
from ticklake.warehouse.build import Builder
from ticklake.warehouse.duckdb import DuckDBWarehouse
from ticklake.warehouse.transform import find_project, hash_project


class SystemClock:
    """The machine's own time."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds that only go forward."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Lake:
    """The stages of one home."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = Home(settings.home)
        self.clock: Clock = SystemClock()
        start_logging(settings.log.level)

    @classmethod
    def at(cls, home: Path | None) -> "Lake":
        """Read the settings and wire the stages; writes nothing. Raises HomeVersionMismatch for what this version cannot read."""
        lake = cls(read_settings(home))
        lake.home.check()
        return lake

    def open(self) -> "Lake":
        """Make the home if it is missing, and check that this version can use it."""
        self.home.open(made_by=__version__)
        return self

    @cached_property
    def log(self) -> SqliteLog:
        """The reading end of the log."""
        return SqliteLog(self.home.log)

    def open_log_writer(self) -> SqliteLogWriter:
        """Open the writing end of the log; the caller holds the lock of the stage `log`."""
        return SqliteLogWriter(self.home.log, segment_records=self.settings.log.segment_records)

    @cached_property
    def store(self) -> FolderStore:
        """The object store."""
        return FolderStore(self.home.root)

    def make_lander(self) -> Lander:
        """Make a lander; the caller holds the lock of the stage `land`."""
        landing = self.settings.landing
        cut = Cut(records=landing.object_records, size_bytes=landing.object_bytes, seconds=landing.object_seconds)
        return Lander(SqliteLog(self.home.log), self.store, partition=PARTITION, cut=cut)

    @cached_property
    def warehouse(self) -> DuckDBWarehouse:
        """The warehouse."""
        settings = self.settings.warehouse
        return DuckDBWarehouse(
            self.home.warehouse,
            memory_limit=settings.memory_limit,
            threads=settings.threads,
            read_wait_seconds=settings.read_wait_seconds,
        )

    @cached_property
    def builder(self) -> Builder:
        """What builds the warehouse."""
        return Builder(
            self.store,
            self.warehouse,
            locks=self.home.locks,
            dbt_folder=self.home.warehouse / "dbt",
            turn=self.warehouse.turn,
            project=self.project,
        )

    @property
    def project(self) -> Path:
        """The dbt project: ours, or the one that the settings name."""
        return self.settings.warehouse.project or find_project()

    @property
    def project_sha256(self) -> str:
        """What gold has to be built with."""
        return hash_project(self.project)

    @property
    def seeds(self) -> Path:
        """The folder of the rules' CSV, as an auditor reads it."""
        return self.project / "seeds"

    @property
    def query(self) -> Query:
        """Read-only SQL over the warehouse."""
        return self.warehouse.query

    def drop_loaded_segments(self) -> int:
        """Delete the log's segments whose records are all in bronze; give how many."""
        log = SqliteLog(self.home.log)  # its own: the lander may be reading from another thread
        log_id = log.log_id
        loaded = self.query(
            "select first_offset, last_offset from bronze.landed_objects"
            " where log_id = $log_id and log_partition = $partition order by first_offset",
            {"log_id": log_id, "partition": PARTITION},
        )
        loaded_to = log.begin_offset(PARTITION)
        for first_offset, last_offset in loaded.rows:
            if first_offset > loaded_to:
                break
            loaded_to = max(loaded_to, last_offset + 1)
        return log.drop_before(loaded_to)
