"""Bars drawn in a terminal, looked at character by character."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import click
import pytest

from ticklake.cli.chart import Candle, draw_bars

NEW_YORK = ZoneInfo("America/New_York")
OPEN_AT = datetime(2025, 11, 18, 14, 30, tzinfo=UTC)


def candle(number: int, prices: str, volume: str = "100") -> Candle:
    """Make the five-minute bar `number` of the day; prices are open, high, low, close."""
    first, high, low, last = [Decimal(price) for price in prices.split()] if prices else (None, None, None, None)
    return Candle(OPEN_AT + timedelta(minutes=5 * number), first, high, low, last, Decimal(volume))


def draw(bars: list[Candle], *, width: int = 80, rows: int = 4) -> list[str]:
    return click.unstyle(draw_bars(bars, zone=NEW_YORK, width=width, rows=rows)).split("\n")


def test_open_and_close_are_the_body_and_high_and_low_the_shadow() -> None:
    bars = [candle(0, "2 7 0 5", "50"), candle(1, "6 6 1 1", "100"), candle(2, "3 4 3 4", "25")]

    assert draw(bars) == [
        "7 ┤│╻",
        "  │┃┃╻",
        "  │┃┃╹",
        "1 ┤│╹",
        "    █",
        "   ██▄",
        "   09:30",
    ]


def test_a_rising_bar_is_green_and_a_falling_one_red() -> None:
    drawn = draw_bars([candle(0, "1 2 1 2"), candle(1, "2 2 1 1")], zone=NEW_YORK, rows=1)

    assert click.style("┃", fg="green") + click.style("┃", fg="red") in drawn


def test_one_bar_is_a_chart() -> None:
    assert draw([candle(0, "1 8 1 8")]) == ["8 ┤┃", "  │┃", "  │┃", "2 ┤┃", "   █", "   █", "   09:30"]


def test_a_price_that_never_moved_is_drawn_in_the_middle() -> None:
    assert draw([candle(0, "5 5 5 5"), candle(1, "5 5 5 5")]) == [
        "     │",
        "     │",
        "5.00 ┤╹╹",
        "     │",
        "      ██",
        "      ██",
        "      09:30",
    ]


def test_a_bar_without_prices_leaves_a_gap_and_keeps_its_volume() -> None:
    lines = draw([candle(0, "1 8 1 8", "0"), candle(1, "", "100"), candle(2, "8 8 1 1", "1")])

    assert lines == ["8 ┤┃ ┃", "  │┃ ┃", "  │┃ ┃", "2 ┤┃ ┃", "    █", "    █▁", "   09:30"]


def test_no_volume_at_all_leaves_the_strip_empty() -> None:
    assert draw([candle(0, "1 8 1 8", "0")])[4:] == ["", "", "   09:30"]


@pytest.mark.parametrize("bars", [[], [candle(0, "")], [candle(0, ""), candle(1, "")]])
def test_nothing_to_draw_is_said(bars: list[Candle]) -> None:
    assert draw(bars) == ["no bar with a price"]


def test_nothing_to_draw_among_the_last_is_said() -> None:
    assert draw([candle(0, "1 2 1 2"), *(candle(number, "") for number in range(1, 60))], width=20) == [
        "no bar with a price among the last"
    ]


def test_of_too_many_bars_the_last_are_drawn() -> None:
    bars = [candle(number, f"{number} {number + 1} {number} {number + 1}") for number in range(100)]
    lines = draw(bars, width=40)

    assert max(map(len, lines)) == 40
    assert lines[0].endswith("╹")
    assert lines[-1].lstrip().startswith("14:55")  # the 66th of 100 bars: 35 columns are left of 40


def test_bars_that_fit_are_all_drawn_from_the_left() -> None:
    lines = draw([candle(number, "1 8 1 8") for number in range(78)], width=88)

    assert lines[0] == "8 ┤" + "┃" * 78


def test_hours_are_named_in_the_zone_where_there_is_room() -> None:
    (*_, times) = draw([candle(number, "1 8 1 8") for number in range(78)], width=88)

    assert times == "   09:30 10:00       11:00       12:00       13:00       14:00       15:00"
    assert [times.index(text) - 3 for text in ("09:30", "10:00", "15:00")] == [0, 6, 66]


def test_the_zone_knows_of_summer() -> None:
    bar = Candle(datetime(2025, 7, 15, 13, 30, tzinfo=UTC), Decimal(1), Decimal(2), Decimal(1), Decimal(2), Decimal(1))

    assert draw([bar])[-1].strip() == "09:30"


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        ("92000", "93200", ["93,200", "92,022"]),
        ("267.10", "268.20", ["268.20", "267.12"]),
        ("0.00000010", "0.00000012", ["0.00000012", "0.00000010"]),
    ],
)
def test_prices_have_the_decimals_that_tell_rows_apart(low: str, high: str, labels: list[str]) -> None:
    lines = draw([candle(0, f"{low} {high} {low} {high}")], rows=28)
    shown = [line.split(" ┤")[0].strip() for line in lines if "┤" in line]

    assert [shown[0], shown[-1]] == labels
