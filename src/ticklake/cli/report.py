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
    from ticklake.audit.ledger import Hop
    from ticklake.audit.truth import Comparison
    from ticklake.contracts.ports import Query
    from ticklake.feed.exchange.market import Market

WIDTH: Final = 88
ZONE: Final = "America/New_York"


def print_report(market: "Market", hops: "list[Hop]", comparisons: "list[Comparison]") -> None:
    """Print what was done to the truth, the ledger, and what was found of the truth."""
    mischief = market.mischief
    click.echo(f"\nWhat was sent: a made-up Tuesday of {', '.join(market.symbols)}")
    for count, what in (
        (len(market.trades), "genuine trades"),
        (mischief.twins, "of them equal an earlier one in every field, and count all the same"),
        (mischief.late, "of them are told late, up to twenty minutes"),
        (mischief.resent_prints, f"prints came again, in {mischief.resent_records:,} records sent twice"),
        (sum(mischief.garbage.values()), f"prints are garbage, of {len(mischief.garbage)} kinds"),
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
    click.echo(f'  {here} query "select verdict, reason, count(*) as prints from silver.prints group by all"')  # noqa: S608 — to be read
    click.echo(f"  {here} status")


def make_document(market: "Market", hops: "list[Hop]", comparisons: "list[Comparison]") -> dict[str, Any]:
    """Give the same for machines."""
    return {
        "holds": all(hop.is_balanced for hop in hops) and all(each.holds for each in comparisons),
        "trades": len(market.trades),
        "mischief": msgspec.to_builtins(market.mischief),
        "ledger": [{**msgspec.to_builtins(hop), "residual": hop.residual} for hop in hops],
        "truth": [{**msgspec.to_builtins(each), "holds": each.holds} for each in comparisons],
    }
