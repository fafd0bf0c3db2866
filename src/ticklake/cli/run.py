"""The whole path in one process, until Ctrl-C: the stages of pipeline.py, and the words around them.

Guarantee  Ctrl-C ends between two commits: the live session is closed with its cause, nothing is lost, the next start
           goes on. Collecting and replaying share one writer, so that one process has the log.
Raises     what a stage raised; the others come to their end first
"""

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ticklake.cli.path import JSON, RECORDINGS, SPEED

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake
    from ticklake.cli.live import LiveFeed


@click.command()
@RECORDINGS
@SPEED
@JSON
@click.option("--url", help="The feed's socket, if not the setting feed.url: a simulator's, to try it out.")
@click.option("--until-done", is_flag=True, help="Collect nothing, and end by itself when the recordings are in gold.")
@click.pass_obj
def run(home: Path | None, recordings: tuple[Path, ...], speed: float | None, as_json: bool, url: str | None, until_done: bool) -> None:
    """Collect, land and build whatever arrives, until Ctrl-C; replay FILE… on the way, if named.

    It collects the symbols of the setting feed.symbols if a key is set, or the address of a simulator; a stage that
    must wait or fails does not stop that. Beside it, in another terminal: ticklake bars, query, status. A home's log
    has one writer: collect and replay are refused while run does either, and a run that does neither lands and builds
    what they record.
    """
    from ticklake.cli.lake import Lake
    from ticklake.cli.notices import give_notice
    from ticklake.cli.output import print_json
    from ticklake.cli.pipeline import Pipeline

    if until_done and url:
        raise click.UsageError("--until-done collects nothing, so there is no use in --url")
    lake = Lake.at(home).open()
    pipeline = Pipeline(lake, None if until_done else _find_live(lake, url, has_recordings=bool(recordings)))
    previous = {number: signal.signal(number, pipeline.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with give_notice():
            pipeline.run(recordings, speed, until_done=until_done)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    collected = pipeline.live.tally() if pipeline.live else None
    if as_json:
        print_json({"collected": collected, "replayed": pipeline.replayed, "landed": pipeline.landed, "built": pipeline.built.records})
        return
    first = f"collected {collected['frames']:,} messages of {collected['connections']:,} connections, " if collected else ""
    click.echo(
        f"{first}replayed {pipeline.replayed:,} prints, landed {pipeline.landed:,} records, built {pipeline.built.records:,} records"
    )


def _find_live(lake: "Lake", url: str | None, *, has_recordings: bool) -> "LiveFeed | None":
    """Give the feed to collect from, if one is set and can be; say on stderr why it cannot."""
    from ticklake.cli.live import EXAMPLE, LiveFeed
    from ticklake.locks import holder

    live = LiveFeed.of(lake, url)
    if live is None:
        return None
    if not live.has_symbols:
        click.echo(f"warning: nothing is collected, since no symbol is named: set feed.symbols, as in {EXAMPLE}", err=True)
        return None
    if not has_recordings and (pid := holder(lake.home.locks, "log")):
        click.echo(f"process {pid} writes this home's log already: what it collects is landed and built here", err=True)
        return None
    return live
