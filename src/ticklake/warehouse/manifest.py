"""What dbt parsed of the project, kept for the next process: parsing takes seconds, reading it back a fraction of one.

    name_manifest    all that decides what a manifest holds: the project, where it lies, dbt, its adapter
    keep_manifest    write it aside and rename it; older ones of the same project go
    recall_manifest  read it back, or give nothing

Guarantee  a file that is missing, cut or changed is no more than a cache miss
"""

import hashlib
import os
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ticklake.logs import MANIFEST_NOT_KEPT, log_event

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

DIGEST_BYTES: Final = 32


def name_manifest(project: Path, project_sha256: str, adapter: str) -> Path:
    """Give the file in the user's cache that holds the manifest of a project."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "ticklake"
    place = hashlib.sha256(str(project.resolve()).encode()).hexdigest()[:16]
    versions = (version(name) for name in ("dbt-core", "dbt-adapters", "dbt-common", "mashumaro", f"dbt-{adapter}"))
    content = hashlib.sha256("\0".join((project_sha256, *versions)).encode()).hexdigest()[:32]
    return folder / f"manifest-{place}-{content}.msgpack"


def keep_manifest(path: Path, manifest: "Manifest") -> None:
    """Write a manifest where the next process finds it; that there is no room for it is told to the log alone."""
    from dbt.parser.manifest import extended_mashumaro_encoder  # noqa: PLC0415 — two seconds that only a build should pay

    packed = manifest.to_msgpack(extended_mashumaro_encoder)
    aside = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(hashlib.sha256(packed).digest() + packed)
        aside.rename(path)
        for other in path.parent.glob(f"{path.stem.rpartition('-')[0]}-*.msgpack"):
            if other != path:
                other.unlink(missing_ok=True)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        log_event(MANIFEST_NOT_KEPT, path=path, error=str(error))


def recall_manifest(path: Path) -> "Manifest | None":
    """Read a manifest that an earlier process kept; None if there is none, or not the whole of one."""
    from dbt.contracts.graph.manifest import Manifest  # noqa: PLC0415
    from dbt.parser.manifest import extended_mashumuro_decoder  # noqa: PLC0415

    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, packed = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(packed).digest() != digest:
        return None
    return Manifest.from_msgpack(packed, decoder=extended_mashumuro_decoder)
