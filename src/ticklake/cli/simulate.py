"""An exchange on this machine: play it."""

import asyncio
import errno
import signal
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from ticklake.cli.path import SPEED

if TYPE_CHECKING:
    from ticklake.feed.exchange.quirks import Quirks
    from ticklake.feed.exchange.serve import Exchange

HOST: Final = "127.0.0.1"
PORT: Final = 8765
SIMULATED_KEY: Final = "simulated"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, help="0 takes a free one.", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=7, help="Another seed is another day.", show_default=True)
@click.option("--prints", type=click.IntRange(min=100), default=150_000, help="About how many prints it has.", show_default=True)
@click.option("--slots", type=click.IntRange(min=1), default=50, help="Symbols that a connection may subscribe to.", show_default=True)
@click.option("--quirk", "quirks", multiple=True, metavar="NAME=CHANCE", help="What goes wrong, and how often a frame: drop=0.001.")
@click.option("--truth", type=click.File("wb", lazy=False), help="Where to write each trade, and whom it reached.")
@click.option("--until-told", is_flag=True, help="End by itself when the day is over.")
@SPEED
@click.pass_obj
def simulate(
    home: Path | None,
    port: int,
    seed: int,
    prints: int,
    slots: int,
    quirks: tuple[str, ...],
    truth: BinaryIO | None,
    until_told: bool,
    speed: float | None,
) -> None:
    """Play an exchange that speaks Finnhub's protocol, until Ctrl-C: a made-up day that begins when somebody subscribes.

    Quirks: repeat, garbage, unknown, oversize, close, drop, hang.
    """
    from ticklake.cli.lake import Lake
    from ticklake.feed.exchange.serve import Exchange, Plan
    from ticklake.feed.exchange.truth import write_truth

    lake = Lake.at(home)
    own_key = lake.settings.feed.key.get_secret_value()
    key = own_key or SIMULATED_KEY
    exchange = Exchange(seed, prints=prints, plan=Plan(key, slots), clock=lake.clock, speed=speed, quirks=_read_quirks(quirks))
    try:
        asyncio.run(_simulate(exchange, port, "" if own_key else f"TICKLAKE_FEED__KEY={key} ", until_told=until_told))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise click.BadParameter(f"{port} is taken by another program; 0 takes a free one", param_hint="--port") from error
    if truth:
        write_truth(exchange.told, truth)
    reached = sum(1 for _ in exchange.told.reached())
    click.echo(f"told {len(exchange.told.trades):,} trades, {reached:,} reached somebody; quirks played: {exchange.told.played or 'none'}")


async def _simulate(exchange: "Exchange", port: int, with_key: str, *, until_told: bool) -> None:
    stopping = exchange.finished if until_told else asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with exchange.open(HOST, port) as taken:
        click.echo(f"an exchange listens on ws://{HOST}:{taken} for {', '.join(exchange.symbols)}; in another terminal:")
        click.echo(f"  {with_key}ticklake collect --url ws://{HOST}:{taken} {' '.join(exchange.symbols[:3])}")
        await stopping.wait()


def _read_quirks(texts: tuple[str, ...]) -> "Quirks":
    from ticklake.feed.exchange.quirks import Quirks, read_quirks

    try:
        return read_quirks(texts)
    except ValueError as error:
        names = ", ".join(Quirks.__struct_fields__)
        raise click.BadParameter(
            f"{' '.join(texts)!r}: {error}; write NAME=CHANCE with a name out of: {names}", param_hint="--quirk"
        ) from error
