"""What all tests share: fixtures for a lake and for the sample tape, and how hypothesis works here."""

import os
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

pytest.register_assert_rewrite("tests.rig")

from tests.rig import ROOT, find_tape, open_lake  # noqa: E402 — after the rewrite was asked for
from ticklake.cli.lake import Lake  # noqa: E402
from ticklake.contracts.faults import FAULT_POINTS  # noqa: E402
from ticklake.warehouse.transform import Transform  # noqa: E402

os.environ["XDG_CACHE_HOME"] = str(ROOT / ".cache")  # of this checkout, shared by all tests and the commands that they start
IS_CI = os.environ.get("CI", "").lower() == "true"

# An example builds a warehouse: seconds, and as slow as the machine is busy. CI always tries the same ones, and
# says which failed without making it smaller: that is minutes.
settings.register_profile(
    "ticklake",
    deadline=None,
    derandomize=IS_CI,
    phases=[Phase.explicit, Phase.generate, *([] if IS_CI else [Phase.shrink])],
    max_examples=10,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
settings.load_profile("ticklake")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the properties by their folder."""
    for item in items:
        if "property" in item.path.parts:
            item.add_marker("prop")


@contextmanager
def untraced() -> Iterator[None]:
    """Let no coverage be measured for a while, in this thread and in those that it starts."""
    tracers = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(tracers[0])
        threading.settrace(tracers[1])  # type: ignore[arg-type]


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Let nothing trace where a test says `no_cover`: in a worker of xdist pytest-cov measures twice, and pauses once."""
    with untraced() if item.get_closest_marker("no_cover") else nullcontext():
        return (yield)


@pytest.fixture(autouse=True, scope="session")
def _dbt_untraced() -> Iterator[None]:
    """Let dbt, in this process, run without coverage: tracing somebody else's code doubles the time of every build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transform, "run", untraced()(Transform.run))
        yield


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no setting of the user's reach a test."""
    for name in tuple(os.environ):
        if name.startswith("TICKLAKE_") and not name.startswith("TICKLAKE_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in a home of its own."""
    return open_lake(tmp_path / "home")


@pytest.fixture(scope="session")
def tape() -> Path:
    """The folder of the sample tape."""
    return find_tape()


@pytest.fixture
def disarmed() -> Iterator[None]:
    """Fault points that a test armed do nothing in the next one."""
    yield
    for point in FAULT_POINTS.values():
        point.arm(0, lambda: None)
