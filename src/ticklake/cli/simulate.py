"""An exchange on this machine: play it."""

import asyncio
import errno
import signal
from collections.abc import Sequence
from datetime import date as calendar_date
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from zoneinfo import ZoneInfo

import click
import msgspec
from click.core import ParameterSource

from ticklake.cli.output import print_json, progress
from ticklake.cli.path import JSON, SPEED

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake
    from ticklake.feed.exchange.hours import Hours
    from ticklake.feed.exchange.quirks import Quirks
    from ticklake.feed.exchange.serve import Exchange, Plan
    from ticklake.feed.exchange.tape import Tape

HOST: Final = "127.0.0.1"
PORT: Final = 8765
SIMULATED_KEY: Final = "simulated"
SHOWN_SYMBOLS: Final = 10
MOST_SYMBOLS: Final = 10_000
MADE_UP: Final = ("prints", "symbols", "date")
"""Options of a day that is made up."""


class _QuirkCommand(click.Command):
    """A command whose help ends with every quirk, as the struct itself describes it."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 — the signature is click's
        """Write the quirks below the options."""
        from ticklake.feed.exchange.quirks import describe_quirks

        with formatter.section("Quirks, as --quirk NAME=CHANCE, from 0 to 1"):
            formatter.write_dl([*describe_quirks(), ("all", "every one of them, at small rates")])


@click.command(cls=_QuirkCommand)
@click.argument("recordings", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE…]")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, help="0 takes a free one.", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=7, help="Another seed is another day.", show_default=True)
@click.option("--prints", type=click.IntRange(min=100), default=150_000, help="About how many prints it has.", show_default=True)
@click.option("--symbols", type=click.IntRange(1, MOST_SYMBOLS), default=6, help="How many symbols trade.", show_default=True)
@click.option("--date", metavar="YYYY-MM-DD", default="2025-11-18", help="Whose hours it has, half days too.", show_default=True)
@click.option("--slots", type=click.IntRange(min=1), default=50, help="Symbols that a connection may subscribe to.", show_default=True)
@click.option("--plan", type=click.Choice(("free", "premium")), default="free", help="What REST may be asked.", show_default=True)
@click.option("--keys", type=click.IntRange(1, 100), default=1, help="Keys, each for one connection.", show_default=True)
@click.option("--quirk", "--quirks", "quirks", multiple=True, metavar="NAME=CHANCE", help="What goes wrong, and how often: see below.")
@click.option("--truth", type=click.File("wb", lazy=False), help="Where to write each trade, and whom it reached.")
@click.option("--until-told", is_flag=True, help="End by itself when the day is over.")
@SPEED
@JSON
@click.pass_context
def simulate(
    context: click.Context,
    recordings: tuple[Path, ...],
    port: int,
    seed: int,
    prints: int,
    symbols: int,
    date: str,
    slots: int,
    plan: str,
    keys: int,
    quirks: tuple[str, ...],
    truth: BinaryIO | None,
    until_told: bool,
    speed: float | None,
    as_json: bool,
) -> None:
    """Play an exchange that speaks Finnhub's protocol, until Ctrl-C: a day that begins when somebody subscribes.

    The day is made up out of the seed, or told from recordings. The truth is NDJSON: a line a trade, with the
    connections that it reached, then a line a quirk that was played, a connection, a halt.
    """
    from ticklake.cli.lake import Lake
    from ticklake.feed.exchange.serve import Exchange, Plan
    from ticklake.feed.exchange.truth import write_truth

    if recordings and (void := [name for name in MADE_UP if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]):
        raise click.UsageError(f"a recording has a {void[0]} of its own: leave --{void[0]} out, or the recordings")
    lake = Lake.at(context.obj)
    played = _read_quirks(quirks)
    with progress("market", unit="prints"):
        tape = _play(recordings, played, seed) if recordings else _make_up(lake, seed, prints, symbols, date, played)
    own_key = lake.settings.feed.key.get_secret_value()
    more_keys = tuple(f"{SIMULATED_KEY}-{number}" for number in range(2, keys + 1))
    granted = Plan(own_key or SIMULATED_KEY, slots, keys=more_keys, is_premium=plan == "premium")
    exchange = Exchange(seed, plan=granted, clock=lake.clock, speed=speed, quirks=played, tape=tape)
    exchange.rest.holidays = _list_holidays(lake)
    try:
        asyncio.run(_simulate(exchange, port, _name_keys(granted, is_own=bool(own_key)), until_told=until_told, as_json=as_json))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise click.BadParameter(f"{port} is taken by another program; 0 takes a free one", param_hint="--port") from error
    if truth:
        write_truth(exchange.told, truth)
    reached = sum(1 for _ in exchange.told.reached())
    if as_json:
        connections = [msgspec.structs.asdict(each) for each in exchange.told.connections]
        print_json({"told": len(exchange.told.trades), "reached": reached, "played": exchange.told.played, "connections": connections})
        return
    click.echo(f"told {len(exchange.told.trades):,} trades, {reached:,} reached somebody; quirks played: {exchange.told.played or 'none'}")


async def _simulate(exchange: "Exchange", port: int, keys: Sequence[str], *, until_told: bool, as_json: bool) -> None:
    stopping = exchange.finished if until_told else asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with exchange.open(HOST, port) as taken:
        named, more = exchange.symbols[:SHOWN_SYMBOLS], len(exchange.symbols) - SHOWN_SYMBOLS
        others = f" and {more:,} more" if more > 0 else ""
        click.echo(f"an exchange listens on ws://{HOST}:{taken} for {', '.join(named)}{others}; in another terminal:", err=as_json)
        for key in keys:
            click.echo(f"  {key}ticklake --home simulated collect --url ws://{HOST}:{taken} {' '.join(exchange.symbols[:3])}", err=as_json)
        click.echo(f"it answers the vendor's REST too, at http://{HOST}:{taken}/api/v1", err=as_json)
        await stopping.wait()


def _name_keys(plan: "Plan", *, is_own: bool) -> list[str]:
    """Give what each collector has to set; the user's own key is not shown."""
    own = "" if is_own else f"TICKLAKE_FEED__KEY={plan.key} "
    return [own, *(f"TICKLAKE_FEED__KEY={key} " for key in plan.keys)]


