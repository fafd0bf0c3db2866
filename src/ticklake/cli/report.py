"""What the demo says in the end: what was sent, where everything is, whether it is true, how it looks, what to type next."""

import shlex
import shutil
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from ticklake.cli.read import print_ledger

if TYPE_CHECKING:
    from collections import Counter

    from ticklake.audit.ledger import Hop
    from ticklake.audit.truth import Comparison
    from ticklake.cli.day import Day
    from ticklake.contracts.ports import Query

WIDTH: Final = 88
ZONE: Final = "America/New_York"
BREAKS: Final = {"close": "closed", "drop": "cut", "hang": "hanging", "oversize": "sent too large a message"}
"""Quirks that end a connection, and what it was then."""


def print_report(day: "Day", hops: "list[Hop]", comparisons: "list[Comparison]") -> None:
    """Print what was done to the truth, the ledger, and what was found of the truth."""
    played = day.count_played()
    told = [trade for told in day.told for trade in told.trades]
    click.echo(f"\nWhat was told: a made-up Tuesday of {', '.join(day.symbols)}")
    for count, what in (
        (len(told), "genuine trades"),
        (len(told) - len(set(told)), "of them equal an earlier one in every field, and count all the same"),
        (played["late"], "of them are told late, up to forty minutes"),
        (played["zero"], "of them have no size: they set prices, and are not counted"),
        (played["repeat"], "messages come three times"),
        (played["garbage"] + played["truncate"] + played["seconds"], "messages or prints of them cannot be read"),
        (sum(played[name] for name in BREAKS), f"connections break: {_list_breaks(played)}"),
        (sum(len(told.trades) - sum(1 for _ in told.reached()) for told in day.told), "trades reach nobody, or not as they were"),
    ):
        click.echo(f"{count:>11,} {what}")
    click.echo("\nThe ledger: where everything is")
    print_ledger(hops)
    click.echo("\nThe truth, and what was found")
    for each in comparisons:
        mark = (
            click.style("✓", fg="green") if each.holds else click.style(f"✗ {each.missing:,} missing, {each.surplus:,} surplus", fg="red")
        )
        click.echo(f"{each.name:<18} {each.true:>13,} true     = {each.found:,} found  {mark}")


def print_chart(query: "Query", symbol: str) -> None:
    """Draw a symbol's regular session, as wide as the terminal."""
    from zoneinfo import ZoneInfo

    from ticklake.cli.chart import Candle, draw_bars

    bars = query(
        "select start_at, open, high, low, close, volume from gold.bars_5m"
        " where symbol = $symbol and lens = 'sip' and market_session = 'regular' order by start_at",
        {"symbol": symbol},
    )
    candles = [Candle(start_at.replace(tzinfo=UTC), *rest) for start_at, *rest in bars.rows]
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    click.echo(f"\n{symbol}, 5-minute bars of the regular session, through the lens sip, New York time\n")
    click.echo(draw_bars(candles, zone=ZoneInfo(ZONE), width=width))


def print_next(home: Path, symbol: str) -> None:
    """Print commands that can be typed as they stand."""
    here = f"ticklake --home {shlex.quote(str(home))}"
    click.echo("\nWhat to type next")
    click.echo(f"  {here} bars {symbol} --interval 1d")
    click.echo(f"  {here} gaps {symbol}")
    click.echo(f'  {here} query "select verdict, reason, count(*) as prints from silver.prints group by all"')  # noqa: S608 — to be read
    click.echo(f"  {here} status")


def _list_breaks(played: "Counter[str]") -> str:
    return ", ".join(f"{played[name]} {what}" for name, what in BREAKS.items() if played[name]) or "none"


def make_document(day: "Day", hops: "list[Hop]", comparisons: "list[Comparison]") -> dict[str, Any]:
    """Give the same for machines."""
    return {
        "holds": all(hop.is_balanced for hop in hops) and all(each.holds for each in comparisons),
        "told": sum(len(told.trades) for told in day.told),
        "delivered": sum(1 for told in day.told for _ in told.reached()),
        "quirks": dict(day.count_played()),
        "connections": day.connections,
        "attempts": day.attempts,
        "ledger": [{**msgspec.to_builtins(hop), "residual": hop.residual} for hop in hops],
        "truth": [{**msgspec.to_builtins(each), "holds": each.holds} for each in comparisons],
    }
