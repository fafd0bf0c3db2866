"""The live feed: collect from it.

Whoever collects beside other work takes `open_collector`, or `hold_feed_key` and `make_collector` where it has the log
already: `asyncio.run(collector.client.collect())` may run in any thread, and is stopped from another by
`loop.call_soon_threadsafe(collector.client.stop)`.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ticklake.cli.output import print_json, progress
from ticklake.cli.path import JSON

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake
    from ticklake.contracts.ports import LogWriter
    from ticklake.feed.finnhub.client import FinnhubClient
    from ticklake.feed.finnhub.ports import Transport
    from ticklake.feed.finnhub.rates import IsTrading
    from ticklake.feed.recorder import Recorder
    from ticklake.settings import FeedSettings


@click.command()
@click.argument("symbols", nargs=-1, metavar="SYMBOL…")
@click.option("--url", help="The feed's socket, if not the setting feed.url: a simulator's, to try it out.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End by itself after so long.")
@JSON
@click.pass_obj
def collect(home: Path | None, symbols: tuple[str, ...], url: str | None, seconds: float | None, as_json: bool) -> None:
    """Record live trades into the log, every message as it comes, until Ctrl-C.

    The key stands in TICKLAKE_FEED__KEY; an exchange on this machine needs none of yours. Connections that fall silent
    or break are replaced; each is a session, and its end is recorded with its cause. Ctrl-C waits until all that came
    is durable; a second one does not. In another terminal: ticklake run.
    """
    from ticklake.cli.lake import Lake
    from ticklake.cli.notices import give_notice
    from ticklake.errors import FeedUnreachable

    lake = Lake.at(home).open()
    with progress("collect", unit="records") as show, open_collector(lake, symbols=symbols, url=url, on_commit=show) as collector:
        with give_notice() as notices:
            asyncio.run(_collect(collector, seconds))
        counted = collector.tally()
    if not counted["connections"]:
        raise FeedUnreachable(
            f"no connection to the feed came about, in {counted['attempts']:,} attempts ({notices.obstacle or 'it did not answer yet'}):"
            " nothing was recorded",
            hint="check the network and the address, --url or feed.url; an exchange of your own: ticklake simulate",
        )
    if as_json:
        print_json(counted)
        return
    if left_out := counted["without_slot"]:
        click.echo(f"warning: {len(left_out)} symbols found no slot: {', '.join(left_out)}", err=True)
    click.echo(
        f"recorded {counted['frames']:,} messages in {counted['records']:,} records of {counted['connections']:,} connections;"
        " next: ticklake land"
    )


class Collector(NamedTuple):
    """A client, and the recorder that it keeps with."""

    client: "FinnhubClient"
    recorder: "Recorder"

    def tally(self) -> dict[str, Any]:
        """Give what was done so far, and who found no slot. Raises DiskFull if something was given up."""
        from ticklake.errors import DiskFull

        if lost := self.recorder.pending:
            raise DiskFull(
                f"the log has no space left, and collect was ended: {lost:,} records were not durable and are lost",
                hint="free some space; what is missing is a gap, see ticklake gaps",
            )
        return {
            "frames": self.recorder.frames,
            "records": self.recorder.records,
            "connections": self.client.connections,
            "attempts": self.client.attempts,
            "without_slot": self.client.without_slot,
        }


@contextmanager
def open_collector(
    lake: "Lake", *, symbols: Sequence[str] = (), url: str | None = None, on_commit: Callable[[int], None] = lambda _: None
) -> Iterator[Collector]:
    """Build a client from the settings, in possession of the log's end and of the key, until the block ends.

    Symbols and address stand in for the settings' (access.py). Raises SettingsInvalid, StageLocked.
    """
    from ticklake.cli.access import Access
    from ticklake.errors import SettingsInvalid
    from ticklake.locks import hold_stage

    access = Access.of(lake.settings.feed, url=url, symbols=symbols)
    if not access.has_symbols:
        raise SettingsInvalid("there is nothing to subscribe to", hint="name symbols: ticklake collect AAPL MSFT, or set feed.symbols")
    key = access.key.get_secret_value()
    with hold_stage(lake.home.locks, "log"), hold_feed_key(lake, url=access.url, key=key):
        log = lake.open_log_writer()
        try:
            yield make_collector(lake, log, url=access.url, key=key, symbols=access.symbols, on_commit=on_commit)
        finally:
            log.close()


@contextmanager
def hold_feed_key(lake: "Lake", *, url: str, key: str) -> Iterator[None]:
    """Be the only one on this host who collects with a key, until the block ends. Raises SettingsInvalid, StageLocked."""
    from ticklake.feed.finnhub.client import read_host
    from ticklake.locks import hold_key

    with hold_key(lake.settings.feed.key_locks, server=read_host(url), key=key):
        yield


def make_collector(
    lake: "Lake", log: "LogWriter", *, url: str, key: str, symbols: Sequence[str], on_commit: Callable[[int], None] = lambda _: None
) -> Collector:
    """Build a client from the settings, which writes into a log's end; the caller holds that, and the key."""
    from ticklake.feed.finnhub.client import FEED, FinnhubClient
    from ticklake.feed.recorder import Recorder

    settings = lake.settings.feed
    recorder = Recorder(log, feed=FEED, collector=settings.collector, clock=lake.clock, on_commit=on_commit)
    client = FinnhubClient(
        recorder,
        url=url,
        key=key,
        symbols=symbols,
        clock=lake.clock,
        limits=_read_limits(settings),
        is_trading=_read_hours(lake.seeds),
        transport=_find_transport(settings.transport),
    )
    return Collector(client, recorder)


def _read_limits(settings: "FeedSettings") -> Any:
    from ticklake.feed.finnhub.client import Limits

    return Limits(
        slots=settings.slots,
        silence_seconds=settings.silence_seconds,
        symbol_silence_seconds=settings.symbol_silence_seconds,
        rotation_seconds=settings.rotation_seconds,
        pinned=tuple(settings.pinned_symbols),
    )


def _find_transport(name: str) -> "Transport":
    """Give a library's way to connect. Raises SettingsInvalid if it is asked for and not installed."""
    from ticklake.errors import SettingsInvalid
    from ticklake.feed.finnhub.over_websockets import open_websocket

    if name == "websockets":
        return open_websocket
    try:
        from ticklake.feed.finnhub.over_picows import open_picows
    except ImportError as error:
        if name == "picows":
            raise SettingsInvalid("feed.transport is picows, which is not installed", hint="pip install 'ticklake[fast]'") from error
        return open_websocket
    return open_picows


def _read_hours(seeds: Path) -> "IsTrading":
    """Give when a symbol's silence is strange: in its exchange's regular session; round the clock if it has a venue."""
    from ticklake.audit.calendar import BUCKET_MS, Calendars
    from ticklake.audit.seeds import read_seeds

    calendars = Calendars(read_seeds(seeds).exchanges)
    bucket_ns = BUCKET_MS * 1_000_000

    def is_trading(symbol: str, now_ns: int) -> bool:
        return ":" in symbol or calendars.of(symbol).place(now_ns // bucket_ns)[1] == "regular"

    return is_trading


async def _collect(collector: Collector, seconds: float | None) -> None:
    client = collector.client

    def stop() -> None:
        if client.is_stopping:
            client.abandon()
        client.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if seconds is not None:
        loop.call_later(seconds, client.stop)
    await client.collect()
