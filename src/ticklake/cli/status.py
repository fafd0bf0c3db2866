"""How far each stage is."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from ticklake.cli.lake import Lake
from ticklake.contracts.objects import LANDING_PREFIX
from ticklake.errors import QueryInvalid
from ticklake.locks import holder
from ticklake.log.sqlite import PARTITION

LOADED: Final = """
    (select count(*) from bronze.landed_objects) as loaded_objects,
    (select coalesce(sum(records), 0) from bronze.landed_objects) as loaded_records,
    (select coalesce(max(load_id), 0) from bronze.landed_objects) as last_load,
    (select count(*) from bronze.quarantined_objects) as quarantined_objects
"""
BUILT: Final = """
    (select count(*) from silver.trades) as trades,
    (select count(distinct symbol) from silver.trades) as symbols,
    (select string_agg(code || ' (' || trades || ')', ', ' order by code) from silver.unknown_codes) as unknown_codes,
    (select max(last_received_ns) from silver.feed_sessions) as newest_ns
"""


def read_status(lake: Lake) -> dict[str, Any]:
    """Give one fact a line."""
    log = lake.log
    found: dict[str, Any] = {
        "home": str(lake.home.root) + ("" if lake.home.exists else " (nothing here yet)"),
        "log_offsets": f"{log.begin_offset(PARTITION):,} to {log.end_offset(PARTITION):,}" if log.log_id else None,
        "log_size_mb": round(log.size_bytes() / 1e6, 1),
        "landed_objects": sum(1 for _ in lake.store.list(LANDING_PREFIX)),
        "at_work": ", ".join(f"{stage} (process {pid})" for stage in ("log", "land", "build") if (pid := holder(lake.home.locks, stage)))
        or "nobody",
    }
    in_warehouse = _read_warehouse(lake)
    if "newest_ns" not in in_warehouse:
        return found | in_warehouse | {"built": "not yet"}
    newest = in_warehouse.pop("newest_ns")
    return found | in_warehouse | {"watermark": datetime.fromtimestamp(newest / 1e9, UTC).isoformat(timespec="seconds") if newest else None}


def _read_warehouse(lake: Lake) -> dict[str, Any]:
    """Give what is loaded and built, or only what is loaded, or nothing: in one query, since beside `run` every one waits for a turn."""
    for columns in (f"{LOADED}, {BUILT}", LOADED):
        with suppress(QueryInvalid):
            result = lake.query(f"select {columns}")
            return dict(zip(result.columns, result.rows[0], strict=True))
    return {}
