"""Genuine prints made odd: late, twins, of size zero, without conditions or with ones that nobody knows.

Takes      prints in any order, quirks, a seed
Gives      the same prints, some changed, some doubled; what they are is the truth, and how odd they are stands on them
Guarantee  each quirk has dice of its own, thrown once a print: turning one on changes nothing of another
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from random import Random
from typing import Final

from ticklake.feed.exchange.hours import MINUTE_MS
from ticklake.feed.exchange.prints import Print, Trade, join_codes, write_codes
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.walk import LATE_MS, NO_CODES

ODDITIES: Final = ("late", "twin", "zero", "uncoded", "unknown_code")
MOST_LATE_MS: Final = 40 * MINUTE_MS
STRANGE_CODES: Final = ("42", "55", "99", "0")


def make_odd(prints: Iterable[Print], quirks: Quirks, seed: int) -> Iterator[Print]:
    """Play the market's quirks on prints."""
    chance = Random(f"{seed}/market")  # noqa: S311 — a market, not a secret
    dice = [
        (name, rate, Random(f"{seed}/market/{name}").random)  # noqa: S311 — the same
        for name in ODDITIES
        if (rate := getattr(quirks, name)) > 0
    ]
    for each in prints:
        drawn = [name for name, rate, throw in dice if throw() < rate]
        if not drawn:
            yield each
            continue
        odd = _change(each, drawn, chance)
        yield odd
        if "twin" in drawn:
            yield odd


def _change(each: Print, drawn: list[str], chance: Random) -> Print:
    trade = each.trade
    body = each.text[each.text.index('"p":') :]
    codes = each.text[1 : each.text.index('"p":')]
    if "uncoded" in drawn:
        codes, trade = chance.choice(NO_CODES), trade._replace(conditions="")
    elif "unknown_code" in drawn:
        known = tuple(filter(None, trade.conditions.split(",")))
        strange = (*known, chance.choice(STRANGE_CODES))
        codes, trade = write_codes(strange), trade._replace(conditions=join_codes(strange))
    if "zero" in drawn:
        body, trade = body.rpartition('"v":')[0] + '"v":0}', trade._replace(size=Decimal(0))
    delay_ms = int(LATE_MS * (MOST_LATE_MS / LATE_MS) ** chance.random()) if "late" in drawn else 0
    return Print(each.received_ms + delay_ms, each.serial, "{" + codes + body, Trade(*trade), tuple(drawn))
