"""The live feed: collect from it, or play it."""

import asyncio
import errno
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click
import msgspec

from ticklake.cli.output import print_json, progress
from ticklake.cli.path import JSON, SPEED

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake
    from ticklake.feed.exchange import Exchange
    from ticklake.feed.finnhub.client import FinnhubClient

HOST: Final = "127.0.0.1"
PORT: Final = 8765
SIMULATED_KEY: Final = "simulated"


@click.command()
@click.argument("symbols", nargs=-1, metavar="SYMBOL…")
@click.option("--url", help="The feed's socket, if not the setting feed.url: a simulator's, to try it out.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End by itself after so long.")
@JSON
@click.pass_obj
def collect(home: Path | None, symbols: tuple[str, ...], url: str | None, seconds: float | None, as_json: bool) -> None:
    """Record live trades into the log, every message as it comes, until Ctrl-C.

    The key stands in TICKLAKE_FEED__KEY. Connections that fall silent or break are replaced; each is a session, and
    its end is recorded with its cause. In another terminal: ticklake run.
    """
    from ticklake.cli.lake import Lake

    lake = Lake.at(home).open()
    counted = asyncio.run(_collect(lake, list(symbols) or lake.settings.feed.symbols, url or lake.settings.feed.url, seconds))
    if as_json:
        print_json(counted)
        return
    click.echo(
        f"recorded {counted['frames']:,} messages in {counted['records']:,} records of {counted['connections']:,} connections;"
        " next: ticklake land"
    )


async def _collect(lake: "Lake", symbols: list[str], url: str, seconds: float | None) -> dict[str, Any]:
    from ticklake.errors import SettingsInvalid
    from ticklake.feed.finnhub.client import FEED, FinnhubClient, Limits
    from ticklake.feed.recorder import Recorder
    from ticklake.locks import hold_stage

    settings = lake.settings.feed
    key = settings.key.get_secret_value()
    if not key:
        raise SettingsInvalid("there is no key for the feed", hint="set it: export TICKLAKE_FEED__KEY=…; without one: ticklake simulate")
    if not symbols:
        raise SettingsInvalid("there is nothing to subscribe to", hint="name symbols: ticklake collect AAPL MSFT, or set feed.symbols")
    if not url.startswith(("ws://", "wss://")):
        raise SettingsInvalid(f"{url!r} is no address of a socket", hint="such as wss://ws.finnhub.io or ws://127.0.0.1:8765")
    with hold_stage(lake.home.locks, "log"), progress("collect", unit="records") as show:
        log = lake.open_log_writer()
        try:
            recorder = Recorder(log, feed=FEED, collector=settings.collector, clock=lake.clock, on_commit=show)
            limits = Limits(slots=settings.slots, silence_seconds=settings.silence_seconds)
            client = FinnhubClient(recorder, url=url, key=key, symbols=symbols, clock=lake.clock, limits=limits)
            _stop_when_told(client, seconds)
            await client.collect()
        finally:
            log.close()
    if left_out := symbols[settings.slots :]:
        click.echo(f"warning: {len(left_out)} symbols found no slot: {', '.join(left_out)}", err=True)
    return {"frames": recorder.frames, "records": recorder.records, "connections": client.connections, "attempts": client.attempts}


def _stop_when_told(client: "FinnhubClient", seconds: float | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, client.stop)
    if seconds is not None:
        loop.call_later(seconds, client.stop)


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
    from ticklake.feed.exchange import Exchange, Plan

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
        _write_truth(exchange, truth)
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


def _read_quirks(texts: tuple[str, ...]) -> Any:
    from ticklake.feed.exchange import Quirks

    try:
        pairs = [text.split("=") for text in texts]
        return msgspec.convert({name: float(chance) for name, chance in pairs}, Quirks)
    except (ValueError, msgspec.ValidationError) as error:
        names = ", ".join(Quirks.__struct_fields__)
        raise click.BadParameter(f"{' '.join(texts)!r} is not NAME=CHANCE with a name out of: {names}", param_hint="--quirk") from error


def _write_truth(exchange: "Exchange", file: BinaryIO) -> None:
    """Write a line a trade: symbol, time, price, size, codes, and the connections that it reached."""
    encode = msgspec.json.Encoder(decimal_format="string").encode
    file.writelines(
        encode({**trade._asdict(), "delivered": sorted(connections)}) + b"\n"
        for trade, connections in zip(exchange.told.trades, exchange.told.delivered, strict=True)
    )
