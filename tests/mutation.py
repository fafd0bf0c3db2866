"""Change the auditor's code and the seeds, one thing at a time, and see whether a test notices: `make mutation`.

    code     every mutant that mutmut makes of the rules, the calendar, identity, the bars and the comparison
    seeds    every cell of every seed but prose

A survivor that is not explained in docs/mutation.md makes it fail. It works in a copy of the checkout.
"""

import csv
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.progress import track

from tests.calendar_days import EXPLAINED, NASTY, OTHER_NAMES, SYMBOL_OF, read_other_library
from tests.rig import ROOT, utc_ms
from tests.unit import test_audit_calendar, test_seeds
from ticklake.audit.calendar import BUCKET_MS, Calendars
from ticklake.audit.seeds import read_seeds
from ticklake.errors import SeedsInvalid

PAGE: Final = ROOT / "docs" / "mutation.md"
SEEDS: Final = ROOT / "transform" / "seeds"
PROSE: Final = {"description", "note"}
Mutant = tuple[str, str]


class Cell(msgspec.Struct, frozen=True):
    """A cell of a seed with another value."""

    seed: str
    row: dict[str, str]
    column: str
    value: str

    def __str__(self) -> str:
        """Name it as in the seed."""
        return f"{self.seed} {', '.join(list(self.row.values())[:2])}: {self.column} {self.row[self.column]!r} → {self.value!r}"


def mutate_code() -> list[Mutant]:
    """Give the line that each surviving mutant changed, and what it made of it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ticklake"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "mutants", "dist"))
        mutmut = [str(Path(sys.executable).with_name("mutmut"))]
        subprocess.run([*mutmut, "run"], cwd=copy, check=True, stdout=sys.stderr)
        results = subprocess.run([*mutmut, "results"], cwd=copy, check=True, capture_output=True, text=True).stdout
        names = re.findall(r"^ +(\S+): (?:survived|no tests|suspicious|timeout)$", results, re.MULTILINE)
        return [
            _read_mutant(subprocess.run([*mutmut, "show", name], cwd=copy, check=True, capture_output=True, text=True).stdout)
            for name in names
        ]


def _read_mutant(diff: str) -> Mutant:
    old, new = (" ".join(re.findall(rf"^\{sign} *(?!\{sign})(.*\S)", diff, re.MULTILINE)) for sign in "-+")
    return old, new


def read_explained() -> set[Mutant]:
    """Give the mutants that the page explains: pairs of lines in its diffs."""
    blocks = re.findall(r"^```diff\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return {(old.strip(), new.strip()) for block in blocks for old, new in re.findall(r"^-(.*)\n\+(.*)$", block, re.MULTILINE)}


def mutate_cells() -> list[Cell]:
    """Give the cells that can hold something else without any check noticing."""
    cells = list(_make_cells())
    with tempfile.TemporaryDirectory() as folder:
        return [cell for cell in track(cells, "seeds") if not _is_noticed(cell, Path(folder))]


def _make_cells() -> Iterator[Cell]:
    for path in sorted(SEEDS.glob("*.csv")):
        for row in _read(path):
            for column, value in row.items():
                if column not in PROSE:
                    yield Cell(path.name, row, column, _change(value))


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _change(value: str) -> str:
    """Give another value of the same kind."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        day = date.fromisoformat(value)
        return (day + timedelta(days=3 if day.isoweekday() == 5 else 1)).isoformat()
    if re.fullmatch(r"\d\d:\d\d", value):
        moment = time.fromisoformat(value)
        return moment.replace(minute=(moment.minute + 5) % 60).isoformat("minutes")
    other = {"yes": "no", "no": "yes", "true": "false", "false": "true", "neutral": "no", "first_only": "yes", "session": "yes", "": "x"}
    other |= {"America/New_York": "America/Chicago", "Europe/London": "Europe/Paris"}
    return other.get(value) or (str(int(value) + 1) if value.isdecimal() else value + "x")


def _is_noticed(cell: Cell, folder: Path) -> bool:
    for path in SEEDS.glob("*.csv"):
        shutil.copy(path, folder)
    rows = _read(SEEDS / cell.seed)
    changed = [row | {cell.column: cell.value} if row == cell.row else row for row in rows]
    with (folder / cell.seed).open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(changed)
    try:
        CHECKS[cell.seed](folder, cell)
    except (AssertionError, KeyError, ValueError, SeedsInvalid):
        return True
    return False


def _check_rules(folder: Path, _cell: Cell) -> None:
    test_seeds.SEEDS = folder  # type: ignore[misc]
    test_seeds.test_the_codes_are_named_as_the_tapes_name_them()
    test_seeds.test_every_line_of_the_rules_is_that_of_the_table()
    test_seeds.test_every_code_and_every_pair_may_do_what_the_table_says()
    test_seeds.test_what_a_lens_does_with_a_code_that_it_does_not_know()
    test_seeds.test_the_official_auctions_are_two_codes_through_one_lens()
    test_seeds.test_feeds_have_a_grace_and_say_what_a_collector_is()


def _check_day(folder: Path, cell: Cell) -> None:
    """Compare the days that an exceptional one can change with the other library's."""
    calendars = Calendars(read_seeds(folder).exchanges)
    exchange = cell.row["exchange"]
    other = read_other_library(exchange)
    for text in {cell.row["trading_date"], cell.value if cell.column == "trading_date" else cell.row["trading_date"]}:
        day = date.fromisoformat(text)
        found = calendars.of(SYMBOL_OF[exchange]).day(day)
        hours = other.get(day)
        is_same = (found and (found.open_ms, found.close_ms)) == (hours and tuple(utc_ms(str(moment)) for moment in hours))
        assert is_same == (day not in EXPLAINED[exchange])
        if day in EXPLAINED[exchange]:
            original = Calendars(read_seeds(SEEDS).exchanges).of(SYMBOL_OF[exchange]).day(day)
            assert found == original


def _check_exchange(folder: Path, _cell: Cell) -> None:
    test_audit_calendar.SEEDS = folder  # type: ignore[misc]
    calendars = Calendars(read_seeds(folder).exchanges)
    for symbol, moment, trading_date, session, _why in NASTY:
        if session != "continuous":
            assert calendars.of(symbol).place(utc_ms(moment) // BUCKET_MS) == (date.fromisoformat(trading_date), session)
    for exchange in OTHER_NAMES:
        test_audit_calendar.test_forty_years_are_the_same_in_another_library(exchange)


CHECKS: Final[dict[str, Callable[[Path, Cell], None]]] = {
    "exchange_days.csv": _check_day,
    "exchanges.csv": _check_exchange,
    **dict.fromkeys(("feeds.csv", "lens_rules.csv", "lenses.csv", "trade_conditions.csv"), _check_rules),
}


def main() -> None:
    """Run both and tell the survivors."""
    cells = mutate_cells()
    mutants = mutate_code()
    explained = read_explained()
    unexplained = [mutant for mutant in mutants if mutant not in explained]
    told = [f"- {old}\n+ {new}" for old, new in unexplained]
    told += [str(cell) for cell in cells]
    stale = explained - set(mutants)
    told += [f"explained, and noticed all the same:\n- {old}\n+ {new}" for old, new in sorted(stale)]
    told.append(f"{len(mutants)} mutants of the code survive, {len(unexplained)} unexplained; {len(cells)} changed cells were not noticed")
    click.echo("\n\n".join(told))
    sys.exit(bool(unexplained or cells or stale))


if __name__ == "__main__":
    main()
