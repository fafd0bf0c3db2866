"""From landed objects to gold: load what is new, then let dbt follow it.

    load         batches of objects into bronze
    transform    models and data tests, within reach of what the batch touched
    record       what was built with which project, and tested up to where

Order      none needed: any order of loads and any number of runs give the same rows
Guarantee  a build that dies anywhere is gone on with by the next
Raises     StageLocked, WarehouseBusy, DiskFull, StoreUnavailable (all retryable), BuildFailed
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from ticklake.contracts.ports import ObjectStore
from ticklake.locks import hold_stage
from ticklake.logs import MODELS_BUILT, log_event
from ticklake.warehouse.load import load_batches
from ticklake.warehouse.ports import BrokenObject, OnProgress, TransformState, Warehouse
from ticklake.warehouse.transform import Transform


class Built(msgspec.Struct):
    """What a build did."""

    objects: int = 0
    records: int = 0
    trimmed: int = 0
    quarantined: list[BrokenObject] = []
    batches: int = 0
    is_full: bool = False


def _silent(_step: str, _done: int, _total: int) -> None: ...


class Builder:
    """Builds one home's warehouse; keeps dbt warm between builds."""

    def __init__(
        self,
        store: ObjectStore,
        warehouse: Warehouse,
        *,
        locks: Path,
        dbt_folder: Path,
        turn: Callable[[], AbstractContextManager[None]],
        project: Path,
    ) -> None:
        self._store = store
        self._warehouse = warehouse
        self._locks = locks
        self._turn = turn
        self._transform = Transform(warehouse, dbt_folder, project)

    def warm(self) -> None:
        """Import and parse dbt now, so that no reader waits for it while a build has its turn."""
        self._transform.parse()

    def build(
        self,
        *,
        full: bool = False,
        batch_records: int,
        should_stop: Callable[[], bool] = lambda: False,
        on_progress: OnProgress = _silent,
        into: Built | None = None,
    ) -> Built:
        """Bring gold up to what is landed. With `full` everything behind bronze is made again.

        A project that changed since the last build is a full one too: gold is a function of bronze and of the models.
        What is done is added to `into`, if given, before an error too.
        """
        built = into or Built()
        with hold_stage(self._locks, "build"):
            while not should_stop():
                with self._turn():
                    state = self._warehouse.transform_state()
                    is_first = not state.transform_sha256
                    built.is_full = full or (not is_first and state.transform_sha256 != self._transform.sha256)
                    has_loaded = self._load_one(built, batch_records, everything=built.is_full)
                    newest = self._warehouse.newest_load_id()
                if not (has_loaded or built.is_full or is_first or state.tested_load_id < newest):
                    break
                with self._turn():  # a turn of its own: readers wait for the longer of the two, not for both
                    self._transform.build(
                        full=built.is_full,
                        with_seeds=is_first,
                        tested_from=state.tested_load_id + 1,
                        on_progress=on_progress,
                    )
                    self._warehouse.record_transform(TransformState(self._transform.sha256, newest))
                built.batches += 1
                log_event(MODELS_BUILT, load_id=newest, is_full=built.is_full)
                if built.is_full:
                    break
        return built

    def _load_one(self, built: Built, batch_records: int, *, everything: bool) -> bool:
        has_loaded = False
        for loaded in load_batches(self._store, self._warehouse, batch_records=batch_records):
            has_loaded = True
            built.objects += loaded.objects
            built.records += loaded.records
            built.trimmed += loaded.trimmed
            built.quarantined += loaded.quarantined
            if not everything:
                break
        return has_loaded
