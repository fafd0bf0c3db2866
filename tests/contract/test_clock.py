"""What every Clock does; the fake that the unit tests use is held to it too."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.unit.fakes import FakeClock
from ticklake.cli.lake import SystemClock
from ticklake.contracts.ports import Clock

CLOCKS: Final[dict[str, Callable[[], Clock]]] = {"system": SystemClock, "fake": FakeClock}
AFTER_2020_NS: Final = 1_577_836_800 * 10**9


@pytest.fixture(params=CLOCKS)
def clock(request: pytest.FixtureRequest) -> Clock:
    return CLOCKS[request.param]()


def test_now_is_nanoseconds_since_1970(clock: Clock) -> None:
    assert AFTER_2020_NS < clock.now_ns() < 2 * AFTER_2020_NS


def test_monotonic_time_never_goes_back(clock: Clock) -> None:
    readings = [clock.monotonic_ns() for _ in range(100)]
    assert readings == sorted(readings)


def test_a_sleep_lasts_at_least_as_long_as_it_was_asked_for(clock: Clock) -> None:
    before = clock.monotonic_ns()
    clock.sleep(0.002)
    assert clock.monotonic_ns() - before >= 2_000_000


def test_wall_time_and_monotonic_time_run_alike(clock: Clock) -> None:
    wall, monotonic = clock.now_ns(), clock.monotonic_ns()
    clock.sleep(0.002)
    assert abs((clock.now_ns() - wall) - (clock.monotonic_ns() - monotonic)) < 10**9
