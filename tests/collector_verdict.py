"""What became of each print that was told to a collector which was killed: held, or missing where that is allowed and said."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from tests.collector_kills import Report, Told
from tests.mangled import write_print
from ticklake.cli.lake import Lake

DURABLE_NS: Final = 50_000_000
"""A record is durable so long after it arrived, at most."""

TRADES: Final = "select symbol, traded_ms, price, size, received_ns from silver.trades"
GAPS: Final = "select symbol, from_ns, to_ns from silver.feed_gaps where cause = 'collector_died'"


class Verdict(msgspec.Struct):
    """What is wrong, print by print; and what was proven on how many kills."""

    kills_while_told: int = 0
    strange: list[Any] = []
    """Trades that nobody told, or that are held twice."""
    holes: list[Told] = []
    """Missing, though a later one of the same life is held."""
    overdue: list[Told] = []
    """Missing, though told long enough before its collector died."""
    outside_gaps: list[Told] = []
    """Missing, and nothing says so."""
    missing: int = 0
    worst_ms: list[float] = []
    """Of each kill, how long before it the first missing print was told, less what the machine itself held up."""


def judge(lake: Lake, report: Report) -> Verdict:
    """Compare what was told with silver."""
    verdict = Verdict()
    received = _read_held(lake, report, verdict)
    gaps: dict[str, list[tuple[int, int]]] = {}
    for symbol, *ends in lake.query(GAPS).rows:
        gaps.setdefault(symbol, []).append((ends[0], ends[1]))
    for number, told in _by_life(report):
        life = report.lives[number]
        missing = [each for each in told if each.serial not in received]
        held = [each for each in told if each.serial in received]
        verdict.missing += len(missing)
        verdict.kills_while_told += number < len(report.lives) - 1
        verdict.holes += [each for each in missing if held and each.serial < held[-1].serial]
        flight_ns = received[held[-1].serial] - held[-1].sent_ns if held else 0
        verdict.outside_gaps += [
            each for each in missing if not any(begin - flight_ns <= each.sent_ns <= end for begin, end in gaps.get(each.symbol, []))
        ]
        if missing and not life.point:
            verdict.worst_ms.append((life.ended_ns - life.held_up_ns - missing[0].sent_ns) / 1e6)
            verdict.overdue += [each for each in missing if each.sent_ns < life.ended_ns - life.held_up_ns - DURABLE_NS]
    return verdict


def _read_held(lake: Lake, report: Report, verdict: Verdict) -> dict[int, int]:
    """Give when each print that is held was received; note what was never told, or is there twice."""
    received: dict[int, int] = {}
    for *trade, received_ns in lake.query(TRADES).rows:
        serial = int((trade[2] - 100) * 10_000)
        if serial in received or not 0 <= serial < len(report.told) or trade != _expect(report.told[serial]):
            verdict.strange.append(trade)
        received[serial] = received_ns
    return received


def _expect(told: Told) -> list[Any]:
    fields = write_print(told.symbol, told.sent_ns // 1_000_000, serial=told.serial)
    return [told.symbol, int(fields["t"]), Decimal(fields["p"]), Decimal(fields["v"])]


def _by_life(report: Report) -> Iterator[tuple[int, list[Told]]]:
    lives: dict[int, list[Told]] = {}
    for each in report.told:
        lives.setdefault(each.life, []).append(each)
    return iter(lives.items())
