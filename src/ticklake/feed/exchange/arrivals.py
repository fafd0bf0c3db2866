"""When orders come: when people are awake, one on the heels of another, and none while a symbol is halted.

Each order brings on others, `FOLLOWERS` of them in the mean, most within a second, a few within minutes: a cascade
that excites itself and dies out, as trading does.

Takes      the hours of a day, a source of chance, about how many prints, and a halt
Gives      the orders, each with its moment in milliseconds and how many prints it has, in the order of time
"""

from bisect import bisect
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Final

from ticklake.feed.exchange.hours import MINUTE_MS, Hours

PRINTS_AN_ORDER: Final = (1, 1, 1, 1, 2, 2, 3, 4, 6)
FOLLOWERS: Final = 0.6
FOLLOW_MS: Final = 400
"""Half of those that follow come within so long."""
LONGEST_FOLLOW_MS: Final = 10 * MINUTE_MS
RESUME_MS: Final = 3_000
"""What could not trade in a halt trades within so long behind it."""


def arrive(hours: Hours, chance: Random, prints: int, *, is_continuous: bool, halt: range = range(0)) -> list[tuple[int, int]]:
    """Draw a day's orders of one listing."""
    weights = _curve(hours, is_continuous)
    if not weights[-1]:
        return []
    last_ms = hours.last_ms if is_continuous else hours.end_ms
    draw, sizes, chain = chance.random, len(PRINTS_AN_ORDER), FOLLOWERS / (1 + FOLLOWERS)
    orders: list[tuple[int, int]] = []
    waiting: list[int] = []
    left = prints
    while left > 0:
        if waiting:
            at_ms = waiting.pop()
        else:
            minute = bisect(weights, draw() * weights[-1])
            at_ms = hours.first_ms + minute * MINUTE_MS + int(draw() * MINUTE_MS)
        if at_ms >= last_ms:
            continue
        while draw() < chain:
            part = draw()
            waiting.append(at_ms + min(int(FOLLOW_MS * part / (1 - part)), LONGEST_FOLLOW_MS))
        if at_ms in halt:
            at_ms = halt.stop + int(draw() * RESUME_MS)
        parts = min(left, PRINTS_AN_ORDER[int(draw() * sizes)])
        orders.append((at_ms, parts))
        left -= parts
    orders.sort()
    return orders


@lru_cache(maxsize=8)
def _curve(hours: Hours, is_continuous: bool) -> list[float]:
    """Give the day's activity, minute by minute, summed up."""
    return list(accumulate(hours.weigh(is_continuous=is_continuous)))
