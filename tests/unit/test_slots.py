"""Who has a slot, and whose turn comes."""

from collections import Counter

import pytest

from ticklake.feed.finnhub.slots import Slots

SECOND = 10**9


def test_symbols_beyond_the_slots_are_left_out_where_nobody_takes_turns() -> None:
    slots = Slots(["A", "B", "A", "C"], slots=2)
    assert (slots.current, slots.left_out) == (["A", "B"], ["C"])
    assert slots.turn(10**18) is None


@pytest.mark.parametrize(("symbols", "slots", "pinned"), [("ABCDEFG", 3, ""), ("ABCDEFG", 3, "AX"), ("ABCD", 3, ""), ("ABCDEFG", 1, "")])
def test_turns_are_fair_and_a_window_is_never_wider_than_its_slots(symbols: str, slots: int, pinned: str) -> None:
    rotating = Slots(list(symbols), slots=slots, pinned=list(pinned), rotation_seconds=60)
    held: Counter[str] = Counter(rotating.current)
    assert rotating.turn(0) is None
    for turn in range(1, 211):
        assert rotating.turn(turn * 60 * SECOND - 1) is None
        before = rotating.current
        moved = rotating.turn(turn * 60 * SECOND)
        assert moved is not None
        leaving, entering = moved
        assert len(rotating.current) == len(set(rotating.current)) == slots
        assert len(leaving) == len(entering)
        assert set(rotating.current) == set(before) - set(leaving) | set(entering)
        assert set(rotating.left_out).isdisjoint(rotating.current)
        held.update(rotating.current)
    shares = [held[symbol] for symbol in symbols if symbol not in pinned]
    assert max(shares) - min(shares) <= 1
    assert all(held[symbol] == 211 for symbol in pinned)


def test_a_turn_that_was_missed_is_not_made_up_for() -> None:
    rotating = Slots(list("ABC"), slots=1, rotation_seconds=60)
    assert rotating.turn(0) is None
    assert rotating.turn(1_000 * SECOND) == (["A"], ["B"])
    assert rotating.turn(1_001 * SECOND) is None
    assert rotating.turn(1_020 * SECOND) == (["B"], ["C"])  # the schedule stands: every sixty seconds from the beginning


@pytest.mark.parametrize(("slots", "pinned"), [(2, ["A", "B", "C"]), (5, []), (3, [])])
def test_nobody_takes_turns_where_there_is_nothing_to_take(slots: int, pinned: list[str]) -> None:
    rotating = Slots(["A", "B", "C"], slots=slots, pinned=pinned, rotation_seconds=60)
    assert rotating.turn(0) is None
    assert rotating.turn(10**18) is None
    assert not rotating.takes_turns
