"""The bucket that all share who ask with one key."""

import itertools
from concurrent.futures import ThreadPoolExecutor

from tests.unit.fakes import FakeClock
from ticklake.feed.finnhub.budget import Budget


def spend_times(clock: FakeClock, budget: Budget, requests: int) -> list[float]:
    """Give when each of so many requests was let through, in seconds from the first."""
    times = []
    for _ in range(requests):
        budget.spend()
        times.append(clock.monotonic_ns() / 1e9)
    return [each - times[0] for each in times]


def test_no_minute_and_no_second_sees_more_requests_than_the_plan_grants_wherever_it_begins() -> None:
    clock = FakeClock()
    times = spend_times(clock, Budget(clock, requests_per_minute=60), 400)
    for requests, seconds in ((60, 60.0), (30, 1.0)):
        assert all(after - before > seconds for before, after in zip(times, times[requests:], strict=False))
    assert times[-1] < 400 / 60 * 62  # and hardly slower than that
    assert all(before <= after for before, after in itertools.pairwise(times))


def test_who_asks_seldom_never_waits() -> None:
    clock = FakeClock()
    budget = Budget(clock, requests_per_minute=60)
    for _ in range(200):
        budget.spend()
        clock.sleep(1.1)
    assert set(clock.diary) == {1.1}


def test_a_budget_that_the_vendor_closed_stays_closed_so_long() -> None:
    clock = FakeClock()
    budget = Budget(clock, requests_per_minute=60)
    budget.close_for(62.5)
    budget.close_for(3.0)  # a shorter word does not open it
    budget.spend()
    assert clock.diary == [62.5]


def test_threads_that_share_a_budget_share_its_tokens() -> None:
    clock = FakeClock()
    budget = Budget(clock, requests_per_minute=60)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: budget.spend(), range(181)))
    assert 180 < sum(clock.diary) < 182
