"""What the folder does beyond the contract of a store: full disks, leftovers of a crash, folders in the way."""

import os
import resource
import signal
from pathlib import Path

import pytest

from ticklake.contracts.faults import arm
from ticklake.errors import DiskFull, StoreUnavailable
from ticklake.store.folder import FolderStore

LARGE = b"x" * 100_000


def create_in_child(root: Path, *, limit_bytes: int | None = None, die_at: str = "") -> int:
    """Create an object in a child of ours, whose files may not grow past a limit, or which is killed; give how it ended."""
    pid = os.fork()
    if pid == 0:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        if die_at:
            arm(die_at)
        try:
            FolderStore(root).create("a/one", LARGE)
        except DiskFull:
            os._exit(28)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_file_that_may_not_grow_is_a_full_disk_and_leaves_nothing(tmp_path: Path) -> None:
    assert create_in_child(tmp_path, limit_bytes=4096) == 28
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    store = FolderStore(tmp_path)
    assert store.create("a/one", LARGE)
    assert store.read("a/one") == LARGE


def test_what_a_crash_left_aside_is_no_object_and_in_nobodys_way(tmp_path: Path) -> None:
    assert create_in_child(tmp_path, die_at="store.object_staged") == -signal.SIGKILL
    store = FolderStore(tmp_path)
    assert len(list((tmp_path / "a").iterdir())) == 1
    assert list(store.list("")) == []
    assert store.create("a/one", b"after")
    assert list(store.list("")) == ["a/one"]


def test_an_object_that_was_linked_before_a_crash_stands(tmp_path: Path) -> None:
    assert create_in_child(tmp_path, die_at="store.object_linked") == -signal.SIGKILL
    store = FolderStore(tmp_path)
    assert not store.create("a/one", b"after")
    assert store.read("a/one") == LARGE


def test_a_file_where_a_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("in the way")
    store = FolderStore(tmp_path)
    with pytest.raises(StoreUnavailable, match="a/one cannot be written") as caught:
        store.create("a/one", b"data")
    assert "doctor" in caught.value.hint


def test_a_folder_where_an_object_should_be_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a" / "one").mkdir(parents=True)
    with pytest.raises(StoreUnavailable, match="a/one cannot be read"):
        FolderStore(tmp_path).read("a/one")
