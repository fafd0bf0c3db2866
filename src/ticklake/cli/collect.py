"""The live feed: collect from it."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ticklake.cli.output import print_json, progress
from ticklake.cli.path import JSON

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake
    from ticklake.feed.finnhub.client import FinnhubClient


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
