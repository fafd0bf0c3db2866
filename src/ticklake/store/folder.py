"""Objects as files of a folder.

    create    write aside, sync, link under the name (the kernel lets one linker win), sync the folder

Guarantee  an object is absent or whole, and durable when `create` returns
Raises     DiskFull (retryable)
"""

import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ticklake.contracts.faults import FaultPoint
from ticklake.errors import DiskFull, StoreUnavailable

OBJECT_STAGED: Final = FaultPoint("store.object_staged")
OBJECT_LINKED: Final = FaultPoint("store.object_linked")

_ASIDE: Final = ".aside-"
NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FolderStore:
    """A folder on a file system with hard links."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, key: str, data: bytes) -> bool:
        """Write an object if the key is free; give whether it was."""
        path = self._path(key)
        aside = path.parent / f"{_ASIDE}{uuid.uuid4().hex}"
        try:
            self._make_folders(path.parent)
            try:
                with aside.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                OBJECT_STAGED.reach()
                try:
                    os.link(aside, path)
                except FileExistsError:
                    return False
                OBJECT_LINKED.reach()
            finally:
                aside.unlink(missing_ok=True)
            _sync_folder(path.parent)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise DiskFull(
                    f"{key} cannot be written to {self._root}: {error.strerror}",
                    hint="free some space and run the command again: nothing was advanced",
                ) from error
            raise StoreUnavailable(
                f"{key} cannot be written to {self._root}: {error.strerror}",
                hint="check that the folder is there and writable: ticklake doctor",
            ) from error
        return True

    def read(self, key: str) -> bytes:
        """Read a whole object. Raises KeyError if there is none."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None
        except OSError as error:
            raise StoreUnavailable(f"{key} cannot be read: {error.strerror}", hint="ticklake doctor") from error

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        """Give the keys with a prefix, sorted, from the first one after `start_after`."""
        if prefix.startswith("/") or ".." in prefix.split("/"):
            msg = f"not a prefix: {prefix!r}"
            raise ValueError(msg)
        folder = self._root / prefix.rpartition("/")[0]
        keys = (
            path.relative_to(self._root).as_posix() for path in folder.rglob("*") if not path.name.startswith(_ASIDE) and path.is_file()
        )
        yield from sorted(key for key in keys if key.startswith(prefix) and key > start_after)

    def delete(self, key: str) -> None:
        """Delete an object. Deleting what is absent is no error."""
        self._path(key).unlink(missing_ok=True)

    def local_path(self, key: str) -> Path | None:
        """Where the object lies."""
        return self._path(key)

    def _path(self, key: str) -> Path:
        """Give an object's path. Raises ValueError for a key that leaves the root, or is another way to write a key."""
        parts = key.split("/")
        if "" in parts or "." in parts or ".." in parts:
            msg = f"not a key: {key!r}"
            raise ValueError(msg)
        return self._root / key

    def _make_folders(self, folder: Path) -> None:
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for made in missing:
            _sync_folder(made.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
