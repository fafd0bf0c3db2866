"""What people and machines read: tables, CSV and JSON on stdout, progress and errors on stderr."""

import csv
import gc
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

import click

from ticklake.contracts.ports import QueryResult
from ticklake.errors import TicklakeError

FORMATS = ("table", "csv", "json")


def print_result(result: QueryResult, output_format: str) -> None:
    """Print rows in one of FORMATS."""
    if output_format == "json":
        for row in result.rows:
            click.echo(json.dumps(dict(zip(result.columns, row, strict=True)), default=to_json))
    elif output_format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(result.columns)
        writer.writerows([_to_text(value) for value in row] for row in result.rows)
    else:
        _print_table(result)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, default=to_json, indent=2))


def print_error(error: TicklakeError, *, as_json: bool = False) -> None:
    """Say what happened and what to type next, on stderr."""
    if as_json:
        document = {"error": type(error).__name__, "what": error.what, "hint": error.hint, "retryable": error.retryable}
        click.echo(json.dumps(document), err=True)
        return
    click.echo(f"{click.style('error:', fg='red')} {error.what}", err=True)
    click.echo(f"{click.style('hint:', fg='cyan')}  {error.hint}", err=True)


def to_json(value: Any) -> Any:
    """Give a value as JSON can hold it; decimals as text, so that no digit is lost."""
    if isinstance(value, datetime):
        return value.isoformat() + ("" if value.tzinfo else "Z")
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


@contextmanager
def uncollected() -> Iterator[None]:
    """Let no garbage collector walk again and again through millions of prints that hold no cycle: a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Show(Protocol):
    """Moves a bar."""

    def __call__(self, done: int, total: int | None = None, /) -> None:
        """Say how much is done, and of how much, if that is another number now."""
        ...


@contextmanager
def progress(description: str, *, unit: str, total: int | None = None) -> Iterator[Show]:
    """Show a bar on stderr while the block runs; call what it gives with how much is done. Silent where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda _done, _total=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = [SpinnerColumn(), TextColumn("{task.description:<28}"), BarColumn(), TextColumn("{task.completed:>12,.0f} " + unit)]
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bars:
        task = bars.add_task(description, total=total)
        yield lambda done, total=None: bars.update(task, completed=done, total=total)


def _print_table(result: QueryResult) -> None:
    rows = [[_to_text(value) for value in row] for row in result.rows]
    numeric = [all(isinstance(row[i], int | float | Decimal | None) for row in result.rows) for i in range(len(result.columns))]
    widths = [max([len(name), *(len(row[i]) for row in rows)]) for i, name in enumerate(result.columns)]
    click.echo(_line(result.columns, widths, numeric))
    click.echo("  ".join("─" * width for width in widths))
    for row in rows:
        click.echo(_line(row, widths, numeric))


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (cell.rjust(width) if is_number else cell.ljust(width) for cell, width, is_number in zip(cells, widths, numeric, strict=True))
    return "  ".join(padded).rstrip()


def _to_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
