"""What every ObjectStore does. A new implementation joins by adding a factory to STORES."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from ticklake.contracts.ports import ObjectStore
from ticklake.store.folder import FolderStore

RACERS: Final = 32

STORES: Final[dict[str, Callable[[Path], ObjectStore]]] = {"folder": lambda root: FolderStore(root / "inside")}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return STORES[request.param](tmp_path)


def test_an_object_comes_back_byte_for_byte(store: ObjectStore) -> None:
    data = bytes(range(256)) * 1000
    assert store.create("a/b/one", data)
    assert store.read("a/b/one") == data


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    assert store.create("a/empty", b"")
    assert store.read("a/empty") == b""
    assert list(store.list("a/")) == ["a/empty"]


def test_a_key_that_is_taken_keeps_its_bytes(store: ObjectStore) -> None:
    assert store.create("a/one", b"first")
    assert not store.create("a/one", b"second")
    assert store.read("a/one") == b"first"


@pytest.mark.parametrize("attempt", range(5))
def test_of_many_creators_at_once_one_wins_and_its_bytes_stand(store: ObjectStore, attempt: int) -> None:
    key = f"race/{attempt}"
    start = threading.Barrier(RACERS)

    def create(number: int) -> bool:
        start.wait()
        return store.create(key, b"%d" % number * 1000)

    with ThreadPoolExecutor(RACERS) as racers:
        wins = list(racers.map(create, range(RACERS)))
    assert sum(wins) == 1
    assert store.read(key) == b"%d" % wins.index(True) * 1000
    assert list(store.list("race/")) == [key]


def test_reading_what_is_not_there_names_the_key(store: ObjectStore) -> None:
    with pytest.raises(KeyError, match="a/missing"):
        store.read("a/missing")


def test_a_listing_is_sorted_whatever_the_order_of_creation(store: ObjectStore) -> None:
    keys = [f"landing/p{partition:03d}/{number:020d}" for partition in (1, 0) for number in (30, 4, 2000)]
    for key in keys:
        store.create(key, b"")
    assert list(store.list("landing/")) == sorted(keys)


def test_a_listing_holds_only_its_prefix(store: ObjectStore) -> None:
    for key in ("a/b/1", "a/b/2", "a/bc/3", "a/c/4", "b/5"):
        store.create(key, b"")
    assert list(store.list("a/b/")) == ["a/b/1", "a/b/2"]
    assert list(store.list("a/b")) == ["a/b/1", "a/b/2", "a/bc/3"]
    assert list(store.list("a/b/2")) == ["a/b/2"]
    assert list(store.list("nothing/")) == []


def test_a_listing_may_start_after_a_key_there_or_not(store: ObjectStore) -> None:
    for number in range(5):
        store.create(f"a/{number}", b"")
    assert list(store.list("a/", start_after="a/2")) == ["a/3", "a/4"]
    assert list(store.list("a/", start_after="a/25")) == ["a/3", "a/4"]
    assert list(store.list("a/", start_after="a/4")) == []


def test_what_was_created_is_listed_at_once(store: ObjectStore) -> None:
    for number in range(20):
        store.create(f"a/{number:02d}", b"")
        assert list(store.list("a/"))[-1] == f"a/{number:02d}"


def test_no_part_of_an_object_is_ever_visible(store: ObjectStore) -> None:
    data, seen, done = b"x" * (4 << 20), set[int](), threading.Event()

    def watch() -> None:
        while not done.is_set():
            for key in store.list(""):
                seen.add(len(store.read(key)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(8):
        store.create(f"large/{number}", data)
    done.set()
    watcher.join()
    assert seen <= {len(data)}
    assert [key for key in store.list("") if not key.startswith("large/")] == []


def test_deleting_frees_the_key_and_what_is_absent_is_no_error(store: ObjectStore) -> None:
    store.delete("a/one")
    store.create("a/one", b"first")
    store.delete("a/one")
    assert list(store.list("a/")) == []
    assert store.create("a/one", b"second")
    assert store.read("a/one") == b"second"


def test_a_local_path_holds_the_same_bytes_if_there_is_one(store: ObjectStore) -> None:
    store.create("a/one", b"bytes")
    path = store.local_path("a/one")
    assert path is None or path.read_bytes() == b"bytes"


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/outside", "a/..", "", "a//b", "a/./b", "a/"])
def test_a_key_that_could_leave_the_root_or_alias_another_is_refused(store: ObjectStore, key: str) -> None:
    for use in (lambda: store.create(key, b"x"), lambda: store.read(key), lambda: store.delete(key), lambda: store.local_path(key)):
        with pytest.raises(ValueError, match="not a key"):
            use()


def test_a_listing_cannot_leave_the_root(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"")
    for prefix in ("../", f"{tmp_path}/", "a/../../"):
        with pytest.raises(ValueError, match="not a prefix"):
            list(store.list(prefix))
