"""Find landed objects that bronze has not, and read each once before it is trusted.

    list      the store's keys, less those that the manifest knows
    check     read, hash, decompress, count lines; what is not whole is set aside, named, and told
    load      a batch of them in one transaction

Guarantee  an object is loaded, or quarantined, or still waiting: never passed over
Raises     StoreUnavailable, DiskFull (both retryable)
"""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ticklake.contracts.codec import decode_object
from ticklake.contracts.objects import LANDING_PREFIX, ObjectKey
from ticklake.contracts.ports import ObjectStore
from ticklake.errors import ObjectCorrupt
from ticklake.logs import OBJECT_QUARANTINED, OBJECTS_LOADED, OVERLAP_TRIMMED, log_event, warn_event
from ticklake.warehouse.ports import BrokenObject, CheckedObject, Loaded, Warehouse


def load_batches(store: ObjectStore, warehouse: Warehouse, *, batch_records: int) -> Iterator[Loaded]:
    """Load what bronze has not, a batch a transaction; give what each brought."""
    known = warehouse.known_objects()
    batch: list[CheckedObject] = []
    broken: list[BrokenObject] = []
    with tempfile.TemporaryDirectory(prefix="ticklake-load-") as folder:
        for key in store.list(LANDING_PREFIX):
            if known.get(key) == "":
                continue
            checked = check_object(store, key, Path(folder))
            if isinstance(checked, CheckedObject):
                batch.append(checked)
            elif known.get(key) != checked.sha256:
                broken.append(checked)
            if sum(each.records for each in batch) >= batch_records:
                yield _load(warehouse, batch, broken)
                batch, broken = [], []
        if batch or broken:
            yield _load(warehouse, batch, broken)


def check_object(store: ObjectStore, key: str, folder: Path) -> CheckedObject | BrokenObject:
    """Read an object and find out whether it is whole; one that is not on this disk is brought into `folder`."""
    object_key = ObjectKey.parse(key)
    data = store.read(key)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        records = decode_object(key, data).count(b"\n")
    except ObjectCorrupt as error:
        return BrokenObject(object_key, len(data), sha256, error.what.partition(": ")[2])
    path = store.local_path(key)
    if path is None:
        path = folder / f"{sha256}.zst"
        path.write_bytes(data)
    return CheckedObject(object_key, path, records, len(data), sha256)


def _load(warehouse: Warehouse, batch: list[CheckedObject], broken: list[BrokenObject]) -> Loaded:
    loaded = warehouse.load(batch, broken)
    log_event(OBJECTS_LOADED, load_id=loaded.load_id, objects=loaded.objects, records=loaded.records)
    for each in loaded.quarantined:
        warn_event(OBJECT_QUARANTINED, key=str(each.key), reason=each.reason)
    if loaded.trimmed:
        warn_event(OVERLAP_TRIMMED, load_id=loaded.load_id, records=loaded.trimmed)
    return loaded
