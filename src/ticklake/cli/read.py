"""What there is: bars, gaps, query, ledger, status. They answer while `run` works."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ticklake.cli.moment import MOMENT
from ticklake.cli.output import FORMATS, print_json, print_result

if TYPE_CHECKING:
    from ticklake.audit.ledger import Hop

FORMAT = click.option("--format", "output_format", type=click.Choice(FORMATS), default="table", help="How to print.", show_default=True)
JSON = click.option("--json", "as_json", is_flag=True, help="The same as --format json: one object a line.")


@click.command()
@click.argument("symbols", nargs=-1, metavar="SYMBOL…")
@click.option("--interval", type=click.Choice(("1m", "5m", "1d")), default="5m", help="Length of a bar.", show_default=True)
@click.option("--lens", default="sip", help="The rules by which prints count.", show_default=True)
@click.option("--from", "from_at", type=MOMENT, help="Bars that start at or after this, UTC.")
@click.option("--to", "to_at", type=MOMENT, help="Bars that start before this, UTC.")
@click.option("--as-of", "as_of", type=MOMENT, help="Bars as they were known at this moment, UTC.")
@click.option("--last", type=click.IntRange(min=1), help="Only the last so many bars of each symbol.")
@FORMAT
@JSON
@click.pass_obj
def bars(
    home: Path | None,
    symbols: tuple[str, ...],
    interval: str,
    lens: str,
    from_at: datetime | None,
    to_at: datetime | None,
    as_of: datetime | None,
    last: int | None,
    output_format: str,
    as_json: bool,
) -> None:
    """Print bars of the named symbols, or of all.

    A bar is provisional until its feed has gone past its end and the grace for late prints; its revision grows with
    each minute in which something came later still. It has a gap if its symbol was not observed for a part of it.
    """
    from ticklake.cli.lake import Lake

    query = Lake.at(home).query
    table = f"gold.current_bars_{interval}"
    parameters: dict[str, Any] = {"symbols": list(symbols), "lens": lens, "from_at": from_at, "to_at": to_at, "last": last}
    if as_of is not None:
        table = f"gold.bars_{interval}_as_of($as_of, $symbols, $first_date, $last_date)"
        day = timedelta(days=1)  # a trading day of an exchange lies within a day of its date in UTC
        first_date = from_at.date() - day if from_at else date(1970, 1, 1)
        last_date = to_at.date() + day if to_at else as_of.date() + day
        parameters |= {"as_of": as_of, "first_date": first_date, "last_date": last_date}
    sql = f"""
        select feed, symbol, lens, start_at, open, high, low, close, volume, vwap, trade_count, revision, has_gap, is_provisional
        from {table}
        where
            (len($symbols) = 0 or list_contains($symbols, symbol))
            and lens = $lens
            and start_at >= coalesce($from_at, timestamp '-infinity')
            and start_at < coalesce($to_at, timestamp 'infinity')
        qualify row_number() over (partition by feed, symbol order by start_at desc) <= coalesce($last, 9223372036854775807)
        order by feed, symbol, start_at
    """  # noqa: S608 — the interval is one of three
    found = query(sql, parameters)
    if not found.rows or not {row[1] for row in found.rows}.issuperset(symbols):  # only then: beside `run` every query waits for a turn
        _check_names(query, symbols, lens)
    print_result(found, "json" if as_json else output_format)


@click.command()
@click.argument("symbols", nargs=-1, metavar="SYMBOL…")
@click.option("--from", "from_at", type=MOMENT, help="Gaps that end at or after this, UTC.")
@click.option("--to", "to_at", type=MOMENT, help="Gaps that begin before this, UTC.")
@FORMAT
@JSON
@click.pass_obj
def gaps(
    home: Path | None, symbols: tuple[str, ...], from_at: datetime | None, to_at: datetime | None, output_format: str, as_json: bool
) -> None:
    """Print when the named symbols, or any that was subscribed to, were not observed, and why.

    A gap without an end lasts until now. One that lasts no time is a message that could not be read.
    """
    from ticklake.cli.lake import Lake

    sql = """
        select feed, symbol, from_at, to_at, (to_ns - from_ns) / 1e9 as seconds, cause
        from silver.feed_gaps
        where
            (len($symbols) = 0 or list_contains($symbols, symbol))
            and coalesce(to_at, timestamp 'infinity') >= coalesce($from_at, timestamp '-infinity')
            and from_at < coalesce($to_at, timestamp 'infinity')
        order by feed, symbol, from_at
    """
    found = Lake.at(home).query(sql, {"symbols": list(symbols), "from_at": from_at, "to_at": to_at})
    print_result(found, "json" if as_json else output_format)


@click.command()
@click.argument("sql")
@FORMAT
@JSON
@click.pass_obj
def query(home: Path | None, sql: str, output_format: str, as_json: bool) -> None:
    """Answer read-only SQL over the warehouse: bronze, silver and gold.

    It waits for its turn while a build works, ten seconds at most.
    """
    from ticklake.cli.lake import Lake

    print_result(Lake.at(home).query(sql), "json" if as_json else output_format)


@click.command()
@FORMAT
@JSON
@click.pass_obj
def ledger(home: Path | None, output_format: str, as_json: bool) -> None:
    """Count every hop of the path; exit with 3 if anything is unaccounted for."""
    from ticklake.audit.ledger import balance
    from ticklake.cli.lake import Lake
    from ticklake.contracts.ports import QueryResult
    from ticklake.errors import LedgerUnbalanced

    lake = Lake.at(home)
    hops = balance(lake.log, lake.store, lake.query)
    if output_format == "table" and not as_json:
        print_ledger(hops)
    else:
        columns = ["hop", "unit", "total", "accounted", "residual"]
        rows = [(hop.name, hop.unit, hop.total, _list_parts(hop), hop.residual) for hop in hops]
        print_result(QueryResult(columns, rows), "json" if as_json else output_format)
    if unbalanced := [hop for hop in hops if not hop.is_balanced]:
        hop = unbalanced[0]
        raise LedgerUnbalanced(
            f"{hop.name}: {abs(hop.residual):,} {hop.unit} {'are unaccounted for' if hop.residual > 0 else 'came from nowhere'}",
            hint="ticklake doctor looks at store and log; ticklake build --full makes silver and gold again from bronze",
        )


def print_ledger(hops: "list[Hop]") -> None:
    """Print one line a hop."""
    for hop in hops:
        mark = click.style("✓", fg="green") if hop.is_balanced else click.style(f"✗ residual {hop.residual:,}", fg="red")
        click.echo(f"{hop.name:<18} {hop.total:>13,} {hop.unit:<8} = {_list_parts(hop)}  {mark}")


def _list_parts(hop: "Hop") -> str:
    return " + ".join(f"{count:,} {part}" for part, count in hop.parts.items())


@click.command()
@JSON
@click.pass_obj
def status(home: Path | None, as_json: bool) -> None:
    """Say how far each stage is, and who is at work."""
    from ticklake.cli.lake import Lake
    from ticklake.cli.status import read_status

    found = read_status(Lake.at(home))
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name.replace('_', ' '):<18} {value if value is not None else '—'}")


def _check_names(query: "Any", symbols: tuple[str, ...], lens: str) -> None:
    """Raises SymbolUnknown for what was never recorded, with what looks like it."""
    import difflib

    from ticklake.errors import SymbolUnknown

    lenses = [name for (name,) in query("select lens from silver.lenses order by lens").rows]
    if lens not in lenses:
        raise SymbolUnknown(f"there is no lens {lens!r}", hint=f"lenses: {', '.join(lenses)}")
    known = [name for (name,) in query("select distinct symbol from gold.bars_1d order by symbol").rows]
    for symbol in symbols:
        if symbol not in known:
            close = difflib.get_close_matches(symbol.upper(), known, n=3, cutoff=0.5) or known[:5]
            hint = f"recorded: {', '.join(close)}{', …' if len(known) > len(close) else ''}" if known else "ticklake replay FILE… first"
            raise SymbolUnknown(f"no trade of {re.sub(r'[^ -~]', '?', symbol)!r} was recorded", hint=hint)
