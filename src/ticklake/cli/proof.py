"""Prove it: verify, explain. Both read what landed, and count anew."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ticklake.cli.moment import MOMENT
from ticklake.cli.output import print_json, print_result, progress, uncollected

if TYPE_CHECKING:
    from ticklake.audit.explain import Explained, ExplainedPrint
    from ticklake.audit.verify import Difference, Verified

DIFFERENCES_SHOWN = 20
YEAR_9999_MS = 253_370_764_800_000
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.command()
@click.option("--from", "from_at", type=MOMENT, help="From this trading date on.")
@click.option("--to", "to_at", type=MOMENT, help="Up to this trading date, included.")
@JSON
@click.pass_obj
def verify(home: Path | None, from_at: datetime | None, to_at: datetime | None, as_json: bool) -> None:
    """Count every bar anew from the landed bytes, and compare; exit with 3 if one differs.

    No SQL, parser or table of the warehouse has a part in what is expected.
    """
    from ticklake.audit.verify import verify as verify_lake
    from ticklake.cli.lake import Lake
    from ticklake.errors import NotVerified

    lake = Lake.at(home)
    with uncollected(), progress("verify", unit="steps") as show:
        verified = verify_lake(
            lake.store,
            lake.query,
            lake.seeds,
            project_sha256=lake.project_sha256,
            first_date=from_at.date() if from_at else date.min,
            last_date=to_at.date() if to_at else date.max,
            on_progress=lambda _step, done, _total: show(done),
        )
    if as_json:
        print_json(_to_document(verified))
    else:
        _print_verified(verified)
    if not verified.holds:
        raise NotVerified(
            f"{len(verified.differences):,} values of gold are not what the landed bytes say"
            if verified.differences
            else f"{len(verified.unreadable)} landed objects cannot be read",
            hint="ticklake explain SYMBOL START tells a bar's prints; ticklake build --full makes gold again from bronze",
        )


def _to_document(verified: "Verified") -> dict[str, Any]:
    import msgspec

    return {"holds": verified.holds, **msgspec.to_builtins(verified)}


def _print_verified(verified: "Verified") -> None:
    for difference in verified.differences[:DIFFERENCES_SHOWN]:
        _print_difference(difference)
    if (more := len(verified.differences) - DIFFERENCES_SHOWN) > 0:
        click.echo(f"  and {more:,} more; --json lists all")
    for what in verified.unreadable:
        click.echo(f"{click.style('✗', fg='red')} {what}")
    mark = click.style("✓", fg="green") if verified.holds else click.style("✗", fg="red")
    click.echo(
        f"{mark} {verified.bars:,} bars of {verified.trades:,} trades, counted anew from {verified.objects:,} objects:"
        f" {len(verified.differences):,} values differ"
    )
    if verified.pending:
        click.echo(f"  {verified.pending:,} objects landed after the last build; ticklake build takes them in")


def _print_difference(each: "Difference") -> None:
    by = f", {each.by} off" if each.by else ""
    click.echo(
        f"{click.style('✗', fg='red')} {each.table} {each.symbol} {each.lens} {each.start_at:%Y-%m-%d %H:%M} {each.column}:"
        f" {each.found if each.found is not None else 'nothing'}, must be {each.expected if each.expected is not None else 'nothing'}{by}"
    )
    for line in each.prints:
        click.echo(f"    {line}")


@click.command()
@click.argument("symbol")
@click.argument("start", type=MOMENT)
@click.option("--interval", type=click.Choice(("1m", "5m", "1d")), default="5m", help="Length of the bar.", show_default=True)
@click.option("--lens", default="sip", help="The rules by which prints count.", show_default=True)
@JSON
@click.pass_obj
def explain(home: Path | None, symbol: str, start: datetime, interval: str, lens: str, as_json: bool) -> None:
    """Tell the prints that made a bar, those that did not, and the rule that kept each out.

    START is a moment in the bar, UTC; of a daily bar also its trading date, as a bare date. All of it is read from the landed
    objects, whether or not they are built.
    """
    from ticklake.audit.explain import explain as explain_bar
    from ticklake.audit.seeds import read_seeds
    from ticklake.cli.lake import Lake
    from ticklake.errors import SymbolUnknown

    lake = Lake.at(home)
    lenses = sorted(each.name for each in read_seeds(lake.seeds).lenses)
    if lens not in lenses:
        raise SymbolUnknown(f"there is no lens {lens!r}", hint=f"lenses: {', '.join(lenses)}")
    with progress("read", unit="objects") as show:
        explanation = explain_bar(
            lake.store, lake.seeds, symbol, start, interval=interval, lens=lens, on_progress=lambda done, _total: show(done)
        )
    for what in explanation.unreadable:
        click.echo(f"warning: {what}", err=True)
    if not explanation.bars:
        raise SymbolUnknown(
            f"no print of {symbol!r} landed for that bar", hint=f"ticklake bars {symbol} --interval {interval} lists those that are there"
        )
    if as_json:
        print_json([_to_explanation(each) for each in explanation.bars])
        return
    for each in explanation.bars:
        _print_explained(each, interval)


def _to_explanation(explained: "Explained") -> dict[str, Any]:
    from ticklake.audit.calendar import utc_moment
    from ticklake.audit.verify import to_row

    bar = explained.bar
    return {
        "feed": explained.feed,
        "symbol": explained.symbol,
        "lens": explained.lens,
        "bar": {"start_at": utc_moment(bar.start_ms), **to_row(bar, explained.trading_date)} if bar else None,
        "prints": [dict(zip(PRINT_COLUMNS, _print_cells(each), strict=True)) for each in explained.prints],
    }


PRINT_COLUMNS = ["traded_at", "price", "size", "conditions", "did", "kept_out", "received_at", "object", "offset", "print"]
SHOWN_COLUMNS = ["traded_at", "price", "size", "conditions", "did", "kept_out", "object", "offset", "print"]


def _print_explained(explained: "Explained", interval: str) -> None:
    from ticklake.audit.calendar import utc_moment
    from ticklake.audit.verify import to_row
    from ticklake.contracts.ports import QueryResult

    click.echo(f"{explained.symbol}, {interval}, {explained.lens}, from {explained.feed}")
    if explained.bar is None:
        click.echo("no bar: none of these prints counts")
    else:
        row = to_row(explained.bar, explained.trading_date)
        columns = ["start_at", "open", "high", "low", "close", "volume", "vwap", "trade_count", "revision"]
        values = {"start_at": utc_moment(explained.bar.start_ms), **row}
        if values["vwap"] is not None:
            values["vwap"] = round(values["vwap"], 8)
        print_result(QueryResult(columns, [tuple(values[column] for column in columns)]), "table")
    rows = [dict(zip(PRINT_COLUMNS, _print_cells(each), strict=True)) for each in explained.prints]
    folders = sorted({row["object"].rpartition("/")[0] for row in rows})
    for row in rows:
        row["object"] = row["object"].rpartition("/")[2]
    click.echo(f"\nprints, in objects of {', '.join(folders)}")
    print_result(QueryResult(SHOWN_COLUMNS, [tuple(row[column] for column in SHOWN_COLUMNS) for row in rows]), "table")


def _print_cells(each: "ExplainedPrint") -> list[Any]:
    from ticklake.audit.calendar import utc_moment
    from ticklake.audit.prints import to_decimal

    trade = each.trade
    is_read = trade.traded_ms > 0
    return [
        None if not is_read else utc_moment(trade.traded_ms) if trade.traded_ms < YEAR_9999_MS else f"{trade.traded_ms} ms",
        to_decimal(trade.price) if is_read else None,
        to_decimal(trade.size) if is_read else None,
        ",".join(trade.conditions),
        ", ".join(each.did),
        "; ".join(each.kept_out),
        utc_moment(trade.received_ns / 1_000_000),
        trade.object_key,
        trade.offset,
        trade.print_index,
    ]
