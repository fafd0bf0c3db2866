"""One stage at a time: replay, land, build."""

from pathlib import Path

import click
import msgspec

from ticklake.cli.output import print_json, progress

SPEED = click.option(
    "--speed",
    default="max",
    metavar="TIMES|max",
    callback=lambda _context, _option, text: parse_speed(text),
    help="Tape seconds a second; max does not wait.  [default: max]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
RECORDINGS = click.argument("recordings", nargs=-1, type=click.Path(path_type=Path), metavar="FILE…")


def parse_speed(text: str) -> float | None:
    """Read `--speed`: a positive number, or None for max."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise click.BadParameter(f"{text!r} is neither max nor a number above 0")
    return speed


@click.command()
@RECORDINGS
@SPEED
@JSON
@click.pass_obj
def replay(home: Path | None, recordings: tuple[Path, ...], speed: float | None, as_json: bool) -> None:
    """Send recordings to the log, as the feed would have.

    A recording is CSV, plain or gzip, with the header s,t,p,v,c: symbol, UTC milliseconds, price, size, condition
    codes joined by semicolons. Replaying one twice adds nothing.
    """
    from ticklake.cli.lake import Lake
    from ticklake.feed.recording import Recording, Tape
    from ticklake.feed.replay import replay as play
    from ticklake.locks import hold_stage

    if not recordings:
        raise click.UsageError("name at least one recording: ticklake replay FILE…")
    lake = Lake.at(home).open()
    tape = [Recording(path) for path in recordings]
    rows = sum(recording.rows for recording in tape)
    with hold_stage(lake.home.locks, "log"), progress("replay", unit="prints", total=rows) as show:
        log = lake.open_log_writer()
        try:
            replayed = play(Tape(tape), log, clock=lake.clock, speed=speed, on_commit=lambda done: show(done.prints))
        finally:
            log.close()
    if as_json:
        print_json(msgspec.to_builtins(replayed))
    else:
        click.echo(f"replayed {replayed.prints:,} prints in {replayed.records:,} records of {len(tape)} recordings; next: ticklake land")


@click.command()
@JSON
@click.pass_obj
def land(home: Path | None, as_json: bool) -> None:
    """Move what the log holds into immutable objects, to the log's end."""
    from ticklake.cli.lake import Lake
    from ticklake.locks import hold_stage

    lake = Lake.at(home).open()
    done = 0

    def count(records: int) -> None:
        nonlocal done
        done += records
        show(done)

    with hold_stage(lake.home.locks, "land"), progress("land", unit="records") as show:
        landed = lake.make_lander().land(flush=True, on_object=count)
    if as_json:
        print_json(msgspec.to_builtins(landed))
        return
    click.echo(f"landed {landed.records:,} records in {landed.objects:,} objects; next: ticklake build")
    if landed.lost:
        click.echo(f"warning: the log has lost {landed.lost:,} offsets; ticklake ledger shows them", err=True)


@click.command()
@click.option("--full", is_flag=True, help="Make everything behind bronze again, and test every row.")
@JSON
@click.pass_obj
def build(home: Path | None, full: bool, as_json: bool) -> None:
    """Load landed objects into bronze, and bring silver and gold up to them."""
    from ticklake.cli.lake import Lake

    lake = Lake.at(home).open()
    with progress("build", unit="steps") as show:
        built = lake.builder.build(
            full=full,
            batch_records=lake.settings.warehouse.batch_records,
            on_progress=lambda _step, done, _total: show(done),
        )
    dropped = lake.drop_loaded_segments()
    if as_json:
        print_json({**msgspec.to_builtins(built), "log_segments_dropped": dropped})
        return
    kind = "everything again" if built.is_full else f"{built.batches} batches"
    click.echo(f"built {kind}: {built.records:,} new records of {built.objects:,} objects; next: ticklake bars")
    for broken in built.quarantined:
        click.echo(f"warning: {broken.key} is quarantined: {broken.reason}", err=True)
    if built.trimmed:
        click.echo(f"warning: {built.trimmed:,} records lay in two objects; each was loaded once", err=True)
