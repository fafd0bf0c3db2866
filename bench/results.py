"""What was measured, as lines of a table, and the page that keeps it."""

import os
import platform
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

PAGE: Final = Path(__file__).with_name("RESULTS.md")
SCHEDULED: Final = dict.fromkeys((os.SCHED_RR, os.SCHED_FIFO), "scheduled before everything else (`chrt -r 1 make bench`)")
"""On a machine that others use, the numbers are ours alone only if the processes need not queue for the processor."""

COLUMNS: Final = ("what", "ours", "peer", "ratio", "bar", "held")


class Line(msgspec.Struct, frozen=True):
    """One number of a stage, beside its peer's and its bar."""

    what: str
    ours: str
    peer: str = ""
    ratio: str = ""
    bar: str = ""
    is_held: bool | None = None
    """None where there is no bar."""


class Stage(msgspec.Struct, frozen=True):
    """What one stage was measured to do."""

    name: str
    peer: str
    how: str
    lines: list[Line]


def name_machine() -> str:
    """Say on what it was measured."""
    models = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return (
        f"{models[0]}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version};"
        f" a load of {os.getloadavg()[2]:.1f}, {SCHEDULED.get(os.sched_getscheduler(0), 'scheduled as everything else')}"
    )


def write_table(stage: Stage) -> str:
    """Give a stage as Markdown."""
    words = {None: "", True: "yes", False: "NO"}
    rows = [(each.what, each.ours, each.peer, each.ratio, each.bar, words[each.is_held]) for each in stage.lines]
    table = "\n".join(f"| {' | '.join(row)} |" for row in (COLUMNS, ("---",) * len(COLUMNS), *rows))
    return f"## {stage.name}\n\n{stage.how}\n\nPeer: {stage.peer}\n\n{table}\n"


def write_page(stages: list[Stage]) -> str:
    """Give the page."""
    head = "# Results\n\nWritten by `make bench`; each stage's module in this folder says how its numbers are made."
    made = f"Measured on {datetime.now(UTC):%Y-%m-%d}: {name_machine()}."
    return "\n\n".join([head, made, *map(write_table, stages)])
