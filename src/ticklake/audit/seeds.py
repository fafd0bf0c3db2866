"""The seeds' CSV as an auditor reads them: lenses, feeds, exchanges. Nothing of dbt, nothing of the warehouse.

    lenses, lens_rules        what a set of condition codes lets a print do, through each lens
    feeds                     grace, and what counts as a collector
    exchanges, exchange_days  hours on the exchange's own wall clock

Raises     SeedsInvalid where a seed says what no rule knows
"""

import csv
from collections.abc import Iterator
from datetime import date, time, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ticklake.errors import SeedsInvalid

OPENING_CODE: Final = "19"
CLOSING_CODE: Final = "36"
EFFECTS: Final = {
    "updates_high_low": {"yes", "no", "neutral", "session"},
    "updates_last": {"yes", "no", "neutral", "session", "first_only"},
    "updates_volume": {"yes", "no", "neutral"},
}
FLAGS: Final = {"true": True, "false": False}


class Effects(NamedTuple):
    """What one code does to a bar: `yes`, `no`, `neutral`, `session`, `first_only`."""

    high_low: str
    last: str
    volume: str


class Ruling(NamedTuple):
    """What a print with a set of codes may do, through a lens."""

    may_set_last: bool
    """It may be open and close."""

    may_set_high_low: bool
    adds_volume: bool
    is_first_only: bool
    """It may be open and close only as the first of the day that may."""

    is_extended_only: bool
    """Its price counts outside the regular session only."""

    is_opening_auction: bool
    is_closing_auction: bool


class Lens(msgspec.Struct, frozen=True):
    """Rules by which prints make bars."""

    name: str
    has_auctions: bool
    unknown: Effects
    rules: dict[str, Effects]

    def judge(self, codes: tuple[str, ...]) -> Ruling:
        """Combine the rules of all codes: what one forbids is forbidden."""
        effects = [self.rules.get(code, self.unknown) for code in codes]
        may_set_last = all(each.last != "no" for each in effects)
        return Ruling(
            may_set_last=may_set_last,
            may_set_high_low=may_set_last or all(each.high_low != "no" for each in effects),
            adds_volume=all(each.volume != "no" for each in effects),
            is_first_only=any(each.last == "first_only" for each in effects),
            is_extended_only=any("session" in (each.last, each.high_low) for each in effects),
            is_opening_auction=self.has_auctions and OPENING_CODE in codes,
            is_closing_auction=self.has_auctions and CLOSING_CODE in codes,
        )

    def forbids(self, codes: tuple[str, ...], what: str) -> list[str]:
        """Name the codes that forbid something: `high_low`, `last` or `volume`."""
        return [code for code in codes if getattr(self.rules.get(code, self.unknown), what) == "no"]


class Feed(msgspec.Struct, frozen=True):
    """How a source of frames behaves."""

    parser: str
    """Who reads its frames."""

    grace_ns: int
    replays_on_reconnect: bool
    drops_repeats: bool


class Hours(NamedTuple):
    """A day of an exchange, on its own wall clock."""

    open_time: time
    close_time: time


class Exchange(msgspec.Struct, frozen=True):
    """An exchange's regular hours, and the days that had others; None where it was closed."""

    name: str
    symbol_suffix: str
    """How its symbols end; empty for the exchange of all others."""

    time_zone: str
    pre_open_time: time
    hours: Hours
    post_market: timedelta
    exceptions: dict[date, Hours | None]


class Seeds(msgspec.Struct, frozen=True):
    """All that an auditor takes from the project."""

    lenses: list[Lens]
    feeds: dict[str, Feed]
    exchanges: list[Exchange]


def read_seeds(folder: Path) -> Seeds:
    """Read the seeds from their folder. Raises SeedsInvalid."""
    return Seeds(lenses=_read_lenses(folder), feeds=_read_feeds(folder), exchanges=_read_exchanges(folder))


def _read_lenses(folder: Path) -> list[Lens]:
    rules: dict[str, dict[str, Effects]] = {}
    for row in _rows(folder / "lens_rules.csv"):
        rules.setdefault(row["lens"], {})[row["code"]] = _effects(folder / "lens_rules.csv", row, "")
    return [
        Lens(
            name=row["lens"],
            has_auctions=FLAGS[row["has_auctions"]],
            unknown=_effects(folder / "lenses.csv", row, "unknown_"),
            rules=rules.get(row["lens"], {}),
        )
        for row in _rows(folder / "lenses.csv")
    ]


def _effects(path: Path, row: dict[str, str], prefix: str) -> Effects:
    for column, known in EFFECTS.items():
        if row[prefix + column] not in known:
            raise SeedsInvalid(
                f"{path.name}: {prefix}{column} cannot be {row[prefix + column]!r}", hint=f"one of {', '.join(sorted(known))}"
            )
    return Effects(*(row[prefix + column] for column in EFFECTS))


def _read_feeds(folder: Path) -> dict[str, Feed]:
    return {
        row["feed"]: Feed(
            parser=row["parser"],
            grace_ns=int(row["grace_seconds"]) * 1_000_000_000,
            replays_on_reconnect=FLAGS[row["replays_on_reconnect"]],
            drops_repeats=FLAGS[row["drops_repeats"]],
        )
        for row in _rows(folder / "feeds.csv")
    }


def _read_exchanges(folder: Path) -> list[Exchange]:
    exchanges = [
        Exchange(
            name=row["exchange"],
            symbol_suffix=row["symbol_suffix"],
            time_zone=row["time_zone"],
            pre_open_time=time.fromisoformat(row["pre_open_time"]),
            hours=Hours(time.fromisoformat(row["open_time"]), time.fromisoformat(row["close_time"])),
            post_market=timedelta(minutes=int(row["post_market_minutes"])),
            exceptions={},
        )
        for row in _rows(folder / "exchanges.csv")
    ]
    by_name = {exchange.name: exchange for exchange in exchanges}
    for row in _rows(folder / "exchange_days.csv"):
        by_name[row["exchange"]].exceptions[date.fromisoformat(row["trading_date"])] = _read_hours(row)
    return exchanges


def _read_hours(row: dict[str, str]) -> Hours | None:
    opens, closes = row["open_time"], row["close_time"]
    if bool(opens) != bool(closes):
        raise SeedsInvalid(
            f"exchange_days.csv: {row['exchange']} {row['trading_date']} has half its hours", hint="both, or neither where it was closed"
        )
    return Hours(time.fromisoformat(opens), time.fromisoformat(closes)) if opens else None


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)
