"""Bars drawn in a terminal: candles over volume, prices at the left, the exchange's time below.

    267.90 ┤      ╷╽
    267.60 ┤╷ ╷╿╿┃┃
    267.30 ┤┃╿┃╹
            ▆▄▃▂▂▃
            09:30

Takes      bars in the order of time; those without prices leave a gap, of too many the last are drawn
Gives      text, without a line break at its end
Units      a row of candles is two halves: a thick half is the body, from open to close, a thin one the shadow
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final, Self

import click
import msgspec

CANDLES: Final = {
    ("body", "body"): "┃",
    ("shadow", "shadow"): "│",
    ("shadow", "body"): "╽",
    ("body", "shadow"): "╿",
    ("body", ""): "╹",
    ("", "body"): "╻",
    ("shadow", ""): "╵",
    ("", "shadow"): "╷",
    ("", ""): " ",
}
BLOCKS: Final = " ▁▂▃▄▅▆▇█"
VOLUME_ROWS: Final = 2
LABEL_EVERY: Final = 3
MIN_COLUMNS: Final = 10


class Candle(msgspec.Struct, frozen=True):
    """A bar, as far as it is drawn; all prices are null where no print may set them."""

    start_at: datetime
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal


class _Scale:
    """Prices to half rows, from the top."""

    def __init__(self, low: Decimal, high: Decimal, rows: int) -> None:
        self._high, self._halves = high, rows * 2
        self.step = (high - low) / (self._halves - 1)
        self.decimals = 0 if self.step >= 1 else min(8, max(2, -self.step.adjusted())) if self.step else 2

    @classmethod
    def of(cls, bars: Sequence[Candle], rows: int) -> Self:
        """Make the scale that all prices of some bars fit."""
        prices = [price for bar in bars for price in (bar.low, bar.high) if price is not None]
        return cls(min(prices), max(prices), rows)

    def place(self, price: Decimal) -> int:
        return int((self._high - price) / self.step + Decimal("0.5")) if self.step else self._halves // 2

    def label(self, row: int) -> str:
        """Name the price of a row's upper half."""
        return f"{self._high - self.step * 2 * row:,.{self.decimals}f}"


def draw_bars(bars: Sequence[Candle], *, zone: tzinfo, width: int = 80, rows: int = 12) -> str:
    """Draw bars into `width` columns: `rows` of candles, and of volume below them. Rising ones green, falling ones red."""
    if not any(bar.high is not None for bar in bars):
        return "no bar with a price"
    margin = max(map(len, _make_labels(bars, rows).values()))
    shown = bars[-max(MIN_COLUMNS, width - margin - 2) :]
    if not any(bar.high is not None for bar in shown):
        return "no bar with a price among the last"
    scale, labels = _Scale.of(shown, rows), _make_labels(shown, rows)
    columns = [_draw_candle(bar, scale, rows) for bar in shown]
    lines = []
    for row in range(rows):
        axis = f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}"
        lines.append(axis + "".join(_paint(column[row], bar) for column, bar in zip(columns, shown, strict=True)))
    lines += [" " * (margin + 2) + line for line in [*_draw_volume(shown), _draw_times(shown, zone)]]
    return "\n".join(line.rstrip() for line in lines)


def _make_labels(bars: Sequence[Candle], rows: int) -> dict[int, str]:
    """Give the rows that have a label; prices that never moved have one alone."""
    scale = _Scale.of(bars, rows)
    return {row: scale.label(row) for row in (range(0, rows, LABEL_EVERY) if scale.step else [rows // 2])}


def _draw_candle(bar: Candle, scale: _Scale, rows: int) -> str:
    """Give a bar's column, from the top."""
    if bar.open is None or bar.close is None or bar.high is None or bar.low is None:
        return " " * rows
    halves = [""] * rows * 2
    top, bottom = scale.place(bar.high), scale.place(bar.low)
    halves[top : bottom + 1] = ["shadow"] * (bottom + 1 - top)
    top, bottom = scale.place(max(bar.open, bar.close)), scale.place(min(bar.open, bar.close))
    halves[top : bottom + 1] = ["body"] * (bottom + 1 - top)
    return "".join(CANDLES[halves[row * 2], halves[row * 2 + 1]] for row in range(rows))


def _draw_volume(bars: Sequence[Candle]) -> list[str]:
    """Give the rows of volume, from the top."""
    most = max(bar.volume for bar in bars)
    eighths = [int(bar.volume * VOLUME_ROWS * 8 / most + Decimal("0.5")) if most else 0 for bar in bars]
    eighths = [max(height, bar.volume > 0) for height, bar in zip(eighths, bars, strict=True)]
    return ["".join(_dim(BLOCKS[min(8, max(0, height - 8 * row))]) for height in eighths) for row in reversed(range(VOLUME_ROWS))]


def _draw_times(bars: Sequence[Candle], zone: tzinfo) -> str:
    """Name the first bar, and then each hour's first where there is room."""
    line, hour = "", None
    for column, bar in enumerate(bars):
        local = bar.start_at.astimezone(zone)
        if (hour is None or local.hour != hour) and len(line) <= column:
            line = f"{line:<{column}}{local:%H:%M} "
        hour = local.hour
    return line


def _paint(cell: str, bar: Candle) -> str:
    if cell == " " or bar.open is None or bar.close is None:
        return cell
    return click.style(cell, fg="green" if bar.close >= bar.open else "red")


def _dim(cell: str) -> str:
    return cell if cell == " " else click.style(cell, dim=True)
