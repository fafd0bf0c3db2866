"""How far each stage is."""

from datetime import UTC, datetime
from typing import Any

from ticklake.cli.lake import Lake
from ticklake.contracts.objects import LANDING_PREFIX
from ticklake.errors import QueryInvalid
from ticklake.locks import holder
from ticklake.log.sqlite import PARTITION


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
    try:
        loaded = lake.query("select count(*), coalesce(sum(records), 0), coalesce(max(load_id), 0) from bronze.landed_objects").rows[0]
        found |= {"loaded_objects": loaded[0], "loaded_records": loaded[1], "last_load": loaded[2]}
        quarantined = lake.query("select count(*) from bronze.quarantined_objects").rows[0][0]
        found["quarantined_objects"] = quarantined
        trades, symbols = lake.query("select count(*), count(distinct symbol) from silver.trades").rows[0]
        newest = lake.query("select max(last_received_ns) from silver.feed_sessions").rows[0][0]
        found |= {"trades": trades, "symbols": symbols}
        found["watermark"] = datetime.fromtimestamp(newest / 1e9, UTC).isoformat(timespec="seconds") if newest else None
    except QueryInvalid:
        found["built"] = "not yet"
    return found
