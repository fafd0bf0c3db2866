"""What must be so whatever was killed: the promises of the demo's chaos, judged by the truth and by the ledger."""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Final

import click
import msgspec

from ticklake.audit.ledger import balance
from ticklake.audit.truth import TrueTrade, compare_gaps
from ticklake.audit.verify import verify
from ticklake.cli.output import uncollected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ticklake.cli.burst import Burst
    from ticklake.cli.lake import Lake
    from ticklake.contracts.ports import Query

GOLD: Final = ("bars_1m", "bars_5m", "bars_1d")
FOUND: Final = "select symbol, traded_ms, price, size, conditions from silver.trades"
DIED: Final = "select count(*) from silver.feed_sessions where closed_ns is null"
BREAKS: Final = {"drop": "connection_lost", "hang": "silence", "oversize": "frame_too_large"}
"""How the exchange ends a connection, and what its session's end is called then."""


class Promise(msgspec.Struct, frozen=True):
    """What was done, what must be so all the same, and what was found."""

    did: str
    promise: str
    found: str
    has_held: bool


def judge(lake: "Lake", burst: "Burst", kills_ns: "Sequence[int]", *, deaths: int) -> "Iterator[Promise]":
    """Judge what a play left, and what came of the collector's kills at these moments, so many of them within a session."""
    found = Counter(TrueTrade(*row) for row in lake.query(FOUND).rows)
    died = lake.query(DIED).rows[0][0]
    yield Promise(
        f"collect killed {len(kills_ns)} times amid trading",
        "each kill within a session shows as one without an end, and what was durable stays",
        f"{died} of {deaths}; lost are at most the last {burst.longest_loss_ms(kills_ns, found):.0f} ms before a kill",
        has_held=died == deaths,
    )
    causes = Counter(dict(lake.query("select cause, count(*) from silver.feed_sessions group by cause").rows))
    played = {quirk: burst.ended[quirk] for quirk in BREAKS}
    yield Promise(
        "connections cut, hung, and sent 2 MiB",
        "each break ends a session with its cause, but one that a dead collector does not see",
        ", ".join(f"{played[quirk]} {quirk}: {causes[cause]} {cause}" for quirk, cause in BREAKS.items()),
        has_held=sum(causes[cause] for cause in BREAKS.values()) >= sum(played.values()) - len(kills_ns) - 1,
    )
    surplus = (found - burst.count()).total()
    yield Promise("all of it", "no trade is doubled or made up", f"{found.total():,} trades, {surplus} too many", has_held=not surplus)
    gaps = compare_gaps(list(burst.find_unheard(found)), lake.query)
    said = f"{gaps.true:,} are missing, {gaps.found:,} of them in gaps"
    yield Promise(
        "all of it", "each trade that is missing lies in a gap of its symbol", "; ".join([said, *gaps.examples]), has_held=gaps.holds
    )
    hops = balance(lake.log, lake.store, lake.query)
    residuals = [f"{hop.name}: {hop.residual}" for hop in hops if not hop.is_balanced]
    yield Promise("all of it", "the ledger balances", "; ".join(residuals) or f"{len(hops)} hops balance", has_held=not residuals)
    with uncollected():
        verified = verify(lake.store, lake.query, lake.seeds, project_sha256=lake.project_sha256)
    wrong = len(verified.differences) + len(verified.unreadable)
    counted = f"{verified.bars:,} bars counted anew, {wrong} differ"
    yield Promise("all of it", "each bar is what the landed bytes say", counted, has_held=not wrong)


def hash_gold(query: "Query") -> str:
    """Give the sha256 of gold's rows."""
    digest = hashlib.sha256()
    for table in GOLD:
        for row in query(f"select * from gold.{table} order by feed, symbol, lens, start_at").rows:  # noqa: S608 — our own names
            digest.update(repr(row).encode())
    return digest.hexdigest()


def print_promises(promises: list[Promise]) -> None:
    """Print what was done, the promise, and whether it held."""
    click.echo()
    for each in promises:
        mark = click.style("✓", fg="green") if each.has_held else click.style("✗", fg="red")
        click.echo(f"{mark} {each.did}\n    {each.promise}: {each.found}")