def _make_up(lake: "Lake", seed: int, prints: int, symbols: int, day: str, quirks: "Quirks") -> "Tape":
    from ticklake.feed.exchange.listings import list_symbols
    from ticklake.feed.exchange.tape import make_tape

    hours, listings = _read_hours(lake, day), list_symbols(symbols)
    if hours.is_holiday and not any(listing.is_continuous for listing in listings):
        said = f"the exchange is closed on {day}, and none of {symbols} symbols trades round the clock; 6 and more have one that does"
        raise click.BadParameter(said, param_hint="--date")
    return make_tape(seed, prints=prints, quirks=quirks, listings=listings, hours=hours)


def _play(recordings: Sequence[Path], quirks: "Quirks", seed: int) -> "Tape":
    from ticklake.feed.exchange.tape import read_tape
    from ticklake.feed.recording import Recording

    tape = [Recording(path) for path in recordings]
    told = read_tape(tape, quirks=quirks, seed=seed)
    if left_out := sum(each.rows for each in tape) - told.rows:
        click.echo(f"warning: {left_out:,} rows of the recordings are no trades and are not told", err=True)
    return told


def _read_hours(lake: "Lake", text: str) -> "Hours":
    """Give the hours of a day, by the project's own calendar of exchanges."""
    from ticklake.audit.calendar import Calendar
    from ticklake.audit.seeds import read_seeds
    from ticklake.feed.exchange.hours import Hours

    exchange = next(each for each in read_seeds(lake.seeds).exchanges if not each.symbol_suffix)
    known = sorted(exchange.exceptions)
    try:
        day = calendar_date.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no date: write 2025-11-28", param_hint="--date") from error
    if not known[0].year <= day.year <= known[-1].year:
        said = f"the calendar knows the years {known[0].year} to {known[-1].year}, not {day}"
        raise click.BadParameter(said, param_hint="--date")
    hours = Calendar(exchange).day(day)
    if hours:
        return Hours(hours.pre_open_ms, hours.open_ms, hours.close_ms, hours.post_close_ms)
    opens = datetime.combine(day, exchange.pre_open_time, ZoneInfo(exchange.time_zone))
    return Hours(round(opens.timestamp() * 1000))


def _list_holidays(lake: "Lake") -> dict[calendar_date, tuple[str, str]]:
    """Give the days that are not like others, by the same calendar; it knows no names."""
    from ticklake.audit.seeds import read_seeds

    exchange = next(each for each in read_seeds(lake.seeds).exchanges if not each.symbol_suffix)
    return {
        day: ("Early close", f"{hours.open_time:%H:%M}-{hours.close_time:%H:%M}") if hours else ("Holiday", "")
        for day, hours in exchange.exceptions.items()
    }


def _read_quirks(texts: tuple[str, ...]) -> "Quirks":
    from ticklake.feed.exchange.quirks import read_quirks

    try:
        return read_quirks(texts)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--quirk") from error
