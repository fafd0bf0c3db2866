"""The project as dbt parsed it, kept for the next process: right or not at all."""

from pathlib import Path
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest

from tests.rig import open_lake
from ticklake.warehouse import transform
from ticklake.warehouse.manifest import keep_manifest, name_manifest, recall_manifest

PROJECT = transform.find_project()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> dict[Path, Any]:
    """What a process knows that has parsed nothing yet."""
    manifests: dict[Path, Any] = {}
    monkeypatch.setattr(transform, "_MANIFESTS", manifests)
    return manifests


@pytest.fixture
def small() -> Manifest:
    return Manifest()


def test_the_next_process_finds_all_that_was_parsed(cache: Path, new_process: dict[Path, Any], tmp_path: Path) -> None:
    open_lake(tmp_path / "one").builder.warm()
    (parsed,) = new_process.values()
    (kept,) = cache.glob("ticklake/manifest-*.msgpack")
    new_process.clear()

    open_lake(tmp_path / "another").builder.warm()

    assert list(new_process) == [kept]
    found = new_process[kept]
    assert found is not parsed
    assert found.nodes.keys() == parsed.nodes.keys()
    assert found.unit_tests.keys() == parsed.unit_tests.keys()
    assert found.flat_graph == parsed.flat_graph


def test_the_name_tells_apart_what_would_parse_to_something_else(cache: Path, tmp_path: Path) -> None:
    names = {
        name_manifest(PROJECT, "one", "duckdb"),
        name_manifest(PROJECT, "another", "duckdb"),
        name_manifest(tmp_path, "one", "duckdb"),
    }

    assert len(names) == 3
    assert {name.parent for name in names} == {cache / "ticklake"}


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:40] + b"x" + content[41:], lambda _: b""])
def test_a_damaged_file_is_as_good_as_none(small: Manifest, damage: Any) -> None:
    path = name_manifest(PROJECT, "one", "duckdb")
    keep_manifest(path, small)
    assert recall_manifest(path) is not None

    path.write_bytes(damage(path.read_bytes()))

    assert recall_manifest(path) is None


def test_only_the_newest_of_a_project_is_kept(cache: Path, small: Manifest, tmp_path: Path) -> None:
    old, new, other = (name_manifest(*key, "duckdb") for key in ((PROJECT, "1"), (PROJECT, "2"), (tmp_path, "1")))
    for path in (other, old, new):
        keep_manifest(path, small)

    assert set((cache / "ticklake").iterdir()) == {new, other}


def test_a_cache_that_cannot_be_written_stops_nothing(cache: Path, small: Manifest) -> None:
    cache.write_text("a file where a folder should be")
    path = name_manifest(PROJECT, "one", "duckdb")

    keep_manifest(path, small)

    assert recall_manifest(path) is None
