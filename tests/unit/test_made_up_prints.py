"""How a made-up print is written."""

from decimal import Decimal

import pytest

from ticklake.feed.exchange.prints import join_codes, write_number


@pytest.mark.parametrize(
    ("number", "scale", "text"),
    [
        (267_4500, 4, "267.45"),
        (267_0000, 4, "267"),
        (267_0001, 4, "267.0001"),
        (0, 8, "0"),
        (10_000_000_000, 8, "100"),
        (123, 8, "0.00000123"),
        (100, 8, "0.000001"),
        (99, 8, "9.9e-7"),
        (50, 8, "5e-7"),
        (3, 8, "3e-8"),
    ],
)
def test_numbers_are_written_without_a_digit_too_many(number: int, scale: int, text: str) -> None:
    assert write_number(number, scale) == text
    assert Decimal(text) == Decimal(number).scaleb(-scale)


def test_codes_are_a_set_in_the_order_of_their_numbers() -> None:
    assert join_codes(("41", "1", "41")) == "1,41"
    assert join_codes(("12", "8")) == "8,12"
    assert join_codes(()) == ""
